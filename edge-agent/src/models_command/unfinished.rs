//! A folder that is filled under another name until it is whole: `.NAME.PID.part` beside it.
//!
//! Its run holds it locked, so that what a killed run left is known from what another one is at. The next
//! run for the same folder takes it away: crops show faces, and nobody looks for them in a hidden folder.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use case_bundle::aside;

/// What is not whole yet.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
    _lock: File,
}

impl Unfinished {
    /// A new folder beside `whole`, whose name is `name`.
    pub(super) fn beside(whole: &Path, name: &str) -> anyhow::Result<Self> {
        let parent = parent_of(whole);
        fs::create_dir_all(parent).with_context(|| format!("folder {}", parent.display()))?;
        take_away_what_is_left(parent, name)
            .with_context(|| format!("folder {}", parent.display()))?;
        let path = parent.join(format!(".{name}.{}.part", std::process::id()));
        let lock = fs::create_dir(&path).and_then(|()| File::open(&path));
        let lock = lock.with_context(|| format!("folder {}", path.display()))?;
        // Some network drives lock no folder; then nobody takes it for left behind either.
        drop(lock.try_lock());
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// It is whole: all that is in it is on the disk before it has its name, and then the name is.
    pub(super) fn finish(&self, whole: &Path) -> anyhow::Result<()> {
        sync_all_in(&self.path)
            .and_then(|()| fs::rename(&self.path, whole))
            .and_then(|()| File::open(parent_of(whole))?.sync_all())
            .with_context(|| format!("folder {}", whole.display()))
    }

    /// It will not be.
    pub(super) fn discard(&self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            aside!("warning: {} is left: {error}", self.path.display());
        }
    }
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// After a power cut there are files without content in a folder whose name is there.
fn sync_all_in(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all_in(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(folder)?.sync_all()
}

/// Takes away what killed runs for the folder `name` left in `parent`.
fn take_away_what_is_left(parent: &Path, name: &str) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let found = entry.file_name();
        let is_of_a_run = is_of_a_run(&found.to_string_lossy(), name);
        // A link may lead elsewhere, and none is ours.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let path = entry.path();
        if !is_of_a_run || !is_folder || !is_left(&path) {
            continue;
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => aside!("note: {} of a killed run is taken away", path.display()),
            Err(error) => aside!(
                "warning: {} of a killed run stays: {error}; it may show faces, remove it yourself",
                path.display()
            ),
        }
    }
    Ok(())
}

/// Whether a folder has the name that a run for `name` gives it.
fn is_of_a_run(found: &str, name: &str) -> bool {
    let run = found.strip_prefix('.');
    let run = run.and_then(|rest| rest.strip_prefix(name)?.strip_prefix('.'));
    let run = run.and_then(|rest| rest.strip_suffix(".part"));
    run.is_some_and(|run| !run.is_empty() && run.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Whether nobody holds it.
fn is_left(folder: &Path) -> bool {
    File::open(folder).is_ok_and(|file| file.try_lock().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_taken_away_and_nothing_else() {
        let street = tempfile::tempdir().unwrap();
        let at = |name: &str| street.path().join(name);
        for left in [".val.99999.part", ".val.1.part"] {
            fs::create_dir_all(at(left).join("helmet/day")).unwrap();
            fs::write(at(left).join("helmet/day/1-0.png"), "a face").unwrap();
        }
        let others = [
            ".train.99999.part",
            ".val.99999",
            ".val.7-1.part",
            ".val..part",
            ".val.part",
            "val.99999.part",
            ".valley.99999.part",
        ];
        for other in others {
            fs::create_dir(at(other)).unwrap();
        }
        fs::write(at(".val.3.part"), "no folder").unwrap();
        std::os::unix::fs::symlink(at(".train.99999.part"), at(".val.4.part")).unwrap();
        // Another run is at it.
        fs::create_dir(at(".val.5.part")).unwrap();
        let held = File::open(at(".val.5.part")).unwrap();
        held.try_lock().unwrap();
        let unfinished = Unfinished::beside(&at("val"), "val").unwrap();
        for gone in [".val.99999.part", ".val.1.part"] {
            assert!(!at(gone).exists(), "{gone}");
        }
        for kept in [&others[..], &[".val.3.part", ".val.4.part", ".val.5.part"]].concat() {
            assert!(at(kept).symlink_metadata().is_ok(), "{kept}");
        }
        // Nor does one run take away what another run of this program is at.
        take_away_what_is_left(street.path(), "val").unwrap();
        fs::write(unfinished.path().join("crops.json"), "{}").unwrap();
        unfinished.finish(&at("val")).unwrap();
        assert!(at("val/crops.json").is_file());
    }
}
