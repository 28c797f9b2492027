//! What nearly was an event: which predicate failed, and by how much.
//!
//! A rule decides by a list of predicates. The list that came nearest to an
//! event is kept for each rule and road user, and told when the road user is
//! gone and no event was made of it. It is for setting thresholds and for
//! answering "why did it say nothing?"; nobody is accused by it.

use std::collections::BTreeMap;

use protocol::event::{Actor, EventKind, FrameTime, Value};
use protocol::{EventTime, Predicate, RuleId, TrackId, ZoneId};
use serde::{Deserialize, Serialize};

/// More failing predicates than this is no near miss.
const MOST_FAILING: usize = 2;
/// Near misses kept at once; further ones are not.
const MOST_KEPT: usize = 4096;

/// Something that was nearly an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NearMiss {
    /// Which rule instance.
    pub rule: RuleId,
    /// What sort of event it would have been.
    pub kind: EventKind,
    /// The zone or line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneId>,
    /// Whose.
    pub subject: TrackId,
    /// When it would have begun.
    pub onset: EventTime,
    /// The frame at which it came nearest.
    pub nearest: FrameTime,
    /// Who.
    pub actors: Vec<Actor>,
    /// The names of the predicates that failed.
    pub failed: Vec<String>,
    /// Every predicate, those that held and those that did not.
    pub explanation: Vec<Predicate>,
}

impl NearMiss {
    /// How far from an event: failing predicates, then the worst relative shortfall.
    fn distance(&self) -> (usize, f64) {
        let shortfall = self
            .explanation
            .iter()
            .filter(|p| !p.holds)
            .map(shortfall)
            .fold(0.0, f64::max);
        (self.failed.len(), shortfall)
    }
}

/// By what part of its threshold a predicate failed; 1 where that has no meaning.
fn shortfall(predicate: &Predicate) -> f64 {
    match (predicate.margin, &predicate.threshold) {
        (Some(margin), Value::Number(threshold)) if *threshold != 0.0 => {
            (margin / threshold).abs().min(1.0)
        }
        _ => 1.0,
    }
}

/// The nearest miss of each rule and road user.
#[derive(Clone, Debug, Default)]
pub(crate) struct NearMisses {
    kept: BTreeMap<(usize, TrackId), NearMiss>,
}

impl NearMisses {
    /// Keeps a miss if it is nearer than the one that is kept.
    pub(crate) fn keep(&mut self, rule: usize, miss: NearMiss) {
        if miss.failed.is_empty() || miss.failed.len() > MOST_FAILING {
            return;
        }
        let key = (rule, miss.subject);
        let has_room = self.kept.len() < MOST_KEPT;
        match self.kept.get_mut(&key) {
            Some(kept) => {
                let ((new, by), (old, old_by)) = (miss.distance(), kept.distance());
                if new.cmp(&old).then(by.total_cmp(&old_by)).is_lt() {
                    *kept = miss;
                }
            }
            None if has_room => {
                self.kept.insert(key, miss);
            }
            None => {}
        }
    }

    /// It became an event after all.
    pub(crate) fn drop(&mut self, rule: usize, subject: TrackId) {
        self.kept.remove(&(rule, subject));
    }

    /// Takes what is kept of a road user that is gone.
    pub(crate) fn take(&mut self, subject: TrackId, rules: usize) -> Vec<NearMiss> {
        (0..rules)
            .filter_map(|rule| self.kept.remove(&(rule, subject)))
            .collect()
    }

    /// Takes what one rule kept of a subject.
    pub(crate) fn take_of(&mut self, rule: usize, subject: TrackId) -> Option<NearMiss> {
        self.kept.remove(&(rule, subject))
    }

    /// Takes everything.
    pub(crate) fn take_all(&mut self) -> Vec<NearMiss> {
        std::mem::take(&mut self.kept).into_values().collect()
    }
}
