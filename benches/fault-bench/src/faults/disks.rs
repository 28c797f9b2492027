//! Disks that are full, that only read, or that forget.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fastrand::Rng;

use super::BUSY;
use crate::debts::Debts;
use crate::programs::wait_for;
use crate::stage::{QUOTA_BYTES, Stage};

/// SQLite's page.
const PAGE: usize = 4096;

/// Fills a disk up to a few pages, so that another write fails each time, and
/// makes room again.
pub(super) fn fill(stage: &mut Stage, rng: &mut Rng, folder: &str) -> anyhow::Result<()> {
    let ballast = Ballast(stage.file(folder).join("ballast"));
    ballast.take_all()?;
    ballast.give_back(rng.u64(0..48) * 4096)?;
    let more = stage.await_more(12);
    ballast.remove()?;
    more
}

/// As [`fill`], on a file system that has room and a quota that is used up.
pub(super) fn fill_quota(stage: &mut Stage, _: &mut Rng) -> anyhow::Result<()> {
    let ballast = Ballast(stage.file("store").join("ballast"));
    ballast.take_all()?;
    let more = stage.await_more(12);
    // Within a quota that is used up btrfs may not even shorten or remove a file.
    stage.limit_quota("none")?;
    ballast.remove()?;
    stage.limit_quota(QUOTA_BYTES)?;
    more
}

/// A file of somebody else.
struct Ballast(PathBuf);

impl Ballast {
    /// All the room that there is.
    fn take_all(&self) -> anyhow::Result<()> {
        let mut file = File::options().create(true).append(true).open(&self.0)?;
        let piece = vec![0; 1 << 20];
        while file.write_all(&piece).is_ok() {}
        while file.write_all(&piece[..4096]).is_ok() {}
        Ok(())
    }

    fn give_back(&self, bytes: u64) -> anyhow::Result<()> {
        let file = File::options().write(true).open(&self.0)?;
        let full = file.metadata()?.len();
        file.set_len(full.saturating_sub(bytes))?;
        Ok(())
    }

    fn remove(&self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.0).context("the ballast")
    }
}

pub(super) fn read_only(stage: &mut Stage, _: &mut Rng) -> anyhow::Result<()> {
    stage.kill_agent();
    stage.remount("store", "ro")?;
    let said = refuses_to_start(stage);
    stage.remount("store", "rw")?;
    stage.start_agent()?;
    said
}

/// An agent that could store nothing must not run.
fn refuses_to_start(stage: &mut Stage) -> anyhow::Result<()> {
    stage.start_agent()?;
    let code = wait_for("the end of an agent that can store nothing", BUSY, || {
        stage.agent.ended()
    })?;
    let log = std::fs::read_to_string(stage.file("agent.log"))?;
    if code == Some(0) || !log.contains("the outbox could not be opened") {
        bail!("on a read-only disk the agent ended with {code:?} and did not say why");
    }
    Ok(())
}

/// Overwrites a page of the outbox after a kill, as a failing card does.
pub(super) fn damage(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    // What is hit is lost where nobody else has it; so only what is receipted.
    let data = stage.data();
    stage.ledger.refresh()?;
    stage.ledger.settle(&data, Duration::from_secs(90));
    stage.kill_agent();
    let file = File::options().write(true).open(outbox(stage))?;
    let pages = file.metadata()?.len() / PAGE as u64;
    if pages > 4 {
        // The first half: the newest rows are at the end, or still in the log.
        let page = rng.u64(1..=pages / 2);
        file.write_all_at(&[rng.u8(..); PAGE], page * PAGE as u64)?;
    }
    stage.start_agent()
}

/// Overwrites the older half of the outbox while the agent has it open, and takes
/// all room at the same instant and again whenever the agent makes some: to drop the
/// oldest copies it reads what is damaged, and to replace the file it has no room.
pub(super) fn damage_on_a_full_disk(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    // More than SQLite remembers of it (2 MB), or it would not look.
    while std::fs::metadata(outbox(stage))?.len() < 3 << 20 {
        stage.kill_agent();
        stage.store_happenings(300)?;
        stage.start_agent()?;
        stage.await_more(1)?;
    }
    let (file, ballast) = (outbox(stage), Ballast(stage.file("store").join("ballast")));
    let garbage = rng.u8(..);
    let found = |stage: &Stage| -> anyhow::Result<usize> {
        let log = std::fs::read_to_string(stage.file("agent.log"))?;
        Ok(log.matches("the outbox file is damaged").count())
    };
    let before = found(stage)?;
    // What is hit is lost where nobody else has it; so only what is receipted.
    stage.await_frozen("an instant in which all is receipted", |_, store| {
        if Debts::of(store)?.messages > 0 {
            return Ok(false);
        }
        let file = File::options().write(true).open(&file)?;
        let pages = file.metadata()?.len() / PAGE as u64;
        for page in 1..=pages / 2 {
            file.write_all_at(&[garbage; PAGE], page * PAGE as u64)?;
        }
        ballast.take_all()?;
        Ok(true)
    })?;
    let stored = stage.ledger.refresh()?;
    let more = wait_for("events beside a full disk", BUSY, || {
        ballast.take_all().ok()?;
        (stage.ledger.refresh().ok()? >= stored + 12).then_some(())
    });
    ballast.remove()?;
    more?;
    if found(stage)? > before {
        return Ok(());
    }
    // It did not look there, or could not read what is to be sent. The next start finds
    // it; what is in memory is on the disk once nothing is said of a full one.
    stage.await_more(4)?;
    stage.kill_agent();
    stage.start_agent()
}

fn outbox(stage: &Stage) -> PathBuf {
    stage.file("store").join("outbox.db")
}

pub(super) fn delete_evidence(stage: &mut Stage, _: &mut Rng) -> anyhow::Result<()> {
    let folder = stage.file("store").join("evidence");
    match std::fs::remove_dir_all(&folder) {
        // The agent may put a file into it meanwhile.
        Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => {
            Err(error).context("the evidence folder")
        }
        _ => Ok(()),
    }
}
