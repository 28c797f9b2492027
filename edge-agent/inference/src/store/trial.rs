//! A new model is on trial until it has worked for a while; if it does not, the
//! box goes back to the last good one by itself.
//!
//! What a process cannot do after it was killed must stand on the disk before:
//! the number of starts is written and made durable before the model is loaded,
//! and struck out when it has been healthy for long enough, or was stopped on
//! purpose. A start that finds the number used up does not try again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use models::{Manifest, ModelId, Task};
use protocol::{Digest, EventTime, ObjectClass};
use serde::{Deserialize, Serialize};

use super::journal::{self, Action};
use super::second::SecondLedger;
use super::{ModelStore, StoreError, durable};

/// Starts of a new model that may end badly before the box gives it up. One may
/// be a power failure, two may be bad luck.
pub const ATTEMPTS: u32 = 3;
/// How long a new model must work until it is trusted.
pub const HEALTHY_AFTER: Duration = Duration::from_mins(10);
/// Failed models that are remembered.
const REMEMBERED: usize = 50;

const FILE: &str = "trial.toml";
const USE: &str = "use.toml";

/// A model and which file of it. The same network under another name or version is
/// another one: what stands around it decides what is seen as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Which model.
    pub model: ModelId,
    /// Which version; none for a file without versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// SHA-256 of its file.
    pub sha256: Digest,
}

impl std::fmt::Display for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.version {
            Some(version) => write!(f, "{}@{version}", self.model),
            None => write!(f, "{}", self.model),
        }
    }
}

/// A model that failed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailedModel {
    /// Which.
    #[serde(flatten)]
    pub candidate: Candidate,
    /// Why.
    pub reason: String,
    /// When.
    pub at: EventTime,
}

/// What stands on the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrialLedger {
    /// The last that worked for long enough.
    pub proven: Option<Candidate>,
    /// The one on trial.
    pub trial: Option<Candidate>,
    /// Its starts so far.
    pub attempts: u32,
    /// Those that failed; not tried again unless the operator says so.
    pub failed: Vec<FailedModel>,
    /// Of each model that takes second looks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub second: BTreeMap<ModelId, SecondLedger>,
}

impl TrialLedger {
    /// Why a candidate was given up, if it was.
    pub fn failure_of(&self, candidate: &Candidate) -> Option<&FailedModel> {
        self.failed
            .iter()
            .find(|failed| failed.candidate == *candidate)
    }

    pub(super) fn remember_failure(&mut self, candidate: &Candidate, reason: &str) {
        self.failed.retain(|failed| failed.candidate != *candidate);
        self.failed.push(FailedModel {
            candidate: candidate.clone(),
            reason: reason.to_owned(),
            at: journal::now(),
        });
        let surplus = self.failed.len().saturating_sub(REMEMBERED);
        self.failed.drain(..surplus);
    }

    /// The operator wants it tried again.
    fn forgive(&mut self, candidate: &Candidate) {
        self.failed.retain(|failed| failed.candidate != *candidate);
        if self.trial.as_ref() == Some(candidate) {
            self.attempts = 0;
        }
        for record in self.second.values_mut() {
            if record.trial.as_ref() == Some(candidate) {
                record.attempts = 0;
            }
        }
    }
}

/// Why a model could not be started.
#[derive(Debug)]
pub enum StartFault {
    /// The model's own fault: another may do.
    Model(String),
    /// One that may pass, like a disk that cannot be read: another may do now, and
    /// this one is not the worse for it.
    Passing(String),
    /// Something that another model would meet as well.
    Other(StoreError),
}

/// A model at work, and its trial if it is on one.
#[derive(Debug)]
pub struct OnTrial {
    /// Which.
    pub candidate: Candidate,
    /// Whether it has still to prove itself.
    pub is_on_trial: bool,
    /// Why it is not the one that was wanted.
    pub instead: Option<String>,
    home: Option<PathBuf>,
}

impl ModelStore {
    /// What is known of trials on this machine.
    ///
    /// It stands in the first folder that can be written. Who cannot write any, like
    /// an operator with an account of his own, is told what stands in the first that has it.
    pub fn trials(&self) -> TrialLedger {
        let home = self.folders.iter().find(|folder| is_writable(folder));
        home.into_iter()
            .chain(&self.folders)
            .find_map(|folder| read(folder))
            .unwrap_or_default()
    }

    /// Why no new model can be watched over on this machine by this account, if so.
    pub fn cannot_keep_trials(&self) -> Option<StoreError> {
        self.writable_home().err()
    }

    /// The model that the operator chose with `models use`.
    pub fn used(&self) -> Option<ModelId> {
        #[derive(Deserialize)]
        struct Used {
            model: ModelId,
        }
        self.folders.iter().find_map(|folder| {
            let text = std::fs::read_to_string(folder.join(USE)).ok()?;
            toml::from_str::<Used>(&text).ok().map(|used| used.model)
        })
    }

    /// Makes a model the one for boxes whose configuration names none, and
    /// forgets what it failed at: the operator wants it tried again.
    pub fn choose(&self, model: &ModelId) -> Result<(), StoreError> {
        let (manifest, home) = self.select(model)?;
        let what = (model, self.version_of(model));
        journal::write(&home, Action::Used, what, Some(manifest.sha256), "");
        Ok(())
    }

    /// The same after [`ModelStore::use_version`], which has written the journal.
    pub fn choose_current(&self, model: &ModelId) -> Result<(), StoreError> {
        self.select(model).map(drop)
    }

    fn select(&self, model: &ModelId) -> Result<(Manifest, PathBuf), StoreError> {
        let (manifest, _) = self.find(model)?;
        let home = self.writable_home()?;
        let io = |source| StoreError::Io {
            path: home.clone(),
            source,
        };
        {
            let _one_at_a_time = durable::lock(&home).map_err(io)?;
            let text = format!("# Written by `edge-agent models use`.\nmodel = \"{model}\"\n");
            durable::write(&home.join(USE), text.as_bytes()).map_err(io)?;
        }
        self.forgive(model)?;
        Ok((manifest, home))
    }

    /// Forgets what the current version of a model failed at, wherever that stands.
    pub fn forgive(&self, model: &ModelId) -> Result<(), StoreError> {
        let (candidate, ..) = self.candidate(model)?;
        for folder in &self.folders {
            let Some(before) = read(folder) else { continue };
            let io = |source| StoreError::Io {
                path: folder.clone(),
                source,
            };
            let mut ledger = before.clone();
            ledger.forgive(&candidate);
            // What this account cannot write it need not: its own ledger is another.
            if ledger != before && is_writable(folder) {
                let _one_at_a_time = durable::lock(folder).map_err(io)?;
                write(folder, &ledger).map_err(io)?;
            }
        }
        Ok(())
    }

    /// Starts the wanted model, or the last good one if that fails, with `start`.
    ///
    /// `wanted` is what the configuration names; else what `models use` chose,
    /// else the best by rank. The number of starts is on the disk before `start`
    /// is called.
    pub fn begin<T>(
        &self,
        wanted: Option<&ModelId>,
        mut start: impl FnMut(&Candidate, Manifest, &Path) -> Result<T, StartFault>,
    ) -> Result<(T, OnTrial), StoreError> {
        let home = match self.writable_home() {
            Ok(home) => Some(home),
            Err(error) => {
                tracing::warn!("a new model cannot be watched over: {error}");
                None
            }
        };
        // Of the very folder that is written: else starts never add up.
        let mut ledger = match &home {
            Some(home) => read(home).unwrap_or_default(),
            None => self.trials(),
        };
        let mut tried: Vec<Candidate> = Vec::new();
        let mut first_fault = None;
        let (queue, mut instead) = self.queue(wanted, &ledger)?;
        let unfailed: Vec<Candidate> = queue
            .iter()
            .filter_map(|entry| Some(entry.as_ref().ok()?.0.clone()))
            .filter(|candidate| ledger.failure_of(candidate).is_none())
            .collect();
        for entry in queue {
            let (candidate, manifest, file) = match entry {
                Ok(found) => found,
                Err(error) => {
                    // Named but not there, or not what it should be: said, and the next.
                    instead.get_or_insert_with(|| error.to_string());
                    first_fault = first_fault.or(Some(error));
                    continue;
                }
            };
            if tried.contains(&candidate) {
                continue;
            }
            tried.push(candidate.clone());
            let is_proven = ledger.proven.as_ref() == Some(&candidate);
            let has_other = unfailed.iter().any(|other| !tried.contains(other));
            if let Err(reason) = admit(home.as_deref(), &mut ledger, &candidate, has_other) {
                instead.get_or_insert(format!("{candidate}: {reason}"));
                continue;
            }
            match start(&candidate, manifest, &file) {
                Ok(started) => {
                    if let Some(why) = &instead {
                        tracing::error!(model = %candidate, "not the wanted model is at work: {why}");
                        if let Some(home) = &home {
                            journal::of(home, Action::Returned, &candidate, why);
                        }
                    }
                    return Ok((
                        started,
                        OnTrial {
                            candidate,
                            is_on_trial: !is_proven,
                            instead,
                            home,
                        },
                    ));
                }
                Err(StartFault::Other(error)) => {
                    take_back(home.as_deref(), &mut ledger, &candidate);
                    return Err(error);
                }
                Err(fault @ (StartFault::Model(_) | StartFault::Passing(_))) => {
                    let reason = match fault {
                        StartFault::Model(reason) => {
                            give_up(home.as_deref(), &mut ledger, &candidate, &reason);
                            reason
                        }
                        StartFault::Passing(reason) => {
                            take_back(home.as_deref(), &mut ledger, &candidate);
                            reason
                        }
                        StartFault::Other(error) => return Err(error),
                    };
                    first_fault = first_fault.or(Some(StoreError::DoesNotStart {
                        model: candidate.model.clone(),
                        reason: reason.clone(),
                    }));
                    instead.get_or_insert(format!("{candidate}: {reason}"));
                }
            }
        }
        Err(first_fault.unwrap_or_else(|| StoreError::NoDetector {
            searched: self.folders.clone(),
            refused: String::new(),
        }))
    }

    /// What is to be tried, in order, and why the first is not what was wanted.
    fn queue(
        &self,
        wanted: Option<&ModelId>,
        ledger: &TrialLedger,
    ) -> Result<(Vec<Entry>, Option<String>), StoreError> {
        let first = if let Some(model) = wanted.cloned().or_else(|| self.used()) {
            self.candidate(&model)
        } else {
            let (manifest, file) = self.best_detector()?;
            Ok((self.named(&manifest), manifest, file))
        };
        let mut queue = vec![first];
        // The last good one next, then whatever is there, best first.
        queue.extend(ledger.proven.as_ref().map(|proven| self.exactly(proven)));
        for manifest in self.manifests() {
            if sees_road_users(manifest)
                && let Ok(file) = self.look_for(manifest)
            {
                queue.push(Ok((self.named(manifest), manifest.clone(), file)));
            }
        }
        let failed = |entry: &Entry| {
            let (candidate, ..) = entry.as_ref().ok()?;
            ledger.failure_of(candidate)
        };
        let instead = failed(&queue[0])
            .map(|failed| format!("{} failed here: {}", failed.candidate, failed.reason));
        // What failed comes last of all: a box with only one model goes on trying.
        let (mut queue, last): (Vec<_>, Vec<_>) =
            queue.into_iter().partition(|entry| failed(entry).is_none());
        queue.extend(last);
        Ok((queue, instead))
    }

    /// The version of a model's file, where it has versions.
    pub fn version_of(&self, model: &ModelId) -> Option<u64> {
        self.homes.get(model).map(|(version, _)| *version)
    }

    fn named(&self, manifest: &Manifest) -> Candidate {
        Candidate {
            model: manifest.id.clone(),
            version: self.version_of(&manifest.id),
            sha256: manifest.sha256,
        }
    }

    pub(super) fn candidate(
        &self,
        model: &ModelId,
    ) -> Result<(Candidate, Manifest, PathBuf), StoreError> {
        let (manifest, file) = self.find(model)?;
        Ok((self.named(&manifest), manifest, file))
    }

    pub(super) fn candidate_version(
        &self,
        model: &ModelId,
        version: u64,
    ) -> Result<(Candidate, Manifest, PathBuf), StoreError> {
        let (manifest, file) = self.find_version(model, version)?;
        let candidate = Candidate {
            model: model.clone(),
            version: Some(version),
            sha256: manifest.sha256,
        };
        Ok((candidate, manifest, file))
    }

    /// The very file that was proven, also when its model's current version is another.
    pub(super) fn exactly(
        &self,
        proven: &Candidate,
    ) -> Result<(Candidate, Manifest, PathBuf), StoreError> {
        let found = match proven.version {
            Some(version) => Some(self.find_version(&proven.model, version)?),
            None => self.find_loose(&proven.model),
        };
        found
            .filter(|(manifest, _)| manifest.sha256 == proven.sha256)
            .map(|(manifest, file)| (proven.clone(), manifest, file))
            .ok_or_else(|| StoreError::DoesNotStart {
                model: proven.model.clone(),
                reason: "the file that had proven itself is not there any more".to_owned(),
            })
    }
}

impl OnTrial {
    /// The model has worked for [`HEALTHY_AFTER`]: from now on it is the last good one.
    pub fn prove(&mut self) {
        if !std::mem::replace(&mut self.is_on_trial, false) {
            return;
        }
        let Some(home) = &self.home else { return };
        let mut ledger = read(home).unwrap_or_default();
        ledger.proven = Some(self.candidate.clone());
        ledger.trial = None;
        ledger.attempts = 0;
        ledger
            .failed
            .retain(|failed| failed.candidate != self.candidate);
        save(Some(home), &ledger);
        journal::of(home, Action::Proven, &self.candidate, "");
        tracing::info!(model = %self.candidate, "the model has proven itself; it is the last good one now");
    }

    /// The program ends because somebody said so, or for a fault that is not the
    /// model's; that is no failed start.
    pub fn stop(self) {
        let (true, Some(home)) = (self.is_on_trial, &self.home) else {
            return;
        };
        let mut ledger = read(home).unwrap_or_default();
        take_back(Some(home), &mut ledger, &self.candidate);
    }
}

/// A model with its file, or why it cannot be had.
type Entry = Result<(Candidate, Manifest, PathBuf), StoreError>;

/// Whether a model may be what a box begins with when nobody named one: it gives
/// cases their actors. A detector of helmets or fire is for cascades.
pub fn sees_road_users(manifest: &Manifest) -> bool {
    let is_one = |class: ObjectClass| class == ObjectClass::Person || class.is_vehicle();
    manifest.task == Task::Detection && manifest.classes.named().any(|(_, class)| is_one(class))
}

/// A start that ended by no doing of the model is not an attempt of it.
fn take_back(home: Option<&Path>, ledger: &mut TrialLedger, candidate: &Candidate) {
    if ledger.trial.as_ref() == Some(candidate) {
        ledger.attempts = ledger.attempts.saturating_sub(1);
        save(home, ledger);
    }
}

/// Counts a start of a model on trial, on the disk; `Err` when it has had enough
/// and there is another one to try.
fn admit(
    home: Option<&Path>,
    ledger: &mut TrialLedger,
    candidate: &Candidate,
    has_other: bool,
) -> Result<(), String> {
    if ledger.failure_of(candidate).is_some() || ledger.proven.as_ref() == Some(candidate) {
        return Ok(());
    }
    let attempts = if ledger.trial.as_ref() == Some(candidate) {
        ledger.attempts
    } else {
        0
    };
    if attempts >= ATTEMPTS && has_other {
        let reason =
            format!("the program ended {attempts} times before the model had proven itself");
        give_up(home, ledger, candidate, &reason);
        return Err(reason);
    }
    ledger.trial = Some(candidate.clone());
    ledger.attempts = attempts + 1;
    save(home, ledger);
    Ok(())
}

fn give_up(home: Option<&Path>, ledger: &mut TrialLedger, candidate: &Candidate, reason: &str) {
    tracing::error!(model = %candidate, "given up: {reason}; `edge-agent models use {candidate}` tries it again");
    ledger.remember_failure(candidate, reason);
    ledger.trial = None;
    ledger.attempts = 0;
    if ledger.proven.as_ref() == Some(candidate) {
        ledger.proven = None;
    }
    save(home, ledger);
    if let Some(home) = home {
        journal::of(home, Action::Failed, candidate, reason);
    }
}

pub(super) fn read(home: &Path) -> Option<TrialLedger> {
    let text = std::fs::read_to_string(home.join(FILE)).ok()?;
    match toml::from_str(&text) {
        Ok(ledger) => Some(ledger),
        Err(error) => {
            tracing::warn!(file = %home.join(FILE).display(), "unreadable, begun anew: {}", error.message());
            None
        }
    }
}

/// Whether the ledger can be replaced there; makes nothing.
fn is_writable(folder: &Path) -> bool {
    folder.is_dir() && super::versions::prepare(folder).is_ok()
}

fn write(home: &Path, ledger: &TrialLedger) -> std::io::Result<()> {
    let text = toml::to_string(ledger).map_err(std::io::Error::other)?;
    let text =
        format!("# Written by edge-agent: which model is on trial, and which failed.\n{text}");
    durable::write(&home.join(FILE), text.as_bytes())
}

/// Writes what the next start must know. Without it the model still runs.
pub(super) fn save(home: Option<&Path>, ledger: &TrialLedger) {
    let Some(home) = home else { return };
    if let Err(error) = write(home, ledger) {
        tracing::warn!(
            file = %home.join(FILE).display(), %error,
            "a new model cannot be watched over; check permissions and free space"
        );
    }
}
