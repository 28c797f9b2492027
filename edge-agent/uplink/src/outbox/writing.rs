//! How a message gets to the disk: at once, or from memory once the disk takes it.

use std::sync::atomic::Ordering;

use protocol::Envelope;
use protocol::envelope::MAX_ENVELOPE_BYTES;
use rusqlite::ErrorCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Outbox, OutboxError, RELIEF_BYTES, State};
use crate::database::{self, Database, Message, Stored};
use crate::ledger::Entry;

/// Room left in the largest envelope for what is added at sending.
const DELIVERY_BYTES: usize = 512;
/// Messages from memory written in one transaction.
const CHUNK: usize = 256;

impl Outbox {
    /// Tries again to write what waits in memory; whether nothing waits there now.
    pub fn retry_in_memory(&self) -> bool {
        let mut state = self.lock();
        if state.in_memory.is_empty() {
            return true;
        }
        match self.write_in_memory(&mut state) {
            Ok(_) => {
                tracing::info!(
                    "the disk takes events again; all that waited in memory are written"
                );
                self.inner.appended.notify_one();
                true
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
        self.keep_budget(state, 0);
        let mut last = 0;
        let (mut rebuilt, mut recycled) = (false, false);
        let waiting = state.in_memory.iter();
        let bytes: usize = waiting.map(|message| message.stored.envelope.len()).sum();
        while !state.in_memory.is_empty() {
            let chunk = state.in_memory.len().min(CHUNK);
            match state.database.insert(state.in_memory.iter().take(chunk)) {
                Ok(sequence) => {
                    last = sequence;
                    state.in_memory.drain(..chunk);
                }
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                    let is_relieved = self.sacrifice(state, RELIEF_BYTES) > 0
                        || !std::mem::replace(&mut recycled, true) && state.database.recycle_log();
                    if !is_relieved {
                        return Err(OutboxError::DiskFull {
                            path: self.inner.dir.clone(),
                            kept: true,
                        });
                    }
                }
                Err(error) if database::is_damage(&error) && !rebuilt => {
                    rebuilt = true;
                    self.replace_damaged(state)?;
                }
                Err(source) => {
                    return Err(OutboxError::Waiting {
                        path: self.inner.dir.clone(),
                        source,
                    });
                }
            }
        }
        state.shortage.wrote_all(bytes as u64);
        self.file_cases(state);
        Ok(last)
    }

    /// The file went bad under a running agent: the same as finding it so at the start.
    fn replace_damaged(&self, state: &mut State) -> Result<(), OutboxError> {
        // An empty database in memory stands in while the file is closed.
        let path = &self.inner.dir;
        let stand_in =
            rusqlite::Connection::open_in_memory().map_err(|e| OutboxError::of(path, e))?;
        let damaged = std::mem::replace(&mut state.database.connection, stand_in);
        drop(damaged);
        let (database, salvage) = Database::open(path)?;
        self.inner.sent.store(
            database.span().map_err(|e| OutboxError::of(path, e))?.last,
            Ordering::SeqCst,
        );
        state.database = database;
        state.damaged = salvage.or(state.damaged.take());
        Ok(())
    }
}
