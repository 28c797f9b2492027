//! What systemd is told of the real program: ready once, fed while it goes on, not fed
//! when the thread that looks hangs.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "../inference/tests/support/small.rs"]
mod small;
mod support;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use models::Manifest;
use small::Small;
use support::{Camera, Process, binary, eventually, free_port};

/// A second is between two words, since it ends the program after four.
const WATCHDOG_USEC: &str = "4000000";
/// So long nothing was said by one that is not fed.
const SILENCE: Duration = Duration::from_secs(10);

/// A program that systemd started, as far as it can tell.
struct Service {
    socket: UnixDatagram,
    agent: Process,
    heard: Vec<String>,
}

impl Service {
    /// A box with this detector that is shown a camera all in one grey.
    fn start(dir: &Path, small: Small, url: &str) -> Self {
        let folder = dir.join("models/small");
        std::fs::create_dir_all(&folder).unwrap();
        let bytes = small.file();
        small::write(&folder, &bytes);
        let manifest: Manifest = small::of_file(small.manifest(), &bytes);
        std::fs::write(
            folder.join("model.toml"),
            toml::to_string(&manifest).unwrap(),
        )
        .unwrap();
        let config = dir.join("box.toml");
        let text = format!(
            "[box]\nsite = 's'\nid = 'b'\n[store]\ndir = 'store'\n\
             [detector]\nmodels_dirs = ['models']\ntrial_min = 0.001\n\
             [[camera]]\nid = 'c'\nsource = {{ rtsp = '{url}' }}\nhealth = {{ watch = false }}\n\
             detect = {{ gate = false }}\n"
        );
        std::fs::write(&config, text).unwrap();
        let notify = dir.join("notify");
        let socket = UnixDatagram::bind(&notify).unwrap();
        let mut command = Command::new(binary("edge-agent"));
        command.arg("run").arg(&config);
        command.env("NOTIFY_SOCKET", &notify);
        command.env("WATCHDOG_USEC", WATCHDOG_USEC);
        Self {
            socket,
            agent: Process::start(command, dir.join("agent.log")),
            heard: Vec::new(),
        }
    }

    /// The next words, if some come in time.
    fn hear(&mut self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut words = [0; 4096];
        let length = self.socket.recv(&mut words).ok()?;
        let words = String::from_utf8_lossy(&words[..length]).into_owned();
        self.heard.push(words.clone());
        Some(words)
    }

    fn until(&mut self, wanted: &str, times: usize) {
        let mut left = times;
        eventually(wanted, || {
            let words = self.hear(Duration::from_secs(1))?;
            left -= usize::from(words.starts_with(wanted));
            (left == 0).then_some(())
        });
    }

    /// Its exit code, and all that it ever said.
    fn end(mut self) -> (Option<i32>, Vec<String>) {
        let code = self.agent.terminate();
        self.socket.set_nonblocking(true).unwrap();
        let mut words = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut words) {
            let words = String::from_utf8_lossy(&words[..length]);
            self.heard.push(words.into_owned());
        }
        (code, self.heard)
    }

    fn count(&self, wanted: &str) -> usize {
        let heard = self.heard.iter();
        heard.filter(|words| words.contains(wanted)).count()
    }
}

fn camera(dir: &Path, grey: &str) -> Camera {
    let clip = dir.join("grey.mp4");
    let mut command = Command::new("ffmpeg");
    let source = format!("color=c={grey}:s=320x240:r=10:d=10");
    command.args([
        "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", &source,
    ]);
    command.args("-pix_fmt yuv420p -c:v libx264 -bf 0 -g 10 -preset ultrafast".split(' '));
    command.args(["-x264-params", "sliced-threads=0:scenecut=0"]);
    assert!(command.arg(&clip).status().unwrap().success());
    Camera::start(dir, &clip, "127.0.0.1:0")
}

fn proven(dir: &Path) -> Option<toml::Value> {
    let text = std::fs::read_to_string(dir.join("models/trial.toml")).ok()?;
    let ledger: toml::Table = text.parse().ok()?;
    ledger.get("proven").cloned()
}

#[test]
fn a_box_that_goes_on_is_fed_with_and_without_pictures_and_says_once_that_it_is_ready() {
    let dir = tempfile::tempdir().unwrap();
    let camera = camera(dir.path(), "gray");
    let nobody = format!("rtsp://127.0.0.1:{}/none", free_port());
    for (url, has_pictures) in [(&camera.url, true), (&nobody, false)] {
        let home = tempfile::tempdir().unwrap();
        let mut service = Service::start(home.path(), Small::default(), url);
        service.until(
            "READY=1\nSTATUS=watching 1 of 1 camera(s) with small on cpu",
            1,
        );
        service.until("WATCHDOG=1", 4);
        if has_pictures {
            eventually("the model to be proven", || proven(home.path()));
        }
        let (code, heard) = service.end();
        assert_eq!(code, Some(0));
        for (words, count) in [("READY=1", 1), ("STOPPING=1", 1)] {
            let found = heard.iter().filter(|heard| heard.contains(words));
            assert_eq!(found.count(), count, "{heard:?}");
        }
        assert_eq!(proven(home.path()).is_some(), has_pictures);
    }
}

/// A driver that does not come back.
#[test]
fn a_box_whose_detector_hangs_is_not_fed_and_its_model_proves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let camera = camera(dir.path(), "white");
    let hangs = Small {
        hangs_when_bright: true,
        ..Small::default()
    };
    let mut service = Service::start(dir.path(), hangs, &camera.url);
    service.until("READY=1", 1);
    // Until its first look it goes on.
    eventually("silence", || {
        let begun = Instant::now();
        let words = service.hear(SILENCE);
        (words.is_none() && begun.elapsed() >= SILENCE).then_some(())
    });
    assert!(service.agent.is_running());
    assert_eq!(service.count("READY=1"), 1, "{:?}", service.heard);
    assert_eq!(proven(dir.path()), None);
    // As systemd does it, though with less ado.
    service.agent.kill();
    let text = std::fs::read_to_string(dir.path().join("models/trial.toml")).unwrap();
    let ledger: toml::Table = text.parse().unwrap();
    assert_eq!(ledger["attempts"].as_integer(), Some(1), "{text}");
}
