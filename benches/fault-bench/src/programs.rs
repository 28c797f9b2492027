//! The real programs, each a process of its own on loopback, killed when its
//! handle is dropped.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// Longest wait for a program to be there.
const STARTED: Duration = Duration::from_mins(3);

/// More than this between two looks is not time that the programs had.
const LONGEST_STEP: Duration = Duration::from_secs(2);

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    pub(crate) agent: PathBuf,
    pub(crate) centre: PathBuf,
    pub(crate) broker: PathBuf,
}

impl Binaries {
    /// Those that were built beside this program, unless `folder` says otherwise.
    pub(crate) fn find(folder: Option<&Path>) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let folder = folder.or(own.parent()).context("this program is nowhere")?;
        let found = |name: &str| {
            let path = folder.join(name);
            if path.exists() {
                Ok(path)
            } else {
                bail!(
                    "{} is not built; run `cargo build -p edge-agent -p aggregator`, or name its folder with --programs",
                    path.display()
                )
            }
        };
        let broker = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .map(PathBuf::from)
            .find(|path| path.exists())
            .context("mosquitto is not installed; run `apt-get install mosquitto`")?;
        Ok(Self {
            agent: found("edge-agent")?,
            centre: found("aggregator")?,
            broker,
        })
    }
}

impl Binaries {
    /// A mosquitto that lets everybody in; its files are in `dir`.
    pub(crate) fn start_broker(&self, dir: &Path, at: SocketAddr) -> anyhow::Result<Process> {
        let config = dir.join("mosquitto.conf");
        let text = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\nuser root\n",
            at.port()
        );
        std::fs::write(&config, text)?;
        let mut command = command(&self.broker);
        command.arg("-c").arg(config);
        listening(command, &dir.join("mosquitto.log"), at)
    }
}

/// A command that dies with the thread that started it, however that ends.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program);
    command
}

/// A running program.
pub(crate) struct Process(Child);

impl Process {
    /// Its output goes to the end of `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{command:?}"))?;
        Ok(Self(child))
    }

    /// `kill -9`, as a power cut would.
    pub(crate) fn kill(&mut self) {
        // It may have ended; either way it is gone after this.
        drop((self.0.kill(), self.0.wait()));
    }

    /// Its exit code once it has ended; the inner `None`: a signal ended it.
    #[allow(clippy::option_option)] // two different kinds of nothing
    pub(crate) fn ended(&mut self) -> Option<Option<i32>> {
        self.0.try_wait().ok().flatten().map(|status| status.code())
    }

    /// `STOP` freezes it, `CONT` lets it go on, `TERM` asks it to end.
    pub(crate) fn signal(&self, name: &str) -> anyhow::Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.0.id().to_string()])
            .status()?;
        if !status.success() {
            bail!("kill -{name} failed");
        }
        Ok(())
    }

    /// Does something while none of its threads does anything.
    pub(crate) fn frozen<T>(&self, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.signal("STOP")?;
        let tasks = PathBuf::from(format!("/proc/{}/task", self.0.id()));
        let stopped = wait_for("a program to stop", STARTED, || {
            let mut tasks = std::fs::read_dir(&tasks).ok()?;
            tasks
                .all(|task| task.is_ok_and(|task| is_stopped(&task.path())))
                .then_some(())
        });
        let done = stopped.and_then(|()| act());
        self.signal("CONT")?;
        done
    }

    /// Asks it to end, and waits; its exit code.
    pub(crate) fn terminate(&mut self) -> anyhow::Result<Option<i32>> {
        self.signal("TERM")?;
        wait_for("the end of a program", STARTED, || self.ended())
    }
}

/// Whether a thread stands still, or is gone.
fn is_stopped(task: &Path) -> bool {
    let Ok(stat) = std::fs::read_to_string(task.join("stat")) else {
        return true;
    };
    // After the name, which may hold anything (proc(5)).
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    matches!(state, Some('T' | 'Z' | 'X'))
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits until `probe` gives something.
pub(crate) fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> anyhow::Result<T> {
    let mut waited = Duration::ZERO;
    loop {
        let begun = Instant::now();
        if let Some(found) = probe() {
            return Ok(found);
        }
        if waited >= patience {
            bail!("waited {} s in vain for {what}", patience.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
        // A machine that slept meanwhile has not waited.
        waited += begun.elapsed().min(LONGEST_STEP);
    }
}

/// Starts `start` and waits until it listens on `address`.
pub(crate) fn listening(
    mut command: Command,
    log: &Path,
    address: SocketAddr,
) -> anyhow::Result<Process> {
    let mut process = Process::start(&mut command, log)?;
    wait_for(&format!("{command:?} on {address}"), STARTED, || {
        // It may have ended at once, and somebody else may listen there.
        (process.ended().is_none() && TcpStream::connect(address).is_ok()).then_some(())
    })
    .with_context(|| format!("see {}", log.display()))?;
    Ok(process)
}

/// Below those that systems give to outgoing connections (from 32768 on): while a
/// program is dead, nobody is given its address.
const PORTS: std::ops::Range<u16> = 16_000..32_000;

/// An address that is free, and that this process gives out once.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let next = NEXT.get_or_init(|| AtomicU16::new(fastrand::u16(..)));
    for _ in PORTS {
        let port = PORTS.start + next.fetch_add(1, Ordering::SeqCst) % (PORTS.end - PORTS.start);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener.local_addr()?);
        }
    }
    bail!("no port is free")
}
