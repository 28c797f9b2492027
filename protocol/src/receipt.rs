//! The centre's word that it has committed something. Only this empties an outbox.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::EventTime;

/// Published by the centre on the box's [`crate::topic::receipt`] after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which outbox.
    pub outbox: Uuid,
    /// Every sequence up to and including this one is committed.
    pub through: u64,
    /// When it was committed, by the centre's clock.
    pub at: EventTime,
}
