#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Line;
use crate::crossing::{Crossed, Crossing, Direction, Gate};
use crate::geometry::Vector;
use crate::input::{Gap, GapReason};
use crate::observation::{Basis, FrameView, Length, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "solid_line",
    title: ("Đè, cắt vạch liền", "Crossing a solid line"),
    summary: (
        "Xe cắt qua vạch liền và lệch ngang hơn nửa làn",
        "A vehicle crosses a solid marking and moves sideways by more than half a lane",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new(
            "lines",
            Form::Lines,
            "the marking; where it bends, several lines end to end",
        ),
        Param::new(
            "way",
            Form::Word(&["both", "forward", "backward"]),
            "which crossings are forbidden: forward is to the side of the line's `towards`",
        ),
        Param::number(
            "min_lateral_m",
            (1.75, "m"),
            (0.3, 20.0),
            "how far across the marking it must have moved: half a lane (calibrated cameras)",
        ),
        Param::number(
            "min_lateral_heights",
            (1.0, "box heights"),
            (0.1, 10.0),
            "how far across the marking it must have moved (without calibration)",
        ),
        Param::number(
            "max_duration_s",
            (6.0, "s"),
            (1.0, 30.0),
            "within what time, from lane to lane",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

#[derive(Clone, Debug)]
struct SolidLine {
    lines: Vec<Line>,
    way: Option<Direction>,
    min_lateral: Length,
    max_duration_s: f64,
    classes: Vec<ObjectClass>,
    tracks: BTreeMap<TrackId, Lines>,
}

/// One vehicle and every line.
#[derive(Clone, Debug, Default)]
struct Lines {
    each: Vec<OneLine>,
    is_raised: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct OneLine {
    crossing: Crossing,
    crossed: Option<Crossed>,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let lines = params.lines("lines");
    let way = params.word("way");
    let classes = params.classes("classes");
    let min_lateral = Length {
        metres: params.number("min_lateral_m"),
        heights: params.number("min_lateral_heights"),
    };
    let max_duration_s = params.number("max_duration_s");
    Some(Box::new(SolidLine {
        lines: lines?,
        way: match way? {
            "forward" => Some(Direction::Forward),
            "backward" => Some(Direction::Backward),
            _ => None,
        },
        min_lateral,
        max_duration_s,
        classes: classes?,
        tracks: BTreeMap::new(),
    }))
}

/// How far beyond a line a spot is: metres where it has a place on the ground,
/// else in its own box heights. Negative behind.
#[derive(Clone, Copy)]
struct Across {
    gate: Gate,
    ground: Option<(Vector, Vector)>,
}

impl Across {
    fn new(line: &Line, frame: &FrameView<'_>) -> Self {
        let on_ground = |point| frame.sight.spot(point, 1.0, frame.at).ground;
        let (from, to) = (on_ground(line.from), on_ground(line.to));
        let ground = from.zip(to).and_then(|(from, to)| {
            let along = (to - from).unit()?;
            let normal = Vector::new(-along.y, along.x);
            let towards = on_ground(line.towards)? - from;
            let forwards = normal.dot(towards) >= 0.0;
            Some((from, normal * if forwards { 1.0 } else { -1.0 }))
        });
        Self {
            gate: Gate::new(line, frame.sight.aspect),
            ground,
        }
    }

    fn of(&self, spot: &Spot, basis: Basis) -> Option<f64> {
        match basis {
            Basis::Picture => Some(self.gate.beyond(spot)),
            Basis::Ground => {
                let (origin, normal) = self.ground?;
                Some(normal.dot(spot.ground? - origin))
            }
        }
    }

    fn basis(&self, spot: &Spot) -> Basis {
        if self.ground.is_some() && spot.ground.is_some() {
            Basis::Ground
        } else {
            Basis::Picture
        }
    }
}

impl SolidLine {
    /// The onset for a crossing, as far as it has got by now.
    fn onset(
        &self,
        line: &Line,
        crossed: &Crossed,
        user: &Observation,
        frame: &FrameView<'_>,
    ) -> Option<Onset> {
        let across = Across::new(line, frame);
        let basis = across.basis(&user.spot);
        let sense = match crossed.direction {
            Direction::Forward => 1.0,
            Direction::Backward => -1.0,
        };
        let now = sense * across.of(&user.spot, basis)?;
        // Where it came from: the farthest from the line within the time.
        let before = crossed.before;
        let (from, behind) = frame
            .trail(user)
            .iter()
            .chain([&before])
            .filter(|spot| spot.at.time <= before.at.time)
            .filter(|spot| user.spot.at.time.since(spot.at.time).0 <= self.max_duration_s)
            .filter_map(|spot| Some((*spot, -sense * across.of(spot, basis)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let span = Span::new(from.at, frame.at);
        let least = self.min_lateral.of(basis);
        let labels = (basis.vi(), basis.en());
        let mut explanation = vec![
            explain::number(
                (
                    "lateral",
                    format!("Độ lệch ngang qua vạch ({})", labels.0),
                    format!("Way across the marking ({})", labels.1),
                ),
                (now + behind, Comparison::MoreThan, least),
                basis.unit(),
                span,
            ),
            // From the middle of one lane to its edge is no change of lane.
            explain::number(
                (
                    "beyond_line",
                    format!("Vượt quá vạch ({})", labels.0),
                    format!("Beyond the marking ({})", labels.1),
                ),
                (now, Comparison::AtLeast, least / 4.0),
                basis.unit(),
                Span::at(frame.at),
            ),
            explain::number(
                explain::name("within", "Thời gian chuyển làn", "Time from lane to lane"),
                (
                    user.spot.at.time.since(from.at.time).0,
                    Comparison::AtMost,
                    self.max_duration_s,
                ),
                "s",
                span,
            ),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let direction = match crossed.direction {
            Direction::Forward => "forward",
            Direction::Backward => "backward",
        };
        Some(Onset {
            subject: user.track,
            onset: crossed.at,
            decided: frame.at,
            ended: Some(crossed.at),
            actors: vec![frame.actor(user)],
            facts: explain::facts([
                ("class", user.class.as_str().into()),
                ("basis", basis.as_str().into()),
                ("line", line.id.as_str().into()),
                ("way", direction.into()),
            ]),
            explanation,
            evidence: vec![from.at, crossed.before.at, crossed.after.at],
        })
    }
}

impl Rule for SolidLine {
    fn place(&self) -> Option<&ZoneId> {
        self.lines.first().map(|line| &line.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut tracks = std::mem::take(&mut self.tracks);
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            let lines = tracks.entry(user.track).or_default();
            lines.each.resize(self.lines.len(), OneLine::default());
            for (line, one) in self.lines.iter().zip(&mut lines.each) {
                let gate = Gate::new(line, frame.sight.aspect);
                if let Some(crossed) = one.crossing.observe(&gate, &user.spot) {
                    let is_forbidden = self.way.is_none_or(|way| way == crossed.direction);
                    // Coming back takes it back, if nothing was made of it yet.
                    one.crossed = (is_forbidden && one.crossed.is_none()).then_some(crossed);
                }
                let Some(crossed) = one.crossed else {
                    continue;
                };
                if lines.is_raised
                    || user.spot.at.time.since(crossed.before.at.time).0 > self.max_duration_s
                {
                    one.crossed = None;
                } else if let Some(onset) = self.onset(line, &crossed, user, frame)
                    && report.decide(onset).is_some()
                {
                    lines.is_raised = true;
                    one.crossed = None;
                }
            }
        }
        self.tracks = tracks;
    }

    fn interrupt(&mut self, gap: &Gap) {
        if matches!(gap.reason, GapReason::Frozen | GapReason::ClockStep) {
            for lines in self.tracks.values_mut() {
                lines.each.clear();
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.tracks.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.tracks.clear();
    }

    fn remembered(&self) -> usize {
        self.tracks.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
