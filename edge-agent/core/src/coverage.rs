//! When was a rule really watching, and why not?
//!
//! A silent camera looks like a quiet road. So every rule's time is accounted
//! for, hour by hour: seconds in which it could have found something, and the
//! others by reason. What nobody watched is never counted as watched.

use std::collections::BTreeMap;

use protocol::event::EventKind;
use protocol::{EventTime, RuleId};
use serde::{Deserialize, Serialize};

use crate::config::RuleConfig;

/// Why a rule was not watching.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unwatched {
    /// The stream was lost.
    StreamLost,
    /// Pictures came, but damaged: the line, or the camera's encoder.
    Corrupt,
    /// The picture stood still.
    Frozen,
    /// The source's clock jumped.
    ClockStep,
    /// Pictures came faster than they could be looked at.
    Overload,
    /// The picture changed its shape.
    PictureChanged,
    /// No picture came, and nobody said why.
    NoPicture,
    /// Something covers the camera.
    Blocked,
    /// The picture is not sharp.
    Defocused,
    /// The camera was turned.
    Moved,
    /// The picture is too dark.
    Dark,
    /// Outside the hours of the rule.
    OffSchedule,
    /// Nobody could say what the signal shows.
    SignalUnknown,
    /// The rule needs metres, and the camera is not calibrated, or too badly.
    NotCalibrated,
    /// No model gives the classes that the rule needs.
    NoModel,
    /// Nobody knows which classes the detector of a recording could give, and
    /// nothing of the class that the rule needs was seen yet.
    ModelUnknown,
    /// The queue state is on, and a queue stands without offence.
    Queue,
    /// The detector failed on every picture.
    DetectorFailed,
    /// Another reason.
    #[serde(other)]
    Other,
}

impl Unwatched {
    /// The word in reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StreamLost => "stream_lost",
            Self::Corrupt => "corrupt",
            Self::Frozen => "frozen",
            Self::ClockStep => "clock_step",
            Self::Overload => "overload",
            Self::PictureChanged => "picture_changed",
            Self::NoPicture => "no_picture",
            Self::Blocked => "blocked",
            Self::Defocused => "defocused",
            Self::Moved => "moved",
            Self::Dark => "dark",
            Self::OffSchedule => "off_schedule",
            Self::SignalUnknown => "signal_unknown",
            Self::NotCalibrated => "not_calibrated",
            Self::NoModel => "no_model",
            Self::ModelUnknown => "model_unknown",
            Self::Queue => "queue",
            Self::DetectorFailed => "detector_failed",
            Self::Other => "other",
        }
    }
}

impl From<crate::input::GapReason> for Unwatched {
    fn from(reason: crate::input::GapReason) -> Self {
        use crate::input::GapReason;
        match reason {
            GapReason::StreamLost => Self::StreamLost,
            GapReason::Corrupt => Self::Corrupt,
            GapReason::NoPicture => Self::NoPicture,
            GapReason::Frozen => Self::Frozen,
            GapReason::ClockStep => Self::ClockStep,
            GapReason::Overload => Self::Overload,
            GapReason::PictureChanged => Self::PictureChanged,
            GapReason::OffSchedule => Self::OffSchedule,
            GapReason::DetectorFailed => Self::DetectorFailed,
            GapReason::Unfit | GapReason::Unknown => Self::Other,
        }
    }
}

impl From<crate::health::Condition> for Unwatched {
    fn from(condition: crate::health::Condition) -> Self {
        use crate::health::Condition;
        match condition {
            Condition::Blocked => Self::Blocked,
            Condition::Defocused => Self::Defocused,
            Condition::Moved => Self::Moved,
            Condition::Frozen => Self::Frozen,
            Condition::Dark => Self::Dark,
            Condition::Lost => Self::StreamLost,
            Condition::Corrupt => Self::Corrupt,
            Condition::Well | Condition::Unknown => Self::Other,
        }
    }
}

/// One rule's hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CoverageHour {
    /// Which rule instance.
    pub rule: RuleId,
    /// Its kind.
    pub kind: EventKind,
    /// When the hour began: a whole hour of UTC.
    pub hour: EventTime,
    /// Seconds in which the rule was watching.
    pub watched_s: f64,
    /// Seconds in which it was not, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unwatched_s: BTreeMap<Unwatched, f64>,
}

const HOUR_US: i64 = 3_600_000_000;
/// A stretch longer than this that nobody announced is a clock that was wrong, not a
/// day that nobody watched, µs.
const LONGEST_STRETCH_US: i64 = 24 * HOUR_US;
/// The same of a gap that was announced with its reason: a camera may be dead for weeks.
const LONGEST_GAP_US: i64 = 31 * 24 * HOUR_US;

/// What a stretch of time was for a rule.
pub(crate) type Verdict = Option<Unwatched>;

/// The account of every rule for the hour that runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    hour: Option<i64>,
    rules: Vec<Tally>,
    /// The newest instant that is accounted for.
    until: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Tally {
    watched_us: i64,
    unwatched_us: BTreeMap<Unwatched, i64>,
    /// Up to when parts of the picture were told as unseen: they overlap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unseen_until: Option<i64>,
}

impl Tally {
    fn take_back(&mut self, us: i64, reason: Unwatched) {
        let moved = us.clamp(0, self.watched_us.max(0));
        self.watched_us -= moved;
        if moved > 0 {
            *self.unwatched_us.entry(reason).or_default() += moved;
        }
    }
}

impl Account {
    pub(crate) fn new(rules: usize) -> Self {
        Self {
            rules: vec![Tally::default(); rules],
            ..Self::default()
        }
    }

    /// Accounts for the time up to `to`: `verdict` says for each rule what it
    /// was. Calls `closed` with every rule's account of each hour that ends.
    pub(crate) fn pass(
        &mut self,
        to: EventTime,
        verdict: impl Fn(usize) -> Verdict,
        closed: impl FnMut(usize, CoverageTally),
    ) {
        self.pass_up_to(LONGEST_STRETCH_US, to, verdict, closed);
    }

    /// The same of a gap in which nobody watched, and it was said why.
    pub(crate) fn pass_gap(
        &mut self,
        to: EventTime,
        why: Unwatched,
        closed: impl FnMut(usize, CoverageTally),
    ) {
        let longest_us = if why == Unwatched::ClockStep {
            LONGEST_STRETCH_US
        } else {
            LONGEST_GAP_US
        };
        self.pass_up_to(longest_us, to, |_| Some(why), closed);
    }

    fn pass_up_to(
        &mut self,
        longest_us: i64,
        to: EventTime,
        verdict: impl Fn(usize) -> Verdict,
        mut closed: impl FnMut(usize, CoverageTally),
    ) {
        let to = to.as_micros();
        let Some(mut from) = self.until else {
            self.until = Some(to);
            self.hour = Some(to.div_euclid(HOUR_US));
            return;
        };
        if to <= from {
            return;
        }
        self.until = Some(to);
        if to.saturating_sub(from) > longest_us {
            self.close(&mut closed);
            self.hour = Some(to.div_euclid(HOUR_US));
            return;
        }
        while from < to {
            let hour = from.div_euclid(HOUR_US);
            if self.hour != Some(hour) {
                self.close(&mut closed);
                self.hour = Some(hour);
            }
            let end = to.min((hour + 1) * HOUR_US);
            for (index, tally) in self.rules.iter_mut().enumerate() {
                match verdict(index) {
                    None => tally.watched_us += end - from,
                    Some(reason) => *tally.unwatched_us.entry(reason).or_default() += end - from,
                }
            }
            from = end;
        }
    }

    /// Moves up to `us` of watched time of this hour to a reason: the picture had been frozen.
    pub(crate) fn take_back(&mut self, us: i64, reason: Unwatched) {
        for tally in &mut self.rules {
            tally.take_back(us, reason);
        }
    }

    /// The same of one rule.
    pub(crate) fn take_back_of(&mut self, rule: usize, us: i64, reason: Unwatched) {
        if let Some(tally) = self.rules.get_mut(rule) {
            tally.take_back(us, reason);
        }
    }

    /// The same of a stretch, of which each part counts once, however many stretches it is in.
    pub(crate) fn take_back_stretch(
        &mut self,
        rule: usize,
        (from, to): (EventTime, EventTime),
        reason: Unwatched,
    ) {
        let (from, to) = (from.as_micros(), to.as_micros());
        let Some(tally) = self.rules.get_mut(rule) else {
            return;
        };
        // Later than this one: the clock was set back since.
        let told = tally.unseen_until.filter(|until| *until <= to);
        tally.unseen_until = Some(to);
        let from = told.map_or(from, |told| told.max(from));
        tally.take_back(to.saturating_sub(from), reason);
    }

    /// Every rule's account of the hour that runs, in their order; empty before the first frame.
    pub(crate) fn running(&self) -> impl Iterator<Item = CoverageTally> + '_ {
        self.hour.into_iter().flat_map(|hour| {
            self.rules.iter().map(move |tally| CoverageTally {
                hour,
                watched_us: tally.watched_us,
                unwatched_us: tally.unwatched_us.clone(),
            })
        })
    }

    /// Goes on with an account that was saved, if it is of as many rules.
    pub(crate) fn resume(&mut self, saved: Self) {
        if saved.rules.len() == self.rules.len() {
            *self = saved;
        }
    }

    /// Forgets what was told meanwhile; the time goes on from where it was.
    pub(crate) fn clear(&mut self) {
        self.rules.fill_with(Tally::default);
    }

    /// Ends the hour that runs.
    pub(crate) fn finish(&mut self, mut closed: impl FnMut(usize, CoverageTally)) {
        self.close(&mut closed);
        self.until = None;
        self.hour = None;
    }

    fn close(&mut self, closed: &mut impl FnMut(usize, CoverageTally)) {
        let Some(hour) = self.hour.take() else {
            return;
        };
        for (index, tally) in self.rules.iter_mut().enumerate() {
            let Tally {
                watched_us,
                unwatched_us,
                unseen_until,
            } = std::mem::take(tally);
            tally.unseen_until = unseen_until;
            if watched_us == 0 && unwatched_us.is_empty() {
                continue;
            }
            closed(
                index,
                CoverageTally {
                    hour,
                    watched_us,
                    unwatched_us,
                },
            );
        }
    }
}

/// A rule's hour in microseconds.
#[derive(Debug)]
pub(crate) struct CoverageTally {
    hour: i64,
    watched_us: i64,
    unwatched_us: BTreeMap<Unwatched, i64>,
}

impl CoverageTally {
    pub(crate) fn of(self, rule: &RuleConfig) -> CoverageHour {
        let seconds = |us: i64| protocol::units::rounded(us as f64 / 1e6, 3);
        CoverageHour {
            rule: rule.id.clone(),
            kind: EventKind(rule.kind.to_owned()),
            hour: EventTime::from_micros(self.hour * HOUR_US),
            watched_s: seconds(self.watched_us),
            unwatched_s: self
                .unwatched_us
                .into_iter()
                .map(|(reason, us)| (reason, seconds(us)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::units::Seconds;

    fn at(t: f64) -> EventTime {
        EventTime::EPOCH + Seconds(t)
    }

    #[test]
    fn every_second_is_in_exactly_one_hour_and_one_column() {
        let mut account = Account::new(1);
        let mut hours = Vec::new();
        for (to, verdict) in [
            (3000.0, None),
            (3500.0, None),
            (4000.0, Some(Unwatched::Dark)),
            (11_000.0, None),
        ] {
            account.pass(at(to), |_| verdict, |_, tally| hours.push(tally));
        }
        account.take_back(50_000_000, Unwatched::Frozen);
        account.finish(|_, tally| hours.push(tally));
        let told: Vec<_> = hours
            .iter()
            .map(|tally| {
                let by: Vec<_> = tally
                    .unwatched_us
                    .iter()
                    .map(|(reason, us)| (reason.as_str(), us / 1_000_000))
                    .collect();
                (tally.hour, tally.watched_us / 1_000_000, by)
            })
            .collect();
        assert_eq!(
            told,
            [
                (0, 500, vec![("dark", 100)]),
                (1, 3200, vec![("dark", 400)]),
                (2, 3600, vec![]),
                (3, 150, vec![("frozen", 50)]),
            ]
        );
    }

    #[test]
    fn a_clock_that_leaps_by_years_is_no_coverage() {
        let mut account = Account::new(1);
        let mut hours = 0;
        account.pass(at(0.0), |_| None, |_, _| hours += 1);
        account.pass(at(1e9), |_| None, |_, _| hours += 1);
        account.pass_gap(at(1.001e9), Unwatched::ClockStep, |_, _| hours += 1);
        account.finish(|_, _| hours += 1);
        assert_eq!(hours, 0);
    }

    /// A camera that was dead from Friday to Monday had no unwatched second.
    #[test]
    fn a_weekend_without_a_camera_is_accounted_for() {
        let mut account = Account::new(1);
        let mut lost_us = 0;
        account.pass(at(0.0), |_| None, |_, _| {});
        account.pass_gap(at(240_000.0), Unwatched::StreamLost, |_, tally| {
            lost_us += tally.unwatched_us[&Unwatched::StreamLost];
        });
        account.finish(|_, tally| lost_us += tally.unwatched_us[&Unwatched::StreamLost]);
        assert_eq!(lost_us, 240_000_000_000);
    }
}
