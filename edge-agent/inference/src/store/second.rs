//! Trials of models that take second looks, of which a box may have several.
//!
//! A start of the main detector is counted before it is loaded ([`super::trial`]).
//! That would not do here: with three models at work, two of them new, it must be
//! known which of them ended the program. So who loads, or looks, stands in a small
//! file while it does. The next start reads it and charges whoever is named there,
//! and nobody else. The file is not synced: it survives the end of the program, and
//! need not survive a power failure, which is no model's fault.
//!
//! One that fails gives way to its own last good version, or is left out. It takes
//! no other model's place: what a cascade gives, only its own model gives.
//!
//! A model in the detector's shadow is tried in the same way. It looks on a thread of
//! its own, so its words stand in a file of its own, and who else looked at the moment
//! of the end is suspected with it. Nothing takes its place: it is there to be compared.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use models::{Manifest, ModelId};
use serde::{Deserialize, Serialize};

use super::ground::{self, FailedGround, GivenUp, Ground};
use super::journal::{self, Action};
use super::ledger::{self, Candidate, TrialLedger, change, means};
use super::stopped;
use super::trial::{self, ATTEMPTS};
use super::walk::{self, Entry, NotThis, StartFault};
use super::{ModelStore, StoreError};
use crate::provider::Provider;

/// Name of the file, with the number of the program that has it.
const FILE: &str = "at-work";
/// Programs that may use one folder of models at the same time.
const PROGRAMS: usize = 16;
/// In the file's first place when nobody is at work.
const NOBODY: &[u8] = b"-";
/// Of a longer file no more is read.
const LONGEST: usize = 4096;

/// Where it stands who is at work, for the next start of the program.
#[derive(Clone, Debug, Default)]
pub struct AtWork {
    place: Option<Arc<Place>>,
    /// Set, somebody has asked the program to end.
    stop: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Place {
    home: PathBuf,
    /// Locked for as long as the program lives.
    file: File,
    /// Nobody is on trial any more.
    is_over: AtomicBool,
    is_told: AtomicBool,
}

/// Words for the file: these models are at work.
#[derive(Clone, Debug)]
pub struct AtWorkMark(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Doing {
    /// Before the main detector was begun.
    Loading,
    /// When everything was at work, and nobody else looked.
    Looking,
    /// On a thread of its own, while the detector may have looked.
    Beside,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    doing: Doing,
    who: Vec<Candidate>,
}

/// A model that takes second looks, and its trial if it is on one.
#[derive(Debug)]
pub struct SecondTrial {
    /// Which.
    pub candidate: Candidate,
    /// Whether it has still to prove itself.
    pub is_on_trial: bool,
    /// Why it is not the one that was wanted.
    pub instead: Option<String>,
    /// What computes, where that is known.
    pub on: Option<Ground>,
    /// Whether it is only compared, and judges nobody.
    is_shadow: bool,
    /// Everything that may compute.
    grounds: Vec<Ground>,
    home: Option<PathBuf>,
}

impl AtWorkMark {
    /// These look, together.
    pub fn looking<'c>(who: impl IntoIterator<Item = &'c Candidate>) -> Self {
        Self::of(Doing::Looking, who.into_iter().cloned().collect())
    }

    /// This one looks beside the others.
    pub fn beside(who: &Candidate) -> Self {
        Self::of(Doing::Beside, vec![who.clone()])
    }

    fn of(doing: Doing, who: Vec<Candidate>) -> Self {
        let line = serde_json::to_string(&Line { doing, who });
        Self(line.map_or_else(|_| String::new(), |line| line + "\n"))
    }
}

impl AtWork {
    /// Does `work`, and says so in the file as long as it goes on. A program that ends
    /// in it, by a panic as well, leaves the words there.
    pub fn while_at_work<T>(&self, mark: &AtWorkMark, work: impl FnOnce() -> T) -> T {
        let place = self.place.as_deref();
        let place = place.filter(|place| !place.is_over.load(Ordering::Relaxed));
        if let Some(place) = place {
            place.write(mark.0.as_bytes());
        }
        let done = work();
        if let Some(place) = place {
            place.write(NOBODY);
        }
        done
    }

    /// Does `load`, and says so in the same way, until somebody asks the program to end.
    fn while_loading<T>(&self, mark: &AtWorkMark, load: impl FnOnce() -> T) -> T {
        let nobody = || {
            if let Some(place) = &self.place {
                place.write(NOBODY);
            }
        };
        let (loaded, _) = self.while_at_work(mark, || stopped::noting(&self.stop, nobody, load));
        loaded
    }

    /// Nobody is on trial any more: nothing is written from now on.
    pub fn end(&self) {
        if let Some(place) = &self.place {
            place.is_over.store(true, Ordering::Relaxed);
        }
    }
}

impl Place {
    fn write(&self, words: &[u8]) {
        if let Err(error) = self.file.write_all_at(words, 0)
            && !self.is_told.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                folder = %self.home.display(), %error,
                "which model is at work cannot be noted, so a new one that ends the program is not found out"
            );
        }
    }
}

impl ModelStore {
    /// Charges whoever was at work when the program ended the last time, and keeps a
    /// place to note who is from now on. Before any model is loaded; a second time for a
    /// place of its own for who looks on another thread.
    pub fn watch_over(&self) -> AtWork {
        let home = match self.writable_home() {
            Ok(home) => home,
            Err(error) => {
                tracing::warn!("new models that take second looks cannot be watched over: {error}");
                return AtWork::default();
            }
        };
        let stop = Arc::clone(&self.stop);
        let mut own = None;
        let mut left = Vec::new();
        for number in 0..PROGRAMS {
            let path = home.join(format!("{FILE}.{number}"));
            if own.is_some() && !path.exists() {
                continue;
            }
            let opened = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path);
            // Another program's that lives, or root's: not ours to judge.
            let Some(file) = opened.ok().filter(|file| file.try_lock().is_ok()) else {
                continue;
            };
            left.extend(left_behind(&file));
            if let Err(error) = file.write_all_at(NOBODY, 0) {
                tracing::warn!(file = %path.display(), %error, "cannot be written; check free space");
            }
            own.get_or_insert(file);
        }
        if !left.is_empty() {
            charge(&home, &left);
        }
        AtWork {
            stop,
            place: own.map(|file| {
                Arc::new(Place {
                    home,
                    file,
                    is_over: AtomicBool::new(false),
                    is_told: AtomicBool::new(false),
                })
            }),
        }
    }

    /// Starts the current version of a model (or this one of its versions) with `start`,
    /// or its last good version if that fails. `grounds` is what it may compute on; see
    /// [`ModelStore::begin_on`].
    pub fn begin_second<T>(
        &self,
        (model, version): (&ModelId, Option<u64>),
        (at_work, grounds): (&AtWork, &[Ground]),
        start: impl FnMut(&Candidate, Manifest, &Path, &[FailedGround]) -> Started<T>,
    ) -> Result<(T, SecondTrial), StoreError> {
        let home = at_work.place.as_ref().map(|place| place.home.as_path());
        let ledger = home.and_then(ledger::read).unwrap_or_default();
        let proven = (ledger.second.get(model)).and_then(|record| record.proven.as_ref());
        let mut queue = vec![self.candidate_at(model, version)];
        queue.extend(proven.map(|proven| self.exactly(proven)));
        let (started, trial) = begin_first(queue, (at_work, grounds), start)?;
        self.note_in_use(home, &trial.candidate);
        Ok((started, trial))
    }

    /// The same of a model that is to be compared: this one, or none.
    pub fn begin_shadow<T>(
        &self,
        (model, version): (&ModelId, Option<u64>),
        (at_work, grounds): (&AtWork, &[Ground]),
        start: impl FnMut(&Candidate, Manifest, &Path, &[FailedGround]) -> Started<T>,
    ) -> Result<(T, SecondTrial), StoreError> {
        let queue = vec![self.candidate_at(model, version)];
        let (started, mut trial) = begin_first(queue, (at_work, grounds), start)?;
        trial.is_shadow = true;
        Ok((started, trial))
    }
}

/// A model that was started, and on what it computes.
pub type Started<T> = Result<(T, Option<Ground>), StartFault>;

/// Starts the first of `queue` that has not failed and does not fail.
fn begin_first<T>(
    queue: Vec<Entry>,
    (at_work, grounds): (&AtWork, &[Ground]),
    mut start: impl FnMut(&Candidate, Manifest, &Path, &[FailedGround]) -> Started<T>,
) -> Result<(T, SecondTrial), StoreError> {
    let home = at_work.place.as_ref().map(|place| place.home.clone());
    let mut ledger = TrialLedger::default();
    ledger::update(home.as_deref(), &mut ledger, |ledger| {
        for (found, ..) in queue.iter().flatten() {
            ledger.adopt(found);
        }
    });
    let begun = walk::first_that_starts(queue, None, |candidate, manifest, file, _| {
        if let Some(failed) = ledger.failure_of(candidate) {
            let (reason, next) = (&failed.reason, failed.next_step());
            return Err(NotThis::Next(format!("it failed here: {reason}; {next}")));
        }
        let (mut left_here, mut passed) = (Vec::new(), Vec::new());
        loop {
            let (allowed, left) = ledger.on.split(grounds, candidate, &passed);
            let record = ledger.second.get(&candidate.model);
            let proven = record.filter(|record| means(record.proven.as_ref(), candidate));
            let is_proven = proven.is_some();
            let new = proven.and_then(|record| ground::new_one(&record.on, &allowed));
            on_trial(home.as_deref(), &mut ledger, candidate, new.as_ref());
            let mark = AtWorkMark::of(Doing::Loading, vec![candidate.clone()]);
            let load = || start(candidate, manifest.clone(), file, &left);
            let reason = match at_work.while_loading(&mark, load) {
                Ok(started) => return Ok(started),
                Err(StartFault::Other(error)) => return Err(NotThis::End(error)),
                Err(StartFault::Passing(reason) | StartFault::Refused(reason)) => {
                    return Err(NotThis::Next(reason));
                }
                // It has seen as it must before: first the others are asked.
                Err(StartFault::SelfTest { on, reason })
                    if is_proven && ground::has_other(&allowed, &on) =>
                {
                    leave(home.as_deref(), &mut ledger, (&on, candidate, &reason));
                    left_here.push(on);
                    continue;
                }
                // Whether it is its own fault nobody knows yet.
                Err(StartFault::SelfTest { on, reason })
                    if !on.is_processor() && ground::has_other(&allowed, &on) =>
                {
                    passed.push(FailedGround::for_now(&on, candidate, &reason));
                    continue;
                }
                // The processor, which would tell, may not compute.
                Err(StartFault::SelfTest { on, reason }) if !on.is_processor() => {
                    return Err(NotThis::Next(ground::nobody_tells(&on, &reason)));
                }
                Err(StartFault::SelfTest { reason, .. } | StartFault::Model(reason)) => reason,
            };
            match new {
                Some(ground) if allowed.len() > 1 => {
                    leave(home.as_deref(), &mut ledger, (&ground, candidate, &reason));
                }
                Some(_) => return Err(NotThis::Next(reason)),
                None => {
                    change(home.as_deref(), |home, ledger| {
                        give_up(home, ledger, candidate, &reason);
                        ledger.on.take_again(&left_here, candidate);
                    });
                    return Err(NotThis::Next(reason));
                }
            }
        }
    })?;
    if let Some(why) = &begun.instead {
        tell_instead(home.as_deref(), &begun.candidate, why);
    }
    let candidate = begun.candidate;
    let (started, on) = begun.started;
    let is_on_trial = ledger::update(home.as_deref(), &mut ledger, |ledger| {
        let record = ledger.second.get_mut(&candidate.model);
        let proven = record.filter(|record| means(record.proven.as_ref(), &candidate));
        match (proven, &on) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(record), Some(on)) => {
                if record.on.is_empty() {
                    ground::add(&mut record.on, on);
                }
                let is_new = !record.on.contains(on);
                record.trial_on = is_new.then(|| on.clone());
                is_new
            }
        }
    });
    let trial = SecondTrial {
        is_on_trial,
        candidate,
        instead: begun.instead,
        on,
        is_shadow: false,
        grounds: grounds.to_vec(),
        home,
    };
    Ok((started, trial))
}

/// A proven model leaves what it computed on: where it saw as it must on it before, for all models.
fn leave(
    home: Option<&Path>,
    ledger: &mut TrialLedger,
    (ground, model, reason): (&Ground, &Candidate, &str),
) {
    ledger::update(home, ledger, |ledger| {
        let record = ledger.second.get(&model.model);
        let given_up = GivenUp {
            ground,
            model,
            reason,
            for_all: record.is_some_and(|record| record.on.contains(ground)),
        };
        trial::leave(home, ledger, &given_up);
    });
}

/// Notes what is on trial with a proven model, for who charges the next end of the program.
fn on_trial(
    home: Option<&Path>,
    ledger: &mut TrialLedger,
    candidate: &Candidate,
    ground: Option<&Ground>,
) {
    ledger::update(home, ledger, |ledger| {
        if let Some(record) = ledger.second.get_mut(&candidate.model) {
            record.trial_on = ground.cloned();
        }
    });
}

impl SecondTrial {
    /// What computes now; see [`super::OnTrial::computes_on`].
    pub fn computes_on(&mut self, provider: Provider) {
        let moved = |on: &Ground| on.moved_to(provider, &self.grounds);
        if let Some(now) = self.on.as_ref().and_then(moved) {
            self.on = Some(now);
        }
    }

    /// It has worked for long enough: from now on it is its model's last good version.
    pub fn prove(&mut self) {
        if !std::mem::replace(&mut self.is_on_trial, false) {
            return;
        }
        let (candidate, on) = (&self.candidate, self.on.as_ref());
        change(self.home.as_deref(), |home, ledger| {
            let record = ledger.second.entry(candidate.model.clone()).or_default();
            if !means(record.proven.as_ref(), candidate) {
                record.on.clear();
            }
            if let Some(on) = on {
                ground::add(&mut record.on, on);
                ledger.on.forget(on, candidate);
            }
            record.trial_on = None;
            record.proven = Some(candidate.clone());
            record.trial = None;
            record.attempts = 0;
            ledger.forget_failure(candidate);
            let detail = on.map_or_else(String::new, |on| format!("on {on}"));
            // The way back leads to what was in use; who was compared never was.
            let action = if self.is_shadow {
                Action::Compared
            } else {
                Action::Proven
            };
            journal::write(home, action, candidate, &detail);
        });
        if self.is_shadow {
            tracing::info!(model = %candidate, "the shadow model has worked for long enough and is on trial no more; as the detector it would be, all the same");
        } else {
            tracing::info!(model = %candidate, "the model beside the detector has proven itself; it is its last good version now");
        }
    }
}

/// What a program that has ended left in its file.
fn left_behind(file: &File) -> Option<Line> {
    let mut text = vec![0; LONGEST];
    let length = file.read_at(&mut text, 0).ok()?;
    let line = text[..length].split(|byte| *byte == b'\n').next()?;
    serde_json::from_slice(line).ok()
}

fn charge(home: &Path, lines: &[Line]) {
    change(Some(home), |home, ledger| {
        let of = |doing| lines.iter().filter(move |line| line.doing == doing);
        // The detector's start was counted, and it was not at work …
        let mut not_its_fault = of(Doing::Looking).count();
        // … or may have been. A new model in its shadow is suspected before it is: to leave
        // that out costs nothing. One that has proven itself is not.
        let is_new = |candidate: &Candidate| {
            let record = ledger.second.get(&candidate.model);
            !means(record.and_then(|record| record.proven.as_ref()), candidate)
        };
        let beside = of(Doing::Beside).flat_map(|line| &line.who);
        not_its_fault = not_its_fault.max(beside.filter(|who| is_new(who)).count());
        let not_its_fault = u32::try_from(not_its_fault).unwrap_or(u32::MAX);
        ledger.attempts = ledger.attempts.saturating_sub(not_its_fault);
        if not_its_fault > 0 {
            ledger.on.take_back();
        }
        for candidate in lines.iter().flat_map(|line| &line.who) {
            let record = ledger.second.entry(candidate.model.clone()).or_default();
            if means(record.proven.as_ref(), candidate) {
                tracing::error!(model = %candidate, "the program ended while this model was at work, which has proven itself before");
                if let Some(ground) = record.trial_on.clone() {
                    charge_ground(home, ledger, &ground, candidate);
                }
                continue;
            }
            if !means(record.trial.as_ref(), candidate) {
                record.trial = Some(candidate.clone());
                record.attempts = 0;
            }
            record.attempts = record.attempts.saturating_add(1);
            let attempts = record.attempts;
            tracing::warn!(model = %candidate, attempts, "the program ended while this model was at work");
            if attempts >= ATTEMPTS && ledger.failure_of(candidate).is_none() {
                let reason =
                    format!("the program ended {attempts} times while the model was at work");
                give_up(home, ledger, candidate, &reason);
            }
        }
    });
}

/// The model is known to be good; what it computed on is not.
fn charge_ground(home: &Path, ledger: &mut TrialLedger, ground: &Ground, candidate: &Candidate) {
    let attempts = ledger.on.count(ground);
    tracing::warn!(on = %ground, attempts, "the program ended on what is new to this model");
    if attempts >= ATTEMPTS {
        let reason = format!(
            "the program ended {attempts} times on it while a model was at work that had proven itself on another"
        );
        let given_up = GivenUp {
            ground,
            model: candidate,
            reason: &reason,
            for_all: true,
        };
        trial::leave(Some(home), ledger, &given_up);
    }
}

fn give_up(home: &Path, ledger: &mut TrialLedger, candidate: &Candidate, reason: &str) {
    tracing::error!(
        model = %candidate,
        "looks no more: {reason}; `edge-agent models forgive {candidate}` has it tried again"
    );
    ledger.remember_failure(candidate, reason);
    let record = ledger.second.entry(candidate.model.clone()).or_default();
    record.trial = None;
    record.attempts = 0;
    if means(record.proven.as_ref(), candidate) {
        record.proven = None;
        record.on.clear();
    }
    journal::write(home, Action::Failed, candidate, reason);
}

fn tell_instead(home: Option<&Path>, candidate: &Candidate, why: &str) {
    tracing::error!(model = %candidate, "not the wanted version takes second looks: {why}");
    if let Some(home) = home {
        journal::write_once(home, Action::Returned, candidate, why);
    }
}
