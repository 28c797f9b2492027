//! From GStreamer's errors to a reason and what to do about it.

use gstreamer as gst;
use gstreamer::glib;

use super::notice::LossReason;
use super::settings::RtspSettings;
use crate::decoder::NoDecoder;

/// For one look at the port; a camera in the same town answers in a tenth of it.
const LOOK_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

fn has_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loss {
    pub(super) reason: LossReason,
    /// The words of the layer below, where they help.
    pub(super) detail: Option<String>,
}

/// Instead of words of the layer below, which has none then.
const HANGS_AT_START: &str = "hangs while it is started";
/// Instead of words of the layer below, which are "internal data stream error".
const NO_AGREEMENT: &str = "nothing takes its pictures in the form in which it gives them";

impl Loss {
    pub(super) fn new(reason: LossReason) -> Self {
        Self {
            reason,
            detail: None,
        }
    }

    pub(super) fn with_detail(reason: LossReason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: Some(detail.into()),
        }
    }

    /// A decoder was found and does not get ready.
    pub(super) fn of_hanging_start() -> Self {
        Self::with_detail(LossReason::Decode, HANGS_AT_START)
    }

    /// A decoder's pictures come in a form that nothing behind it takes.
    pub(super) fn of_no_agreement() -> Self {
        Self::with_detail(LossReason::Decode, NO_AGREEMENT)
    }

    /// From an error on the bus.
    pub(super) fn of_error(error: &gst::message::Error) -> Self {
        let status = error
            .details()
            .and_then(|details| details.get::<u32>("rtsp-status-code").ok());
        let debug = error.debug().unwrap_or_default();
        let cause = error.error();
        Self {
            reason: reason(status, &cause, &debug),
            detail: Some(cause.message().to_owned()),
        }
    }

    /// Asks the network itself why there was no connection: rtspsrc says of a
    /// closed port, a dead host and an unknown name only that it failed.
    pub(super) fn of_no_connection(settings: &RtspSettings) -> Option<Self> {
        use std::io::ErrorKind;
        use std::net::{TcpStream, ToSocketAddrs as _};
        let host = settings.host();
        let socket = if has_port(host) {
            host.to_owned()
        } else {
            format!("{host}:{}", settings.usual_port())
        };
        let found = socket.to_socket_addrs();
        let Ok(mut addresses) = found else {
            return Some(Self::with_detail(
                LossReason::TimedOut,
                "the host name is not known; check it and the name server",
            ));
        };
        let address = addresses.next()?;
        match TcpStream::connect_timeout(&address, LOOK_WITHIN) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                Some(Self::new(LossReason::Refused))
            }
            Err(error) => Some(Self::with_detail(LossReason::TimedOut, error.to_string())),
            Ok(_) => None,
        }
    }

    /// Whether the codec is known, and only nobody is here who decodes it: the detail then
    /// has the next step.
    fn is_about_decoders(&self) -> bool {
        let detail = self.detail.as_deref();
        detail.is_some_and(|detail| detail.starts_with(NoDecoder::BEGINNING))
    }

    /// What failed, on which camera, and the next step.
    pub(super) fn message(&self, camera: &str, settings: &RtspSettings) -> String {
        let host = settings.host();
        let text = match self.reason {
            LossReason::Refused => format!(
                "{host} refuses the connection; check the port, and whether RTSP is switched on in the camera"
            ),
            LossReason::NotFound => format!(
                "{host} has no stream at this path; take the path from the camera's manual or its ONVIF profile"
            ),
            LossReason::Unauthorised => format!(
                "{host} rejects the user or the password; correct both, then wait, some cameras lock an account for minutes"
            ),
            LossReason::TimedOut => {
                format!("{host} does not answer; check power, network and address")
            }
            LossReason::Silent => format!(
                "{host} sends no picture for {} s; check its power and the network, and restart the camera if this repeats",
                settings.silent_after.as_secs_f64()
            ),
            LossReason::Closed => format!(
                "{host} closed the stream; if this repeats, look for a limit of sessions in the camera"
            ),
            LossReason::Decode if self.detail.as_deref() == Some(HANGS_AT_START) => {
                "a decoder of this box does not get ready; another one is tried at once. Restart the box and update the decoder's driver".to_owned()
            }
            LossReason::Decode if self.detail.as_deref() == Some(NO_AGREEMENT) => {
                "a decoder of this box gives pictures that cannot be taken over; another one is tried at once. Update its plug-in, or name another with `decoder` in the camera's source".to_owned()
            }
            LossReason::Decode => format!(
                "{host} sends data that no picture can be made of; check for packet loss, use TCP, or choose H.264 in the camera"
            ),
            LossReason::Unsupported if self.is_about_decoders() => {
                format!("this box cannot decode what {host} sends")
            }
            LossReason::Unsupported => format!(
                "{host} sends what cannot be read here; choose H.264, H.265 or MJPEG in the camera"
            ),
            LossReason::Garbage => {
                "the decoder of this box makes garbage of the stream; another one is tried at once"
                    .to_owned()
            }
            LossReason::TimesRestarted => format!(
                "{host} began its RTP timestamps anew in the middle of a connection; it is connected to again. If this repeats, update the camera's firmware"
            ),
            LossReason::CodecChanged => format!(
                "somebody has changed the codec of {host} in the middle of a connection; it is connected to again. If this repeats, restart the camera: it announces another codec than it sends"
            ),
            LossReason::BadAddress => {
                "the URL cannot be used; write rtsp://host[:port]/path".to_owned()
            }
            LossReason::Failed => format!(
                "{host} answers but cannot be read; check that it speaks RTSP on this port, and its limit of sessions"
            ),
        };
        match &self.detail {
            Some(detail) => format!("camera {camera}: {text} ({})", detail.trim_end_matches('.')),
            None => format!("camera {camera}: {text}"),
        }
    }
}

fn reason(status: Option<u32>, cause: &glib::Error, debug: &str) -> LossReason {
    match status {
        Some(401 | 403 | 407) => return LossReason::Unauthorised,
        Some(404 | 410) => return LossReason::NotFound,
        Some(408) => return LossReason::TimedOut,
        Some(415 | 461) => return LossReason::Unsupported,
        _ => {}
    }
    let says = |word: &str| debug.contains(word);
    match cause.kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotAuthorized) => return LossReason::Unauthorised,
        Some(gst::ResourceError::NotFound) if !says("resolve") => return LossReason::NotFound,
        _ => {}
    }
    // rtspsrc packs the rest into text.
    if says("timed out") || says("Timeout") || says("unreachable") || says("No route") {
        LossReason::TimedOut
    } else if cause.is::<gst::StreamError>() && (says("decod") || says("Decod")) {
        LossReason::Decode
    } else if matches!(
        cause.kind::<gst::StreamError>(),
        Some(gst::StreamError::CodecNotFound | gst::StreamError::WrongType)
    ) {
        LossReason::Unsupported
    } else {
        LossReason::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder::{DecoderChoice, Installed};

    #[test]
    fn a_codec_that_only_this_box_cannot_decode_is_not_the_cameras_fault() {
        let settings = RtspSettings::new("rtsp://10.0.0.5/x");
        let none = NoDecoder {
            codec: "H.264".to_owned(),
            choice: DecoderChoice::Element("nvdecx".to_owned()),
            refused: Vec::new(),
            there: Installed::default(),
        };
        let of = |detail: String| {
            Loss::with_detail(LossReason::Unsupported, detail).message("gate", &settings)
        };
        assert_eq!(
            of(none.advice()),
            "camera gate: this box cannot decode what 10.0.0.5 sends (no decoder for H.264 here that is `nvdecx`, as \
             configured; there is none at all: take `decoder` out of the camera's source for the best that works, or name \
             another; decoders of the family `nvdec` need gstreamer1.0-plugins-bad and Nvidia's driver with its decoding \
             library (libnvcuvid.so.1))"
        );
        assert_eq!(
            of("RTP MP4V-ES".to_owned()),
            "camera gate: 10.0.0.5 sends what cannot be read here; choose H.264, H.265 or MJPEG in the camera (RTP \
             MP4V-ES)"
        );
    }
}
