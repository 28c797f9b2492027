//! One installation: a source that produces steadily, agent, centre, a broker or
//! the centre's own front door, and proxies between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use case_bundle::files::read_keys;
use edge_uplink::{DiskBudget, Outbox};

use crate::cases::Cases;
use crate::debts::Debts;
use crate::ledger::Ledger;
use crate::programs::{Binaries, Process, command, free_address, listening, wait_for};
use crate::proxy::Proxy;
use crate::rates::Sample;
use crate::walkers::{BoxConfig, Walkers};

/// Size of the box's disk: copies of evidence soon have to make room.
const BOX_DISK: &str = "size=64m";
/// Size of the centre's, which never forgets: an hour of a source that is busy.
const CENTRE_DISK: &str = "size=3g";
/// Lines of a log that are shown.
const LAST_WORDS: usize = 6;
/// Longest wait for thousands of events and their cases, on a busy machine.
const LONG: Duration = Duration::from_hours(1);
/// Longest wait for a source that produces twice a second, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// The disk that a box's store is on.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum BoxDisk {
    /// A small one of its own, in memory, where this user may mount one.
    #[default]
    Small,
    /// This machine's.
    Shared,
    /// A btrfs with more room than its quota lets the box have.
    Quota,
}

/// The quota of a box.
pub(crate) const QUOTA_BYTES: &str = "64M";
/// The size of a btrfs that has one; sparse.
const BTRFS_BYTES: u64 = 512 << 20;

impl BoxDisk {
    /// Mounts it; what it became.
    fn mounted_at(self, store: &Path) -> anyhow::Result<Self> {
        Ok(match self {
            Self::Small if mount(store, BOX_DISK) => self,
            Self::Small | Self::Shared => Self::Shared,
            Self::Quota => {
                mount_with_quota(store)?;
                self
            }
        })
    }

    /// Why there can be no btrfs with a quota here, where there can be none.
    pub(crate) fn lacks_quota() -> Option<String> {
        let tried = || -> anyhow::Result<()> {
            let dir = tempfile::tempdir()?;
            let store = dir.path().join("store");
            std::fs::create_dir(&store)?;
            mount_with_quota(&store)?;
            run("umount", &[&store])
        };
        tried().err().map(|error| format!("{error:#}"))
    }
}

/// An image beside the folder, a subvolume of it as the folder, and its limit.
fn mount_with_quota(store: &Path) -> anyhow::Result<()> {
    let image = store.with_extension("btrfs");
    std::fs::File::create(&image)?.set_len(BTRFS_BYTES)?;
    let (image, store) = (image.as_path(), store);
    let root = store.join("box");
    run("mkfs.btrfs", &["-q".as_ref(), image])?;
    run("mount", &["-o".as_ref(), "loop".as_ref(), image, store])?;
    let limited = run("btrfs", &["quota".as_ref(), "enable".as_ref(), store])
        .and_then(|()| run("btrfs", &["subvolume".as_ref(), "create".as_ref(), &root]))
        .and_then(|()| limit(&root, QUOTA_BYTES));
    run("umount", &[store])?;
    limited?;
    run(
        "mount",
        &["-o".as_ref(), "loop,subvol=box".as_ref(), image, store],
    )
}

fn limit(volume: &Path, bytes: &str) -> anyhow::Result<()> {
    run(
        "btrfs",
        &["qgroup".as_ref(), "limit".as_ref(), bytes.as_ref(), volume],
    )
}

fn run(program: &str, arguments: &[&Path]) -> anyhow::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("{program} cannot be run"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {arguments:?}: {}", said.trim());
    }
    Ok(())
}

/// What an installation is to be like.
#[derive(Default)]
pub(crate) struct Setting {
    pub(crate) name: String,
    /// A mosquitto between box and centre; otherwise the centre's own front door.
    pub(crate) has_broker: bool,
    /// Where the box's store is.
    pub(crate) box_disk: BoxDisk,
    /// The data of the centre may have a disk of their own, in memory.
    pub(crate) may_mount_centre: bool,
    /// The centre's clock goes with the box's.
    pub(crate) shares_clock: bool,
    /// Who steps onto the road.
    pub(crate) walkers: Walkers,
    /// What the box watches instead, as in its configuration.
    pub(crate) cameras: Option<String>,
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
    /// Where the store of the box really is.
    pub(crate) box_disk: BoxDisk,
    /// The data of the centre have a disk of their own; it is in memory, so not in
    /// every installation.
    pub(crate) has_centre_disk: bool,
    pub(crate) has_clock: bool,
    /// How many were stored otherwise than by the agent.
    happenings: u64,
    /// How often the agent was killed: each may have kept it from telling of what
    /// it had just stored.
    pub(crate) kills: usize,
}

impl Stage {
    pub(crate) fn set(setting: Setting, binaries: &Binaries) -> anyhow::Result<Self> {
        let Setting {
            name,
            has_broker,
            box_disk,
            may_mount_centre,
            shares_clock,
            walkers,
            cameras,
        } = setting;
        let dir = tempfile::Builder::new().prefix("fault-bench-").tempdir()?;
        let path = dir.path();
        for folder in ["store", "data"] {
            std::fs::create_dir(path.join(folder))?;
        }
        let box_disk = box_disk.mounted_at(&path.join("store"))?;
        let has_centre_disk = may_mount_centre && mount(&path.join("data"), CENTRE_DISK);
        let (broker_at, http_at, mqtt_at) = (free_address()?, free_address()?, free_address()?);
        let mut lines = vec![
            Proxy::before(if has_broker { broker_at } else { mqtt_at })?,
            Proxy::before(http_at)?,
        ];
        if has_broker {
            lines.push(Proxy::before(broker_at)?);
        }
        std::fs::write(path.join("clock"), "+0\n")?;
        std::fs::write(path.join(Walkers::FILE), walkers.recording())?;
        configure(path, &lines, &cameras.unwrap_or_else(|| walkers.camera()))?;
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
        // What passes the broker before it listens comes a second time, later.
        await_ready(http_at)?;
        let agent = start_agent(binaries, path, "box.toml", "agent.log")?;
        let ledger = Ledger::new(path.join("agent.log"), Cases::new(trust, http_at));
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
            box_disk,
            has_centre_disk,
            has_clock: faketime().is_some(),
            happenings: 0,
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
        let programs = [
            ("agent", "agent.log", &mut self.agent),
            ("centre", "centre.log", &mut self.centre),
        ];
        let broker = broker.map(|broker| ("broker", "mosquitto.log", broker));
        for (name, log, program) in programs.into_iter().chain(broker) {
            if let Some(code) = program.ended() {
                let log = std::fs::read_to_string(self.dir.path().join(log))?;
                let last: Vec<&str> = log.lines().rev().take(LAST_WORDS).collect();
                bail!(
                    "the {name} has ended by itself ({code:?}); last of its log first: {last:#?}"
                );
            }
        }
        Ok(())
    }

    /// Ends the agent in order and starts it again with other walkers; of those who
    /// were in sight the events end with it. It must have heard of signals by now.
    pub(crate) fn change_walkers(&mut self, walkers: Walkers) -> anyhow::Result<()> {
        self.end_agent()?;
        self.change_walkers_of_ended(walkers)
    }

    /// Starts an agent that has ended, with other walkers.
    pub(crate) fn change_walkers_of_ended(&mut self, walkers: Walkers) -> anyhow::Result<()> {
        std::fs::write(self.file(Walkers::FILE), walkers.recording())?;
        self.watch(&walkers.camera())
    }

    /// Starts an agent that has ended, with other cameras.
    pub(crate) fn watch(&mut self, cameras: &str) -> anyhow::Result<()> {
        configure(self.dir.path(), &self.lines, cameras)?;
        self.start_agent()
    }

    /// Asks the agent to end; it must do so in order.
    pub(crate) fn end_agent(&mut self) -> anyhow::Result<()> {
        let code = self.agent.terminate()?;
        if code != Some(0) {
            bail!("the agent ended with {code:?}");
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

    /// Waits until the centre says that it is ready, which is to hear the broker.
    pub(crate) fn await_centre(&self) -> anyhow::Result<()> {
        await_ready(self.centre_at.http)
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

    /// What the box has not got rid of yet.
    pub(crate) fn debts(&self) -> anyhow::Result<Debts> {
        let store = self.file("store");
        self.agent.frozen(|| Debts::of(&store))
    }

    /// Looks while the agent stands still, again and again until `act` is content.
    pub(crate) fn await_frozen(
        &mut self,
        what: &str,
        mut act: impl FnMut(&mut Ledger, &Path) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let store = self.file("store");
        let (agent, ledger) = (&self.agent, &mut self.ledger);
        wait_for(what, LONG, || {
            std::thread::sleep(Duration::from_millis(50));
            match agent.frozen(|| act(ledger, &store)) {
                Ok(is_done) => is_done.then_some(Ok(())),
                Err(error) => Some(Err(error)),
            }
        })?
    }

    /// Stores happenings as a morning leaves them behind, with the outbox's own means;
    /// the agent has ended.
    pub(crate) fn store_happenings(&mut self, more: u64) -> anyhow::Result<()> {
        let sample = Sample::read()?;
        let outbox = Outbox::open(&self.file("store"), DiskBudget::default())?;
        for number in self.happenings..self.happenings + more {
            let id = sample.append_whole(&outbox, number)?;
            self.ledger.add((id, 1));
            self.ledger.add((id, 2));
        }
        self.happenings += more;
        Ok(())
    }

    /// Waits until the source is over and everything it showed is in the outbox.
    pub(crate) fn await_source_end(&mut self) -> anyhow::Result<()> {
        let log = self.dir.path().join("agent.log");
        wait_for("the end of the recording", LONG, || {
            let log = std::fs::read_to_string(&log).ok()?;
            log.contains(Walkers::ENDED).then_some(())
        })?;
        self.await_debts("cases of all events", |debts| debts.cases == 0)?;
        self.ledger.refresh()?;
        Ok(())
    }

    /// Waits until what the box owes is as `is_it` wants it.
    pub(crate) fn await_debts(
        &self,
        what: &str,
        is_it: impl Fn(&Debts) -> bool,
    ) -> anyhow::Result<()> {
        let mut last = None;
        wait_for(what, LONG, || {
            // Not all the time: it stops the box.
            std::thread::sleep(Duration::from_millis(300));
            last = self.debts().ok();
            last.as_ref().is_some_and(&is_it).then_some(())
        })
        .with_context(|| format!("{last:?}"))
    }

    /// Sets the agent's clock off by so many seconds.
    pub(crate) fn step_clock(&self, seconds: i64) -> anyhow::Result<()> {
        std::fs::write(self.file("clock"), format!("{seconds:+}\n"))?;
        Ok(())
    }

    /// Gives the box more of its btrfs, or less.
    pub(crate) fn limit_quota(&self, bytes: &str) -> anyhow::Result<()> {
        limit(&self.file("store"), bytes)
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
        let has_box_disk = self.box_disk != BoxDisk::Shared;
        let disks = [(has_box_disk, "store"), (self.has_centre_disk, "data")];
        for (is_mounted, folder) in disks {
            let path = self.file(folder);
            if is_mounted && let Err(error) = Command::new("umount").arg("-l").arg(&path).status() {
                eprintln!("umount {}: {error}", path.display());
            }
        }
    }
}

fn await_ready(centre: SocketAddr) -> anyhow::Result<()> {
    let url = format!("http://{centre}/readyz");
    wait_for("the centre to be ready", PATIENCE, || {
        ureq::get(&url).call().is_ok().then_some(())
    })
}

/// Writes the configuration of a box.
fn configure(dir: &Path, lines: &[Proxy], cameras: &str) -> anyhow::Result<()> {
    for (file, store) in [("box.toml", "store"), ("second.toml", "second")] {
        let config = BoxConfig {
            store,
            mqtt: &format!("mqtt://{}", lines[0].address),
            http: &format!("http://{}", lines[1].address),
            cameras,
        };
        std::fs::write(dir.join(file), config.text())?;
    }
    Ok(())
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
