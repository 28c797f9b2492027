//! SHA-256 of what streams by.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use protocol::Digest;
use sha2::{Digest as _, Sha256};

/// Why a copy ended before its end.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// The source failed.
    Read(io::Error),
    /// The destination failed.
    Write(io::Error),
    /// There was more than the limit.
    TooLong,
}

pub(crate) fn of_bytes(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// The digest of a file.
pub(crate) fn of_file(path: &Path) -> io::Result<Digest> {
    match copy(
        &mut File::open(path)?,
        &mut io::sink(),
        u64::MAX,
        &mut |_| (),
    ) {
        Ok((digest, _)) => Ok(digest),
        Err(CopyError::Read(error) | CopyError::Write(error)) => Err(error),
        Err(CopyError::TooLong) => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// Copies to the end, but at most `limit` bytes; returns digest and length.
/// `progress` is told the length so far.
pub(crate) fn copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    limit: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<(Digest, u64), CopyError> {
    let mut hasher = Sha256::new();
    let mut length = 0;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok((Digest(hasher.finalize().into()), length)),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        length += read as u64;
        if length > limit {
            return Err(CopyError::TooLong);
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(CopyError::Write)?;
        progress(length);
    }
}
