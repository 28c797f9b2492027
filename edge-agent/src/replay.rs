//! `edge-agent replay`: what would the box have said about this clip?
//!
//! Every frame is taken in, in order, as fast as the machine allows; the gate says
//! which ones the detector looks at, as it does live. Events go
//! to standard output (or a file) as JSON lines; words for people to standard
//! error, so that a pipe gets nothing but events.

mod clip;
mod evidence;
mod inputs;
mod outage;
mod outputs;
mod progress;
mod second_looks;
mod shadow;
mod sights;
mod sink;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;
use motion_gate::Reason;
use protocol::{CameraId, EventTime};

use crate::config::AgentConfig;
use crate::coverage::CoverageTable;
use crate::draft;
use crate::live::StopFlag;
use crate::recording::is_recording;
use crate::summary::Summary;
use clip::replay_clip;
use inputs::Played;
pub(crate) use inputs::{Player, WhichCamera, choose_camera};
use outputs::refuse_collisions;
pub use shadow::Compared;
use sink::Sink;

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
    /// Why the gate wanted others looked at; empty without a gate.
    pub reasons: BTreeMap<Reason, u64>,
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
    reasons: BTreeMap<Reason, u64>,
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
    refuse_pictures_of_inputs(request)?;
    refuse_shadow(request, &config)?;
    let mut sink = Sink::create(request)?;
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
            reasons,
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
                reasons,
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

/// A command line that cannot be meant, in contrast to a clip or a recording that is at fault.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CannotBeMeant(pub String);

/// Refuses what is made of pictures, where there are none.
fn refuse_pictures_of_inputs(request: &ReplayRequest) -> anyhow::Result<()> {
    let asked = [
        ("--annotate", request.annotate.is_some()),
        ("--evidence", request.evidence.is_some()),
        ("--shadow", request.shadow.is_some()),
    ];
    let is_of_inputs = matches!(request.source, ReplaySource::Inputs(_));
    let refused = asked.iter().find(|(_, is_asked)| is_of_inputs && *is_asked);
    if let Some((option, _)) = refused {
        bail!(CannotBeMeant(format!(
            "a recording of inputs has no pictures; {option} needs the clip itself"
        )));
    }
    Ok(())
}

/// Refuses to write of a comparison that there is not.
fn refuse_shadow(request: &ReplayRequest, config: &AgentConfig) -> anyhow::Result<()> {
    if request.shadow.is_some() && config.detector.shadow.is_none() {
        bail!(CannotBeMeant(format!(
            "--shadow: no second model is configured; name one under [detector.shadow] in {}",
            config.file.display()
        )));
    }
    Ok(())
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
        reasons: BTreeMap::new(),
        shadow: None,
        warnings,
        damage,
        is_whole,
    })
}
