//! Reads a bundle where it lies. Nothing is unpacked, so no name in an archive
//! can lead anywhere, and no announced length is believed.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

mod ustar;

use crate::manifest::{CASE_FILE, MAX_CASE_BYTES};
use crate::verify::MediaSource;

/// Most entries of an archive that are looked at.
const MAX_ENTRIES: usize = 10_000;

/// An opened bundle.
pub struct BundleShelf(Form);

enum Form {
    Folder(PathBuf),
    Tar { file: File, entries: Vec<Entry> },
    Zip(Box<ZipArchive<File>>),
}

/// A file in a tar: where its bytes are, or nowhere for what is no file.
struct Entry {
    name: String,
    place: Option<(u64, u64)>,
}

/// Why a bundle cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// There is nothing to read.
    #[error("{path}: {source}; give the folder, .zip or .tar of a case")]
    NotThere {
        /// What was asked for.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no archive, or a damaged one.
    #[error("{path}: {reason}")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl BundleShelf {
    /// Opens a folder or an archive; which of the two kinds is told by its first bytes.
    pub fn open(path: &Path) -> Result<Self, ShelfError> {
        let not_there = |source| ShelfError::NotThere {
            path: path.to_owned(),
            source,
        };
        let damaged = |reason: String| ShelfError::Damaged {
            path: path.to_owned(),
            reason,
        };
        if fs::metadata(path).map_err(not_there)?.is_dir() {
            return Ok(Self(Form::Folder(path.to_owned())));
        }
        let mut file = File::open(path).map_err(not_there)?;
        let mut head = [0; 2];
        let is_zip = file.read_exact(&mut head).is_ok() && head == *b"PK";
        file.rewind().map_err(not_there)?;
        if is_zip {
            let mut archive = ZipArchive::new(file).map_err(|error| damaged(error.to_string()))?;
            one_reading(&mut archive).map_err(damaged)?;
            return Ok(Self(Form::Zip(Box::new(archive))));
        }
        let entries = ustar::entries(&file).map_err(damaged)?;
        if entries.is_empty() {
            return Err(damaged("it is neither a .zip nor a .tar".to_owned()));
        }
        Ok(Self(Form::Tar { file, entries }))
    }

    /// The sealed manifest; `None` when there is none. One byte too many of a
    /// larger file is read, so that its size is seen.
    pub fn case(&mut self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.open(CASE_FILE)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(MAX_CASE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Demands that every program finds the same files in a .zip: some go by its
/// list at the end, others by the header before each file, and of two files
/// with one name some show the first and some the last.
fn one_reading(archive: &mut ZipArchive<File>) -> Result<(), String> {
    if archive.len() > MAX_ENTRIES {
        return Err(format!("it has {} entries", archive.len()));
    }
    if archive.has_duplicate_names() {
        return Err(
            "two of its files have one name, and programs differ in which they show".into(),
        );
    }
    // A second archive fits before the first, or into its comment.
    if archive.offset() > 0 || !archive.comment().is_empty() {
        return Err("something stands before its files or after its list of them".into());
    }
    let consistent = archive.validate_header_consistency();
    consistent.map_err(|error| format!("programs differ in what they find in it: {error}"))
}

impl MediaSource for BundleShelf {
    fn names(&mut self) -> Result<Vec<String>, String> {
        let mut names = Vec::new();
        match &mut self.0 {
            Form::Folder(folder) => {
                for entry in fs::read_dir(folder).map_err(|error| error.to_string())? {
                    let entry = entry.map_err(|error| error.to_string())?;
                    names.push(entry.file_name().to_string_lossy().into_owned());
                    if names.len() > MAX_ENTRIES {
                        return Err("it has too many entries".to_owned());
                    }
                }
                names.sort_unstable();
            }
            Form::Tar { entries, .. } => {
                names.extend(entries.iter().map(|entry| entry.name.clone()));
            }
            Form::Zip(archive) => {
                for index in 0..archive.len() {
                    let entry = archive.by_index(index).map_err(|error| error.to_string())?;
                    let name = entry.name().map_err(|error| error.to_string())?;
                    names.push(name.into_owned());
                }
            }
        }
        // A second manifest is no part of the case.
        if let Some(case) = names.iter().position(|name| name == CASE_FILE) {
            names.remove(case);
        }
        Ok(names)
    }

    fn open<'a>(&'a mut self, name: &str) -> io::Result<Option<Box<dyn Read + 'a>>> {
        match &mut self.0 {
            Form::Folder(folder) => {
                let path = folder.join(name);
                match fs::symlink_metadata(&path) {
                    Ok(found) if found.is_file() => Ok(Some(Box::new(File::open(path)?))),
                    // A link leads out of the folder, a pipe never ends.
                    Ok(_) => Err(io::Error::other("it is not a file")),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Form::Tar { file, entries } => {
                let Some(entry) = entries.iter().find(|entry| entry.name == name) else {
                    return Ok(None);
                };
                let (at, length) = entry
                    .place
                    .ok_or_else(|| io::Error::other("it is not a file"))?;
                file.seek(SeekFrom::Start(at))?;
                Ok(Some(Box::new(file.take(length))))
            }
            Form::Zip(archive) => match archive.by_name(name) {
                Ok(entry) if entry.is_file() => Ok(Some(Box::new(entry))),
                Ok(_) => Err(io::Error::other("it is not a file")),
                Err(zip::result::ZipError::FileNotFound) => Ok(None),
                Err(error) => Err(io::Error::other(error.to_string())),
            },
        }
    }
}

#[cfg(test)]
mod tests;
