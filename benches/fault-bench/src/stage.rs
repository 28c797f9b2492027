//! One installation: a source that produces steadily, agent, centre, a broker or
//! the centre's own front door, and proxies between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use case_bundle::files::read_keys;

use crate::ledger::Ledger;
use crate::programs::{Binaries, Process, command, free_address, listening, wait_for};
use crate::proxy::Proxy;
use crate::walkers::{BoxConfig, Walkers};

/// Size of the box's disk: copies of evidence soon have to make room.
const BOX_DISK: &str = "size=64m";
/// Size of the centre's, which never forgets: an hour of a source that is busy.
const CENTRE_DISK: &str = "size=3g";
/// Longest wait for a source that produces twice a second, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// What an installation is to be like.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// A mosquitto between box and centre; otherwise the centre's own front door.
    pub(crate) has_broker: bool,
    /// The data of the centre may have a disk of their own, in memory.
    pub(crate) may_mount_centre: bool,
    /// The centre's clock goes with the box's.
    pub(crate) shares_clock: bool,
    /// Who steps onto the road.
    pub(crate) walkers: Walkers,
}

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
    centre_at: CentreAt,
    /// The store of the box has a small disk of its own.
    pub(crate) has_box_disk: bool,
    /// The data of the centre have a disk of their own; it is in memory, so not in
    /// every installation.
    pub(crate) has_centre_disk: bool,
    pub(crate) has_clock: bool,
    /// How often the agent was killed: each may have kept it from telling of what
    /// it had just stored.
    pub(crate) kills: usize,
}

impl Stage {
    pub(crate) fn set(setting: Setting, binaries: &Binaries) -> anyhow::Result<Self> {
        let Setting {
            name,
            has_broker,
            may_mount_centre,
            shares_clock,
            walkers,
        } = setting;
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
        }
        std::fs::write(path.join(Walkers::FILE), walkers.recording())?;
        std::fs::write(path.join("clock"), "+0\n")?;
        let mqtt = format!("mqtt://{}", lines[0].address);
        let http = format!("http://{}", lines[1].address);
        let config = |store| {
            let config = BoxConfig {
                site: "bench",
                store,
                mqtt: &mqtt,
                http: &http,
                cameras: Walkers::CAMERA,
            };
            config.text()
        };
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
            Some(binaries.start_broker(path, broker_at)?)
        } else {
            None
        };
        let centre_at = CentreAt {
            http: http_at,
            mqtt: mqtt_at,
            broker: lines.get(2).map(|line| line.address),
            shares_clock,
        };
        let centre = centre_at.start(binaries, path)?;
        let agent = start_agent(binaries, path, "box.toml", "agent.log")?;
        let ledger = Ledger::new(path.join("agent.log"), trust);
        Ok(Self {
            name,
            binaries: binaries.clone(),
            ledger,
            agent,
            centre,
            broker,
            lines,
            broker_at,
            centre_at,
            has_box_disk,
            has_centre_disk,
            has_clock: faketime().is_some(),
            kills: 0,
            dir,
        })
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.file("data")
    }

    /// As a power cut would.
    pub(crate) fn kill_agent(&mut self) {
        self.kills += 1;
        self.agent.kill();
    }

    /// Whether each program is there; one that ended by itself is an error.
    pub(crate) fn all_run(&mut self) -> anyhow::Result<()> {
        let broker = self.broker.as_mut();
        let programs = [("agent", &mut self.agent), ("centre", &mut self.centre)];
        for (name, program) in programs
            .into_iter()
            .chain(broker.map(|broker| ("broker", broker)))
        {
            if let Some(code) = program.ended() {
                bail!("the {name} has ended by itself ({code:?})");
            }
        }
        Ok(())
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
        self.centre = self.centre_at.start(&self.binaries, self.dir.path())?;
        Ok(())
    }

    pub(crate) fn start_broker(&mut self) -> anyhow::Result<()> {
        let broker = self
            .binaries
            .start_broker(self.dir.path(), self.broker_at)?;
        self.broker = Some(broker);
        Ok(())
    }

    pub(crate) fn broker_address(&self) -> SocketAddr {
        self.broker_at
    }

    /// Waits until the source has produced so many more revisions.
    pub(crate) fn await_more(&mut self, more: usize) -> anyhow::Result<()> {
        let before = self.ledger.refresh()?;
        let ledger = &mut self.ledger;
        wait_for("more events", PATIENCE, || {
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
    on_a_clock_of_its_own(&mut command, dir);
    Process::start(&mut command, &dir.join(log))
}

/// The library of Debian's `faketime`, where it is installed.
fn faketime() -> Option<PathBuf> {
    let machine = std::env::consts::ARCH;
    let library = format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1");
    Some(PathBuf::from(library)).filter(|library| library.exists())
}

/// So that its clock can be stepped while it runs; only the wall clock.
fn on_a_clock_of_its_own(command: &mut Command, dir: &Path) {
    if let Some(library) = faketime() {
        command
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", dir.join("clock"))
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }
}

/// Where a centre listens, and to what.
struct CentreAt {
    http: SocketAddr,
    mqtt: SocketAddr,
    broker: Option<SocketAddr>,
    shares_clock: bool,
}

impl CentreAt {
    fn start(&self, binaries: &Binaries, dir: &Path) -> anyhow::Result<Process> {
        let mut command = command(&binaries.centre);
        command.args(["run", "--data-dir"]).arg(dir.join("data"));
        command.args(["--http", &self.http.to_string()]);
        match self.broker {
            Some(address) => command.args(["--broker", &format!("mqtt://{address}")]),
            None => command.args(["--mqtt", &self.mqtt.to_string()]),
        };
        if self.shares_clock {
            on_a_clock_of_its_own(&mut command, dir);
        }
        listening(command, &dir.join("centre.log"), self.http)
    }
}
