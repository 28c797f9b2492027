//! Centres that are given an older memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fastrand::Rng;

use super::BUSY;
use crate::debts::Debts;
use crate::ledger::open;
use crate::stage::Stage;
use crate::walkers::Walkers;

/// The database alone; the files that came after it are still there.
pub(super) fn restore(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    let (data, backup) = (stage.data(), stage.file("backup.db"));
    back_up(&data, &backup)?;
    stage.await_more(rng.usize(5..25))?;
    stage.ledger.settle(&data, Duration::from_mins(1));
    stage.centre.kill();
    put_back(&data, &backup)?;
    stage.start_centre()?;
    stage.ledger.doubt(&stage.file("store"), &data);
    Ok(())
}

/// Database and evidence, into the hands of a box that nothing happens before any
/// more: no event tells the centre what it lacks, and a receipt may lack nothing.
pub(super) fn restore_whole(stage: &mut Stage, rng: &mut Rng) -> anyhow::Result<()> {
    let (data, backup) = (stage.data(), stage.file("backup"));
    if backup.exists() {
        std::fs::remove_dir_all(&backup)?;
    }
    std::fs::create_dir(&backup)?;
    // The files after the database, so that all that it counts on are there.
    back_up(&data, &backup.join("centre.db"))?;
    copy_all(&data.join("evidence"), &backup.join("evidence"))?;
    stage.await_more(rng.usize(5..25))?;
    stage.change_walkers(Walkers::NOBODY)?;
    stage.ledger.refresh()?;
    stage.await_debts("all that the box owes", Debts::is_none)?;
    let before = stage.ledger.settle(&data, BUSY);

    stage.centre.kill();
    put_back(&data, &backup.join("centre.db"))?;
    std::fs::remove_dir_all(data.join("evidence"))?;
    copy_all(&backup.join("evidence"), &data.join("evidence"))?;
    stage.start_centre()?;
    stage.ledger.doubt(&stage.file("store"), &data);
    let after = stage.ledger.settle(&data, BUSY);

    // It may not have heard of signals yet, and it has nothing to lose.
    stage.kill_agent();
    stage.change_walkers_of_ended(Walkers::default())?;
    if !before.is_clean() {
        bail!("before the restoration: {before:?}");
    }
    if !after.is_clean() {
        stage.ledger.give_up(&after);
        bail!("without an event after it did not come again: {after:?}");
    }
    Ok(())
}

/// Copies the centre's database while it runs, as a nightly backup does.
fn back_up(centre: &Path, to: &Path) -> anyhow::Result<()> {
    if to.exists() {
        std::fs::remove_file(to)?;
    }
    let name = to.to_str().context("the name of a folder is no text")?;
    open(&centre.join("centre.db"))?.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

/// Puts a backup in the place of the centre's database; the centre is not running.
fn put_back(centre: &Path, from: &Path) -> anyhow::Result<()> {
    for companion in ["centre.db-wal", "centre.db-shm"] {
        let file = centre.join(companion);
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    std::fs::copy(from, centre.join("centre.db"))?;
    Ok(())
}

/// A folder that may grow meanwhile.
fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_all(&path, &to)?;
        } else {
            std::fs::copy(&path, &to).map_or_else(gone, |_| Ok(()))?;
        }
    }
    Ok(())
}

/// A file that had a name for the time of its writing only.
fn gone(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound {
        Ok(())
    } else {
        Err(error)
    }
}
