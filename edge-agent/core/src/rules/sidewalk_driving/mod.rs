#![doc = include_str!("README.md")]

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, Point, TrackId, ZoneId};

use super::params::MOTOR_VEHICLES;
use super::stretch::{self, Drives, Stretch};
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry, explain};
use crate::config::Zone;
use crate::observation::{Basis, FrameView, Length, Observation};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "sidewalk_driving",
    title: ("Đi xe trên vỉa hè", "Driving on the sidewalk"),
    summary: (
        "Xe chạy dọc vỉa hè đủ lâu và đủ xa; cắt ngang để vào cổng thì không tính",
        "A vehicle drives along the sidewalk for long and far enough; crossing it into a gate is none",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "the sidewalk"),
        Param::new(
            "along",
            Form::Direction,
            "how the sidewalk runs, from one point to another; either sense counts",
        ),
        Param::number(
            "min_duration_s",
            (2.0, "s"),
            (0.0, 600.0),
            "for how long it must have driven there",
        ),
        Param::number(
            "min_distance_m",
            (5.0, "m"),
            (0.5, 1000.0),
            "how far along the sidewalk it must have driven (calibrated cameras)",
        ),
        Param::number(
            "min_distance_heights",
            (3.0, "box heights"),
            (0.2, 100.0),
            "how far along the sidewalk it must have driven (without calibration)",
        ),
        Param::number(
            "min_speed_kmh",
            (6.0, "km/h"),
            (0.0, 100.0),
            "slower is pushing, not driving (calibrated cameras)",
        ),
        Param::number(
            "min_speed_heights_per_s",
            (1.0, "box heights per s"),
            (0.0, 50.0),
            "slower is pushing, not driving (without calibration)",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

#[derive(Clone, Debug)]
struct SidewalkDriving {
    zone: Zone,
    along: (Point, Point),
    min_duration_s: f64,
    min_distance: Length,
    min_speed_kmh: f64,
    min_speed_heights_per_s: f64,
    classes: Vec<ObjectClass>,
    drives: Drives,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let along = params.direction("along");
    let classes = params.classes("classes");
    let min_duration_s = params.number("min_duration_s");
    let min_distance = Length {
        metres: params.number("min_distance_m"),
        heights: params.number("min_distance_heights"),
    };
    let min_speed_kmh = params.number("min_speed_kmh");
    let min_speed_heights_per_s = params.number("min_speed_heights_per_s");
    Some(Box::new(SidewalkDriving {
        zone: zone?,
        along: along?,
        min_duration_s,
        min_distance,
        min_speed_kmh,
        min_speed_heights_per_s,
        classes: classes?,
        drives: Drives::default(),
    }))
}

impl SidewalkDriving {
    fn least_pace(&self, basis: Basis) -> f64 {
        match basis {
            Basis::Ground => self.min_speed_kmh,
            Basis::Picture => self.min_speed_heights_per_s,
        }
    }

    fn onset(&self, stretch: &Stretch, user: &Observation, frame: &FrameView<'_>) -> Option<Onset> {
        let way = stretch.way();
        let basis = way.basis;
        let axis = stretch::axis(self.along, basis, frame)?;
        // Across the sidewalk, into a gate, is no way along it.
        let (along, across) = (axis.dot(way.vector).abs(), axis.cross(way.vector).abs());
        let span = stretch.span();
        let mut explanation = vec![
            explain::number(
                explain::name(
                    "on_sidewalk_for",
                    "Thời gian chạy trên vỉa hè",
                    "Time driven on the sidewalk",
                ),
                (stretch.driven_s, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                (
                    "along_sidewalk",
                    format!("Quãng đường chạy dọc vỉa hè ({})", basis.vi()),
                    format!("Distance driven along the sidewalk ({})", basis.en()),
                ),
                (along, Comparison::AtLeast, self.min_distance.of(basis)),
                basis.unit(),
                span,
            ),
            explain::number(
                (
                    "mean_speed",
                    format!("Tốc độ trung bình ({})", basis.vi()),
                    format!("Mean speed ({})", basis.en()),
                ),
                (
                    stretch.pace(along, basis),
                    Comparison::AtLeast,
                    self.least_pace(basis),
                ),
                stretch::pace_unit(basis),
                span,
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
            facts.insert("distance_m".to_owned(), along.into());
            facts.insert("across_m".to_owned(), across.into());
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

impl Rule for SidewalkDriving {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut drives = std::mem::take(&mut self.drives);
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            // A parked motorcycle drives nowhere, however long it stands there.
            let is_driving =
                stretch::pace_now(user).is_some_and(|(basis, pace)| pace >= self.least_pace(basis));
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
