//! Messages that the centre has receipted and that are kept for a while all the
//! same, because a centre can be restored from a backup that is older than its
//! receipts.
//!
//! They stand in the table of the others, below the mark `receipted`. When the
//! mark goes back, they are unreceipted again and are sent again; the centre
//! tells by their ids what it has. They are the first to go when room is needed.

use std::time::Duration;

use protocol::{Digest, EventTime};
use rusqlite::{OptionalExtension as _, params};
use uuid::Uuid;

use crate::database::{Database, signed};

/// Added to an outbox file in its fourth version. A row of `receipt_mark` says
/// when what is at or below it was receipted, to the minute. (Whose a file of evidence
/// is stands elsewhere since the sixth version.)
pub(crate) const SCHEMA: &str = "
    CREATE TABLE receipted (
        only    INTEGER PRIMARY KEY CHECK (only = 1),
        through INTEGER NOT NULL,
        at_us   INTEGER NOT NULL
    );
    INSERT INTO receipted SELECT 1, coalesce(
        (SELECT min(sequence) - 1 FROM outbox),
        (SELECT seq FROM sqlite_sequence WHERE name = 'outbox'),
        0), 0;
    CREATE TABLE receipt_mark (
        through  INTEGER PRIMARY KEY,
        taken_us INTEGER NOT NULL
    );
    ALTER TABLE evidence ADD COLUMN camera TEXT;
";

/// Added in the sixth version: which opening of the centre's database was heard last.
pub(crate) const OPENING_SCHEMA: &str = "
    CREATE TABLE centre (
        only    INTEGER PRIMARY KEY CHECK (only = 1),
        opening TEXT
    );
    INSERT INTO centre VALUES (1, NULL);
";

/// Added in the seventh version, on the count of `seen_time`: from when on the centre is
/// asked whether it still has a file that it had once. The file stays a copy meanwhile.
/// What is not read any more goes.
pub(crate) const ASK_SCHEMA: &str = "
    ALTER TABLE evidence DROP COLUMN event;
    ALTER TABLE evidence DROP COLUMN camera;
    ALTER TABLE evidence ADD COLUMN ask_us INTEGER;
    CREATE INDEX evidence_to_ask ON evidence (ask_us) WHERE ask_us IS NOT NULL;
";

/// Receipts within so long share a mark, microseconds.
const MARK_US: i64 = 60_000_000;
/// Rows forgotten at a time for want of room: about a megabyte.
const CHUNK: i64 = 256;

/// Nothing is receipted, nothing kept: a new outbox id.
pub(crate) fn forget(connection: &rusqlite::Connection) -> rusqlite::Result<()> {
    connection.execute("UPDATE receipted SET through = 0, at_us = 0", [])?;
    connection.execute("DELETE FROM receipt_mark", [])?;
    Ok(())
}

impl Database {
    /// Up to where the centre has everything, and when it said so by its clock.
    pub(crate) fn receipted(&self) -> rusqlite::Result<(u64, EventTime)> {
        let found = self
            .connection
            .query_row("SELECT through, at_us FROM receipted", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            });
        let (through, at) = found.optional()?.unwrap_or((0, 0));
        Ok((through.max(0).cast_unsigned(), EventTime::from_micros(at)))
    }

    /// The centre has everything up to `through`; it said so at `at` by its
    /// clock, and `now` is our count of time. The rows stay.
    pub(crate) fn receipt(
        &self,
        through: u64,
        at: EventTime,
        now: EventTime,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        set(&transaction, through, at)?;
        let newest: Option<(i64, i64)> = transaction
            .prepare_cached(
                "SELECT through, taken_us FROM receipt_mark ORDER BY through DESC LIMIT 1",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (through, now) = (signed(through), now.as_micros());
        match newest {
            Some((mark, _)) if mark >= through => {}
            Some((mark, taken)) if (0..MARK_US).contains(&(now - taken)) => {
                transaction
                    .prepare_cached("UPDATE receipt_mark SET through = ?1 WHERE through = ?2")?
                    .execute([through, mark])?;
            }
            _ => {
                transaction
                    .prepare_cached("INSERT INTO receipt_mark VALUES (?1, ?2)")?
                    .execute([through, now])?;
            }
        }
        transaction.commit()
    }

    /// The centre has only what is up to `through` any more.
    pub(crate) fn unreceipt(
        &self,
        through: u64,
        at: EventTime,
        now: EventTime,
    ) -> rusqlite::Result<()> {
        let transaction = self.connection.unchecked_transaction()?;
        set(&transaction, through, at)?;
        let through = signed(through);
        transaction.execute(
            "INSERT OR IGNORE INTO receipt_mark VALUES (?1, ?2)",
            params![through, now.as_micros()],
        )?;
        transaction.execute("DELETE FROM receipt_mark WHERE through > ?1", [through])?;
        // Copies of evidence are those of messages that it may have lost, too.
        transaction.execute(
            "UPDATE evidence SET state = 'waiting', settled_us = NULL, since_us = NULL, ask_us = 0
             WHERE state = 'uploaded'",
            [],
        )?;
        transaction.commit()
    }

    /// Which opening of the centre's database was heard last.
    pub(crate) fn opening(&self) -> rusqlite::Result<Option<Uuid>> {
        let opening: Option<String> = self
            .connection
            .prepare_cached("SELECT opening FROM centre")?
            .query_row([], |row| row.get(0))?;
        Ok(opening.and_then(|opening| opening.parse().ok()))
    }

    /// The centre's database was opened anew, perhaps from a backup: what became its
    /// since `since` may not be there any more, and it is asked within `within` from
    /// `now` on, all on the count of `seen_time`. What it refused it may take now. How
    /// many files that is. Their age goes on, or a centre that starts every day would
    /// have them kept for ever.
    pub(crate) fn opened(
        &self,
        opening: Uuid,
        since: EventTime,
        now: EventTime,
        within: Duration,
    ) -> rusqlite::Result<usize> {
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute("UPDATE centre SET opening = ?1", [opening.to_string()])?;
        let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX).max(1);
        // Which of two hundred boxes asks first is decided by nobody.
        let copies = transaction.execute(
            "UPDATE evidence SET ask_us = ?2 + abs(random() % ?3)
             WHERE state = 'uploaded' AND (since_us IS NULL OR since_us > ?1) AND ask_us IS NULL",
            [since.as_micros(), now.as_micros(), within],
        )?;
        let refused = transaction.execute(
            "UPDATE evidence SET state = 'waiting', settled_us = NULL WHERE state = 'refused'",
            [],
        )?;
        transaction.commit()?;
        Ok(copies + refused)
    }

    /// The centre was asked, and does not have this copy any more: it is evidence again
    /// that only this box has.
    pub(crate) fn lost_there(&self, digest: &Digest) -> rusqlite::Result<()> {
        self.connection.execute(
            "UPDATE evidence SET state = 'waiting', settled_us = NULL
             WHERE sha256 = ?1 AND state = 'uploaded'",
            [digest.to_string()],
        )?;
        Ok(())
    }

    /// Forgets what was receipted before `before`; how many messages.
    pub(crate) fn expire_kept(&self, before: EventTime) -> rusqlite::Result<u64> {
        let (receipted, _) = self.receipted()?;
        let through: Option<i64> = self.connection.query_row(
            "SELECT max(through) FROM receipt_mark WHERE taken_us <= ?1 AND through <= ?2",
            [before.as_micros(), signed(receipted)],
            |row| row.get(0),
        )?;
        let Some(through) = through else { return Ok(0) };
        let transaction = self.connection.unchecked_transaction()?;
        let rows = transaction.execute("DELETE FROM outbox WHERE sequence <= ?1", [through])?;
        transaction.execute("DELETE FROM receipt_mark WHERE through <= ?1", [through])?;
        transaction.commit()?;
        Ok(rows as u64)
    }

    /// Forgets the oldest of what was receipted, to make room; how many messages.
    pub(crate) fn drop_kept(&self) -> rusqlite::Result<u64> {
        let (receipted, _) = self.receipted()?;
        let rows = self.connection.execute(
            "DELETE FROM outbox WHERE sequence IN
                (SELECT sequence FROM outbox WHERE sequence <= ?1 ORDER BY sequence LIMIT ?2)",
            [signed(receipted), CHUNK],
        )?;
        Ok(rows as u64)
    }
}

fn set(connection: &rusqlite::Connection, through: u64, at: EventTime) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE receipted SET through = ?1, at_us = ?2")?
        .execute([signed(through), at.as_micros()])?;
    Ok(())
}
