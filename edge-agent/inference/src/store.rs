//! Which models are described, and which lie on this machine.
//!
//! A store is a list of folders, searched in order. A model lies in
//! `<folder>/<model>/<file>`. Its manifest comes from the catalogue that is
//! compiled in, or from `<folder>/<model>/model.toml`, which comes first: so a
//! model of one's own, or the catalogue's with other thresholds, needs no new
//! program.
//!
//! A file counts as installed only when its SHA-256 is its manifest's.

mod error;

mod described;

mod model_file;

mod durable;

mod fetch;

mod package;

mod install;

pub mod signature;

pub mod bundle;

mod journal;

mod mend;

mod taken_in;

mod versions;

mod self_test;

mod ledger;

mod ground;

mod walk;

mod stopped;

mod trial;

mod second;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use models::{Manifest, ModelId};

use crate::places;
use described::Described;
use install::Wanted;
use model_file::check_file;
use signature::PublicKey;

pub use error::{Fault, ManifestFault, StoreError};
pub use ground::{FailedGround, Ground, GroundLedger};
pub use journal::{Action, JournalEntry};
pub use ledger::{Candidate, FailedModel, SecondLedger, TrialLedger};
pub use second::{AtWork, AtWorkMark, SecondTrial, Started};
pub use self_test::{
    Examinee, Expected, ExpectedLabel, ExpectedText, SELF_TEST, SelfTest, SelfTestFault,
    TestPicture,
};
pub use trial::{ATTEMPTS, HEALTHY_AFTER, OnTrial, StandIn, sees_road_users};
pub use versions::{BundleTerms, InstalledVersion};
pub use walk::StartFault;

/// A list of folders, as `PATH` has it.
const VARIABLE: &str = "NGATU_MODELS";
/// Where packages and administrators put models.
const SYSTEM_FOLDERS: [&str; 2] = ["/var/lib/ngatu/models", "/usr/share/ngatu/models"];

/// A model and whether it is here.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelState {
    /// What it is.
    pub manifest: Manifest,
    /// Whether it is here.
    pub state: Installed,
}

/// Whether a model is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Installed {
    /// Its file, checked just now.
    Installed(PathBuf),
    /// No file.
    Missing,
    /// A file or manifest that may not be used, and why.
    Refused(String),
}

/// What [`ModelStore::verify`] found out about one model.
#[derive(Debug)]
pub struct Verification {
    /// Which.
    pub model: ModelId,
    /// Its file, or what is wrong.
    pub result: Result<PathBuf, StoreError>,
}

/// The models of this machine.
#[derive(Debug)]
pub struct ModelStore {
    folders: Vec<PathBuf>,
    /// Whose signatures are looked at again when an installed version is read.
    trusted: Vec<PublicKey>,
    /// By name; the folder's manifest before the catalogue's.
    described: BTreeMap<ModelId, Result<Described, ManifestFault>>,
    /// Of models with versions: the current one, and its folder.
    homes: BTreeMap<ModelId, (u64, PathBuf)>,
    faults: Vec<ManifestFault>,
    /// Set, somebody has asked the program to end.
    stop: Arc<AtomicBool>,
    /// Whether only what a trusted key vouches for is given out.
    only_signed: bool,
}

impl ModelStore {
    /// Reads the manifests of the catalogue and of the folders, of which the
    /// first has precedence. Folders that do not exist are no fault.
    pub fn open(folders: Vec<PathBuf>) -> Result<Self, StoreError> {
        Self::open_trusting(folders, Vec::new())
    }

    /// The same. Versions that one of these keys has signed are refused where the
    /// signature does not fit any more.
    pub fn open_trusting(
        folders: Vec<PathBuf>,
        trusted: Vec<PublicKey>,
    ) -> Result<Self, StoreError> {
        if folders.is_empty() {
            return Err(StoreError::NoFolder);
        }
        let mut store = Self {
            described: models::catalogue::catalogue_texts()
                .iter()
                .filter_map(|(name, _)| {
                    let id = ModelId::new(*name).ok()?;
                    let described = Described::in_catalogue(&id)?;
                    Some((id, Ok(described)))
                })
                .collect(),
            folders: Vec::new(),
            trusted,
            homes: BTreeMap::new(),
            faults: Vec::new(),
            stop: Arc::default(),
            only_signed: false,
        };
        // Backwards, so that an earlier folder's word is the last.
        for folder in folders.iter().rev() {
            store.read_manifests(folder)?;
        }
        store.faults.reverse();
        store.folders = folders;
        Ok(store)
    }

    /// The same store, which breaks off what it takes in once `stop` is set; and a model that is being
    /// loaded then is not charged if the program ends.
    #[must_use]
    pub fn until(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// The same store. With `true` it gives out only versions that a trusted key has signed,
    /// and files of the catalogue as this program knows it.
    #[must_use]
    pub fn only_signed(self, only_signed: bool) -> Self {
        Self {
            only_signed,
            ..self
        }
    }

    /// The folders of this machine: those in the variable `NGATU_MODELS` if it
    /// is set, else `.local/models` above the current folder and above the
    /// program, the system's, and the user's own.
    pub fn default_dirs() -> Vec<PathBuf> {
        if let Some(list) = std::env::var_os(VARIABLE).filter(|list| !list.is_empty()) {
            return std::env::split_paths(&list)
                .filter(|path| !path.as_os_str().is_empty())
                .collect();
        }
        let mut folders = places::local("models");
        folders.extend(SYSTEM_FOLDERS.map(PathBuf::from));
        let user = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
        folders.extend(
            user.filter(|path| path.is_absolute())
                .map(|data| data.join("ngatu/models")),
        );
        folders
    }

    /// The folders, the first first.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// Every model that is described, in order of preference, its file checked.
    pub fn list(&self) -> Vec<ModelState> {
        let manifests = self.manifests().into_iter();
        manifests
            .map(|manifest| self.with_state(manifest))
            .collect()
    }

    /// One model, its file checked; an error for one that nothing describes.
    pub fn state_of(&self, id: &ModelId) -> Result<ModelState, StoreError> {
        Ok(self.with_state(&self.manifest(id)?.manifest))
    }

    fn with_state(&self, manifest: &Manifest) -> ModelState {
        ModelState {
            state: match self.look_for(manifest) {
                Ok(path) => Installed::Installed(path),
                Err(StoreError::Missing { .. }) => Installed::Missing,
                Err(refusal) => Installed::Refused(refusal.to_string()),
            },
            manifest: manifest.clone(),
        }
    }

    /// Where a model's manifest stands; none for the catalogue's.
    pub fn manifest_file(&self, id: &ModelId) -> Option<PathBuf> {
        if let Some((_, version)) = self.homes.get(id) {
            return Some(version.join(bundle::MANIFEST));
        }
        let mut files =
            (self.folders.iter()).map(|folder| folder.join(id.as_str()).join(bundle::MANIFEST));
        files.find(|file| file.is_file())
    }

    /// Manifests in the folders that cannot be used; such a model is refused,
    /// even when the catalogue knows another manifest by that name.
    pub fn faults(&self) -> &[ManifestFault] {
        &self.faults
    }

    /// Models of which nothing is known but that they lie here damaged.
    pub fn undescribed(&self) -> impl Iterator<Item = (&ModelId, &ManifestFault)> {
        let described = self.described.iter();
        described.filter_map(|(model, described)| Some((model, described.as_ref().err()?)))
    }

    /// A model by name, its file checked.
    pub fn find(&self, id: &ModelId) -> Result<(Manifest, PathBuf), StoreError> {
        let manifest = &self.manifest(id)?.manifest;
        Ok((manifest.clone(), self.look_for(manifest)?))
    }

    /// The installed detector of road users that comes first by rank.
    pub fn best_detector(&self) -> Result<(Manifest, PathBuf), StoreError> {
        let mut refused = String::new();
        for manifest in self.manifests() {
            if !trial::sees_road_users(manifest) {
                continue;
            }
            match self.look_for(manifest) {
                Ok(path) => return Ok((manifest.clone(), path)),
                Err(StoreError::Missing { .. }) => {}
                Err(refusal) => {
                    tracing::warn!(model = %manifest.id, "a better detector is refused: {refusal}");
                    refused.push_str("; ");
                    refused.push_str(&refusal.to_string());
                }
            }
        }
        for fault in &self.faults {
            refused.push_str("; ");
            refused.push_str(&fault.to_string());
        }
        Err(StoreError::NoDetector {
            searched: self.folders.clone(),
            refused,
        })
    }

    /// Whether `model`, once its file is here, is a box's detector before `other` where nobody has chosen.
    pub fn comes_before(&self, model: &ModelId, other: &ModelId) -> bool {
        let manifest = |id: &ModelId| Some(&self.described.get(id)?.as_ref().ok()?.manifest);
        let both = manifest(model).zip(manifest(other));
        both.is_some_and(|(model, other)| {
            trial::sees_road_users(model) && (model.rank, &model.id) < (other.rank, &other.id)
        })
    }

    /// Checks one model, or with `None` every one that is installed or refused.
    pub fn verify(&self, id: Option<&ModelId>) -> Vec<Verification> {
        let one = |model: &ModelId| Verification {
            model: model.clone(),
            result: self.find(model).map(|(_, path)| path),
        };
        match id {
            Some(id) => vec![one(id)],
            None => self
                .described
                .keys()
                .map(one)
                .filter(|v| !matches!(v.result, Err(StoreError::Missing { .. })))
                .collect(),
        }
    }

    /// Fetches a model's file from `from`, a path or an http(s) address, checks
    /// it, and puts it into the first folder that can be written.
    ///
    /// `progress` is told the bytes so far and, when known, how many there will
    /// be. Nothing of a failed installation stays behind.
    pub fn install(
        &self,
        id: &ModelId,
        from: &str,
        progress: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<PathBuf, StoreError> {
        if self.homes.contains_key(id) {
            return Err(StoreError::HasVersions { model: id.clone() });
        }
        let described = self.manifest(id)?;
        let wanted = Wanted {
            manifest: &described.manifest,
            from,
            folders: &self.folders,
            stop: &self.stop,
        };
        let path = install::install(wanted, progress)?;
        if let Some(home) = path.parent().and_then(Path::parent) {
            let detail = format!("from {}", fetch::shown(from));
            // A line is no reason to fail: the file has its name already.
            let _one_at_a_time = durable::lock(home).ok();
            journal::write(home, Action::Installed, &described.candidate(None), &detail);
        }
        Ok(path)
    }

    fn manifests(&self) -> Vec<&Manifest> {
        let mut manifests: Vec<_> = self
            .described
            .values()
            .filter_map(|described| Some(&described.as_ref().ok()?.manifest))
            .collect();
        manifests.sort_by_key(|manifest| (manifest.rank, &manifest.id));
        manifests
    }

    fn manifest(&self, id: &ModelId) -> Result<&Described, StoreError> {
        match self.described.get(id) {
            Some(Ok(described)) => Ok(described),
            Some(Err(fault)) => Err(fault.clone().into()),
            None => Err(StoreError::Unknown {
                model: id.clone(),
                known: self
                    .described
                    .keys()
                    .map(ModelId::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        }
    }

    fn read_manifests(&mut self, folder: &Path) -> Result<(), StoreError> {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => {
                return Err(StoreError::Io {
                    path: folder.to_owned(),
                    source,
                });
            }
        };
        let mut models: Vec<_> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        models.sort();
        for model in models {
            let pointer = versions::pointer(&model);
            let path = match &pointer {
                Some(Ok((_, version))) => version.clone(),
                Some(Err(_)) => model.clone(),
                None => model.join("model.toml"),
            };
            // A pointer to a version that is gone is a fault; a folder without either is nothing.
            if pointer.is_none() && !path.is_file() {
                continue;
            }
            let name = model
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            let described = match &pointer {
                Some(Ok((_, version))) => Described::of_version(version, name, &self.trusted),
                Some(Err(damage)) => Err(Fault::Damaged(damage.clone())),
                None => Described::open(&path, name),
            };
            let described = described.map_err(|fault| ManifestFault {
                path: path.clone(),
                fault,
            });
            if let Err(fault) = &described {
                tracing::warn!("{fault}");
                self.faults.push(fault.clone());
            }
            // A folder with a name that no model can have is a fault, but shadows nothing.
            if let Ok(id) = ModelId::new(name) {
                match pointer {
                    Some(Ok(current)) => self.homes.insert(id.clone(), current),
                    _ => self.homes.remove(&id),
                };
                self.described.insert(id, described);
            }
        }
        Ok(())
    }

    /// Manifests and good files of a model without versions, also where a version of it
    /// has become current.
    fn loose(&self, id: &ModelId) -> impl Iterator<Item = (Candidate, Manifest, PathBuf)> {
        self.folders.iter().filter_map(move |folder| {
            let home = folder.join(id.as_str());
            let described = match std::fs::read_to_string(home.join("model.toml")) {
                Ok(text) => Described::parse(&text, id.as_str()).ok()?,
                Err(_) => Described::in_catalogue(id)?,
            };
            if !self.counts_loose(&described.manifest) {
                return None;
            }
            let file = home.join(&described.manifest.file);
            check_file(&described.manifest, &file).ok()?;
            Some((described.candidate(None), described.manifest, file))
        })
    }

    /// Whether a loose file with this manifest may be given out: nobody signs those, and the
    /// catalogue's are known by their SHA-256.
    fn counts_loose(&self, manifest: &Manifest) -> bool {
        let known = || Described::in_catalogue(&manifest.id);
        !self.only_signed || known().is_some_and(|known| known.manifest == *manifest)
    }

    /// The first good file of a model; the first bad one's fault if there is no good one.
    fn look_for(&self, manifest: &Manifest) -> Result<PathBuf, StoreError> {
        if let Some((version, folder)) = self.homes.get(&manifest.id) {
            let found = self.whole_version(&manifest.id, *version, folder)?;
            return Ok(folder.join(found.manifest.file));
        }
        if !self.counts_loose(manifest) {
            return Err(StoreError::NotSigned {
                model: manifest.id.clone(),
            });
        }
        let mut first_fault = None;
        let id = manifest.id.as_str();
        for folder in self.folders.iter().map(|folder| folder.join(id)) {
            let path = folder.join(&manifest.file);
            if !path.is_file() {
                continue;
            }
            match check_file(manifest, &path) {
                Ok(()) => return Ok(path),
                Err(fault) => first_fault = first_fault.or(Some(fault)),
            }
        }
        Err(first_fault.unwrap_or_else(|| StoreError::Missing {
            model: manifest.id.clone(),
            file: manifest.file.clone(),
            searched: self.folders.clone(),
            obtain: manifest.obtain.clone(),
        }))
    }
}
