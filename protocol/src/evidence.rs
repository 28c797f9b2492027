//! Pictures and clips that belong to an event. They never travel inside it:
//! they are stored and uploaded by their SHA-256, and join the alert by event id.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::event::Words;
use crate::id::EventId;
use crate::time::EventTime;

/// A SHA-256 (FIPS 180-4), 64 lower-case hex digits in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Text that is not a SHA-256.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a SHA-256; it has 64 hex digits, as `sha256sum FILE` prints them")]
pub struct NotADigest(pub String);

impl core::str::FromStr for Digest {
    type Err = NotADigest;
    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let fault = || NotADigest(text.chars().take(80).collect());
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(fault());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = core::str::from_utf8(pair).map_err(|_| fault())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| fault())?;
        }
        Ok(Self(digest))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a file of evidence shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceRole {
    /// The picture as the camera gave it.
    StillClean,
    /// The same with road user, path, zone, time and place drawn in.
    StillAnnotated,
    /// Moving pictures from before the onset to after the end.
    Clip,
    /// The number plate of the one concerned, cut out of a picture.
    PlateCrop,
    /// What a look saw that voted for the finding: a head, a driver, cut out of the very
    /// picture that was looked at; see [`crate::event::Look`].
    FindingCrop,
    /// The signed manifest of the case: what happened, which files show it, and
    /// its place in the camera's chain; see `docs/design/evidence.md`.
    CaseManifest,
    /// A role that this version does not know.
    #[serde(other)]
    Other,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceItem {
    /// What it shows.
    pub role: EvidenceRole,
    /// Its name and its proof.
    pub sha256: Digest,
    /// Bytes.
    pub length: u64,
    /// IANA media type, for example `image/jpeg`.
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
}

/// From one instant to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The first.
    pub from: EventTime,
    /// The last.
    pub to: EventTime,
}

/// Evidence that should be there and is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// What it would have been.
    pub role: EvidenceRole,
    /// Of which instant, for pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<EventTime>,
    /// Why it is not there.
    pub reason: Words,
}

/// Says which files belong to an event. Sent as its own message, before or
/// after the files themselves; the centre joins whatever has arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceManifest {
    /// Whose evidence.
    pub event: EventId,
    /// The files.
    pub items: Vec<EvidenceItem>,
    /// What should be among them, and will not come.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}
