//! The evidence side of an outbox: how a file is stored, the upload queue, and what
//! becomes of a file once the centre has it.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use protocol::{Digest, EventTime};
use rusqlite::{OptionalExtension, params};

use super::gone::Why;
use super::room::Class;
use super::{Outbox, OutboxError, RELIEF_BYTES, State};
use crate::database::{Database, signed};
use crate::locks::IS_LOCKED;
use crate::{clock, evidence};

/// A file that the centre does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upload {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) length: u64,
    /// The centre had it once: it may well have it still.
    pub(crate) was_there: bool,
}

impl Database {
    pub(super) fn files_in(&self, state: &str) -> rusqlite::Result<u64> {
        self.connection
            .query_row(
                "SELECT count(*) FROM evidence WHERE state = ?1",
                [state],
                |r| r.get::<_, i64>(0),
            )
            .map(i64::cast_unsigned)
    }

    pub(super) fn queue_file(
        &self,
        digest: &Digest,
        length: u64,
        media_type: &str,
    ) -> rusqlite::Result<()> {
        self.connection.execute(
            "INSERT INTO evidence (sha256, length, media_type, state) VALUES (?1, ?2, ?3, 'waiting')
             ON CONFLICT (sha256) DO NOTHING",
            params![digest.to_string(), signed(length), media_type],
        )?;
        Ok(())
    }

    /// What the centre refused waits again; how many files.
    pub(super) fn offer_refused(&self) -> rusqlite::Result<usize> {
        self.connection.execute(
            "UPDATE evidence SET state = 'waiting', settled_us = NULL WHERE state = 'refused'",
            [],
        )
    }

    pub(super) fn forget_file(&self, digest: &str, why: Why) -> rusqlite::Result<()> {
        self.note_gone(digest, why)?;
        for table in ["evidence", "evidence_of"] {
            self.connection
                .execute(&format!("DELETE FROM {table} WHERE sha256 = ?1"), [digest])?;
        }
        Ok(())
    }
}

impl Outbox {
    /// Makes the queue agree with the files: a crash between the two leaves
    /// either a file without a row or, after a sacrifice, a row without a file.
    pub(super) fn reconcile_evidence(&self) -> Result<(), OutboxError> {
        self.reconcile(&mut self.lock())
    }

    pub(super) fn reconcile(&self, state: &mut State) -> Result<(), OutboxError> {
        let dir = &self.inner.dir;
        self.file_cases(state);
        let found = evidence::scan(dir).map_err(|e| OutboxError::file(dir, e))?;
        let rows: BTreeSet<String> = {
            let mut select = self.named(
                state
                    .database
                    .connection
                    .prepare("SELECT sha256 FROM evidence"),
            )?;
            let rows = self.named(select.query_map([], |r| r.get(0)))?;
            self.named(rows.collect())?
        };
        let mut files = BTreeSet::new();
        let (mut queued, mut bytes) = (0_u64, 0_u64);
        let transaction = self.named(state.database.connection.unchecked_transaction())?;
        for (digest, length) in found {
            bytes += length;
            let name = digest.to_string();
            if !rows.contains(&name) {
                queued += 1;
                let media_type = evidence::media_type_of(&self.file_path(&digest));
                self.named(state.database.queue_file(&digest, length, media_type))?;
            }
            files.insert(name);
        }
        let missing: Vec<&String> = rows.difference(&files).collect();
        for name in &missing {
            self.named(state.database.forget_file(name, Why::Gone))?;
        }
        // Of a file that was salvaged from a damaged outbox and is not there any more.
        self.named(state.database.connection.execute(
            "DELETE FROM evidence_of WHERE sha256 NOT IN (SELECT sha256 FROM evidence)",
            [],
        ))?;
        // What refused it may have been a limit that was raised since.
        let again = self.named(state.database.offer_refused())?;
        if again > 0 {
            tracing::info!(
                files = again,
                "evidence that was refused is offered once more"
            );
        }
        if queued > 0 || !missing.is_empty() {
            tracing::warn!(
                queued,
                missing = missing.len(),
                "the upload queue was mended after a crash"
            );
        }
        self.named(transaction.commit())?;
        state.evidence_bytes = bytes;
        Ok(())
    }

    /// Stores a file where the budget and the disk have room for it, if need be in the
    /// place of what is given up before it.
    pub(super) fn store_file(
        &self,
        digest: &Digest,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<(), OutboxError> {
        let class = Class::of(media_type);
        let stored = self.try_store_file(digest, bytes, media_type, class);
        if let Err(error) = &stored
            && error.is_want_of_room()
        {
            let mut state = self.lock();
            *state.not_stored.entry(class.word()).or_default() += 1;
            let is_disk = matches!(error, OutboxError::DiskFull { .. });
            state.shortage.not_stored(bytes.len() as u64, is_disk);
        }
        stored
    }

    fn try_store_file(
        &self,
        digest: &Digest,
        bytes: &[u8],
        media_type: &str,
        class: Class,
    ) -> Result<(), OutboxError> {
        let length = bytes.len() as u64;
        let budget = self.inner.budget.max_bytes;
        if length > budget {
            return Err(OutboxError::OverBudget {
                bytes: length,
                budget,
            });
        }
        let path = self.file_path(digest);
        // Reserved before the lock is let go: two files must not be given one place.
        let reserved = {
            let mut state = self.lock();
            if path.exists() {
                0
            } else if self.make_room_for(&mut state, length, class) {
                state.evidence_bytes += length;
                length
            } else {
                let refusal = self.no_room(&state, length);
                // The database has grown by receipts since anybody looked: a refusal, too,
                // leaves the folder within its budget.
                self.keep_budget(&mut state);
                return Err(refusal);
            }
        };
        let give_back = |state: &mut State| {
            state.evidence_bytes = state.evidence_bytes.saturating_sub(reserved);
        };
        let full = || OutboxError::DiskFull {
            path: path.clone(),
            kept: false,
        };
        // The lock is not held during the sync, so events are not kept waiting by a clip.
        let is_new = loop {
            match evidence::write(&self.inner.dir, digest, bytes) {
                Ok(is_new) => break is_new,
                Err(e) => {
                    let mut state = self.lock();
                    let wanted = length.max(RELIEF_BYTES);
                    if !is_full(&e) {
                        give_back(&mut state);
                        return Err(OutboxError::file(&path, e));
                    }
                    if self.sacrifice(&mut state, wanted, class) == 0 {
                        give_back(&mut state);
                        return Err(full());
                    }
                }
            }
        };
        let mut state = self.lock();
        if !is_new {
            give_back(&mut state);
        } else if reserved == 0 {
            // It was there when we looked, and was given up since.
            state.evidence_bytes += length;
        }
        if is_new {
            state.shortage.stored(length);
        }
        while let Err(error) = state.database.queue_file(digest, length, media_type) {
            let is_relieved =
                self.says_full(&error) && self.sacrifice(&mut state, RELIEF_BYTES, class) > 0;
            if !is_relieved {
                let error = OutboxError::of(&self.inner.dir, error);
                // Without a row nobody would upload it; its space helps more.
                if is_new && std::fs::remove_file(&path).is_ok() {
                    state.evidence_bytes = state.evidence_bytes.saturating_sub(length);
                }
                return Err(error);
            }
        }
        drop(state);
        self.inner.stored.notify_one();
        Ok(())
    }

    /// The file to upload next: of those with the lowest rank the oldest. What has
    /// none is passed over. A rank of 0 ends the search. What the centre had once is
    /// asked for after all that it never had, and when its time has come.
    pub(crate) fn next_upload(
        &self,
        rank: impl Fn(&Digest) -> Option<u32>,
    ) -> Result<Option<Upload>, OutboxError> {
        let state = self.lock();
        let search = |was_there: bool| {
            let now = state.database.seen_time()?.counted_us;
            let mut select = state.database.connection.prepare_cached(if was_there {
                "SELECT sha256, media_type, length FROM evidence
                 WHERE ask_us <= ?1 AND state <> 'refused' ORDER BY ask_us, place"
            } else {
                "SELECT sha256, media_type, length FROM evidence
                 WHERE state = 'waiting' AND ask_us IS NULL AND ?1 IS NOT NULL ORDER BY place"
            })?;
            let mut rows = select.query([now])?;
            let mut best: Option<(u32, Upload)> = None;
            while let Some(row) = rows.next()? {
                let Ok(digest) = row.get::<_, String>(0)?.parse() else {
                    continue;
                };
                let Some(rank) = rank(&digest) else { continue };
                if best.as_ref().is_none_or(|(lowest, _)| rank < *lowest) {
                    let upload = Upload {
                        digest,
                        media_type: row.get(1)?,
                        length: row.get::<_, i64>(2)?.max(0).cast_unsigned(),
                        was_there,
                    };
                    best = Some((rank, upload));
                }
                if rank == 0 {
                    break;
                }
            }
            Ok(best.map(|(_, upload)| upload))
        };
        match self.named(search(false))? {
            Some(upload) => Ok(Some(upload)),
            None => self.named(search(true)),
        }
    }

    /// Every file to upload, oldest first.
    #[cfg(test)]
    pub(crate) fn uploads(&self) -> Vec<Upload> {
        let taken = std::cell::RefCell::new(BTreeSet::new());
        std::iter::from_fn(|| {
            let rank = |digest: &Digest| (!taken.borrow().contains(digest)).then_some(0);
            let next = self.next_upload(rank).unwrap()?;
            taken.borrow_mut().insert(next.digest);
            Some(next)
        })
        .collect()
    }

    /// The bytes of a file; `None` when it is gone, an error of kind
    /// `InvalidData` when it is no longer what its name says.
    pub(crate) fn read_file(&self, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.file_path(digest)) {
            Ok(bytes) if evidence::digest_of(&bytes) == *digest => Ok(Some(bytes)),
            Ok(_) => Err(io::ErrorKind::InvalidData.into()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The file is gone: there is nothing to upload.
    pub(crate) fn forget(&self, digest: &Digest) -> Result<(), OutboxError> {
        let mut state = self.lock();
        self.named(state.database.forget_file(&digest.to_string(), Why::Gone))?;
        state.evidence_missing += 1;
        Ok(())
    }

    /// The centre has it. The copy stays for [`crate::DiskBudget::keep_uploaded`]
    /// since it was sent; that the centre had it `already` gives it no new time.
    pub(crate) fn mark_uploaded(&self, digest: &Digest, already: bool) -> Result<(), OutboxError> {
        self.settle(digest, "uploaded", already)
    }

    /// The centre was asked, and does not have this copy any more.
    pub(crate) fn mark_lost_there(&self, digest: &Digest) -> Result<(), OutboxError> {
        self.named(self.lock().database.lost_there(digest))
    }

    /// The centre will not take it, or it is damaged. It is tried again after the next start.
    pub(crate) fn mark_refused(&self, digest: &Digest) -> Result<(), OutboxError> {
        let name = digest.to_string();
        self.named(self.lock().database.note_gone(&name, Why::Refused))?;
        self.settle(digest, "refused", false)
    }

    fn settle(&self, digest: &Digest, word: &str, keeps_age: bool) -> Result<(), OutboxError> {
        let mut state = self.lock();
        self.named(state.database.connection.execute(
            "UPDATE evidence SET state = ?2, settled_us = ?3, ask_us = NULL,
                since_us = CASE WHEN ?4 THEN since_us END WHERE sha256 = ?1",
            params![
                digest.to_string(),
                word,
                clock::now().as_micros(),
                keeps_age
            ],
        ))?;
        if self.named(state.database.files_in("waiting"))? == 0 {
            state.shortage.uploaded_all();
        }
        Ok(())
    }

    /// Deletes copies of files that the centre has had for long enough, and of
    /// messages; how many files. What is locked stays.
    ///
    /// Their age is counted and not read from the clock ([`protocol::SeenTime`]);
    /// `elapsed` is what the monotonic clock has counted since the last call, and
    /// `None` for the first of a run.
    pub(crate) fn expire(
        &self,
        now: EventTime,
        elapsed: Option<Duration>,
    ) -> Result<u64, OutboxError> {
        let mut state = self.lock();
        self.write_locks(&mut state)?;
        if let Err(error) = self.tell_of_gone(&mut state, now) {
            tracing::warn!(%error, "the centre is told later of evidence that will not come");
        }
        let seen = self.named(state.database.look(now, elapsed))?;
        let before = EventTime::from_micros(seen.before(self.inner.budget.keep_receipted));
        self.named(state.database.expire_kept(before))?;
        // Their time begins when they are first looked at, or a lock is released.
        self.named(state.database.connection.execute(
            &format!(
                "UPDATE evidence SET since_us = CASE WHEN {IS_LOCKED} THEN NULL ELSE ?1 END
                 WHERE state = 'uploaded' AND (since_us IS NULL OR {IS_LOCKED})"
            ),
            [seen.counted_us],
        ))?;
        let before = [
            seen.before(self.inner.budget.keep_uploaded),
            seen.before(self.inner.budget.keep_clips),
        ];
        let mut expired = 0;
        loop {
            let next = self.named(
                state
                    .database
                    .connection
                    .query_row(
                        "SELECT sha256, length FROM evidence WHERE state = 'uploaded'
                            AND ask_us IS NULL AND since_us <= CASE WHEN media_type LIKE 'video/%' THEN ?2 ELSE ?1 END LIMIT 1",
                        before,
                        |r| Ok((r.get::<_, String>(0)?, r.get::<_, i64>(1)?)),
                    )
                    .optional(),
            )?;
            let Some((name, length)) = next else {
                break;
            };
            if let Ok(digest) = name.parse() {
                match std::fs::remove_file(self.file_path(&digest)) {
                    Ok(()) => {
                        state.evidence_bytes = state
                            .evidence_bytes
                            .saturating_sub(length.max(0).cast_unsigned());
                    }
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(OutboxError::file(&self.file_path(&digest), e)),
                }
            }
            self.named(state.database.forget_file(&name, Why::Gone))?;
            expired += 1;
        }
        self.keep_budget(&mut state);
        self.look_for_room(&mut state);
        Ok(expired)
    }
}

/// Whether a try to write failed for want of room.
pub(super) fn lacks_room(tried: &io::Result<()>) -> bool {
    tried.as_ref().err().is_some_and(is_full)
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
