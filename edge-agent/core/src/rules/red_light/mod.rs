#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity, Value};
use protocol::units::rounded;
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::red_crossing::{self, Approach, Run, StopLine};
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::coverage::Unwatched;
use crate::input::{Gap, GapReason};
use crate::observation::{FrameView, Length, Observation};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "red_light",
    title: ("Vượt đèn đỏ", "Red-light running"),
    summary: (
        "Xe vượt vạch dừng khi đèn của hướng đó đã đỏ và đi tiếp vào giao lộ",
        "A vehicle crosses the stop line on red and drives on into the junction",
    ),
    severity: Severity::Major,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        red_crossing::LINE,
        red_crossing::SIGNAL,
        red_crossing::GRACE,
        Param::number(
            "min_travel_m",
            (5.0, "m"),
            (0.5, 100.0),
            "how far beyond the line it must drive (calibrated cameras)",
        ),
        Param::number(
            "min_travel_heights",
            (1.5, "box heights"),
            (0.2, 20.0),
            "how far beyond the line it must drive (without calibration)",
        ),
        Param::number(
            "max_travel_s",
            (10.0, "s"),
            (1.0, 120.0),
            "within what time it must have driven so far",
        ),
        red_crossing::CLOCK_MARGIN,
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

#[derive(Clone, Debug)]
struct RedLight {
    stop_line: StopLine,
    min_travel: Length,
    max_travel_s: f64,
    classes: Vec<ObjectClass>,
    approaches: BTreeMap<TrackId, Vehicle>,
}

#[derive(Clone, Debug, Default)]
struct Vehicle {
    approach: Option<Approach>,
    raised: bool,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let stop_line = StopLine::read(params);
    let classes = params.classes("classes");
    let min_travel = Length {
        metres: params.number("min_travel_m"),
        heights: params.number("min_travel_heights"),
    };
    let max_travel_s = params.number("max_travel_s");
    Some(Box::new(RedLight {
        stop_line: stop_line?,
        min_travel,
        max_travel_s,
        classes: classes?,
        approaches: BTreeMap::new(),
    }))
}

impl RedLight {
    /// The case of a vehicle that crossed on red and has driven so far.
    fn case(&self, run: &Run, user: &Observation, travelled: f64, frame: &FrameView<'_>) -> Onset {
        let basis = run.basis;
        let mut explanation = self.stop_line.explain(run, frame.at);
        explanation.push(explain::number(
            (
                "travel_beyond_line",
                format!("Quãng đường đi tiếp, vuông góc với vạch ({})", basis.vi()),
                format!(
                    "Travel beyond the line, at a right angle to it ({})",
                    basis.en()
                ),
            ),
            (travelled, Comparison::AtLeast, self.min_travel.of(basis)),
            basis.unit(),
            Span::new(run.crossed.after.at, frame.at),
        ));
        explanation.push(StopLine::still_red(run, frame.at));
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let crossed = &run.crossed;
        let stills = [
            ("before_line", crossed.before.at.time),
            ("past_line", crossed.after.at.time),
            ("further_on", frame.at.time),
        ];
        let mut facts = self.stop_line.facts(run, stills, frame);
        facts.insert("class".to_owned(), user.class.as_str().into());
        if let Some(speed) = user.motion.and_then(|motion| motion.ground_speed()) {
            facts.insert("speed_kmh".to_owned(), Value::from(rounded(speed.0, 1)));
        }
        Onset {
            subject: user.track,
            onset: crossed.at,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            // Before the line, past the line, further on.
            evidence: vec![crossed.before.at, crossed.after.at],
        }
    }

    /// Whether it is worth while to list every predicate.
    fn is_near(&self, run: &Run, travelled: f64, report: &Reporter<'_>) -> bool {
        travelled >= self.min_travel.of(run.basis) || report.wants_near_misses()
    }
}

impl Rule for RedLight {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.stop_line.line.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let view = self.stop_line.view(frame, report.time_quality);
        let mut approaches = std::mem::take(&mut self.approaches);
        for user in frame.users {
            let vehicle = approaches.entry(user.track).or_default();
            let front = self
                .stop_line
                .follow(&mut vehicle.approach, user, &view, frame);
            let Some(approach) = &mut vehicle.approach else {
                continue;
            };
            let (Some(run), Some(front)) = (approach.run, front) else {
                continue;
            };
            if frame.at.time.since(run.crossed.at).0 > self.max_travel_s {
                approach.run = None;
            } else if !vehicle.raised
                && self.classes.contains(&user.class)
                && let Some(travelled) = run.beyond(&front, &view)
                && self.is_near(&run, travelled, report)
                // Begun and ended at once: nothing will be added to the case.
                && let Some(_over) = report.decide(self.case(&run, user, travelled, frame))
            {
                vehicle.raised = true;
                approach.run = None;
            }
        }
        self.approaches = approaches;
    }

    fn interrupt(&mut self, gap: &Gap) {
        // A picture shown again and again has a vehicle wait where it waits no
        // more, and in a bad one nobody saw it: whoever is beyond the line now
        // may have crossed it on green. Across a leap of the clock nobody knows when.
        if matches!(
            gap.reason,
            GapReason::Frozen | GapReason::Unfit | GapReason::ClockStep
        ) {
            for vehicle in self.approaches.values_mut() {
                vehicle.approach = Some(Approach::default());
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.approaches.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.approaches.clear();
    }

    fn blind(&self, frame: &FrameView<'_>) -> Option<Unwatched> {
        self.stop_line.blind(frame)
    }

    fn remembered(&self) -> usize {
        self.approaches.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
