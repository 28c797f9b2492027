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
    /// Nothing of this outbox is taken, because another agent speaks for the
    /// same box: the one with this outbox. `through` is then 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_for: Option<Uuid>,
    /// Which opening of the centre's database says so; another one after every
    /// start. A database that was restored from a backup says the same of messages
    /// and may lack files that were stored since, so whoever keeps copies asks for
    /// them again. `None`: a centre that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Uuid>,
}
