//! Cameras over RTSP on loopback, in a process whose CPU time counts for nobody.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::process::{Program, sibling};
use crate::setting::Setting;

/// `rtsp-camera` with some mounts.
pub(crate) struct Cameras {
    pub(crate) program: Program,
    /// In the order of the mounts.
    pub(crate) urls: Vec<String>,
}

impl Cameras {
    /// So many cameras that all send `clip` in a loop.
    pub(crate) fn start(setting: &Setting, clip: &Path, count: usize) -> anyhow::Result<Self> {
        Self::with(setting, "cameras", clip, count, &[])
    }

    /// With more arguments of `rtsp-camera`.
    pub(crate) fn with(
        setting: &Setting,
        name: &str,
        clip: &Path,
        count: usize,
        arguments: &[&str],
    ) -> anyhow::Result<Self> {
        let ready = setting.folder.path().join(format!("{name}.ready"));
        std::fs::remove_file(&ready).ok();
        let mut command = Command::new(sibling("rtsp-camera")?);
        for mount in 0..count {
            command
                .arg("--mount")
                .arg(format!("c{mount}={}", clip.display()));
        }
        // Often enough that the first pictures have the camera's own time.
        command.args(["--report-interval-s", "0.5"]).args(arguments);
        command.arg("--ready-file").arg(&ready);
        let log = setting.folder.path().join(format!("{name}.log"));
        let mut program = Program::start(command, log)?;
        let ready: serde_json::Value = program.until("cameras", || {
            serde_json::from_slice(&std::fs::read(&ready).ok()?).ok()
        })?;
        let urls = (0..count)
            .map(|mount| {
                let url = ready["mounts"][format!("c{mount}")].as_str();
                Ok(url.context("an address of each mount")?.to_owned())
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { program, urls })
    }
}
