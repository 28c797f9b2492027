#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::red_crossing::{self, Approach, Run, StopLine};
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::coverage::Unwatched;
use crate::input::{Gap, GapReason};
use crate::observation::{FrameView, Length, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "stop_line",
    title: ("Dừng xe quá vạch dừng", "Stopped beyond the stop line"),
    summary: (
        "Xe vượt vạch dừng khi đèn đã đỏ rồi dừng lại sau vạch",
        "A vehicle crosses the stop line on red and stands beyond it",
    ),
    severity: Severity::Minor,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        red_crossing::LINE,
        red_crossing::SIGNAL,
        red_crossing::GRACE,
        Param::number(
            "min_dwell_s",
            (2.0, "s"),
            (0.2, 600.0),
            "for how long it must have stood beyond the line",
        ),
        Param::number(
            "radius_m",
            (1.0, "m"),
            (0.2, 5.0),
            "it stands while it stays within this (calibrated cameras)",
        ),
        Param::number(
            "radius_heights",
            (0.15, "box heights"),
            (0.05, 1.0),
            "it stands while it stays within this (without calibration)",
        ),
        Param::number(
            "min_beyond_m",
            (0.7, "m"),
            (0.0, 10.0),
            "who stands less far beyond the line may be a shorter vehicle that stands before it \
             (calibrated cameras)",
        ),
        Param::number(
            "min_beyond_heights",
            (0.1, "box heights"),
            (0.0, 5.0),
            "who stands less far beyond the line may not be beyond it (without calibration)",
        ),
        Param::number(
            "max_beyond_m",
            (5.0, "m"),
            (0.5, 30.0),
            "who stands farther beyond the line is in the junction (calibrated cameras)",
        ),
        Param::number(
            "max_beyond_heights",
            (1.5, "box heights"),
            (0.2, 10.0),
            "who stands farther beyond the line is in the junction (without calibration)",
        ),
        red_crossing::CLOCK_MARGIN,
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

/// Not seen for up to this long is flicker, s.
const FLICKER_S: f64 = 0.6;

#[derive(Clone, Debug)]
struct BeyondStopLine {
    stop_line: StopLine,
    min_dwell_s: f64,
    radius: Length,
    min_beyond: Length,
    max_beyond: Length,
    classes: Vec<ObjectClass>,
    vehicles: BTreeMap<TrackId, Vehicle>,
}

#[derive(Clone, Debug, Default)]
struct Vehicle {
    approach: Option<Approach>,
    stand: Option<Stand>,
    raised: bool,
}

/// Standing beyond the line.
#[derive(Clone, Copy, Debug)]
struct Stand {
    /// Where its front was at first.
    place: Spot,
    /// Watched seconds.
    stood_s: f64,
    watched: f64,
}

/// Somebody who stands beyond the line, when that is judged.
struct Standing<'a> {
    user: &'a Observation,
    run: &'a Run,
    stand: &'a Stand,
    /// How far beyond, in the run's basis.
    beyond: f64,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let stop_line = StopLine::read(params);
    let classes = params.classes("classes");
    let min_dwell_s = params.number("min_dwell_s");
    let radius = Length {
        metres: params.number("radius_m"),
        heights: params.number("radius_heights"),
    };
    let min_beyond = Length {
        metres: params.number("min_beyond_m"),
        heights: params.number("min_beyond_heights"),
    };
    let max_beyond = Length {
        metres: params.number("max_beyond_m"),
        heights: params.number("max_beyond_heights"),
    };
    Some(Box::new(BeyondStopLine {
        stop_line: stop_line?,
        min_dwell_s,
        radius,
        min_beyond,
        max_beyond,
        classes: classes?,
        vehicles: BTreeMap::new(),
    }))
}

impl BeyondStopLine {
    /// Follows how long it stands where it is.
    fn stand(&self, stand: Option<Stand>, front: &Spot, watched: f64) -> Stand {
        let stays = |stand: &Stand| {
            let way = stand.place.way_to(front);
            way.vector.length() <= self.radius.of(way.basis)
        };
        match stand.filter(stays) {
            Some(stand) => {
                // Negative when a frozen picture's time is taken back.
                let passed = watched - stand.watched;
                let seen = if passed <= FLICKER_S { passed } else { 0.0 };
                Stand {
                    stood_s: (stand.stood_s + seen).max(0.0),
                    watched,
                    ..stand
                }
            }
            None => Stand {
                place: *front,
                stood_s: 0.0,
                watched,
            },
        }
    }

    fn case(&self, standing: &Standing<'_>, frame: &FrameView<'_>) -> Onset {
        let Standing {
            user,
            run,
            stand,
            beyond,
        } = *standing;
        let basis = run.basis;
        let stood = Span::new(stand.place.at, frame.at);
        let mut explanation = self.stop_line.explain(run, frame.at);
        explanation.push(explain::number(
            explain::name(
                "stands_beyond_line_for",
                "Thời gian đứng yên sau vạch dừng",
                "Standing beyond the stop line for",
            ),
            (stand.stood_s, Comparison::AtLeast, self.min_dwell_s),
            "s",
            stood,
        ));
        explanation.push(explain::number(
            (
                "beyond_line",
                format!("Khoảng cách quá vạch dừng ({})", basis.vi()),
                format!("Distance beyond the stop line ({})", basis.en()),
            ),
            (beyond, Comparison::AtMost, self.max_beyond.of(basis)),
            basis.unit(),
            stood,
        ));
        explanation.push(explain::number(
            (
                "surely_beyond_line",
                format!("Khoảng cách quá vạch đủ chắc chắn ({})", basis.vi()),
                format!("Far enough beyond the line to be sure ({})", basis.en()),
            ),
            (beyond, Comparison::AtLeast, self.min_beyond.of(basis)),
            basis.unit(),
            stood,
        ));
        explanation.push(StopLine::still_red(run, frame.at));
        explanation.extend(explain::of_class(user, &self.classes, frame));
        let stills = [
            ("before_line", run.crossed.before.at.time),
            ("past_line", run.crossed.after.at.time),
            ("standing", frame.at.time),
        ];
        let mut facts = self.stop_line.facts(run, stills, frame);
        facts.insert("class".to_owned(), user.class.as_str().into());
        facts.insert("stood_s".to_owned(), stand.stood_s.into());
        Onset {
            subject: user.track,
            onset: run.crossed.at,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            // Before the line, past it, standing.
            evidence: vec![run.crossed.before.at, run.crossed.after.at, stand.place.at],
        }
    }
}

impl Rule for BeyondStopLine {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.stop_line.line.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let view = self.stop_line.view(frame, report.time_quality);
        let mut vehicles = std::mem::take(&mut self.vehicles);
        for user in frame.users {
            let vehicle = vehicles.entry(user.track).or_default();
            let front = self
                .stop_line
                .follow(&mut vehicle.approach, user, &view, frame);
            let Some(front) = front else {
                continue;
            };
            let mut stand = self.stand(vehicle.stand, &front, frame.watched);
            vehicle.stand = Some(stand);
            let Some(run) = vehicle.approach.as_ref().and_then(|approach| approach.run) else {
                continue;
            };
            // Not what it stood before it was over the line.
            let beyond_s = frame.at.time.since(run.crossed.at).0;
            stand.stood_s = stand.stood_s.min(beyond_s);
            let is_near = stand.stood_s >= self.min_dwell_s || report.wants_near_misses();
            if vehicle.raised || !self.classes.contains(&user.class) || !is_near {
                continue;
            }
            let Some(beyond) = run.beyond(&front, &view) else {
                continue;
            };
            let standing = Standing {
                user,
                run: &run,
                stand: &stand,
                beyond,
            };
            // Begun and ended at once: nothing will be added to the case.
            if report.decide(self.case(&standing, frame)).is_some() {
                vehicle.raised = true;
            }
        }
        self.vehicles = vehicles;
    }

    fn interrupt(&mut self, gap: &Gap) {
        // As in `red_light`: who was where is not known any more.
        if matches!(gap.reason, GapReason::Frozen | GapReason::Unfit) {
            for vehicle in self.vehicles.values_mut() {
                vehicle.approach = Some(Approach::default());
                vehicle.stand = None;
            }
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.vehicles.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.vehicles.clear();
    }

    fn blind(&self, frame: &FrameView<'_>) -> Option<Unwatched> {
        self.stop_line.blind(frame)
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
