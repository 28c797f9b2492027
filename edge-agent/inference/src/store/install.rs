//! Taking a model in: fetch, check, and only then give it its name.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use models::Manifest;

use super::durable::{self, Place};
use super::model_file::{check_whole, describe, wrong_digest, wrong_length};
use super::{StoreError, fetch, package};
use crate::digest::{self, CopyError};

/// Without a length in the manifest: more than any model for a box has, less
/// than would fill its disk.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// A model's file that is wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) manifest: &'a Manifest,
    /// A path or an address.
    pub(super) from: &'a str,
    /// It goes into the first that can be written.
    pub(super) folders: &'a [PathBuf],
    /// Set, nobody waits for it any longer.
    pub(super) stop: &'a Arc<AtomicBool>,
}

/// Fetches it, and says how far that has come.
pub(super) fn install(
    wanted: Wanted<'_>,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<PathBuf, StoreError> {
    let Wanted { manifest, from, .. } = wanted;
    let (source, announced) = fetch::open(from, wanted.stop)
        .map_err(|fault| wanted.unreachable(&fault.message, &fault.next))?;
    let mut source = BufReader::with_capacity(64 * 1024, source);
    let is_package = source
        .fill_buf()
        .is_ok_and(|beginning| package::is_package(beginning) && !named_as_one(&manifest.file));
    let mut partial = Partial::create(wanted)?;
    let length = if is_package {
        None
    } else {
        manifest.size_bytes
    };
    let limit = length.unwrap_or(MAX_BYTES);
    let total = length.or(announced);
    progress(0, total);
    let fetched = digest::copy(&mut source, &mut partial.file, limit, &mut |length| {
        progress(length, total);
    });
    let what = format!("what came from {}", fetch::shown(from));
    if is_package && fetched.is_ok() {
        partial.keep_only(wanted)?;
        check_whole(manifest, &partial.path, &what)?;
        return partial.give_name(&manifest.file);
    }
    let why = match fetched {
        Ok((found, length)) => {
            wrong_length(manifest, length).or_else(|| wrong_digest(manifest, found))
        }
        Err(CopyError::TooLong) => Some(format!(
            "has more than {limit} bytes, so it is another file"
        )),
        Err(CopyError::Write(source)) => return Err(partial.io(source)),
        Err(CopyError::Read(error)) => {
            return Err(wanted.unreachable(&error, "nothing was installed; try again"));
        }
    };
    if let Some(why) = why {
        return Err(StoreError::Differs {
            model: manifest.id.clone(),
            what,
            why: why + partial.what_it_looks_like(),
            next: format!(
                "nothing was installed. {}{}",
                manifest.obtain.trim(),
                wanted.own_words()
            ),
        });
    }
    check_whole(manifest, &partial.path, &what)?;
    partial.give_name(&manifest.file)
}

impl Wanted<'_> {
    /// What to do where the manifest is one of these folders' own.
    fn own_words(self) -> String {
        let folders = self.folders.iter();
        let mut own = folders.map(|folder| folder.join(self.manifest.id.as_str()));
        own.find(|folder| folder.join("model.toml").is_file())
            .and_then(|folder| describe(&folder))
            .map_or_else(String::new, |it| {
                format!("\nIf that file is the right one, {it}.")
            })
    }

    fn unreachable(self, error: &dyn std::fmt::Display, next: &str) -> StoreError {
        StoreError::Source {
            model: self.manifest.id.clone(),
            from: fetch::shown(self.from),
            message: error.to_string(),
            next: next.to_owned(),
        }
    }
}

/// Whether the model itself is a package by its name.
fn named_as_one(file: &str) -> bool {
    [".zip", ".tar", ".gz", ".tgz"]
        .iter()
        .any(|end| file.ends_with(end))
}

/// A file without a name of its own yet; goes away unless it gets one.
struct Partial {
    file: File,
    path: PathBuf,
    named: bool,
}

impl Partial {
    /// In the first folder that lets us: beside its final place, so that the
    /// renaming is atomic.
    fn create(wanted: Wanted<'_>) -> Result<Self, StoreError> {
        let manifest = wanted.manifest;
        let mut first_fault = None;
        for home in wanted.folders {
            let folder = home.join(manifest.id.as_str());
            let created = durable::create_folders(&folder)
                .and_then(|()| durable::lock(home))
                .and_then(|_one_at_a_time| Place::file(&folder, &manifest.file));
            match created {
                Ok((path, file)) => {
                    return Ok(Self {
                        file,
                        path,
                        named: false,
                    });
                }
                Err(source) => {
                    first_fault = first_fault.or(Some(StoreError::Io {
                        path: folder,
                        source,
                    }));
                }
            }
        }
        Err(first_fault.unwrap_or(StoreError::NoFolder))
    }

    fn io(&self, source: io::Error) -> StoreError {
        StoreError::Io {
            path: self.path.clone(),
            source,
        }
    }

    /// Of a package, only the model.
    fn keep_only(&mut self, wanted: Wanted<'_>) -> Result<(), StoreError> {
        let manifest = wanted.manifest;
        let found = self
            .file
            .rewind()
            .and_then(|()| package::extract(manifest, &mut self.file))
            .map_err(|error| {
                let next = format!("nothing was installed. {}", manifest.obtain.trim());
                wanted.unreachable(&error, &next)
            })?;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(&found))
            .map_err(|source| self.io(source))
    }

    /// Power may fail at any time; after this the file is there, whole, or not at all.
    fn give_name(mut self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.path.with_file_name(name);
        let named = self
            .file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, &path))
            .and_then(|()| {
                let folder = path.parent().unwrap_or(Path::new("."));
                File::open(folder)?.sync_all()
            });
        match named {
            Ok(()) => {
                self.named = true;
                Ok(path)
            }
            Err(source) => Err(self.io(source)),
        }
    }

    /// What people get most often instead of a model, from the first bytes.
    fn what_it_looks_like(&self) -> &'static str {
        let mut beginning = [0; 64];
        let read = File::open(&self.path)
            .and_then(|mut file| file.read(&mut beginning))
            .unwrap_or(0);
        let text = String::from_utf8_lossy(&beginning[..read])
            .trim_start()
            .to_ascii_lowercase();
        if text.starts_with("<!doctype") || text.starts_with("<html") {
            " (it is a web page: use the address of the file itself)"
        } else if text.starts_with("version https://git-lfs") {
            " (it is a Git LFS pointer: fetch the file it points to)"
        } else {
            ""
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.named
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), "an unfinished download stays behind: {error}");
        }
    }
}
