//! What a traffic light shows.

use serde::{Deserialize, Serialize};

use crate::id::SignalGroupId;
use crate::time::EventTime;

/// The state of one signal group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // the words are their own meaning
pub enum SignalState {
    Red,
    RedAmber,
    Amber,
    Green,
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
            Self::FlashingAmber => "flashing_amber",
            Self::Dark => "dark",
            Self::Unknown => "unknown",
        }
    }
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
