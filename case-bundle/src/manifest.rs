//! What a case says.

use std::collections::BTreeMap;

use protocol::event::Words;
use protocol::evidence::{EvidenceRole, Missing, Span};
use protocol::{Digest, Event, EventTime, EvidenceItem, NormBox, TimeQuality};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::key::KeyId;

/// `schema` of a manifest. A reader that does not know the word must not guess.
pub const CASE_SCHEMA: &str = "vn.ngatu.case.v1";
/// Media type of the sealed manifest as a file of evidence.
pub const CASE_MEDIA_TYPE: &str = "application/vnd.ngatu.case+json";
/// Name of the sealed manifest in a bundle.
pub const CASE_FILE: &str = "case.json";
/// Most bytes of a sealed manifest: an event fits an envelope of 256 KiB, and
/// the rest is small.
pub const MAX_CASE_BYTES: usize = 512 * 1024;
/// Most files of a case.
pub const MAX_MEDIA: usize = 256;
/// Most bytes of one file: a clip of some minutes at the highest bit rates.
pub const MAX_MEDIA_BYTES: u64 = 1 << 30;

/// One case. The camera and its place, the explanation, and by which
/// configuration, calibration and model it was made stand in [`Self::event`]:
/// written a second time they could only contradict it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseManifest {
    /// [`CASE_SCHEMA`].
    pub schema: String,
    /// The event as it was told when its evidence was complete, whole.
    pub event: Event,
    /// By which clock the event's times were taken, and how good it is.
    pub clock: Clock,
    /// The program that made the case.
    pub agent: AgentVersion,
    /// The files. Empty: there is no evidence and there will be none.
    pub media: Vec<CaseMedia>,
    /// What should be among them and is not, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// Where it stands among the camera's cases.
    pub chain: ChainLink,
    /// When it was signed, by the box's clock.
    pub sealed: EventTime,
    /// Which key signed it.
    pub key: KeyId,
    /// A short mark of every part, by JSON pointer: when the signature does not
    /// fit, they tell which part was changed.
    #[serde(default)]
    pub fingerprints: BTreeMap<String, String>,
}

/// A clock and what it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clock {
    /// Whose clock.
    pub quality: TimeQuality,
    /// Its greatest error, seconds; absent where nobody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncertainty_s: Option<f64>,
}

/// The program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentVersion {
    /// Its version.
    pub version: String,
    /// SHA-256 of its file; absent where that could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
}

/// A case's place in its camera's chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainLink {
    /// Which chain: a box with a new disk begins a new one.
    pub id: Uuid,
    /// 1 for the first case, one more for each.
    pub number: u64,
    /// SHA-256 of the sealed manifest before it, the whole file; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Digest>,
}

impl ChainLink {
    /// The first of a chain.
    pub fn genesis(id: Uuid) -> Self {
        Self {
            id,
            number: 1,
            previous: None,
        }
    }

    /// The one after this, whose sealed manifest has the hash `previous`.
    #[must_use]
    pub fn next(&self, previous: Digest) -> Self {
        Self {
            id: self.id,
            number: self.number + 1,
            previous: Some(previous),
        }
    }
}

/// One file of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseMedia {
    /// Its name in a bundle; see [`is_plain_name`].
    pub name: String,
    /// What it shows.
    pub role: EvidenceRole,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Its bytes, counted.
    pub length: u64,
    /// IANA media type.
    pub media_type: String,
    /// When the picture was taken, or the clip begins.
    pub captured: EventTime,
    /// When the clip ends; absent for pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<EventTime>,
    /// What was asked for, where the clip is shorter than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Span>,
    /// What else must be known of it: why a clip is shorter, from which stream
    /// a picture is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Words>,
    /// Where the case's road users are in it, in fractions of the camera's
    /// picture, without the legend that may stand below. None: not known, as in
    /// clips and in older cases.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<NormBox>,
}

/// Where the case's road users are, by the file that shows them.
pub type ActorPlaces = BTreeMap<Digest, Vec<NormBox>>;

impl CaseMedia {
    /// Names the files of a case, in their order.
    pub fn of(items: &[EvidenceItem]) -> Vec<Self> {
        items
            .iter()
            .enumerate()
            .map(|(index, item)| Self {
                name: format!(
                    "{:02}-{}.{}",
                    index + 1,
                    role_word(item.role),
                    suffix(&item.media_type)
                ),
                role: item.role,
                sha256: item.sha256,
                length: item.length,
                media_type: item.media_type.clone(),
                captured: item.captured,
                until: item.until,
                asked: item.asked,
                note: item.note.clone(),
                actors: Vec::new(),
            })
            .collect()
    }

    /// The same, with what is known of where road users are in them.
    pub fn placed(items: &[EvidenceItem], places: &ActorPlaces) -> Vec<Self> {
        let mut media = Self::of(items);
        for file in &mut media {
            file.actors = places.get(&file.sha256).cloned().unwrap_or_default();
        }
        media
    }
}

/// Whether a name is safe as a file's on any system: 1 to 64 of `a-z`, `0-9`,
/// `-`, `_` and `.`, beginning with a letter or digit. No name that passes can
/// leave its folder, hide, or be another spelling of a second one.
pub fn is_plain_name(name: &str) -> bool {
    let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    (1..=64).contains(&name.len())
        && name.bytes().all(allowed)
        && name.as_bytes()[0].is_ascii_alphanumeric()
}

fn role_word(role: EvidenceRole) -> &'static str {
    match role {
        EvidenceRole::StillClean => "still_clean",
        EvidenceRole::StillAnnotated => "still_annotated",
        EvidenceRole::Clip => "clip",
        EvidenceRole::PlateCrop => "plate_crop",
        EvidenceRole::FindingCrop => "finding_crop",
        EvidenceRole::CaseManifest => "case_manifest",
        EvidenceRole::Other => "other",
    }
}

fn suffix(media_type: &str) -> &'static str {
    match media_type {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/avif" => "avif",
        "video/mp4" => "mp4",
        "video/x-matroska" => "mkv",
        "video/webm" => "webm",
        _ => "bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_their_folder_or_hide_are_not_plain() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            ".x",
            "-x",
            "A.jpg",
            "é.jpg",
            "a b",
            "c:x",
            &"x".repeat(65),
        ] {
            assert!(!is_plain_name(bad), "{bad} was taken");
        }
        for good in ["01-still_clean.jpg", "case.json", "x"] {
            assert!(is_plain_name(good), "{good} was refused");
        }
    }
}
