//! How a message gets to the disk: at once, or from memory once the disk takes it.

use std::path::Path;
use std::sync::atomic::Ordering;

use protocol::Envelope;
use protocol::envelope::MAX_ENVELOPE_BYTES;
use rusqlite::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::room::Class;
use super::{Outbox, OutboxError, RELIEF_BYTES, State, files};
use crate::database::{self, Database, Message, Stored};
use crate::ledger::Entry;

/// Room left in the largest envelope for what is added at sending.
const DELIVERY_BYTES: usize = 512;
/// Messages from memory written in one transaction.
const CHUNK: usize = 256;

/// What was done already so that a write succeeds, each once.
#[derive(Default)]
pub(super) struct Mended {
    replaced: bool,
    recycled: bool,
}

impl Outbox {
    /// Tries again to write what waits in memory; whether nothing waits there now.
    pub fn retry_in_memory(&self) -> bool {
        let mut state = self.lock();
        let is_held = self.write_locks(&mut state).is_ok();
        if state.in_memory.is_empty() {
            return is_held;
        }
        match self.write_in_memory(&mut state) {
            Ok(_) => {
                tracing::info!(
                    "the disk takes events again; all that waited in memory are written"
                );
                self.inner.appended.notify_one();
                is_held
            }
            Err(_) => false,
        }
    }

    pub(super) fn append<T: Serialize, Read: DeserializeOwned>(
        &self,
        topic: String,
        envelope: &Envelope<T>,
        entries: Vec<Entry>,
    ) -> Result<u64, OutboxError> {
        let text = Self::written::<_, Read>(envelope)
            .inspect_err(|_| self.lock().messages_refused += 1)?;
        let message = Message {
            stored: Stored {
                topic,
                envelope: text,
            },
            entries,
        };
        let mut state = self.lock();
        let sequence = self.append_message(&mut state, message)?;
        drop(state);
        self.inner.appended.notify_one();
        Ok(sequence)
    }

    pub(super) fn append_message(
        &self,
        state: &mut State,
        message: Message,
    ) -> Result<u64, OutboxError> {
        if state.in_memory.len() >= self.inner.budget.max_in_memory {
            // One more chance before it is lost.
            if self.write_in_memory(state).is_err() {
                state.events_lost += 1;
                state.shortage.lost_event();
                return Err(OutboxError::Lost {
                    path: self.inner.dir.clone(),
                    held: state.in_memory.len(),
                });
            }
        }
        state.in_memory.push_back(message);
        self.write_in_memory(state)
    }

    /// The envelope as text that the centre can take.
    pub(super) fn written<T: Serialize, Read: DeserializeOwned>(
        envelope: &Envelope<T>,
    ) -> Result<String, OutboxError> {
        let unreadable = |source| OutboxError::Unreadable {
            id: envelope.id.clone(),
            source,
        };
        let text = serde_json::to_string(envelope).map_err(unreadable)?;
        if text.len() + DELIVERY_BYTES > MAX_ENVELOPE_BYTES {
            return Err(OutboxError::TooLarge {
                id: envelope.id.clone(),
                bytes: text.len(),
            });
        }
        // JSON writes a number that is not finite as `null`, which the centre
        // cannot read; found here it is one lost event, found there it would
        // be one that is sent again for ever.
        serde_json::from_str::<Envelope<Read>>(&text).map_err(unreadable)?;
        Ok(text)
    }

    /// Writes everything in memory, oldest first; the last sequence given.
    pub(super) fn write_in_memory(&self, state: &mut State) -> Result<u64, OutboxError> {
        if state.is_closed {
            self.open_again(state)?;
        }
        let mut last = 0;
        let mut mended = Mended::default();
        let waiting = state.in_memory.iter();
        let bytes: usize = waiting.map(|message| message.stored.envelope.len()).sum();
        while !state.in_memory.is_empty() {
            let chunk = state.in_memory.len().min(CHUNK);
            match state.database.insert(state.in_memory.iter().take(chunk)) {
                Ok(sequence) => {
                    last = sequence;
                    state.in_memory.drain(..chunk);
                }
                Err(error) => self.mend(state, error, &mut mended)?,
            }
        }
        state.shortage.wrote_all(bytes as u64);
        self.file_cases(state);
        self.keep_budget(state);
        Ok(last)
    }

    /// Does what helps against `error` of a write, so that it can be tried again.
    pub(super) fn mend(
        &self,
        state: &mut State,
        error: rusqlite::Error,
        mended: &mut Mended,
    ) -> Result<(), OutboxError> {
        if self.says_full(&error) {
            let is_relieved = self.sacrifice(state, RELIEF_BYTES, Class::Case) > 0
                || !std::mem::replace(&mut mended.recycled, true) && state.database.recycle_log();
            return if is_relieved {
                Ok(())
            } else {
                Err(OutboxError::DiskFull {
                    path: self.inner.dir.clone(),
                    kept: true,
                })
            };
        }
        if database::is_damage(&error) && !std::mem::replace(&mut mended.replaced, true) {
            return self.replace_damaged(state);
        }
        Err(OutboxError::Waiting {
            path: self.inner.dir.clone(),
            source: error,
        })
    }

    /// The file went bad under a running agent: the same as finding it so at the start.
    pub(super) fn replace_damaged(&self, state: &mut State) -> Result<(), OutboxError> {
        // An empty database in memory stands in while the file is closed.
        let path = &self.inner.dir;
        let stand_in =
            rusqlite::Connection::open_in_memory().map_err(|e| OutboxError::of(path, e))?;
        let damaged = std::mem::replace(&mut state.database.connection, stand_in);
        state.is_closed = true;
        drop(damaged);
        self.open_again(state)
    }

    /// Opens the file that was closed because it went bad. What comes with damage, a
    /// full disk or one that only reads, may have kept it from being replaced at once.
    pub(super) fn open_again(&self, state: &mut State) -> Result<(), OutboxError> {
        let path = &self.inner.dir;
        let opened = Database::open(path).and_then(|(database, salvage)| {
            let last = database.span().map_err(|e| OutboxError::of(path, e))?.last;
            Ok((database, salvage, last))
        });
        let (database, salvage, last) = opened.map_err(|error| still_closed(path, error))?;
        self.inner.sent.store(last, Ordering::SeqCst);
        state.database = database;
        state.is_closed = false;
        state.damaged = salvage.or(state.damaged.take());
        state.damaged_bytes = database::damaged_bytes(path);
        // The new file knows nothing of the files of evidence.
        if let Err(error) = self.reconcile(state) {
            tracing::warn!(%error, "the upload queue is mended at the next start");
        }
        Ok(())
    }

    /// Whether it is room that a write wants. SQLite says so itself of a disk, and
    /// calls a used-up quota a failed write.
    pub(super) fn says_full(&self, error: &rusqlite::Error) -> bool {
        let Some(code) = error.sqlite_error() else {
            return false;
        };
        code.code == ErrorCode::DiskFull
            || is_failed_write(code.extended_code)
                && files::lacks_room(&database::try_room(&self.inner.dir))
    }
}

/// A write, a sync or a longer file that the system refused.
fn is_failed_write(extended_code: i32) -> bool {
    use rusqlite::ffi;
    matches!(
        extended_code,
        ffi::SQLITE_IOERR_WRITE
            | ffi::SQLITE_IOERR_FSYNC
            | ffi::SQLITE_IOERR_TRUNCATE
            | ffi::SQLITE_IOERR_SHMSIZE
    )
}

/// As every error of a write that waits in memory.
fn still_closed(path: &Path, error: OutboxError) -> OutboxError {
    let path = path.to_owned();
    match error {
        OutboxError::DiskFull { .. } => OutboxError::DiskFull { path, kept: true },
        OutboxError::Database { source, .. } => OutboxError::Waiting { path, source },
        other => {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
            let source = rusqlite::Error::SqliteFailure(code, Some(other.to_string()));
            OutboxError::Waiting { path, source }
        }
    }
}
