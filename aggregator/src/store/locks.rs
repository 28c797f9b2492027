//! Locks on evidence: set, released, and told to the boxes.

use protocol::locks::{MOST_LOCKED, MOST_PARTS};
use protocol::{BoxId, EventId, EventTime, EvidenceLocks, SiteId};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use uuid::Uuid;

use super::retention::unsort;
use super::{Decision, DecisionError, StoreError, Whose};
use crate::alert::Action;

/// Sets or releases the lock, if the decision is about one; whose box is to be told.
pub(super) fn decide(
    tx: &Transaction<'_>,
    decision: &Decision,
    now: i64,
) -> Result<Option<Whose>, DecisionError> {
    let id = decision.alert.0.as_bytes().as_slice();
    let changed = match decision.action {
        Action::Lock => tx
            .prepare_cached("INSERT OR IGNORE INTO evidence_locks VALUES (?1, ?2, ?3, ?4)")
            .and_then(|mut insert| {
                let reason = decision.note.as_deref().unwrap_or_default();
                insert.execute(params![id, now, decision.actor, reason])
            }),
        Action::Unlock => tx
            .prepare_cached("DELETE FROM evidence_locks WHERE alert = ?1")
            .and_then(|mut delete| delete.execute([id])),
        Action::Acknowledge | Action::Resolve(_) => return Ok(None),
    };
    if changed.map_err(StoreError::from)? == 0 {
        return Err(DecisionError::Lock(decision.action == Action::Lock));
    }
    unsort(tx, decision.alert).map_err(StoreError::from)?;
    tell(tx, now).map_err(StoreError::from)?;
    Ok(owner(tx, id).map_err(StoreError::from)?)
}

fn owner(tx: &Transaction<'_>, alert: &[u8]) -> rusqlite::Result<Option<Whose>> {
    let names: Option<(String, String)> = tx
        .prepare_cached("SELECT site, box FROM alerts WHERE id = ?1")?
        .query_row([alert], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(names.and_then(|(site, box_id)| Some((SiteId::new(site).ok()?, BoxId::new(box_id).ok()?))))
}

/// The word of now is a new one: the time that it bears is later than every
/// earlier word's, also when the clock was set back. A box takes none that is not
/// newer than the last.
pub(super) fn tell(tx: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE locks_told SET at = max(?1, at + 1)")?
        .execute([now])?;
    Ok(())
}

/// How many alerts are locked.
pub(super) fn count(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT count(*) FROM evidence_locks")?
        .query_row([], |row| row.get(0))
}

/// Which events of a box are locked, those with the newest evidence first, as the
/// messages that tell it.
pub(super) fn of_box(
    connection: &Connection,
    (site, box_id): &Whose,
) -> rusqlite::Result<Vec<EvidenceLocks>> {
    // Before the locks: outside a transaction these may be newer than their time,
    // and are then told again.
    let at = connection
        .prepare_cached("SELECT at FROM locks_told")?
        .query_row([], |row| row.get(0))?;
    let locked: Vec<EventId> = connection
        .prepare_cached(
            "SELECT l.alert FROM evidence_locks l JOIN alerts a ON a.id = l.alert
             WHERE a.site = ?1 AND a.box = ?2 ORDER BY a.occurred_at DESC, a.id LIMIT ?3",
        )?
        .query_map(
            params![site.as_str(), box_id.as_str(), MOST_LOCKED * MOST_PARTS],
            |row| Ok(EventId(Uuid::from_bytes(row.get(0)?))),
        )?
        .collect::<Result<_, _>>()?;
    Ok(EvidenceLocks::in_parts(EventTime::from_micros(at), &locked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_older_than_an_earlier_one_wherever_the_clock_is_set() {
        let mut connection = Connection::open_in_memory().unwrap();
        super::super::migrate::migrate(&mut connection).unwrap();
        let whose = (SiteId::new("hanoi").unwrap(), BoxId::new("b").unwrap());
        let mut told = Vec::new();
        for now in [1_000, 1_000, 5, 4_000, 3_999] {
            let tx = connection.transaction().unwrap();
            tell(&tx, now).unwrap();
            told.push(of_box(&tx, &whose).unwrap()[0].at.as_micros());
            tx.commit().unwrap();
        }
        assert_eq!(told, [1_000, 1_001, 1_002, 4_000, 4_001]);
    }
}
