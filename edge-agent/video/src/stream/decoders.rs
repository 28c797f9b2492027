//! Which decoders have failed on a camera, and when that is held against them.
//!
//! A decoder that gives no picture at all, or garbage, is given up at once for this
//! camera. Hardware that worked and then failed is proved anew and gets a second
//! chance: a driver may stumble once over a broken stream, and the processor of a
//! box may be too weak to decode all cameras. What is given up stays so until the
//! agent is started again; software alone is never given up for garbage, because
//! then it is the stream.

use std::collections::BTreeMap;

use super::loss::Loss;
use super::notice::LossReason;
use super::settings::RtspSettings;
use crate::decoder::{DecoderInUse, Family, Selection, doubt};

/// Failures of hardware that had worked, after which it is given up.
const CHANCES: u32 = 2;

/// One camera's experience with its decoders.
#[derive(Debug)]
pub(super) struct Decoders {
    pub(super) selection: Selection,
    failures: BTreeMap<String, u32>,
}

impl Decoders {
    pub(super) fn new(settings: &RtspSettings) -> Self {
        Self {
            selection: Selection {
                choice: settings.decoder.clone(),
                ..Selection::default()
            },
            failures: BTreeMap::new(),
        }
    }

    /// A connection ended; why its decoder is given up, if it is.
    pub(super) fn blame(
        &mut self,
        loss: &Loss,
        decoder: &DecoderInUse,
        had_pictures: bool,
    ) -> Option<String> {
        let name = &decoder.name;
        let detail = loss.detail.as_deref();
        let reason = match loss.reason {
            LossReason::Garbage => {
                format!("makes {} of this stream", detail.unwrap_or("garbage"))
            }
            LossReason::Decode if !had_pictures => match detail {
                Some(detail) => format!("gives no picture of this stream: {detail}"),
                None => "gives no picture of this stream".to_owned(),
            },
            LossReason::Decode if decoder.family != Family::Software => {
                let failures = self.failures.entry(name.clone()).or_default();
                *failures += 1;
                if *failures < CHANCES {
                    doubt(name);
                    return None;
                }
                format!(
                    "failed {failures} times on this stream: {}",
                    detail.unwrap_or("no pictures any more")
                )
            }
            _ => return None,
        };
        doubt(name);
        let old = self.selection.rejected.insert(name.clone(), reason.clone());
        // Told once: when all are rejected, the best of them goes on.
        old.is_none().then_some(reason)
    }
}
