//! What was done to the models of this box, when and by whom: one JSON line each.
//!
//! People are fined on the word of a model; which one was at work on a day, and
//! who put it there, must be answerable years later.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use models::ModelId;
use protocol::{Digest, EventTime};
use serde::{Deserialize, Serialize};

use super::bundle::Vouched;
use super::ledger::Candidate;
use super::{StoreError, durable};

/// File in the models' folder.
pub(super) const FILE: &str = "journal.jsonl";

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When, by this box's clock.
    pub at: EventTime,
    /// What.
    pub action: Action,
    /// To which model.
    pub model: ModelId,
    /// To which of its versions; none for a file without versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// SHA-256 of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// SHA-256 of its manifest's text: thresholds and classes stand there. None in
    /// lines of agents that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// SHA-256 of the listing with which a version was taken in. None in other lines, and in
    /// those of agents that did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Digest>,
    /// More, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The account that did it.
    pub by: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Its files were taken in.
    Installed,
    /// An older version than the box has had was taken in, at the operator's word.
    Downgraded,
    /// It lay here damaged, and its bundle was installed again.
    Mended,
    /// It became the current one.
    Used,
    /// The operator went back to it.
    RolledBack,
    /// It did its work for long enough to be trusted.
    Proven,
    /// The same in the detector's shadow, where it judged nobody. Agents that do not know the word pass
    /// the line over.
    Compared,
    /// It failed and was taken out of use.
    Failed,
    /// What it computed on failed and was left; it had proven itself on another.
    ProviderLeft,
    /// The agent went back to it by itself.
    Returned,
}

impl Action {
    /// Whether files came in by it, or were found to be those of a bundle that came.
    pub(super) const fn takes_in(self) -> bool {
        matches!(self, Self::Installed | Self::Downgraded | Self::Mended)
    }
}

const SIGNED: &str = "signed with key ";
const UNSIGNED: &str = "taken unsigned: ";

/// Who vouched for what is taken in, as the detail of its line ends.
pub(super) fn by_whose_word(vouched: &Vouched) -> String {
    match vouched {
        Vouched::Signed(key) => format!("{SIGNED}{key}"),
        Vouched::Unsigned(why) => format!("{UNSIGNED}{why}"),
    }
}

impl JournalEntry {
    /// The trusted key with which it was signed when it was taken in.
    pub(super) fn key(&self) -> Option<&str> {
        if self.detail.contains(UNSIGNED) {
            return None;
        }
        self.detail.rsplit_once(SIGNED).map(|(_, key)| key)
    }
}

/// Appends a line. A journal that cannot be written does not stop a box that watches, but is said.
pub(super) fn write(folder: &Path, action: Action, of: &Candidate, detail: &str) {
    if let Err(error) = append(folder, action, of, (detail, None)) {
        let next = match error.kind() {
            // Written by root, who installed something in a folder of the agent's.
            io::ErrorKind::PermissionDenied => format!(
                "as root: `chown --reference={} {}`",
                folder.display(),
                folder.join(FILE).display()
            ),
            _ => "check permissions and free space".to_owned(),
        };
        tracing::warn!(
            journal = %folder.join(FILE).display(), ?action, model = %of, %error,
            "the journal of models cannot be written, so nobody can tell later what was at work; {next}"
        );
    }
}

/// The same, unless the last line of that model tells just that: an agent that is started anew each ten
/// seconds says once why it is at work.
pub(super) fn write_once(folder: &Path, action: Action, of: &Candidate, detail: &str) {
    let lines = read(folder);
    let last = lines.iter().rfind(|entry| entry.model == of.model);
    let is_told = last.is_some_and(|last| {
        let is_of_it = (last.version, last.sha256) == (of.version, Some(of.sha256));
        last.action == action && is_of_it && last.manifest == of.manifest && last.detail == detail
    });
    if !is_told {
        write(folder, action, of, detail);
    }
}

/// Whether the last word on which version of a model is in use is of this one.
pub(super) fn tells_in_use(journal: &[JournalEntry], of: &Candidate) -> bool {
    let is_switch = |entry: &&JournalEntry| {
        entry.model == of.model && matches!(entry.action, Action::Used | Action::RolledBack)
    };
    let last = journal.iter().rfind(is_switch);
    last.is_some_and(|last| last.version == of.version)
}

/// Appends the line of a version that is taken in, with the SHA-256 of its listing. Without its line
/// nothing could be held against that version later, so it does not come in then.
pub(super) fn write_taken_in(
    folder: &Path,
    action: Action,
    of: &Candidate,
    (detail, listing): (&str, Digest),
) -> Result<(), StoreError> {
    append(folder, action, of, (detail, Some(listing))).map_err(|source| StoreError::Io {
        path: folder.join(FILE),
        source,
    })
}

fn append(
    folder: &Path,
    action: Action,
    of: &Candidate,
    (detail, listing): (&str, Option<Digest>),
) -> io::Result<()> {
    let entry = JournalEntry {
        at: now(),
        action,
        model: of.model.clone(),
        version: of.version,
        sha256: Some(of.sha256),
        manifest: of.manifest,
        listing,
        detail: detail.to_owned(),
        by: account(),
    };
    let line = serde_json::to_string(&entry)?;
    let path = folder.join(FILE);
    let is_new = !path.exists();
    let mut file = File::options()
        .read(true)
        .create(true)
        .append(true)
        .open(&path)?;
    durable::give_to_owner_of_folder(&file, &path);
    // A line that a full disk or a killed process cut must not take this one along.
    let length = file.metadata()?.len();
    let mut last = [b'\n'];
    if length > 0 {
        file.read_exact_at(&mut last, length - 1)?;
    }
    let begin = if last == *b"\n" { "" } else { "\n" };
    file.write_all(format!("{begin}{line}\n").as_bytes())?;
    file.sync_data()?;
    if is_new {
        durable::sync_folder(folder)?;
    }
    Ok(())
}

/// All lines that can be read, in the order in which they were written, whatever the clock said. A
/// byte that a disk has changed spoils its own line and no other.
pub(super) fn read(folder: &Path) -> Vec<JournalEntry> {
    let path = folder.join(FILE);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound {
            tracing::warn!(
                journal = %path.display(), %error,
                "the journal of models cannot be read, so nothing is held against what it says was installed"
            );
        }
        Vec::new()
    });
    let lines = bytes.split(|byte| *byte == b'\n');
    lines
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// The lines of several, the oldest first; those of one in their own order.
pub(super) fn together(journals: impl Iterator<Item = Vec<JournalEntry>>) -> Vec<JournalEntry> {
    let mut journals: Vec<VecDeque<JournalEntry>> = journals.map(VecDeque::from).collect();
    let mut entries = Vec::new();
    while let Some(oldest) = (journals.iter_mut())
        .filter(|journal| !journal.is_empty())
        .min_by_key(|journal| journal.front().map(|entry| entry.at))
    {
        entries.extend(oldest.pop_front());
    }
    entries
}

#[allow(clippy::cast_possible_truncation)] // µs since 1970 fit for 290,000 years
pub(super) fn now() -> EventTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    EventTime::from_micros(since.map_or(0, |since| since.as_micros() as i64))
}

fn account() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| {
            // A service has no name in its environment, but it has a number.
            use std::os::unix::fs::MetadataExt as _;
            let own = std::fs::metadata("/proc/self");
            own.map_or_else(|_| "unknown".to_owned(), |own| format!("uid {}", own.uid()))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(model: &str, at: &str) -> String {
        format!(r#"{{"at":"{at}","action":"installed","model":"{model}","version":1,"by":"x"}}"#)
    }

    fn models(entries: &[JournalEntry]) -> Vec<&str> {
        entries.iter().map(|entry| entry.model.as_str()).collect()
    }

    /// One byte that was no letter emptied the whole journal, and with it all that is held against
    /// versions that nobody has signed.
    #[test]
    fn a_byte_that_a_disk_has_changed_spoils_its_line_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let day = |day| format!("2026-01-0{day}T00:00:00Z");
        let mut bytes = line("first", &day(1)).into_bytes();
        bytes.extend(b"\n");
        let mut bad = line("second", &day(2)).into_bytes();
        bad[12] = 0xff;
        bytes.extend(bad);
        bytes.extend(b"\n");
        bytes.extend(line("third", &day(3)).into_bytes());
        std::fs::write(folder.path().join(FILE), bytes).unwrap();
        assert_eq!(models(&read(folder.path())), ["first", "third"]);
    }

    /// A box without a battery for its clock begins each day in 1970.
    #[test]
    fn what_was_written_last_is_the_last_whatever_the_clock_said() {
        let read = |lines: &[(&str, &str)]| -> Vec<JournalEntry> {
            let lines = lines.iter().map(|(model, at)| line(model, at));
            lines
                .map(|line| serde_json::from_str(&line).unwrap())
                .collect()
        };
        let (then, noon) = ("1970-01-01T00:00:09Z", "2026-01-01T12:00:00Z");
        let evening = "2026-01-01T18:00:00Z";
        let one = read(&[("a", noon), ("b", then), ("c", evening)]);
        let other = read(&[("d", "2026-01-01T13:00:00Z")]);
        let all = together([one, Vec::new(), other].into_iter());
        assert_eq!(models(&all), ["a", "b", "d", "c"]);
    }

    #[test]
    fn a_line_tells_with_which_key_it_was_signed_and_of_a_strangers_nothing() {
        for (detail, key) in [
            ("signed with key 00FF", Some("00FF")),
            (
                "it lay here already, beside version 9; signed with key 00FF",
                Some("00FF"),
            ),
            ("taken unsigned: it is not signed", None),
            (
                "damaged; taken unsigned: it is signed with key 00FF, which is not trusted here (no key is)",
                None,
            ),
            ("from FILE", None),
        ] {
            let line = format!(
                r#"{{"at":"2026-01-01T00:00:00Z","action":"installed","model":"street","version":1,"detail":"{detail}","by":"x"}}"#
            );
            let entry: JournalEntry = serde_json::from_str(&line).unwrap();
            assert_eq!(entry.key(), key, "{detail}");
        }
    }
}
