//! A new model is on trial until it has worked for a while; if it does not, the
//! box goes back to the last good one by itself.
//!
//! What a process cannot do after it was killed must stand on the disk before:
//! the number of starts is written and made durable before the model is loaded,
//! and struck out when it has been healthy for long enough, or was stopped on
//! purpose. A start that finds the number used up does not try again.

mod chance;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use models::{Manifest, ModelId, Task};
use protocol::ObjectClass;
use serde::Deserialize;

use super::ground::{self, FailedGround, GivenUp, Ground};
use super::journal::{self, Action};
use super::ledger::{self, Candidate, FailedModel, TrialLedger, means};
use super::walk::{self, Entry, NotThis, StartFault};
use super::{ModelStore, StoreError, durable};
use crate::provider::Provider;

use chance::{Chance, Loaded};

/// Starts of a new model that may end badly before the box gives it up. One may
/// be a power failure, two may be bad luck.
pub const ATTEMPTS: u32 = 3;
/// How long a new model must work until it is trusted.
pub const HEALTHY_AFTER: Duration = Duration::from_mins(10);
const USE: &str = "use.toml";

/// A model at work, and its trial if it is on one.
#[derive(Debug)]
pub struct OnTrial {
    /// Which.
    pub candidate: Candidate,
    /// Whether it has still to prove itself.
    pub is_on_trial: bool,
    /// Why it is not the one that was wanted.
    pub instead: Option<String>,
    /// What computes, where that is known.
    pub on: Option<Ground>,
    /// Everything that may compute.
    grounds: Vec<Ground>,
    home: Option<PathBuf>,
    /// Whether its start counts until it is taken back.
    is_counted: bool,
}

/// Who takes the place of the wanted detector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// Who a start tries first.
    pub candidate: Candidate,
    /// Why not the wanted one.
    pub why: String,
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
            .find_map(|folder| ledger::read(folder))
            .unwrap_or_default()
    }

    /// What failed on this machine and is tried no more. One whose manifest was changed
    /// since is another model.
    pub fn failed_here(&self) -> Vec<FailedModel> {
        let is_mended = |failed: &FailedModel| {
            let now = self.candidate_of(&failed.candidate.model);
            now.is_some_and(|now| {
                now.version == failed.candidate.version && !failed.candidate.is(&now)
            })
        };
        let mut failed = self.trials().failed;
        failed.retain(|failed| !is_mended(failed));
        failed
    }

    /// Whether this machine is known to have had a model: by the journal, or by its trials. One
    /// that it never had was not lost.
    pub fn has_had(&self, model: &ModelId) -> bool {
        let trials = self.trials();
        // What an agent wrote that did not note who was begun.
        let failed = trials.failed.iter().map(|failed| &failed.candidate);
        let mut tried = trials.proven.iter().chain(&trials.trial).chain(failed);
        trials.begun.contains(model)
            || tried.any(|tried| tried.model == *model)
            || self.journal().iter().any(|entry| entry.model == *model)
    }

    /// Why no new model can be watched over on this machine by this account, if so.
    pub fn cannot_keep_trials(&self) -> Option<StoreError> {
        self.writable_home().err()
    }

    /// The model that the operator chose with `models use`.
    ///
    /// Where that cannot be read it is the last good one, as it is for a start.
    pub fn used(&self) -> Option<ModelId> {
        self.chosen().unwrap_or_else(|fault| {
            tracing::warn!("{fault}");
            self.trials().proven.map(|proven| proven.model)
        })
    }

    /// The same; an error where somebody has chosen, and it cannot be read whom.
    pub fn chosen(&self) -> Result<Option<ModelId>, StoreError> {
        #[derive(Deserialize)]
        struct Used {
            model: ModelId,
        }
        for folder in &self.folders {
            let file = folder.join(USE);
            let unread = |message: String| StoreError::Choice {
                file: file.clone(),
                message,
            };
            let text = match fs::read_to_string(&file) {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    continue;
                }
                text => text.map_err(|error| unread(error.to_string()))?,
            };
            let used: Used =
                toml::from_str(&text).map_err(|error| unread(error.message().to_owned()))?;
            return Ok(Some(used.model));
        }
        Ok(None)
    }

    /// Makes a model the one for boxes whose configuration names none, and
    /// forgets what it failed at, see [`ModelStore::try_again`].
    pub fn choose(&self, model: &ModelId) -> Result<(), StoreError> {
        let (candidate, home) = self.select(model)?;
        journal::write(&home, Action::Used, &candidate, "");
        Ok(())
    }

    /// The same after [`ModelStore::use_version`], which has written the journal.
    pub fn choose_current(&self, model: &ModelId) -> Result<(), StoreError> {
        self.select(model).map(drop)
    }

    /// Writes down who is in use by rank, so that one of a better rank that comes in
    /// changes nothing until the operator says so.
    pub fn keep(&self, model: &ModelId) -> Result<(), StoreError> {
        match self.chosen() {
            Ok(Some(used)) if used == *model => Ok(()),
            _ => self.write_use(model).map(drop),
        }
    }

    fn select(&self, model: &ModelId) -> Result<(Candidate, PathBuf), StoreError> {
        let (candidate, ..) = self.candidate(model)?;
        let home = self.write_use(model)?;
        self.try_again(model)?;
        Ok((candidate, home))
    }

    fn write_use(&self, model: &ModelId) -> Result<PathBuf, StoreError> {
        let home = self.writable_home()?;
        let is_chosen = matches!(self.chosen(), Ok(Some(chosen)) if chosen == *model);
        let mut before_it = self.folders.iter().take_while(|folder| **folder != home);
        if let Some(first) = before_it.find(|folder| folder.join(USE).exists())
            && !is_chosen
        {
            return Err(StoreError::ChosenBefore {
                model: model.clone(),
                file: first.join(USE),
            });
        }
        let io = |source| StoreError::Io {
            path: home.clone(),
            source,
        };
        let _one_at_a_time = durable::must_lock(&home)?;
        let text = format!("# Written by `edge-agent models`.\nmodel = \"{model}\"\n");
        durable::write(&home.join(USE), text.as_bytes()).map_err(io)?;
        Ok(home)
    }

    /// Forgets what a model failed at, its current version or this one, wherever that
    /// stands, and what was left on this box. It becomes nothing else by that. False where
    /// nothing of that stood anywhere.
    pub fn forgive(&self, model: &ModelId, version: Option<u64>) -> Result<bool, StoreError> {
        self.in_each_ledger(model, version, TrialLedger::forgive)
    }

    /// The same of a model that the operator has put into use: what had ended the program under
    /// another stays left.
    pub fn try_again(&self, model: &ModelId) -> Result<(), StoreError> {
        self.in_each_ledger(model, None, TrialLedger::try_again)?;
        Ok(())
    }

    fn in_each_ledger(
        &self,
        model: &ModelId,
        version: Option<u64>,
        change: fn(&mut TrialLedger, &Candidate),
    ) -> Result<bool, StoreError> {
        let (candidate, ..) = self.candidate_at(model, version)?;
        let mut is_changed = false;
        for folder in &self.folders {
            // What this account cannot write it need not: its own ledger is another.
            if !is_writable(folder) {
                continue;
            }
            let io = |source| StoreError::Io {
                path: folder.join(ledger::FILE),
                source,
            };
            if ledger::try_read(folder).map_err(io)?.is_none() {
                continue;
            }
            let _one_at_a_time = durable::must_lock(folder)?;
            let before = ledger::try_read(folder).map_err(io)?.unwrap_or_default();
            let mut ledger = before.clone();
            change(&mut ledger, &candidate);
            if ledger != before {
                ledger::write(folder, &ledger).map_err(io)?;
                is_changed = true;
            }
        }
        Ok(is_changed)
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
        self.begin_on(wanted, &[], |candidate, manifest, file, _| {
            Ok((start(candidate, manifest, file)?, None))
        })
    }

    /// The same, where it is known on what it may compute, first wish first. `start` is
    /// told what is left of that, and says what computes.
    pub fn begin_on<T>(
        &self,
        wanted: Option<&ModelId>,
        grounds: &[Ground],
        mut start: impl FnMut(
            &Candidate,
            Manifest,
            &Path,
            &[FailedGround],
        ) -> Result<(T, Option<Ground>), StartFault>,
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
            Some(home) => ledger::read(home).unwrap_or_default(),
            None => self.trials(),
        };
        let (queue, instead) = self.queue(wanted, &mut ledger, home.as_deref())?;
        let unfailed: Vec<Candidate> = queue
            .iter()
            .filter_map(|entry| Some(entry.as_ref().ok()?.0.clone()))
            .filter(|candidate| ledger.failure_of(candidate).is_none())
            .collect();
        let home = home.as_deref();
        let begun = walk::first_that_starts(queue, instead, |candidate, manifest, file, tried| {
            let has_other = unfailed.iter().any(|other| !tried.contains(other));
            let before = ledger::update(home, &mut ledger, |ledger| {
                let before = (ledger.trial.clone(), ledger.attempts);
                admit(home, ledger, candidate, has_other).map(|()| before)
            })
            .map_err(NotThis::Next)?;
            let chance = Chance {
                candidate,
                manifest: &manifest,
                file,
                grounds,
                before,
                stop: &self.stop,
            };
            chance.start(home, &mut ledger, &mut start)
        })?;
        let (candidate, instead) = (begun.candidate, begun.instead);
        let Loaded {
            started,
            on,
            is_counted,
        } = begun.started;
        if let Some(why) = &instead {
            tracing::error!(model = %candidate, "not the wanted model is at work: {why}");
            if let Some(home) = home {
                journal::write_once(home, Action::Returned, &candidate, why);
            }
        }
        self.note_in_use(home, &candidate);
        let is_on_trial = ledger::update(home, &mut ledger, |ledger| {
            let is_proven = means(ledger.proven.as_ref(), &candidate);
            let Some(on) = &on else { return !is_proven };
            if is_proven && ledger.on.proven.is_empty() {
                // An agent that did not note it: it was on this, as far as anybody knows.
                ground::add(&mut ledger.on.proven, on);
            }
            let is_new = is_proven && !ledger.on.proven.contains(on);
            if is_counted {
                ledger.on.settle(on, is_new);
            }
            !is_proven || is_new
        });
        let trial = OnTrial {
            is_on_trial,
            is_counted,
            candidate,
            instead,
            on,
            grounds: grounds.to_vec(),
            home: home.map(Path::to_owned),
        };
        Ok((started, trial))
    }

    /// Writes the line of a model that is in use and has none: whoever put it into use was ended between
    /// the switch and its line, or wrote the switch by hand.
    pub(super) fn note_in_use(&self, home: Option<&Path>, candidate: &Candidate) {
        let is_in_use = match candidate.version {
            Some(version) => self.version_of(&candidate.model) == Some(version),
            None => matches!(self.chosen(), Ok(Some(chosen)) if chosen == candidate.model),
        };
        if let Some(home) = home.filter(|_| is_in_use)
            && !journal::tells_in_use(&self.journal(), candidate)
        {
            let detail = "found in use at a start; no line told since when";
            journal::write(home, Action::Used, candidate, detail);
        }
    }

    /// What is to be tried, in order, and why the first is not what was wanted.
    fn queue(
        &self,
        wanted: Option<&ModelId>,
        ledger: &mut TrialLedger,
        home: Option<&Path>,
    ) -> Result<(Vec<Entry>, Option<String>), StoreError> {
        let named = match wanted {
            Some(model) => Ok(Some(model.clone())),
            None => self.chosen(),
        };
        let first = match named {
            Ok(Some(model)) => self.candidate(&model),
            Ok(None) => self.first_unasked(ledger),
            Err(fault) => Err(fault),
        };
        let mut queue = vec![first];
        // The last good one next, then whatever is there, best first.
        queue.extend(ledger.proven.as_ref().map(|proven| self.exactly(proven)));
        for manifest in self.manifests() {
            if sees_road_users(manifest)
                && let Ok(found) = self.candidate(&manifest.id)
            {
                queue.push(Ok(found));
            }
        }
        if queue.iter().all(Result::is_err) && wanted.is_none() && self.used().is_none() {
            self.best_detector()?;
        }
        let there = queue.iter().flatten();
        let found: Vec<&Candidate> = there.map(|(found, ..)| found).collect();
        ledger::update(home, ledger, |ledger| {
            for found in found {
                ledger.adopt(found);
            }
            // Of a start that came to no end: its count stands, and nobody takes it back any more.
            ledger.on.trial = None;
        });
        let failed = |entry: &Entry| {
            let (candidate, ..) = entry.as_ref().ok()?;
            ledger.failure_of(candidate)
        };
        let instead = failed(&queue[0]).map(|failed| {
            let next = failed.next_step();
            format!(
                "{} failed here: {}; {next}",
                failed.candidate, failed.reason
            )
        });
        // What failed comes last of all: a box with only one model goes on trying.
        let (mut queue, last): (Vec<_>, Vec<_>) =
            queue.into_iter().partition(|entry| failed(entry).is_none());
        queue.extend(last);
        Ok((queue, instead))
    }

    /// Who a start begins with in place of the wanted detector (see [`ModelStore::begin`]), where that
    /// failed here, is damaged or gone, or cannot be known. None where it is tried itself, and where
    /// there is nobody else.
    pub fn stand_in(&self, wanted: Option<&ModelId>) -> Option<StandIn> {
        let mut ledger = self.trials();
        let (queue, failed) = self.queue(wanted, &mut ledger, None).ok()?;
        let lost = queue.first()?.as_ref().err().map(ToString::to_string);
        let why = failed.or(lost)?;
        let (candidate, ..) = queue.into_iter().flatten().next()?;
        // What failed is the last of all, and has nobody before it where it is the only one.
        let is_other = ledger.failure_of(&candidate).is_none();
        is_other.then_some(StandIn { candidate, why })
    }

    /// Who is first where nobody was named: the best by rank. One that is damaged is first
    /// all the same, as an error: what takes its place is told to be no choice.
    fn first_unasked(&self, ledger: &TrialLedger) -> Entry {
        let was_at_work = ledger.trial.iter().chain(&ledger.proven);
        for candidate in was_at_work {
            if let Some(Err(fault)) = self.described.get(&candidate.model) {
                return Err(fault.clone().into());
            }
        }
        for manifest in self.manifests() {
            if !sees_road_users(manifest) {
                continue;
            }
            match self.candidate(&manifest.id) {
                Err(StoreError::Missing { .. }) => {}
                found => return found,
            }
        }
        let (manifest, _) = self.best_detector()?;
        self.candidate(&manifest.id)
    }

    /// The version of a model's file, where it has versions.
    pub fn version_of(&self, model: &ModelId) -> Option<u64> {
        self.homes.get(model).map(|(version, _)| *version)
    }

    /// A model as it stands here, as trials know it; its file is not looked at.
    pub fn candidate_of(&self, model: &ModelId) -> Option<Candidate> {
        let described = self.described.get(model)?.as_ref().ok()?;
        Some(described.candidate(self.version_of(model)))
    }

    /// Its current version, or this one, as trials know it; its file checked.
    pub fn candidate_at(
        &self,
        model: &ModelId,
        version: Option<u64>,
    ) -> Result<(Candidate, Manifest, PathBuf), StoreError> {
        match version {
            Some(version) => self.candidate_version(model, version),
            None => self.candidate(model),
        }
    }

    pub(super) fn candidate(&self, model: &ModelId) -> Entry {
        let described = self.manifest(model)?;
        let file = self.look_for(&described.manifest)?;
        let candidate = described.candidate(self.version_of(model));
        Ok((candidate, described.manifest.clone(), file))
    }

    /// The very file and manifest that were proven, also when its model's current version
    /// is another.
    pub(super) fn exactly(&self, proven: &Candidate) -> Entry {
        let found = match proven.version {
            Some(version) => Some(self.candidate_version(&proven.model, version)?),
            None => self
                .loose(&proven.model)
                .find(|(found, ..)| proven.is(found)),
        };
        found
            .filter(|(found, ..)| proven.is(found))
            .ok_or_else(|| StoreError::DoesNotStart {
                model: proven.model.clone(),
                reason: "the file and manifest that had proven themselves are not there any more"
                    .to_owned(),
            })
    }
}

impl OnTrial {
    /// What computes now: another than at the start, where that was lost at work. Who does not
    /// compute proves nothing.
    pub fn computes_on(&mut self, provider: Provider) {
        let moved = |on: &Ground| on.moved_to(provider, &self.grounds);
        if let Some(now) = self.on.as_ref().and_then(moved) {
            self.on = Some(now);
        }
    }

    /// The model has worked for [`HEALTHY_AFTER`]: from now on it is the last good one.
    pub fn prove(&mut self) {
        if !std::mem::replace(&mut self.is_on_trial, false) {
            return;
        }
        let (candidate, on) = (&self.candidate, self.on.as_ref());
        ledger::change(self.home.as_deref(), |home, ledger| {
            if !means(ledger.proven.as_ref(), candidate) {
                ledger.on.proven.clear();
            }
            if let Some(on) = on {
                if ledger.on.trial.as_ref() != Some(on) {
                    // What was on trial was lost, and has proven nothing.
                    ledger.on.settle(on, false);
                }
                ground::add(&mut ledger.on.proven, on);
                ledger.on.forget(on, candidate);
            }
            ledger.proven = Some(candidate.clone());
            ledger.trial = None;
            ledger.attempts = 0;
            ledger.forget_failure(candidate);
            let detail = on.map_or_else(String::new, |on| format!("on {on}"));
            journal::write(home, Action::Proven, candidate, &detail);
        });
        if self.home.is_some() {
            tracing::info!(model = %candidate, "the model has proven itself; it is the last good one now");
        }
    }

    /// The program ends because somebody said so, or for a fault that is not the
    /// model's; that is no failed start.
    pub fn stop(self) {
        if self.is_on_trial && self.is_counted {
            ledger::change(self.home.as_deref(), |_, ledger| {
                take_back(ledger, &self.candidate);
            });
        }
    }
}

/// Whether a model may be what a box begins with when nobody named one: it gives
/// cases their actors. A detector of helmets or fire is for cascades.
pub fn sees_road_users(manifest: &Manifest) -> bool {
    let is_one = |class: ObjectClass| class == ObjectClass::Person || class.is_vehicle();
    manifest.task == Task::Detection && manifest.classes.named().any(|(_, class)| is_one(class))
}

/// A start that ended by no doing of the model, or of what it computes on, is not an
/// attempt of it.
fn take_back(ledger: &mut TrialLedger, candidate: &Candidate) {
    if means(ledger.trial.as_ref(), candidate) {
        ledger.attempts = ledger.attempts.saturating_sub(1);
    }
    take_back_ground(ledger, candidate);
}

fn take_back_ground(ledger: &mut TrialLedger, candidate: &Candidate) {
    if means(ledger.proven.as_ref(), candidate) {
        ledger.on.take_back();
    }
}

/// What a proven model computed on is not used any more.
pub(super) fn leave(home: Option<&Path>, ledger: &mut TrialLedger, given_up: &GivenUp<'_>) {
    ledger.on.give_up(given_up);
    if let Some(home) = home {
        let detail = format!("{}: {}", given_up.ground, given_up.reason);
        journal::write(home, Action::ProviderLeft, given_up.model, &detail);
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
    if ledger.failure_of(candidate).is_some() || means(ledger.proven.as_ref(), candidate) {
        return Ok(());
    }
    let attempts = if means(ledger.trial.as_ref(), candidate) {
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
    ledger.begun.insert(candidate.model.clone());
    ledger.attempts = attempts.saturating_add(1);
    Ok(())
}

fn give_up(home: Option<&Path>, ledger: &mut TrialLedger, candidate: &Candidate, reason: &str) {
    tracing::error!(model = %candidate, "given up: {reason}; `edge-agent models forgive {candidate}` has it tried again");
    ledger.remember_failure(candidate, reason);
    ledger.trial = None;
    ledger.attempts = 0;
    if means(ledger.proven.as_ref(), candidate) {
        ledger.proven = None;
        ledger.on.proven.clear();
    }
    if let Some(home) = home {
        journal::write(home, Action::Failed, candidate, reason);
    }
}

/// Whether the ledger can be replaced there; makes nothing.
fn is_writable(folder: &Path) -> bool {
    folder.is_dir() && durable::try_folder(folder).is_ok()
}
