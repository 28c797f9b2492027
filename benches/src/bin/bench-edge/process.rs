//! Programs under measurement: each a process of its own, whose CPU time and
//! memory are read from the kernel, and which ends with its handle.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::unistd::{Pid, SysconfVar, sysconf};

/// Longest wait for a program to do what it is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A program that runs until it is stopped.
pub(crate) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts it; what it prints goes to `log`.
    pub(crate) fn start(mut command: Command, log: PathBuf) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = std::fs::File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Waits until `probe` gives something; an end of the program is an error with its last words.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut probe: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = probe() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}): {}", self.name, self.last_words());
            }
            ensure!(
                Instant::now() < deadline,
                "waited {} s in vain for {what}: {}",
                PATIENCE.as_secs(),
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// User and system time of all its threads so far, those that ended as well. s.
    pub(crate) fn cpu_s(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name stands in brackets and may hold anything.
        let after_name = stat.rsplit_once(')').context("a stat line")?.1;
        let fields: Vec<&str> = after_name.split_whitespace().collect();
        let ticks = |at: usize| -> anyhow::Result<f64> {
            Ok(fields.get(at).context("a stat field")?.parse()?)
        };
        let per_second = sysconf(SysconfVar::CLK_TCK)?.unwrap_or(100) as f64;
        Ok((ticks(11)? + ticks(12)?) / per_second)
    }

    /// Memory of its own: what it shares is counted by its part (PSS). KiB.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let id = self.child.id();
        let rollup = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup"))?;
        let kib = |key: &str| -> anyhow::Result<f64> {
            let line = rollup
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .with_context(|| format!("{key} of {}", self.name))?;
            Ok(line.trim().trim_end_matches("kB").trim().parse()?)
        };
        Ok(Memory {
            rss_mib: kib("Rss:")? / 1024.0,
            pss_mib: kib("Pss:")? / 1024.0,
            anonymous_mib: kib("Anonymous:")? / 1024.0,
            threads: std::fs::read_dir(format!("/proc/{id}/task"))?.count(),
        })
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let id = i32::try_from(self.child.id())?;
        nix::sys::signal::kill(Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM)?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            ensure!(
                Instant::now() < deadline,
                "{} does not stop: {}",
                self.name,
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The end of what it printed.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone after this.
        let _killed = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// What a process holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident.
    pub(crate) rss_mib: f64,
    /// Resident, shared pages by their part.
    pub(crate) pss_mib: f64,
    /// Resident, without pages of files.
    pub(crate) anonymous_mib: f64,
    /// Threads.
    pub(crate) threads: usize,
}

/// While it lives, what this program starts runs on one processor of those it may use.
///
/// Two processors of one core slow each other by a sixth, and share a cache: a part that runs
/// alone would be measured cheaper than within a program that keeps both busy.
pub(crate) struct OnOneProcessor {
    before: CpuSet,
}

impl OnOneProcessor {
    pub(crate) fn begin() -> anyhow::Result<Self> {
        let before = sched_getaffinity(Pid::from_raw(0))?;
        let last = (0..CpuSet::count())
            .rev()
            .find(|number| before.is_set(*number).unwrap_or(false))
            .context("a processor to run on")?;
        let mut one = CpuSet::new();
        one.set(last)?;
        sched_setaffinity(Pid::from_raw(0), &one)?;
        Ok(Self { before })
    }
}

impl Drop for OnOneProcessor {
    fn drop(&mut self) {
        // It was allowed before.
        sched_setaffinity(Pid::from_raw(0), &self.before).ok();
    }
}

/// User and system time. s.
pub(crate) fn cpu_s(who: UsageWho) -> anyhow::Result<f64> {
    let usage = getrusage(who)?;
    let seconds = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 + t.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// What became of a program that ran to its end.
pub(crate) struct Finished {
    /// User and system time of it and of what it started. s.
    pub(crate) cpu_s: f64,
    pub(crate) printed: String,
    pub(crate) complained: String,
}

/// Runs a program to its end. No other child of this process may end meanwhile,
/// because the kernel keeps one sum for all that have ended.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<Finished> {
    let before = cpu_s(UsageWho::RUSAGE_CHILDREN)?;
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let cpu_s = cpu_s(UsageWho::RUSAGE_CHILDREN)? - before;
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let end: Vec<&str> = complained.lines().rev().take(4).collect();
        bail!(
            "{} failed ({}): {}",
            command.get_program().display(),
            output.status,
            end.into_iter().rev().collect::<Vec<_>>().join(" | ")
        );
    }
    Ok(Finished {
        cpu_s,
        printed: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        complained,
    })
}

/// A port that was free a moment ago, for programs that cannot choose one themselves.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

/// A program of this workspace, beside this one.
pub(crate) fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(
        Path::new(&path).exists(),
        "{} is not built; `make bench-edge` builds all that is needed",
        path.display()
    );
    Ok(path)
}
