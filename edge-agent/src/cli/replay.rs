//! `edge-agent replay`.

use std::cmp::Reverse;
use std::path::PathBuf;
use std::process::ExitCode;

use case_bundle::aside;
use clap::Args;
use protocol::{CameraId, EventTime};

use super::exit::{FAILED, STOPPED, faulty, finish, refused};
use crate::live::StopFlag;
use crate::replay::{self, CannotBeMeant, Compared, ReplayOutcome, ReplayRequest, ReplaySource};

/// Shown below `replay --help`.
pub(super) const HELP: &str = "\
Exit codes: 0 done; 1 failed, nothing was seen, or not all was: a part of the recording or some
pictures of the clip are damaged, or the clip is cut off (that is named, the rest is replayed, and
its files have their names); 2 faulty command line or configuration, or --camera is missing where
there are several cameras; 130 stopped before the end: files have `.part` behind their names, and
what stood under the names stays.";

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// A clip in any container and codec that GStreamer decodes, or a
    /// recording of inputs (.jsonl, .jsonl.gz).
    #[arg(required_unless_present = "inputs", conflicts_with = "inputs")]
    clip: Option<PathBuf>,
    /// A recording of inputs, or the folder that `run --record` writes.
    #[arg(long, value_name = "FILE|DIR")]
    inputs: Option<PathBuf>,
    /// Configuration with the camera's zones, lines and rules.
    #[arg(long)]
    config: PathBuf,
    /// Which of its cameras; needed when there are several.
    #[arg(long)]
    camera: Option<CameraId>,
    /// Write events here, as JSON lines, instead of to standard output.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write every measured speed of rules with `report_all` here, as JSON lines.
    #[arg(long, value_name = "FILE")]
    speeds: Option<PathBuf>,
    /// Write the clip with tracks, zones and a coordinate grid drawn in.
    #[arg(long, value_name = "OUT.mp4")]
    annotate: Option<PathBuf>,
    /// Write what the rules were given, to replay it later without pictures.
    #[arg(long, value_name = "FILE.jsonl.gz")]
    record_inputs: Option<PathBuf>,
    /// Write what nearly was an event, as JSON lines.
    #[arg(long, value_name = "FILE.jsonl")]
    near_misses: Option<PathBuf>,
    /// Write how long each rule was watching, by hour, as JSON lines.
    #[arg(long, value_name = "FILE.jsonl")]
    coverage: Option<PathBuf>,
    /// Write how far the model of [detector.shadow] sees what the detector sees, by class, as
    /// JSON lines.
    #[arg(long, value_name = "FILE.jsonl")]
    shadow: Option<PathBuf>,
    /// Write the signed case of each event into this folder, as the box would make
    /// it live: clip, stills, plate. Give --start, and the times are true.
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
    /// Sign with this key (PKCS#8 PEM, Ed25519) instead of the box's own.
    #[arg(long, value_name = "FILE.pem", requires = "evidence")]
    signing_key: Option<PathBuf>,
    /// The instant of the clip's first frame (RFC 3339).
    #[arg(long, default_value = "1970-01-01T00:00:00Z", value_name = "TIME")]
    start: EventTime,
    /// Frames to look at per second of the clip, at most; all of them otherwise.
    #[arg(long, value_name = "FPS", value_parser = looks_per_second, allow_negative_numbers = true)]
    analysed_fps: Option<f64>,
    /// Look at every frame, also where nothing moves (see `detect` in the
    /// camera's table).
    #[arg(long)]
    no_gate: bool,
    /// No progress, no table.
    #[arg(long, short)]
    quiet: bool,
}

impl ReplayArgs {
    pub(super) fn execute(self, stop: &StopFlag) -> ExitCode {
        if let Some(code) = refused(&self.config, self.camera.as_ref()) {
            return code;
        }
        let quiet = self.quiet;
        let source = match (self.inputs, self.clip) {
            (Some(inputs), _) => ReplaySource::Inputs(inputs),
            (None, Some(clip)) => ReplaySource::of(clip),
            (None, None) => {
                return finish(Err(anyhow::anyhow!(
                    "what to replay? give CLIP or --inputs"
                )));
            }
        };
        let request = ReplayRequest {
            source,
            config: self.config,
            camera: self.camera,
            events: self.events,
            speeds: self.speeds,
            annotate: self.annotate,
            record_inputs: self.record_inputs,
            near_misses: self.near_misses,
            coverage: self.coverage,
            shadow: self.shadow,
            evidence: self.evidence,
            signing_key: self.signing_key,
            start: self.start,
            analysed_fps: self.analysed_fps,
            no_gate: self.no_gate,
            quiet,
        };
        let outcome = match replay::replay(&request, stop) {
            Ok(outcome) => outcome,
            Err(error) if error.is::<CannotBeMeant>() => return faulty(&error),
            Err(error) => return finish(Err(error)),
        };
        for warning in outcome.damage.iter().chain(&outcome.warnings) {
            aside!("warning: {warning}");
        }
        if !quiet {
            summarise(&outcome);
        }
        if !outcome.is_whole {
            ExitCode::from(STOPPED)
        } else if outcome.frames == 0 || !outcome.damage.is_empty() {
            ExitCode::from(FAILED)
        } else {
            ExitCode::SUCCESS
        }
    }
}

/// How much was seen and found, and where the cases lie.
fn summarise(outcome: &ReplayOutcome) {
    let compared = outcome.shadow.as_ref();
    let agreement = compared.map(Compared::table).unwrap_or_default();
    for table in [outcome.summary.table(), outcome.coverage.table(), agreement] {
        if !table.is_empty() {
            aside!("{table}");
        }
    }
    let looked = outcome.frames - outcome.rested - outcome.followed;
    let mut kinds = Vec::new();
    if looked < outcome.frames {
        kinds.push(format!(", {looked} of them looked at"));
    }
    // Most first: what keeps a gate awake is what somebody asks who wants fewer looks.
    let mut reasons: Vec<_> = outcome.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| Reverse(**count));
    let reasons = reasons
        .iter()
        .map(|(reason, count)| format!("{} {count}", reason.as_str()));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    if !reasons.is_empty() {
        kinds.push(format!(" ({reasons})"));
    }
    if outcome.followed > 0 {
        kinds.push(format!(", everybody followed through {}", outcome.followed));
    }
    let kinds = kinds.concat();
    aside!(
        "{} event(s) in {} frames{kinds}",
        outcome.summary.total(),
        outcome.frames
    );
    if let Some(compared) = compared {
        aside!("{compared}");
    }
    if let Some((folder, count)) = &outcome.cases {
        let folder = folder.display();
        aside!("{count} signed case(s) in {folder}");
        if *count > 0 {
            aside!(
                "verify: edge-agent verify --allow-recordings --keys {folder}/keys --chain {folder}/0*"
            );
        }
    }
}

/// As `analysed_fps` in a camera's table.
fn looks_per_second(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|fps| *fps > 0.0 && *fps <= 120.0)
        .ok_or_else(|| "frames per second are more than 0 and at most 120".to_owned())
}
