//! The words of the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use case_bundle::aside;
use case_bundle::files::{VerifyArgs, said};
use clap::{Args, Parser, Subcommand};
use protocol::{CameraId, EventTime};

use crate::calibrate::CalibrateRequest;
use crate::case::commands::{BundleArgs, KeysCommand};
use crate::case::redact::{self, RedactArgs};
use crate::check::CheckScope;
use crate::config::{AgentConfig, Bytes, DetectorConfig, RecordConfig};
use crate::explain::ExplainRequest;
use crate::explain::sentences::Language;
use crate::live::StopFlag;
use crate::models_command::{BenchArgs, ModelsCommand};
use crate::plates_command::PlatesCommand;
use crate::recording::RecordingError;
use crate::replay::{ReplayRequest, ReplaySource};
use crate::{
    calibrate, check, explain, live, models_command, plates_command, replay, rules_command,
};

/// Exit code when the command did not do its job.
const FAILED: u8 = 1;
/// Exit code when the configuration or the command line is faulty.
const FAULTY: u8 = 2;
/// Exit code when somebody stopped the command before its end, as shells have it for Ctrl-C.
const STOPPED: u8 = 130;

/// The roadside box: watches cameras, finds violations and incidents, explains
/// each with its numbers, and delivers them to the centre.
#[derive(Debug, Parser)]
#[command(
    name = "edge-agent",
    version = crate::VERSION,
    after_help = "Begin with a recorded clip:\n  edge-agent replay my-street.mp4 --config camera.toml --annotate seen.mp4\n\
                  then calibrate the camera, check and run the box:\n  edge-agent calibrate gate.survey.toml --still gate.jpg --grid gate.grid.jpg\n  edge-agent check box.toml\n  edge-agent run box.toml\n\n\
                  Exit codes: 0 done, 1 failed, 2 faulty command line or configuration."
)]
pub struct Cli {
    /// What to log, for example `info`, `debug`, `info,edge_video=debug`. ONNX Runtime tells
    /// warnings, unless it is named: `info,ort=info`.
    #[arg(long, global = true, env = "NGATU_LOG", default_value = "info")]
    log: String,
    /// How to log: text for people, json for collectors.
    #[arg(long, global = true, value_enum, default_value = "text")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch the cameras of CONFIG until told to stop.
    Run {
        /// The box's configuration.
        config: PathBuf,
        #[command(flatten)]
        record: RecordArgs,
    },
    /// Say what the box would have said about a recorded clip or recorded inputs.
    #[command(after_help = REPLAY_HELP)]
    Replay(ReplayArgs),
    /// Turn a survey of the road into a calibration file; see how good it is.
    #[command(after_help = CALIBRATE_HELP)]
    Calibrate(CalibrateArgs),
    /// Say why there is an event, in sentences, from the recorded inputs.
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// Find everything that is wrong with CONFIG, its cameras, models and uplink.
    Check(CheckArgs),
    /// List, install, verify, compare and measure models.
    Models {
        /// Folders of installed models, instead of the usual ones.
        #[arg(long = "models-dir", global = true)]
        models_dirs: Vec<PathBuf>,
        /// Take folders, keys, provider and library from this configuration.
        #[arg(long, global = true)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: ModelsCommand,
    },
    /// The same as `models bench`.
    #[command(after_help = models_command::BENCH_HELP)]
    BenchModels {
        /// Folders of installed models, instead of the usual ones.
        #[arg(long = "models-dir")]
        models_dirs: Vec<PathBuf>,
        /// Take folders, keys, provider and library from this configuration.
        #[arg(long)]
        config: Option<PathBuf>,
        #[command(flatten)]
        args: BenchArgs,
    },
    /// Read number plates in pictures, and measure how well that goes.
    Plates {
        /// Folders of installed models, instead of the usual ones.
        #[arg(long = "models-dir", global = true)]
        models_dirs: Vec<PathBuf>,
        /// Take folders, provider and library from this configuration.
        #[arg(long, global = true)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: PlatesCommand,
    },
    /// The keys that this box signs its cases with.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Take the signed case of an event from the box's store.
    Bundle(BundleArgs),
    /// Say whether a case is what its box signed, whole and unchanged.
    Verify(VerifyArgs),
    /// Copy a case with the faces and plates of bystanders covered.
    #[command(after_help = redact::HELP)]
    Redact(RedactArgs),
    /// List the kinds of rules, or tell all about one of them.
    Rules {
        /// Print its guide (what it sees, needs, and how it errs) and its keys.
        kind: Option<String>,
    },
}

/// What is kept besides events; instead of what [record] says.
#[derive(Debug, Args)]
struct RecordArgs {
    /// Record everything that the rules are given, to replay it later; the
    /// oldest is deleted for room.
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Room for the recordings of all cameras, for example 2GiB.
    #[arg(long, value_name = "SIZE")]
    record_budget: Option<Bytes>,
    /// Delete a recording so many days after its end, however much room there is.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    record_days: Option<u32>,
    /// Write what nearly was an event, and what was missing.
    #[arg(long, value_name = "DIR")]
    near_misses: Option<PathBuf>,
    /// Write how long each rule was watching, by hour.
    #[arg(long, value_name = "DIR")]
    coverage: Option<PathBuf>,
}

impl RecordArgs {
    fn apply(self, config: &mut RecordConfig) {
        config.dir = self.record.or(config.dir.take());
        config.budget = self.record_budget.unwrap_or(config.budget);
        config.keep_days = self.record_days.or(config.keep_days);
        config.near_misses_dir = self.near_misses.or(config.near_misses_dir.take());
        config.coverage_dir = self.coverage.or(config.coverage_dir.take());
    }
}

#[derive(Debug, Args)]
struct ReplayArgs {
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

/// Shown below `replay --help`.
const REPLAY_HELP: &str = "\
Exit codes: 0 done; 1 failed, nothing was seen, or a part of the recording or some pictures of the
clip are damaged (they are named, and the rest is replayed); 2 faulty command line or configuration,
or --camera is missing where there are several cameras; 130 stopped before the end: files have
`.part` behind their names, and what stood under the names stays.";

/// Shown below `explain --help`.
const EXPLAIN_HELP: &str = "\
Exit codes: 0 explained; 1 there is no such event, or a part of the recording is damaged (it is
named, and what can be read is explained); 2 faulty command line or configuration, or --camera is
missing where there are several cameras.";

/// Shown below `calibrate --help`.
const CALIBRATE_HELP: &str = "\
A survey is a text file. Take a still of the stream that is analysed, find six or more points on
the road that you can walk to (ends of dashes, corners of zebra bars, manholes), over the whole
stretch to be measured, near and far, on both sides. Note their pixels, and their places on the
road by tape (metres in any frame, east before north) or GPS:

  picture = [1920, 1080]            # of the still, in pixels
  click_sigma_px = 2                # what a click is good for
  ground_sigma_m = 0.05             # what the tape is good for; 1.5 for a map
  [[point]]
  name = \"zebra, left\"
  image = [412, 871]
  ground = [0.0, 0.0]               # or latlon = [21.028511, 105.854212]

The height of the camera, where measured, is a good cross-check: camera_height_m = 6.5

Nobody can walk there? Known distances will do, four or more, along and across, near and far:

  [[distance]]
  name = \"lane\"
  from = [640, 900]
  to = [1130, 905]
  metres = 3.5                      # sigma_m = 0.05

A wide angle bends straight kerbs. Then give the lens, in pixels, as OpenCV prints it:

  lens = { fx = 1180, fy = 1182, cx = 955, cy = 542, k1 = -0.31, k2 = 0.09 }

Runs for --check: CSV with true_kmh,measured_kmh,low_kmh,high_kmh, or [[run]] in TOML.

  edge-agent calibrate gate.survey.toml --still gate.jpg --grid gate.grid.jpg --config box.toml
  edge-agent calibrate --check runs.csv";

#[derive(Debug, Args)]
struct CalibrateArgs {
    /// The survey.
    #[arg(required_unless_present = "check")]
    survey: Option<PathBuf>,
    /// Write the calibration here; else beside the survey, as NAME.calibration.toml.
    #[arg(long, value_name = "FILE", requires = "survey")]
    out: Option<PathBuf>,
    /// A still of the camera (JPEG, PNG) to draw a metre grid on.
    #[arg(long, value_name = "PICTURE", requires = "grid", requires = "survey")]
    still: Option<PathBuf>,
    /// Where the still with its grid goes (JPEG).
    #[arg(long, value_name = "OUT.jpg", requires = "still")]
    grid: Option<PathBuf>,
    /// Say what is to be expected at the zones and gates of this configuration.
    #[arg(long, requires = "survey")]
    config: Option<PathBuf>,
    /// Which of its cameras; needed when there are several.
    #[arg(long, requires = "config")]
    camera: Option<CameraId>,
    /// Compare measured speeds with true ones (CSV or TOML).
    #[arg(long, value_name = "RUNS")]
    check: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The event's id, or the beginning of it.
    event: String,
    /// A recording of inputs, or the folder that `run --record` writes.
    #[arg(long, value_name = "FILE|DIR")]
    inputs: PathBuf,
    /// Configuration with the camera's zones, lines and rules.
    #[arg(long)]
    config: PathBuf,
    /// Which of its cameras; needed when there are several.
    #[arg(long)]
    camera: Option<CameraId>,
    /// In which language.
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    /// Also tell what else the same road users nearly did.
    #[arg(long)]
    near_misses: bool,
    /// Draw who did it where: track, zone, line and box.
    #[arg(long, value_name = "OUT.jpg")]
    still: Option<PathBuf>,
    /// Draw it on the picture of this clip, from which the inputs were made.
    #[arg(long, value_name = "CLIP", requires = "still")]
    clip: Option<PathBuf>,
    /// The instant of the clip's first frame (RFC 3339).
    #[arg(long, default_value = "1970-01-01T00:00:00Z", value_name = "TIME")]
    start: EventTime,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// The box's configuration.
    config: PathBuf,
    /// Only this camera.
    #[arg(long)]
    camera: Option<CameraId>,
    /// Only read the file, and which models are installed; connect to nothing.
    #[arg(long)]
    offline: bool,
    /// Longest wait for each part, seconds.
    #[arg(long, default_value_t = 10, value_name = "S")]
    timeout: u64,
}

impl Cli {
    /// Does what was asked.
    pub fn execute(self, stop: &StopFlag) -> ExitCode {
        match self.command {
            Command::Run { config, record } => run(&config, record, stop),
            Command::Replay(args) => replay(args, stop),
            Command::Explain(args) => explain(args, stop),
            Command::Check(args) => check(args),
            Command::Calibrate(args) => calibrate(args),
            Command::Models {
                models_dirs,
                config,
                command,
            } => with_detector(models_dirs, config.as_deref(), |detector| {
                models_command::run(detector, command, stop)
            }),
            Command::BenchModels {
                models_dirs,
                config,
                args,
            } => with_detector(models_dirs, config.as_deref(), |detector| {
                models_command::run(detector, ModelsCommand::Bench(args), stop)
            }),
            Command::Plates {
                models_dirs,
                config,
                command,
            } => with_detector(models_dirs, config.as_deref(), |detector| {
                plates_command::run(detector, &command)
            }),
            Command::Keys { command } => command.run(),
            Command::Bundle(args) => args.run(),
            Command::Verify(args) => ExitCode::from(args.run()),
            Command::Redact(args) => args.run(),
            Command::Rules { kind } => match rules_command::tell(kind.as_deref()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => faulty(&error),
            },
        }
    }

    /// Where log lines go and which; standard error, so that output stays clean.
    pub fn start_logging(&self) -> anyhow::Result<()> {
        use std::io::IsTerminal as _;
        let filter = tracing_subscriber::EnvFilter::try_new(log_filter(&self.log))
            .map_err(|error| anyhow::anyhow!("--log {}: {error}", self.log))?;
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(colours);
        let started = match self.log_format {
            LogFormat::Text => lines.try_init(),
            LogFormat::Json => lines.json().try_init(),
        };
        started.map_err(|error| anyhow::anyhow!("logging: {error}"))
    }
}

/// What is logged: ONNX Runtime tells hundreds of lines at `info` for each model, so it is asked
/// for warnings unless somebody names it.
fn log_filter(wanted: &str) -> String {
    const RUNTIME: &str = "ort";
    let mut directives = wanted.split(',').map(str::trim);
    let is_named = directives.clone().any(|it| it.starts_with(RUNTIME));
    let is_talkative = directives.any(|it| {
        let level = it.parse::<tracing::level_filters::LevelFilter>();
        level.is_ok_and(|level| level > tracing::level_filters::LevelFilter::WARN)
    });
    if is_talkative && !is_named {
        format!("{wanted},{RUNTIME}=warn")
    } else {
        wanted.to_owned()
    }
}

/// As `analysed_fps` in a camera's table.
fn looks_per_second(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|fps| *fps > 0.0 && *fps <= 120.0)
        .ok_or_else(|| "frames per second are more than 0 and at most 120".to_owned())
}

fn run(config: &Path, record: RecordArgs, stop: &StopFlag) -> ExitCode {
    let mut config = match AgentConfig::load(config) {
        Ok(config) => config,
        Err(faults) => {
            aside!("{faults}");
            return ExitCode::from(FAULTY);
        }
    };
    if config.cameras.is_empty() {
        aside!("{}: there is no [[camera]]; add one", config.file.display());
        return ExitCode::from(FAULTY);
    }
    record.apply(&mut config.record);
    finish(live::run(&config, stop))
}

fn explain(args: ExplainArgs, stop: &StopFlag) -> ExitCode {
    if let Some(code) = refused(&args.config, args.camera.as_ref()) {
        return code;
    }
    if args.event.trim().is_empty() {
        return faulty(&anyhow::anyhow!(
            "which event? give its id, or the beginning of it"
        ));
    }
    let request = ExplainRequest {
        event: args.event,
        inputs: args.inputs,
        config: args.config,
        camera: args.camera,
        language: args.lang,
        near_misses: args.near_misses,
        still: args.still,
        clip: args.clip,
        start: args.start,
    };
    match explain::explain(&request, stop) {
        Ok(explained) => {
            said::text(&said::printable(&explained.text));
            if explained.damage.is_empty() {
                return ExitCode::SUCCESS;
            }
            for damage in &explained.damage {
                aside!("error: {damage}");
            }
            aside!(
                "error: the recording is damaged; the explanation rests on what of it can be read, \
                 and revisions of the event may be missing"
            );
            ExitCode::from(FAILED)
        }
        Err(error) => finish(Err(error)),
    }
}

fn replay(args: ReplayArgs, stop: &StopFlag) -> ExitCode {
    if let Some(code) = refused(&args.config, args.camera.as_ref()) {
        return code;
    }
    let quiet = args.quiet;
    let source = match (args.inputs, args.clip) {
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
        config: args.config,
        camera: args.camera,
        events: args.events,
        speeds: args.speeds,
        annotate: args.annotate,
        record_inputs: args.record_inputs,
        near_misses: args.near_misses,
        coverage: args.coverage,
        evidence: args.evidence,
        signing_key: args.signing_key,
        start: args.start,
        analysed_fps: args.analysed_fps,
        no_gate: args.no_gate,
        quiet,
    };
    match replay::replay(&request, stop) {
        Ok(outcome) => {
            for warning in outcome.damage.iter().chain(&outcome.warnings) {
                aside!("warning: {warning}");
            }
            if !quiet {
                let table = outcome.summary.table();
                for table in [table, outcome.coverage.table()] {
                    if !table.is_empty() {
                        aside!("{table}");
                    }
                }
                let looked = outcome.frames - outcome.rested - outcome.followed;
                let mut kinds = Vec::new();
                if looked < outcome.frames {
                    kinds.push(format!(", {looked} of them looked at"));
                }
                if outcome.followed > 0 {
                    kinds.push(format!(", everybody followed through {}", outcome.followed));
                }
                let looked = kinds.concat();
                aside!(
                    "{} event(s) in {} frames{looked}",
                    outcome.summary.total(),
                    outcome.frames
                );
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
            if !outcome.is_whole {
                ExitCode::from(STOPPED)
            } else if outcome.frames == 0 || !outcome.damage.is_empty() {
                ExitCode::from(FAILED)
            } else {
                ExitCode::SUCCESS
            }
        }
        Err(error) => finish(Err(error)),
    }
}

fn calibrate(args: CalibrateArgs) -> ExitCode {
    let done = calibrate::calibrate(&CalibrateRequest {
        survey: args.survey,
        out: args.out,
        still: args.still,
        grid: args.grid,
        config: args.config,
        camera: args.camera,
        check: args.check,
    });
    match done {
        Err(error)
            if error.is::<calibrate::Faulty>() || error.is::<crate::config::ConfigFaults>() =>
        {
            aside!("error: {}", said::whole(error.chain()));
            ExitCode::from(FAULTY)
        }
        done => finish(done),
    }
}

fn check(args: CheckArgs) -> ExitCode {
    let scope = CheckScope {
        offline: args.offline,
        camera: args.camera,
        timeout: Duration::from_secs(args.timeout),
    };
    match check::check(&args.config, &scope) {
        Ok(findings) if check::print(&findings) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FAILED),
        Err(faults) => {
            aside!("{faults}");
            ExitCode::from(FAULTY)
        }
    }
}

/// What the configuration says of models, with folders of the command line before its own.
fn with_detector(
    models_dirs: Vec<PathBuf>,
    config: Option<&Path>,
    run: impl FnOnce(&DetectorConfig) -> ExitCode,
) -> ExitCode {
    let mut detector = match config.map(AgentConfig::load) {
        None => DetectorConfig::default(),
        Some(Ok(config)) => config.detector,
        Some(Err(faults)) => {
            aside!("{faults}");
            return ExitCode::from(FAULTY);
        }
    };
    if !models_dirs.is_empty() {
        detector.models_dirs = models_dirs;
    }
    run(&detector)
}

/// The command line cannot be meant.
fn faulty(error: &anyhow::Error) -> ExitCode {
    aside!("error: {}", said::whole(error.chain()));
    ExitCode::from(FAULTY)
}

/// Ends here when the configuration is faulty or has no such camera.
fn refused(config: &Path, camera: Option<&CameraId>) -> Option<ExitCode> {
    let config = match AgentConfig::load(config) {
        Ok(config) => config,
        Err(faults) => {
            aside!("{faults}");
            return Some(ExitCode::from(FAULTY));
        }
    };
    camera?;
    let chosen = replay::choose_camera(&config, camera);
    chosen.err().map(|error| faulty(&error.into()))
}

fn finish(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The command line does not say which of several cameras is meant.
        Err(error) if is_about_the_camera(&error) => faulty(&error),
        Err(error) => {
            aside!("error: {}", said::whole(error.chain()));
            ExitCode::from(FAILED)
        }
    }
}

fn is_about_the_camera(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<replay::WhichCamera>()
            || matches!(
                cause.downcast_ref::<RecordingError>(),
                Some(RecordingError::Which { .. })
            )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtime_is_as_quiet_as_usual_unless_it_is_named() {
        for (wanted, filter) in [
            ("info", "info,ort=warn"),
            ("debug,edge_video=trace", "debug,edge_video=trace,ort=warn"),
            ("info,ort=info", "info,ort=info"),
            ("info,ort::logging=debug", "info,ort::logging=debug"),
            // It would be louder than all the rest.
            ("warn", "warn"),
            ("error", "error"),
            ("off", "off"),
            ("edge_video=debug", "edge_video=debug"),
        ] {
            assert_eq!(log_filter(wanted), filter, "{wanted}");
        }
    }
}
