//! A version that lies here damaged, and its bundle come again.
//!
//! A version never changes its content, and a disk does. So what is listed is put in the
//! place of what is not as listed, one file after the other and each by renaming: whoever
//! looks meanwhile sees a version that is damaged or whole, and a mending that is
//! interrupted is finished by the next.

use std::fs;
use std::io;
use std::path::Path;

use super::bundle::{self, LISTING, ListedFile, Listing, SIGNATURE, Unpacked, Vouched};
use super::durable;
use super::journal::{Action, JournalEntry};
use super::signature::PublicKey;

/// What lies where a version is to go.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// The very same.
    Whole,
    /// The same once; what is wrong with it now.
    Damaged(String),
    /// Something else by its number.
    Another,
}

/// Compares what lies in `folder` with a bundle that was unpacked elsewhere. Where the
/// listing there cannot be believed, the journal knows what was installed.
pub(super) fn look(
    folder: &Path,
    new: &Unpacked,
    trusted: &[PublicKey],
    journal: &[JournalEntry],
) -> Found {
    if fs::symlink_metadata(folder).is_err() {
        return Found::Nothing;
    }
    let old = bundle::listing_in(folder, trusted);
    let is_signed = |vouched: &Vouched| matches!(vouched, Vouched::Signed(_));
    let was_it = journal
        .iter()
        .rfind(|entry| {
            let is_taken_in = matches!(entry.action, Action::Installed | Action::Downgraded);
            let which = (&entry.model, entry.version);
            is_taken_in && which == (&new.listing.model, Some(new.listing.version))
        })
        .map(|entry| {
            entry.sha256 == Some(new.manifest.sha256)
                && entry.manifest.is_none_or(|text| text == new.text)
        });
    let is_whole = |listing: &Listing| bundle::check_files(folder, listing).is_ok();
    let is_same = match (&old, was_it) {
        (Ok((listing, vouched)), _) if is_signed(vouched) => *listing == new.listing,
        // Two that nobody signed, and nothing is the matter with the first.
        (Ok((listing, _)), _) if !is_signed(&new.vouched) && is_whole(listing) => {
            *listing == new.listing
        }
        (_, Some(was_it)) => was_it,
        (Ok((listing, _)), None) => *listing == new.listing,
        // Nothing is known of it; who signs this one knows what it is.
        (Err(_), None) => is_signed(&new.vouched),
    };
    if !is_same {
        return Found::Another;
    }
    match old {
        Err(error) => Found::Damaged(format!("its {LISTING}: {}", error.damage())),
        Ok((listing, _)) if listing != new.listing => {
            Found::Damaged(format!("its {LISTING} was changed"))
        }
        Ok((_, vouched)) if is_signed(&new.vouched) && !is_signed(&vouched) => {
            Found::Damaged(format!("its {SIGNATURE} is gone or changed"))
        }
        Ok((listing, _)) => match bundle::check_files(folder, &listing) {
            Ok(()) => Found::Whole,
            Err(damage) => Found::Damaged(damage),
        },
    }
}

/// Puts each file of `place` that is not as listed in `folder` there.
pub(super) fn replace(place: &Path, folder: &Path, listing: &Listing) -> io::Result<()> {
    if !folder.is_dir() {
        // A file or a link to nowhere by its name.
        fs::remove_file(folder)?;
        durable::create_folder(folder)?;
    }
    for file in &listing.file {
        if !is_as_listed(folder, file) {
            put(place, folder, &file.path)?;
        }
    }
    if place.join(SIGNATURE).is_file() {
        put(place, folder, SIGNATURE)?;
    }
    if let Some(stray) = bundle::unlisted_self_test(folder, listing) {
        if fs::symlink_metadata(&stray).is_ok_and(|kind| kind.is_dir()) {
            fs::remove_dir_all(&stray)?;
        } else {
            fs::remove_file(&stray)?;
        }
    }
    // Last: until it is there, the version is not taken for a whole one.
    put(place, folder, LISTING)?;
    durable::sync_folder(folder.parent().unwrap_or(folder))
}

fn is_as_listed(folder: &Path, file: &ListedFile) -> bool {
    let kind = fs::symlink_metadata(folder.join(&file.path));
    kind.is_ok_and(|kind| kind.is_file()) && bundle::check_file(folder, file).is_ok()
}

fn put(place: &Path, folder: &Path, path: &str) -> io::Result<()> {
    let to = folder.join(path);
    let is_folder = |path: &Path| fs::symlink_metadata(path).is_ok_and(|kind| kind.is_dir());
    // Folders on the way, from the outermost; a link there would lead out of the store.
    let mut on_the_way: Vec<&Path> = to.ancestors().skip(1).collect();
    on_the_way.retain(|parent| parent.starts_with(folder) && *parent != folder);
    for parent in on_the_way.into_iter().rev() {
        if !is_folder(parent) {
            if fs::symlink_metadata(parent).is_ok() {
                fs::remove_file(parent)?;
            }
            durable::create_folder(parent)?;
        }
    }
    if is_folder(&to) {
        fs::remove_dir_all(&to)?;
    }
    fs::rename(place.join(path), &to)?;
    durable::sync_folder(to.parent().unwrap_or(folder))
}
