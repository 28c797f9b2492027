//! Stretches in which the detector failed on a camera's pictures.
//!
//! They are told while they last, and not only when they are over: a model that never
//! comes back is to be in the coverage, too.

use edge_core::{Gap, GapReason};
use protocol::EventTime;

/// Longer than this without a look is a loss to rules, as under overload. s.
const LOSS_S: f64 = 1.0;

/// Since when nothing is seen of a camera's pictures.
#[derive(Clone, Debug, Default)]
pub struct Blindness {
    /// The last picture that was seen.
    seen: Option<EventTime>,
    /// Since when nothing was, as far as it is not told yet.
    untold: Option<EventTime>,
    /// Whether a part of this stretch is told: then the rest is, however short.
    is_told: bool,
}

impl Blindness {
    /// The detector failed on a picture of this time; what was not seen until now,
    /// where that is too long to judge by.
    pub fn failed(&mut self, time: EventTime) -> Option<Gap> {
        let from = *self.untold.get_or_insert(self.seen.unwrap_or(time));
        let gap = (time.since(from).0 > LOSS_S).then(|| gap(from, time))?;
        self.untold = Some(time);
        self.is_told = true;
        Some(gap)
    }

    /// A picture was seen; what was not, before it.
    pub fn seen(&mut self, time: EventTime) -> Option<Gap> {
        self.seen = Some(time);
        let is_told = std::mem::take(&mut self.is_told);
        let from = self.untold.take()?;
        let least = if is_told { 0.0 } else { LOSS_S };
        (time.since(from).0 > least).then(|| gap(from, time))
    }

    /// The last picture that was seen, while others are not.
    pub fn last_seen(&self) -> Option<EventTime> {
        self.untold.and(self.seen)
    }
}

fn gap(from: EventTime, to: EventTime) -> Gap {
    let reason = GapReason::DetectorFailed;
    Gap { from, to, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tenth: i64) -> EventTime {
        EventTime::from_micros(tenth * 100_000)
    }

    /// What is told of pictures each tenth of a second; those in `failed` are not seen.
    fn told(
        blindness: &mut Blindness,
        tenths: std::ops::Range<i64>,
        failed: &[i64],
    ) -> Vec<(i64, i64)> {
        let gaps = tenths.filter_map(|tenth| {
            if failed.contains(&tenth) {
                blindness.failed(at(tenth))
            } else {
                blindness.seen(at(tenth))
            }
        });
        gaps.map(|gap| {
            assert_eq!(gap.reason, GapReason::DetectorFailed);
            let tenth = |time: EventTime| time.as_micros() / 100_000;
            (tenth(gap.from), tenth(gap.to))
        })
        .collect()
    }

    #[test]
    fn a_failure_is_a_gap_from_the_last_picture_that_was_seen_when_it_is_long() {
        // One picture that fails is one that was not looked at; ten are a second.
        for (failed, gaps) in [
            (vec![3], vec![]),
            ((3..12).collect(), vec![]),
            ((3..13).collect(), vec![(2, 13)]),
            ((3..14).collect(), vec![(2, 13), (13, 14)]),
            ((3..30).collect(), vec![(2, 13), (13, 24), (24, 30)]),
            // Nothing was seen before: it begins with the first failure.
            ((0..20).collect(), vec![(0, 11), (11, 20)]),
            // It never comes back.
            ((3..40).collect(), vec![(2, 13), (13, 24), (24, 35)]),
        ] {
            let mut blindness = Blindness::default();
            assert_eq!(told(&mut blindness, 0..40, &failed), gaps, "{failed:?}");
            let is_blind = failed.contains(&39);
            assert_eq!(blindness.last_seen(), is_blind.then(|| at(2)), "{failed:?}");
        }
    }
}
