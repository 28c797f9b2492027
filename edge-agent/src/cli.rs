//! The words of the command line; what each command does with them is its own file.

mod calibrate;
mod check;
mod exit;
mod explain;
mod replay;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use case_bundle::aside;
use case_bundle::files::VerifyArgs;
use clap::{Parser, Subcommand};

use crate::case::commands::{BundleArgs, KeysCommand};
use crate::case::redact::{self, RedactArgs};
use crate::config::{AgentConfig, DetectorConfig};
use crate::environment::Work;
use crate::live::StopFlag;
use crate::models_command::{self, BenchArgs, ModelsCommand};
use crate::plates_command::{self, PlatesCommand};
use crate::rules_command;
use calibrate::CalibrateArgs;
use check::CheckArgs;
use exit::{FAULTY, faulty};
use explain::ExplainArgs;
use replay::ReplayArgs;
use run::RunArgs;

/// Options of all commands stand below those of the command, of which somebody asks.
const LAST: usize = 900;
/// And above them those of a family of commands.
const NEARLY_LAST: usize = 800;

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
    #[arg(
        long,
        global = true,
        env = "NGATU_LOG",
        default_value = "info",
        display_order = LAST
    )]
    log: String,
    /// How to log: text for people, json for collectors.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "text",
        display_order = LAST
    )]
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
    #[command(after_help = run::HELP)]
    Run(RunArgs),
    /// Say what the box would have said about a recorded clip or recorded inputs.
    #[command(after_help = replay::HELP)]
    Replay(ReplayArgs),
    /// Turn a survey of the road into a calibration file; see how good it is.
    #[command(after_help = calibrate::HELP)]
    Calibrate(CalibrateArgs),
    /// Say why there is an event, in sentences, from the recorded inputs.
    #[command(after_help = explain::HELP)]
    Explain(ExplainArgs),
    /// Find everything that is wrong with CONFIG, its cameras, models and uplink.
    #[command(after_help = check::HELP)]
    Check(CheckArgs),
    /// List, install, verify, compare and measure models.
    #[command(
        after_help = "Exit codes: 0 done, 1 refused or failed, 2 faulty command line or configuration, 130 broken off."
    )]
    Models {
        /// Folders of installed models, instead of the usual ones.
        #[arg(
            long = "models-dir",
            value_name = "DIR",
            global = true,
            display_order = NEARLY_LAST
        )]
        models_dirs: Vec<PathBuf>,
        /// Take folders, keys, provider and library from this configuration.
        #[arg(long, global = true, display_order = NEARLY_LAST)]
        config: Option<PathBuf>,
        #[command(subcommand)]
        command: ModelsCommand,
    },
    /// The same as `models bench`.
    #[command(after_help = models_command::BENCH_HELP)]
    BenchModels {
        /// Folders of installed models, instead of the usual ones.
        #[arg(long = "models-dir", value_name = "DIR")]
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
        #[arg(
            long = "models-dir",
            value_name = "DIR",
            global = true,
            display_order = NEARLY_LAST
        )]
        models_dirs: Vec<PathBuf>,
        /// Take folders, provider and library from this configuration.
        #[arg(long, global = true, display_order = NEARLY_LAST)]
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

impl Cli {
    /// What is asked, as far as the program's environment matters.
    pub fn work(&self) -> Work {
        match self.command {
            Command::Run(_)
            | Command::Replay(_)
            | Command::BenchModels { .. }
            | Command::Models {
                command: ModelsCommand::Bench(_) | ModelsCommand::Evaluate(_),
                ..
            } => Work::Pictures,
            Command::Check(_)
            | Command::Models { .. }
            | Command::Plates { .. }
            | Command::Redact(_) => Work::Models,
            Command::Calibrate(_)
            | Command::Explain(_)
            | Command::Keys { .. }
            | Command::Bundle(_)
            | Command::Verify(_)
            | Command::Rules { .. } => Work::Words,
        }
    }

    /// Does what was asked.
    pub fn execute(self, stop: &StopFlag) -> ExitCode {
        match self.command {
            Command::Run(args) => args.execute(stop),
            Command::Replay(args) => args.execute(stop),
            Command::Explain(args) => args.execute(stop),
            Command::Check(args) => args.execute(),
            Command::Calibrate(args) => args.execute(),
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
