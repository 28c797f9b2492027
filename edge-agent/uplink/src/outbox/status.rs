//! What an outbox says of itself in numbers.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Outbox;
use crate::database::{self, Span};
use crate::ledger;

/// What an outbox holds and has done, for metrics and health pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Which outbox.
    pub id: Uuid,
    /// Messages on the disk that the centre has not receipted.
    pub waiting: u64,
    /// Messages that it has receipted, kept for a centre that loses them.
    pub kept: u64,
    /// Events in memory because the disk takes none.
    pub in_memory: u64,
    /// The last sequence given; 0 for none.
    pub last_sequence: u64,
    /// Files not yet at the centre.
    pub evidence_waiting: u64,
    /// Files that the centre refused for good.
    pub evidence_refused: u64,
    /// Bytes of evidence on the disk, uploaded copies included.
    pub evidence_bytes: u64,
    /// Bytes of the database, its free pages and its log included.
    pub database_bytes: u64,
    /// Bytes of all that counts to the budget.
    pub used_bytes: u64,
    /// Files given up before they were uploaded, since the start.
    pub evidence_sacrificed: u64,
    /// Events lost because disk and memory were full, since the start.
    pub events_lost: u64,
    /// Messages that the centre receipted, since the start.
    pub receipted: u64,
    /// Times that the centre had lost what it had receipted, since the start.
    pub went_back: u64,
    /// Receipts not believed, since the start.
    pub receipts_refused: u64,
    /// Messages that cannot be sent in any form, now in `unsendable/`, since the start.
    pub set_aside: u64,
    /// Messages refused at [`Outbox::append_event`] or [`Outbox::append_evidence`]
    /// because the centre could not take them, since the start.
    pub messages_refused: u64,
    /// Files that were gone from the disk when it was their turn, since the start.
    pub evidence_missing: u64,
    /// Events on the disk that go on.
    pub open_events: u64,
    /// Events on the disk whose evidence is neither announced nor given up.
    pub evidence_due: u64,
    /// Events whose evidence the centre has locked.
    pub locked_events: u64,
    /// Files that are held for them.
    pub locked_files: u64,
}

impl Outbox {
    /// Messages that the centre has not receipted, those in memory included.
    pub fn waiting(&self) -> u64 {
        let status = self.status();
        status.waiting + status.in_memory
    }

    /// Numbers for metrics. A number that cannot be read is 0.
    pub fn status(&self) -> OutboxStatus {
        let state = self.lock();
        let span = state.database.span().unwrap_or(Span {
            held: 1,
            floor: 1,
            last: 0,
        });
        let count = |wanted| state.database.files_in(wanted).unwrap_or(0);
        let locked = state.database.locked().unwrap_or_default();
        let (open_events, evidence_due) =
            ledger::counts(&state.database.connection).unwrap_or_default();
        OutboxStatus {
            id: state.database.id,
            waiting: (span.last + 1).saturating_sub(span.floor),
            kept: span.floor - span.held,
            in_memory: state.in_memory.len() as u64,
            last_sequence: span.last,
            evidence_waiting: count("waiting"),
            evidence_refused: count("refused"),
            evidence_bytes: state.evidence_bytes,
            database_bytes: state.database.disk_bytes().unwrap_or(0)
                + database::log_bytes(&self.inner.dir),
            used_bytes: self.used(&state),
            evidence_sacrificed: state.evidence_sacrificed,
            events_lost: state.events_lost,
            receipted: state.receipted,
            went_back: state.went_back,
            receipts_refused: state.receipts_refused,
            set_aside: state.set_aside,
            messages_refused: state.messages_refused,
            evidence_missing: state.evidence_missing,
            open_events,
            evidence_due,
            locked_events: locked.0,
            locked_files: locked.1,
        }
    }

    /// Files given up before they were uploaded, since the start, by class:
    /// `clip`, `other`, `still`, `case`.
    pub fn sacrificed(&self) -> BTreeMap<&'static str, u64> {
        self.lock().sacrificed.clone()
    }

    /// Files that were not stored because the budget or the disk has no room for
    /// them, since the start, by class as in [`Self::sacrificed`].
    pub fn not_stored(&self) -> BTreeMap<&'static str, u64> {
        self.lock().not_stored.clone()
    }
}
