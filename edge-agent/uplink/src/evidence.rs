//! Evidence on the disk: one file per content, named by its SHA-256.
//!
//! `evidence/ab/abcd…`: a file is complete or not there (written beside, synced,
//! renamed, folder synced), and storing the same content twice stores it once.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use case_bundle::manifest::CASE_MEDIA_TYPE;
use case_bundle::sealed::SEALED_HEAD;
use protocol::Digest;
use sha2::{Digest as _, Sha256};

const FOLDER: &str = "evidence";
const UNFINISHED: &str = ".part-";

/// The SHA-256 of some bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Where a content is, or would be.
pub(crate) fn path_of(dir: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    dir.join(FOLDER).join(&name[..2]).join(name)
}

/// The folder of all contents.
pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join(FOLDER)
}

/// Stores a content durably; whether it was new.
pub(crate) fn write(dir: &Path, digest: &Digest, bytes: &[u8]) -> io::Result<bool> {
    let path = path_of(dir, digest);
    if path.exists() {
        return Ok(false);
    }
    let root = folder(dir);
    let folder = path.parent().unwrap_or(&root);
    if !folder.exists() {
        fs::create_dir_all(folder)?;
        sync_dir(&root)?;
        sync_dir(dir)?;
    }
    write_whole(&root, &path, bytes)?;
    Ok(true)
}

/// Writes a file that is whole and on the disk when this returns, or not there; it
/// comes into being in the folder `beside`, on the same disk.
pub(crate) fn write_whole(beside: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = beside.join(format!("{UNFINISHED}{:016x}", fastrand::u64(..)));
    let written = File::create_new(&unfinished).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&unfinished, path)
    });
    if let Err(error) = written {
        // Its space is needed more than its bytes; a failure here leaves a
        // leftover that the next start removes.
        drop(fs::remove_file(&unfinished));
        return Err(error);
    }
    path.parent().map_or(Ok(()), sync_dir)
}

/// Makes a folder's entries durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Every stored content with its length, in order; leftovers of a crash are removed.
pub(crate) fn scan(dir: &Path) -> io::Result<Vec<(Digest, u64)>> {
    let root = dir.join(FOLDER);
    let mut found = Vec::new();
    if !root.exists() {
        return Ok(found);
    }
    for entry in fs::read_dir(&root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            for file in fs::read_dir(entry.path())? {
                let file = file?;
                if let Ok(digest) = file.file_name().to_string_lossy().parse() {
                    found.push((digest, file.metadata()?.len()));
                }
            }
        } else if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_file(entry.path())?;
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The media type by the first bytes, for a file whose row was lost.
pub(crate) fn media_type_of(path: &Path) -> &'static str {
    use std::io::Read as _;
    let mut head = [0; 12];
    let read = File::open(path).and_then(|mut file| file.read(&mut head));
    match (read.unwrap_or(0), &head) {
        (12, [0xff, 0xd8, 0xff, ..]) => "image/jpeg",
        (12, [0x89, b'P', b'N', b'G', ..]) => "image/png",
        (12, [_, _, _, _, b'f', b't', b'y', b'p', ..]) => "video/mp4",
        (12, [0x1a, 0x45, 0xdf, 0xa3, ..]) => "video/x-matroska",
        (12, head) if head[..] == *SEALED_HEAD => CASE_MEDIA_TYPE,
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_content_is_stored_once_and_a_leftover_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let digest = digest_of(b"still");
        assert!(write(dir.path(), &digest, b"still").unwrap());
        assert!(!write(dir.path(), &digest, b"still").unwrap());
        let leftover = dir.path().join("evidence/.part-1");
        fs::write(&leftover, b"half").unwrap();
        assert_eq!(scan(dir.path()).unwrap(), [(digest, 5)]);
        assert!(!leftover.exists());
    }

    #[test]
    fn media_types_are_told_by_the_first_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for (head, media_type) in [
            (&b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01"[..], "image/jpeg"),
            (b"\0\0\0\x20ftypisom\0", "video/mp4"),
            (b"\x1a\x45\xdf\xa3\0\0\0\0\0\0\0\0", "video/x-matroska"),
            (b"{\"manifest\":{", "application/vnd.ngatu.case+json"),
            (b"\xff\xd8", "application/octet-stream"),
            (b"", "application/octet-stream"),
        ] {
            fs::write(&path, head).unwrap();
            assert_eq!(media_type_of(&path), media_type);
        }
    }
}
