//! How long ago recordings ended, counted and not read from a clock: one that is
//! set, or begins in 1970 at each start, must not make all of them old at once.
//!
//! The count stands in a file beside the recordings. Where that is lost the time of
//! all begins anew: they are kept too long then, and never too short.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protocol::{EventTime, SeenTime};
use serde::{Deserialize, Serialize};

const FILE: &str = "ages.json";
const UNFINISHED: &str = "ages.json.new";

/// The ages of the recordings in a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ages {
    seen: SeenTime,
    /// Where the count stood when a recording was first found ended, by path from
    /// the folder on.
    since: BTreeMap<PathBuf, i64>,
}

/// As written.
#[derive(Serialize, Deserialize)]
struct Written {
    counted_us: i64,
    looked: Option<EventTime>,
    since: BTreeMap<PathBuf, i64>,
}

impl Ages {
    /// What is known of the recordings in `dir`.
    pub(super) fn read(dir: &Path) -> Self {
        let written = std::fs::read(dir.join(FILE)).ok();
        let written = written.and_then(|text| serde_json::from_slice::<Written>(&text).ok());
        written.map_or_else(Self::default, |written| Self {
            seen: SeenTime {
                counted_us: written.counted_us.max(0),
                looked: written.looked,
            },
            since: written.since,
        })
    }

    /// Beside the recordings; a crash in the middle leaves the last one.
    pub(super) fn write(&self, dir: &Path) -> std::io::Result<()> {
        let written = Written {
            counted_us: self.seen.counted_us,
            looked: self.seen.looked,
            since: self.since.clone(),
        };
        let unfinished = dir.join(UNFINISHED);
        let mut file = std::fs::File::create(&unfinished)?;
        file.write_all(&serde_json::to_vec(&written)?)?;
        file.sync_data()?;
        std::fs::rename(unfinished, dir.join(FILE))
    }

    /// Counts on, and looks at which recordings are there and ended; those that
    /// ended at least `keep` ago. `elapsed` is what the monotonic clock has counted
    /// since the last look, and `None` for the first of a run.
    pub(super) fn look(
        &mut self,
        ended: &[PathBuf],
        keep: Duration,
        now: EventTime,
        elapsed: Option<Duration>,
    ) -> Vec<PathBuf> {
        self.seen.look(now, elapsed);
        let counted = self.seen.counted_us;
        self.since = ended
            .iter()
            .map(|path| {
                // A count that is ahead is of another file of ages.
                let since = self.since.get(path).copied().unwrap_or(counted);
                (path.clone(), since.min(counted))
            })
            .collect();
        let before = self.seen.before(keep);
        let old = self.since.iter().filter(|(_, since)| **since <= before);
        old.map(|(path, _)| path.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    /// What is old after each look, of two recordings that are kept for two days; a
    /// look is where the clock is, how many hours passed, and what had ended.
    fn old(looks: &[(i64, Option<u64>, &[&str])]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let words = looks.iter().map(|(clock_h, elapsed_h, ended)| {
            // Each look might be of another run.
            let mut ages = Ages::read(dir.path());
            let ended: Vec<PathBuf> = ended.iter().map(PathBuf::from).collect();
            let old = ages.look(
                &ended,
                Duration::from_hours(48),
                EventTime::from_micros(clock_h * HOUR_US),
                elapsed_h.map(Duration::from_hours),
            );
            ages.write(dir.path()).unwrap();
            assert_eq!(Ages::read(dir.path()), ages);
            let old: Vec<_> = old.iter().map(|path| path.to_string_lossy()).collect();
            old.join(" ")
        });
        words.collect()
    }

    #[test]
    fn a_recording_is_old_once_its_time_was_seen_to_pass() {
        for (what, looks, expected) in [
            (
                "two days of looks",
                [
                    (0, None, &["a"][..]),
                    (24, Some(24), &["a", "b"]),
                    (48, Some(24), &["a", "b"]),
                    (72, Some(24), &["b"]),
                ],
                ["", "", "a", "b"],
            ),
            (
                "the clock leaps by a year, and back",
                [
                    (0, None, &["a"]),
                    (8760, Some(1), &["a"]),
                    (2, Some(1), &["a"]),
                    (3, Some(47), &["a"]),
                ],
                ["", "", "", "a"],
            ),
            (
                "a year passes between two runs, of which a day is believed",
                [
                    (0, None, &["a"]),
                    (8760, None, &["a"]),
                    (8761, Some(1), &["a"]),
                    (8785, Some(24), &["a"]),
                ],
                ["", "", "", "a"],
            ),
            (
                "one that is being written has no age",
                [
                    (0, None, &[]),
                    (90, Some(90), &[]),
                    (91, Some(1), &["a"]),
                    (139, Some(48), &["a"]),
                ],
                ["", "", "", "a"],
            ),
        ] {
            assert_eq!(old(&looks), expected, "{what}");
        }
    }

    #[test]
    fn ages_that_cannot_be_read_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", r#"{"counted_us":"x"}"#, "[1]"] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            assert_eq!(Ages::read(dir.path()), Ages::default(), "{text}");
        }
    }
}
