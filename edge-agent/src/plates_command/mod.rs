//! `edge-agent plates …`: what the box reads on number plates, and how well.

mod read;
mod score;
mod shown;

use std::io::IsTerminal as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use case_bundle::aside;
use case_bundle::files::said;
use clap::Subcommand;
use edge_inference::{ModelStore, Runtime, StoreError};
use models::heads::Answers;
use plate_reader::{PlateLook, PlateReader, ReaderError};
use protocol::id::ModelId;

use crate::config::DetectorConfig;
use crate::models_command;

/// `edge-agent plates …`
#[derive(Debug, Subcommand)]
pub enum PlatesCommand {
    /// Say what is written on the plates of pictures, how surely, and what was refused.
    #[command(after_help = read::HELP)]
    Read(read::ReadArgs),
    /// Measure how well plates are read, on pictures whose plates were transcribed.
    #[command(after_help = score::HELP)]
    Score(score::ScoreArgs),
}

/// Does what was asked.
pub fn run(config: &DetectorConfig, command: &PlatesCommand) -> ExitCode {
    let done = match command {
        PlatesCommand::Read(args) => read::read(config, args),
        PlatesCommand::Score(args) => score::score(config, args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            aside!("error: {}", said::whole(error.chain()));
            ExitCode::FAILURE
        }
    }
}

/// Loads both networks, or says how to get them.
fn reader(config: &DetectorConfig, long_side: Option<u32>) -> anyhow::Result<PlateReader> {
    let mut settings = config.plates.settings();
    settings.long_side = long_side.unwrap_or(settings.long_side);
    let store = models_command::store(config)?;
    for model in [&settings.places, &settings.lines] {
        is_there(&store, model)?;
    }
    let runtime = Runtime::load(config.onnxruntime.as_deref())?;
    Ok(PlateReader::load(
        &runtime,
        &store,
        &config.settings(),
        settings,
    )?)
}

/// Both come from one package; the message says so once and for both.
fn is_there(store: &ModelStore, model: &ModelId) -> anyhow::Result<()> {
    match store.find(model) {
        Err(StoreError::Missing { .. }) => anyhow::bail!(
            "plates need the models ppocr-v4-det and ppocr-v4-rec, and {model} is not installed. \
             `deploy/setup plates` brings both; by hand:\n  \
             pip download --no-deps rapidocr-onnxruntime==1.4.4\n  \
             edge-agent models install ppocr-v4-det --from rapidocr_onnxruntime-1.4.4-py3-none-any.whl\n  \
             edge-agent models install ppocr-v4-rec --from rapidocr_onnxruntime-1.4.4-py3-none-any.whl"
        ),
        found => {
            found.map_err(ReaderError::from)?;
            Ok(())
        }
    }
}

/// A picture as a camera would have given it.
fn still(path: &Path) -> anyhow::Result<edge_inference::Still> {
    edge_inference::Still::open(path).context("nothing was read")
}

/// The looks, and a word for whoever wonders where a row is.
fn sound(looks: Answers<PlateLook>) -> Vec<PlateLook> {
    if looks.broken > 0 {
        aside!(
            "{} numbers of the networks are NaN, infinite or no probabilities; those rows are refused: run \
             `edge-agent models verify`",
            looks.broken
        );
    }
    looks.found
}

/// Colours for a terminal, and plain text for everything else.
#[derive(Clone, Copy)]
struct Paint {
    is_coloured: bool,
}

impl Paint {
    fn of_output() -> Self {
        let is_coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { is_coloured }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.is_coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
