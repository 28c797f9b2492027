//! Messages of signal controllers, from the broker to whoever watches lamps.
//!
//! Two things that a plain message does not tell are told here, because an
//! accusation may hang on them: that the broker had kept a message
//! ([`SignalMessage::is_retained`]: it may be of any age), and that the broker
//! is gone ([`SignalNotice::BrokerLost`]: the lamps may change unheard).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};

/// Notices that wait to be taken, at most; a lamp's older readings are of no use.
const WAITING: usize = 1024;

/// What there is to know about signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignalNotice {
    /// A controller said something.
    Message(SignalMessage),
    /// The connection to the broker ended: what was said last may no longer
    /// be true, and nobody will tell until there is one again.
    BrokerLost,
}

/// A message on one of [`crate::UplinkSettings::signal_topics`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalMessage {
    /// Where.
    pub topic: String,
    /// What, as it came.
    pub payload: Vec<u8>,
    /// Whether the broker had kept it for whoever subscribes: the time of its
    /// arrival says nothing about when it was true.
    pub is_retained: bool,
}

/// The receiving end; clones share one queue.
#[derive(Clone, Debug)]
pub struct Signals {
    notices: Receiver<SignalNotice>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    dropped: AtomicU64,
    refused: AtomicU64,
    undated: AtomicU64,
}

/// What became of messages, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SignalCounts {
    pub(crate) dropped: u64,
    pub(crate) refused: u64,
    pub(crate) undated: u64,
}

impl Signals {
    /// The next notice, in order; waits at most `patience`.
    pub fn recv_timeout(&self, patience: Duration) -> Result<SignalNotice, RecvTimeoutError> {
        self.notices.recv_timeout(patience)
    }

    /// Counts a message that its reader refused.
    pub fn count_refused(&self) {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a retained message that its reader refused for having no time of its own.
    pub fn count_undated(&self) {
        self.counters.undated.fetch_add(1, Ordering::Relaxed);
    }
}

/// The uplink's end.
pub(crate) struct Outlet {
    sender: Sender<SignalNotice>,
    /// To make room with.
    receiver: Receiver<SignalNotice>,
    counters: Arc<Counters>,
}

pub(crate) fn channel() -> (Outlet, Signals) {
    let (sender, notices) = crossbeam_channel::bounded(WAITING);
    let counters = Arc::<Counters>::default();
    let outlet = Outlet {
        sender,
        receiver: notices.clone(),
        counters: Arc::clone(&counters),
    };
    (outlet, Signals { notices, counters })
}

impl Outlet {
    /// Hands a message out, unless nobody has taken the last thousand.
    pub(crate) fn message(&self, message: SignalMessage) {
        if self
            .sender
            .try_send(SignalNotice::Message(message))
            .is_err()
        {
            self.count_dropped();
        }
    }

    /// Says that the broker is gone, in place of the oldest messages if need be:
    /// this one must not be lost.
    pub(crate) fn broker_lost(&self) {
        while let Err(TrySendError::Full(_)) = self.sender.try_send(SignalNotice::BrokerLost) {
            if let Ok(SignalNotice::Message(_)) = self.receiver.try_recv() {
                self.count_dropped();
            }
        }
    }

    pub(crate) fn counts(&self) -> SignalCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SignalCounts {
            dropped: count(&self.counters.dropped),
            refused: count(&self.counters.refused),
            undated: count(&self.counters.undated),
        }
    }

    fn count_dropped(&self) {
        self.counters.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: usize) -> SignalMessage {
        SignalMessage {
            topic: format!("lights/{number}"),
            payload: Vec::new(),
            is_retained: false,
        }
    }

    #[test]
    fn a_reader_that_is_behind_loses_messages_but_never_the_loss_of_the_broker() {
        let (outlet, signals) = channel();
        for number in 0..WAITING + 10 {
            outlet.message(message(number));
        }
        assert_eq!(outlet.counts().dropped, 10);
        outlet.broker_lost();
        assert_eq!(outlet.counts().dropped, 11, "one made room");
        let taken: Vec<_> = signals.notices.try_iter().collect();
        assert_eq!(taken.len(), WAITING);
        assert_eq!(taken[0], SignalNotice::Message(message(1)));
        assert_eq!(taken[WAITING - 1], SignalNotice::BrokerLost);
    }

    #[test]
    fn what_a_reader_refuses_is_counted_for_the_uplinks_status() {
        let (outlet, signals) = channel();
        signals.clone().count_refused();
        signals.count_undated();
        let expected = SignalCounts {
            dropped: 0,
            refused: 1,
            undated: 1,
        };
        assert_eq!(outlet.counts(), expected);
    }
}
