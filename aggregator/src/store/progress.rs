//! Up to where each outbox is complete.
//!
//! A receipt says "everything through N is committed", and only that lets a box
//! forget. Messages may overtake one another (several consumers of one broker,
//! a resend after a reconnection), so what came early waits in `outbox_ahead`
//! until the gap before it is filled.

use protocol::envelope::Delivery;
use protocol::status::OutboxPosition;
use protocol::{BoxId, SiteId};
use rusqlite::{OptionalExtension, Transaction, params};
use uuid::Uuid;

/// What a delivery did to its outbox's progress.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Which outbox.
    pub(super) outbox: Uuid,
    /// Everything up to here is committed.
    pub(super) through: u64,
    /// How many sequences the box will never send because somebody receipted
    /// them that was not this database: an earlier disk, a restored backup.
    pub(super) beyond_recovery: u64,
}

/// What is here of an outbox that its box tells the position of: nothing beyond
/// what the box can still send, when this database has never heard of it.
pub(super) fn known(
    tx: &Transaction<'_>,
    (site, box_id): (&SiteId, &BoxId),
    position: &OutboxPosition,
) -> rusqlite::Result<Progress> {
    let outbox = position.id.as_bytes().as_slice();
    let known = through(tx, site.as_str(), box_id.as_str(), outbox)?;
    let through = known.unwrap_or_else(|| signed(position.floor.saturating_sub(1)));
    Ok(Progress {
        outbox: position.id,
        through: through.cast_unsigned(),
        beyond_recovery: 0,
    })
}

fn through(
    tx: &Transaction<'_>,
    site: &str,
    box_id: &str,
    outbox: &[u8],
) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached("SELECT through FROM outboxes WHERE site = ?1 AND box = ?2 AND outbox = ?3")?
        .query_row(params![site, box_id, outbox], |row| row.get(0))
        .optional()
}

/// Notes that `delivery` is committed (with this transaction).
pub(super) fn note(
    tx: &Transaction<'_>,
    (site, box_id): (&SiteId, &BoxId),
    delivery: &Delivery,
    now: i64,
) -> rusqlite::Result<Progress> {
    let outbox = delivery.outbox.as_bytes().as_slice();
    let (site, box_id) = (site.as_str(), box_id.as_str());
    let known = through(tx, site, box_id, outbox)?;
    let below_floor = signed(delivery.sequencefloor.saturating_sub(1));
    let before = known.unwrap_or(below_floor);
    let lost = match known {
        Some(through) if below_floor > through => {
            let here: i64 = tx
                .prepare_cached(
                    "SELECT count(*) FROM outbox_ahead
                     WHERE site = ?1 AND box = ?2 AND outbox = ?3 AND sequence <= ?4",
                )?
                .query_row(params![site, box_id, outbox, below_floor], |row| row.get(0))?;
            below_floor.saturating_sub(through).saturating_sub(here)
        }
        // The first word of a box to a new database: what it sent to an older
        // one is that one's.
        _ => 0,
    };
    let mut through = before.max(below_floor);
    let sequence = signed(delivery.sequence);
    // Saturating: a database of an earlier version may hold the last number there is.
    if sequence == through.saturating_add(1) {
        through = sequence;
    } else if sequence > through {
        tx.prepare_cached("INSERT OR IGNORE INTO outbox_ahead VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![site, box_id, outbox, sequence])?;
    }
    if known != Some(through) {
        through = absorb(tx, site, box_id, outbox, through)?;
        tx.prepare_cached(
            "INSERT INTO outboxes VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (site, box, outbox) DO UPDATE SET through = excluded.through, received_at = excluded.received_at",
        )?
        .execute(params![site, box_id, outbox, through, now])?;
    }
    Ok(Progress {
        outbox: delivery.outbox,
        through: through.cast_unsigned(),
        beyond_recovery: lost.cast_unsigned(),
    })
}

/// Moves `through` over what came early and is now contiguous.
fn absorb(
    tx: &Transaction<'_>,
    site: &str,
    box_id: &str,
    outbox: &[u8],
    mut through: i64,
) -> rusqlite::Result<i64> {
    {
        let mut early = tx.prepare_cached(
            "SELECT sequence FROM outbox_ahead
             WHERE site = ?1 AND box = ?2 AND outbox = ?3 ORDER BY sequence",
        )?;
        // Row by row and only up to the next gap: a day's backlog may wait behind it.
        let mut rows = early.query(params![site, box_id, outbox])?;
        while let Some(row) = rows.next()? {
            let sequence: i64 = row.get(0)?;
            if sequence > through.saturating_add(1) {
                break;
            }
            through = through.max(sequence);
        }
    }
    tx.prepare_cached(
        "DELETE FROM outbox_ahead WHERE site = ?1 AND box = ?2 AND outbox = ?3 AND sequence <= ?4",
    )?
    .execute(params![site, box_id, outbox, through])?;
    Ok(through)
}

/// The inbox refuses sequences that do not fit (`inbox::HIGHEST_SEQUENCE`).
fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}
