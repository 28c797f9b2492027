//! What is to be known about a network before it may run: `model.toml`.
//!
//! Strict, because a wrong word here is a camera that sees nothing or sees the
//! wrong thing: unknown keys are refused, numbers are checked against each
//! other, and a network without a licence that lets us use it does not load.

use std::collections::BTreeMap;

use protocol::id::ModelId;
use protocol::{Digest, ObjectClass};
use serde::{Deserialize, Serialize};

use crate::heads::{Answer, Head};
use crate::licence::{self, Verdict};

/// A manifest that cannot be used, and what to change in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML, a key missing, unknown or of the wrong type.
    #[error("line {line}: {message}")]
    Toml {
        /// First line of the place, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// No `licence` key.
    #[error(
        "no licence is named; set `licence` to the SPDX identifier that the model's authors give, for example \"Apache-2.0\""
    )]
    NoLicence,
    /// A licence of the GPL family.
    #[error(
        "licence {0} would bind everybody who passes the program on; choose a model under a permissive licence"
    )]
    Copyleft(String),
    /// A licence that is not on the list.
    #[error(
        "licence {0} is not among the known permissive ones ({known}); if you may use the model, say who says so in `licence_accepted_by`",
        known = licence::PERMISSIVE.join(", ")
    )]
    UnlistedLicence(String),
    /// A value that cannot be right.
    #[error("`{key}`: {message}")]
    Value {
        /// Dotted key.
        key: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
}

impl ManifestError {
    fn value(key: &'static str, message: impl Into<String>) -> Self {
        Self::Value {
            key,
            message: message.into(),
        }
    }
}

/// One network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name in configuration, on the command line and on events.
    pub id: ModelId,
    /// Name for people.
    pub title: String,
    /// What it is for.
    pub task: Task,
    /// Place in the order of preference among those of the same task; 1 is first.
    pub rank: u32,
    /// Name of the model's file, without a folder.
    pub file: String,
    /// Exact length of the file; lets a cut or a wrong file be called so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// SHA-256 of the file.
    pub sha256: Digest,
    /// SPDX licence expression of weights and graph.
    pub licence: String,
    /// Who took an unlisted licence on himself, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence_accepted_by: Option<String>,
    /// Whose work it is: project, release, data it was trained on.
    pub origin: String,
    /// How a user gets the file: one or two commands.
    pub obtain: String,
    /// What goes in.
    pub input: Input,
    /// What comes out.
    pub head: Head,
    /// What its class numbers mean; left out by networks that know no classes.
    #[serde(default, skip_serializing_if = "ClassMap::is_empty")]
    pub classes: ClassMap,
    /// Which of its answers count.
    pub thresholds: Thresholds,
}

/// What a network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Road users and things in a whole picture.
    Detection,
    /// Faces, to be made unrecognisable.
    Faces,
    /// What kind a thing or a picture is.
    Classification,
    /// Where in a picture something is written.
    TextDetection,
    /// What is written in a line.
    TextRecognition,
}

impl Task {
    /// What it is, for people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Detection => "detecting road users",
            Self::Faces => "finding faces",
            Self::Classification => "telling kinds apart",
            Self::TextDetection => "finding writing",
            Self::TextRecognition => "reading lines",
        }
    }

    /// What a head for it must answer.
    const fn answer(self) -> Answer {
        match self {
            Self::Detection => Answer::Detections,
            Self::Faces => Answer::Faces,
            Self::Classification => Answer::Labels,
            Self::TextDetection => Answer::TextRegions,
            Self::TextRecognition => Answer::Text,
        }
    }
}

/// The tensor that goes in, and how a picture becomes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name in the file.
    pub tensor: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether the file leaves width and height open; those above are then our choice.
    #[serde(default)]
    pub dynamic: bool,
    /// What its numbers are.
    #[serde(default, skip_serializing_if = "ElementType::is_f32")]
    pub element: ElementType,
    /// Order of the dimensions.
    pub layout: Layout,
    /// Order of the channels.
    pub colour: Colour,
    /// Subtracted from the pixel (0 to 255), per channel in `colour` order …
    pub mean: [f32; 3],
    /// … and the difference divided by this.
    pub std: [f32; 3],
    /// How the picture is made to fit.
    pub fit: Fit,
    /// What becomes of the pixels when it is made smaller.
    #[serde(default, skip_serializing_if = "Shrink::is_bilinear")]
    pub shrink: Shrink,
    /// Pixel (0 to 255, before normalising) where there is no picture.
    pub pad: [f32; 3],
}

/// What the numbers of an image tensor are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ElementType {
    /// Single precision.
    #[default]
    F32,
    /// Half precision. A letterbox writes single precision; who runs the network halves it.
    F16,
    /// Bytes 0 to 255, for networks that normalise inside: mean 0 and std 1.
    U8,
}

impl ElementType {
    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
    fn is_f32(&self) -> bool {
        *self == Self::F32
    }

    /// What a letterbox writes for such an input.
    pub(crate) const fn written(self) -> Self {
        match self {
            Self::F32 | Self::F16 => Self::F32,
            Self::U8 => Self::U8,
        }
    }
}

impl core::fmt::Display for ElementType {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::U8 => "uint8",
        })
    }
}

/// What becomes of the pixels when a picture is made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shrink {
    /// Four neighbours of each point are blended, the rest is skipped, as
    /// OpenCV's `INTER_LINEAR` does. Networks that were trained on it see what
    /// they know; from half the size down thin things flicker.
    #[default]
    Bilinear,
    /// All pixels that a point covers are averaged, as OpenCV's `INTER_AREA` does.
    Area,
}

impl Shrink {
    #[allow(clippy::trivially_copy_pass_by_ref)] // as serde wants it
    fn is_bilinear(&self) -> bool {
        *self == Self::Bilinear
    }
}

/// Order of an image tensor's dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// Order of the colour channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Colour {
    /// Red first.
    Rgb,
    /// Blue first, as OpenCV reads pictures.
    Bgr,
}

/// How a picture of one shape becomes an input of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Keep the aspect ratio; the rest is padded on the right or below.
    LetterboxTopLeft,
    /// Keep the aspect ratio; the rest is padded on both sides alike.
    LetterboxCentred,
    /// Fill the input; the aspect ratio is lost.
    Stretch,
}

/// Scores and overlap at which answers count; all 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// Below this nothing is returned. The tracker's second stage uses what
    /// lies between `low` and `high` to keep a track alive.
    pub low: f64,
    /// From here on a detection may begin a track.
    pub high: f64,
    /// Of two of one class that overlap (intersection over union) more than this, the better stays;
    /// 1: both, for networks that give no doubles, and for answers that are no boxes.
    pub nms: f64,
}

/// From the network's class numbers to the program's words.
///
/// In TOML a table: `count`, and for each word the numbers that mean it.
/// Numbers that no word names are dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenClassMap", into = "WrittenClassMap")]
pub struct ClassMap {
    words: Vec<Option<ObjectClass>>,
}

#[derive(Serialize, Deserialize)]
struct WrittenClassMap {
    count: u32,
    #[serde(flatten)]
    words: BTreeMap<String, Vec<u32>>,
}

impl ClassMap {
    /// How many classes the network tells apart, dropped ones included.
    pub fn count(&self) -> usize {
        self.words.len()
    }

    /// Whether the network knows no classes.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The word for a class number; `None` when it is dropped.
    pub fn word(&self, number: usize) -> Option<ObjectClass> {
        self.words.get(number).copied().flatten()
    }

    /// The numbers that have a word, ascending, each with its word.
    pub fn named(&self) -> impl Iterator<Item = (usize, ObjectClass)> {
        self.words
            .iter()
            .enumerate()
            .filter_map(|(number, word)| word.map(|word| (number, word)))
    }
}

/// More classes than any network that we could name; keeps a typing error from becoming an allocation.
const MAX_CLASSES: u32 = 10_000;

impl TryFrom<WrittenClassMap> for ClassMap {
    type Error = String;

    fn try_from(written: WrittenClassMap) -> Result<Self, String> {
        if written.count == 0 || written.count > MAX_CLASSES {
            return Err(format!(
                "`count` is {}; it must be 1 to {MAX_CLASSES}",
                written.count
            ));
        }
        let mut words = vec![None; written.count as usize];
        for (word, numbers) in written.words {
            let class = class_of_word(&word).ok_or_else(|| {
                let words = ObjectClass::ALL.map(ObjectClass::as_str).join(", ");
                format!(
                    "`{word}` is not an object class of this program; its words are {words}. A number without one is dropped"
                )
            })?;
            for number in numbers {
                let place = words.get_mut(number as usize).ok_or_else(|| {
                    format!(
                        "{word} = {number}, but the numbers go from 0 to {}",
                        written.count - 1
                    )
                })?;
                if let Some(other) = place.replace(class) {
                    return Err(format!(
                        "number {number} is named twice, as {other} and as {word}"
                    ));
                }
            }
        }
        Ok(Self { words })
    }
}

/// `ObjectClass` reads any unknown word as `other`, for the wire's sake; configuration must not.
fn class_of_word(word: &str) -> Option<ObjectClass> {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};
    let word_as_value: StrDeserializer<'_, Error> = word.into_deserializer();
    ObjectClass::deserialize(word_as_value)
        .ok()
        .filter(|class| class.as_str() == word)
}

impl From<ClassMap> for WrittenClassMap {
    fn from(map: ClassMap) -> Self {
        let mut words: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut count = 0;
        for word in map.words {
            if let Some(class) = word {
                words.entry(class.to_string()).or_default().push(count);
            }
            count += 1;
        }
        Self { count, words }
    }
}

impl Manifest {
    /// Reads and checks the text of a `model.toml`.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let in_toml = |error: &toml::de::Error| ManifestError::Toml {
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        };
        let table: toml::Table = toml::from_str(text).map_err(|e| in_toml(&e))?;
        // Before the rest: "missing field" would not say what to write.
        if !table.contains_key("licence") {
            return Err(ManifestError::NoLicence);
        }
        let manifest: Self = toml::from_str(text).map_err(|e| in_toml(&e))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// Refuses a manifest that lies in a folder of another name, so that the
    /// name on the command line is the name on disk.
    pub fn expect_folder(self, folder: &str) -> Result<Self, ManifestError> {
        if self.id.as_str() == folder {
            Ok(self)
        } else {
            Err(ManifestError::value(
                "id",
                format!(
                    "it is {} but the folder is called {folder}; make them equal",
                    self.id
                ),
            ))
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        match licence::judge(&self.licence) {
            Verdict::Permissive => {}
            Verdict::Copyleft => return Err(ManifestError::Copyleft(self.licence.clone())),
            Verdict::Unlisted => {
                let accepted = self.licence_accepted_by.as_deref().unwrap_or_default();
                if self.licence.trim().is_empty() {
                    return Err(ManifestError::NoLicence);
                }
                if accepted.trim().is_empty() {
                    return Err(ManifestError::UnlistedLicence(self.licence.clone()));
                }
            }
        }
        let is_plain = |name: &str| {
            !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
        };
        if !is_plain(&self.file) {
            return Err(ManifestError::value(
                "file",
                "write the name of a file, without a folder",
            ));
        }
        for (key, text) in [
            ("title", &self.title),
            ("origin", &self.origin),
            ("obtain", &self.obtain),
        ] {
            if text.trim().is_empty() {
                return Err(ManifestError::value(key, "it is empty"));
            }
        }
        if self.size_bytes == Some(0) {
            return Err(ManifestError::value("size_bytes", "a model is not empty"));
        }
        self.input.check()?;
        self.thresholds.check()?;
        let (wanted, reads) = (self.task.answer(), self.head.answer());
        if wanted != reads {
            return Err(ManifestError::value(
                "task",
                format!(
                    "it asks for {wanted}, but head `{}` reads {reads}; one of them is wrong",
                    self.head.kind()
                ),
            ));
        }
        self.head
            .check(&self.classes)
            .map_err(|message| ManifestError::value("head", message))
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}

impl Input {
    /// Largest width and height; larger is a typing error.
    pub const MAX_SIDE: u32 = 8192;

    /// Numbers in the tensor.
    pub fn len(&self) -> usize {
        3 * self.width as usize * self.height as usize
    }

    /// Never: [`Manifest::parse`] refuses such an input.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor's shape, with one picture in the batch.
    pub fn shape(&self) -> [usize; 4] {
        let (height, width) = (self.height as usize, self.width as usize);
        match self.layout {
            Layout::Nchw => [1, 3, height, width],
            Layout::Nhwc => [1, height, width, 3],
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        for (key, side) in [("input.width", self.width), ("input.height", self.height)] {
            if side == 0 || side > Self::MAX_SIDE {
                return Err(ManifestError::value(
                    key,
                    format!("it is {side}; it must be 1 to {} pixels", Self::MAX_SIDE),
                ));
            }
        }
        if !self.mean.iter().chain(&self.pad).all(|v| v.is_finite()) {
            return Err(ManifestError::value(
                "input.mean",
                "mean and pad must be numbers",
            ));
        }
        let is_plain = self.mean == [0.0; 3] && self.std == [1.0; 3];
        if self.element == ElementType::U8 && !is_plain {
            return Err(ManifestError::value(
                "input.element",
                "bytes go in as they are; write mean = [0, 0, 0] and std = [1, 1, 1], or element = \"f32\"",
            ));
        }
        if !self.std.iter().all(|v| v.is_finite() && *v > 0.0) {
            return Err(ManifestError::value(
                "input.std",
                "it divides, so every value must be above 0",
            ));
        }
        Ok(())
    }
}

impl Thresholds {
    fn check(&self) -> Result<(), ManifestError> {
        if !(self.low > 0.0 && self.low <= self.high && self.high <= 1.0) {
            return Err(ManifestError::value(
                "thresholds",
                format!(
                    "0 < low ≤ high ≤ 1 must hold; low is {}, high is {}",
                    self.low, self.high
                ),
            ));
        }
        if !(self.nms > 0.0 && self.nms <= 1.0) {
            return Err(ManifestError::value(
                "thresholds.nms",
                format!("it is {}; it must be above 0 and at most 1", self.nms),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
