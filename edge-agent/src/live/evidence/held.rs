//! Files of evidence that are stored and announced while the case is not made
//! yet: a process that is killed in between leaves word of them, so that the
//! next one signs a case that holds them.
//!
//! One small file per event. Whether a case is still owed, the outbox knows;
//! this only says which files there are.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use protocol::{EventId, EvidenceItem};

const FOLDER: &str = "held";

fn path(store: &Path, event: EventId) -> PathBuf {
    store.join(FOLDER).join(format!("{event}.json"))
}

/// Notes the files of an event, durably.
pub(crate) fn note(store: &Path, event: EventId, items: &[EvidenceItem]) -> io::Result<()> {
    let folder = store.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let path = path(store, event);
    let draft = path.with_extension("part");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec(items)?)?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(&folder)?.sync_all()
}

/// The files of an event that a process before this one noted.
pub(crate) fn of(store: &Path, event: EventId) -> Vec<EvidenceItem> {
    let read = fs::read(path(store, event));
    // Half a file, or one of another version: as good as none.
    read.ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

/// The case is made.
pub(crate) fn forget(store: &Path, event: EventId) {
    match fs::remove_file(path(store, event)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%event, %error, "a note of stored stills cannot be removed; it does no harm");
        }
        _ => {}
    }
}

/// Nothing is owed any more: whatever is left is of no use.
pub(crate) fn clear(store: &Path) {
    match fs::remove_dir_all(store.join(FOLDER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, "notes of stored stills cannot be removed; they do no harm");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::evidence::EvidenceRole;
    use protocol::{Digest, EventTime};

    #[test]
    fn what_is_noted_is_there_for_the_next_process_until_it_is_forgotten() {
        let store = tempfile::tempdir().unwrap();
        let event: EventId = "c9d8b87e-32f2-5469-978d-0293e1c17075".parse().unwrap();
        let items = [EvidenceItem {
            role: EvidenceRole::StillClean,
            sha256: Digest([7; 32]),
            length: 9,
            media_type: "image/jpeg".to_owned(),
            captured: EventTime::from_micros(5),
            until: None,
            asked: None,
            note: None,
        }];
        assert_eq!(of(store.path(), event), []);
        note(store.path(), event, &items).unwrap();
        assert_eq!(of(store.path(), event), items);
        fs::write(path(store.path(), event), b"[{").unwrap();
        assert_eq!(of(store.path(), event), []);
        forget(store.path(), event);
        assert!(!path(store.path(), event).exists());
        clear(store.path());
        assert!(!store.path().join(FOLDER).exists());
    }
}
