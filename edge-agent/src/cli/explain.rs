//! `edge-agent explain`.

use std::path::PathBuf;
use std::process::ExitCode;

use case_bundle::aside;
use case_bundle::files::said;
use clap::Args;
use protocol::{CameraId, EventTime};

use super::exit::{FAILED, faulty, finish, refused};
use crate::explain::sentences::Language;
use crate::explain::{self, ExplainRequest};
use crate::live::StopFlag;

/// Shown below `explain --help`.
pub(super) const HELP: &str = "\
Exit codes: 0 explained; 1 there is no such event, or a part of the recording is damaged (it is
named, and what can be read is explained); 2 faulty command line or configuration, or --camera is
missing where there are several cameras.";

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
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

impl ExplainArgs {
    pub(super) fn execute(self, stop: &StopFlag) -> ExitCode {
        if let Some(code) = refused(&self.config, self.camera.as_ref()) {
            return code;
        }
        if self.event.trim().is_empty() {
            return faulty(&anyhow::anyhow!(
                "which event? give its id, or the beginning of it"
            ));
        }
        let request = ExplainRequest {
            event: self.event,
            inputs: self.inputs,
            config: self.config,
            camera: self.camera,
            language: self.lang,
            near_misses: self.near_misses,
            still: self.still,
            clip: self.clip,
            start: self.start,
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
}
