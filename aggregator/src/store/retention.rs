//! What retention does to the tables: sorting, removing, recording.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::{Digest, EventId, EventTime, SeenTime};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::apply::{Numbers, touch};
use crate::alert::{Resolution, State};
use crate::retention::{Class, Retention};

/// Files looked at in one transaction, so that nobody waits long for the writer.
const STEP: u32 = 250;

/// One step of a sweep.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// The host's clock, and what the monotonic clock has counted since the last
    /// sweep of this run; only with the first step of a sweep.
    pub time: Option<(EventTime, Option<Duration>)>,
    /// What is written down as the time of removal.
    pub now: EventTime,
    /// The periods.
    pub retention: Retention,
}

/// What a step has done.
#[derive(Clone, Debug, Default)]
pub struct Step {
    /// Files recorded as removed, and their bytes, by class.
    pub removed: BTreeMap<Class, (u64, u64)>,
    /// Whether there is more to do.
    pub goes_on: bool,
}

/// Resolutions that say: this was none.
const DISMISSED: [Resolution; 3] = [
    Resolution::FalseAlarm,
    Resolution::Duplicate,
    Resolution::Test,
];

pub(super) fn step(
    tx: &Transaction<'_>,
    sweep: &Sweep,
    numbers: &mut Numbers,
) -> rusqlite::Result<Step> {
    let mut seen = read_time(tx)?;
    if let Some((now, elapsed)) = sweep.time {
        seen.look(now, elapsed);
        tx.prepare_cached("UPDATE seen_time SET counted_us = ?1, looked = ?2")?
            .execute(params![
                seen.counted_us,
                seen.looked.map(EventTime::as_micros)
            ])?;
    }
    let unsorted = digests(
        tx,
        "SELECT sha256 FROM evidence_files WHERE sorted = 0 LIMIT ?1",
        params![STEP],
    )?;
    for sha256 in &unsorted {
        sort(tx, sha256, &sweep.retention, seen.counted_us)?;
    }
    let mut step = Step {
        goes_on: unsorted.len() == STEP as usize,
        ..Step::default()
    };
    for (class, _, days) in sweep.retention.periods() {
        if days <= 0.0 {
            continue;
        }
        let before = seen.before(Duration::from_secs_f64(days * 86_400.0));
        let due = digests(
            tx,
            "SELECT sha256 FROM evidence_files
             WHERE class = ?1 AND since <= ?2 AND sorted = 1 LIMIT ?3",
            params![class.as_str(), before, STEP],
        )?;
        step.goes_on |= due.len() == STEP as usize;
        for sha256 in due {
            let length = remove(tx, &sha256, (class, days), sweep.now, numbers)?;
            let of_class = step.removed.entry(class).or_default();
            of_class.0 += 1;
            of_class.1 += length;
        }
    }
    Ok(step)
}

fn read_time(tx: &Transaction<'_>) -> rusqlite::Result<SeenTime> {
    tx.prepare_cached("SELECT counted_us, looked FROM seen_time")?
        .query_row([], |row| {
            Ok(SeenTime {
                counted_us: row.get(0)?,
                looked: row.get::<_, Option<i64>>(1)?.map(EventTime::from_micros),
            })
        })
}

fn digests(
    connection: &Connection,
    query: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<Vec<[u8; 32]>> {
    connection
        .prepare_cached(query)?
        .query_map(values, |row| row.get(0))?
        .collect()
}

/// Writes down as what a file is kept from now on. Its time begins anew when
/// that is something else than it was.
fn sort(
    tx: &Transaction<'_>,
    sha256: &[u8; 32],
    retention: &Retention,
    counted_us: i64,
) -> rusqlite::Result<()> {
    let class = class(tx, sha256, retention)?.as_str();
    tx.prepare_cached(
        "UPDATE evidence_files SET sorted = 1,
            since = CASE WHEN class = ?2 THEN since ELSE ?3 END, class = ?2
         WHERE sha256 = ?1",
    )?
    .execute(params![sha256.as_slice(), class, counted_us])?;
    Ok(())
}

/// As what a file is kept: of several alerts that show it, the one that keeps
/// it longest counts, and a lock beats all.
fn class(
    tx: &Transaction<'_>,
    sha256: &[u8; 32],
    retention: &Retention,
) -> rusqlite::Result<Class> {
    let mut select = tx.prepare_cached(
        "SELECT i.role, l.alert IS NOT NULL, a.state,
            (SELECT h.reason FROM alert_history h WHERE h.alert = a.id AND h.action = 'resolve'
                ORDER BY h.entry DESC LIMIT 1)
         FROM evidence_items i
         LEFT JOIN alerts a ON (a.id, a.site, a.box, a.camera) = (i.alert, i.site, i.box, i.camera)
         LEFT JOIN evidence_locks l ON l.alert = a.id
         WHERE i.sha256 = ?1",
    )?;
    let mut rows = select.query([sha256.as_slice()])?;
    let mut longest: Option<Class> = None;
    while let Some(row) = rows.next()? {
        let role: String = row.get(0)?;
        let is_locked: bool = row.get(1)?;
        let state: Option<String> = row.get(2)?;
        let reason: Option<String> = row.get(3)?;
        if is_locked {
            return Ok(Class::Locked);
        }
        let is_dismissed = state.as_deref() == Some(State::Resolved.as_str())
            && reason
                .as_deref()
                .and_then(Resolution::parse)
                .is_some_and(|reason| DISMISSED.contains(&reason));
        let class = match Class::of_role(&role) {
            Class::Case => Class::Case,
            _ if is_dismissed => Class::Dismissed,
            of_role => of_role,
        };
        let period = |class| retention.days(class).unwrap_or(f64::INFINITY);
        if longest.is_none_or(|other| period(other) < period(class)) {
            longest = Some(class);
        }
    }
    Ok(longest.unwrap_or(Class::Unclaimed))
}

/// Records that a file is removed, and takes it from those that are here; its length.
fn remove(
    tx: &Transaction<'_>,
    sha256: &[u8; 32],
    (class, days): (Class, f64),
    now: EventTime,
    numbers: &mut Numbers,
) -> rusqlite::Result<u64> {
    let length: i64 = tx
        .prepare_cached("DELETE FROM evidence_files WHERE sha256 = ?1 RETURNING length")?
        .query_row([sha256.as_slice()], |row| row.get(0))?;
    tx.prepare_cached("INSERT OR REPLACE INTO evidence_removed VALUES (?1, ?2, ?3, ?4, ?5, 0)")?
        .execute(params![
            sha256.as_slice(),
            length,
            class.as_str(),
            days,
            now.as_micros()
        ])?;
    let alerts: Vec<[u8; 16]> = tx
        .prepare_cached(
            "SELECT DISTINCT a.id FROM evidence_items i
             JOIN alerts a ON (a.id, a.site, a.box, a.camera)
                = (i.alert, i.site, i.box, i.camera)
             WHERE i.sha256 = ?1",
        )?
        .query_map([sha256.as_slice()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for alert in alerts {
        touch(tx, EventId(Uuid::from_bytes(alert)), numbers)?;
    }
    Ok(length.cast_unsigned())
}

/// Something has happened to an alert that may change as what its files are kept.
pub(super) fn unsort(tx: &Transaction<'_>, alert: EventId) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE evidence_files SET sorted = 0
         WHERE sha256 IN (SELECT sha256 FROM evidence_items WHERE alert = ?1)",
    )?
    .execute([alert.0.as_bytes().as_slice()])?;
    Ok(())
}

/// Files whose removal is recorded and which may still be there.
pub(super) fn to_erase(connection: &Connection) -> rusqlite::Result<Vec<Digest>> {
    let found = digests(
        connection,
        "SELECT sha256 FROM evidence_removed WHERE erased = 0 LIMIT ?1",
        params![STEP],
    )?;
    Ok(found.into_iter().map(Digest).collect())
}

/// They are gone.
pub(super) fn erased(tx: &Transaction<'_>, files: &[Digest]) -> rusqlite::Result<()> {
    for sha256 in files {
        tx.prepare_cached("UPDATE evidence_removed SET erased = 1 WHERE sha256 = ?1")?
            .execute([sha256.0.as_slice()])?;
    }
    Ok(())
}

/// What is recorded of a file that retention has removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Removed {
    /// When, by the centre's clock.
    pub at: EventTime,
    /// As what it had been kept.
    pub class: String,
    /// For how many days.
    pub days: f64,
}

/// Whether and when a file was removed.
pub(super) fn removed(
    connection: &Connection,
    sha256: Digest,
) -> rusqlite::Result<Option<Removed>> {
    connection
        .prepare_cached("SELECT removed_at, class, days FROM evidence_removed WHERE sha256 = ?1")?
        .query_row([sha256.0.as_slice()], |row| {
            Ok(Removed {
                at: EventTime::from_micros(row.get(0)?),
                class: row.get(1)?,
                days: row.get(2)?,
            })
        })
        .optional()
}
