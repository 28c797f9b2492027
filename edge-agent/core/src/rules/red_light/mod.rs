#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, FrameTime, Severity, Value};
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::units::rounded;
use protocol::{
    EventTime, ObjectClass, Point, Predicate, SignalState, TimeQuality, TrackId, ZoneId,
};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Line;
use crate::crossing::{BAND_HEIGHTS, Crossed, Crossing, Direction, Gate};
use crate::geometry::Vector;
use crate::input::{Gap, GapReason};
use crate::observation::{Basis, FrameView, Length, Observation};
use crate::signals::Showing;
use crate::tracker::Spot;

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
        Param::number(
            "clock_margin_s",
            (1.0, "s"),
            (0.0, 10.0),
            "how far the clocks of controller and camera may differ; unless written, 0 where the \
             signal is read from the lamps or recorded, and no accusation where a controller's \
             word meets pictures that are not timed by RTCP",
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
    clock_margin: ClockMargin,
    classes: Vec<ObjectClass>,
    approaches: BTreeMap<TrackId, Approach>,
}

/// How far the clocks of signal and pictures may differ, s.
#[derive(Clone, Copy, Debug)]
struct ClockMargin {
    by_default: f64,
    /// As the technician wrote it.
    written: Option<f64>,
}

impl ClockMargin {
    /// For a signal's source and the clock of the pictures; `None`: nobody knows.
    fn of(self, source: SignalSource, pictures: TimeQuality) -> Option<f64> {
        match (source, pictures) {
            _ if self.written.is_some() => self.written,
            (SignalSource::Lamp | SignalSource::Recording, _) | (_, TimeQuality::Media) => {
                Some(0.0)
            }
            (SignalSource::Mqtt, TimeQuality::Rtcp) => Some(self.by_default),
            (SignalSource::Mqtt, TimeQuality::Arrival | TimeQuality::Unknown) => None,
        }
    }
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
    at_crossing: SignalState,
    /// At the newest sighting; a run is over when it is not red.
    during: SignalState,
    /// By how much the clocks may differ, s, at the worst since the crossing.
    margin: f64,
}

impl Run {
    /// For how long it had been red when the line was crossed, s.
    fn red_for(&self) -> f64 {
        self.crossed.at.since(self.red_since).0
    }
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
    let margin = params.number("clock_margin_s");
    let clock_margin = ClockMargin {
        by_default: margin,
        written: params.is_written("clock_margin_s").then_some(margin),
    };
    Some(Box::new(RedLight {
        line: line?,
        signal: signal?,
        grace_s,
        min_travel,
        max_travel_s,
        clock_margin,
        classes: classes?,
        approaches: BTreeMap::new(),
    }))
}

impl RedLight {
    /// Takes one sighting of a vehicle, now or from its trail.
    fn see(
        &self,
        approach: &mut Approach,
        gate: &Gate,
        (spot, clock): (&Spot, TimeQuality),
        frame: &FrameView<'_>,
    ) {
        let crossed = approach.crossing.observe(gate, spot);
        let now = frame.signals.at(&self.signal, spot.at.time);
        if let Some(crossed) = crossed {
            let behind = approach.behind_on_red.take();
            approach.run = None;
            if crossed.direction == Direction::Forward {
                approach.run = self.run(crossed, behind, clock, frame);
            }
        }
        if approach.crossing.behind().is_some_and(|b| b.at == spot.at) {
            approach.behind_on_red = (now.state == SignalState::Red).then_some((*spot, now.since));
        }
        approach.run = approach.run.and_then(|run| self.go_on(&run, now, clock));
    }

    /// A run on which a vehicle was seen again. Not red any more, another red,
    /// or nobody knows whether or when: this is no case.
    fn go_on(&self, run: &Run, now: Showing, clock: TimeQuality) -> Option<Run> {
        let is_same_red = now.state == SignalState::Red && now.since <= run.crossed.at;
        let margin = self.clock_margin.of(now.source?, clock)?;
        is_same_red.then_some(Run {
            during: now.state,
            margin: run.margin.max(margin),
            ..*run
        })
    }

    /// A crossing that may become a case.
    fn run(
        &self,
        crossed: Crossed,
        behind: Option<(Spot, EventTime)>,
        clock: TimeQuality,
        frame: &FrameView<'_>,
    ) -> Option<Run> {
        let at_crossing = frame.signals.at(&self.signal, crossed.at);
        let margin = self.clock_margin.of(at_crossing.source?, clock)?;
        let (behind, red_then) = behind?;
        let is_case = at_crossing.state == SignalState::Red
            && crossed.at.since(at_crossing.since).0 - margin >= self.grace_s
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
            at_crossing: at_crossing.state,
            during: at_crossing.state,
            margin,
        })
    }

    /// How far beyond the line a spot is, at a right angle to it.
    fn beyond(&self, run: &Run, spot: &Spot, gate: &Gate, frame: &FrameView<'_>) -> (Basis, f64) {
        let way = run.on_line.way_to(spot);
        let on_ground = (way.basis == Basis::Ground)
            .then(|| self.ground_normal(frame))
            .flatten();
        match on_ground {
            Some(normal) => (Basis::Ground, normal.dot(way.vector)),
            None => (Basis::Picture, gate.travel(&run.on_line, spot)),
        }
    }

    /// Unit vector on the ground at a right angle to the line, forwards.
    fn ground_normal(&self, frame: &FrameView<'_>) -> Option<Vector> {
        let ground = |point| frame.sight.spot(point, 1.0, frame.at).ground;
        let Line {
            from, to, towards, ..
        } = self.line;
        let along = ground(to)? - ground(from)?;
        let normal = Vector::new(-along.y, along.x).unit()?;
        // A point forwards that is close to the line, so that it is on the
        // ground where `towards` is above the horizon.
        let near = |a: f64, b: f64, c: f64| {
            let middle = f64::midpoint(a, b);
            middle + (c - middle) * 0.01
        };
        let forwards = ground(Point {
            x: near(from.x, to.x, towards.x),
            y: near(from.y, to.y, towards.y),
        })? - ground(from)?;
        Some(if normal.dot(forwards) < 0.0 {
            normal * -1.0
        } else {
            normal
        })
    }

    /// The event, if the vehicle has driven far enough.
    fn judge(
        &self,
        run: &Run,
        user: &Observation,
        gate: &Gate,
        frame: &FrameView<'_>,
    ) -> Option<Onset> {
        let (basis, travelled) = self.beyond(run, &user.spot, gate, frame);
        let mut explanation = self.explain(run, (basis, travelled), frame.at);
        explanation.extend(explain::of_class(user, &self.classes, frame));
        if !explain::all_hold(&explanation) {
            return None;
        }
        let crossed = &run.crossed;
        let mut facts = explain::facts([
            ("class", user.class.as_str().into()),
            ("basis", basis.as_str().into()),
            ("red_for_s", run.red_for().into()),
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

    /// Signal, line and travel in numbers, up to the frame `now`.
    fn explain(
        &self,
        run: &Run,
        (basis, travelled): (Basis, f64),
        now: FrameTime,
    ) -> Vec<Predicate> {
        let crossed = &run.crossed;
        let red_after = now.time.since(crossed.at).0;
        let red_for = run.red_for();
        let at_line = Span::new(crossed.before.at, crossed.after.at);
        let beyond = Span::new(crossed.after.at, now);
        let red = SignalState::Red.as_str();
        vec![
            explain::is(
                explain::name(
                    "signal_at_crossing",
                    "Trạng thái đèn khi vượt vạch dừng",
                    "Signal when the stop line was crossed",
                ),
                run.at_crossing.as_str(),
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
                explain::name(
                    "clock_margin",
                    "Đồng hồ đèn và camera có thể lệch mà lúc vượt vẫn là đèn đỏ",
                    "How far the clocks of signal and camera may differ and it was still red",
                ),
                (
                    (red_for - self.grace_s).min(red_after),
                    Comparison::AtLeast,
                    run.margin,
                ),
                "s",
                Span::new(crossed.before.at, now),
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
                    format!("Quãng đường đi tiếp, vuông góc với vạch ({})", basis.vi()),
                    format!(
                        "Travel beyond the line, at a right angle to it ({})",
                        basis.en()
                    ),
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
                run.during.as_str(),
                red,
                beyond,
            ),
        ]
    }
}

impl Rule for RedLight {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.line.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let gate = Gate::new(&self.line, frame.sight.aspect);
        let clock = report.time_quality;
        let mut approaches = std::mem::take(&mut self.approaches);
        for user in frame.users {
            let approach = approaches.entry(user.track).or_insert_with(|| {
                // The sightings from before the track was believed count too.
                let mut approach = Approach::default();
                for spot in frame.trail(user).iter().filter(|s| s.at != frame.at) {
                    self.see(&mut approach, &gate, (spot, clock), frame);
                }
                approach
            });
            self.see(approach, &gate, (&user.spot, clock), frame);
            let Some(run) = approach.run else {
                continue;
            };
            if frame.at.time.since(run.crossed.at).0 > self.max_travel_s {
                approach.run = None;
            } else if !approach.raised
                && self.classes.contains(&user.class)
                && let Some(onset) = self.judge(&run, user, &gate, frame)
            {
                approach.raised = true;
                approach.run = None;
                // Begun and ended at once: nothing will be added to it.
                let _over = report.raise(onset);
            }
        }
        self.approaches = approaches;
    }

    fn interrupt(&mut self, gap: &Gap) {
        // A picture shown again and again has a vehicle wait where it waits no
        // more: whoever is beyond the line now may have crossed it on green.
        if gap.reason == GapReason::Frozen {
            for approach in self.approaches.values_mut() {
                *approach = Approach {
                    raised: approach.raised,
                    ..Approach::default()
                };
            }
        }
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
