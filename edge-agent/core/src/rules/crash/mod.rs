#![doc = include_str!("README.md")]

mod jolt;

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Comparison, FrameTime, Severity, Value};
use protocol::units::rounded;
use protocol::{ObjectClass, Point, TrackId, ZoneId};

use self::jolt::Jolt;
use super::explain::{self, Span};
use super::{Case, EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::geometry::{IsoBox, Vector, polygon_contains};
use crate::observation::{Basis, FrameView, Observation};
use crate::stance::Size;
use crate::tracker::{Group, Spot};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "crash",
    title: ("Va chạm giao thông", "Crash"),
    summary: (
        "Hai xe dừng đột ngột sát nhau, hoặc có người ngã; là điểm số để người xem xét",
        "Two vehicles come to rest suddenly against each other, or a rider lies down; a score for review",
    ),
    severity: Severity::Critical,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "where"),
        Param::number(
            "min_score",
            (0.6, ""),
            (0.0, 1.0),
            "at least this score, see the guide",
        ),
        Param::number(
            "min_standing_s",
            (1.5, "s"),
            (0.5, 60.0),
            "both must have stood for this long",
        ),
        Param::number(
            "clear_after_s",
            (10.0, "s"),
            (1.0, 3_600.0),
            "it is over when neither has been seen to stand for this long",
        ),
    ],
    read,
};

/// A jolt belongs to a rest that began within this time, s.
const RECENT_S: f64 = 5.0;
/// Pairs farther apart are no pair, m and box heights.
const NEAR: (f64, f64) = (12.0, 4.0);
/// Hidden for longer, it is not known to stand, s.
const HIDDEN_S: f64 = 4.0;
/// Courses that differ by more cross, degrees.
const CROSSING_DEG: f64 = 35.0;
/// Its place must have been seen until this long ago, s.
const SEEN_BEFORE_S: f64 = 1.0;
/// A box this much wider than high is of somebody who lies.
const LIES: f64 = 1.3;
/// Near misses are told from this part of the score.
const NEAR_SCORE: f64 = 0.7;

/// What is known of a vehicle.
#[derive(Clone, Debug)]
struct Vehicle {
    track: TrackId,
    class: ObjectClass,
    spot: Spot,
    /// Where in the picture it stands, and on the ground.
    stand: Point,
    middle: Option<Vector>,
    /// How uncertain that is, m.
    blur: f64,
    /// Watched time at the last look that did not show where it stands.
    placeless_at: f64,
    bounds: IsoBox,
    jolt: Option<Jolt>,
    /// Watched time and frame of the jolt.
    jolted: (f64, FrameTime),
    noted: FrameTime,
    /// Watched time since which it stands.
    rests_since: Option<f64>,
    rested_at: FrameTime,
    seen: f64,
    /// Watched time since which nobody sees where it touches the ground.
    covered_since: Option<f64>,
}

/// The score and its parts, each 0 to 1.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    deceleration: f64,
    contact: f64,
    together: f64,
    broken_course: f64,
    rider_down: f64,
}

impl Score {
    fn total(&self) -> f64 {
        let sum = 0.45 * self.deceleration
            + 0.25 * self.contact
            + 0.15 * self.together
            + 0.15 * self.broken_course
            + 0.40 * self.rider_down;
        sum.min(1.0)
    }

    /// The predicate's name, with all that makes the score.
    fn name(&self) -> explain::Name<'static> {
        let [braking, contact, together, course, lies] = [
            self.deceleration,
            self.contact,
            self.together,
            self.broken_course,
            self.rider_down,
        ]
        .map(|part| rounded(part, 2));
        (
            "score",
            format!(
                "Điểm va chạm: 0,45 × phanh gấp {braking} + 0,25 × sát nhau {contact} + 0,15 × dừng cùng lúc \
                 {together} + 0,15 × lệch hướng {course} + 0,40 × người ngã {lies}"
            ),
            format!(
                "Crash score: 0.45 × deceleration {braking} + 0.25 × contact {contact} + 0.15 × at rest \
                 together {together} + 0.15 × broken course {course} + 0.40 × somebody lies {lies}"
            ),
        )
    }
}

/// 0 at `from`, 1 at `to`, straight in between.
fn ramp(value: f64, (from, to): (f64, f64)) -> f64 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

/// Two that came to rest together and may have crashed.
struct Pair {
    tracks: [TrackId; 2],
    /// For how long both have stood, s.
    standing_s: f64,
    score: Score,
}

#[derive(Clone, Debug)]
struct Running {
    tracks: [TrackId; 2],
    last: FrameTime,
    last_watched: f64,
    case: Case,
}

#[derive(Clone, Debug)]
struct Crash {
    zone: Zone,
    min_score: f64,
    min_standing_s: f64,
    clear_after_s: f64,
    vehicles: BTreeMap<TrackId, Vehicle>,
    raised: BTreeSet<TrackId>,
    running: Vec<Running>,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let min_score = params.number("min_score");
    let min_standing_s = params.number("min_standing_s");
    let clear_after_s = params.number("clear_after_s");
    Some(Box::new(Crash {
        zone: zone?,
        min_score,
        min_standing_s,
        clear_after_s,
        vehicles: BTreeMap::new(),
        raised: BTreeSet::new(),
        running: Vec::new(),
    }))
}

impl Crash {
    fn note(&mut self, frame: &FrameView<'_>) {
        let watched = frame.watched;
        for user in frame.users {
            if !matches!(user.group, Group::TwoWheeler | Group::FourWheeler) {
                continue;
            }
            let bounds = IsoBox::new(&user.bounds, frame.sight.aspect);
            let vehicle = self.vehicles.entry(user.track).or_insert_with(|| Vehicle {
                track: user.track,
                class: user.class,
                spot: user.spot,
                stand: user.spot.foot,
                middle: None,
                blur: 0.0,
                placeless_at: f64::NEG_INFINITY,
                bounds,
                jolt: None,
                jolted: (watched, frame.at),
                noted: frame.at,
                rests_since: None,
                rested_at: frame.at,
                seen: watched,
                covered_since: None,
            });
            vehicle.class = user.class;
            vehicle.spot = user.spot;
            vehicle.stand = frame.stand(user);
            vehicle.middle = user.footprint;
            vehicle.blur = frame.sight.blur(&user.spot).unwrap_or(0.0);
            vehicle.bounds = bounds;
            vehicle.seen = watched;
            if frame.middle(user).is_none() {
                vehicle.placeless_at = watched;
            }
            if frame.is_covered(user) {
                vehicle.covered_since.get_or_insert(watched);
            } else {
                vehicle.covered_since = None;
            }
            // Who is covered by what it ran into was seen until then.
            let was_seen = vehicle
                .covered_since
                .is_none_or(|since| watched - since < SEEN_BEFORE_S);
            let trail = frame.trail(user);
            if let Some(newest) = trail.back()
                && newest.at.time > vehicle.noted.time
            {
                vehicle.noted = newest.at;
                // Nor does it brake whose box the picture's edge cut meanwhile.
                let had_place = watched - vehicle.placeless_at > jolt::LONGEST_S;
                let is_old = !(0.0..=RECENT_S).contains(&(watched - vehicle.jolted.0))
                    && vehicle.rests_since.is_none();
                let blur = match user.spot.ground {
                    Some(_) => vehicle.blur,
                    None => 0.02,
                };
                if let Some(jolt) = jolt::newest(trail, blur)
                    && was_seen
                    && had_place
                    && (is_old
                        || vehicle
                            .jolt
                            .is_none_or(|known| jolt.deceleration > known.deceleration))
                {
                    vehicle.jolt = Some(jolt);
                    vehicle.jolted = (watched, frame.at);
                }
            }
            if !frame.queue.stands(user.track) {
                vehicle.rests_since = None;
            } else if vehicle.rests_since.is_none() {
                vehicle.rests_since = Some(watched);
                vehicle.rested_at = frame.at;
            }
            // A frozen picture's time was taken back.
            vehicle.rests_since = vehicle.rests_since.map(|since| since.min(watched));
        }
    }

    fn decide(&mut self, pair: &Pair, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let Pair {
            tracks: [first, second],
            standing_s,
            ref score,
        } = *pair;
        let (a, b) = (&self.vehicles[&first], &self.vehicles[&second]);
        let hardest = [a, b]
            .into_iter()
            .filter_map(|v| Some((v, v.jolt?)))
            .max_by(|x, y| x.1.deceleration.total_cmp(&y.1.deceleration));
        let (began, before, deceleration) = hardest.map_or((a.rested_at, None, None), |(v, j)| {
            (v.jolted.1, Some(j), Some(j.deceleration))
        });
        let span = Span::new(began, frame.at);
        let user = [first, second]
            .into_iter()
            .find_map(|track| frame.find(track));
        let Some(user) = user else {
            return;
        };
        let explanation = vec![
            explain::number(
                score.name(),
                (score.total(), Comparison::AtLeast, self.min_score),
                "",
                span,
            ),
            explain::number(
                explain::name(
                    "both_stand_for",
                    "Cả hai xe đứng yên",
                    "Both vehicles have stood for",
                ),
                (standing_s, Comparison::AtLeast, self.min_standing_s),
                "s",
                span,
            ),
            explain::number(
                explain::name(
                    "contact",
                    "Mức độ sát nhau (0: cách xa, 1: chạm)",
                    "How close they stand (0: apart, 1: touching)",
                ),
                (score.contact, Comparison::MoreThan, 0.0),
                "",
                Span::at(frame.at),
            ),
            explain::is(
                explain::name(
                    "in_zone",
                    "Một trong hai xe nằm trong vùng",
                    "One of the two is in the zone",
                ),
                self.is_in_zone(a) || self.is_in_zone(b),
                true,
                Span::at(frame.at),
            ),
        ];
        let mut facts = explain::facts([
            ("score", score.total().into()),
            ("score_deceleration", score.deceleration.into()),
            ("score_contact", score.contact.into()),
            ("score_together", score.together.into()),
            ("score_broken_course", score.broken_course.into()),
            ("score_rider_down", score.rider_down.into()),
        ]);
        if let (Some(jolt), Some(value)) = (before, deceleration) {
            let (speed, key) = match jolt.basis {
                Basis::Ground => (jolt.before * 3.6, "deceleration_m_s2"),
                Basis::Picture => (jolt.before, "deceleration_heights_s2"),
            };
            facts.insert(key.to_owned(), Value::from(value));
            if jolt.basis == Basis::Ground {
                facts.insert("speed_before_kmh".to_owned(), Value::from(speed));
            }
        }
        let others = frame.find(if user.track == first { second } else { first });
        let actors = std::iter::once(user).chain(others);
        let case = report.decide(Onset {
            subject: first.min(second),
            onset: began.time,
            decided: frame.at,
            ended: None,
            actors: actors.map(|user| frame.actor(user)).collect(),
            facts,
            explanation,
            evidence: vec![began, a.rested_at, b.rested_at],
        });
        if let Some(case) = case {
            self.raised.extend([first, second]);
            self.running.push(Running {
                tracks: [first, second],
                last: frame.at,
                last_watched: frame.watched,
                case,
            });
        }
    }

    fn is_in_zone(&self, vehicle: &Vehicle) -> bool {
        polygon_contains(&self.zone.points, vehicle.stand)
    }

    fn follow(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        for mut running in std::mem::take(&mut self.running) {
            running.last_watched = running.last_watched.min(frame.watched);
            let stands = |track: &TrackId| {
                self.vehicles
                    .get(track)
                    .is_some_and(|v| v.rests_since.is_some())
            };
            if running.tracks.iter().any(stands) {
                running.last = frame.at;
                running.last_watched = frame.watched;
            }
            if frame.watched - running.last_watched > self.clear_after_s {
                let reason = if running.tracks.iter().any(|track| frame.shows(*track)) {
                    EndReason::Left
                } else {
                    EndReason::LostFromView
                };
                running
                    .case
                    .close(running.last.time, reason, BTreeMap::new(), report);
            } else {
                self.running.push(running);
            }
        }
    }
}

/// How long both have stood, if they do and are near each other.
fn rest_together(a: &Vehicle, b: &Vehicle, watched: f64) -> Option<f64> {
    let (since_a, since_b) = (a.rests_since?, b.rests_since?);
    let is_hidden = |v: &Vehicle| watched - v.seen > HIDDEN_S;
    let way = a.spot.way_to(&b.spot);
    let near = match way.basis {
        Basis::Ground => NEAR.0,
        Basis::Picture => NEAR.1,
    };
    let fits = !is_hidden(a) && !is_hidden(b) && way.vector.length() <= near;
    fits.then(|| (watched - since_a).min(watched - since_b))
}

fn score(a: &Vehicle, b: &Vehicle, frame: &FrameView<'_>) -> Score {
    let recent = |v: &Vehicle| {
        let rests = v.rests_since.unwrap_or(frame.watched);
        v.jolt
            .filter(|_| (-RECENT_S..=RECENT_S).contains(&(rests - v.jolted.0)))
    };
    let (jolt_a, jolt_b) = (recent(a), recent(b));
    let hardness = |jolt: Option<Jolt>| {
        jolt.map_or(0.0, |jolt| match jolt.basis {
            Basis::Ground => ramp(jolt.deceleration, (4.0, 9.0)),
            Basis::Picture => ramp(jolt.deceleration, (3.0, 7.0)),
        })
    };
    let contact = if let (Some(from), Some(to)) = (a.middle, b.middle) {
        let between = to - from;
        let extent = |v: &Vehicle| {
            let (length, width) = Size::usual(v.class)
                .map_or((1.0, 0.5), |size| (size.length / 2.0, size.width / 2.0));
            // Along its course where that is known, else half-way.
            let along = frame
                .queue
                .course(v.track)
                .and_then(|course| course.ground?.dot(between.unit()?).abs().into())
                .unwrap_or(0.7);
            width + (length - width) * along
        };
        let blur = libm::sqrt(a.blur * a.blur + b.blur * b.blur);
        let gap = between.length() - extent(a) - extent(b) + blur;
        ramp(gap, (2.0, 0.0))
    } else {
        let smaller = (a.bounds.width * a.bounds.height)
            .min(b.bounds.width * b.bounds.height)
            .max(1e-12);
        ramp(a.bounds.overlap(&b.bounds) / smaller, (0.0, 0.15))
    };
    let apart = match (a.rests_since, b.rests_since) {
        (Some(a), Some(b)) => (a - b).abs(),
        _ => f64::INFINITY,
    };
    let crossed = jolt_a
        .zip(jolt_b)
        .is_some_and(|(a, b)| a.course.angle_degrees(b.course) > CROSSING_DEG);
    let thrown = [jolt_a, jolt_b]
        .into_iter()
        .flatten()
        .any(|jolt| jolt.is_thrown);
    Score {
        deceleration: hardness(jolt_a).max(hardness(jolt_b)),
        contact,
        together: ramp(apart, (5.0, 1.0)),
        broken_course: f64::from(u8::from(crossed || thrown)),
        rider_down: f64::from(u8::from(somebody_lies_near(a, b, frame))),
    }
}

/// Whether a person on foot lies within a few metres of either.
fn somebody_lies_near(a: &Vehicle, b: &Vehicle, frame: &FrameView<'_>) -> bool {
    let lies = |user: &&Observation| {
        let bounds = IsoBox::new(&user.bounds, frame.sight.aspect);
        user.class == ObjectClass::Person && bounds.width >= LIES * bounds.height
    };
    frame.users.iter().filter(lies).any(|user| {
        [a, b].iter().any(|vehicle| {
            let way = vehicle.spot.way_to(&user.spot);
            way.vector.length()
                <= match way.basis {
                    Basis::Ground => 4.0,
                    Basis::Picture => 1.5,
                }
        })
    })
}

impl Rule for Crash {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        self.note(frame);
        self.follow(frame, report);
        let near = report.wants_near_misses();
        let least = if near { NEAR_SCORE } else { 1.0 } * self.min_score;
        // Who was just jolted to rest, and for the other one whoever stands near.
        let resting: Vec<TrackId> = self
            .vehicles
            .iter()
            .filter(|(track, v)| v.rests_since.is_some() && !self.raised.contains(track))
            .map(|(track, _)| *track)
            .collect();
        let mut best: Option<Pair> = None;
        for (index, first) in resting.iter().enumerate() {
            for second in &resting[index + 1..] {
                let (a, b) = (&self.vehicles[first], &self.vehicles[second]);
                let Some(standing_s) = rest_together(a, b, frame.watched) else {
                    continue;
                };
                let is_fresh = standing_s <= self.min_standing_s + RECENT_S;
                if standing_s < self.min_standing_s
                    || !is_fresh
                    || !(self.is_in_zone(a) || self.is_in_zone(b))
                {
                    continue;
                }
                let score = score(a, b, frame);
                if score.total() >= least
                    && best
                        .as_ref()
                        .is_none_or(|known| score.total() > known.score.total())
                {
                    best = Some(Pair {
                        tracks: [*first, *second],
                        standing_s,
                        score,
                    });
                }
            }
        }
        if let Some(pair) = best {
            self.decide(&pair, frame, report);
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.vehicles.remove(&track);
        self.raised.remove(&track);
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        for running in self.running.drain(..) {
            running
                .case
                .close(running.last.time, reason, BTreeMap::new(), report);
        }
        self.vehicles.clear();
        self.raised.clear();
    }

    fn remembered(&self) -> usize {
        self.vehicles.len() + self.raised.len() + self.running.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
