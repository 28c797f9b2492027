//! One centre per data folder.
//!
//! Two writers on one database would give out the same change numbers and
//! receipt what the other then refuses. SQLite's own locks last for a
//! transaction only, so the folder itself is locked, for as long as the writer
//! lives. The kernel gives the lock up when the process dies, however it dies:
//! there is no stale file to remove.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use super::StoreError;

/// The data folder, held.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl FolderLock {
    /// Makes the folder where it is missing, and holds it.
    pub(super) fn take(folder: &Path) -> Result<Self, StoreError> {
        let name = || folder.display().to_string();
        let in_folder = |source| StoreError::Folder {
            folder: name(),
            source,
        };
        if let Err(error) = std::fs::create_dir_all(folder) {
            let is_file = matches!(
                error.kind(),
                ErrorKind::AlreadyExists | ErrorKind::NotADirectory
            );
            return Err(if is_file {
                StoreError::NotAFolder(name())
            } else {
                in_folder(error)
            });
        }
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lock"))
            .map_err(in_folder)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::InUse(name())),
            Err(TryLockError::Error(source)) => Err(in_folder(source)),
        }
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Said, and not left to the closing of the file: a process that was
        // being started at this moment may hold a copy of it for an instant.
        if let Err(error) = self.0.unlock() {
            tracing::debug!(%error, "the data folder is given up when the process ends");
        }
    }
}
