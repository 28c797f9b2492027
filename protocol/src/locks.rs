//! Evidence that a person has locked: neither retention nor want of room may
//! remove it, at the centre or on the box.

use serde::{Deserialize, Serialize};

use crate::id::EventId;
use crate::time::EventTime;

/// Most events named in one message: 39 bytes each must fit the 64 KiB that a
/// box takes.
pub const MOST_LOCKED: u32 = 1000;
/// Most messages that name the locked events of a box; of a hundred thousand events
/// nobody reads the evidence, and a box must not collect without end.
pub const MOST_PARTS: u32 = 100;

/// Published by the centre on the box's [`crate::topic::locks`], when a lock is
/// set or released and whenever the box says that it is there. All locked events
/// of the box are named, in as many parts as that takes, so that one lost on the
/// way is made good by the next, and a lock that is not in them any more is
/// released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLocks {
    /// When this was so, by the centre's clock; the newest counts. Parts with the
    /// same time belong together.
    pub at: EventTime,
    /// The events, in a message at most [`MOST_LOCKED`], those with the newest
    /// evidence first.
    pub locked: Vec<EventId>,
    /// Which of the parts this is; left out, it is the only one. A box from before
    /// there were parts takes the first for all.
    #[serde(default, skip_serializing_if = "LockPart::is_whole")]
    pub part: LockPart,
}

/// A place among the messages that name the locked events of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockPart {
    /// From 1 on.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

impl LockPart {
    /// The only one.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde gives a reference
    fn is_whole(&self) -> bool {
        *self == Self::WHOLE
    }
}

impl Default for LockPart {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl EvidenceLocks {
    /// All locked events of a box, those with the newest evidence first, as the
    /// messages that tell it of them; at least one, for a lock may have been released.
    pub fn in_parts(at: EventTime, locked: &[EventId]) -> Vec<Self> {
        let most = MOST_LOCKED as usize;
        let parts = locked.chunks(most).take(MOST_PARTS as usize);
        let of = parts.len().max(1);
        let part_of = |number: usize, locked: &[EventId]| Self {
            at,
            locked: locked.to_vec(),
            #[allow(clippy::cast_possible_truncation)] // at most `MOST_PARTS`
            part: LockPart {
                number: number as u32,
                of: of as u32,
            },
        };
        if locked.is_empty() {
            return vec![part_of(1, locked)];
        }
        (1..).zip(parts).map(|(n, part)| part_of(n, part)).collect()
    }
}
