//! What a traffic light shows.

use serde::{Deserialize, Serialize};

use crate::id::SignalGroupId;
use crate::time::EventTime;

/// The state of one signal group.
///
/// An arrow is a group of its own, so `Green` of the group `north-right` means
/// its green arrow, protected or permissive alike. All-red is no state of a
/// group but of a junction: every group is `Red`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words are their own meaning
pub enum SignalState {
    Red,
    RedAmber,
    Amber,
    Green,
    /// Stop, then go when the way is clear; at a level crossing: do not go. No red phase.
    FlashingRed,
    FlashingAmber,
    /// No lamp lit.
    Dark,
    /// Not readable, contradictory or stale: nobody is accused on it.
    #[serde(other)]
    Unknown,
}

impl SignalState {
    /// The word as written in messages and on events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::RedAmber => "red_amber",
            Self::Amber => "amber",
            Self::Green => "green",
            Self::FlashingRed => "flashing_red",
            Self::FlashingAmber => "flashing_amber",
            Self::Dark => "dark",
            Self::Unknown => "unknown",
        }
    }

    /// Every state, for tables and tests.
    pub const ALL: [Self; 8] = [
        Self::Red,
        Self::RedAmber,
        Self::Amber,
        Self::Green,
        Self::FlashingRed,
        Self::FlashingAmber,
        Self::Dark,
        Self::Unknown,
    ];
}

/// Where a reading came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignalSource {
    /// Colour and position of the lamps in the picture.
    Lamp,
    /// A controller's message.
    Mqtt,
    /// A recording or a simulation.
    Recording,
}

impl SignalSource {
    /// The word as written in messages and on events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lamp => "lamp",
            Self::Mqtt => "mqtt",
            Self::Recording => "recording",
        }
    }
}

/// One look at one signal group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalReading {
    /// Which lamps.
    pub group: SignalGroupId,
    /// What they showed.
    pub state: SignalState,
    /// When they showed it.
    pub time: EventTime,
    /// 0 to 1; 1 for a controller's own word.
    pub confidence: f64,
    /// Who says so.
    pub source: SignalSource,
}
