//! `make bench-edge`: what the box costs, in one run, as ratios.
//!
//! Every figure is CPU time (user and system) or memory of whole processes, read
//! from the kernel. What is compared takes turns within the run, because
//! absolute figures of shared machines mean little from one hour to the next.
//! How to read the table: `docs/bench-edge.md`.

mod accuracy;
mod agent;
mod cameras;
mod centre;
mod events;
mod floors;
mod gate;
mod latency;
mod memory;
mod peers;
mod process;
mod progress;
mod setting;
mod soak;
mod table;
mod together;
mod trend;
mod whole;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use floors::Stage;
use progress::Progress;
use setting::{Model, Setting};
use table::Row;

/// Measures the box against its parts.
///
/// Needs what `make setup` brings and the release build; clips are made at the first
/// run, in target/bench-edge. A bar that is missed is said and does not
/// make the run fail, unless `--strict`.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    /// Fewer rounds and pictures: minutes instead of three quarters of an hour, with more noise.
    #[arg(long)]
    quick: bool,
    /// Only these parts; all by default.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,…")]
    only: Vec<Part>,
    /// Rounds of what takes turns; 5 by default, 2 when quick.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// A clip of your own (H.264 in MP4) instead of the generated one.
    #[arg(long)]
    clip: Option<PathBuf>,
    /// The model; yolox-nano by default where it is to be had, else the best one installed.
    #[arg(long)]
    model: Option<protocol::id::ModelId>,
    /// The agent's binary, else the one beside this program.
    #[arg(long)]
    agent: Option<PathBuf>,
    /// Writes the rows as JSON as well, anew after each part.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Exit code 1 when a bar is missed, or a part could not be measured (see --only).
    #[arg(long)]
    strict: bool,
    #[command(subcommand)]
    stage: Option<Stage>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The replay path over its parts.
    Replay,
    /// The live path over its parts.
    Live,
    /// What a user would run instead.
    Peers,
    /// What the motion gate saves and hides.
    Gate,
    /// From capture to the event at the centre.
    Latency,
    /// Memory for each camera.
    Memory,
    /// A day with flapping cameras, condensed.
    Soak,
    /// Person AP50 against the authors' decoding.
    Accuracy,
}

impl Part {
    fn measure(self, setting: &Setting) -> anyhow::Result<Vec<Row>> {
        match self {
            Self::Replay => whole::replay(setting),
            Self::Live => whole::live(setting),
            Self::Peers => peers::measure(setting),
            Self::Gate => gate::measure(setting),
            Self::Latency => latency::measure(setting),
            Self::Memory => memory::measure(setting),
            Self::Soak => soak::measure(setting),
            Self::Accuracy => accuracy::measure(setting),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Live => "live",
            Self::Peers => "peers",
            Self::Gate => "gate",
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::Soak => "soak",
            Self::Accuracy => "accuracy",
        }
    }

    /// Steps of the progress bar.
    fn steps(self, setting: &Setting) -> u64 {
        let rounds = u64::from(setting.rounds);
        match self {
            Self::Replay => rounds,
            Self::Live => 2 * rounds + rounds.min(3),
            Self::Peers => peers::steps(setting),
            Self::Gate => gate::steps(setting),
            Self::Latency => latency::STREAMS.len() as u64,
            Self::Memory => memory::CAMERAS.len() as u64,
            Self::Soak => soak::STEPS,
            Self::Accuracy => accuracy::STEPS,
        }
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.stage {
        Some(stage) => stage.run().map(|()| ExitCode::SUCCESS),
        None => measure(&cli),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("bench-edge: {error:#}");
        ExitCode::FAILURE
    })
}

fn measure(cli: &Cli) -> anyhow::Result<ExitCode> {
    let root = std::env::current_dir()?;
    edge_video::init()?;
    let progress = Progress::new();
    progress.say("making what is measured with; the first time this takes a minute");
    let setting = Setting {
        agent: Setting::agent_of(cli.agent.clone())?,
        model: Model::find(&root, cli.model.as_ref())?,
        clip: match &cli.clip {
            Some(clip) => clip
                .canonicalize()
                .with_context(|| clip.display().to_string())?,
            None => Setting::busy_clip(&root)?,
        },
        folder: tempfile::Builder::new().prefix("bench-edge-").tempdir()?,
        rounds: cli.rounds.unwrap_or(if cli.quick { 2 } else { 5 }),
        is_quick: cli.quick,
        progress,
        root,
    };
    let parts: Vec<Part> = if cli.only.is_empty() {
        Part::value_variants().to_vec()
    } else {
        cli.only.clone()
    };
    for part in &parts {
        setting.progress.expect(part.steps(&setting));
    }
    let load = load();
    let mut rows = Vec::new();
    for part in parts {
        let measured = part
            .measure(&setting)
            // The other parts are worth having.
            .unwrap_or_else(|error| vec![Row::skipped(part.name(), format!("{error:#}"))]);
        // At once: a run of an hour may be stopped.
        setting.progress.result(&table::printed(&measured));
        rows.extend(measured);
        if let Some(file) = &cli.json {
            write(file, &setting, &rows)?;
        }
    }
    setting.progress.finish();
    println!(
        "model {}, clip {}, {} rounds; load of the machine {load} before, {} after",
        setting.model.id,
        setting.clip.display(),
        setting.rounds,
        self::load()
    );
    let is_kept = rows.iter().all(Row::is_kept);
    Ok(if cli.strict && !is_kept {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The rows so far, for a program to read.
fn write(file: &Path, setting: &Setting, rows: &[Row]) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&serde_json::json!({
        "model": setting.model.id,
        "clip": setting.clip,
        "rounds": setting.rounds,
        "quick": setting.is_quick,
        "rows": rows.iter().map(with_verdict).collect::<Vec<_>>(),
    }))?;
    std::fs::write(file, text + "\n").with_context(|| file.display().to_string())
}

fn with_verdict(row: &Row) -> serde_json::Value {
    let mut value = serde_json::json!(row);
    value["verdict"] = row.verdict().into();
    value
}

/// How busy the machine is: processes that run or want to, over 1, 5 and 15 minutes.
fn load() -> String {
    std::fs::read_to_string("/proc/loadavg")
        .map(|text| text.split(' ').take(3).collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}
