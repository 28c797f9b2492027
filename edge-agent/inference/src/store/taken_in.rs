//! Whether a version is still the one that was taken in, by what the journal noted then.
//!
//! A listing that nobody has signed vouches for itself: whoever may write in a version's
//! folder may lower a threshold, write a listing to match, and take the signature away. The
//! journal does not lie in that folder, and knows what came in by that number, and who had
//! signed it.

use std::path::Path;

use super::bundle::{LISTING, SIGNATURE, Unpacked, Vouched};
use super::journal::{self, JournalEntry};

/// What speaks against a version in the folder of models `home`; nothing, where a trusted
/// key vouches for it, or nothing is known of it.
pub(super) fn fault(home: &Path, found: &Unpacked) -> Option<String> {
    let Vouched::Unsigned(why) = &found.vouched else {
        return None;
    };
    let entry = last_line(home, found)?;
    // A key that is not trusted here vouches for nothing; that it signed is still said.
    if let Some(key) = entry.key()
        && !why.contains(&format!("signed with key {key},"))
    {
        return Some(format!(
            "it was installed signed with key {key}, and that signature ({SIGNATURE}) is gone"
        ));
    }
    let is_it = entry.sha256.is_none_or(|it| it == found.manifest.sha256)
        && entry.manifest.is_none_or(|it| it == found.text)
        && entry.listing.is_none_or(|it| it == found.listed);
    (!is_it).then(|| {
        format!("its {LISTING}, or what is listed there, is not what was installed by that number")
    })
}

/// Whether a line tells that a version came in by that number.
pub(super) fn is_noted(home: &Path, found: &Unpacked) -> bool {
    last_line(home, found).is_some()
}

fn last_line(home: &Path, found: &Unpacked) -> Option<JournalEntry> {
    let (model, version) = (&found.listing.model, found.listing.version);
    let lines = journal::read(home).into_iter();
    let mut of_it = lines.filter(|entry| {
        entry.action.takes_in() && (&entry.model, entry.version) == (model, Some(version))
    });
    of_it.next_back()
}
