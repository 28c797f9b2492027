//! `edge-agent check`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use case_bundle::aside;
use clap::Args;
use protocol::CameraId;

use super::exit::{FAILED, FAULTY};
use crate::check::{self, CheckScope};

/// Shown below `check --help`.
pub(super) const HELP: &str = "\
Exit codes: 0 nothing is FAILED, 1 something is and needs attention, 2 the file or the command line is faulty.";

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
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

impl CheckArgs {
    pub(super) fn execute(self) -> ExitCode {
        let scope = CheckScope {
            offline: self.offline,
            camera: self.camera,
            timeout: Duration::from_secs(self.timeout),
        };
        match check::check(&self.config, &scope) {
            Ok(findings) if check::print(&findings) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::from(FAILED),
            Err(faults) => {
                aside!("{faults}");
                ExitCode::from(FAULTY)
            }
        }
    }
}
