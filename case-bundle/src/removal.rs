//! What whoever keeps a case says of files that retention has removed.
//!
//! It is not signed: only the box signs, and it had no part in this. So it
//! explains why a file is not there and vouches for nothing; a case without all
//! its files is not whole, whatever the reason.

use protocol::{Digest, EventTime};
use serde::{Deserialize, Serialize};

/// Name of the list in a bundle.
pub const REMOVED_FILE: &str = "removed.json";
/// Most bytes of it that are read.
pub const MAX_REMOVED_BYTES: u64 = 128 * 1024;

/// A file that was removed because its time was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Removal {
    /// Which, as in the manifest.
    pub sha256: Digest,
    /// When, by the clock of whoever removed it.
    pub at: EventTime,
    /// As what it had been kept, for example `clip` or `dismissed`.
    pub class: String,
    /// For how many days such files are kept.
    pub days: f64,
}
