//! What plates in pictures say, as people read them: one JSON object per line
//! and picture.

use plates::grammar::normal_form;
use protocol::{Digest, NormBox, ObjectClass};
use serde::Deserialize;

/// A picture and the plates in it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Picture {
    /// Name of its file.
    pub picture: String,
    /// Of the file.
    pub sha256: Digest,
    /// Which recording it is from: looks at one plate in one of them are one track's.
    pub clip: String,
    /// Under what light it was taken.
    pub light: Light,
    /// Plates that are wholly in it, from the left or as they were labelled.
    pub plates: Vec<Plate>,
}

/// Light.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    /// Daylight.
    Day,
    /// Night, or rooms without daylight.
    Dark,
}

/// Which part of the set a plate is in. What is mended by looking at one part is
/// judged by the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// Its faults were looked at.
    Tuned,
    /// Only its figures were.
    HeldOut,
}

/// One plate in one picture.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plate {
    /// Where.
    #[serde(rename = "box")]
    pub bounds: NormBox,
    /// What it says, as it is shown.
    pub text: String,
    /// One or two.
    pub rows: u8,
    /// What carries it.
    pub vehicle: ObjectClass,
    /// Which part of the set.
    pub half: Half,
    /// Whether a person can read every character in this very picture.
    pub readable: bool,
    /// Why not.
    #[serde(default)]
    pub note: Option<String>,
}

impl Plate {
    /// What it says, in normal form.
    pub fn normal_form(&self) -> String {
        normal_form(&self.text)
    }
}

/// A line that is no picture.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {source}; each line is a picture as plate-reader/truth/README.md says")]
pub struct TruthError {
    /// From 1.
    pub line: usize,
    /// Why.
    pub source: serde_json::Error,
}

/// Reads all lines.
pub fn parse(text: &str) -> Result<Vec<Picture>, TruthError> {
    let mut pictures = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let picture = serde_json::from_str(line).map_err(|source| TruthError {
            line: number + 1,
            source,
        })?;
        pictures.push(picture);
    }
    Ok(pictures)
}
