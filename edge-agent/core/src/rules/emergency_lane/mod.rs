#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::stretch::{self, Drives, Stretch};
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::observation::{Basis, FrameView, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "emergency_lane",
    title: ("Đi vào làn dừng khẩn cấp", "Driving on the emergency lane"),
    summary: (
        "Xe chạy trên làn dừng khẩn cấp, không phải đang giảm tốc để dừng",
        "A vehicle drives on the shoulder and is not slowing down to stop there",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "the shoulder"),
        Param::number(
            "min_duration_s",
            (3.0, "s"),
            (1.0, 10.0),
            "for how long it must have driven there",
        ),
        Param::number(
            "min_speed_kmh",
            (20.0, "km/h"),
            (0.0, 150.0),
            "slower is a stop or its beginning (calibrated cameras)",
        ),
        Param::number(
            "min_speed_heights_per_s",
            (2.5, "box heights per s"),
            (0.0, 50.0),
            "slower is a stop or its beginning (without calibration)",
        ),
        Param::number(
            "min_speed_kept_share",
            (0.8, ""),
            (0.0, 1.0),
            "who keeps less of the speed of `min_duration_s` ago is braking to stop",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

#[derive(Clone, Debug)]
struct EmergencyLane {
    zone: Zone,
    min_duration_s: f64,
    min_speed_kmh: f64,
    min_speed_heights_per_s: f64,
    min_speed_kept: f64,
    classes: Vec<ObjectClass>,
    drives: Drives,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let classes = params.classes("classes");
    let min_duration_s = params.number("min_duration_s");
    let min_speed_kmh = params.number("min_speed_kmh");
    let min_speed_heights_per_s = params.number("min_speed_heights_per_s");
    let min_speed_kept = params.number("min_speed_kept_share");
    Some(Box::new(EmergencyLane {
        zone: zone?,
        min_duration_s,
        min_speed_kmh,
        min_speed_heights_per_s,
        min_speed_kept,
        classes: classes?,
        drives: Drives::default(),
    }))
}

impl EmergencyLane {
    fn least_pace(&self, basis: Basis) -> f64 {
        match basis {
            Basis::Ground => self.min_speed_kmh,
            Basis::Picture => self.min_speed_heights_per_s,
        }
    }

    /// Its speed over the last part of `min_duration_s`, as a share of that
    /// over the first part; `None` where it was not seen for so long.
    fn speed_kept(&self, user: &Observation, frame: &FrameView<'_>) -> Option<f64> {
        let part_s = (self.min_duration_s / 3.0).min(1.0);
        let now = pace_between(user, frame, (part_s, 0.0))?;
        let before = pace_between(
            user,
            frame,
            (self.min_duration_s, self.min_duration_s - part_s),
        )?;
        (before > 1e-6).then(|| now / before)
    }

    fn onset(&self, stretch: &Stretch, user: &Observation, frame: &FrameView<'_>) -> Option<Onset> {
        let kept = self.speed_kept(user, frame)?;
        let way = stretch.way();
        let basis = way.basis;
        let (span, pace) = (stretch.span(), stretch.pace(way.vector.length(), basis));
        let mut explanation = vec![
            explain::number(
                explain::name(
                    "on_shoulder_for",
                    "Thời gian chạy trên làn khẩn cấp",
                    "Time driven on the shoulder",
                ),
                (stretch.driven_s, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                (
                    "mean_speed",
                    format!("Tốc độ trung bình ({})", basis.vi()),
                    format!("Mean speed ({})", basis.en()),
                ),
                (pace, Comparison::MoreThan, self.least_pace(basis)),
                stretch::pace_unit(basis),
                span,
            ),
            explain::number(
                explain::name(
                    "speed_kept",
                    "Tốc độ hiện tại so với trước đó (thấp hơn là đang giảm tốc để dừng)",
                    "Present speed as a share of the earlier one (less is braking to stop)",
                ),
                (kept, Comparison::AtLeast, self.min_speed_kept),
                "",
                Span::at(frame.at),
            ),
            stretch.in_zone(),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let mut facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("basis", basis.as_str().into()),
            ("driven_s", stretch.driven_s.into()),
            ("hidden_s", stretch.hidden_s.into()),
        ]);
        if basis == Basis::Ground {
            facts.insert("distance_m".to_owned(), way.vector.length().into());
            facts.insert("speed_kmh".to_owned(), pace.into());
        }
        Some(Onset {
            subject: user.track,
            onset: stretch.start.at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            evidence: vec![stretch.start.at],
        })
    }
}

/// The speed by the chord between two ages, s, in whatever basis both have.
fn pace_between(
    user: &Observation,
    frame: &FrameView<'_>,
    (older, newer): (f64, f64),
) -> Option<f64> {
    let now = user.spot.at.time;
    let at = |age: f64| -> Option<Spot> {
        if age <= 0.0 {
            return Some(user.spot);
        }
        let mut trail = frame.trail(user).iter().rev();
        let found = trail.find(|spot| now.since(spot.at.time).0 >= age - 1e-6)?;
        // A spot from before a hole says nothing of that instant.
        (now.since(found.at.time).0 <= age + 0.6).then_some(*found)
    };
    let (from, to) = (at(older)?, at(newer)?);
    let passed = to.at.time.since(from.at.time).0;
    (passed > 0.2).then(|| from.way_to(&to).vector.length() / passed)
}

impl Rule for EmergencyLane {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut drives = std::mem::take(&mut self.drives);
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            let is_driving =
                stretch::pace_now(user).is_some_and(|(basis, pace)| pace > self.least_pace(basis));
            let fits = is_driving && stretch::stands_in(&self.zone, user);
            drives.follow((user, fits), frame, report, |stretch, report| {
                let is_due = stretch.driven_s >= self.min_duration_s || report.wants_near_misses();
                let onset = is_due.then(|| self.onset(stretch, user, frame)).flatten();
                onset.and_then(|onset| report.decide(onset))
            });
        }
        self.drives = drives;
    }

    fn forget(&mut self, track: TrackId, report: &mut Reporter<'_>) {
        self.drives.forget(track, report);
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        self.drives.end(reason, report);
    }

    fn remembered(&self) -> usize {
        self.drives.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
