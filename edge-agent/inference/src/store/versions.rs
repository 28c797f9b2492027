//! Versions of a model, side by side; a pointer says which is current.
//!
//! ```text
//! <folder>/<model>/versions/7/{bundle.toml, bundle.toml.minisig, model.toml, …}
//! <folder>/<model>/current      "7"
//! <folder>/<model>/highest      "7", the anti-rollback mark
//! ```
//!
//! A version's folder is filled under another name, made durable, and renamed;
//! the pointer is replaced by renaming. So whenever the power fails there is the
//! old version or the new one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use models::{Manifest, ModelId};
use protocol::Digest;

use super::bundle::{self, BundleError, LISTING, Unpacked, Vouched};
use super::durable::Place;
use super::error::MEND;
use super::journal::{self, Action};
use super::ledger::Candidate;
use super::mend::{self, Found};
use super::model_file::check_whole;
use super::signature::PublicKey;
use super::walk::Entry;
use super::{ModelStore, StoreError, durable, fetch, taken_in};

const VERSIONS: &str = "versions";
const CURRENT: &str = "current";
const HIGHEST: &str = "highest";

/// What an installation of a bundle may do.
#[derive(Clone, Debug, Default)]
pub struct BundleTerms {
    /// Whose signatures count.
    pub trusted: Vec<PublicKey>,
    /// Take it though nobody trusted signed it.
    pub allow_unsigned: bool,
    /// Take it though this box has had a later version.
    pub allow_downgrade: bool,
}

/// A version that lies in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledVersion {
    /// Of which model.
    pub model: ModelId,
    /// Its number.
    pub version: u64,
    /// SHA-256 of the model's file.
    pub sha256: Digest,
    /// SHA-256 of its manifest's text.
    pub manifest: Digest,
    /// Its folder.
    pub folder: PathBuf,
    /// Who vouches for it.
    pub vouched: Vouched,
    /// Whether it is the current one.
    pub is_current: bool,
    /// Whether it lay here damaged, and was mended by the installation just now.
    pub is_mended: bool,
}

impl InstalledVersion {
    /// As trials know it.
    pub fn candidate(&self) -> Candidate {
        Candidate {
            model: self.model.clone(),
            version: Some(self.version),
            sha256: self.sha256,
            manifest: Some(self.manifest),
        }
    }
}

/// The current version by the pointer in a model's folder.
fn current(model_folder: &Path) -> Option<(u64, PathBuf)> {
    pointer(model_folder)?.ok()
}

/// The same; an error for a pointer that cannot be read. Without any, the model has no
/// current version.
pub(super) fn pointer(model_folder: &Path) -> Option<Result<(u64, PathBuf), String>> {
    let file = model_folder.join(CURRENT);
    fs::symlink_metadata(&file).ok()?;
    let read = fs::read_to_string(&file).map_err(|error| error.to_string());
    Some(read.and_then(|text| match text.trim().parse() {
        Ok(version) => Ok((version, version_folder(model_folder, version))),
        Err(_) => Err(format!("`{CURRENT}` names no version")),
    }))
}

fn version_folder(model_folder: &Path, version: u64) -> PathBuf {
    model_folder.join(VERSIONS).join(version.to_string())
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Numbers of the versions in a model's folder, ascending.
fn numbers(model_folder: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(model_folder.join(VERSIONS)) else {
        return Vec::new();
    };
    let mut numbers: Vec<u64> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        // Without a listing it is not whole.
        .filter(|number| {
            version_folder(model_folder, *number)
                .join(LISTING)
                .is_file()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

impl ModelStore {
    /// Takes a bundle in from a file or an http(s) address, also out of a wheel or
    /// another zip that has it. It does not become the current version by that; see
    /// [`ModelStore::use_version`].
    pub fn install_bundle(
        &self,
        from: &str,
        terms: &BundleTerms,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<InstalledVersion, StoreError> {
        let refuse = |error: BundleError| StoreError::Bundle {
            from: fetch::shown(from),
            error,
        };
        let (source, _) = fetch::open(from, &self.stop).map_err(|fault| StoreError::Fetch {
            from: fetch::shown(from),
            message: fault.message,
            next: fault.next,
        })?;
        let home = self.writable_home()?;
        // What takes long (a download, the unpacking) is done without the lock, which an
        // agent that starts needs as well.
        let source = bundle::source(source, || durable::nameless(&home)).map_err(refuse)?;
        let mut partial = Partial::default();
        let decide = |listing: &bundle::Listing, _: &Vouched| {
            self.refuse_older(listing, terms, &home)?;
            let versions = home.join(listing.model.as_str()).join(VERSIONS);
            let write = |source| BundleError::Write {
                path: versions.clone(),
                source,
            };
            let _one_at_a_time = durable::lock(&home).map_err(write)?;
            let place = Place::folder(&versions, &listing.version.to_string()).map_err(write)?;
            let path = place.path.clone();
            partial.0 = Some(place);
            Ok(path)
        };
        let unpacked = bundle::unpack(
            source,
            &terms.trusted,
            terms.allow_unsigned,
            decide,
            progress,
        )
        .map_err(refuse)?;
        let (model, version) = (unpacked.listing.model.clone(), unpacked.listing.version);
        let model_folder = home.join(model.as_str());
        let folder = version_folder(&model_folder, version);
        let io = |source: io::Error| StoreError::Io {
            path: folder.clone(),
            source,
        };
        let _one_at_a_time = durable::must_lock(&home)?;
        let mut installed = InstalledVersion {
            is_current: current(&model_folder).is_some_and(|(number, _)| number == version),
            sha256: unpacked.manifest.sha256,
            manifest: unpacked.text,
            folder: folder.clone(),
            vouched: unpacked.vouched.clone(),
            is_mended: false,
            model: model.clone(),
            version,
        };
        let candidate = installed.candidate();
        let place = partial.0.as_ref().expect("`decide` made it").path.clone();
        let detail = journal::by_whose_word(&installed.vouched);
        let take_in = |action: Action, detail: &str| {
            journal::write_taken_in(&home, action, &candidate, (detail, unpacked.listed))
        };
        match mend::look(&folder, &unpacked, &terms.trusted, &self.journal()) {
            Found::Nothing => {}
            Found::Whole => {
                self.refuse_older(&unpacked.listing, terms, &home)
                    .map_err(refuse)?;
                let again = self.noted_again(&unpacked, &folder, &home, &terms.trusted);
                if let Some((action, why)) = again {
                    take_in(action, &format!("{why}; {detail}"))?;
                }
                return Ok(installed);
            }
            Found::Another => return Err(refuse(BundleError::Taken(version))),
            Found::Damaged(damage) => {
                take_in(Action::Mended, &format!("{damage}; {detail}"))?;
                mend::replace(&place, &folder, &unpacked.listing).map_err(io)?;
                tracing::warn!(model = %candidate, "mended: {damage}");
                installed.is_mended = true;
                return Ok(installed);
            }
        }
        // Once more: another may have come while this one was unpacked.
        self.refuse_older(&unpacked.listing, terms, &home)
            .map_err(refuse)?;
        let highest = self.highest(&model);
        let action = if version < highest {
            tracing::warn!(%model, version, highest, "an older version is installed, as was asked for");
            Action::Downgraded
        } else {
            Action::Installed
        };
        // The mark before the name: a version that was here is never forgotten.
        let mark = highest.max(version).to_string();
        durable::write(&model_folder.join(HIGHEST), mark.as_bytes()).map_err(io)?;
        // So does its line: a renaming finds room on a full disk, and a line does not.
        take_in(action, &detail)?;
        durable::sync_folder(&place)
            .and_then(|()| fs::rename(&place, &folder))
            .and_then(|()| durable::sync_folder(&model_folder.join(VERSIONS)))
            .and_then(|()| durable::sync_folder(&model_folder))
            .and_then(|()| durable::sync_folder(&home))
            .map_err(io)?;
        Ok(installed)
    }

    /// What is to be noted of a version that lay here whole when its bundle came again.
    fn noted_again(
        &self,
        new: &Unpacked,
        folder: &Path,
        home: &Path,
        trusted: &[PublicKey],
    ) -> Option<(Action, String)> {
        let highest = self.highest(&new.listing.model);
        if new.listing.version < highest {
            let why = format!("it lay here already, beside version {highest}");
            return Some((Action::Downgraded, why));
        }
        let old = bundle::look(folder, trusted).ok()?;
        // Where its signature is gone, the operator takes it without. And of what has no line nobody
        // could tell later how it came.
        let is_noted = taken_in::is_noted(home, &old);
        let is_to_be_noted = !is_noted || taken_in::fault(home, &old).is_some();
        is_to_be_noted.then(|| (Action::Installed, "it lay here already".to_owned()))
    }

    /// Of all folders: a mark in one is not forgotten in another. One that lies here
    /// already may come again, to be mended.
    fn refuse_older(
        &self,
        listing: &bundle::Listing,
        terms: &BundleTerms,
        home: &Path,
    ) -> Result<(), BundleError> {
        let highest = self.highest(&listing.model);
        let there = version_folder(&home.join(listing.model.as_str()), listing.version);
        let is_whole = || {
            let old = bundle::look(&there, &terms.trusted);
            old.is_ok_and(|old| {
                bundle::check_files(&there, &old.listing).is_ok()
                    && taken_in::fault(home, &old).is_none()
            })
        };
        if listing.version >= highest
            || terms.allow_downgrade
            || (fs::symlink_metadata(&there).is_ok() && !is_whole())
        {
            return Ok(());
        }
        Err(BundleError::Older {
            version: listing.version,
            highest,
        })
    }

    /// The versions of a model, ascending; damaged ones are left out.
    pub fn versions(&self, model: &ModelId, trusted: &[PublicKey]) -> Vec<InstalledVersion> {
        let mut versions = Vec::new();
        for folder in &self.folders {
            let model_folder = folder.join(model.as_str());
            let current = current(&model_folder).map(|(number, _)| number);
            for number in numbers(&model_folder) {
                let folder = version_folder(&model_folder, number);
                match bundle::look(&folder, trusted) {
                    Ok(found)
                        if found.listing.model == *model && found.listing.version == number =>
                    {
                        versions.push(InstalledVersion {
                            model: model.clone(),
                            version: number,
                            sha256: found.manifest.sha256,
                            manifest: found.text,
                            folder,
                            vouched: found.vouched,
                            is_current: current == Some(number),
                            is_mended: false,
                        });
                    }
                    Ok(_) => {
                        tracing::warn!(folder = %folder.display(), "its listing is of another model or version");
                    }
                    Err(error) => {
                        tracing::warn!(folder = %folder.display(), "a version that cannot be used: {error}");
                    }
                }
            }
        }
        versions.sort_by_key(|version| version.version);
        versions
    }

    /// Every file of a version against its listing.
    pub fn verify_version(&self, version: &InstalledVersion) -> Result<(), StoreError> {
        self.whole_version(&version.model, version.version, &version.folder)
            .map(drop)
    }

    /// Versions that cannot be used, and what is wrong with each.
    pub fn damaged_versions(&self, model: &ModelId, trusted: &[PublicKey]) -> Vec<(u64, String)> {
        let mut faults = Vec::new();
        for folder in &self.folders {
            let model_folder = folder.join(model.as_str());
            for number in numbers(&model_folder) {
                let folder = version_folder(&model_folder, number);
                if let Err(error) = bundle::look(&folder, trusted) {
                    let (folder, damage) = (folder.display(), error.damage());
                    faults.push((
                        number,
                        format!("version {number} ({folder}): {damage}; {MEND}"),
                    ));
                }
            }
        }
        faults
    }

    /// Manifest and file of one version, its hash checked.
    pub fn find_version(
        &self,
        model: &ModelId,
        version: u64,
    ) -> Result<(Manifest, PathBuf), StoreError> {
        let (_, manifest, file) = self.candidate_version(model, version)?;
        Ok((manifest, file))
    }

    /// What lies in a version's folder, every file of it as listed, and the listing as signed,
    /// or at least as it was taken in.
    pub(super) fn whole_version(
        &self,
        model: &ModelId,
        version: u64,
        folder: &Path,
    ) -> Result<Unpacked, StoreError> {
        let damaged = |damage: String| StoreError::Damaged {
            model: model.clone(),
            version,
            damage,
        };
        let found = bundle::look(folder, &self.trusted).map_err(|error| damaged(error.damage()))?;
        if (&found.listing.model, found.listing.version) != (model, version) {
            return Err(damaged(format!(
                "it is {}@{}",
                found.listing.model, found.listing.version
            )));
        }
        if let Some(home) = folder.ancestors().nth(3)
            && let Some(fault) = taken_in::fault(home, &found)
        {
            return Err(damaged(fault));
        }
        if self.only_signed && matches!(found.vouched, Vouched::Unsigned(_)) {
            return Err(StoreError::NotSigned {
                model: model.clone(),
            });
        }
        bundle::check_files(folder, &found.listing).map_err(damaged)?;
        let file = folder.join(&found.manifest.file);
        check_whole(&found.manifest, &file, &file.display().to_string())?;
        Ok(found)
    }

    /// The same, as trials know it.
    pub(super) fn candidate_version(&self, model: &ModelId, version: u64) -> Entry {
        if let Some(home) = self.home_of(model, version) {
            let folder = version_folder(&home.join(model.as_str()), version);
            let found = self.whole_version(model, version, &folder)?;
            let file = folder.join(&found.manifest.file);
            let candidate = Candidate {
                model: model.clone(),
                version: Some(version),
                sha256: found.manifest.sha256,
                manifest: Some(found.text),
            };
            return Ok((candidate, found.manifest, file));
        }
        let there: Vec<String> = self
            .versions(model, &[])
            .iter()
            .map(|v| v.version.to_string())
            .collect();
        Err(StoreError::NoVersion {
            model: model.clone(),
            version,
            there: if there.is_empty() {
                "none".to_owned()
            } else {
                there.join(", ")
            },
        })
    }

    /// The first folder of models that has it.
    fn home_of(&self, model: &ModelId, version: u64) -> Option<&Path> {
        let has_it = |home: &&PathBuf| {
            let folder = version_folder(&home.join(model.as_str()), version);
            folder.join(LISTING).is_file()
        };
        self.folders.iter().find(has_it).map(PathBuf::as_path)
    }

    /// Makes a version the current one. The store must be opened again to see it.
    pub fn use_version(
        &self,
        model: &ModelId,
        version: u64,
        action: Action,
    ) -> Result<(), StoreError> {
        let (candidate, ..) = self.candidate_version(model, version)?;
        let home = self.home_of(model, version).ok_or(StoreError::NoFolder)?;
        let model_folder = home.join(model.as_str());
        let _one_at_a_time = durable::must_lock(home)?;
        let before = current(&model_folder).map(|(before, _)| before);
        let pointer = model_folder.join(CURRENT);
        durable::write(&pointer, version.to_string().as_bytes()).map_err(|source| {
            StoreError::Io {
                path: pointer.clone(),
                source,
            }
        })?;
        let detail = match before.filter(|before| version < *before) {
            Some(before) => format!("back from version {before}"),
            None => String::new(),
        };
        journal::write(home, action, &candidate, &detail);
        Ok(())
    }

    /// The highest version that this box has had. The journal knows it as well: whoever takes a
    /// model away takes its whole folder, and the mark with it.
    pub fn highest(&self, model: &ModelId) -> u64 {
        let marks = self.folders.iter().flat_map(|folder| {
            let folder = folder.join(model.as_str());
            numbers(&folder)
                .into_iter()
                .chain(number(&folder.join(HIGHEST)))
        });
        let noted = self.folders.iter().flat_map(|home| journal::read(home));
        let noted = noted
            .filter(|entry| entry.model == *model && entry.action.takes_in())
            .filter_map(|entry| entry.version);
        marks.chain(noted).max().unwrap_or(0)
    }

    /// The first folder that can be written.
    pub(super) fn writable_home(&self) -> Result<PathBuf, StoreError> {
        let mut first_fault = None;
        for folder in &self.folders {
            let tried = durable::create_folders(folder).and_then(|()| durable::try_folder(folder));
            match tried {
                Ok(()) => return Ok(folder.clone()),
                Err(source) => {
                    first_fault = first_fault.or(Some(StoreError::Io {
                        path: folder.clone(),
                        source,
                    }));
                }
            }
        }
        Err(first_fault.unwrap_or(StoreError::NoFolder))
    }

    /// What was done to the models of this machine, oldest first.
    pub fn journal(&self) -> Vec<super::JournalEntry> {
        journal::together(self.folders.iter().map(|folder| journal::read(folder)))
    }
}

/// A half-filled folder; goes away unless it got its name.
#[derive(Default)]
struct Partial(Option<Place>);

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(place) = &self.0
            && let Err(error) = fs::remove_dir_all(&place.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %place.path.display(), "an unfinished installation stays behind: {error}");
        }
    }
}
