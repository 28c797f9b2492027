//! How road users are followed, in a technician's words.
//!
//! Which score is to be believed is the detector's to say: the score of one is
//! not the score of another. So the thresholds come with the detections, and
//! what a technician writes here for one camera takes their place.

use crate::config::{Number, Section};

/// How road users are followed; `[tracker]` in a camera's table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrackerConfig {
    /// From this score on a detection is believed; `None`: from where the detector says.
    pub high_score: Option<f64>,
    /// Below this score a detection is not looked at.
    pub low_score: f64,
    /// From this score on a detection may start a track, never below
    /// `high_score`; `None`: from where the detector says.
    pub birth_score: Option<f64>,
    /// How many frames must show a road user before rules see it; one fewer, but
    /// two at least, where they show it clearly. Those into which it was followed
    /// count, and the detector looked at two of them at least.
    pub confirm_hits: u32,
    /// How long a road user that was moving is kept unseen, s.
    pub keep_lost_s: f64,
    /// How long one that stood still is kept unseen, s of watched time.
    pub keep_parked_s: f64,
}

impl Default for TrackerConfig {
    fn default() -> Self {
        Self {
            high_score: None,
            low_score: 0.1,
            birth_score: None,
            confirm_hits: 3,
            keep_lost_s: 2.0,
            keep_parked_s: 300.0,
        }
    }
}

/// The thresholds for the detections of one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scores {
    /// From here on a detection is believed.
    pub(super) high: f64,
    /// From here on, at least `high`, it may start a track.
    pub(super) birth: f64,
}

impl TrackerConfig {
    /// The thresholds for a detector whose word is believed from `believed_from` on.
    pub(super) fn scores(&self, believed_from: f64) -> Scores {
        let birth = self.birth_score.unwrap_or(believed_from);
        // What may start a track is believed all the more.
        let high = self.high_score.unwrap_or(believed_from.min(birth));
        Scores {
            high,
            birth: birth.max(high),
        }
    }

    /// Reads `[tracker]`.
    pub(crate) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let score = |default| Number {
            unit: "",
            default,
            min: 0.0,
            max: 1.0,
        };
        let seconds = |default| Number {
            unit: "s",
            default,
            min: 0.0,
            max: 3600.0,
        };
        let mut threshold = |key| {
            let (is_there, faults) = (section.has(key), section.fault_count());
            let value = section.number(key, score(1.0));
            // A wrong number is complained of once, and compared with nothing.
            (is_there && section.fault_count() == faults).then_some(value)
        };
        let high_score = threshold("high_score");
        let birth_score = threshold("birth_score");
        let (least, key) = match (high_score, birth_score) {
            (Some(high), _) => (high, "high_score"),
            (None, Some(birth)) => (birth, "birth_score"),
            (None, None) => (1.0, ""),
        };
        let low_score = section.number("low_score", score(default.low_score.min(least)));
        if low_score > least {
            section.fault(
                "low_score",
                format!("is above {key} ({least}); write a smaller number"),
            );
        }
        if let (Some(high), Some(birth)) = (high_score, birth_score)
            && birth < high
        {
            section.fault(
                "birth_score",
                format!("is below high_score ({high}); write a greater number"),
            );
        }
        let hits = section.number(
            "confirm_hits",
            Number {
                unit: "frames",
                default: f64::from(default.confirm_hits),
                min: 1.0,
                max: 100.0,
            },
        );
        if hits.fract() != 0.0 {
            section.fault("confirm_hits", "must be a whole number of frames");
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 1 to 100
        let confirm_hits = hits as u32;
        Self {
            high_score,
            low_score,
            birth_score,
            confirm_hits,
            keep_lost_s: section.number("keep_lost_s", seconds(default.keep_lost_s)),
            keep_parked_s: section.number("keep_parked_s", seconds(default.keep_parked_s)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detector_says_what_is_believed_unless_the_technician_does() {
        let scores = |high_score, birth_score, believed_from| {
            let config = TrackerConfig {
                high_score,
                birth_score,
                ..TrackerConfig::default()
            };
            let Scores { high, birth } = config.scores(believed_from);
            (high, birth)
        };
        for (high, birth, believed_from, expected) in [
            (None, None, 0.3, (0.3, 0.3)),
            (None, None, 0.45, (0.45, 0.45)),
            (Some(0.6), None, 0.3, (0.6, 0.6)),
            // Believing more does not mean beginning with more.
            (Some(0.2), None, 0.3, (0.2, 0.3)),
            (None, Some(0.5), 0.3, (0.3, 0.5)),
            (None, Some(0.2), 0.3, (0.2, 0.2)),
            (Some(0.4), Some(0.7), 0.3, (0.4, 0.7)),
        ] {
            assert_eq!(
                scores(high, birth, believed_from),
                expected,
                "{high:?} {birth:?} {believed_from}"
            );
        }
    }

    #[test]
    fn thresholds_that_contradict_each_other_are_refused_and_wrong_ones_only_once() {
        for (written, expected) in [
            ("high_score = 0.05", vec![]),
            ("birth_score = 0.2", vec![]),
            (
                "high_score = 0.5\nbirth_score = 0.4",
                vec!["tracker.birth_score: is below high_score (0.5); write a greater number"],
            ),
            (
                "birth_score = 0.2\nlow_score = 0.3",
                vec!["tracker.low_score: is above birth_score (0.2); write a smaller number"],
            ),
            (
                "high_score = 2\nbirth_score = 0.4",
                vec!["tracker.high_score: is 2; write a number from 0 to 1"],
            ),
        ] {
            let table = format!("[tracker]\n{written}").parse().unwrap();
            let (_, faults) = crate::config::SceneConfig::from_table(&table);
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            assert_eq!(told, expected, "{written}");
        }
    }
}
