//! `edge-agent replay`: what would the box have said about this clip?
//!
//! Every frame is looked at, in order, as fast as the machine allows. Events go
//! to standard output (or a file) as JSON lines; words for people to standard
//! error, so that a pipe gets nothing but events.

mod outputs;

use std::io::{IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};
use edge_core::{Input, Output, Scene};
use edge_inference::Detector;
use edge_video::stream::pace::Pace;
use edge_video::{ClipReader, Frame};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use protocol::{CameraId, EventTime};

use crate::config::{AgentConfig, BoxIdentity, CameraConfig};
use crate::live::StopFlag;
use crate::recording::{RecordingError, RecordingReader, RecordingWriter, is_recording};
use crate::scene_setup::{self, DetectorIdentity};
use crate::summary::Summary;
use crate::{models_command, perception};
use outputs::{EventLines, leave, refuse_collisions};

/// What to replay, and what to make of it.
#[derive(Debug)]
pub struct ReplayRequest {
    /// A clip, or a recording of inputs (`.jsonl`, `.jsonl.gz`).
    pub clip: PathBuf,
    /// Configuration with the camera's zones and rules.
    pub config: PathBuf,
    /// Which camera of it.
    pub camera: Option<CameraId>,
    /// Where events go instead of standard output.
    pub events: Option<PathBuf>,
    /// Where the speeds of rules with `report_all` go.
    pub speeds: Option<PathBuf>,
    /// Where an annotated clip goes.
    pub annotate: Option<PathBuf>,
    /// Where the scene's inputs go.
    pub record_inputs: Option<PathBuf>,
    /// The instant of the clip's first frame.
    pub start: EventTime,
    /// Frames to look at per second of media time, at most.
    pub analysed_fps: Option<f64>,
    /// Whether to keep quiet about progress.
    pub quiet: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct ReplayOutcome {
    /// Events by rule.
    pub summary: Summary,
    /// Frames looked at.
    pub frames: u64,
    /// What was wrong with the clip.
    pub warnings: Vec<String>,
}

/// What one pass over a clip or recording gave.
struct Pass {
    frames: u64,
    warnings: Vec<String>,
    /// Whether it came to the end, and was not told to stop before.
    is_whole: bool,
}

/// Replays.
///
/// Files appear under their names when all went well; otherwise what came until
/// then stays beside, as `NAME.part`.
pub fn replay(request: &ReplayRequest, stop: &StopFlag) -> anyhow::Result<ReplayOutcome> {
    let config = AgentConfig::load(&request.config)?;
    let camera = choose_camera(&config, request.camera.as_ref())?;
    refuse_collisions(request)?;
    if is_recording(&request.clip) && request.annotate.is_some() {
        bail!("a recording of inputs has no pictures; --annotate needs the clip itself");
    }
    let mut events = EventLines::create(request.events.as_deref())?;
    let mut speeds = request
        .speeds
        .as_deref()
        .map(|path| EventLines::create(Some(path)))
        .transpose()?;
    let mut recorder = request
        .record_inputs
        .as_deref()
        .map(RecordingWriter::create)
        .transpose()?;
    let mut sink = Sink {
        events: events.lines(),
        speeds: speeds.as_mut().map(EventLines::lines),
        recorder: recorder.as_mut(),
        summary: Summary::default(),
        outputs: Vec::new(),
    };
    let pass = if is_recording(&request.clip) {
        replay_recording(request, &config.identity, camera, &mut sink, stop)
    } else {
        replay_clip(request, &config, camera, &mut sink, stop)
    };
    let summary = sink.summary;
    match pass {
        Ok(Pass {
            frames,
            warnings,
            is_whole: true,
        }) => {
            events.finish()?;
            speeds.map(EventLines::finish).transpose()?;
            recorder.map(RecordingWriter::finish).transpose()?;
            Ok(ReplayOutcome {
                summary,
                frames,
                warnings,
            })
        }
        Ok(Pass {
            frames,
            mut warnings,
            is_whole: false,
        }) => {
            let left = leave(events, recorder)?;
            warnings.push(format!("stopped before the end{left}"));
            Ok(ReplayOutcome {
                summary,
                frames,
                warnings,
            })
        }
        // The first fault is the one to mend; a second one would hide it.
        Err(error) => match leave(events, recorder) {
            Ok(left) if !left.is_empty() => Err(error.context(format!("failed{left}"))),
            _ => Err(error),
        },
    }
}

fn choose_camera<'a>(
    config: &'a AgentConfig,
    wanted: Option<&CameraId>,
) -> anyhow::Result<&'a CameraConfig> {
    let names = || {
        config
            .cameras
            .iter()
            .map(|c| c.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (wanted, config.cameras.as_slice()) {
        (_, []) => bail!("{} has no [[camera]]", config.file.display()),
        (None, [only]) => Ok(only),
        (None, _) => bail!(
            "which camera's zones and rules? add --camera, one of: {}",
            names()
        ),
        (Some(id), cameras) => cameras
            .iter()
            .find(|camera| camera.id == *id)
            .with_context(|| format!("there is no camera `{id}`; there are: {}", names())),
    }
}

/// Where a scene's inputs and outputs go during a replay.
struct Sink<'a> {
    events: &'a mut dyn Write,
    speeds: Option<&'a mut dyn Write>,
    recorder: Option<&'a mut RecordingWriter>,
    summary: Summary,
    outputs: Vec<Output>,
}

impl Sink<'_> {
    fn handle(&mut self, scene: &mut Scene, input: Input) -> anyhow::Result<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.write(&input)?;
        }
        scene.handle(input, &mut self.outputs);
        for output in self.outputs.drain(..) {
            match output {
                Output::Event(event) => {
                    self.summary.add(&event);
                    write_line(self.events, &event).context("cannot write the events")?;
                }
                Output::Speed(measured) => {
                    if let Some(speeds) = &mut self.speeds {
                        write_line(*speeds, &measured).context("cannot write the speeds")?;
                    }
                }
                Output::Evidence(_) => {}
            }
        }
        Ok(())
    }
}

fn write_line(to: &mut dyn Write, value: &impl serde::Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

fn replay_recording(
    request: &ReplayRequest,
    identity: &BoxIdentity,
    camera: &CameraConfig,
    sink: &mut Sink<'_>,
    stop: &StopFlag,
) -> anyhow::Result<Pass> {
    let mut reader = RecordingReader::open(&request.clip)?;
    let mut scene: Option<Scene> = None;
    let mut waiting = Vec::new();
    let mut frames = 0;
    let mut is_whole = true;
    while let Some(input) = reader.next_input()? {
        if stop.is_set() {
            is_whole = false;
            break;
        }
        // The first frame tells the proportions that a calibration needs.
        if let (None, Input::Detections(detections)) = (&scene, &input) {
            let made = scene_setup::scene(identity, camera, None, detections.aspect)?;
            let made = scene.insert(made);
            for earlier in waiting.drain(..) {
                sink.handle(made, earlier)?;
            }
        }
        frames += u64::from(matches!(input, Input::Detections(_)));
        match &mut scene {
            Some(scene) => sink.handle(scene, input)?,
            None => waiting.push(input),
        }
    }
    let mut warnings = Vec::new();
    if frames == 0 && is_whole {
        let path = request.clip.clone();
        warnings.push(RecordingError::Empty { path }.to_string());
    }
    Ok(Pass {
        frames,
        warnings,
        is_whole,
    })
}

fn replay_clip(
    request: &ReplayRequest,
    config: &AgentConfig,
    camera: &CameraConfig,
    sink: &mut Sink<'_>,
    stop: &StopFlag,
) -> anyhow::Result<Pass> {
    edge_video::init()?;
    let mut clip = ClipReader::open(&request.clip, request.start)?;
    let info = clip.info().clone();
    let mut detector = models_command::load_detector(&config.detector)?;
    let identity = DetectorIdentity {
        model: detector.manifest().id.clone(),
        digest: detector.manifest().sha256,
    };
    if !request.quiet {
        eprintln!(
            "{}: {}×{}, {} in {}; model {} ({})",
            request.clip.display(),
            info.width,
            info.height,
            info.codec,
            info.container,
            identity.model,
            detector.provider()
        );
    }
    let progress = Progress::new(request.quiet, info.frames_estimate);
    let mut pace = Pace::new(request.analysed_fps.or(camera.analysed_fps));
    let mut annotator = request
        .annotate
        .as_deref()
        .map(|path| crate::annotate::Annotator::create(path, &info))
        .transpose()?;
    let mut scene: Option<Scene> = None;
    let (mut frames, mut last, mut is_whole) = (0, None, true);
    while let Some(frame) = clip.next_frame()? {
        if stop.is_set() {
            is_whole = false;
            break;
        }
        if !pace.keeps(frame.time.as_micros()) {
            continue;
        }
        let scene = match &mut scene {
            Some(scene) => scene,
            None => scene.insert(scene_setup::scene(
                &config.identity,
                camera,
                Some(&identity),
                frame.aspect,
            )?),
        };
        analyse(&mut detector, &frame, scene, sink)?;
        last = Some(frame.time);
        frames += 1;
        if let Some(annotator) = &mut annotator {
            annotator.frame(&frame, scene)?;
        }
        progress.frame(
            frames,
            frame.time.since(request.start).0,
            sink.summary.total(),
        );
    }
    if let (Some(scene), Some(last)) = (&mut scene, last) {
        sink.handle(scene, Input::End(last))?;
    }
    if let Some(annotator) = annotator {
        annotator.finish()?;
    }
    progress.finish();
    let mut warnings = clip.warnings().to_vec();
    if frames == 0 && is_whole {
        warnings.push(format!(
            "{} gave no pictures at all",
            request.clip.display()
        ));
    }
    Ok(Pass {
        frames,
        warnings,
        is_whole,
    })
}

fn analyse(
    detector: &mut Detector,
    frame: &Frame,
    scene: &mut Scene,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    let inputs = perception::look(detector, frame, scene.config())
        .with_context(|| format!("frame {}", frame.number))?;
    for input in inputs {
        sink.handle(scene, input)?;
    }
    Ok(())
}

/// A bar on a terminal; nothing in a log or a pipe, or when quiet.
struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    fn new(quiet: bool, frames: Option<u64>) -> Self {
        let target = if quiet || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(frames, target);
        let template = "{bar:32} {pos}/{len} frames  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            started: Instant::now(),
        }
    }

    fn frame(&self, frames: u64, media_s: f64, events: u64) {
        self.bar.set_position(frames);
        if self.bar.is_hidden() {
            return;
        }
        let wall = self.started.elapsed().as_secs_f64().max(1e-3);
        let (fps, speed) = (frames as f64 / wall, media_s / wall);
        self.bar
            .set_message(format!("{fps:.0} fps  ×{speed:.1}  {events} events"));
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
