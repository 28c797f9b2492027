//! What a scene carries over a cut of its recording, and over a restart of the program.
//!
//! A recording is cut into segments, each of which can be replayed alone. A
//! segment therefore begins with a *new* scene, live as in the replay, and this
//! is what the new one takes over from the old one: clocks, accounts, what the
//! signals showed, and who is parked. Not who moves, and not what rules remember:
//! so a cut loses nothing only where nobody is, see [`crate::Scene::is_quiescent`].
//!
//! A restart of the program is a longer cut: the parked keep their names, all
//! else begins anew, see [`SceneState::across_restart`].

use std::collections::BTreeSet;

use protocol::event::FrameTime;
use protocol::{EventTime, ObjectClass, TimeQuality};
use serde::{Deserialize, Serialize};

use crate::coverage::{Account, Unwatched};
use crate::health::Health;
use crate::signals::BoardState;
use crate::tracker::TrackerState;

/// What a scene knows besides road users and what rules remember of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SceneState {
    pub(crate) clock: Option<EventTime>,
    pub(crate) frame: Option<FrameTime>,
    pub(crate) aspect: f64,
    pub(crate) time_quality: TimeQuality,
    pub(crate) watched_us: i64,
    pub(crate) unwatched_us: i64,
    pub(crate) taken_back: Option<EventTime>,
    #[serde(default)]
    pub(crate) health: Health,
    #[serde(default)]
    pub(crate) shifts: Vec<Shift>,
    #[serde(default)]
    pub(crate) account: Account,
    #[serde(default)]
    pub(crate) signals: BoardState,
    /// When queues were last looked at, watched time, s.
    #[serde(default)]
    pub(crate) queues_looked: Option<f64>,
    /// The tracker's first and highest rank, so that no id is ever given twice.
    #[serde(default)]
    pub(crate) ranks: (u16, u16),
    /// Which classes the detector has given, where nobody knows what it can give.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) given: BTreeSet<ObjectClass>,
    /// Who is parked.
    #[serde(default)]
    pub(crate) tracker: TrackerState,
}

impl SceneState {
    /// What is still true after a restart of the program: who was parked where,
    /// and which names have been given. Clocks, signals and accounts are not.
    #[must_use]
    pub fn across_restart(self) -> Self {
        Self {
            clock: None,
            frame: None,
            aspect: self.aspect,
            time_quality: TimeQuality::Unknown,
            watched_us: 0,
            unwatched_us: 0,
            taken_back: None,
            health: Health::default(),
            shifts: Vec::new(),
            account: Account::default(),
            signals: BoardState::default(),
            queues_looked: None,
            ranks: self.ranks,
            given: BTreeSet::new(),
            tracker: self.tracker,
        }
    }

    /// Whether anybody is parked.
    pub fn has_parked(&self) -> bool {
        !self.tracker.parked.is_empty()
    }

    /// This state with those who were parked before a restart.
    #[must_use]
    pub fn with_parked(mut self, before: Self) -> Self {
        self.ranks = (
            self.ranks.0.max(before.ranks.0),
            self.ranks.1.max(before.ranks.1),
        );
        self.tracker = before.tracker;
        self
    }

    /// The state to go on with after an `End` that was given only for the sake
    /// of a cut: the clocks and signals of before it, but what the `End` has
    /// settled is not told again. `after` is the state behind the `End`.
    #[must_use]
    pub fn beyond_end(mut self, after: &Self) -> Self {
        self.account.clear();
        self.ranks = after.ranks;
        // Who goes on standing is a new road user, as after any `End`: its
        // former name has had its event.
        self.tracker = after.tracker.clone();
        // What is wrong with the picture is a new event from here on.
        // It may have been told ahead of the clock, before the first frame of its time.
        if !self.health.condition.is_well() {
            let since = self.health.since;
            let told = self.clock.map_or(since, |clock| clock.max(since));
            self.health.since = EventTime::from_micros(told.as_micros().saturating_add(1));
        }
        self
    }
}

/// Whether a rule is at work, and its own count of watched time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shift {
    /// Watched time of the scene in which the rule was not at work, µs.
    pub(crate) off_us: i64,
    /// Since when it is not at work, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) off: Option<(EventTime, Unwatched)>,
    /// Why it could not have found anything at the last frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) blind: Option<Unwatched>,
}

impl Shift {
    pub(crate) fn verdict(&self) -> Option<Unwatched> {
        self.off.map(|(_, why)| why).or(self.blind)
    }
}
