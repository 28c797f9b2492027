//! Whether a file is the one that a manifest describes: its length, its SHA-256, and that no
//! part of its network lies elsewhere.

use std::path::Path;

use models::Manifest;
use protocol::Digest;

use super::StoreError;
use crate::{digest, outside};

/// Refuses a file that is not the one its manifest describes, or is a part of one.
pub(super) fn check_file(manifest: &Manifest, path: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io {
        path: path.to_owned(),
        source,
    };
    let length = path.metadata().map_err(io)?.len();
    // Before hashing: a wrong length says what is wrong.
    let why = wrong_length(manifest, length);
    let why = match why {
        Some(why) => Some(why),
        None => wrong_digest(manifest, digest::of_file(path).map_err(io)?),
    };
    if let Some(why) = why {
        return Err(StoreError::Differs {
            model: manifest.id.clone(),
            what: path.display().to_string(),
            why,
            next: format!(
                "install it again: `edge-agent models install {} --from FILE|URL`{}",
                manifest.id,
                path.parent()
                    .and_then(describe)
                    .map_or_else(String::new, |it| {
                        format!("; or, if that file is the right one, {it}")
                    })
            ),
        });
    }
    check_whole(manifest, path, &path.display().to_string())
}

/// What else can be done where the manifest is the operator's own: after another export it
/// is the manifest that is wrong.
pub(super) fn describe(model_folder: &Path) -> Option<String> {
    let manifest = model_folder.join("model.toml");
    manifest.is_file().then(|| {
        format!(
            "write its `sha256` (`sha256sum`) and `size_bytes` (`stat -c %s`) into {}",
            manifest.display()
        )
    })
}

/// Refuses a network of which a part lies in another file; `what` is its name for people.
pub(super) fn check_whole(manifest: &Manifest, path: &Path, what: &str) -> Result<(), StoreError> {
    let found = outside::named_in(path).map_err(|source| StoreError::Io {
        path: path.to_owned(),
        source,
    })?;
    found.map_or(Ok(()), |fault| {
        Err(StoreError::Outside {
            model: manifest.id.clone(),
            what: what.to_owned(),
            fault,
        })
    })
}

/// In what a file of this length differs, if it does.
pub(super) fn wrong_length(manifest: &Manifest, found: u64) -> Option<String> {
    let expected = manifest.size_bytes?;
    match found.cmp(&expected) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Less => Some(format!(
            "has {found} of {expected} bytes, so it is cut or another file"
        )),
        std::cmp::Ordering::Greater => Some(format!(
            "has more than {expected} bytes, so it is another file"
        )),
    }
}

/// In what a file of this digest differs, if it does.
pub(super) fn wrong_digest(manifest: &Manifest, found: Digest) -> Option<String> {
    let expected = manifest.sha256;
    (found != expected).then(|| format!("has sha256 {found}, its manifest says {expected}"))
}
