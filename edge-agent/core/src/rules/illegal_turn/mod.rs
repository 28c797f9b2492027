#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Line;
use crate::crossing::{Crossed, Crossing, Direction, Gate};
use crate::input::{Gap, GapReason};
use crate::observation::{FrameView, Observation};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "illegal_turn",
    title: ("Rẽ sai quy định", "Forbidden turn"),
    summary: (
        "Xe đi vào bằng một nhánh và đi ra bằng nhánh bị cấm",
        "A vehicle comes in by one arm and leaves by another that is forbidden from there",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("entry_line", Form::Line, "where it comes in"),
        Param::new("exit_line", Form::Line, "where it may not leave"),
        Param::number(
            "max_turn_s",
            (30.0, "s"),
            (1.0, 600.0),
            "within what time from the one to the other",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

#[derive(Clone, Debug)]
struct IllegalTurn {
    entry: Line,
    exit: Line,
    max_turn_s: f64,
    classes: Vec<ObjectClass>,
    vehicles: BTreeMap<TrackId, Vehicle>,
}

#[derive(Clone, Debug, Default)]
struct Vehicle {
    entry: Crossing,
    exit: Crossing,
    came_in: Option<Crossed>,
    raised: bool,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let entry = params.line("entry_line");
    let exit = params.line("exit_line");
    let classes = params.classes("classes");
    let max_turn_s = params.number("max_turn_s");
    Some(Box::new(IllegalTurn {
        entry: entry?,
        exit: exit?,
        max_turn_s,
        classes: classes?,
        vehicles: BTreeMap::new(),
    }))
}

impl IllegalTurn {
    fn case(
        &self,
        (came_in, left): (&Crossed, &Crossed),
        user: &Observation,
        frame: &FrameView<'_>,
    ) -> Onset {
        let took = left.at.since(came_in.at).0;
        let crossing = |name, vi: &str, en: &str, crossed: &Crossed| {
            explain::number(
                explain::name(name, vi, en),
                (
                    crossed.before_heights,
                    Comparison::MoreThan,
                    crossed.least_before_heights,
                ),
                "box heights",
                Span::new(crossed.before.at, crossed.after.at),
            )
        };
        let mut explanation = vec![
            crossing(
                "came_in",
                "Đã qua vạch vào: khoảng cách trước vạch lúc trước đó",
                "Crossed the line in: distance before it until then",
                came_in,
            ),
            crossing(
                "left",
                "Đã qua vạch ra bị cấm: khoảng cách trước vạch lúc trước đó",
                "Crossed the forbidden line out: distance before it until then",
                left,
            ),
            explain::number(
                explain::name(
                    "turn_took",
                    "Thời gian từ vạch vào đến vạch ra",
                    "From the one line to the other",
                ),
                (took, Comparison::AtMost, self.max_turn_s),
                "s",
                Span::new(came_in.before.at, frame.at),
            ),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        Onset {
            subject: user.track,
            onset: came_in.at,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts: explain::facts([
                ("class", user.class.as_str().into()),
                ("turn_s", took.into()),
                ("entry_line", self.entry.id.as_str().into()),
                ("exit_line", self.exit.id.as_str().into()),
            ]),
            explanation,
            evidence: vec![came_in.before.at, came_in.after.at, left.before.at],
        }
    }
}

impl Rule for IllegalTurn {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.exit.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let entry = Gate::new(&self.entry, frame.sight.aspect);
        let exit = Gate::new(&self.exit, frame.sight.aspect);
        let mut vehicles = std::mem::take(&mut self.vehicles);
        for user in frame.users {
            if !self.classes.contains(&user.class) {
                continue;
            }
            let Some(front) = frame.front(user, None) else {
                continue;
            };
            let vehicle = vehicles.entry(user.track).or_default();
            if let Some(crossed) = vehicle.entry.observe(&entry, &front) {
                vehicle.came_in = (crossed.direction == Direction::Forward).then_some(crossed);
            }
            let left = vehicle.exit.observe(&exit, &front);
            if !vehicle.raised
                && let Some(came_in) = &vehicle.came_in
                && let Some(left) = left.filter(|left| left.direction == Direction::Forward)
                && left.at >= came_in.at
                // Begun and ended at once: nothing will be added to the case.
                && let Some(_over) = report.decide(self.case((came_in, &left), user, frame))
            {
                vehicle.raised = true;
            }
        }
        self.vehicles = vehicles;
    }

    fn interrupt(&mut self, gap: &Gap) {
        if matches!(
            gap.reason,
            GapReason::Frozen | GapReason::Unfit | GapReason::ClockStep
        ) {
            for vehicle in self.vehicles.values_mut() {
                *vehicle = Vehicle {
                    raised: vehicle.raised,
                    ..Vehicle::default()
                };
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.vehicles.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.vehicles.clear();
    }

    fn remembered(&self) -> usize {
        self.vehicles.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
