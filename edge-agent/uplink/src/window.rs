//! Which message to send next: go-back-N with a slow start.
//!
//! At most `limit` messages are under way between "sent" and "receipted", so a
//! centre that is down for a day costs a broker a few hundred messages, not a
//! day's worth. When no receipt comes for a while everything unreceipted is
//! sent again from the lowest on, first a few, then twice as many with each
//! receipt; when that does not help the next try waits twice as long. Sequences
//! and an instant in, a decision out: no socket, no clock.

use std::time::{Duration, Instant};

/// Messages sent first after a silence.
const FIRST: u64 = 16;
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
    patience: Duration,
    shortest: Duration,
    /// When something last moved.
    since: Instant,
}

impl Window {
    pub(crate) fn new(floor: u64, largest: u64, patience: Duration, now: Instant) -> Self {
        Self {
            floor,
            next: floor,
            high: floor,
            limit: largest.max(1),
            largest: largest.max(1),
            patience,
            shortest: patience,
            since: now,
        }
    }

    /// The first sequence to send now, and how many.
    pub(crate) fn room(&self) -> (u64, u64) {
        let end = self.floor.saturating_add(self.limit);
        (self.next, end.saturating_sub(self.next))
    }

    /// `sequence` went out; whether it had before in this connection.
    pub(crate) fn sent(&mut self, sequence: u64, now: Instant) -> bool {
        if self.next == self.floor {
            // Nothing was under way, so nothing was overdue.
            self.since = now;
        }
        self.next = self.next.max(sequence.saturating_add(1));
        let is_resend = sequence < self.high;
        self.high = self.high.max(self.next);
        is_resend
    }

    /// The centre has everything up to `through`.
    pub(crate) fn receipted(&mut self, through: u64, now: Instant) {
        let floor = through.saturating_add(1);
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        self.next = self.next.max(floor);
        self.high = self.high.max(floor);
        self.limit = (self.limit * 2).min(self.largest);
        self.patience = self.shortest;
        self.since = now;
    }

    /// Goes back to the lowest unreceipted message when the receipts are
    /// overdue; whether it did.
    pub(crate) fn rewind_if_overdue(&mut self, now: Instant) -> bool {
        if self.next == self.floor || now.duration_since(self.since) < self.patience {
            return false;
        }
        self.next = self.floor;
        self.limit = FIRST.min(self.largest);
        self.patience = (self.patience * 2).min(LONGEST.max(self.shortest));
        self.since = now;
        true
    }

    /// Whether nothing sent waits for a receipt.
    pub(crate) fn is_idle(&self) -> bool {
        self.next == self.floor
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_silent_centre_is_asked_ever_more_rarely_and_with_few_messages() {
        let start = Instant::now();
        let mut window = Window::new(1, 500, PATIENCE, start);
        let (mut sent, mut rewinds) = (0_u64, Vec::new());
        for second in 0..3600 {
            let now = start + Duration::from_secs(second);
            if window.rewind_if_overdue(now) {
                rewinds.push(second);
            }
            let (first, count) = window.room();
            for sequence in first..first + count {
                window.sent(sequence, now);
                sent += 1;
            }
        }
        assert_eq!(rewinds[..5], [10, 30, 70, 150, 310]);
        assert!(
            sent <= 500 + FIRST * rewinds.len() as u64,
            "{sent} sent in an hour"
        );
        assert!(rewinds.len() < 20);
    }

    #[test]
    fn a_receipt_for_more_than_was_sent_again_skips_the_rest() {
        let start = Instant::now();
        let mut window = Window::new(1, 100, PATIENCE, start);
        for sequence in 1..=100 {
            window.sent(sequence, start);
        }
        assert!(window.rewind_if_overdue(start + PATIENCE));
        assert!(window.sent(1, start + PATIENCE));
        window.receipted(80, start + PATIENCE);
        assert_eq!(window.room().0, 81);
    }

    proptest! {
        /// Whatever a broker loses, everything arrives in the end, and never
        /// more than the window is under way.
        #[test]
        fn everything_arrives_through_a_channel_that_loses(
            messages in 1_u64..200,
            largest in 1_u64..64,
            losses in proptest::collection::vec(any::<bool>(), 64),
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut window = Window::new(1, largest, PATIENCE, start);
            let mut arrived = BTreeSet::new();
            // A lossy first hour, then a sound channel.
            for round in 0..10_000_usize {
                let (first, count) = window.room();
                for sequence in first..(first + count).min(messages + 1) {
                    prop_assert!(sequence < window.floor + largest);
                    window.sent(sequence, now);
                    let lost = round < 200 && losses[(round * 7 + usize::try_from(sequence).unwrap()) % losses.len()];
                    if !lost {
                        arrived.insert(sequence);
                    }
                }
                let through = (1..=messages).take_while(|s| arrived.contains(s)).last().unwrap_or(0);
                window.receipted(through, now);
                if through == messages {
                    break;
                }
                now += Duration::from_secs(1);
                window.rewind_if_overdue(now);
            }
            prop_assert_eq!(arrived.len() as u64, messages);
            prop_assert_eq!(window.floor, messages + 1);
        }
    }
}
