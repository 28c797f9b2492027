//! Messages that could not be taken yet, whole, and their second chance.
//!
//! A box forgets what is receipted, and a dead letter is receipted so that the
//! box can go on. Where the fault may be with this centre or with the hour (a
//! newer box, a clock that was wrong, a database that refused), that would lose
//! an event for good. So the whole message is kept here, within a budget, and
//! judged again when the program starts, and once its time has come.

use bytes::Bytes;
use protocol::EventTime;
use rusqlite::{Connection, Transaction, params};

use super::{Job, StoreSettings};
use crate::inbox::{Content, DeadLetter, Judged, judge};

/// How many are read at a time: at most 16 MiB of bodies.
const AT_A_TIME: u32 = 64;

/// Which messages get their second chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All: the program has just started and may be another version.
    All,
    /// Those from the future whose time has come.
    Due,
}

/// What was found of one reading.
pub(super) struct Found {
    /// Those that can be taken now.
    pub(super) jobs: Vec<Job>,
    /// Where to read on; `None` when there is no more.
    pub(super) last: Option<i64>,
}

/// Keeps a dead letter whole; how many older ones had to go for it.
pub(super) fn keep(
    tx: &Transaction<'_>,
    dead: &DeadLetter,
    settings: &StoreSettings,
) -> rusqlite::Result<u64> {
    if !dead.may_be_mended() {
        return Ok(0);
    }
    tx.prepare_cached(
        "INSERT INTO set_aside (received_at, due, topic, body) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute(params![
        dead.received.as_micros(),
        dead.due.map(EventTime::as_micros),
        dead.topic,
        dead.body.as_ref(),
    ])?;
    let budget = i64::try_from(settings.set_aside_bytes).unwrap_or(i64::MAX);
    let mut dropped = 0;
    loop {
        let bytes: i64 = tx
            .prepare_cached("SELECT bytes FROM set_aside_total")?
            .query_row([], |row| row.get(0))?;
        if bytes <= budget {
            return Ok(dropped);
        }
        let gone = tx
            .prepare_cached(
                "DELETE FROM set_aside WHERE entry = (SELECT min(entry) FROM set_aside)",
            )?
            .execute([])?;
        if gone == 0 {
            return Ok(dropped);
        }
        dropped += 1;
    }
}

/// Judges the next of them after the entry `after`, by the clock's `now`.
pub(super) fn next(
    connection: &Connection,
    which: Which,
    after: i64,
    now: EventTime,
    settings: &StoreSettings,
) -> rusqlite::Result<Found> {
    let query = match which {
        Which::All => {
            "SELECT entry, received_at, topic, body FROM set_aside
             WHERE entry > ?1 AND ?2 = ?2 ORDER BY entry LIMIT ?3"
        }
        Which::Due => {
            "SELECT entry, received_at, topic, body FROM set_aside
             WHERE entry > ?1 AND due <= ?2 ORDER BY entry LIMIT ?3"
        }
    };
    let mut found = Found {
        jobs: Vec::new(),
        last: None,
    };
    let mut statement = connection.prepare_cached(query)?;
    let mut rows = statement.query(params![after, now.as_micros(), AT_A_TIME])?;
    while let Some(row) = rows.next()? {
        let entry = row.get(0)?;
        found.last = Some(entry);
        let (received, topic) = (
            EventTime::from_micros(row.get(1)?),
            row.get::<_, String>(2)?,
        );
        let body = Bytes::from(row.get::<_, Vec<u8>>(3)?);
        if let Judged::Letter(mut letter) = judge(&topic, &body, now, settings.limits)
            && matches!(letter.content, Content::Event(_) | Content::Evidence(..))
        {
            // It came when it came, and its place in the outbox was noted then.
            letter.received = received;
            letter.delivery = None;
            found.jobs.push(Job::SecondChance { entry, letter });
        }
    }
    Ok(found)
}

/// Forgets one that has been taken.
pub(super) fn done(tx: &Transaction<'_>, entry: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM set_aside WHERE entry = ?1")?
        .execute([entry])?;
    Ok(())
}
