//! How the time of the detector and of the models besides was spent on a camera.

use std::collections::{BTreeMap, VecDeque};

use edge_cascade::Passed;
use edge_core::Refused;
use edge_scheduler::{Counters, Kind};
use protocol::EventTime;
use protocol::id::CascadeId;

/// Window of a rate of looks, seconds.
const WINDOW_S: f64 = 10.0;

/// How the detector's time was spent on a camera.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    /// Pictures that its gate judged, by what it said.
    pub(crate) verdicts: BTreeMap<&'static str, u64>,
    /// Whether it is awake: more than the heartbeat was asked for last.
    pub(crate) is_awake: bool,
    /// Pictures that the gate passed over.
    pub(crate) rested: u64,
    /// Pictures that nobody looked at, and into which those of the last look were followed.
    pub(crate) followed: u64,
    /// How long that took, also where nobody was found again, s.
    pub(crate) followed_s: f64,
    /// What became of its jobs.
    pub(crate) jobs: Counters,
    /// Inferences, and how long they took.
    pub(crate) inferences: u64,
    pub(crate) inference_s: f64,
}

/// Second looks that were not taken, and answers that counted for nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct SecondLookCounts {
    /// Why somebody was not looked at in a frame, by cascade.
    pub(crate) passed: BTreeMap<CascadeId, Passed>,
    /// Frames in which nobody was, because too many looks wait for answers.
    pub(crate) held_up: u64,
    /// What the scene refused.
    pub(crate) refused: Refused,
}

impl Looks {
    /// Pictures that were worth a look, and were overtaken by newer ones.
    pub(super) fn superseded(&self) -> u64 {
        let kinds = Kind::ALL.iter().filter(|kind| kind.is_whole());
        kinds.filter_map(|kind| self.jobs.dropped.get(kind)).sum()
    }
}

/// When frames were looked at, over the last ten seconds.
#[derive(Default)]
pub(super) struct LookRate(VecDeque<EventTime>);

impl LookRate {
    /// A look, now. Those of a clock that was set back since lie in the future and would
    /// never grow old.
    pub(super) fn note(&mut self, now: EventTime) {
        self.0.push_back(now);
        while self.0.front().is_some_and(|at| !is_recent(*at, now)) {
            self.0.pop_front();
        }
    }

    /// Looks per second at `now`, of a camera that began at `since`.
    pub(super) fn per_second(&self, now: EventTime, since: EventTime) -> f64 {
        let recent = self.0.iter().filter(|at| is_recent(**at, now)).count();
        let window = now.since(since).0.clamp(1.0, WINDOW_S);
        protocol::units::rounded(recent as f64 / window, 1)
    }
}

fn is_recent(at: EventTime, now: EventTime) -> bool {
    (0.0..=WINDOW_S).contains(&now.since(at).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_forgotten_also_when_the_clock_is_set_back() {
        let mut rate = LookRate::default();
        let second = |s: i64| EventTime::from_micros(s * 1_000_000);
        for s in 1000..1100 {
            rate.note(second(s));
        }
        assert_eq!(rate.0.len(), 11);
        assert_eq!(rate.per_second(second(1099), second(0)), 1.1);
        for s in 0..100 {
            rate.note(second(s));
            assert!(rate.0.len() <= 11);
        }
        assert_eq!(rate.per_second(second(99), second(0)), 1.1);
    }
}
