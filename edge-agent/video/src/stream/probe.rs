//! Whether a camera can be watched, once and with a time limit: for `check`.

use std::time::{Duration, Instant};

use super::CameraStream;
use super::notice::{LossReason, Notice};
use super::settings::RtspSettings;

/// What a camera showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// As people call it.
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// From the first packet out to the first picture in.
    pub first_picture_after: Duration,
}

/// Connects, waits for one picture, hangs up; the error says what to do.
pub fn probe(
    name: &str,
    settings: &RtspSettings,
    within: Duration,
) -> Result<Probe, (LossReason, String)> {
    let began = Instant::now();
    let (wake, _woken) = crossbeam_channel::bounded(1);
    let stream = CameraStream::start(name, settings.clone(), wake);
    let deadline = began + within;
    loop {
        match stream.notices().recv_deadline(deadline) {
            Ok(Notice::Connected {
                codec,
                width,
                height,
            }) => {
                return Ok(Probe {
                    codec,
                    width,
                    height,
                    first_picture_after: began.elapsed(),
                });
            }
            Ok(Notice::Lost {
                reason, message, ..
            }) => return Err((reason, message)),
            Ok(_) => {}
            Err(_) => {
                let host = settings.host();
                return Err((
                    LossReason::TimedOut,
                    format!(
                        "camera {name}: no picture from {host} within {} s; check power, network and address",
                        within.as_secs_f64()
                    ),
                ));
            }
        }
    }
}
