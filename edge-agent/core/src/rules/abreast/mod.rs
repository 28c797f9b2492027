#![doc = include_str!("README.md")]

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Comparison, FrameTime, Severity};
use protocol::{ObjectClass, Point, TrackId, ZoneId};

use super::explain::{self, Span};
use super::lane::Lane;
use super::pace::LeastPace;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::observation::{FrameView, Length, Observation};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "abreast",
    title: ("Dàn hàng ngang", "Riding abreast"),
    summary: (
        "Từ ba xe hai bánh trở lên đi dàn hàng ngang, để người xem xét",
        "Three or more two-wheelers ride side by side, for a person to review",
    ),
    severity: Severity::Info,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "the carriageway"),
        Param::new(
            "direction",
            Form::Direction,
            "the way that traffic goes there, from one point to another",
        ),
        Param::number(
            "min_row",
            (3.0, ""),
            (2.0, 20.0),
            "how many must ride side by side",
        ),
        Param::number(
            "min_duration_s",
            (5.0, "s"),
            (0.5, 600.0),
            "for how long each must have ridden beside the next",
        ),
        Param::number(
            "max_others",
            (2.0, ""),
            (0.0, 100.0),
            "with more other two-wheelers in the zone, traffic is dense and forms rows by itself",
        ),
        Param::number(
            "max_behind_m",
            (1.5, "m"),
            (0.2, 20.0),
            "how far one may be behind the next (calibrated cameras)",
        ),
        Param::number(
            "max_behind_heights",
            (0.8, "box heights"),
            (0.1, 10.0),
            "how far one may be behind the next (without calibration)",
        ),
        Param::number(
            "max_side_m",
            (2.0, "m"),
            (0.2, 20.0),
            "how far one may be beside the next (calibrated cameras)",
        ),
        Param::number(
            "max_side_heights",
            (1.2, "box heights"),
            (0.1, 10.0),
            "how far one may be beside the next (without calibration)",
        ),
        Param::number(
            "min_speed_kmh",
            (8.0, "km/h"),
            (0.0, 100.0),
            "who is slower waits in a crowd (calibrated cameras)",
        ),
        Param::number(
            "min_speed_heights_per_s",
            (0.6, "box heights per s"),
            (0.0, 50.0),
            "who is slower waits in a crowd (without calibration)",
        ),
        Param::new(
            "classes",
            Form::Classes(&[ObjectClass::Motorcycle, ObjectClass::Bicycle]),
            "which two-wheelers",
        ),
    ],
    read,
};

/// Out of line, or not seen, for up to this long is flicker, s.
const FLICKER_S: f64 = 1.0;

#[derive(Clone, Debug)]
struct Abreast {
    zone: Zone,
    direction: (Point, Point),
    min_row: f64,
    min_duration_s: f64,
    max_others: f64,
    max_behind: Length,
    max_side: Length,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    /// Who rides beside whom, the older track first.
    pairs: BTreeMap<(TrackId, TrackId), Pair>,
    raised: BTreeSet<TrackId>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    first: FrameTime,
    /// Watched seconds side by side.
    for_s: f64,
    last_watched: f64,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let direction = params.direction("direction");
    let min_row = params.number("min_row");
    let min_duration_s = params.number("min_duration_s");
    let max_others = params.number("max_others");
    let max_behind = Length {
        metres: params.number("max_behind_m"),
        heights: params.number("max_behind_heights"),
    };
    let max_side = Length {
        metres: params.number("max_side_m"),
        heights: params.number("max_side_heights"),
    };
    let least_pace = LeastPace::read(params);
    let classes = params.classes("classes");
    Some(Box::new(Abreast {
        zone: zone?,
        direction: direction?,
        min_row,
        min_duration_s,
        max_others,
        max_behind,
        max_side,
        least_pace,
        classes: classes?,
        pairs: BTreeMap::new(),
        raised: BTreeSet::new(),
    }))
}

impl Abreast {
    /// Brings every pair to this frame.
    fn pair_up(&mut self, riding: &[&Observation], lane: &Lane, frame: &FrameView<'_>) {
        for (index, one) in riding.iter().enumerate() {
            for other in &riding[index + 1..] {
                let Some(offset) = lane.offset(&one.spot, &other.spot) else {
                    continue;
                };
                let is_beside = offset.ahead.abs() <= self.max_behind.of(offset.basis)
                    && offset.right.abs() <= self.max_side.of(offset.basis);
                if !is_beside {
                    continue;
                }
                let pair = self.pairs.entry((one.track, other.track)).or_insert(Pair {
                    first: frame.at,
                    for_s: 0.0,
                    last_watched: frame.watched,
                });
                // Negative when a frozen picture's time is taken back.
                let passed = frame.watched - pair.last_watched;
                pair.for_s = (pair.for_s + passed).max(0.0);
                pair.last_watched = frame.watched;
            }
        }
        self.pairs
            .retain(|_, pair| frame.watched - pair.last_watched <= FLICKER_S);
    }

    /// Everybody who has ridden long enough beside somebody of the row that begins with `first`.
    fn row(&self, first: TrackId, least_s: f64, now: f64) -> BTreeSet<TrackId> {
        let mut row = BTreeSet::from([first]);
        loop {
            let before = row.len();
            for ((one, other), pair) in &self.pairs {
                // Side by side now, not a moment ago.
                let counts = pair.for_s >= least_s && pair.last_watched >= now;
                if counts && (row.contains(one) || row.contains(other)) {
                    row.extend([*one, *other]);
                }
            }
            if row.len() == before {
                return row;
            }
        }
    }

    fn judge(
        &self,
        row: &BTreeSet<TrackId>,
        riding: &[&Observation],
        lane: &Lane,
        frame: &FrameView<'_>,
    ) -> Option<Onset> {
        let of_row = |(one, other): &(TrackId, TrackId)| row.contains(one) && row.contains(other);
        let pairs = || self.pairs.iter().filter(|(pair, _)| of_row(pair));
        // The latest to join says since when all ride abreast.
        let joined = |track: &TrackId| {
            pairs()
                .filter(|((one, other), _)| one == track || other == track)
                .map(|(_, pair)| pair)
                .max_by(|a, b| a.for_s.total_cmp(&b.for_s))
        };
        let latest = row
            .iter()
            .filter_map(joined)
            .min_by(|a, b| a.for_s.total_cmp(&b.for_s))?;
        let members: Vec<&&Observation> =
            riding.iter().filter(|u| row.contains(&u.track)).collect();
        let slowest = members
            .iter()
            .filter_map(|user| lane.pace(user))
            .min_by(|a, b| a.value.total_cmp(&b.value));
        let span = Span::new(latest.first, frame.at);
        let others = riding.len().saturating_sub(members.len());
        let mut explanation = vec![
            explain::number(
                explain::name("row", "Số xe đi ngang hàng", "Two-wheelers side by side"),
                (members.len() as f64, Comparison::AtLeast, self.min_row),
                "",
                Span::at(frame.at),
            ),
            explain::number(
                explain::name(
                    "lasts",
                    "Thời gian đi ngang hàng (của xe vào hàng sau cùng)",
                    "Time side by side (of the last to join)",
                ),
                (latest.for_s, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                explain::name(
                    "others",
                    "Số xe hai bánh khác trong vùng",
                    "Other two-wheelers in the zone",
                ),
                (others as f64, Comparison::AtMost, self.max_others),
                "",
                Span::at(frame.at),
            ),
            self.least_pace.explain(slowest, Span::at(frame.at)),
        ];
        explanation.extend(explain::of_class(members.first()?, &self.classes, frame));
        Some(Onset {
            subject: *row.first()?,
            onset: latest.first.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: members.iter().map(|user| frame.actor(user)).collect(),
            facts: explain::facts([
                ("row", (members.len() as f64).into()),
                (
                    "review",
                    "they may have met by chance or be overtaking each other".into(),
                ),
            ]),
            explanation,
            evidence: vec![latest.first],
        })
    }
}

impl Rule for Abreast {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let Some(lane) = Lane::new(self.direction, frame) else {
            return;
        };
        let is_riding = |user: &&Observation| {
            self.classes.contains(&user.class)
                && polygon_contains(&self.zone.points, user.spot.foot)
                && self.least_pace.is_reached(lane.pace(user))
        };
        let riding: Vec<&Observation> = frame.users.iter().filter(is_riding).collect();
        self.pair_up(&riding, &lane, frame);
        for user in &riding {
            let mut row = self.row(user.track, self.min_duration_s, frame.watched);
            if (row.len() as f64) < self.min_row {
                if !report.wants_near_misses() {
                    continue;
                }
                row = self.row(user.track, 0.0, frame.watched);
            }
            // Each row once, by its oldest; nobody is raised twice.
            let is_first = row.first() == Some(&user.track);
            if row.len() < 2 || !is_first || row.iter().any(|t| self.raised.contains(t)) {
                continue;
            }
            if let Some(onset) = self.judge(&row, &riding, &lane, frame)
                && report.decide(onset).is_some()
            {
                self.raised.extend(row);
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.raised.remove(&track);
        self.pairs
            .retain(|(one, other), _| *one != track && *other != track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.pairs.clear();
        self.raised.clear();
    }

    fn remembered(&self) -> usize {
        self.pairs.len() + self.raised.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
