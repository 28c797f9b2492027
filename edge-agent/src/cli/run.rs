//! `edge-agent run`.

use std::path::PathBuf;
use std::process::ExitCode;

use case_bundle::aside;
use clap::Args;

use super::exit::{FAULTY, finish};
use crate::config::{AgentConfig, Bytes, RecordConfig};
use crate::live::{self, StopFlag};

/// Shown below `--help`.
pub(super) const HELP: &str = "\
Exit codes: 0 told to stop, 1 failed, 2 faulty command line or configuration, 4 what computes was lost, nothing else
may compute, and this process cannot have it again (for a model of second looks three times an hour). After 1 and 4 it is to be started anew, as the systemd unit does.";

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The box's configuration.
    config: PathBuf,
    #[command(flatten)]
    record: RecordArgs,
}

impl RunArgs {
    pub(super) fn execute(self, stop: &StopFlag) -> ExitCode {
        let mut config = match AgentConfig::load(&self.config) {
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
        self.record.apply(&mut config.record);
        finish(live::run(&config, stop))
    }
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
