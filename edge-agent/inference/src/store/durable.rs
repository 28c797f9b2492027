//! Files that are whole or not there, whenever the power fails.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::StoreError;

const LOCK: &str = ".lock";
/// What is done under the lock takes milliseconds; on a dying disk seconds.
const PATIENCE: Duration = Duration::from_secs(20);
const TRY_EVERY: Duration = Duration::from_millis(20);

/// Tells apart what one process has open at the same time.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Writes a file so that after a failure there is the old content or the new, and nothing between.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.{}.part", unique()));
    let written = File::create(&partial)
        .and_then(|mut file| {
            give_to_owner_of_folder(&file, &partial);
            // So that nobody takes it for what a killed process left.
            drop(file.try_lock());
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&partial, path))
        .and_then(|()| sync_folder(path.parent().unwrap_or(Path::new("."))));
    if written.is_err() {
        // The first error is the one to tell.
        drop(fs::remove_file(&partial));
    }
    written
}

/// A folder that is not there yet, and its parents.
pub(super) fn create_folders(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
        create_folders(parent)?;
    }
    match create_folder(path) {
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        created => created,
    }
}

/// A folder that is not there yet.
pub(super) fn create_folder(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    give_to_owner_of_folder(&File::open(path)?, path);
    Ok(())
}

/// What root makes in a folder of the agent's account is that account's, as what the agent
/// makes itself: it must be able to go on there, and its journal most of all.
pub(super) fn give_to_owner_of_folder(made: &File, path: &Path) {
    let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
    let given = fs::metadata(parent.unwrap_or(Path::new("."))).and_then(|owner| {
        let (it, named) = (made.metadata()?, fs::symlink_metadata(path)?);
        // Not through a link, be it soft or hard: it would give away what lies elsewhere.
        let is_that = (it.dev(), it.ino()) == (named.dev(), named.ino());
        let is_alone = it.is_dir() || it.nlink() == 1;
        if it.uid() == 0 && owner.uid() != 0 && is_that && is_alone {
            fchown(made, Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(())
    });
    if let Err(error) = given {
        tracing::warn!(
            path = %path.display(), %error,
            "it cannot be given to the account whose folder it lies in; the agent may not be able to write it"
        );
    }
}

/// Makes names in a folder survive.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// One writer at a time; held until dropped, also by a process that dies.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    lock_within(folder, PATIENCE)
}

/// The same for who cannot go on without it.
pub(super) fn must_lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.to_owned();
    lock(folder).map_err(|source| match source.kind() {
        io::ErrorKind::TimedOut => StoreError::Busy {
            path,
            message: source.to_string(),
        },
        _ => StoreError::Io { path, source },
    })
}

fn lock_within(folder: &Path, patience: Duration) -> io::Result<File> {
    let file = open_lock(folder)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if began.elapsed() >= patience => {
                let words = format!(
                    "another edge-agent has held the lock `{LOCK}` for {} s: wait for it or end it, then try again",
                    patience.as_secs_f64().ceil()
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, words));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(TRY_EVERY),
        }
    }
}

/// Whether files can be made in a folder, and its lock be had when nobody has it.
pub(super) fn try_folder(folder: &Path) -> io::Result<()> {
    open_lock(folder)?;
    nameless(folder).map(drop)
}

fn open_lock(folder: &Path) -> io::Result<File> {
    let path = folder.join(LOCK);
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    match opened {
        // Made by root, who installed something in a folder of ours. To lock it, to read is enough.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&path),
        opened => opened.inspect(|file| give_to_owner_of_folder(file, &path)),
    }
}

/// A file without a name: it is gone with the last handle, whatever happens.
pub(super) fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".room.{}", unique()));
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// A folder or file that is filled under a name of its own. As long as this lives it is
/// locked, so that what a killed process left is known from what one is at.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    _lock: File,
}

impl Place {
    /// An empty folder in `parent`. For who holds the lock of the folder of models: it
    /// takes away what others have left there.
    pub(super) fn folder(parent: &Path, name: &str) -> io::Result<Self> {
        create_folders(parent)?;
        sweep(parent);
        let path = parent.join(format!(".{name}.{}.part", unique()));
        create_folder(&path)?;
        let lock = File::open(&path)?;
        // Some network drives lock no folder; then nobody takes it for left behind either.
        drop(lock.try_lock());
        Ok(Self { path, _lock: lock })
    }

    /// An empty file in `parent`, which the caller keeps; else the same.
    pub(super) fn file(parent: &Path, name: &str) -> io::Result<(PathBuf, File)> {
        create_folders(parent)?;
        sweep(parent);
        let path = parent.join(format!(".{name}.{}.part", unique()));
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)?;
        give_to_owner_of_folder(&file, &path);
        drop(file.try_lock());
        Ok((path, file))
    }
}

/// Takes away what processes left that were killed at it.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if !(name.starts_with('.') && name.ends_with(".part")) {
            continue;
        }
        // A link may lead out of here: it is taken away and not followed.
        let kind = entry.file_type();
        let gone = match kind.map(|kind| (kind.is_dir(), kind.is_file())) {
            Ok((true, _)) if is_left(&path) => fs::remove_dir_all(&path),
            Ok((_, true)) if is_left(&path) => fs::remove_file(&path),
            Ok((false, false)) => fs::remove_file(&path),
            _ => continue,
        };
        if let Err(error) = gone {
            tracing::warn!(path = %path.display(), %error, "what a killed installation left stays behind");
        }
    }
}

fn is_left(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

fn unique() -> String {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{}-{number}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_get_the_lock_says_so_and_does_not_wait_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        let error = lock_within(folder.path(), Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let message = error.to_string();
        assert!(message.contains("another edge-agent has held"), "{message}");
        // To ask whether one could write there needs no lock.
        try_folder(folder.path()).unwrap();
        drop(held);
        lock_within(folder.path(), Duration::ZERO).unwrap();
    }

    #[test]
    fn what_a_killed_process_left_is_taken_away_and_what_one_is_at_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".7.99999.part");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("net.onnx"), "half").unwrap();
        let at_work = Place::folder(folder.path(), "7").unwrap();
        assert!(!left.exists());
        let (file, _held) = Place::file(folder.path(), "net.onnx").unwrap();
        let second = Place::folder(folder.path(), "7").unwrap();
        assert!(at_work.path.exists() && second.path.exists() && file.exists());
    }
}
