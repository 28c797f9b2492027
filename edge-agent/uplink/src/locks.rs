//! Which evidence the centre has locked, and how much time was seen to pass:
//! what decides whether a copy on this box may be removed.
//!
//! The centre tells all locks of this box at once, so the newest word counts and
//! nothing else need be remembered. It is kept in the outbox file: a box that
//! starts without a network must not forget what it must not remove.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::locks::MOST_PARTS;
use protocol::{Digest, EventId, EventTime, EvidenceLocks, LockPart, SeenTime};
use rusqlite::{Connection, params};

use crate::database::Database;

/// Added to an outbox file in its fifth version, with the event that a file of
/// evidence is of, and since when its copy is kept on the count of `seen_time`.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE locked (event TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE locks_told (
        only  INTEGER PRIMARY KEY CHECK (only = 1),
        at_us INTEGER NOT NULL
    );
    INSERT INTO locks_told VALUES (1, 0);
    CREATE TABLE seen_time (
        only       INTEGER PRIMARY KEY CHECK (only = 1),
        counted_us INTEGER NOT NULL,
        looked_us  INTEGER
    );
    INSERT INTO seen_time VALUES (1, 0, NULL);
    UPDATE receipt_mark SET taken_us = 0;
    ALTER TABLE evidence ADD COLUMN event TEXT;
    ALTER TABLE evidence ADD COLUMN since_us INTEGER;
";

/// Added in the sixth version: all events that a file is evidence of. Two that are
/// decided in one frame share its still. (`evidence.event` and `evidence.camera` are
/// from before; the seventh version drops them.)
pub(crate) const OF_SCHEMA: &str = "
    CREATE TABLE evidence_of (
        sha256 TEXT NOT NULL,
        event  TEXT NOT NULL,
        camera TEXT,
        PRIMARY KEY (sha256, event)
    ) WITHOUT ROWID;
    INSERT INTO evidence_of SELECT sha256, event, camera FROM evidence WHERE event IS NOT NULL;
";

/// Condition of a row of `evidence` that is locked: one of its events is.
pub(crate) const IS_LOCKED: &str =
    "EXISTS (SELECT 1 FROM evidence_of AS o JOIN locked AS l ON l.event = o.event
    WHERE o.sha256 = evidence.sha256)";

/// A word from further ahead of our clock than this is of a centre whose clock was
/// wrong, and the next one counts even when it is older. Microseconds.
const AHEAD_US: i64 = 3_600_000_000;

/// Whether a word of `at` counts after one of `last`, both by the centre's clock.
pub(crate) fn is_newer(at: EventTime, last: EventTime, now: EventTime) -> bool {
    at > last || is_from_ahead(last, now)
}

fn is_from_ahead(at: EventTime, now: EventTime) -> bool {
    at.as_micros() > now.as_micros().saturating_add(AHEAD_US)
}

/// A file is evidence of this event, as of others perhaps, if there is such a file.
pub(crate) fn file_is_of(
    connection: &Connection,
    digest: &Digest,
    event: EventId,
    camera: Option<&str>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO evidence_of (sha256, event, camera)
             SELECT sha256, ?2, ?3 FROM evidence WHERE sha256 = ?1
             ON CONFLICT DO UPDATE SET camera = coalesce(excluded.camera, camera)",
        )?
        .execute(params![digest.to_string(), event.to_string(), camera])?;
    Ok(())
}

/// What a damaged outbox file still says of locks.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    told_us: Option<i64>,
    locked: Vec<String>,
    of: Vec<(String, String, Option<String>)>,
}

/// What can be read; a file of before version 6 has not all of these tables.
pub(crate) fn salvage(connection: &Connection) -> Salvage {
    let rows = |sql: &str| -> Vec<(String, String, Option<String>)> {
        let Ok(mut select) = connection.prepare(sql) else {
            return Vec::new();
        };
        let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        rows.map_or_else(|_| Vec::new(), |rows| rows.map_while(Result::ok).collect())
    };
    let locked = rows("SELECT event, '', NULL FROM locked");
    Salvage {
        told_us: connection
            .query_row("SELECT at_us FROM locks_told", [], |row| row.get(0))
            .ok(),
        locked: locked.into_iter().map(|(event, ..)| event).collect(),
        of: rows("SELECT sha256, event, camera FROM evidence_of"),
    }
}

/// Writes it into the file that takes the place of the damaged one.
pub(crate) fn restore(connection: &Connection, saved: &Salvage) -> rusqlite::Result<()> {
    if let Some(told) = saved.told_us {
        connection.execute("UPDATE locks_told SET at_us = ?1", [told])?;
    }
    for event in &saved.locked {
        connection
            .prepare_cached("INSERT OR IGNORE INTO locked VALUES (?1)")?
            .execute([event])?;
    }
    for (sha256, event, camera) in &saved.of {
        connection
            .prepare_cached("INSERT OR IGNORE INTO evidence_of VALUES (?1, ?2, ?3)")?
            .execute(params![sha256, event, camera])?;
    }
    Ok(())
}

impl Database {
    /// When the centre said what is locked, by its clock.
    pub(crate) fn locks_told(&self) -> rusqlite::Result<EventTime> {
        self.connection
            .query_row("SELECT at_us FROM locks_told", [], |row| row.get(0))
            .map(EventTime::from_micros)
    }

    /// Puts the centre's word of what is locked in the place of the last.
    pub(crate) fn take_locks(&self, locks: &EvidenceLocks) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute("UPDATE locks_told SET at_us = ?1", [locks.at.as_micros()])?;
        transaction.execute("DELETE FROM locked", [])?;
        for event in &locks.locked {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO locked VALUES (?1)")?
                .execute([event.to_string()])?;
        }
        transaction.commit()
    }

    /// Events that are locked, and files of evidence that are held for them.
    pub(crate) fn locked(&self) -> rusqlite::Result<(u64, u64)> {
        let query = format!(
            "SELECT (SELECT count(*) FROM locked), (SELECT count(*) FROM evidence WHERE {IS_LOCKED})"
        );
        self.connection.query_row(&query, [], |row| {
            let count = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok((count(0)?, count(1)?))
        })
    }

    /// How much time was seen to pass.
    pub(crate) fn seen_time(&self) -> rusqlite::Result<SeenTime> {
        self.connection
            .query_row("SELECT counted_us, looked_us FROM seen_time", [], |row| {
                Ok(SeenTime {
                    counted_us: row.get(0)?,
                    looked: row.get::<_, Option<i64>>(1)?.map(EventTime::from_micros),
                })
            })
    }

    /// Counts on; see [`SeenTime::look`].
    pub(crate) fn look(
        &self,
        now: EventTime,
        elapsed: Option<Duration>,
    ) -> rusqlite::Result<SeenTime> {
        let mut seen = self.seen_time()?;
        seen.look(now, elapsed);
        self.connection.execute(
            "UPDATE seen_time SET counted_us = ?1, looked_us = ?2",
            params![seen.counted_us, now.as_micros()],
        )?;
        Ok(seen)
    }
}

/// What the centre says of locked evidence.
#[derive(Debug, Default)]
pub(crate) struct WordOfLocks {
    /// The newest of which all is here, until it is on the disk.
    whole: Option<EvidenceLocks>,
    /// A newer one of which some parts are here, by number.
    parts: BTreeMap<u32, EvidenceLocks>,
}

impl WordOfLocks {
    /// Takes a part; `false` when there can be no such part. Nothing is changed by a
    /// part alone: what it does not name may be locked by another.
    pub(crate) fn take_part(&mut self, part: EvidenceLocks, now: EventTime) -> bool {
        let LockPart { number, of } = part.part;
        if number < 1 || number > of || of > MOST_PARTS {
            return false;
        }
        let known = self.parts.values().next().or(self.whole.as_ref());
        let is_older = known.is_some_and(|known| part.at < known.at);
        let is_late = is_older && known.is_some_and(|known| !is_from_ahead(known.at, now));
        if is_late {
            return true;
        }
        let at = part.at;
        // The rest of an older word comes too late.
        self.parts
            .retain(|_, other| other.at == at && other.part.of == of);
        self.parts.insert(number, part);
        if self.parts.len() == of as usize {
            let parts = std::mem::take(&mut self.parts);
            self.whole = Some(EvidenceLocks {
                at,
                locked: parts.into_values().flat_map(|part| part.locked).collect(),
                part: LockPart::WHOLE,
            });
        }
        true
    }

    /// The newest that is here wholly, once.
    pub(crate) fn take(&mut self) -> Option<EvidenceLocks> {
        self.whole.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::EventId;
    use uuid::Uuid;

    proptest! {
        /// However many events are locked, in whatever order the parts of two words
        /// come: the box knows the newer one wholly, or nothing of it.
        #[test]
        fn locks_count_once_all_parts_of_the_newest_are_here(
            counts in [0_u32..3500, 0_u32..3500],
            order in any::<u64>(),
            lost in 0_usize..6,
        ) {
            let words = counts.map(|count| -> Vec<EventId> {
                let ids = (0..u128::from(count)).map(|n| EventId(Uuid::from_u128(n)));
                ids.collect()
            });
            let mut parts: Vec<EvidenceLocks> = (1..)
                .zip(&words)
                .flat_map(|(at, word)| EvidenceLocks::in_parts(EventTime::from_micros(at), word))
                .collect();
            for part in &parts {
                prop_assert!(serde_json::to_vec(part).unwrap().len() < 64 * 1024);
            }
            fastrand::Rng::with_seed(order).shuffle(&mut parts);
            let is_lost = lost < parts.len();
            if is_lost {
                parts.remove(lost);
            }
            let is_whole = |at: i64, count: u32| {
                let here = parts.iter().filter(|part| part.at.as_micros() == at).count();
                here == count.div_ceil(1000).max(1) as usize
            };
            let newest_is_whole = is_whole(2, counts[1]);
            let mut word = WordOfLocks::default();
            for part in &parts {
                prop_assert!(word.take_part(part.clone(), EventTime::EPOCH));
            }
            match word.whole {
                Some(whole) if newest_is_whole => {
                    prop_assert_eq!((whole.at.as_micros(), &whole.locked), (2, &words[1]));
                }
                Some(whole) => {
                    prop_assert_eq!((whole.at.as_micros(), &whole.locked), (1, &words[0]));
                }
                None => prop_assert!(!newest_is_whole),
            }
        }
    }

    fn part(at: i64, number: u32, of: u32) -> EvidenceLocks {
        EvidenceLocks {
            at: EventTime::from_micros(at),
            locked: vec![EventId(Uuid::from_u128(u128::from(number)))],
            part: LockPart { number, of },
        }
    }

    /// One part of a word from 2036 whose other part was lost once made every later
    /// word too old, for as long as the connection lived.
    #[test]
    fn half_a_word_from_far_ahead_does_not_silence_later_ones() {
        let (now, year) = (1_000_000_000, 365 * 24 * AHEAD_US);
        let now_at = EventTime::from_micros(now);
        for (ahead, is_heard) in [(year, true), (AHEAD_US / 2, false)] {
            let mut word = WordOfLocks::default();
            assert!(word.take_part(part(now + ahead, 1, 2), now_at));
            assert_eq!(word.take(), None, "half of it");
            for number in [1, 2] {
                assert!(word.take_part(part(now, number, 2), now_at));
            }
            let heard = word.take().map(|whole| whole.at);
            assert_eq!(heard, is_heard.then_some(now_at), "{ahead}");
        }
    }

    #[test]
    fn a_part_that_cannot_be_is_told_from_one_that_is_late() {
        let mut word = WordOfLocks::default();
        let mut take = |at, number, of| word.take_part(part(at, number, of), EventTime::EPOCH);
        assert!(take(2, 1, 1));
        assert!(take(1, 1, 1), "late");
        for (number, of) in [(0, 1), (2, 1), (1, MOST_PARTS + 1)] {
            assert!(!take(3, number, of), "{number} of {of}");
        }
    }
}
