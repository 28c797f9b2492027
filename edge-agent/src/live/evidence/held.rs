//! Files of evidence that are stored while the case is not made yet: a process
//! that is killed in between leaves word of them, so that the next one signs a
//! case that holds them, and says which others it was to have.
//!
//! One small file per event, written anew before each file of evidence is
//! stored. Whether a case is still owed, the outbox knows; this only says which
//! files there are.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use edge_uplink::Outbox;
use protocol::event::FrameTime;
use protocol::{EventId, EvidenceItem};
use serde::{Deserialize, Serialize};

const FOLDER: &str = "held";

/// What there is of an event's evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Files that are stored.
    pub(crate) items: Vec<EvidenceItem>,
    /// Those that are stored next, or were just then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) next: Vec<EvidenceItem>,
    /// The moments that stills are wished for, and not there yet; unknown where the word
    /// is an old one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Vec<FrameTime>>,
    /// That which is shown as wished when the next files are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) shown: Option<FrameTime>,
}

fn path(store: &Path, event: EventId) -> PathBuf {
    store.join(FOLDER).join(format!("{event}.json"))
}

/// Notes the files of an event, durably.
pub(crate) fn note(store: &Path, event: EventId, held: &Held) -> io::Result<()> {
    let folder = store.join(FOLDER);
    if !folder.is_dir() {
        fs::create_dir_all(&folder)?;
        File::open(store)?.sync_all()?;
    }
    let path = path(store, event);
    let draft = path.with_extension("part");
    let mut file = File::create(&draft)?;
    file.write_all(&serde_json::to_vec(held)?)?;
    file.sync_all()?;
    fs::rename(&draft, &path)?;
    File::open(&folder)?.sync_all()
}

/// What a process before this one noted of an event; the files that it was storing
/// are among the others if they are there, whole.
pub(crate) fn of(store: &Path, event: EventId) -> Held {
    // Half a file, or none: nothing is known.
    let bytes = fs::read(path(store, event)).unwrap_or_default();
    let mut held = serde_json::from_slice(&bytes).unwrap_or_else(|_| Held {
        // As versions before this one wrote it.
        items: serde_json::from_slice(&bytes).unwrap_or_default(),
        ..Held::default()
    });
    let is_there = |item: &EvidenceItem| {
        let file = fs::metadata(Outbox::evidence_path(store, &item.sha256));
        file.is_ok_and(|file| file.len() == item.length)
    };
    let shown = held.shown.take();
    if let (Some(shown), Some(at)) = (shown, &mut held.at)
        && held.next.iter().all(is_there)
    {
        at.retain(|at| *at != shown);
    }
    let next = std::mem::take(&mut held.next).into_iter();
    held.items.extend(next.filter(is_there));
    held
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
        let item = |byte| EvidenceItem {
            role: EvidenceRole::StillClean,
            sha256: Digest([byte; 32]),
            length: 9,
            media_type: "image/jpeg".to_owned(),
            captured: EventTime::from_micros(5),
            until: None,
            asked: None,
            note: None,
        };
        let time = EventTime::from_micros(5);
        let held = |next: &[EvidenceItem]| Held {
            items: vec![item(7)],
            next: next.to_vec(),
            at: Some(vec![FrameTime { frame: 1, time }]),
            shown: None,
        };
        assert_eq!(of(store.path(), event), Held::default());
        note(store.path(), event, &held(&[])).unwrap();
        assert_eq!(of(store.path(), event), held(&[]));
        // A file that was being stored counts if it came to be.
        note(store.path(), event, &held(&[item(8), item(9)])).unwrap();
        assert_eq!(of(store.path(), event), held(&[]));
        let next = Outbox::evidence_path(store.path(), &Digest([8; 32]));
        fs::create_dir_all(next.parent().unwrap()).unwrap();
        fs::write(&next, [0; 8]).unwrap();
        assert_eq!(of(store.path(), event), held(&[]), "half of it");
        fs::write(&next, [0; 9]).unwrap();
        assert_eq!(of(store.path(), event).items, [item(7), item(8)]);
        // And the moment is shown when all of its files are there.
        for (next, owed) in [(vec![item(8)], 0), (vec![item(8), item(9)], 1)] {
            let shown = Some(FrameTime { frame: 1, time });
            let next = Held {
                shown,
                ..held(&next)
            };
            note(store.path(), event, &next).unwrap();
            assert_eq!(of(store.path(), event).at.map(|at| at.len()), Some(owed));
        }
        // As an older version wrote it.
        let old = serde_json::to_vec(&[item(7)]).unwrap();
        fs::write(path(store.path(), event), old).unwrap();
        let items = vec![item(7)];
        let expected = Held {
            items,
            ..Held::default()
        };
        assert_eq!(of(store.path(), event), expected);
        fs::write(path(store.path(), event), b"[{").unwrap();
        assert_eq!(of(store.path(), event), Held::default());
        forget(store.path(), event);
        assert!(!path(store.path(), event).exists());
        clear(store.path());
        assert!(!store.path().join(FOLDER).exists());
    }
}
