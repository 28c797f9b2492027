//! The gate before the detector: which pictures of a camera are to be looked at.

use edge_core::Attention;
use edge_video::Frame;
use motion_gate::{Gate, Reason, SmallPicture, Verdict};
use protocol::EventTime;

use crate::config::DetectConfig;

/// Judges a camera's pictures one by one.
#[derive(Debug)]
pub struct PictureGate {
    /// `None`: switched off; every picture is looked at.
    gate: Option<Gate>,
    small: SmallPicture,
}

impl PictureGate {
    /// As configured. It knows nothing of its camera yet.
    pub fn new(config: &DetectConfig) -> Self {
        Self {
            gate: config.gate.then(|| Gate::new(config.settings)),
            small: SmallPicture::default(),
        }
    }

    /// Whether to look at `frame`, when the scene is this attentive. `None`
    /// without a gate.
    pub fn judge(&mut self, frame: &Frame, attention: Attention) -> Option<Verdict> {
        let gate = self.gate.as_mut()?;
        if let Some(reason) = gate.foregone(frame.time, attention) {
            return Some(Verdict::Look(reason));
        }
        let (width, height) = (frame.width as usize, frame.height as usize);
        let is_read = self.small.read(frame.y(), frame.y_stride(), width, height);
        // What the gate cannot see is for the detector.
        Some(if is_read {
            gate.judge(&self.small, frame.time, attention)
        } else {
            Verdict::Look(Reason::Learning)
        })
    }

    /// The detector has looked at the picture of this time.
    pub fn looked(&mut self, time: EventTime) {
        if let Some(gate) = &mut self.gate {
            gate.looked(time);
        }
    }

    /// The detector has failed on the picture of this time.
    pub fn failed(&mut self, time: EventTime) {
        if let Some(gate) = &mut self.gate {
            gate.failed(time);
        }
    }

    /// The scene was told that nobody is in the picture of this time.
    pub fn told(&mut self, time: EventTime) {
        if let Some(gate) = &mut self.gate {
            gate.told(time);
        }
    }
}
