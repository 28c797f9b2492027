//! `edge-agent check CONFIG`: everything that would go wrong tonight, found now.
//!
//! Text first, all faults at once with key and line; then every part is tried
//! for real, each within a time limit, and each failure says what to do.

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use edge_uplink::Outbox;
use edge_video::{CameraStream, Frame, Notice};
use protocol::CameraId;

use crate::config::{AgentConfig, CameraConfig, ConfigFaults, RtspConfig, SourceConfig};
use crate::{live, models_command, perception, scene_setup, uplink_settings};

/// What was tried, and how it went.
#[derive(Debug)]
pub struct Finding {
    /// Which part: `camera gate-1`, `model`, `uplink` …
    pub part: String,
    /// What is good, or what is wrong and what to do.
    pub outcome: Result<String, String>,
}

/// How far to go.
#[derive(Clone, Debug)]
pub struct CheckScope {
    /// Only read the file; try nothing.
    pub offline: bool,
    /// Only this camera.
    pub camera: Option<CameraId>,
    /// Longest wait for each part.
    pub timeout: Duration,
}

/// Checks; `Err` when the file itself is faulty.
pub fn check(file: &Path, scope: &CheckScope) -> Result<Vec<Finding>, ConfigFaults> {
    let config = AgentConfig::load(file)?;
    let cameras: Vec<&CameraConfig> = config
        .cameras
        .iter()
        .filter(|camera| {
            scope
                .camera
                .as_ref()
                .is_none_or(|wanted| camera.id == *wanted)
        })
        .collect();
    if let (Some(wanted), true) = (&scope.camera, cameras.is_empty()) {
        return Err(ConfigFaults::whole_file(
            file,
            format!("there is no camera `{wanted}` in it"),
        ));
    }
    let mut findings = vec![Finding {
        part: "configuration".to_owned(),
        outcome: Ok(format!("{} camera(s)", config.cameras.len())),
    }];
    if scope.offline {
        findings.extend(cameras.iter().map(|camera| {
            Finding {
                part: format!("camera {}", camera.id),
                outcome: scene_setup::scene(&config.identity, camera, None, 16.0 / 9.0)
                    .map(|_| format!("{} rule(s)", camera.scene.rules.len()))
                    .map_err(|error| error.to_string()),
            }
        }));
        return Ok(findings);
    }
    findings.push(store(&config));
    let needs_detector = cameras
        .iter()
        .any(|c| matches!(c.source, SourceConfig::Rtsp(_)));
    let mut detector = None;
    if needs_detector {
        let loaded = models_command::load_detector(&config.detector);
        findings.push(Finding {
            part: "model".to_owned(),
            outcome: match &loaded {
                Ok(loaded) => Ok(format!(
                    "{} ({}) on {}",
                    loaded.manifest().id,
                    loaded.manifest().licence,
                    loaded.provider()
                )),
                Err(error) => Err(format!("{error:#}")),
            },
        });
        detector = loaded.ok();
    }
    for camera in cameras {
        let outcome = match &camera.source {
            SourceConfig::Rtsp(rtsp) => {
                live_camera(&config, camera, rtsp, detector.as_mut(), scope)
            }
            SourceConfig::Recording(recording) => live::probe_recording(recording)
                .map_err(|error| error.to_string())
                .and_then(|inputs| {
                    scene_setup::scene(&config.identity, camera, None, recording.aspect)
                        .map(|_| format!("recording of {inputs} inputs"))
                        .map_err(|error| error.to_string())
                }),
        };
        let part = format!("camera {}", camera.id);
        // The stream's own words name the camera again.
        let outcome = outcome.map_err(|reason| {
            reason
                .strip_prefix(&format!("{part}: "))
                .map_or(reason.clone(), str::to_owned)
        });
        findings.push(Finding { part, outcome });
    }
    findings.extend(uplink(&config, scope.timeout));
    Ok(findings)
}

fn store(config: &AgentConfig) -> Finding {
    Finding {
        part: format!("store {}", config.store.dir.display()),
        outcome: Outbox::open(&config.store.dir, config.store.disk_budget())
            .map(|outbox| format!("{} message(s) waiting for the centre", outbox.waiting()))
            .map_err(|error| error.to_string()),
    }
}

fn live_camera(
    config: &AgentConfig,
    camera: &CameraConfig,
    rtsp: &RtspConfig,
    detector: Option<&mut edge_inference::Detector>,
    scope: &CheckScope,
) -> Result<String, String> {
    edge_video::init().map_err(|error| error.to_string())?;
    let settings = rtsp
        .stream_settings(None)
        .map_err(|error| error.to_string())?;
    let (wake, woken) = bounded(1);
    let stream = CameraStream::start(camera.id.as_str(), settings, wake);
    let first = first_frame(&stream, &woken, scope.timeout);
    stream.stop();
    let (frame, codec) = first?;
    let scene = scene_setup::scene(&config.identity, camera, None, frame.aspect)
        .map_err(|error| error.to_string())?;
    let seen = match detector {
        Some(detector) => {
            let inputs = perception::look(detector, &frame, scene.config())
                .map_err(|error| format!("pictures come, but: {error}"))?;
            let detections = inputs.iter().find_map(|input| match input {
                edge_core::Input::Detections(detections) => Some(detections.items.len()),
                _ => None,
            });
            format!(", {} things seen", detections.unwrap_or_default())
        }
        None => String::new(),
    };
    let calibrated = match &camera.calibration {
        Some(calibration) => scene_setup::calibrate(calibration, frame.aspect)
            .map(|c| format!(", calibrated within {:.2} m", c.residual_m.0))?,
        None => String::new(),
    };
    Ok(format!(
        "{}×{} {codec}{seen}{calibrated}, {} rule(s)",
        frame.width,
        frame.height,
        camera.scene.rules.len()
    ))
}

/// The first picture and its codec, or why there is none.
fn first_frame(
    stream: &CameraStream,
    woken: &crossbeam_channel::Receiver<()>,
    timeout: Duration,
) -> Result<(Frame, String), String> {
    let deadline = Instant::now() + timeout;
    let mut codec = String::new();
    let mut last_word = None;
    loop {
        for notice in stream.notices().try_iter() {
            match notice {
                Notice::Connected { codec: name, .. } => codec = name,
                Notice::Lost { message, .. } => last_word = Some(message),
                _ => {}
            }
        }
        if let Some(frame) = stream.take_newest() {
            return Ok((frame, codec));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // One clear refusal is enough; more tries would say the same.
        if left.is_zero() || last_word.is_some() {
            return Err(last_word.unwrap_or_else(|| {
                format!(
                    "no picture within {} s; check power, network and address, or allow more \
                     time with --timeout",
                    timeout.as_secs()
                )
            }));
        }
        // Woken by a frame or a notice; the limit only bounds one turn.
        let _woken = woken.recv_timeout(left.min(Duration::from_millis(100)));
    }
}

fn uplink(config: &AgentConfig, timeout: Duration) -> Vec<Finding> {
    let Some(uplink) = &config.uplink else {
        let outcome = Err("there is no [uplink]; events would stay on this box".to_owned());
        return vec![Finding {
            part: "uplink".to_owned(),
            outcome,
        }];
    };
    let (broker, evidence) = (
        format!("uplink {}", uplink.url),
        format!("evidence {}", uplink.evidence_url),
    );
    let probed = uplink_settings::settings(config)
        .map_err(|error| format!("{error:#}"))
        .and_then(|settings| settings.ok_or_else(|| "there is no [uplink]".to_owned()))
        .and_then(|settings| {
            edge_uplink::probe(&settings, timeout).map_err(|error| error.to_string())
        });
    match probed {
        Ok(report) => vec![
            Finding {
                part: broker,
                outcome: report
                    .broker
                    .map(str::to_owned)
                    .map_err(|error| error.to_string()),
            },
            Finding {
                part: evidence,
                outcome: report
                    .evidence
                    .map(|()| "takes evidence".to_owned())
                    .map_err(|error| error.to_string()),
            },
        ],
        Err(reason) => vec![Finding {
            part: broker,
            outcome: Err(reason),
        }],
    }
}

/// Prints findings for people; true when all is well.
pub fn print(findings: &[Finding]) -> bool {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let paint = |code: &str, text: &str| {
        if colours {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    for finding in findings {
        match &finding.outcome {
            Ok(detail) => println!("{}  {}: {detail}", paint("32", "ok    "), finding.part),
            Err(reason) => println!("{}  {}: {reason}", paint("31", "FAILED"), finding.part),
        }
    }
    let failed = findings
        .iter()
        .filter(|finding| finding.outcome.is_err())
        .count();
    if failed > 0 {
        println!("{failed} of {} parts need attention", findings.len());
    }
    failed == 0
}
