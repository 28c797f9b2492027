//! One installation: a source that produces steadily, agent, centre, a broker or
//! the centre's own front door, and proxies between them.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use case_bundle::files::read_keys;

use crate::ledger::Ledger;
use crate::programs::{Binaries, Process, command, free_address, listening, wait_for};
use crate::proxy::Proxy;

/// Size of the box's disk: copies of evidence soon have to make room.
const BOX_DISK: &str = "size=64m";
/// Size of the centre's, which never forgets: an hour of a source that is busy.
const CENTRE_DISK: &str = "size=3g";
/// Where Debian's `faketime` keeps its library.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// See the module.
pub(crate) struct Stage {
    pub(crate) name: String,
    binaries: Binaries,
    dir: tempfile::TempDir,
    pub(crate) ledger: Ledger,
    pub(crate) agent: Process,
    pub(crate) centre: Process,
    pub(crate) broker: Option<Process>,
    /// Between agent and broker or front door, agent and evidence store, and,
    /// where there is one, broker and centre.
    pub(crate) lines: Vec<Proxy>,
    broker_at: SocketAddr,
    http_at: SocketAddr,
    mqtt_at: SocketAddr,
    /// The store of the box has a small disk of its own.
    pub(crate) has_box_disk: bool,
    /// The data of the centre have a disk of their own; it is in memory, so not in
    /// every installation.
    pub(crate) has_centre_disk: bool,
    pub(crate) has_clock: bool,
}

impl Stage {
    pub(crate) fn set(
        name: &str,
        binaries: &Binaries,
        has_broker: bool,
        may_mount_centre: bool,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("fault-bench-").tempdir()?;
        let path = dir.path();
        for folder in ["store", "data"] {
            std::fs::create_dir(path.join(folder))?;
        }
        let has_box_disk = mount(&path.join("store"), BOX_DISK);
        let has_centre_disk = may_mount_centre && mount(&path.join("data"), CENTRE_DISK);
        let (broker_at, http_at, mqtt_at) = (free_address()?, free_address()?, free_address()?);
        let mut lines = vec![
            Proxy::before(if has_broker { broker_at } else { mqtt_at })?,
            Proxy::before(http_at)?,
        ];
        if has_broker {
            lines.push(Proxy::before(broker_at)?);
            let text = format!(
                "listener {} 127.0.0.1\nallow_anonymous true\nuser root\n",
                broker_at.port()
            );
            std::fs::write(path.join("mosquitto.conf"), text)?;
        }
        std::fs::write(path.join("walkers.inputs.jsonl"), walkers()?)?;
        std::fs::write(path.join("clock"), "+0\n")?;
        let config = |store: &str| configuration(store, lines[0].address, lines[1].address);
        std::fs::write(path.join("box.toml"), config("store"))?;
        std::fs::write(path.join("second.toml"), config("second"))?;
        let keys = path.join("keys");
        let made = Command::new(&binaries.agent)
            .args(["keys", "export"])
            .arg(path.join("box.toml"))
            .arg("--out")
            .arg(&keys)
            .output()?;
        if !made.status.success() {
            bail!("keys export: {}", String::from_utf8_lossy(&made.stderr));
        }
        let trust = read_keys(&[], std::slice::from_ref(&keys)).context("the box's keys")?;
        let broker = if has_broker {
            Some(start_broker(binaries, path, broker_at)?)
        } else {
            None
        };
        let at = (http_at, mqtt_at);
        let centre = start_centre(binaries, path, at, lines.get(2).map(|line| line.address))?;
        let agent = start_agent(binaries, path, "box.toml", "agent.log")?;
        let ledger = Ledger::new(path.join("agent.log"), trust);
        Ok(Self {
            name: name.to_owned(),
            binaries: binaries.clone(),
            ledger,
            agent,
            centre,
            broker,
            lines,
            broker_at,
            http_at,
            mqtt_at,
            has_box_disk,
            has_centre_disk,
            has_clock: Path::new(FAKETIME).exists(),
            dir,
        })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.file("data")
    }

    pub(crate) fn start_agent(&mut self) -> anyhow::Result<()> {
        self.agent = start_agent(&self.binaries, self.dir.path(), "box.toml", "agent.log")?;
        Ok(())
    }

    /// Another agent with the same id and another store.
    pub(crate) fn start_second(&self) -> anyhow::Result<Process> {
        start_agent(&self.binaries, self.dir.path(), "second.toml", "second.log")
    }

    pub(crate) fn start_centre(&mut self) -> anyhow::Result<()> {
        let at = (self.http_at, self.mqtt_at);
        let broker = self.lines.get(2).map(|line| line.address);
        self.centre = start_centre(&self.binaries, self.dir.path(), at, broker)?;
        Ok(())
    }

    pub(crate) fn start_broker(&mut self) -> anyhow::Result<()> {
        self.broker = Some(start_broker(
            &self.binaries,
            self.dir.path(),
            self.broker_at,
        )?);
        Ok(())
    }

    pub(crate) fn broker_address(&self) -> SocketAddr {
        self.broker_at
    }

    /// Waits until the source has produced so many more revisions.
    pub(crate) fn await_more(&mut self, more: usize) -> anyhow::Result<()> {
        let before = self.ledger.refresh()?;
        let ledger = &mut self.ledger;
        wait_for("more events", Duration::from_mins(1), || {
            (ledger.refresh().ok()? >= before + more).then_some(())
        })
        .with_context(|| format!("see {}", self.dir.path().join("agent.log").display()))
    }

    /// Sets the agent's clock off by so many seconds.
    pub(crate) fn step_clock(&self, seconds: i64) -> anyhow::Result<()> {
        std::fs::write(self.file("clock"), format!("{seconds:+}\n"))?;
        Ok(())
    }

    pub(crate) fn remount(&self, folder: &str, how: &str) -> anyhow::Result<()> {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{how}")])
            .arg(self.file(folder))
            .status()?;
        if !status.success() {
            bail!("cannot remount {folder} {how}");
        }
        Ok(())
    }

    /// Keeps the folder for whoever looks for the reason; where it is.
    pub(crate) fn keep(mut self) -> PathBuf {
        let path = self.dir.path().to_owned();
        self.dir.disable_cleanup(true);
        path
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.agent.kill();
        self.centre.kill();
        let disks = [(self.has_box_disk, "store"), (self.has_centre_disk, "data")];
        for (is_mounted, folder) in disks {
            let path = self.file(folder);
            if is_mounted && let Err(error) = Command::new("umount").arg("-l").arg(&path).status() {
                eprintln!("umount {}: {error}", path.display());
            }
        }
    }
}

fn mount(folder: &Path, size: &str) -> bool {
    Command::new("mount")
        .args(["-t", "tmpfs", "-o", size, "fault-bench"])
        .arg(folder)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn start_agent(
    binaries: &Binaries,
    dir: &Path,
    config: &str,
    log: &str,
) -> anyhow::Result<Process> {
    let mut command = command(&binaries.agent);
    command
        .args(["--log-format", "json", "run", config])
        .current_dir(dir);
    if Path::new(FAKETIME).exists() {
        // So that its clock can be stepped while it runs; only the wall clock.
        command
            .env("LD_PRELOAD", FAKETIME)
            .env("FAKETIME_TIMESTAMP_FILE", dir.join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
    Process::start(&mut command, &dir.join(log))
}

fn start_centre(
    binaries: &Binaries,
    dir: &Path,
    (http, mqtt): (SocketAddr, SocketAddr),
    broker: Option<SocketAddr>,
) -> anyhow::Result<Process> {
    let mut command = command(&binaries.centre);
    command.args(["run", "--data-dir"]).arg(dir.join("data"));
    command.args(["--http", &http.to_string()]);
    match broker {
        Some(address) => command.args(["--broker", &format!("mqtt://{address}")]),
        None => command.args(["--mqtt", &mqtt.to_string()]),
    };
    listening(command, &dir.join("centre.log"), http)
}

fn start_broker(binaries: &Binaries, dir: &Path, at: SocketAddr) -> anyhow::Result<Process> {
    let mut command = command(&binaries.broker);
    command.arg("-c").arg(dir.join("mosquitto.conf"));
    listening(command, &dir.join("mosquitto.log"), at)
}

fn configuration(store: &str, mqtt: SocketAddr, http: SocketAddr) -> String {
    format!(
        r#"
[box]
site = "bench"
id = "box-1"
[store]
dir = "{store}"
[uplink]
url = "mqtt://{mqtt}"
evidence_url = "http://{http}"
[[camera]]
id = "walkers"
source = {{ recording = "walkers.inputs.jsonl", loop = true }}
simulated = true
[[camera.zone]]
id = "road"
points = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
[[camera.rule]]
id = "people-on-road"
kind = "pedestrian_on_carriageway"
zone = "road"
min_duration_s = 1.0
"#
    )
}

/// Pedestrians that step onto the road, one every 400 ms, for two minutes.
fn walkers() -> anyhow::Result<String> {
    let mut text = String::new();
    for frame in 0..1200_u32 {
        let time = f64::from(frame) / 10.0;
        let walkers: Vec<String> = (0..300)
            .filter_map(|walker| {
                let age = time - f64::from(walker) * 0.4;
                let lane = f64::from(walker % 10);
                (0.0..3.5).contains(&age).then(|| {
                    format!(
                        r#"{{"class":"person","score":0.9,"box":[{:.5},{:.5},0.02,0.08]}}"#,
                        0.05 + lane * 0.09,
                        0.2 + age * 0.12
                    )
                })
            })
            .collect();
        writeln!(
            text,
            r#"{{"detections":{{"frame":{frame},"time":"1970-01-01T00:{:02}:{:09.6}Z","time_quality":"media","aspect":1.7778,"items":[{}]}}}}"#,
            frame / 600,
            time % 60.0,
            walkers.join(",")
        )?;
    }
    Ok(text)
}
