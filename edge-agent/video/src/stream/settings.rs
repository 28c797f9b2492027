//! How to reach a camera, and when to call it lost.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::decoder::DecoderChoice;
use crate::encoded::RingLimits;

/// How pictures travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Inside the RTSP connection: nothing is lost, late pictures come in bursts.
    #[default]
    Tcp,
    /// Own ports: less delay, lost packets are lost.
    Udp,
    /// UDP, and TCP when nothing arrives for 5 s.
    Auto,
}

/// One camera.
#[derive(Clone, PartialEq)]
pub struct RtspSettings {
    /// `rtsp://host[:port]/path`; user and password may be in it, but are better beside it.
    pub url: String,
    /// User, for basic or digest authentication.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// How pictures travel.
    pub transport: Transport,
    /// How long to wait for late packets (ms). Nothing is delayed while none is missing.
    pub latency_ms: u32,
    /// How long connecting may take.
    pub connect_within: Duration,
    /// No picture for so long: hang up and try again.
    pub silent_after: Duration,
    /// The same picture for so long: say [`Frozen`](crate::Notice::Frozen).
    pub frozen_after: Duration,
    /// By how many of 255 levels a pixel may differ and still be the same. See
    /// [`stillness`](crate::stream::stillness) for how this errs.
    pub frozen_tolerance: u8,
    /// Which decoders may be used.
    pub decoder: DecoderChoice,
    /// How many frames per second of media time to keep; all when absent.
    pub analysed_fps: Option<f64>,
    /// By how much the camera's clock may differ from this box's, before its
    /// times are not believed any more; two thirds of that before they are.
    pub max_clock_difference: Duration,
    /// How much of what the camera sends is kept for evidence; nothing when absent.
    pub keep: Option<RingLimits>,
    /// Whether pictures are decoded and looked at. If not, they are only kept.
    pub is_watched: bool,
    /// First wait before trying again; it doubles with each failure in a row.
    pub retry_first: Duration,
    /// Longest wait.
    pub retry_most: Duration,
    /// Wait after a wrong password or address: trying harder only locks the account.
    pub retry_refused: Duration,
}

impl RtspSettings {
    /// The defaults for a camera on a wired network.
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            user: None,
            password: None,
            transport: Transport::Tcp,
            latency_ms: 100,
            connect_within: Duration::from_secs(10),
            silent_after: Duration::from_secs(5),
            frozen_after: Duration::from_secs(15),
            frozen_tolerance: 1,
            decoder: DecoderChoice::Auto,
            analysed_fps: None,
            // The requirement on evidence: at most a second wrong.
            max_clock_difference: Duration::from_secs(1),
            keep: None,
            is_watched: true,
            retry_first: Duration::from_millis(250),
            retry_most: Duration::from_secs(8),
            retry_refused: Duration::from_secs(30),
        }
    }

    /// Host and port, for messages: without user, password and path.
    pub(crate) fn host(&self) -> &str {
        let rest = self
            .url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, r)| r);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host)
    }

    /// The port of a URL that names none.
    pub(crate) fn usual_port(&self) -> u16 {
        let is_secure =
            self.url.len() > 5 && self.url.as_bytes()[..5].eq_ignore_ascii_case(b"rtsps");
        if is_secure { 322 } else { 554 }
    }

    /// What is wrong with the URL, if anything.
    pub(crate) fn url_fault(&self) -> Option<&'static str> {
        let Some((scheme, _)) = self.url.split_once("://") else {
            return Some("is no URL");
        };
        if !["rtsp", "rtsps"].contains(&scheme.to_ascii_lowercase().as_str()) {
            return Some("is not an RTSP URL");
        }
        if self.host().is_empty() || self.host().starts_with(':') {
            return Some("names no host");
        }
        None
    }
}

impl std::fmt::Debug for RtspSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A password must not get into a log by way of `{:?}`.
        f.debug_struct("RtspSettings")
            .field("host", &self.host())
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faulty_addresses_are_named_before_anything_connects() {
        for (url, fault) in [
            ("rtsp://10.0.0.3/live", None),
            ("RTSPS://gate.example:322/live", None),
            ("10.0.0.3/live", Some("is no URL")),
            ("http://10.0.0.3/live", Some("is not an RTSP URL")),
            ("file:///etc/passwd", Some("is not an RTSP URL")),
            ("rtsp:///live", Some("names no host")),
            ("rtsp://a:b@/live", Some("names no host")),
            ("", Some("is no URL")),
        ] {
            assert_eq!(RtspSettings::new(url).url_fault(), fault, "{url}");
        }
    }

    #[test]
    fn passwords_are_in_no_message() {
        let mut settings = RtspSettings::new("rtsp://root:s3cret@10.0.0.3:554/live?a@b");
        settings.password = Some("s3cret".into());
        assert_eq!(settings.host(), "10.0.0.3:554");
        assert!(!format!("{settings:?}").contains("s3cret"));
    }
}
