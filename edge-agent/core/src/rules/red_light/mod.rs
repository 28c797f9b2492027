//! Red light: a vehicle that crosses the stop line on red and drives on.
//!
//! **Sees** vehicles whose contact point crosses `line` forwards while `signal`
//! has shown red for at least `grace_s`, that were behind the line after red
//! began, and that then travel `min_travel` beyond it while it is still red.
//! **Never accuses** on amber, on green, or on a signal that is unknown, stale
//! or contradictory at any moment from the crossing to the decision; nor who
//! stood on or beyond the line when red began; nor who stops just beyond it
//! (that is another offence). **Needs** the signal group of *this* movement: a
//! permitted turn on its own arrow is a line and a group of its own. **Errs**
//! where the contact point is hidden at the line, where it then misses; and on
//! vehicles with a right of way, which a person must recognise.

use std::collections::BTreeMap;

use protocol::event::{Comparison, FrameTime, Severity, Value};
use protocol::id::SignalGroupId;
use protocol::units::rounded;
use protocol::{EventTime, ObjectClass, SignalState, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Line;
use crate::crossing::{BAND_HEIGHTS, Crossed, Crossing, Direction, Gate};
use crate::observation::{Basis, FrameView, Length, Observation};
use crate::tracker::Spot;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "red_light",
    title: ("Vượt đèn đỏ", "Red-light running"),
    summary: (
        "Xe vượt vạch dừng khi đèn của hướng đó đã đỏ và đi tiếp vào giao lộ",
        "A vehicle crosses the stop line on red and drives on into the junction",
    ),
    severity: Severity::Major,
    params: &[
        Param::new(
            "line",
            Form::Line,
            "the stop line; forward is into the junction",
        ),
        Param::new(
            "signal",
            Form::Signal,
            "the signal group that governs this movement",
        ),
        Param::number(
            "grace_s",
            (0.5, "s"),
            (0.0, 10.0),
            "for how long it must have been red at the crossing",
        ),
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
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

#[derive(Clone, Debug)]
struct RedLight {
    line: Line,
    signal: SignalGroupId,
    grace_s: f64,
    min_travel: Length,
    max_travel_s: f64,
    classes: Vec<ObjectClass>,
    approaches: BTreeMap<TrackId, Approach>,
}

/// One vehicle and the line.
#[derive(Clone, Debug, Default)]
struct Approach {
    crossing: Crossing,
    /// The last sighting definitely behind the line, with the instant since
    /// which it was red then.
    behind_on_red: Option<(Spot, EventTime)>,
    run: Option<Run>,
    raised: bool,
}

/// A crossing on red that is not yet far enough.
#[derive(Clone, Copy, Debug)]
struct Run {
    crossed: Crossed,
    on_line: Spot,
    red_since: EventTime,
    behind: Spot,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let line = params.line("line");
    let signal = params.signal("signal");
    let classes = params.classes("classes");
    let grace_s = params.number("grace_s");
    let min_travel = Length {
        metres: params.number("min_travel_m"),
        heights: params.number("min_travel_heights"),
    };
    let max_travel_s = params.number("max_travel_s");
    Some(Box::new(RedLight {
        line: line?,
        signal: signal?,
        grace_s,
        min_travel,
        max_travel_s,
        classes: classes?,
        approaches: BTreeMap::new(),
    }))
}

impl RedLight {
    /// Takes one sighting of a vehicle, now or from its trail.
    fn see(&self, approach: &mut Approach, gate: &Gate, spot: &Spot, frame: &FrameView<'_>) {
        let crossed = approach.crossing.observe(gate, spot);
        let now = frame.signals.at(&self.signal, spot.at.time);
        if let Some(crossed) = crossed {
            let behind = approach.behind_on_red.take();
            approach.run = None;
            if crossed.direction == Direction::Forward {
                approach.run = self.run(crossed, behind, frame);
            }
        }
        if approach.crossing.behind().is_some_and(|b| b.at == spot.at) {
            approach.behind_on_red = (now.state == SignalState::Red).then_some((*spot, now.since));
        }
        // Not red any more, or nobody knows: this is no case.
        if now.state != SignalState::Red {
            approach.run = None;
        }
    }

    /// A crossing that may become a case.
    fn run(
        &self,
        crossed: Crossed,
        behind: Option<(Spot, EventTime)>,
        frame: &FrameView<'_>,
    ) -> Option<Run> {
        let at_crossing = frame.signals.at(&self.signal, crossed.at);
        let (behind, red_then) = behind?;
        let is_case = at_crossing.state == SignalState::Red
            && crossed.at.since(at_crossing.since).0 >= self.grace_s
            // Behind the line in this very red phase.
            && red_then == at_crossing.since;
        is_case.then(|| Run {
            crossed,
            on_line: frame.sight.spot(
                crossed.foot,
                f64::midpoint(crossed.before.height, crossed.after.height),
                FrameTime {
                    frame: crossed.after.at.frame,
                    time: crossed.at,
                },
            ),
            red_since: at_crossing.since,
            behind,
        })
    }

    /// The event, if the vehicle has driven far enough.
    fn judge(&self, run: &Run, user: &Observation, frame: &FrameView<'_>) -> Option<Onset> {
        let way = run.on_line.way_to(&user.spot);
        let (basis, travelled) = (way.basis, way.vector.length());
        if travelled < self.min_travel.of(basis) {
            return None;
        }
        let crossed = &run.crossed;
        let red_for = crossed.at.since(run.red_since).0;
        let at_line = Span::new(crossed.before.at, crossed.after.at);
        let beyond = Span::new(crossed.after.at, frame.at);
        let red = SignalState::Red.as_str();
        let explanation = vec![
            explain::is(
                explain::name(
                    "signal_at_crossing",
                    "Trạng thái đèn khi vượt vạch dừng",
                    "Signal when the stop line was crossed",
                ),
                red,
                red,
                at_line,
            ),
            explain::number(
                explain::name(
                    "red_for_at_crossing",
                    "Đèn đã đỏ trước khi vượt vạch",
                    "Red for, before the crossing",
                ),
                (red_for, Comparison::AtLeast, self.grace_s),
                "s",
                at_line,
            ),
            explain::number(
                (
                    "behind_line_on_red",
                    format!(
                        "Khoảng cách trước vạch khi đèn đã đỏ ({})",
                        Basis::Picture.vi()
                    ),
                    format!(
                        "Distance behind the line while already red ({})",
                        Basis::Picture.en()
                    ),
                ),
                (crossed.before_heights, Comparison::MoreThan, BAND_HEIGHTS),
                Basis::Picture.unit(),
                Span::at(run.behind.at),
            ),
            explain::number(
                (
                    "travel_beyond_line",
                    format!("Quãng đường đi tiếp sau vạch ({})", basis.vi()),
                    format!("Travel beyond the line ({})", basis.en()),
                ),
                (travelled, Comparison::AtLeast, self.min_travel.of(basis)),
                basis.unit(),
                beyond,
            ),
            explain::is(
                explain::name(
                    "signal_during_travel",
                    "Trạng thái đèn khi đi tiếp",
                    "Signal during that travel",
                ),
                red,
                red,
                beyond,
            ),
        ];
        let mut facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("basis", basis.as_str().into()),
            ("red_for_s", red_for.into()),
            ("signal_group", self.signal.as_str().into()),
        ]);
        if let Some(speed) = user.motion.and_then(|motion| motion.ground_speed()) {
            facts.insert("speed_kmh".to_owned(), Value::from(rounded(speed.0, 1)));
        }
        Some(Onset {
            subject: user.track,
            onset: crossed.at,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts,
            explanation,
            // Before the line, past the line, further on.
            evidence: vec![crossed.before.at, crossed.after.at],
        })
    }
}

impl Rule for RedLight {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.line.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let gate = Gate::new(&self.line, frame.sight.aspect);
        let mut approaches = std::mem::take(&mut self.approaches);
        for user in frame.users {
            let approach = approaches.entry(user.track).or_insert_with(|| {
                // The sightings from before the track was believed count too.
                let mut approach = Approach::default();
                for spot in frame.trail(user).iter().filter(|s| s.at != frame.at) {
                    self.see(&mut approach, &gate, spot, frame);
                }
                approach
            });
            self.see(approach, &gate, &user.spot, frame);
            let Some(run) = approach.run else {
                continue;
            };
            if frame.at.time.since(run.crossed.at).0 > self.max_travel_s {
                approach.run = None;
            } else if !approach.raised
                && self.classes.contains(&user.class)
                && let Some(onset) = self.judge(&run, user, frame)
            {
                approach.raised = true;
                approach.run = None;
                // Begun and ended at once: nothing will be added to it.
                let _over = report.raise(onset);
            }
        }
        self.approaches = approaches;
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.approaches.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.approaches.clear();
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
