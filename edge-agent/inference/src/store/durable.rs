//! Files that are whole or not there, whenever the power fails.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file so that after a failure there is the old content or the new, and nothing between.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = File::create(&partial)
        .and_then(|mut file| {
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

/// Makes names in a folder survive.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// One writer at a time; held until dropped, also by a process that dies.
pub(super) fn lock(folder: &Path) -> io::Result<File> {
    let path = folder.join(".lock");
    let opened = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path);
    let file = match opened {
        // Made by root, who installed something in a folder of ours. To lock it, to read is enough.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => File::open(&path)?,
        opened => opened?,
    };
    file.lock()?;
    Ok(file)
}

/// A file without a name: it is gone with the last handle, whatever happens. For who
/// holds the folder's lock.
pub(super) fn nameless(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".room.{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}
