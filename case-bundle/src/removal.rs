//! What whoever keeps a case says of files that retention has removed.
//!
//! It is not signed: only the box signs, and it had no part in this. So it
//! explains why a file is not there and vouches for nothing; a case without all
//! its files is not whole, whatever the reason. It may say nothing else: what
//! nobody signed must not travel with what the box did.

use std::collections::BTreeSet;

use protocol::{Digest, EventTime};
use serde::{Deserialize, Serialize};

/// Name of the list in a bundle.
pub const REMOVED_FILE: &str = "removed.json";
/// Most bytes of it that are read.
pub const MAX_REMOVED_BYTES: u64 = 128 * 1024;

/// A file that was removed because its time was over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// Most bytes of the name of a class.
const MAX_CLASS_BYTES: usize = 32;

/// Reads the list of a bundle, in which the files `missing` are not there.
/// `None` when it says anything else than why some of them are not.
pub(crate) fn read(list: &[u8], missing: &BTreeSet<Digest>) -> Option<Vec<Removal>> {
    let removed: Vec<Removal> = serde_json::from_slice(list).ok()?;
    // One form, as of the manifest: no room between the words either.
    let is_plain = serde_json::to_vec_pretty(&removed).is_ok_and(|plain| plain == list);
    let mut explained = BTreeSet::new();
    let is_honest = removed.iter().all(|gone| {
        let is_word = |c: u8| c.is_ascii_lowercase() || c == b'_';
        missing.contains(&gone.sha256)
            && explained.insert(gone.sha256)
            && (1..=MAX_CLASS_BYTES).contains(&gone.class.len())
            && gone.class.bytes().all(is_word)
    });
    (is_plain && is_honest && !removed.is_empty()).then_some(removed)
}
