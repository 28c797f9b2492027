//! The number plate of a road user, as an event states it.
//!
//! It is the vote of several looks at one vehicle. A character on which they do
//! not agree is `?`, and a plate with a `?` accuses nobody. What was corrected
//! is listed, so that a person can see what the recogniser had read.

use serde::{Deserialize, Serialize};

use crate::event::{FrameTime, Words};
use crate::geometry::NormBox;

/// What the looks at a vehicle's plate say together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberPlate {
    /// Without separators, as it is compared and stored: `29B112345`. `?` for a
    /// character that is not stated; empty when nothing was read.
    pub text: String,
    /// As it stands on the plate: `29-B1 123.45`.
    pub display: String,
    /// Whether every character is stated and together they are a plate.
    pub is_stated: bool,
    /// Whether this is the last word: the vehicle is gone, or the plate was
    /// waited for long enough.
    pub is_final: bool,
    /// Its characters, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub characters: Vec<PlateCharacter>,
    /// Looks that showed a plate of this length …
    pub looks: u64,
    /// … of so many looks for one.
    pub of: u64,
    /// Characters that are not what the recogniser read, each kind once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corrections: Vec<PlateCorrection>,
    /// Whether it may be what is left of a longer plate: count the characters.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub may_be_cut: bool,
    /// Why it is not stated; absent when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Words>,
    /// The look that showed it best: which frame, and where the plate was in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<PlateView>,
}

/// Where a plate is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateView {
    /// In which frame.
    pub at: FrameTime,
    /// Where in it.
    #[serde(rename = "box")]
    pub bounds: NormBox,
}

/// One character of a plate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateCharacter {
    /// What the looks agree on, or `?`.
    pub symbol: char,
    /// What most looks say, agreed on or not.
    pub leading: char,
    /// Mean confidence of the looks that read it, 0 to 1.
    pub confidence: f64,
    /// Its share of the votes, 0 to 1.
    pub share: f64,
    /// Looks that read it.
    pub looks: u64,
}

/// A character that was put in the place of what was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateCorrection {
    /// Where, from 0, in [`NumberPlate::text`].
    pub position: u64,
    /// What the recogniser read.
    pub read: char,
    /// What stands there instead.
    pub taken: char,
    /// Why: `confusable` (it looks like it), `runner_up` (the recogniser's
    /// second choice), `stroke` (a D for Đ).
    pub cause: String,
    /// In how many looks.
    pub looks: u64,
}

impl NumberPlate {
    /// The plate in normal form, if it may be stated.
    pub fn stated(&self) -> Option<&str> {
        self.is_stated.then_some(&*self.text)
    }
}
