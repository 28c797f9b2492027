//! Writes a bundle: a folder, or an archive by the suffix of its name.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::manifest::CASE_FILE;
use crate::removal::{REMOVED_FILE, Removal};

/// Why a bundle was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Something is there.
    #[error("{0} is there already; name another folder or file")]
    IsThere(PathBuf),
    /// A file failed.
    #[error("{path}: {source}; check that the folder exists and the disk has room")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Writes the sealed manifest and its media, each given by its name in the
/// bundle and where its bytes are. `out` ends in `.zip` or `.tar`, or is a
/// folder to make. What was there is never overwritten; what fails in the
/// middle is removed.
pub fn write_bundle(
    out: &Path,
    case: &[u8],
    media: &[(String, PathBuf)],
) -> Result<(), WriteError> {
    write_rest(out, case, media, &[])
}

/// As [`write_bundle`], of a case of which some files are no more; `removed` says
/// which and why.
pub fn write_rest(
    out: &Path,
    case: &[u8],
    media: &[(String, PathBuf)],
    removed: &[Removal],
) -> Result<(), WriteError> {
    let mut own = vec![(CASE_FILE, case.to_vec())];
    if !removed.is_empty() {
        let list = serde_json::to_vec_pretty(removed)
            .map_err(io::Error::from)
            .map_err(named(out))?;
        own.push((REMOVED_FILE, list));
    }
    if fs::symlink_metadata(out).is_ok() {
        return Err(WriteError::IsThere(out.to_owned()));
    }
    let suffix = out.extension().and_then(|suffix| suffix.to_str());
    let written = match suffix {
        Some("zip") => write_zip(out, &own, media),
        Some("tar") => write_tar(out, &own, media),
        _ => write_folder(out, &own, media),
    };
    written.inspect_err(|_| {
        // Half a bundle would be reported as a forged one.
        drop(if out.is_dir() {
            fs::remove_dir_all(out)
        } else {
            fs::remove_file(out)
        });
    })
}

/// A file that the bundle has besides the case's media.
type Own = (&'static str, Vec<u8>);

fn named(path: &Path) -> impl Fn(io::Error) -> WriteError + '_ {
    move |source| WriteError::File {
        path: path.to_owned(),
        source,
    }
}

fn write_folder(out: &Path, own: &[Own], media: &[(String, PathBuf)]) -> Result<(), WriteError> {
    fs::create_dir(out).map_err(named(out))?;
    for (name, from) in media {
        fs::copy(from, out.join(name)).map_err(named(from))?;
    }
    for (name, bytes) in own {
        fs::write(out.join(name), bytes).map_err(named(out))?;
    }
    Ok(())
}

fn write_tar(out: &Path, own: &[Own], media: &[(String, PathBuf)]) -> Result<(), WriteError> {
    let file = File::create_new(out).map_err(named(out))?;
    let mut archive = tar::Builder::new(file);
    let mut append = |name: &str, length: u64, bytes: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_size(length);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes)
    };
    for (name, bytes) in own {
        append(name, bytes.len() as u64, &mut bytes.as_slice()).map_err(named(out))?;
    }
    for (name, from) in media {
        let mut file = File::open(from).map_err(named(from))?;
        let length = file.metadata().map_err(named(from))?.len();
        append(name, length, &mut file).map_err(named(from))?;
    }
    let file = archive.into_inner().map_err(named(out))?;
    file.sync_all().map_err(named(out))
}

fn write_zip(out: &Path, own: &[Own], media: &[(String, PathBuf)]) -> Result<(), WriteError> {
    let file = File::create_new(out).map_err(named(out))?;
    let mut archive = ZipWriter::new(file);
    // JPEG and video do not get smaller.
    let stored = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    let failed = |error: zip::result::ZipError| WriteError::File {
        path: out.to_owned(),
        source: error.into(),
    };
    for (name, bytes) in own {
        archive.start_file(*name, stored).map_err(failed)?;
        io::copy(&mut bytes.as_slice(), &mut archive).map_err(named(out))?;
    }
    for (name, from) in media {
        archive.start_file(name.as_str(), stored).map_err(failed)?;
        let mut file = File::open(from).map_err(named(from))?;
        io::copy(&mut file, &mut archive).map_err(named(from))?;
    }
    let file = archive.finish().map_err(failed)?;
    file.sync_all().map_err(named(out))
}
