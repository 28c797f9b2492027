//! What the log says of messages that cannot be taken.

use std::collections::BTreeSet;

use super::letter::{DeadLetter, Reason};

/// Says each reason once per connection: a box that sends nothing but nonsense
/// must not fill the log. All of them are counted and kept.
#[derive(Debug, Default)]
pub struct Complaints {
    said: BTreeSet<Reason>,
}

impl Complaints {
    /// Says in the log what is wrong with a message.
    pub fn about(&mut self, dead: &DeadLetter) {
        let topic = dead.topic.escape_debug();
        let (reason, detail) = (dead.reason.as_str(), dead.detail.escape_debug());
        if self.said.insert(dead.reason) {
            tracing::warn!(
                %topic,
                reason,
                %detail,
                "a message could not be taken; it is kept, see /api/v1/dead-letters. \
                 More of this kind on this connection are only counted"
            );
        } else {
            tracing::debug!(%topic, reason, %detail, "a message could not be taken");
        }
    }
}
