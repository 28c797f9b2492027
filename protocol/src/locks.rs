//! Evidence that a person has locked: neither retention nor want of room may
//! remove it, at the centre or on the box.

use serde::{Deserialize, Serialize};

use crate::id::EventId;
use crate::time::EventTime;

/// Most events named in one message: 39 bytes each must fit the 64 KiB that a
/// box takes.
pub const MOST_LOCKED: u32 = 1000;

/// Published by the centre on the box's [`crate::topic::locks`], when a lock is
/// set or released and whenever the box says that it is there. It names all
/// locked events of the box, so that one lost on the way is made good by the
/// next, and a lock that is not in it any more is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLocks {
    /// When this was so, by the centre's clock; the newest counts.
    pub at: EventTime,
    /// The events, of those with the newest evidence [`MOST_LOCKED`].
    pub locked: Vec<EventId>,
}
