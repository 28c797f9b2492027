//! Whether a camera can be watched, once and with a time limit: for `check`.

use std::time::{Duration, Instant};

use super::CameraStream;
use super::notice::{LossReason, Notice};
use super::settings::RtspSettings;
use crate::decoder::DecoderInUse;
use crate::frame::Frame;

/// What a camera showed.
#[derive(Clone, Debug)]
pub struct Probe {
    /// As people call it, for example `H.264`.
    pub codec: String,
    /// What made the picture of it.
    pub decoder: DecoderInUse,
    /// The first picture.
    pub frame: Frame,
    /// From the first packet out to the first picture in.
    pub first_picture_after: Duration,
}

/// Connects, waits for one picture, hangs up; the error says what to do.
///
/// The first refusal is the answer: more tries would say the same, and cameras
/// lock an account that knocks too often. Needs [`init`](crate::init) first.
pub fn probe(
    name: &str,
    settings: &RtspSettings,
    within: Duration,
) -> Result<Probe, (LossReason, String)> {
    let began = Instant::now();
    // A limit beyond what the clock can tell is no limit.
    let deadline = began.checked_add(within);
    let (wake, woken) = crossbeam_channel::bounded(1);
    let stream = CameraStream::start(name, settings.clone(), wake);
    let (mut connected, mut first, mut garbage) = (None, None, None);
    loop {
        for notice in stream.notices().try_iter() {
            match notice {
                Notice::Connected { codec, decoder, .. } => {
                    connected = decoder.map(|decoder| (codec, decoder));
                }
                Notice::Lost {
                    reason, message, ..
                } => return Err((reason, message)),
                Notice::Garbage { what } => garbage = Some(what),
                Notice::GarbageOver => garbage = None,
                _ => {}
            }
        }
        if first.is_none() {
            first = stream.take_newest().map(|frame| (frame, began.elapsed()));
        }
        if let (Some((codec, decoder)), Some((frame, first_picture_after))) = (&connected, &first) {
            return Ok(Probe {
                codec: String::clone(codec),
                decoder: DecoderInUse::clone(decoder),
                frame: Frame::clone(frame),
                first_picture_after: *first_picture_after,
            });
        }
        // Whatever came since the look above has left a word in `woken`.
        let is_awake = match deadline {
            Some(deadline) => woken.recv_deadline(deadline).is_ok(),
            None => woken.recv().is_ok(),
        };
        if !is_awake {
            let (host, within) = (settings.host(), within.as_secs_f64());
            return Err(if let Some(what) = garbage {
                let advice = "check the camera's encoder and the network";
                let told = format!("camera {name}: {host} gives {what}; {advice}");
                (LossReason::Garbage, told)
            } else if stream.counters().received > 0 {
                let advice = "try again with more time, then check for packet loss";
                let told = format!(
                    "camera {name}: pictures come from {host}, and none was fit to be shown within {within} s; {advice}"
                );
                (LossReason::TimedOut, told)
            } else {
                let advice = "check power, network and address";
                let told =
                    format!("camera {name}: no picture from {host} within {within} s; {advice}");
                (LossReason::TimedOut, told)
            });
        }
    }
}
