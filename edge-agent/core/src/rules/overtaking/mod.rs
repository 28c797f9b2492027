#![doc = include_str!("README.md")]

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, Point, TrackId, ZoneId};

use super::explain::{self, Span};
use super::lane::{Lane, Offset};
use super::pace::LeastPace;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::polygon_contains;
use crate::input::Gap;
use crate::observation::{FrameView, Length, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "overtaking",
    title: ("Vượt xe nơi cấm vượt", "Overtaking"),
    summary: (
        "Xe vượt xe khác cùng chiều trong vùng cấm vượt, để người xem xét",
        "A vehicle passes another that goes the same way in a no-overtaking zone, for review",
    ),
    severity: Severity::Info,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where nobody may overtake"),
        Param::new(
            "direction",
            Form::Direction,
            "the way that traffic goes there, from one point to another",
        ),
        Param::number(
            "min_gap_m",
            (4.0, "m"),
            (0.5, 50.0),
            "how far behind it must have been, and ahead afterwards (calibrated cameras)",
        ),
        Param::number(
            "min_gap_heights",
            (1.5, "box heights"),
            (0.2, 20.0),
            "how far behind it must have been, and ahead afterwards (without calibration)",
        ),
        Param::number(
            "max_side_m",
            (4.5, "m"),
            (0.5, 20.0),
            "how far beside each other they may be (calibrated cameras)",
        ),
        Param::number(
            "max_side_heights",
            (2.0, "box heights"),
            (0.2, 20.0),
            "how far beside each other they may be (without calibration)",
        ),
        Param::number(
            "max_duration_s",
            (20.0, "s"),
            (1.0, 120.0),
            "who takes longer has not overtaken",
        ),
        Param::number(
            "min_speed_kmh",
            (10.0, "km/h"),
            (0.0, 100.0),
            "who is slower stands or queues and may be passed (calibrated cameras)",
        ),
        Param::number(
            "min_speed_heights_per_s",
            (0.5, "box heights per s"),
            (0.0, 50.0),
            "who is slower stands or queues and may be passed (without calibration)",
        ),
        Param::new(
            "classes",
            Form::Classes(&[ObjectClass::Car, ObjectClass::Bus, ObjectClass::Truck]),
            "who may not overtake whom",
        ),
    ],
    read,
};

/// Pairs that are followed at once.
const MOST_PAIRS: usize = 1024;

#[derive(Clone, Debug)]
struct Overtaking {
    zone: Zone,
    direction: (Point, Point),
    min_gap: Length,
    max_side: Length,
    max_duration_s: f64,
    least_pace: LeastPace,
    classes: Vec<ObjectClass>,
    /// Who was behind whom.
    behind: BTreeMap<(TrackId, TrackId), Behind>,
    raised: BTreeSet<TrackId>,
}

#[derive(Clone, Copy, Debug)]
struct Behind {
    spot: Spot,
    watched: f64,
    gap: Offset,
    lane: Lane,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let direction = params.direction("direction");
    let min_gap = Length {
        metres: params.number("min_gap_m"),
        heights: params.number("min_gap_heights"),
    };
    let max_side = Length {
        metres: params.number("max_side_m"),
        heights: params.number("max_side_heights"),
    };
    let max_duration_s = params.number("max_duration_s");
    let least_pace = LeastPace::read(params);
    let classes = params.classes("classes");
    Some(Box::new(Overtaking {
        zone: zone?,
        direction: direction?,
        min_gap,
        max_side,
        max_duration_s,
        least_pace,
        classes: classes?,
        behind: BTreeMap::new(),
        raised: BTreeSet::new(),
    }))
}

impl Overtaking {
    /// Whether it drives along the lane in the zone.
    fn is_driving(&self, user: &Observation, lane: &Lane) -> bool {
        self.classes.contains(&user.class)
            && polygon_contains(&self.zone.points, user.spot.foot)
            && self.least_pace.is_reached(lane.pace(user))
    }

    fn judge(
        &self,
        faster: &Observation,
        slower: &Observation,
        (before, after): (&Behind, Offset),
        frame: &FrameView<'_>,
    ) -> Onset {
        let span = Span::new(before.spot.at, frame.at);
        let basis = after.basis;
        let gap = |name, vi: &str, en: &str, offset: Offset, value: f64, at| {
            explain::number(
                (
                    name,
                    format!("{vi} ({})", offset.basis.vi()),
                    format!("{en} ({})", offset.basis.en()),
                ),
                (value, Comparison::AtLeast, self.min_gap.of(offset.basis)),
                offset.basis.unit(),
                at,
            )
        };
        let mut explanation = vec![
            gap(
                "was_behind",
                "Khoảng cách phía sau lúc đầu",
                "Distance behind at first",
                before.gap,
                -before.gap.ahead,
                Span::at(before.spot.at),
            ),
            gap(
                "is_ahead",
                "Khoảng cách phía trước sau khi vượt",
                "Distance ahead afterwards",
                after,
                after.ahead,
                Span::at(frame.at),
            ),
            explain::number(
                (
                    "beside",
                    format!("Khoảng cách ngang ({})", basis.vi()),
                    format!("Distance beside each other ({})", basis.en()),
                ),
                (
                    after.right.abs(),
                    Comparison::AtMost,
                    self.max_side.of(basis),
                ),
                basis.unit(),
                Span::at(frame.at),
            ),
            explain::number(
                explain::name("took", "Thời gian vượt", "Time that it took"),
                (
                    frame.watched - before.watched,
                    Comparison::AtMost,
                    self.max_duration_s,
                ),
                "s",
                span,
            ),
            self.least_pace
                .explain(before.lane.pace(slower), Span::at(frame.at)),
            explain::is(
                explain::name(
                    "in_zone",
                    "Cả hai xe ở trong vùng",
                    "Both vehicles in the zone",
                ),
                [faster, slower]
                    .iter()
                    .all(|user| polygon_contains(&self.zone.points, user.spot.foot)),
                true,
                Span::at(frame.at),
            ),
        ];
        explanation.extend(explain::of_class(faster, &self.classes, frame));
        let side = if after.right > 0.0 { "right" } else { "left" };
        Onset {
            subject: faster.track,
            onset: before.spot.at.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(faster), frame.actor(slower)],
            facts: explain::facts([
                ("class", faster.class.as_str().into()),
                ("overtaken", slower.track.to_string().into()),
                ("side", side.into()),
                ("basis", basis.as_str().into()),
                (
                    "review",
                    "the vehicle that was slower may have given way or be about to turn".into(),
                ),
            ]),
            explanation,
            evidence: vec![before.spot.at],
        }
    }
}

impl Rule for Overtaking {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let max_duration_s = self.max_duration_s;
        self.behind.retain(|_, behind| {
            let age = frame.watched - behind.watched;
            (0.0..=max_duration_s).contains(&age)
        });
        let Some(lane) = Lane::new(self.direction, frame) else {
            return;
        };
        let driving: Vec<&Observation> = frame
            .users
            .iter()
            .filter(|user| self.is_driving(user, &lane))
            .collect();
        for faster in &driving {
            for slower in &driving {
                if faster.track == slower.track {
                    continue;
                }
                let Some(offset) = lane.offset(&slower.spot, &faster.spot) else {
                    continue;
                };
                let pair = (faster.track, slower.track);
                let gap = self.min_gap.of(offset.basis);
                let is_beside = offset.right.abs() <= self.max_side.of(offset.basis);
                if offset.ahead <= -gap {
                    if is_beside && (self.behind.len() < MOST_PAIRS) {
                        let behind = Behind {
                            spot: faster.spot,
                            watched: frame.watched,
                            gap: offset,
                            lane,
                        };
                        self.behind.insert(pair, behind);
                    } else {
                        self.behind.remove(&pair);
                    }
                    continue;
                }
                if offset.ahead < gap || self.raised.contains(&faster.track) {
                    continue;
                }
                if let Some(before) = self.behind.remove(&pair) {
                    let onset = self.judge(faster, slower, (&before, offset), frame);
                    if report.decide(onset).is_some() {
                        self.raised.insert(faster.track);
                    }
                }
            }
        }
    }

    fn interrupt(&mut self, _gap: &Gap) {
        self.behind.clear();
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.raised.remove(&track);
        self.behind
            .retain(|(passer, passed), _| *passer != track && *passed != track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.behind.clear();
        self.raised.clear();
    }

    fn remembered(&self) -> usize {
        self.behind.len() + self.raised.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
