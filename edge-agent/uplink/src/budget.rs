//! How much of the disk the outbox may take, and what is given up first.
//!
//! The order of sacrifice, published so that an operator can rely on it:
//!
//! 1. telemetry: it is never stored at all;
//! 2. copies of evidence that the centre already has, oldest first;
//! 3. copies of messages that the centre already has, oldest first;
//! 4. the file of a damaged outbox, which is kept for whoever wants to look;
//! 5. evidence that the centre refused for good, oldest first;
//! 6. evidence not yet uploaded: clips, oldest first; then whatever is neither a
//!    clip nor a still; then stills; signed cases last, because without its
//!    signed manifest a case's stills prove nothing, and it is small;
//! 7. events and evidence manifests: **never**. On a disk that is full in
//!    spite of all that, they wait in memory and are written when they can be.
//!
//! Evidence of an event that a person has locked at the centre is not given up
//! at all, copies of it neither ([`crate::Outbox::take_locks`]).
//!
//! A new file stands in the same order: a clip that would have a still given up for
//! it is not stored, nor is any file beside which what may not be given up leaves no
//! room. Events are stored above the budget, too.

use std::time::Duration;

/// Limits of an outbox's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskBudget {
    /// Bytes that the folder may take: the database with its log, the evidence, a
    /// damaged file that was set aside, and messages that could not be sent.
    pub max_bytes: u64,
    /// How long a file is kept here after the centre has it.
    pub keep_uploaded: Duration,
    /// The same of clips, which take the most room.
    pub keep_clips: Duration,
    /// How long a message is kept here after the centre's receipt, for a centre
    /// that is restored from a backup.
    pub keep_receipted: Duration,
    /// Over how long a box spreads its questions whether a centre that was opened anew
    /// has the copies still: all boxes hear of it in the same second.
    pub ask_within: Duration,
    /// Events held in memory while the disk takes none; beyond that new ones are lost, counted.
    pub max_in_memory: usize,
}

impl DiskBudget {
    /// Copies are kept for two days and asked for within an hour, and 10,000 events in memory (some 40 MB).
    pub const fn new(max_bytes: u64) -> Self {
        Self {
            max_bytes,
            keep_uploaded: Duration::from_hours(48),
            keep_clips: Duration::from_hours(48),
            keep_receipted: Duration::from_hours(48),
            ask_within: Duration::from_hours(1),
            max_in_memory: 10_000,
        }
    }
}

impl Default for DiskBudget {
    /// 8 GiB: at 300 KB of stills per event about 28,000 events without a network.
    fn default() -> Self {
        Self::new(8 << 30)
    }
}
