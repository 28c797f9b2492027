//! What this box still owes the centre, those messages included that wait in
//! memory because the disk takes none.

use protocol::{BoxId, CameraId, Envelope, Event, EventId, EventTime, EvidenceManifest, SiteId};

use super::{Outbox, OutboxError, State};
use crate::ledger::{self, Entry, EvidenceDue, Open};

/// Rows handed out at a time.
const MOST: usize = 1000;

impl Outbox {
    /// Events that were begun or brought up to date, but not ended, as they
    /// were told last: oldest first, at most 1000 at a time.
    ///
    /// At a start these are what the process before did not live to end.
    /// Publish the next revision of each with [`protocol::Phase::End`]: it
    /// leaves this list in the transaction that stores it, so that a crash in
    /// between neither forgets an event nor ends it twice.
    pub fn open_events(&self) -> Result<Vec<Event>, OutboxError> {
        let state = self.lock();
        let mut open = self.named(ledger::open_events(&state.database.connection, MOST))?;
        for (entry, envelope) in in_memory(&state) {
            match entry {
                Entry::Open { event, revision } => {
                    let newer = Open {
                        event: *event,
                        revision: *revision,
                        envelope: envelope.to_owned(),
                    };
                    match open.iter_mut().find(|open| open.event == *event) {
                        Some(open) if open.revision <= *revision => *open = newer,
                        Some(_) => {}
                        None => open.push(newer),
                    }
                }
                Entry::Close(event) => open.retain(|open| open.event != *event),
                Entry::Owe(_)
                | Entry::Settle(_)
                | Entry::Chain(_)
                | Entry::Told(_)
                | Entry::File(..)
                | Entry::Of { .. } => {}
            }
        }
        let mut events = Vec::with_capacity(open.len().min(MOST));
        for open in open.into_iter().take(MOST) {
            match open.content() {
                Ok(event) => events.push(event),
                Err(error) => {
                    tracing::error!(event = %open.event, %error, "an event that was not ended cannot be read back, so it stays open at the centre; resolve it there and check this box's disk");
                    self.forget_open(&state, open.event)?;
                }
            }
        }
        Ok(events)
    }

    /// Events that were raised and whose evidence was neither announced nor
    /// given up: oldest first, at most 1000 at a time.
    ///
    /// At a start these are stills that nobody will draw any more, because the
    /// picture was lost with the process; [`Self::give_up_evidence`] of each.
    pub fn evidence_outstanding(&self) -> Result<Vec<EvidenceDue>, OutboxError> {
        let state = self.lock();
        let mut due = self.named(ledger::evidence_due(&state.database.connection, MOST))?;
        for (entry, _) in in_memory(&state) {
            match entry {
                Entry::Owe(new) if due.iter().all(|one| one.event != new.event) => {
                    due.push(new.clone());
                }
                Entry::Settle(event) => due.retain(|one| one.event != *event),
                Entry::Owe(_)
                | Entry::Open { .. }
                | Entry::Close(_)
                | Entry::Chain(_)
                | Entry::Told(_)
                | Entry::File(..)
                | Entry::Of { .. } => {}
            }
        }
        due.truncate(MOST);
        Ok(due)
    }

    /// The event that evidence is owed for, as it was raised. `None` for one
    /// that an agent before version 0.2 raised: it kept only the id.
    pub fn owed_event(&self, event: EventId) -> Result<Option<Event>, OutboxError> {
        let state = self.lock();
        let waits = |entry: &Entry| matches!(entry, Entry::Owe(due) if due.event == event);
        let in_memory = in_memory(&state)
            .find(|(entry, _)| waits(entry))
            .map(|(_, envelope)| envelope.to_owned());
        let envelope = match in_memory {
            Some(envelope) => Some(envelope),
            None => self.named(ledger::owed_event(&state.database.connection, event))?,
        };
        // A row that a failing disk has changed is as good as none.
        Ok(envelope
            .and_then(|text| serde_json::from_str::<Envelope<Event>>(&text).ok())
            .map(|envelope| envelope.data))
    }

    /// Says that an event has no evidence and will get none: a manifest
    /// without items; its sequence. Said twice it is one message at the centre.
    pub fn give_up_evidence(
        &self,
        camera: (&SiteId, &BoxId, &CameraId),
        event: EventId,
        observed: EventTime,
    ) -> Result<u64, OutboxError> {
        let items = Vec::new();
        self.append_evidence(
            camera,
            &EvidenceManifest {
                event,
                items,
                missing: Vec::new(),
            },
            observed,
        )
    }

    /// It would only stand before the readable ones for ever.
    fn forget_open(&self, state: &State, event: EventId) -> Result<(), OutboxError> {
        self.named(ledger::write(
            &state.database.connection,
            &[Entry::Close(event)],
            "",
        ))
    }
}

/// What the messages in memory change, oldest first, each with its envelope.
fn in_memory(state: &State) -> impl Iterator<Item = (&Entry, &str)> {
    state.in_memory.iter().flat_map(|message| {
        let envelope = message.stored.envelope.as_str();
        message.entries.iter().map(move |entry| (entry, envelope))
    })
}

#[cfg(test)]
mod tests;
