//! What stands on the disk of trials, and which entry means which model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use models::ModelId;
use protocol::{Digest, EventTime};
use serde::{Deserialize, Serialize};

use super::ground::{Ground, GroundLedger};
use super::{durable, journal};

/// Failed models that are remembered.
const REMEMBERED: usize = 50;

pub(super) const FILE: &str = "trial.toml";
/// What could not be read, and had to make room.
const ASIDE: &str = "trial.toml.unreadable";
/// The disk, or what is between, failed: `EIO`. The standard library has no word for it.
const DISK_FAILED: i32 = 5;

/// A model, which file of it, and which manifest around that. The same network under
/// another name or version, or with other thresholds or classes, is another one: what
/// stands around it decides what is seen as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Which model.
    pub model: ModelId,
    /// Which version; none for a file without versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// SHA-256 of its file.
    pub sha256: Digest,
    /// SHA-256 of its manifest's text. None in what was written when that did not count
    /// yet; see `TrialLedger::adopt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
}

impl Candidate {
    /// Whether one of the two, read from a disk, means the other. One without a
    /// manifest means every manifest.
    pub fn is(&self, other: &Self) -> bool {
        let file = |of: &Self| (of.model.clone(), of.version, of.sha256);
        let is_same = self
            .manifest
            .zip(other.manifest)
            .is_none_or(|(a, b)| a == b);
        file(self) == file(other) && is_same
    }
}

impl FailedModel {
    /// What to do about it.
    pub fn next_step(&self) -> String {
        let candidate = &self.candidate;
        let mend = match candidate.version {
            Some(_) => "install a later version",
            None => "mend its manifest or install another file",
        };
        format!("{mend}, or `edge-agent models forgive {candidate}` has it tried again as it is")
    }
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
    /// Every detector that was ever begun here, whatever became of it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub begun: BTreeSet<ModelId>,
    /// What the models compute on.
    #[serde(skip_serializing_if = "GroundLedger::is_empty")]
    pub on: GroundLedger,
    /// Of each model that takes second looks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub second: BTreeMap<ModelId, SecondLedger>,
    /// What is here could not be written: the disk knows less.
    #[serde(skip)]
    pub(super) is_unwritten: bool,
}

impl TrialLedger {
    /// Why a candidate was given up, if it was.
    pub fn failure_of(&self, candidate: &Candidate) -> Option<&FailedModel> {
        self.failed
            .iter()
            .find(|failed| failed.candidate.is(candidate))
    }

    /// Fills in what an older agent did not note: which manifest. `found` is what
    /// stands here now; what was said of the model without a manifest was said of
    /// that, as far as anybody knows. So a proven model stays proven, starts that
    /// were counted stay counted, and a failed one stays failed until its manifest
    /// is changed. True if there was something to fill in.
    pub(super) fn adopt(&mut self, found: &Candidate) -> bool {
        let of_second = self.second.values_mut();
        let of_second = of_second.flat_map(|record| [&mut record.proven, &mut record.trial]);
        let failed = self.failed.iter_mut().map(|failed| &mut failed.candidate);
        let entries = [&mut self.proven, &mut self.trial].into_iter();
        let entries = entries.chain(of_second).flatten().chain(failed);
        let mut is_changed = false;
        for entry in entries.filter(|entry| entry.manifest.is_none() && entry.is(found)) {
            entry.manifest = found.manifest;
            is_changed |= found.manifest.is_some();
        }
        is_changed
    }

    pub(super) fn remember_failure(&mut self, candidate: &Candidate, reason: &str) {
        self.forget_failure(candidate);
        self.failed.push(FailedModel {
            candidate: candidate.clone(),
            reason: reason.to_owned(),
            at: journal::now(),
        });
        let surplus = self.failed.len().saturating_sub(REMEMBERED);
        self.failed.drain(..surplus);
    }

    pub(super) fn forget_failure(&mut self, candidate: &Candidate) {
        self.failed.retain(|failed| !failed.candidate.is(candidate));
    }

    /// The operator wants it tried again, and on everything.
    pub(super) fn forgive(&mut self, candidate: &Candidate) {
        self.on.forgive();
        self.try_again(candidate);
    }

    /// The operator has put it into use: what it failed at is forgotten. What had ended the program, or
    /// computes wrong, is left as before: nobody has said that it is mended, and a model that is new would
    /// be given up for it.
    pub(super) fn try_again(&mut self, candidate: &Candidate) {
        self.forget_failure(candidate);
        self.on.try_again(candidate);
        if means(self.trial.as_ref(), candidate) {
            self.attempts = 0;
        }
        for record in self.second.values_mut() {
            if means(record.trial.as_ref(), candidate) {
                record.attempts = 0;
            }
        }
    }
}

/// What stands on the disk of a model that takes second looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecondLedger {
    /// Its last version that worked for long enough.
    pub proven: Option<Candidate>,
    /// The one on trial.
    pub trial: Option<Candidate>,
    /// How often the program ended while it was loading or looking.
    pub attempts: u32,
    /// On what that last good version has proven itself; see [`GroundLedger::proven`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Ground>,
    /// What is on trial with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial_on: Option<Ground>,
}

/// Whether there is an entry, and it means `candidate`.
pub(super) fn means(entry: Option<&Candidate>, candidate: &Candidate) -> bool {
    entry.is_some_and(|entry| entry.is(candidate))
}

/// What stands there. Who only asks takes what cannot be read for nothing.
pub(super) fn read(home: &Path) -> Option<TrialLedger> {
    try_read(home).unwrap_or_else(|error| {
        tracing::warn!(
            file = %home.join(FILE).display(), %error,
            "it cannot be read: what is on trial and what failed is not known"
        );
        None
    })
}

/// The same for who is going to change it. None where nothing stands there.
pub(super) fn try_read(home: &Path) -> io::Result<Option<TrialLedger>> {
    let text = match fs::read_to_string(home.join(FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    toml::from_str(&text)
        .map(Some)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.message().to_owned()))
}

/// Makes room for a new one where the old one will not be readable at the next try either: a box
/// on which nothing is counted begins the same bad model for ever. The old one is kept, for whoever
/// can read it. False where it stays, because it may be readable again (too many files are open).
fn set_aside(home: &Path, error: &io::Error) -> bool {
    let file = home.join(FILE);
    let is_lasting = error.raw_os_error() == Some(DISK_FAILED)
        || matches!(
            error.kind(),
            io::ErrorKind::InvalidData | io::ErrorKind::PermissionDenied
        );
    if !is_lasting {
        tracing::error!(
            file = %file.display(), %error,
            "it cannot be read and is left as it is: until it can, nobody watches over a new model"
        );
        return false;
    }
    let renamed = fs::rename(&file, home.join(ASIDE));
    match &renamed {
        Ok(()) => tracing::error!(
            file = %file.display(), %error,
            "it cannot be read and is begun anew, so models that failed may be tried again; the old one \
             is kept as {ASIDE}: mend the disk or its permissions, and put it back while the agent is stopped"
        ),
        Err(second) => tracing::error!(
            file = %file.display(), %error,
            "it cannot be read, nor put aside ({second}): nobody watches over a new model; mend the disk or \
             its permissions"
        ),
    }
    renamed.is_ok()
}

pub(super) fn write(home: &Path, ledger: &TrialLedger) -> io::Result<()> {
    let text = toml::to_string(ledger).map_err(io::Error::other)?;
    let text =
        format!("# Written by edge-agent: which model is on trial, and which failed.\n{text}");
    durable::write(&home.join(FILE), text.as_bytes())
}

/// Writes what the next start must know. Without it the model still runs; false then.
fn save(home: &Path, ledger: &TrialLedger) -> bool {
    let written = write(home, ledger);
    if let Err(error) = &written {
        tracing::warn!(
            file = %home.join(FILE).display(), %error,
            "a new model cannot be watched over; check permissions and free space"
        );
    }
    written.is_ok()
}

/// Changes what stands on the disk as it stands there now, and `ledger` with it; nobody
/// else does meanwhile. Where nothing can be written, only `ledger` is changed, and from
/// then on `ledger` counts and not the disk: else a start on a full disk would forget which
/// of two providers it has left as soon as it leaves the other, and go round for ever.
pub(super) fn update<T>(
    home: Option<&Path>,
    ledger: &mut TrialLedger,
    with: impl FnOnce(&mut TrialLedger) -> T,
) -> T {
    let Some(home) = home else {
        return with(ledger);
    };
    let lock = durable::lock(home);
    if let Err(error) = &lock {
        // Not to watch would be worse than two who write at the same time.
        tracing::error!(folder = %home.display(), %error, "written without the lock");
    }
    let mut unread = None;
    if !ledger.is_unwritten {
        match try_read(home) {
            Ok(found) => *ledger = found.unwrap_or_default(),
            Err(error) => unread = Some(error),
        }
    }
    let before = ledger.clone();
    let done = with(ledger);
    if *ledger != before || before.is_unwritten {
        if unread.is_some_and(|error| !set_aside(home, &error)) {
            return done;
        }
        ledger.is_unwritten = !save(home, ledger);
    }
    done
}

/// Changes what stands on the disk, if anything can.
pub(super) fn change(home: Option<&Path>, with: impl FnOnce(&Path, &mut TrialLedger)) {
    let Some(home) = home else { return };
    update(Some(home), &mut TrialLedger::default(), |ledger| {
        with(home, ledger);
    });
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn count_a_start(home: &Path) -> u32 {
        update(Some(home), &mut TrialLedger::default(), |ledger| {
            ledger.attempts += 1;
            ledger.attempts
        })
    }

    /// What had failed was overwritten, with nothing, when a sector of the disk could not be read.
    #[test]
    fn what_cannot_be_read_is_put_aside_and_starts_are_counted_all_the_same() {
        for spoil in [
            // Its first page cannot be read by anybody, and that is `EIO`.
            |file: &Path| symlink("/proc/self/mem", file).unwrap(),
            |file: &Path| fs::write(file, b"attempts = \xff").unwrap(),
            |file: &Path| fs::write(file, "attempts =").unwrap(),
        ] {
            let home = tempfile::tempdir().unwrap();
            let (file, aside) = (home.path().join(FILE), home.path().join(ASIDE));
            spoil(&file);
            let before = fs::symlink_metadata(&file).unwrap().len();
            assert!(try_read(home.path()).is_err());
            // Who only asks changes nothing.
            assert_eq!(read(home.path()), None);
            assert!(fs::symlink_metadata(&aside).is_err());
            assert_eq!([1, 2, 3].map(|_| count_a_start(home.path())), [1, 2, 3]);
            assert_eq!(fs::symlink_metadata(&aside).unwrap().len(), before);
        }
    }

    #[test]
    fn what_may_be_readable_again_stays_where_it_is() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(FILE);
        // A link to itself; a stand-in for too many open files.
        symlink(&file, &file).unwrap();
        let mut ledger = TrialLedger::default();
        let mut count = || update(Some(home.path()), &mut ledger, |it| it.attempts += 1);
        count();
        count();
        assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
        fs::remove_file(&file).unwrap();
        fs::write(&file, "attempts = 7").unwrap();
        count();
        assert_eq!(read(home.path()).unwrap().attempts, 8);
    }
}
