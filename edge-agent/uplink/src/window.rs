//! Which message to send next: go-back-N that listens first.
//!
//! At most `limit` messages are under way between "sent" and "receipted", so a
//! centre that is down for a day costs a broker a few hundred messages, not a
//! day's worth. A broker takes what nobody listens to, and loses it: so a connection
//! begins when the centre is heard. (It answers the box's status, so that is after one
//! way there and back.) One that is not heard for some seconds is sent the oldest
//! message alone, at ever longer intervals, since an older centre answers nothing else;
//! the same when no receipt comes for a while. Then what follows goes when the centre
//! is heard, first a few, then twice as many with each receipt. So what arrives, arrives
//! in order, unless the centre vanishes while more is under way. Sequences and an
//! instant in, a decision out: no socket, no clock.

use std::time::{Duration, Instant};

/// Messages sent first when the centre is heard after a silence: it may be that there
/// is more than it can do.
const FIRST: u64 = 16;
/// The first message of a connection goes unheard, and again, after this part of the wait
/// for a receipt: a broker and all who use it come back within seconds of each other.
const SOON: u32 = 4;
/// Longest wait for a receipt before sending again.
const LONGEST: Duration = Duration::from_mins(5);

/// The sender's side of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Lowest sequence without a receipt.
    floor: u64,
    /// Next to send.
    next: u64,
    /// One above the highest sent in this connection.
    high: u64,
    limit: u64,
    largest: u64,
    /// How many may be under way once the centre is heard; `None` when it has been.
    once_heard: Option<u64>,
    patience: Duration,
    shortest: Duration,
    /// When something last moved.
    since: Instant,
    /// A message under way, and when it was sent first: how long an answer takes.
    asked: Option<(u64, Instant)>,
}

impl Window {
    pub(crate) fn new(floor: u64, largest: u64, patience: Duration, now: Instant) -> Self {
        let largest = largest.max(1);
        Self {
            floor,
            next: floor,
            high: floor,
            limit: 0,
            largest,
            once_heard: Some(largest),
            patience: patience / SOON,
            shortest: patience,
            since: now,
            asked: None,
        }
    }

    /// The first sequence to send now, and how many.
    pub(crate) fn room(&self) -> (u64, u64) {
        let end = self.floor.saturating_add(self.limit);
        (self.next, end.saturating_sub(self.next))
    }

    /// `sequence` went out; whether it had before in this connection.
    pub(crate) fn sent(&mut self, sequence: u64, now: Instant) -> bool {
        let is_resend = sequence < self.high;
        if self.next == self.floor {
            // Nothing was under way, so nothing was overdue.
            self.since = now;
        }
        if !is_resend {
            self.asked.get_or_insert((sequence, now));
        }
        self.next = self.next.max(sequence.saturating_add(1));
        self.high = self.high.max(self.next);
        is_resend
    }

    /// Whether the centre is known to listen.
    pub(crate) fn is_heard(&self) -> bool {
        self.once_heard.is_none()
    }

    /// The centre spoke of this outbox: it listens.
    pub(crate) fn heard(&mut self, now: Instant) {
        if let Some(limit) = self.once_heard.take() {
            self.limit = limit;
            // What went out before, nobody may have heard.
            self.next = self.floor;
            self.patience = self.bounded(self.patience);
            self.since = now;
        }
    }

    /// Nothing up to `through` need be sent any more.
    pub(crate) fn receipted(&mut self, through: u64, now: Instant) {
        let floor = through.saturating_add(1);
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        self.next = self.next.max(floor);
        self.high = self.high.max(floor);
        if self.once_heard.is_none() {
            self.limit = (self.limit * 2).min(self.largest);
        }
        self.since = now;
        // One that is slow to answer is given the time that it takes, or it would get
        // everything twice.
        if let Some((_, asked)) = self.asked.take_if(|(sequence, _)| *sequence <= through) {
            let took = now.saturating_duration_since(asked);
            self.patience = self.bounded(took.saturating_mul(2));
        }
    }

    fn bounded(&self, patience: Duration) -> Duration {
        patience.clamp(self.shortest, LONGEST.max(self.shortest))
    }

    /// Goes back to the lowest unreceipted message when the receipts are
    /// overdue; how long they were waited for, if it did.
    pub(crate) fn rewind_if_overdue(&mut self, now: Instant) -> Option<Duration> {
        let waited = self.patience;
        if self.limit == 0 && now.saturating_duration_since(self.since) >= waited {
            self.limit = 1;
            self.since = now;
        }
        if self.next == self.floor || now.saturating_duration_since(self.since) < waited {
            return None;
        }
        self.next = self.floor;
        self.once_heard.get_or_insert(FIRST.min(self.largest));
        self.limit = 1;
        // Its first steps are shorter than the shortest patience.
        self.patience = (waited * 2).min(LONGEST.max(self.shortest));
        self.since = now;
        Some(waited)
    }

    /// Goes back at once: the centre that listens now is not the one that what is
    /// under way was sent to.
    pub(crate) fn begin_again(&mut self, now: Instant) {
        self.next = self.floor;
        self.since = now;
    }

    /// Whether nothing sent waits for a receipt.
    pub(crate) fn is_idle(&self) -> bool {
        self.next == self.floor
    }
}

#[cfg(test)]
mod tests;
