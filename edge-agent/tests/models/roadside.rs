//! A folder of models at a roadside, and the program that has it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::Digest as _;

use crate::support::{Process, binary, eventually, free_port, installed, repository};

/// A field that ONNX Runtime keeps and nobody reads (`metadata_props`): the same
/// network with another hash.
const ANOTHER_HASH: &[u8] = &[0x72, 0x06, 0x0a, 0x01, b'k', 0x12, 0x01, b'v'];

/// A folder of models: `good`, and `new` with other bytes of the same network.
pub(crate) struct Roadside {
    dir: tempfile::TempDir,
}

impl Roadside {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let whole = fs::read(installed("models/centernet-mb3-512/centernet_mb3_512.onnx")).unwrap();
        let this = Self { dir };
        this.add("good", &whole);
        this.add("new", &[&whole[..], ANOTHER_HASH].concat());
        this
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.path().join("models")
    }

    fn add(&self, name: &str, network: &[u8]) {
        let catalogue = repository().join("models/catalog/centernet-mb3-512/model.toml");
        let manifest: String = fs::read_to_string(catalogue)
            .unwrap()
            .lines()
            .map(|line| match line.split(" = ").next() {
                Some("id") => format!("id = \"{name}\"\n"),
                Some("sha256") => format!("sha256 = \"{}\"\n", digest(network)),
                Some("size_bytes") => format!("size_bytes = {}\n", network.len()),
                _ => format!("{line}\n"),
            })
            .collect();
        let folder = self.models().join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("model.toml"), manifest).unwrap();
        fs::write(folder.join("centernet_mb3_512.onnx"), network).unwrap();
    }

    pub(crate) fn digest(&self, name: &str) -> String {
        digest(&fs::read(self.models().join(name).join("centernet_mb3_512.onnx")).unwrap())
    }

    /// As if `good` had worked here for a year.
    pub(crate) fn good_is_proven(&self) {
        let text = format!(
            "attempts = 0\nfailed = []\n[proven]\nmodel = \"good\"\nsha256 = \"{}\"\n",
            self.digest("good")
        );
        fs::write(self.models().join("trial.toml"), text).unwrap();
    }

    pub(crate) fn trials(&self) -> toml::Table {
        let text = fs::read_to_string(self.models().join("trial.toml")).unwrap_or_default();
        text.parse().unwrap()
    }

    pub(crate) fn config(&self, camera: &str, detector: &str) -> (PathBuf, u16) {
        let metrics = free_port();
        let file = self.path().join("box.toml");
        let text = format!(
            "[box]\nsite = \"test\"\nid = \"box-1\"\n[store]\ndir = \"store\"\n\
             [metrics]\nlisten = \"127.0.0.1:{metrics}\"\n\
             [[camera]]\nid = \"campus\"\nname = \"campus\"\nsource = {{ rtsp = \"{camera}\" }}\n\
             [detector]\nmodels_dirs = [\"models\"]\n{detector}"
        );
        fs::write(&file, text).unwrap();
        (file, metrics)
    }
}

fn digest(content: &[u8]) -> String {
    protocol::Digest(sha2::Sha256::digest(content).into()).to_string()
}

pub(crate) fn metrics(port: u16) -> String {
    page(port, "metrics")
}

pub(crate) fn page(port: u16, name: &str) -> String {
    let address = format!("http://127.0.0.1:{port}/{name}");
    eventually(name, || {
        ureq::get(&address)
            .call()
            .ok()?
            .body_mut()
            .read_to_string()
            .ok()
    })
}

/// Starts the agent on its own and waits until the model is at work.
pub(crate) fn started(config: &Path, dir: &Path, log: &str) -> Process {
    let mut command = Command::new(binary("edge-agent"));
    command.arg("run").arg(config);
    let mut agent = Process::start(command, dir.join(log));
    eventually("the agent to watch", || {
        assert!(agent.is_running(), "it ended:\n{}", agent.log_text());
        agent.log_text().contains("watching").then_some(())
    });
    agent
}

pub(crate) fn agent(arguments: &[&str]) -> Output {
    Command::new(binary("edge-agent"))
        .args(arguments)
        .output()
        .unwrap()
}

pub(crate) fn agent_text(arguments: &[&str]) -> String {
    let output = agent(arguments);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
