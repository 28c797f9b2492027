//! A stop line that is crossed on red: what `red_light` and `stop_line` have in common.
//!
//! What crosses is the front of the vehicle where the camera is calibrated
//! ([`crate::stance`]), and its contact point otherwise. Who has not been seen
//! to move yet is taken to face the line, which is the side that accuses later.

use std::collections::BTreeMap;

use protocol::event::{Comparison, FrameTime, Value};
use protocol::id::SignalGroupId;
use protocol::signal::SignalSource;
use protocol::{EventTime, Point, Predicate, SignalState, TimeQuality};

use super::explain::{self, Span};
use super::{Form, Param, Params};
use crate::config::Line;
use crate::coverage::Unwatched;
use crate::crossing::{Crossed, Crossing, Direction, Gate};
use crate::geometry::Vector;
use crate::observation::{Basis, FrameView, Observation};
use crate::signals::Showing;
use crate::tracker::Spot;

pub(super) const LINE: Param = Param::new(
    "line",
    Form::Line,
    "the stop line; forward is into the junction",
);
pub(super) const SIGNAL: Param = Param::new(
    "signal",
    Form::Signal,
    "the signal group that governs this movement",
);
pub(super) const GRACE: Param = Param::number(
    "grace_s",
    (0.5, "s"),
    (0.0, 10.0),
    "for how long it must have been red at the crossing",
);
pub(super) const CLOCK_MARGIN: Param = Param::number(
    "clock_margin_s",
    (1.0, "s"),
    (0.0, 10.0),
    "how far the clocks of controller and camera may differ; unless written, 0 where the \
     signal is read from the lamps or recorded, and no accusation where a controller's \
     word meets pictures that are not timed by RTCP",
);

/// A stop line and the signal before which it holds.
#[derive(Clone, Debug)]
pub(super) struct StopLine {
    pub(super) line: Line,
    pub(super) signal: SignalGroupId,
    grace_s: f64,
    clock_margin: ClockMargin,
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

/// The line at one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    gate: Gate,
    /// Unit vector on the ground at a right angle to the line, forwards.
    normal: Option<Vector>,
    clock: TimeQuality,
}

/// One vehicle and the line.
#[derive(Clone, Debug, Default)]
pub(super) struct Approach {
    crossing: Crossing,
    /// The last sighting definitely behind the line, with the instant since
    /// which it was red then.
    behind_on_red: Option<Behind>,
    /// Where its box ended at the last looks, on average, and when that was.
    edges: Option<(Edges, EventTime)>,
    /// How long it was taken to be when this approach began, m.
    length: Option<f64>,
    /// Where its front was at the last look, and how it moved then, m/s.
    front: Option<(Spot, Option<Vector>)>,
    /// A crossing on red; over when it is not red any more.
    pub(super) run: Option<Run>,
}

/// A sighting definitely behind the line on red.
#[derive(Clone, Copy, Debug)]
struct Behind {
    spot: Spot,
    red_since: EventTime,
    /// Unknown of sightings from before the track was believed.
    edges: Option<Edges>,
    /// How it moved then, m/s.
    moved: Option<Vector>,
}

/// Where a box ends in the isotropic picture.
#[derive(Clone, Copy, Debug)]
struct Edges {
    top: f64,
    bottom: f64,
    left: f64,
    right: f64,
}

/// Over this time edges are averaged, s.
const EDGES_OVER_S: f64 = 0.4;
/// When the lower edge of a box moves, another must move by this part of that
/// at least. It is a quarter for a bus that leaves a camera on a high pole, and
/// nothing for what is covered from below.
const AS_A_WHOLE: f64 = 0.2;

/// A shorter way of the lower edge than this part of the height proves nothing.
const LEAST_WAY: f64 = 0.15;
/// A front goes no farther between looks than this, m …
const LEAP_M: f64 = 2.5;
/// … and this many times what its speed says.
const LEAP_PACE: f64 = 2.0;
/// Out of sight for longer than this, a front is looked for where its motion
/// leads, s …
const UNWATCHED_S: f64 = 0.6;
/// … and as far from that as tyres hold, m/s².
const MOST_PULL: f64 = 8.0;
/// Sides count by this part.
const SIDES_COUNT: f64 = 0.4;
/// Who is longer or shorter than before by more than this was taken for
/// something else before, or is somebody else: its front leapt.
const OTHER_LENGTH: f64 = 1.2;

impl Edges {
    fn of(user: &Observation, aspect: f64) -> Self {
        Self {
            top: user.bounds.y,
            bottom: user.bounds.bottom(),
            left: user.bounds.x * aspect,
            right: user.bounds.right() * aspect,
        }
    }

    fn towards(self, other: &Self, share: f64) -> Self {
        let mix = |a: f64, b: f64| a + share * (b - a);
        Self {
            top: mix(self.top, other.top),
            bottom: mix(self.bottom, other.bottom),
            left: mix(self.left, other.left),
            right: mix(self.right, other.right),
        }
    }

    /// How much of the way of the lower edge the upper edge went, or both sides; 1 for all.
    fn moved_as_a_whole(&self, later: &Self) -> f64 {
        let way = |a: f64, b: f64| (a - b).abs();
        let sides = way(self.left, later.left).min(way(self.right, later.right));
        // Who drives sideways moves both sides by more than the lower edge; who
        // is covered from below and from one side moves one, and jitters.
        let moved = way(self.top, later.top).max(SIDES_COUNT * sides);
        (moved / way(self.bottom, later.bottom).max(1e-4)).min(1.0)
    }
}

/// A crossing on red.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) crossed: Crossed,
    on_line: Spot,
    /// In what distances from the line are measured, of this crossing for good.
    pub(super) basis: Basis,
    /// How far behind the line it was, and at least had to be.
    behind_by: (f64, f64),
    red_since: EventTime,
    behind: Behind,
    /// How much of the way of the lower edge the rest of the box went since `behind`.
    as_a_whole: Option<f64>,
    /// How far it was beyond what its motion before the line explains, at the worst
    /// since then, m.
    unexplained: Option<f64>,
    /// Where its box ended when it was first seen definitely beyond the line.
    at_line: Option<Edges>,
    at_crossing: SignalState,
    /// At the newest sighting; a run is over when it is not red.
    during: SignalState,
    /// By how much the clocks may differ, s, at the worst since the crossing.
    margin: f64,
}

impl Run {
    /// For how long it had been red when the line was crossed, s.
    pub(super) fn red_for(&self) -> f64 {
        self.crossed.at.since(self.red_since).0
    }

    /// How far beyond the line a spot is, at a right angle to it, in the basis
    /// of this crossing; `None` for a spot that cannot be measured in it.
    pub(super) fn beyond(&self, spot: &Spot, view: &View) -> Option<f64> {
        match self.basis {
            Basis::Ground => view.metres_beyond(&self.on_line, spot),
            Basis::Picture => Some(view.gate.travel(&self.on_line, spot)),
        }
    }
}

impl View {
    /// How far beyond a spot on the line another is, at a right angle to it, m.
    fn metres_beyond(&self, on_line: &Spot, spot: &Spot) -> Option<f64> {
        let way = spot.ground? - on_line.ground?;
        Some(self.normal?.dot(way))
    }

    /// In what a crossing is measured, and how far behind the line the vehicle
    /// was and at least had to be: in metres if all of it is on the ground.
    fn measure(&self, crossed: &Crossed, on_line: &Spot) -> (Basis, (f64, f64)) {
        let behind = self.metres_beyond(on_line, &crossed.before);
        let after = self.metres_beyond(on_line, &crossed.after);
        match (behind, after) {
            (Some(behind), Some(_)) if behind < 0.0 => {
                // The band is one of box heights; here it is worth so many metres.
                let height = -behind / crossed.before_heights.max(1e-6);
                let least = crossed.least_before_heights * height;
                (Basis::Ground, (-behind, least))
            }
            _ => (
                Basis::Picture,
                (crossed.before_heights, crossed.least_before_heights),
            ),
        }
    }
}

impl StopLine {
    /// Reads [`LINE`], [`SIGNAL`], [`GRACE`] and [`CLOCK_MARGIN`].
    pub(super) fn read(params: &mut Params<'_, '_>) -> Option<Self> {
        let line = params.line("line");
        let signal = params.signal("signal");
        let grace_s = params.number("grace_s");
        let margin = params.number("clock_margin_s");
        Some(Self {
            line: line?,
            signal: signal?,
            grace_s,
            clock_margin: ClockMargin {
                by_default: margin,
                written: params.is_written("clock_margin_s").then_some(margin),
            },
        })
    }

    /// The line as this frame sees it.
    pub(super) fn view(&self, frame: &FrameView<'_>, clock: TimeQuality) -> View {
        View {
            gate: Gate::new(&self.line, frame.sight.aspect),
            normal: self.ground_normal(frame),
            clock,
        }
    }

    /// Why no crossing on red could be found at this frame.
    pub(super) fn blind(&self, frame: &FrameView<'_>) -> Option<Unwatched> {
        let showing = frame.signals.at(&self.signal, frame.at.time);
        (showing.state == SignalState::Unknown).then_some(Unwatched::SignalUnknown)
    }

    /// Follows one vehicle by one frame; where its front is now, if that can be said.
    pub(super) fn follow(
        &self,
        approach: &mut Option<Approach>,
        user: &Observation,
        view: &View,
        frame: &FrameView<'_>,
    ) -> Option<Spot> {
        let length = frame.size(user).map(|size| size.length);
        let is_other = approach.as_ref().is_some_and(|known| {
            known
                .length
                .zip(length)
                .is_some_and(|(then, now)| now > OTHER_LENGTH * then || then > OTHER_LENGTH * now)
        });
        if frame.sight.ground.is_some() && is_other {
            *approach = Some(Approach {
                length,
                ..Approach::default()
            });
        }
        let approach = approach.get_or_insert_with(|| {
            // The sightings from before the track was believed count too.
            let mut approach = Approach::default();
            for spot in frame.trail(user).iter().filter(|s| s.at != frame.at) {
                if let Some(front) = frame.front_at(spot, user, view.normal, f64::INFINITY) {
                    self.see(&mut approach, &front, view, frame);
                }
            }
            approach
        });
        approach.length = approach.length.or(length);
        let longest = approach.length.unwrap_or(f64::INFINITY);
        let front = frame.front_of_length(user, view.normal, longest)?;
        if approach
            .front
            .is_some_and(|last| has_leapt(last, &front, user))
        {
            *approach = Approach {
                length: approach.length,
                edges: approach.edges,
                ..Approach::default()
            };
        }
        approach.front = Some((front, user.motion.and_then(|motion| motion.ground)));
        let edges = Edges::of(user, frame.sight.aspect);
        let edges = approach.edges.map_or(edges, |(lately, at)| {
            let passed = frame.at.time.since(at).0.max(0.0);
            lately.towards(&edges, 1.0 - libm::exp(-passed / EDGES_OVER_S))
        });
        approach.edges = Some((edges, frame.at.time));
        self.see(approach, &front, view, frame);
        let moved = user.motion.and_then(|motion| motion.ground);
        if let Some(behind) = &mut approach.behind_on_red
            && behind.spot.at == frame.at
        {
            behind.moved = moved;
        }
        if let Some(run) = &mut approach.run {
            run.unexplained = run
                .behind
                .unexplained(&front)
                .map(|far| far.max(run.unexplained.unwrap_or(0.0)));
            let at_line = *run.at_line.get_or_insert(edges);
            let behind = run.behind.edges;
            run.as_a_whole = behind.map(|behind| {
                let whole = behind.moved_as_a_whole(&edges);
                // Of a short way, most is jitter.
                if (at_line.bottom - edges.bottom).abs() > LEAST_WAY * user.bounds.height {
                    whole.min(at_line.moved_as_a_whole(&edges))
                } else {
                    whole
                }
            });
        }
        Some(front)
    }

    /// Takes one sighting of a vehicle, now or from its trail.
    fn see(&self, approach: &mut Approach, spot: &Spot, view: &View, frame: &FrameView<'_>) {
        let crossed = approach.crossing.observe(&view.gate, spot);
        let now = frame.signals.at(&self.signal, spot.at.time);
        if let Some(crossed) = crossed {
            let behind = approach.behind_on_red.take();
            approach.run = None;
            if crossed.direction == Direction::Forward {
                approach.run = self.run(crossed, behind, view, frame);
            }
        }
        if approach.crossing.behind().is_some_and(|b| b.at == spot.at) {
            let edges = approach.edges.filter(|(_, at)| *at == spot.at.time);
            approach.behind_on_red = (now.state == SignalState::Red).then_some(Behind {
                spot: *spot,
                red_since: now.since,
                edges: edges.map(|(edges, _)| edges),
                moved: None,
            });
        }
        approach.run = approach
            .run
            .and_then(|run| self.go_on(&run, now, view.clock));
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
        behind: Option<Behind>,
        view: &View,
        frame: &FrameView<'_>,
    ) -> Option<Run> {
        let at_crossing = frame.signals.at(&self.signal, crossed.at);
        let margin = self.clock_margin.of(at_crossing.source?, view.clock)?;
        let behind = behind?;
        let is_case = at_crossing.state == SignalState::Red
            && crossed.at.since(at_crossing.since).0 - margin >= self.grace_s
            // Behind the line in this very red phase.
            && behind.red_since == at_crossing.since;
        let on_line = frame.sight.spot(
            crossed.foot,
            f64::midpoint(crossed.before.height, crossed.after.height),
            FrameTime {
                frame: crossed.after.at.frame,
                time: crossed.at,
            },
        );
        let (basis, behind_by) = view.measure(&crossed, &on_line);
        is_case.then_some(Run {
            crossed,
            on_line,
            basis,
            behind_by,
            red_since: at_crossing.since,
            behind,
            as_a_whole: None,
            unexplained: None,
            at_line: None,
            at_crossing: at_crossing.state,
            during: at_crossing.state,
            margin,
        })
    }

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

    /// Signal and line in numbers, for a run up to the frame `now`.
    pub(super) fn explain(&self, run: &Run, now: FrameTime) -> Vec<Predicate> {
        let crossed = &run.crossed;
        let red_after = now.time.since(crossed.at).0;
        let red_for = run.red_for();
        let at_line = Span::new(crossed.before.at, crossed.after.at);
        let red = SignalState::Red.as_str();
        let as_a_whole = run.as_a_whole.map(|part| {
            explain::number(
                explain::name(
                    "moved_as_a_whole",
                    "Mép trên hoặc hai bên khung đi theo mép dưới (không phải bị che từ dưới)",
                    "Upper edge or both sides of the box moved with the lower edge (it was not \
                     covered from below), as part of its way",
                ),
                (part, Comparison::AtLeast, AS_A_WHOLE),
                "",
                Span::new(run.behind.spot.at, now),
            )
        });
        let unexplained = run.unexplained.map(|far| {
            explain::number(
                explain::name(
                    "beyond_its_motion",
                    "Vượt quá nơi chuyển động trước vạch và lốp xe cho phép (khung không nhảy sang chỗ khác)",
                    "Farther than its motion before the line and what tyres hold explain (its box \
                     did not leap)",
                ),
                (far, Comparison::AtMost, LEAP_M),
                "m",
                Span::new(run.behind.spot.at, now),
            )
        });
        let at_the_line = [
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
                    format!("Khoảng cách trước vạch khi đèn đã đỏ ({})", run.basis.vi()),
                    format!(
                        "Distance behind the line while already red ({})",
                        run.basis.en()
                    ),
                ),
                (run.behind_by.0, Comparison::MoreThan, run.behind_by.1),
                run.basis.unit(),
                Span::at(run.behind.spot.at),
            ),
        ];
        let moved = as_a_whole.into_iter().chain(unexplained);
        at_the_line.into_iter().chain(moved).collect()
    }

    /// Signal and line for people who look at the stills: whose lamps, who says
    /// what they showed and how surely, at each of the stills (by name, with
    /// its time) the state and for how long it had been that, and where in the
    /// picture the line was crossed.
    pub(super) fn facts<const N: usize>(
        &self,
        run: &Run,
        stills: [(&str, EventTime); N],
        frame: &FrameView<'_>,
    ) -> BTreeMap<String, Value> {
        let showing = frame.signals.at(&self.signal, run.crossed.at);
        let foot = run.crossed.foot;
        let mut facts = explain::facts([
            ("basis", run.basis.as_str().into()),
            ("crossing_x", foot.x.into()),
            ("crossing_y", foot.y.into()),
            ("line", self.line.id.as_str().into()),
            ("red_for_s", run.red_for().into()),
            ("signal_at_crossing", run.at_crossing.as_str().into()),
            ("signal_confidence", showing.confidence.into()),
            ("signal_group", self.signal.as_str().into()),
        ]);
        if let Some(source) = showing.source {
            facts.insert("signal_source".to_owned(), source.as_str().into());
        }
        for (name, time) in stills {
            let showing = frame.signals.at(&self.signal, time);
            let lasted = time.since(showing.since).0;
            facts.insert(format!("signal_{name}"), showing.state.as_str().into());
            facts.insert(format!("signal_for_{name}_s"), lasted.into());
        }
        facts
    }

    /// What the signal showed since the crossing.
    pub(super) fn still_red(run: &Run, now: FrameTime) -> Predicate {
        explain::is(
            explain::name(
                "signal_during_travel",
                "Trạng thái đèn khi đi tiếp",
                "Signal during that travel",
            ),
            run.during.as_str(),
            SignalState::Red.as_str(),
            Span::new(run.crossed.after.at, now),
        )
    }
}

impl Behind {
    /// How far a front is beyond where the motion behind the line can have brought it, m.
    fn unexplained(&self, front: &Spot) -> Option<f64> {
        let way = front.ground? - self.spot.ground?;
        let passed = front.at.time.since(self.spot.at.time).0.max(0.0);
        let moved = self.moved?;
        let mut off = way - moved * passed;
        // To be short of it is to brake, and speaks for nobody else.
        if let Some(course) = moved.unit() {
            off = off - course * off.dot(course).min(0.0);
        }
        Some(beyond_tyres(off, passed))
    }
}

/// How much of a way off an even motion is more than tyres hold, m.
fn beyond_tyres(off: Vector, passed: f64) -> f64 {
    (off.length() - MOST_PULL / 2.0 * passed * passed).max(0.0)
}

/// Whether a front went farther than its motion explains: the box lost or won
/// a part of the vehicle, or the id changed bodies.
fn has_leapt((from, moved): (Spot, Option<Vector>), to: &Spot, user: &Observation) -> bool {
    let (Some(from_place), Some(to_place)) = (from.ground, to.ground) else {
        return false;
    };
    let way = to_place - from_place;
    let passed = to.at.time.since(from.at.time).0.max(0.0);
    if passed > UNWATCHED_S {
        // The way over a hole is part of the motion that is known now: what it
        // was before says where the same vehicle can be, and nothing else does.
        return moved.is_none_or(|moved| beyond_tyres(way - moved * passed, passed) > LEAP_M);
    }
    let speed = user.motion.and_then(|motion| motion.ground);
    speed.is_some_and(|speed| way.length() > LEAP_M + LEAP_PACE * speed.length() * passed)
}
