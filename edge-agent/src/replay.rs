//! `edge-agent replay`: what would the box have said about this clip?
//!
//! Every frame is taken in, in order, as fast as the machine allows; the gate says
//! which ones the detector looks at, as it does live. Events go
//! to standard output (or a file) as JSON lines; words for people to standard
//! error, so that a pipe gets nothing but events.

mod evidence;
mod inputs;
mod outage;
mod outputs;
mod shadow;
mod sights;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use case_bundle::aside;
use case_bundle::files::said;
use edge_core::{Input, Output, Scene};
use edge_video::stream::pace::Pace;
use edge_video::{ClipInfo, ClipPicture, ClipReader, Frame};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use motion_gate::{Found, Reason, Verdict};
use protocol::id::CascadeId;
use protocol::units::Seconds;
use protocol::{CameraId, Event, EventTime};

use crate::between_looks::BetweenLooks;
use crate::cascades::{Cascades, Lookers};
use crate::config::{AgentConfig, CameraConfig, DetectConfig};
use crate::coverage::CoverageTable;
use crate::draft;
use crate::live::StopFlag;
use crate::perception::Parts;
use crate::picture_gate::{self, PictureGate};
use crate::picture_watch::PictureWatch;
use crate::recording::is_recording;
use crate::scene_setup::{self, DetectorIdentity};
use crate::summary::Summary;
use crate::{models_command, perception};
use evidence::Cases;
use inputs::Played;
pub(crate) use inputs::{Player, WhichCamera, choose_camera};
use outage::Outage;
use outputs::{Files, refuse_collisions};
pub use shadow::Compared;
use shadow::Shadow;
use sights::Sights;

/// What is replayed.
#[derive(Clone, Debug)]
pub enum ReplaySource {
    /// Pictures.
    Clip(PathBuf),
    /// A recording of inputs, or a folder of them as `run --record` writes it.
    Inputs(PathBuf),
}

impl ReplaySource {
    /// A clip, or a recording of inputs by its name (`.jsonl`, `.jsonl.gz`).
    pub fn of(path: PathBuf) -> Self {
        if is_recording(&path) {
            Self::Inputs(path)
        } else {
            Self::Clip(path)
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        let (Self::Clip(path) | Self::Inputs(path)) = self;
        path
    }
}

/// What to replay, and what to make of it.
#[derive(Debug)]
pub struct ReplayRequest {
    /// What is replayed.
    pub source: ReplaySource,
    /// Configuration with the camera's zones and rules.
    pub config: PathBuf,
    /// Which camera of it.
    pub camera: Option<CameraId>,
    /// Where events go instead of standard output.
    pub events: Option<PathBuf>,
    /// Where an annotated clip goes.
    pub annotate: Option<PathBuf>,
    /// Where the speeds of rules with `report_all` go.
    pub speeds: Option<PathBuf>,
    /// Where the scene's inputs go.
    pub record_inputs: Option<PathBuf>,
    /// Where goes what nearly was an event.
    pub near_misses: Option<PathBuf>,
    /// Where goes how long each rule was watching, by hour.
    pub coverage: Option<PathBuf>,
    /// Where goes how far the model in the shadow agrees.
    pub shadow: Option<PathBuf>,
    /// Where the signed case of each event goes.
    pub evidence: Option<PathBuf>,
    /// Signs them instead of the box's own key.
    pub signing_key: Option<PathBuf>,
    /// The instant of the clip's first frame.
    pub start: EventTime,
    /// Frames to look at per second of media time, at most.
    pub analysed_fps: Option<f64>,
    /// Whether to look at every frame, whatever the gate would say.
    pub no_gate: bool,
    /// Whether to keep quiet about progress.
    pub quiet: bool,
}

/// What came of it.
#[derive(Debug)]
pub struct ReplayOutcome {
    /// Events by rule.
    pub summary: Summary,
    /// How long each rule was watching.
    pub coverage: CoverageTable,
    /// Frames taken in.
    pub frames: u64,
    /// Of them those that the gate let the detector pass over.
    pub rested: u64,
    /// Into which those of the last look were followed.
    pub followed: u64,
    /// How far the model in the shadow agrees, where there is one.
    pub shadow: Option<Compared>,
    /// Where signed cases are, and how many.
    pub cases: Option<(PathBuf, usize)>,
    /// What was wrong with the clip.
    pub warnings: Vec<String>,
    /// What could not be read, or not to its end, or not be judged by, and why.
    pub damage: Vec<String>,
    /// Whether it came to the end, and was not told to stop before.
    pub is_whole: bool,
}

/// What one pass over a clip or recording gave.
struct Pass {
    frames: u64,
    rested: u64,
    followed: u64,
    shadow: Option<Compared>,
    warnings: Vec<String>,
    damage: Vec<String>,
    /// Whether it came to the end, and was not told to stop before.
    is_whole: bool,
}

/// Replays.
///
/// Files appear under their names when all went well; otherwise what came until
/// then stays beside, as `NAME.part`.
pub fn replay(request: &ReplayRequest, stop: &StopFlag) -> anyhow::Result<ReplayOutcome> {
    let config = AgentConfig::load(&request.config)?;
    refuse_collisions(request)?;
    if matches!(request.source, ReplaySource::Inputs(_)) && request.annotate.is_some() {
        bail!("a recording of inputs has no pictures; --annotate needs the clip itself");
    }
    if matches!(request.source, ReplaySource::Inputs(_)) && request.evidence.is_some() {
        bail!("a recording of inputs has no pictures; --evidence needs the clip itself");
    }
    refuse_shadow(request, &config)?;
    let mut sink = Sink {
        files: Files::create(request)?,
        summary: Summary::default(),
        coverage: CoverageTable::default(),
        cases: None,
        outputs: Vec::new(),
    };
    let pass = match &request.source {
        ReplaySource::Inputs(path) => {
            replay_inputs(path, request.camera.as_ref(), &config, &mut sink, stop)
        }
        ReplaySource::Clip(_) => choose_camera(&config, request.camera.as_ref())
            .map_err(anyhow::Error::from)
            .and_then(|camera| replay_clip(request, &config, camera, &mut sink, stop)),
    };
    let Sink {
        files,
        summary,
        coverage,
        cases,
        ..
    } = sink;
    let is_whole = pass.as_ref().is_ok_and(|pass| pass.is_whole);
    let unfinished = cases.is_some().then_some(request.evidence.as_deref());
    let unfinished = unfinished.flatten().map(draft::part_of);
    let cases = cases.map(|cases| cases.finish(is_whole)).transpose();
    match pass {
        Ok(Pass {
            frames,
            rested,
            followed,
            shadow,
            mut warnings,
            damage,
            is_whole,
        }) => {
            if is_whole {
                files.finish()?;
            } else {
                let left = files.leave()?;
                warnings.push(format!("stopped before the end{left}"));
            }
            let cases = cases.map_err(|error| match unfinished {
                Some(part) => error.context(format!(
                    "what there is of the cases is in {}",
                    part.display()
                )),
                None => error,
            })?;
            Ok(ReplayOutcome {
                summary,
                coverage,
                frames,
                rested,
                followed,
                shadow,
                cases,
                warnings,
                damage,
                is_whole,
            })
        }
        // The first fault is the one to mend; a second one would hide it.
        Err(error) => {
            let cases =
                unfinished.map(|part| format!("; its cases so far are in {}", part.display()));
            let left = files.leave().unwrap_or_default() + &cases.unwrap_or_default();
            Err(if left.is_empty() {
                error
            } else {
                error.context(format!("failed{left}"))
            })
        }
    }
}

/// Refuses to write of a comparison that there is not.
fn refuse_shadow(request: &ReplayRequest, config: &AgentConfig) -> anyhow::Result<()> {
    if request.shadow.is_none() {
        return Ok(());
    }
    if matches!(request.source, ReplaySource::Inputs(_)) {
        bail!("a recording of inputs has no pictures; --shadow needs the clip itself");
    }
    if config.detector.shadow.is_none() {
        bail!(
            "--shadow: no second model is configured; name one under [detector.shadow] in {}",
            config.file.display()
        );
    }
    Ok(())
}

/// Where a scene's inputs and outputs go during a replay.
struct Sink {
    files: Files,
    summary: Summary,
    coverage: CoverageTable,
    /// Where evidence is asked for.
    cases: Option<Cases>,
    outputs: Vec<Output>,
}

impl Sink {
    /// This detector sees what will be recorded, and these cascades.
    fn begin(
        &mut self,
        detector: &DetectorIdentity,
        cascades: Option<&[CascadeId]>,
    ) -> anyhow::Result<()> {
        if let Some(recorder) = &mut self.files.recorder {
            recorder.begin(detector, cascades)?;
        }
        Ok(())
    }

    /// `frame`, which is shown at `shown` (µs), is looked at next.
    fn roll(&mut self, frame: &Frame, shown: Option<i64>) -> anyhow::Result<()> {
        let cases = self.cases.as_mut();
        cases.map_or(Ok(()), |cases| cases.show(frame, shown))
    }

    /// Makes the evidence that can be made by now.
    fn prove(&mut self) {
        if let Some(cases) = &mut self.cases {
            cases.go_on();
        }
    }

    /// `frame` is the picture that the input is about, where it is about one.
    fn handle(
        &mut self,
        scene: &mut Scene,
        input: Input,
        frame: Option<&Frame>,
    ) -> anyhow::Result<()> {
        if let Some(recorder) = &mut self.files.recorder {
            recorder.write(&input)?;
        }
        let looked = Cases::looked(&input);
        scene.handle(input, &mut self.outputs);
        if let (Some(cases), Some(looked)) = (&self.cases, looked) {
            cases.note(looked, scene);
        }
        self.tell(scene, frame)
    }

    /// Whether scenes are to say what nearly was an event.
    fn prepare(&self, scene: &mut Scene) {
        if self.files.near_misses.is_some() {
            scene.tell_near_misses();
        }
    }

    /// No more is coming of this scene: what it has not accounted for yet.
    fn leave(&mut self, scene: &Scene) -> anyhow::Result<()> {
        self.outputs
            .extend(scene.coverage_now().map(Output::Coverage));
        self.tell(scene, None)
    }

    fn tell(&mut self, scene: &Scene, frame: Option<&Frame>) -> anyhow::Result<()> {
        let mut told: Vec<Event> = Vec::new();
        for output in self.outputs.drain(..) {
            match output {
                Output::Event(event) => {
                    self.summary.add(&event);
                    self.files.events.write(&event)?;
                    if let Some(cases) = &self.cases {
                        cases.event(&event);
                        told.push(event);
                    }
                }
                Output::Speed(measured) => {
                    if let Some(lines) = &mut self.files.speeds {
                        lines.write(&measured)?;
                    }
                }
                Output::NearMiss(miss) => {
                    if let Some(lines) = &mut self.files.near_misses {
                        lines.write(&miss)?;
                    }
                }
                Output::Coverage(hour) => {
                    self.coverage.add(&hour);
                    if let Some(lines) = &mut self.files.coverage {
                        lines.write(&hour)?;
                    }
                }
                Output::Evidence(request) => {
                    if let Some(cases) = &self.cases
                        && let Some(event) = told.iter().find(|event| event.id == request.event)
                    {
                        cases.prove(scene, event, request, frame);
                    }
                }
            }
        }
        Ok(())
    }
}

fn replay_inputs(
    path: &Path,
    camera: Option<&CameraId>,
    config: &AgentConfig,
    sink: &mut Sink,
    stop: &StopFlag,
) -> anyhow::Result<Pass> {
    let mut player = Player::open(path, config, camera)?;
    let mut is_whole = true;
    let mut is_begun = false;
    while let Some(scene) = player.next_scene()? {
        sink.prepare(scene);
        if !std::mem::replace(&mut is_begun, true)
            && let Some(detector) = player.detector()
        {
            sink.begin(detector, player.cascades())?;
        }
        while let Some((scene, input)) = player.next_input()? {
            if stop.is_set() {
                is_whole = false;
                break;
            }
            sink.handle(scene, input, None)?;
        }
        if let Some(scene) = player.scene().filter(|_| !player.is_continued()) {
            sink.leave(scene)?;
        }
        if !is_whole {
            break;
        }
    }
    let Played {
        frames,
        warnings,
        damage,
    } = player.finish(is_whole);
    Ok(Pass {
        frames,
        rested: 0,
        followed: 0,
        shadow: None,
        warnings,
        damage,
        is_whole,
    })
}

fn say_what_is_played(path: &Path, info: &ClipInfo, model: &str) {
    aside!(
        "{}: {}×{}, {} in {}; model {model}",
        path.display(),
        info.width,
        info.height,
        info.codec,
        info.container,
    );
}

#[allow(clippy::too_many_lines)] // a clip from its first picture to its last, in the order of a box
fn replay_clip(
    request: &ReplayRequest,
    config: &AgentConfig,
    camera: &CameraConfig,
    sink: &mut Sink,
    stop: &StopFlag,
) -> anyhow::Result<Pass> {
    let path = request.source.path();
    edge_video::init()?;
    let mut clip = ClipReader::open(path, request.start)?;
    let info = clip.info().clone();
    let mut detector = models_command::load_detector(&config.detector)?;
    let identity = DetectorIdentity::of(detector.manifest());
    let mut second = SecondLooks::load(config, camera)?;
    let (mut shadow, uncompared) = match Shadow::load(&config.detector, &detector) {
        Ok(shadow) => (shadow, None),
        Err(error) if request.shadow.is_some() => return Err(error.context("--shadow")),
        // As on a box: no event rests on it.
        Err(error) => (None, Some(said::whole(error.chain()))),
    };
    // A model that cannot begin has ended the replay before.
    sink.begin(&identity, Some(&camera.cascade_ids()))?;
    if let Some(folder) = &request.evidence {
        sink.cases = Some(Cases::create(folder, request, config, camera, &identity)?);
    }
    if !request.quiet {
        let model = format!("{} ({})", identity.model, detector.provider());
        say_what_is_played(path, &info, &model);
    }
    let progress = Progress::new(request.quiet, info.frames_estimate);
    clip.set_pace(Pace::new(request.analysed_fps.or(camera.analysed_fps)));
    let mut annotator = request
        .annotate
        .as_deref()
        .map(|path| crate::annotate::Annotator::create(path, &info))
        .transpose()?;
    let mut scene: Option<Scene> = None;
    let mut watch = PictureWatch::new(&camera.health);
    let mut gate = PictureGate::new(&DetectConfig {
        gate: camera.detect.gate && !request.no_gate,
        ..camera.detect
    });
    let (mut parts, mut sights) = (Parts::new(&camera.detect), Sights::default());
    let mut between = BetweenLooks::new(&camera.detect);
    // As the scheduler of a box has it.
    let longest_hole_us = config.inference.settings().longest_hole_us();
    let mut outage = Outage::new(Seconds(longest_hole_us as f64 / 1e6));
    let mut ended = None;
    let (mut frames, mut rested, mut followed, mut last, mut is_whole) = (0, 0, 0, None, true);
    while let Some(picture) = clip.next_picture()? {
        if stop.is_set() {
            is_whole = false;
            break;
        }
        let is_sound = matches!(picture, ClipPicture::Sound(_));
        let is_lost = clip.garbage().is_some();
        let frame = picture.into_frame();
        let scene = if let Some(scene) = &mut scene {
            scene
        } else {
            let mut made =
                scene_setup::scene(&config.identity, camera, Some(&identity), frame.aspect)?;
            sink.prepare(&mut made);
            scene.insert(made)
        };
        ended = Some(frame.time);
        if !is_sound {
            for input in outage.missed(frame.time, is_lost) {
                sink.handle(scene, input, None)?;
            }
            continue;
        }
        sink.roll(&frame, clip.shown())?;
        if let Some(health) = watch.look(&frame) {
            outage.note(health);
            sink.handle(scene, Input::Health(health), Some(&frame))?;
        }
        let verdict = gate.judge(&frame, scene.attention());
        let is_awake = match verdict {
            Some(Verdict::Rest | Verdict::Empty | Verdict::Look(Reason::Heartbeat)) => false,
            Some(Verdict::Look(_)) | None => true,
        };
        outage.sound(frame.time, frame.lack, is_awake);
        let believed_from = detector.manifest().thresholds.high;
        // Who is in it is known without a look.
        let known = match verdict {
            Some(Verdict::Empty) => Some(&[][..]),
            _ if is_awake => between.follow(&frame, believed_from),
            _ => None,
        };
        if let Some(found) = known {
            for input in outage.seen(frame.time, (frame.width, frame.height), is_lost) {
                sink.handle(scene, input, None)?;
            }
            for input in perception::glance(&frame, scene.config()) {
                sink.handle(scene, input, None)?;
            }
            let told = perception::followed(&frame, believed_from, found);
            sink.handle(scene, told, Some(&frame))?;
            if verdict == Some(Verdict::Empty) {
                gate.told(frame.time);
                rested += 1;
            } else {
                followed += 1;
            }
        } else if verdict.is_none_or(Verdict::is_look) {
            let seen = perception::look(&mut detector, &frame, scene.config(), &mut parts);
            if let (Some(shadow), Ok(shown)) = (&mut shadow, &seen) {
                shadow.show(&camera.id, &frame, &shown.whole);
            }
            let glance = || perception::glance(&frame, scene.config());
            let (told, is_seen) = sights.told(&frame, seen, glance);
            if !is_seen {
                between.forget();
            }
            if is_seen {
                for input in outage.seen(frame.time, (frame.width, frame.height), is_lost) {
                    sink.handle(scene, input, None)?;
                }
            }
            let mut found = Found::Unknown;
            for input in told {
                if let Input::Detections(seen) = &input {
                    between.looked(&frame, believed_from, &seen.items);
                    found = picture_gate::found(&seen.items, believed_from);
                }
                sink.handle(scene, input, is_seen.then_some(&frame))?;
            }
            if is_seen {
                second.take(&frame, scene, sink)?;
            }
            gate.looked(frame.time, found);
        } else {
            for input in perception::glance(&frame, scene.config()) {
                sink.handle(scene, input, None)?;
            }
            rested += 1;
        }
        sink.prove();
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
        if let Some(input) = outage.end(ended.unwrap_or(last)) {
            sink.handle(scene, input, None)?;
        }
        sink.handle(scene, Input::End(last), None)?;
    }
    if let Some(annotator) = annotator {
        annotator.finish()?;
    }
    progress.finish();
    let mut warnings = clip.warnings().to_vec();
    let damage = clip
        .damage()
        .map(|damage| format!("{}: {damage}", path.display()));
    let unread = clip
        .unread()
        .map(|unread| format!("{}: {unread}", path.display()));
    warnings.extend(sights.doubts()?);
    warnings.extend(second.lookers.doubts());
    warnings.extend(uncompared.map(|why| format!("no model is compared in the shadow: {why}")));
    let shadow = shadow.map(|shadow| {
        let (compared, doubts) = shadow.end();
        warnings.extend(doubts);
        compared
    });
    if let (Some(lines), Some(compared)) = (&mut sink.files.shadow, &shadow) {
        compared.write(lines)?;
    }
    if frames == 0 && is_whole {
        warnings.push(format!("{} gave no pictures at all", path.display()));
    }
    Ok(Pass {
        frames,
        rested,
        followed,
        shadow,
        warnings,
        damage: damage.into_iter().chain(unread).collect(),
        is_whole,
    })
}

/// The camera's cascades, and the models that look for them.
struct SecondLooks {
    lookers: Lookers,
    cascades: Option<Cascades>,
}

impl SecondLooks {
    fn load(config: &AgentConfig, camera: &CameraConfig) -> anyhow::Result<Self> {
        let lookers = Lookers::load(&config.detector, &camera.cascades)?;
        Ok(Self {
            cascades: Cascades::new(&camera.cascades, &lookers.index()),
            lookers,
        })
    }

    /// Looks again at what is worth it in a frame that the scene has seen, and tells the scene of
    /// which time looks were not answered, as a box at work does.
    fn take(
        &mut self,
        frame: &edge_video::Frame,
        scene: &mut Scene,
        sink: &mut Sink,
    ) -> anyhow::Result<()> {
        let Some(cascades) = &mut self.cascades else {
            return Ok(());
        };
        let wishes = cascades.choose(frame, scene, None);
        for stretch in cascades.take_unanswered() {
            sink.handle(scene, Input::Unanswered(stretch), None)?;
        }
        for input in self.lookers.look(frame, wishes) {
            if let Input::SecondLook(look) = &input {
                cascades.answered(&look.cascade);
            }
            sink.handle(scene, input, Some(frame))?;
        }
        Ok(())
    }
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
