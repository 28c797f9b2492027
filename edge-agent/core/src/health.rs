//! What a camera's picture is good for.
//!
//! A camera that was turned still has a good frame rate, and every zone drawn
//! on its picture is wrong. So the shell, which has the pixels, says what
//! condition the picture is in, and a scene that is told that it is not *well*
//! suspends every rule that judges by places: no dwell, no crossing, no speed.
//! It goes on tracking, so that parked cars keep their names.

use protocol::EventTime;
use serde::{Deserialize, Serialize};

/// In what condition a picture is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Good for everything.
    #[default]
    Well,
    /// Something covers most of it.
    Blocked,
    /// Not sharp: dirt, rain on the glass, focus.
    Defocused,
    /// The camera looks elsewhere than when its zones were drawn.
    Moved,
    /// The same picture again and again.
    Frozen,
    /// Too dark to see anything.
    Dark,
    /// There is no picture.
    Lost,
    /// Pictures come, but so many are damaged that the stream is blamed.
    Corrupt,
    /// A word that this version does not know: not well.
    #[serde(other)]
    Unknown,
}

impl Condition {
    /// The word in messages, coverage and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Blocked => "blocked",
            Self::Defocused => "defocused",
            Self::Moved => "moved",
            Self::Frozen => "frozen",
            Self::Dark => "dark",
            Self::Lost => "lost",
            Self::Corrupt => "corrupt",
            Self::Unknown => "unknown",
        }
    }

    /// Whether places in the picture mean what they meant when zones were drawn.
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Well)
    }
}

/// A picture's condition from an instant on, until something else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// When this was found out.
    pub time: EventTime,
    /// Since when it has been so; not after `time`.
    pub since: EventTime,
    /// What.
    pub condition: Condition,
    /// The measured value that decided it, where there is one: sharpness,
    /// entropy, shift in picture heights, mean luma …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What `value` was held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
}
