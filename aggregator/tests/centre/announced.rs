//! What a box says of the files of an event.

use protocol::evidence::{EvidenceItem, EvidenceRole};
use protocol::{Digest, EventId, EvidenceManifest};
use sha2::{Digest as _, Sha256};

use crate::support::noon;

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Where the centre takes it and gives it out.
pub(crate) fn path(bytes: &[u8]) -> String {
    format!("/api/v1/evidence/{}", digest(bytes))
}

/// One file, a JPEG if nothing else is said.
pub(crate) fn file(role: EvidenceRole, bytes: &[u8]) -> EvidenceItem {
    EvidenceItem {
        role,
        sha256: digest(bytes),
        length: bytes.len() as u64,
        media_type: "image/jpeg".to_owned(),
        captured: noon(),
        until: None,
        asked: None,
        note: None,
    }
}

/// That these are the event's files, and that none is missing.
pub(crate) fn manifest_of(event: EventId, items: impl Into<Vec<EvidenceItem>>) -> EvidenceManifest {
    EvidenceManifest {
        event,
        items: items.into(),
        missing: Vec::new(),
    }
}
