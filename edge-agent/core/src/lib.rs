//! The brain of the roadside box: tracking, calibration, observations, rules.
//!
//! Pure and sans-IO: [`Scene::handle`] takes an [`Input`] and appends
//! [`Output`]s; no clock, no random number, no file, no thread. The same inputs
//! give byte-identical events on any machine, for ever. It refuses to guess:
//! what nobody watched is no dwell, what no lamp said is no red light, what has
//! no calibration has no metres.
//!
//! Reading order: [`input`], [`second_look`] and [`scene`] → [`config`] → [`tracker`] →
//! [`calibration`], [`marks`] and [`observation`] → [`signals`], [`crossing`], [`queue`]
//! and [`speed`] → [`rules`] → [`coverage`] and [`near_miss`]; [`state`] is for restarts
//! and cuts of a recording.

pub mod input;
pub mod scene;
pub mod second_look;
pub mod state;

pub mod config;

pub mod geometry;

pub mod tracker;

pub mod calibration;
pub mod marks;
pub mod observation;
mod plate_board;
pub mod stance;

pub mod crossing;
pub mod health;
pub mod queue;
pub mod schedule;
pub mod signals;

pub mod speed;

pub mod rules;

pub mod coverage;
pub mod near_miss;

pub use calibration::Calibration;
pub use config::{
    Fault, Lamp, LampColour, LampLayout, Line, MqttSignal, RuleConfig, SceneConfig, SignalGroup,
    SignalUse, StaleAfter, StopLine, Zone,
};
pub use coverage::{CoverageHour, Unwatched};
pub use health::{Condition, Health};
pub use input::{
    EvidenceRequest, Gap, GapReason, Input, Output, SpeedMeasured, Unanswered, Unseen,
};
pub use near_miss::NearMiss;
pub use rules::{RuleEntry, catalogue as rule_catalogue};
pub use scene::{Attention, Identity, Refused, Scene, TrackView};
pub use second_look::{CascadeUse, Found, SecondLook};
pub use state::SceneState;
pub use tracker::TrackerConfig;
