//! What a rule found, with its proof in numbers.
//!
//! An event is self-contained: it carries its title, severity, facts and
//! explanation in words and numbers, so the centre shows an event of a kind it
//! has never heard of as well as any other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::detections::ObjectClass;
use crate::evidence::Digest;
use crate::geometry::{NormBox, Point};
use crate::id::{BoxId, CameraId, EventId, ModelId, RuleId, SiteId, TrackId, ZoneId};
use crate::plate::NumberPlate;
use crate::time::{EventTime, TimeQuality};

/// What sort of happening, in the field's words: `red_light`, `wrong_way` …
/// Open on purpose; see DOMAIN terms in ARCHITECTURE.md § Glossary.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKind(pub String);

impl core::fmt::Display for EventKind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where in its life an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It has begun (or begun and ended at once).
    Start,
    /// It goes on; numbers changed.
    Update,
    /// It is over.
    End,
}

/// How much it matters that somebody looks soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For statistics.
    Info,
    /// Look when there is time.
    Minor,
    /// Look soon.
    Major,
    /// Somebody may be hurt.
    Critical,
}

/// Words for people, Vietnamese first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

impl Words {
    /// The same thing said twice.
    pub fn new(vi: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            vi: vi.into(),
            en: en.into(),
        }
    }
}

/// A value in an explanation or among the facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A truth.
    Flag(bool),
    /// A number; its unit stands beside it or in its key (`speed_kmh`).
    Number(f64),
    /// A word.
    Text(String),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Number(crate::units::rounded(value, 3))
    }
}
impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

/// How a value was held against its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// value ≥ threshold
    #[serde(rename = ">=")]
    AtLeast,
    /// value > threshold
    #[serde(rename = ">")]
    MoreThan,
    /// value ≤ threshold
    #[serde(rename = "<=")]
    AtMost,
    /// value < threshold
    #[serde(rename = "<")]
    LessThan,
    /// value = threshold
    #[serde(rename = "=")]
    Is,
}

/// One thing that had to be true, and the number that made it so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicate {
    /// Stable word: `dwell`, `signal_at_crossing` …
    pub name: String,
    /// The same for people.
    pub label: Words,
    /// What was measured.
    pub value: Value,
    /// How it was compared.
    pub comparison: Comparison,
    /// With what.
    pub threshold: Value,
    /// value − threshold, signed so that positive is on the side of the event; absent for words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// Symbol of the unit of value, threshold and margin; empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Whether it held. In an event all do; in a near miss one does not.
    pub holds: bool,
    /// The first frame that the value speaks of, and its time.
    pub first: FrameTime,
    /// The last frame that the value speaks of, and its time.
    pub last: FrameTime,
}

/// A frame by number and capture time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FrameTime {
    /// As in [`crate::Detections::frame`].
    pub frame: u64,
    /// When it was taken.
    pub time: EventTime,
}

/// A road user of an event, as it was at the frame of [`Event::decided`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    /// Which track.
    pub track: TrackId,
    /// What it is, by vote over the track's life.
    pub class: ObjectClass,
    /// Mean confidence of the detections that voted so.
    pub score: f64,
    /// Where it was.
    #[serde(rename = "box")]
    pub bounds: NormBox,
    /// Its ground contact points before that, oldest first, for drawing; at most 64.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<Point>,
    /// Its number plate, where plates are read: what was read, or why nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plate: Option<NumberPlate>,
}

/// A look that speaks for what an event says, of those that voted: which picture shows
/// it, and where. From it the crop is cut that goes into the case.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The frame that was looked at.
    pub at: FrameTime,
    /// What was seen.
    pub class: ObjectClass,
    /// How sure the model was, 0 to 1.
    pub score: f64,
    /// The part of the picture to show: of a second look what the model was shown,
    /// otherwise what is around [`bounds`](Self::bounds).
    pub part: NormBox,
    /// Where it was seen, in fractions of the whole picture. A classifier does not say:
    /// its word is about all of `part`.
    #[serde(rename = "box", default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<NormBox>,
    /// Whether another model than the detector saw it; which: [`Provenance::second`].
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub is_second: bool,
    /// Where not the frame itself was looked at but the main stream's picture of that
    /// moment: when that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main: Option<EventTime>,
}

impl Look {
    /// When the picture was taken that was looked at.
    pub fn taken(&self) -> EventTime {
        self.main.unwrap_or(self.at.time)
    }
}

/// Most looks that an event names.
pub const MOST_LOOKS: usize = 3;

/// Where a camera stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// As people call it.
    pub name: String,
    /// WGS 84 latitude, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// WGS 84 longitude, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
}

/// By what the event was made: enough to make it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of the agent.
    #[serde(default)]
    pub agent: String,
    /// SHA-256 of the scene's configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Digest>,
    /// SHA-256 of the calibration, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Digest>,
    /// The detector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelId>,
    /// SHA-256 of the detector's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_digest: Option<Digest>,
    /// The other models whose looks counted for it, in order, each once: at plates,
    /// heads, drivers, fire. Without them the event would not be, or say less.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub second: Vec<SecondModel>,
}

/// A model that takes second looks, as exactly as a detector is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecondModel {
    /// Which.
    pub model: ModelId,
    /// Which version of it; none for a file without versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// SHA-256 of its file.
    pub model_digest: Digest,
    /// SHA-256 of its manifest's text: its thresholds and classes decide as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_digest: Option<Digest>,
}

impl Provenance {
    /// Adds models whose second looks counted.
    pub fn add_second<'m>(&mut self, models: impl IntoIterator<Item = &'m SecondModel>) {
        for model in models {
            if let Err(place) = self.second.binary_search(model) {
                self.second.insert(place, model.clone());
            }
        }
    }
}

/// Something that happened in front of a camera.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Which happening; the same in every revision, resend and replay.
    pub id: EventId,
    /// 1 for the first publication, one more for each update.
    pub revision: u32,
    /// Where in its life.
    pub phase: Phase,
    /// What sort.
    pub kind: EventKind,
    /// Which rule instance says so.
    pub rule: RuleId,
    /// Installation.
    pub site: SiteId,
    /// Box.
    #[serde(rename = "box")]
    pub box_id: BoxId,
    /// Camera.
    pub camera: CameraId,
    /// Where the camera stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Whether the camera is a simulation and nobody must act on this.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub simulated: bool,
    /// How much it matters.
    pub severity: Severity,
    /// What happened, in words.
    pub title: Words,
    /// When it began (for a dwell: when the dwell began).
    pub onset: EventTime,
    /// The frame at which the last predicate became true; stills are of this frame.
    pub decided: FrameTime,
    /// When it was over, in the revision that ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<EventTime>,
    /// Which clock these times came from.
    pub time_quality: TimeQuality,
    /// The zone or line concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneId>,
    /// Who did it.
    #[serde(default)]
    pub actors: Vec<Actor>,
    /// Numbers for people and statistics; units are in the keys (`dwell_s`).
    #[serde(default)]
    pub facts: BTreeMap<String, Value>,
    /// Everything that had to be true.
    pub explanation: Vec<Predicate>,
    /// Where it is a vote over looks: those for it that show it best, oldest first, at
    /// most [`MOST_LOOKS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Look>,
    /// By what it was made.
    #[serde(default)]
    pub provenance: Provenance,
}
