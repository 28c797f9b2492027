//! What the centre's receipts do: all that takes a message from what is sent.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protocol::status::OutboxPosition;
use protocol::{EventTime, Receipt};
use uuid::Uuid;

use super::{Outbox, OutboxError, State};

/// A centre may say that it lost something only so often.
const BACK_AGAIN: Duration = Duration::from_secs(10);

/// Two centres in turns must not have every copy asked for without end.
const OPENED_AGAIN: Duration = Duration::from_mins(1);

/// What a receipt did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// Everything up to `through` need not be sent again.
    Taken {
        /// As in the receipt.
        through: u64,
        /// Messages that waited for it.
        receipted: u64,
    },
    /// It says less than an earlier one, and is older or too soon after the last
    /// of its kind; ignored.
    Stale,
    /// It says less than an earlier one and is newer: the centre was restored
    /// from a backup. What is still held of what it lost waits again.
    WentBack {
        /// Messages that wait again.
        again: u64,
        /// Messages that are not held any more.
        gone: u64,
    },
    /// It is for another outbox; ignored.
    Stranger,
    /// It is for this outbox, and says that another agent speaks for this box.
    SecondAgent(Uuid),
    /// It speaks of messages that were not sent; refused.
    NotSent,
    /// It speaks of messages that this outbox never had: the file was replaced
    /// by an old copy. What waits was given a new outbox id and new sequences.
    Renumbered,
}

impl Outbox {
    /// Takes the centre's word that it has everything up to `receipt.through`.
    pub fn take_receipt(&self, receipt: &Receipt) -> Result<ReceiptOutcome, OutboxError> {
        let mut state = self.lock();
        if receipt.outbox != state.database.id {
            return Ok(ReceiptOutcome::Stranger);
        }
        if let Some(other) = receipt.refused_for {
            return Ok(ReceiptOutcome::SecondAgent(other));
        }
        let span = self.named(state.database.span())?;
        let last = span.last;
        if receipt.through > last {
            state.receipts_refused += 1;
            tracing::error!(
                security = "receipt_never_held",
                through = receipt.through,
                last,
                "the centre has messages of this outbox that it never held: the file was replaced by an older copy, or the disk forgot a write"
            );
            // Once per start: a centre that is simply wrong must not make us send everything for ever.
            if std::mem::replace(&mut state.renumbered, true) {
                return Ok(ReceiptOutcome::NotSent);
            }
            self.named(state.database.renumber())?;
            self.inner.sent.store(0, Ordering::SeqCst);
            return Ok(ReceiptOutcome::Renumbered);
        }
        let sent = self.inner.sent.load(Ordering::SeqCst);
        if receipt.through > sent {
            state.receipts_refused += 1;
            tracing::warn!(
                security = "receipt_not_sent",
                through = receipt.through,
                sent,
                "receipt for messages that were not sent; refused, they will be sent"
            );
            return Ok(ReceiptOutcome::NotSent);
        }
        let (known, at) = self.named(state.database.receipted())?;
        if receipt.through >= known
            && let Some(opening) = receipt.opening
        {
            self.hear_of_opening(&mut state, opening)?;
        }
        if receipt.through < known {
            return self.take_lesser_receipt(&mut state, receipt, known, at);
        }
        let receipted = (receipt.through + 1).saturating_sub(span.floor);
        if receipt.through > known {
            let now = self.counted(&state)?;
            let kept = state.database.receipt(receipt.through, receipt.at, now);
            // On a full disk the freed pages may be what waiting events need.
            if kept.is_err() || !state.in_memory.is_empty() {
                self.named(state.database.delete_through(receipt.through))?;
            }
        }
        state.receipted += receipted;
        if receipted > 0 && !state.in_memory.is_empty() && self.write_in_memory(&mut state).is_ok()
        {
            self.inner.appended.notify_one();
        }
        Ok(ReceiptOutcome::Taken {
            through: receipt.through,
            receipted,
        })
    }

    /// Has the centre asked for every copy when its database was opened anew: a backup
    /// that has all messages may be older than the last of their files. What is there
    /// still is not sent ([`super::Upload::was_there`]).
    fn hear_of_opening(&self, state: &mut State, opening: Uuid) -> Result<(), OutboxError> {
        state.opening_owed = None;
        if self.named(state.database.opening())? == Some(opening) {
            return Ok(());
        }
        let is_too_soon = state
            .opened_at
            .is_some_and(|last| last.elapsed() < OPENED_AGAIN);
        if is_too_soon {
            state.opening_owed = Some(opening);
            return Ok(());
        }
        let seen = self.named(state.database.seen_time())?;
        let since = EventTime::from_micros(seen.before(self.inner.budget.keep_receipted));
        let now = EventTime::from_micros(seen.counted_us);
        let within = self.inner.budget.ask_within;
        let files = self.named(state.database.opened(opening, since, now, within))?;
        state.opened_at = Some(Instant::now());
        if files > 0 {
            tracing::info!(
                files,
                within_s = within.as_secs(),
                "the centre has started anew; it is asked whether it still has the evidence that is kept here"
            );
            self.inner.stored.notify_all();
        }
        Ok(())
    }

    /// Deals with an opening that came too soon after another one: the centre says
    /// nothing more to a box that nothing happens before.
    pub(crate) fn hear_of_owed_opening(&self) -> Result<(), OutboxError> {
        let mut state = self.lock();
        match state.opening_owed {
            Some(opening) => self.hear_of_opening(&mut state, opening),
            None => Ok(()),
        }
    }

    /// How much time was seen to pass, in the form that marks of receipts have.
    fn counted(&self, state: &State) -> Result<EventTime, OutboxError> {
        let seen = self.named(state.database.seen_time())?;
        Ok(EventTime::from_micros(seen.counted_us))
    }

    /// A receipt that says less than an earlier one: one that was long under
    /// way, or the word of a centre that was restored from a backup.
    fn take_lesser_receipt(
        &self,
        state: &mut State,
        receipt: &Receipt,
        known: u64,
        at: EventTime,
    ) -> Result<ReceiptOutcome, OutboxError> {
        let is_too_soon = state
            .went_back_at
            .is_some_and(|last| last.elapsed() < BACK_AGAIN);
        if receipt.at <= at || is_too_soon {
            return Ok(ReceiptOutcome::Stale);
        }
        let now = self.counted(state)?;
        self.named(state.database.unreceipt(receipt.through, receipt.at, now))?;
        state.went_back += 1;
        state.went_back_at = Some(Instant::now());
        let floor = self.named(state.database.span())?.floor;
        let gone = floor - (receipt.through + 1);
        let again = (known + 1).saturating_sub(floor);
        tracing::error!(
            through = receipt.through,
            receipted = known,
            again,
            gone,
            "the centre has lost messages that it had receipted, as after a restored backup; what is still held is sent again"
        );
        self.inner.stored.notify_all();
        Ok(ReceiptOutcome::WentBack { again, gone })
    }

    /// Where this outbox stands, for the box's status.
    pub(crate) fn position(&self) -> Result<OutboxPosition, OutboxError> {
        let state = self.lock();
        let span = self.named(state.database.span())?;
        Ok(OutboxPosition {
            id: state.database.id,
            run: self.inner.run,
            floor: span.held,
            receipted: span.floor - 1,
        })
    }
}
