//! What the link takes from the outbox, and what becomes of a message that cannot
//! be sent, or not in full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use protocol::envelope::Delivery;
use uuid::Uuid;

use super::{Outbox, OutboxError, State};
use crate::database::{self, Stored};
use crate::{envelope, evidence};

/// Where messages go that cannot be sent, or not in full.
const UNSENDABLE: &str = "unsendable";
/// Whole copies kept there of messages that were sent with less in them.
const MOST_KEPT: usize = 200;

/// Messages to send, and what to write on them.
#[derive(Debug)]
pub(crate) struct Batch {
    outbox: Uuid,
    floor: u64,
    messages: Vec<(u64, Stored)>,
}

/// One message ready to publish.
pub(crate) struct Outgoing {
    pub(crate) sequence: u64,
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

impl Batch {
    /// Whose messages these are.
    pub(crate) fn outbox(&self) -> Uuid {
        self.outbox
    }

    /// The messages with their delivery written in.
    pub(crate) fn into_messages(
        self,
    ) -> impl Iterator<Item = Result<Outgoing, (u64, serde_json::Error)>> {
        let Self {
            outbox,
            floor,
            messages,
        } = self;
        messages.into_iter().map(move |(sequence, stored)| {
            let delivery = Delivery {
                outbox,
                sequence,
                sequencefloor: floor,
            };
            let payload = envelope::seal(&stored.envelope, delivery).map_err(|e| (sequence, e))?;
            Ok(Outgoing {
                sequence,
                topic: stored.topic,
                payload,
            })
        })
    }
}

/// Bytes of what is set aside in the outbox in `dir`.
pub(super) fn unsendable_bytes(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir.join(UNSENDABLE))
        .into_iter()
        .flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum()
}

fn read_batch(state: &State, from: u64, limit: usize) -> rusqlite::Result<Batch> {
    let span = state.database.span()?;
    Ok(Batch {
        outbox: state.database.id,
        floor: span.held,
        messages: state.database.read(from.max(span.floor), limit)?,
    })
}

impl Outbox {
    /// Messages from `from` on, at most `limit`.
    pub(crate) fn batch(&self, from: u64, limit: usize) -> Result<Batch, OutboxError> {
        let mut state = self.lock();
        let batch = match read_batch(&state, from, limit) {
            Err(error) if database::is_damage(&error) => {
                // What is written may never go where the damage is: all would wait.
                self.replace_damaged(&mut state)?;
                read_batch(&state, from, limit)
            }
            batch => batch,
        };
        self.named(batch)
    }

    /// Which outbox this is, and its lowest sequence without a receipt, or the next
    /// one to be given.
    pub(crate) fn floor(&self) -> Result<(Uuid, u64), OutboxError> {
        let state = self.lock();
        let span = self.named(state.database.span())?;
        Ok((state.database.id, span.floor))
    }

    /// Remembers that everything up to `sequence` may have left the box.
    pub(crate) fn mark_sent(&self, sequence: u64) {
        self.inner.sent.fetch_max(sequence, Ordering::SeqCst);
    }

    /// Moves a message that cannot be sent out of the way, into `unsendable/`
    /// beside the database. Only the lowest one: the centre accepts a hole
    /// below `sequencefloor`, and none above.
    pub(crate) fn set_aside(&self, sequence: u64) -> Result<bool, OutboxError> {
        let mut state = self.lock();
        if sequence != self.named(state.database.span())?.floor {
            return Ok(false);
        }
        let file = self.aside(&mut state, sequence)?;
        // With what is kept below it: a hole above `sequencefloor` would never
        // be receipted.
        self.named(state.database.delete_through(sequence))?;
        state.set_aside += 1;
        tracing::error!(file = %file.display(), sequence, "a message of the outbox could not be sent and was set aside");
        Ok(true)
    }

    /// Copies a message that is sent with less in it to where those that
    /// cannot be sent go; once, and not without end.
    pub(crate) fn keep_whole(&self, sequence: u64) -> Result<(), OutboxError> {
        let mut state = self.lock();
        let folder = self.inner.dir.join(UNSENDABLE);
        let kept = std::fs::read_dir(&folder).map_or(0, Iterator::count);
        if kept < MOST_KEPT {
            self.aside(&mut state, sequence)?;
        }
        Ok(())
    }

    fn aside(&self, state: &mut State, sequence: u64) -> Result<PathBuf, OutboxError> {
        let folder = self.inner.dir.join(UNSENDABLE);
        let file = folder.join(format!("{}-{sequence}", state.database.id));
        if let Some((found, stored)) = self.named(state.database.read(sequence, 1))?.pop()
            && found == sequence
            // One that a power cut left short is written again.
            && !std::fs::metadata(&file)
                .is_ok_and(|there| there.len() == stored.envelope.len() as u64)
        {
            self.write_aside(&folder, &file, stored.envelope.as_bytes())
                .map_err(|e| OutboxError::file(&file, e))?;
            state.unsendable_bytes = unsendable_bytes(&self.inner.dir);
        }
        Ok(file)
    }

    /// On the disk before its row goes. Beside the evidence, where a start removes
    /// what a crash left unfinished.
    fn write_aside(&self, folder: &Path, file: &Path, bytes: &[u8]) -> io::Result<()> {
        let beside = evidence::folder(&self.inner.dir);
        for needed in [folder, &beside] {
            std::fs::create_dir_all(needed)?;
        }
        evidence::sync_dir(&self.inner.dir)?;
        evidence::write_whole(&beside, file, bytes)
    }

    /// Returns when something was appended since the last call.
    pub(crate) async fn appended(&self) {
        self.inner.appended.notified().await;
    }
}
