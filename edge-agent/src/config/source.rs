//! `camera.source`: a network camera, or a recording that plays one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use edge_video::encoded::RingLimits;
use edge_video::{DecoderChoice, Transport};
use serde::Deserialize;
use toml::Table;

use super::address::{redacted, take_user_info, unreachable};
use super::faults::ConfigFault;
use super::{password, section};

/// `camera.source`
#[derive(Clone, Debug)]
pub enum SourceConfig {
    /// A network camera.
    Rtsp(RtspConfig),
    /// A recording of what edge-core was given, played in real time.
    Recording(RecordingConfig),
}

impl SourceConfig {
    /// Width over height of the pictures, as far as it is known before the first one.
    pub fn expected_aspect(&self) -> f64 {
        match self {
            Self::Rtsp(_) => default_aspect(),
            Self::Recording(recording) => recording.aspect,
        }
    }
}

/// `source = { rtsp = "…" }`
#[derive(Clone, Deserialize)]
pub struct RtspConfig {
    /// `rtsp://HOST[:PORT]/PATH`. User and password that stood in it are in the fields below.
    pub rtsp: String,
    /// Another, smaller stream of the same camera and the same shape. Where it is
    /// given, pictures of it are looked at, and `rtsp` is kept for evidence
    /// without being decoded.
    pub detect_rtsp: Option<String>,
    /// User name, where the camera asks for one.
    pub user: Option<String>,
    /// Its password; `password_file` or `password_env` instead is better.
    password: Option<String>,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    /// How packets travel.
    #[serde(default)]
    pub transport: Transport,
    /// Which decoders may be used: `auto`, a family, or a GStreamer element.
    #[serde(default)]
    pub decoder: DecoderChoice,
    /// Jitter buffer. ms.
    #[serde(default = "default_latency_ms")]
    pub latency_ms: u32,
    /// After this long without a picture the connection is made anew. s.
    #[serde(default = "default_silent_after_s")]
    pub silent_after_s: f64,
    /// After this long of the same picture the camera is called frozen; 0 never. s.
    #[serde(default = "default_frozen_after_s")]
    pub frozen_after_s: f64,
}

impl RtspConfig {
    fn has_password(&self) -> bool {
        self.password.is_some() || self.password_file.is_some() || self.password_env.is_some()
    }

    /// The camera's password, or why it cannot be had.
    pub fn password(&self) -> Result<Option<String>, String> {
        password::reveal(
            self.password.as_deref(),
            self.password_file.as_deref(),
            self.password_env.as_deref(),
        )
    }

    /// What the stream is started with that evidence is made of, where it is not
    /// the one that is looked at.
    pub fn evidence_settings(
        &self,
        keep: Option<RingLimits>,
    ) -> anyhow::Result<Option<edge_video::RtspSettings>> {
        if self.detect_rtsp.is_none() || keep.is_none() {
            return Ok(None);
        }
        let detect = self.stream_settings(None, keep)?;
        Ok(Some(edge_video::RtspSettings {
            url: self.rtsp.clone(),
            is_watched: false,
            ..detect
        }))
    }

    /// What the stream is started with whose pictures are looked at.
    pub fn stream_settings(
        &self,
        analysed_fps: Option<f64>,
        keep: Option<RingLimits>,
    ) -> anyhow::Result<edge_video::RtspSettings> {
        Ok(edge_video::RtspSettings {
            user: self.user.clone(),
            password: self
                .password()
                .map_err(|reason| anyhow::anyhow!("{reason}"))?,
            transport: self.transport,
            latency_ms: self.latency_ms,
            decoder: self.decoder.clone(),
            silent_after: duration(self.silent_after_s),
            frozen_after: if self.frozen_after_s == 0.0 {
                Duration::MAX
            } else {
                duration(self.frozen_after_s)
            },
            analysed_fps,
            keep,
            ..edge_video::RtspSettings::new(self.detect_rtsp.as_ref().unwrap_or(&self.rtsp))
        })
    }
}

impl std::fmt::Debug for RtspConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} over {:?}", redacted(&self.rtsp), self.transport)?;
        match &self.detect_rtsp {
            Some(detect) => write!(f, ", looked at on {}", redacted(detect)),
            None => Ok(()),
        }
    }
}

fn default_latency_ms() -> u32 {
    100
}
fn default_silent_after_s() -> f64 {
    5.0
}
fn default_frozen_after_s() -> f64 {
    20.0
}

/// `source = { recording = "…" }`
#[derive(Clone, Debug, Deserialize)]
pub struct RecordingConfig {
    /// JSON lines of [`edge_core::Input`], or the same compressed as `.gz`.
    pub recording: PathBuf,
    /// Whether it starts again at its end.
    #[serde(default, rename = "loop")]
    pub repeat: bool,
    /// Width over height of the pictures drawn for stills.
    #[serde(default = "default_aspect")]
    pub aspect: f64,
}

fn default_aspect() -> f64 {
    16.0 / 9.0
}

/// The source that `value` describes, if it can be read.
pub(super) fn read_source(
    value: Option<&toml::Value>,
    at: &str,
    folder: &Path,
    faults: &mut Vec<ConfigFault>,
) -> Option<SourceConfig> {
    let mut refuse = |path: String, message: String| {
        faults.push(ConfigFault {
            line: None,
            path,
            message,
        });
        None
    };
    let Some(toml::Value::Table(table)) = value else {
        let message = "where do the pictures come from? write source = { rtsp = \"rtsp://…\" } \
                       or source = { recording = \"FILE\" }";
        return refuse(at.to_owned(), message.to_owned());
    };
    match (table.contains_key("rtsp"), table.contains_key("recording")) {
        (true, false) => {
            let mut rtsp: RtspConfig = section::read(table, at, faults)?;
            let mut refuse = |key: &str, message: String| {
                faults.push(ConfigFault {
                    line: None,
                    path: section::join(at, key),
                    message,
                });
            };
            match take_user_info(&mut rtsp.rtsp) {
                Ok(None) => {}
                Ok(Some(info)) => {
                    if rtsp.user.is_some() || rtsp.has_password() {
                        refuse(
                            "rtsp",
                            "has a user in it, and `user` or a password stands beside it as well; \
                             give them once, beside it"
                                .to_owned(),
                        );
                    } else {
                        rtsp.user = Some(info.user);
                        rtsp.password = info.password;
                    }
                }
                Err(reason) => refuse("rtsp", format!("`{}` {reason}", redacted(&rtsp.rtsp))),
            }
            if let Some(detect) = &mut rtsp.detect_rtsp
                && let Some(fault) = detect_fault(detect, &rtsp.rtsp)
            {
                refuse("detect_rtsp", fault);
            }
            if !rtsp.rtsp.starts_with("rtsp://") && !rtsp.rtsp.starts_with("rtsps://") {
                let shown = redacted(&rtsp.rtsp);
                refuse("rtsp", format!("`{shown}` is not rtsp://HOST[:PORT]/PATH"));
            } else if let Some(fault) = unreachable(&rtsp.rtsp) {
                refuse("rtsp", format!("`{}` {fault}", redacted(&rtsp.rtsp)));
            }
            if !(rtsp.silent_after_s >= 0.5 && rtsp.silent_after_s <= 3600.0) {
                refuse("silent_after_s", "between 0.5 and 3600 seconds".into());
            }
            if !(rtsp.frozen_after_s >= 0.0 && rtsp.frozen_after_s <= 86_400.0) {
                refuse(
                    "frozen_after_s",
                    "between 0 (never) and 86400 seconds".into(),
                );
            }
            rtsp.password_file = rtsp.password_file.map(|path| folder.join(path));
            if let Err(message) = rtsp.password() {
                refuse("", message);
            }
            Some(SourceConfig::Rtsp(rtsp))
        }
        (false, true) => {
            let mut recording: RecordingConfig = section::read(table, at, faults)?;
            recording.recording = folder.join(recording.recording);
            if !(recording.aspect > 0.1 && recording.aspect < 10.0) {
                faults.push(ConfigFault {
                    line: None,
                    path: format!("{at}.aspect"),
                    message: "width over height of the picture, for example 1.7778".into(),
                });
            }
            Some(SourceConfig::Recording(recording))
        }
        _ => refuse(
            at.to_owned(),
            "give one of `rtsp` and `recording`".to_owned(),
        ),
    }
}

/// Seconds of configuration as a duration; checked above to be sane.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// What is wrong with the address of the stream that is looked at, beside the
/// main one's.
fn detect_fault(detect: &mut String, main: &str) -> Option<String> {
    match take_user_info(detect) {
        Ok(None) => {}
        Ok(Some(_)) => {
            let fault = "has a user in it; both streams are of one camera, so give `user` and a \
                         password once, beside it";
            return Some(fault.to_owned());
        }
        Err(reason) => return Some(format!("`{}` {reason}", redacted(detect))),
    }
    if !detect.starts_with("rtsp://") && !detect.starts_with("rtsps://") {
        let shown = redacted(detect);
        return Some(format!("`{shown}` is not rtsp://HOST[:PORT]/PATH"));
    }
    if let Some(fault) = unreachable(detect) {
        return Some(format!("`{}` {fault}", redacted(detect)));
    }
    (*detect == main).then(|| {
        "is the same stream as `rtsp`; leave it out, or give the camera's smaller stream".to_owned()
    })
}

/// Takes out of a `source` what must not be published, not even hashed.
pub(super) fn without_credentials(source: &mut Table) {
    for key in ["user", "password", "password_file", "password_env"] {
        source.remove(key);
    }
    for key in ["rtsp", "detect_rtsp"] {
        if let Some(toml::Value::String(address)) = source.get_mut(key) {
            // What it refuses has been told as a fault.
            let _user_info = take_user_info(address);
            *address = redacted(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::camera::testing::camera;
    use super::*;

    fn rtsp(keys: &str) -> RtspConfig {
        match camera(&format!("source = {{ {keys} }}")).unwrap().source {
            SourceConfig::Rtsp(rtsp) => rtsp,
            SourceConfig::Recording(_) => panic!("not a recording"),
        }
    }

    #[test]
    fn the_smaller_stream_is_looked_at_and_the_larger_one_kept() {
        let both = "rtsp = 'rtsp://u:p@h/main', detect_rtsp = 'rtsp://h/sub'";
        let both = rtsp(both);
        let keep = crate::config::ClipConfig::default().limits();
        let detect = both.stream_settings(Some(5.0), keep).unwrap();
        assert_eq!((&detect.url[..], detect.is_watched), ("rtsp://h/sub", true));
        let main = both.evidence_settings(keep).unwrap().unwrap();
        assert_eq!((&main.url[..], main.is_watched), ("rtsp://h/main", false));
        assert_eq!(main.user.as_deref(), Some("u"));
        assert!(both.evidence_settings(None).unwrap().is_none());
        let one = rtsp("rtsp = 'rtsp://h/main'");
        assert!(one.evidence_settings(keep).unwrap().is_none());
        for (detect, fault) in [
            ("rtsp://h/main", "is the same stream"),
            ("rtsp://a:b@h/sub", "has a user in it"),
            ("http://h/sub", "is not rtsp://"),
        ] {
            let keys = format!("rtsp = 'rtsp://h/main', detect_rtsp = '{detect}'");
            let faults = camera(&format!("source = {{ {keys} }}")).unwrap_err();
            assert!(faults.contains(fault), "{faults}");
        }
    }

    #[test]
    fn frozen_after_zero_seconds_means_never() {
        for (seconds, expected) in [
            ("0", Duration::MAX),
            ("0.0", Duration::MAX),
            ("7.5", Duration::from_millis(7500)),
        ] {
            let rtsp = rtsp(&format!("rtsp = 'rtsp://h/x', frozen_after_s = {seconds}"));
            let settings = rtsp.stream_settings(None, None).unwrap();
            assert_eq!(settings.frozen_after, expected, "{seconds}");
        }
    }

    #[test]
    fn a_decoder_is_forced_or_the_best_that_works() {
        let choice = |keys: &str| {
            let settings = rtsp(keys).stream_settings(None, None).unwrap();
            settings.decoder.to_string()
        };
        assert_eq!(choice("rtsp = 'rtsp://h/x'"), "auto");
        assert_eq!(choice("rtsp = 'rtsp://h/x', decoder = 'va'"), "va");
        let keys = "source = { rtsp = 'rtsp://h/x', decoder = 'va! filesink' }";
        let fault = camera(keys).unwrap_err();
        assert!(
            fault.contains("source.decoder: `va! filesink` is no decoder; write auto, va,"),
            "{fault}"
        );
    }

    #[test]
    fn credentials_in_an_address_reach_the_camera_and_nothing_else() {
        let rtsp = rtsp("rtsp = 'rtsp://root:hunter%402@h:554/x?channel=1'");
        let settings = rtsp.stream_settings(None, None).unwrap();
        assert_eq!(settings.url, "rtsp://h:554/x?channel=1");
        assert_eq!(settings.user.as_deref(), Some("root"));
        assert_eq!(settings.password.as_deref(), Some("hunter@2"));
        assert_eq!(format!("{rtsp:?}"), "rtsp://h:554/x?channel=1 over Tcp");
    }

    #[test]
    fn faulty_addresses_are_told_without_their_passwords() {
        for keys in [
            "rtsp = 'http://root:hunter2@h/x'",
            "rtsp = 'rtsp://root:hun/ter2@h/x'",
            "rtsp = 'rtsp://root:hun@ter2@h/x'",
            "rtsp = 'rtsp://root:hunter2%@h/x'",
            "rtsp = 'rtsp://root:hunter2@h/x', user = 'root'",
            "rtsp = 'rtsp://root:hunter2@h/x', password_env = 'PATH'",
            "rtsp = 'http://h/x?password=hunter2'",
            "rtsp = 'root:hunter2@h', transport = 'udp'",
        ] {
            let fault = camera(&format!("source = {{ {keys} }}")).unwrap_err();
            assert!(
                fault.starts_with("box.toml:6: camera[0].source.rtsp: "),
                "{fault}"
            );
            assert!(!fault.contains("ter2"), "{fault}");
        }
    }
}
