//! Each camera: does it show something, is it seen, do its rules hold together?
//!
//! Cameras are asked several at a time, because most of the wait is for those
//! that do not answer; the detector then looks at their pictures one by one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use edge_inference::Detector;
use edge_video::{Frame, Probe, RtspSettings};
use protocol::TimeQuality;

use super::signals::{self, Pictures};
use super::{Finding, Outcome};
use crate::config::{AgentConfig, CameraConfig, ConfigFaults, RtspConfig, SourceConfig};
use crate::live::{is_same_shape, other_shape};
use crate::recording::RecordingReader;
use crate::{perception, scene_setup};

/// Cameras asked at a time. Each opens a connection and a decoder.
const AT_A_TIME: usize = 8;

/// What can be said of a camera without asking it.
pub(super) fn text_only(config: &AgentConfig, camera: &CameraConfig) -> Finding {
    let aspect = camera.expected_aspect();
    finding(camera, &[], scene(config, camera, aspect, None))
}

/// Asks every camera.
pub(super) fn look(
    config: &AgentConfig,
    cameras: &[&CameraConfig],
    mut detector: Option<&mut Detector>,
    timeout: Duration,
) -> Vec<Finding> {
    let mut probes = probe_all(cameras, timeout);
    cameras
        .iter()
        .enumerate()
        .map(|(index, camera)| match &camera.source {
            SourceConfig::Rtsp(_) => {
                let probe = probes.remove(&index).unwrap_or_else(|| {
                    Err("was not tried; please report this with the log".to_owned())
                });
                watched(config, camera, probe, detector.as_deref_mut())
            }
            SourceConfig::Recording(recording) => {
                let played = RecordingReader::open(&recording.recording)
                    .and_then(RecordingReader::count)
                    .map(|inputs| format!("recording of {inputs} inputs"))
                    .map_err(|error| error.to_string());
                finding(
                    camera,
                    &[played],
                    scene(config, camera, recording.aspect, None),
                )
            }
        })
        .collect()
}

/// The first picture of each network camera, or why there is none, by index.
fn probe_all(
    cameras: &[&CameraConfig],
    timeout: Duration,
) -> BTreeMap<usize, Result<Probed, String>> {
    let network: Vec<(usize, &CameraConfig, &RtspConfig)> = cameras
        .iter()
        .enumerate()
        .filter_map(|(index, camera)| match &camera.source {
            SourceConfig::Rtsp(rtsp) => Some((index, *camera, rtsp)),
            SourceConfig::Recording(_) => None,
        })
        .collect();
    if network.is_empty() {
        return BTreeMap::new();
    }
    if let Err(error) = edge_video::init() {
        let fault = |(index, _, _): &(usize, _, _)| (*index, Err(error.to_string()));
        return network.iter().map(fault).collect();
    }
    let next = AtomicUsize::new(0);
    let probe_some = || {
        let mut probes = Vec::new();
        while let Some((index, camera, rtsp)) = network.get(next.fetch_add(1, Ordering::Relaxed)) {
            probes.push((*index, probe(camera, rtsp, timeout)));
        }
        probes
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_A_TIME.min(network.len()))
            .map(|_| scope.spawn(probe_some))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap_or_default())
            .collect()
    })
}

/// What the streams of a camera showed.
struct Probed {
    /// The one that is looked at.
    detect: Probe,
    /// The one that evidence is made of, where that is another.
    main: Option<Result<Probe, String>>,
}

fn probe(camera: &CameraConfig, rtsp: &RtspConfig, timeout: Duration) -> Result<Probed, String> {
    let settled = |error: anyhow::Error| error.to_string();
    let ask = |settings: &RtspSettings| {
        edge_video::probe(camera.id.as_str(), settings, timeout).map_err(|(_, message)| {
            // The stream names the camera in its log lines; the finding has named it already.
            message
                .strip_prefix(&format!("camera {}: ", camera.id))
                .map(str::to_owned)
                .unwrap_or(message)
        })
    };
    let detect = ask(&rtsp.stream_settings(None, None).map_err(settled)?);
    // Both streams are of one host: which of the two paths is wrong is to be said.
    let detect = detect.map_err(|reason| match rtsp.detect_rtsp {
        Some(_) => format!("the stream that is looked at (`detect_rtsp`): {reason}"),
        None => reason,
    })?;
    let main = rtsp
        .evidence_settings(camera.clip.limits())
        .map_err(settled)?;
    Ok(Probed {
        detect,
        // Decoded this once, so that it is known that it can be.
        main: main.map(|main| {
            ask(&RtspSettings {
                keep: None,
                is_watched: true,
                ..main
            })
        }),
    })
}

/// What is to be said of the stream that evidence is made of.
fn evidence_stream(main: Result<Probe, String>, detect: &Frame) -> Result<String, String> {
    let main = main.map_err(|reason| format!("the main stream, for evidence: {reason}"))?;
    let size = |frame: &Frame| (frame.width, frame.height);
    let (large, small) = (size(&main.frame), size(detect));
    if is_same_shape(large, small) {
        let (width, height) = large;
        Ok(format!("evidence of {width}×{height} {}", main.codec))
    } else {
        Err(other_shape(large, small).en)
    }
}

fn watched(
    config: &AgentConfig,
    camera: &CameraConfig,
    probe: Result<Probed, String>,
    detector: Option<&mut Detector>,
) -> Finding {
    let Probed { detect, main } = match probe {
        Ok(probe) => probe,
        // Its rules may be wrong as well.
        Err(reason) => {
            return finding(
                camera,
                &[Err(reason)],
                scene(config, camera, camera.expected_aspect(), None),
            );
        }
    };
    let frame = &detect.frame;
    let decoder = &detect.decoder;
    let shown = format!(
        "{}×{} {} by {} ({})",
        frame.width, frame.height, detect.codec, decoder.name, decoder.family
    );
    // The camera is well; that the processor does what hardware should is to be known.
    let refused = decoder.refused.iter().map(|it| format!("not by {it}"));
    let refused: Vec<String> = refused.collect();
    let main = main.map(|main| evidence_stream(main, frame));
    let seen = detector.map(|detector| {
        let mut parts = perception::Parts::new(&camera.detect);
        perception::find(detector, &frame.view(), &mut parts)
            .and_then(|shown| match shown.failed_tiles.into_iter().next() {
                None => Ok(format!("{} things seen", shown.found.len())),
                Some(error) => Err(error),
            })
            .map_err(|error| format!("pictures come, but: {error}"))
    });
    let looks: Vec<_> = std::iter::once(Ok(shown)).chain(main).chain(seen).collect();
    let clock = Some(frame.time_quality);
    let scene = scene(config, camera, frame.aspect, clock).map(|mut words| {
        words.doubts.splice(..0, refused);
        words
    });
    finding(camera, &looks, scene)
}

/// What a scene would be made of.
struct SceneWords {
    /// Calibration and rules.
    good: Vec<String>,
    /// Who says what each signal group shows.
    signals: Vec<String>,
    /// What speaks against the calibration or the signals.
    doubts: Vec<String>,
}

/// Makes the scene as `run` would; `Err` has file, line and key of each fault.
fn scene(
    config: &AgentConfig,
    camera: &CameraConfig,
    aspect: f64,
    clock: Option<TimeQuality>,
) -> Result<SceneWords, String> {
    let in_the_file = |faults: &[edge_core::Fault]| {
        let faults = faults
            .iter()
            .map(|fault| config.camera_fault(camera, &fault.path, &fault.message))
            .collect();
        let file = config.file.clone();
        ConfigFaults { file, faults }.to_string()
    };
    scene_setup::scene(&config.identity, camera, None, aspect)
        .map_err(|error| in_the_file(&error.faults))?;
    let calibrated = camera
        .calibration
        .as_ref()
        .map(|calibration| scene_setup::calibrate(calibration, aspect))
        .transpose()
        .map_err(|fault| in_the_file(&[fault]))?;
    let mut words = SceneWords {
        good: Vec::new(),
        signals: Vec::new(),
        doubts: Vec::new(),
    };
    let calibration = calibrated.as_ref().map(|c| c.calibration);
    if let Some(calibrated) = calibrated {
        let residual = calibrated.calibration.residual_m.0;
        words
            .good
            .push(format!("calibrated within {residual:.2} m"));
        let doubt = |doubt| {
            let fault = config.camera_fault(camera, "calibration.points", doubt);
            let file = config.file.clone();
            let faults = vec![fault];
            ConfigFaults { file, faults }.to_string()
        };
        words.doubts = calibrated.doubts.iter().map(|d| doubt(d)).collect();
    }
    let outlooks = camera
        .scene
        .outlooks(calibration.as_ref(), aspect)
        .map_err(|fault| in_the_file(&[fault]))?;
    for (rule, outlook) in outlooks {
        match outlook {
            Ok(good) => words.good.push(format!("rule {rule}: {good}")),
            Err(doubt) => words.doubts.push(format!("rule {rule} {doubt}")),
        }
    }
    words
        .good
        .push(format!("{} rule(s)", camera.scene.rules.len()));
    let pictures = Pictures {
        clock,
        are_live: matches!(camera.source, SourceConfig::Rtsp(_)),
        analysed_fps: camera.analysed_fps,
    };
    let (signals, doubts) = signals::words(&camera.scene, pictures);
    words.signals = signals;
    words.doubts.extend(doubts);
    Ok(words)
}

/// All that is wrong, else all that is doubtful below what is good.
fn finding(
    camera: &CameraConfig,
    looks: &[Result<String, String>],
    scene: Result<SceneWords, String>,
) -> Finding {
    let mut good = Vec::new();
    let mut wrong = Vec::new();
    for look in looks {
        match look {
            Ok(words) => good.push(words.clone()),
            Err(reason) => wrong.push(reason.clone()),
        }
    }
    let mut doubts = Vec::new();
    let mut signals = Vec::new();
    match scene {
        Ok(words) => {
            good.extend(words.good);
            signals = words.signals;
            doubts = words.doubts;
        }
        Err(faults) => wrong.push(faults),
    }
    let good: Vec<String> = std::iter::once(good.join(", ")).chain(signals).collect();
    let good = good.join("\n");
    Finding {
        part: format!("camera {}", camera.id),
        outcome: if !wrong.is_empty() {
            Outcome::Failed(wrong.join("\n"))
        } else if doubts.is_empty() {
            Outcome::Good(good)
        } else {
            Outcome::Noted(format!("{good}\n{}", doubts.join("\n")))
        },
    }
}
