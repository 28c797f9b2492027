//! Somebody stands where nobody may: what stopped vehicles, illegal stops and
//! parking, blocked junctions and debris have in common.
//!
//! The kinds differ in who is concerned, what excuses them and for how long;
//! that is what [`Watch`] is made of. Time with an excuse (a queue, a red
//! light, no cross traffic) is no dwell, and nobody is accused while excused.

mod handover;
mod stop;

use std::collections::BTreeSet;

use protocol::event::Comparison;
use protocol::id::SignalGroupId;
use protocol::{ObjectClass, Predicate, SignalState, TrackId, ZoneId};

use self::stop::{Look, Stop, Stops};
use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{Case, EndReason, Form, Onset, Param, Params, Reporter, Rule};
use crate::config::Zone;
use crate::coverage::Unwatched;
use crate::geometry::{IsoBox, polygon_contains};
use crate::observation::{FrameView, Length, Observation};

/// Least part of the dwell's looks that must show the contact point in the
/// zone: who stands on its edge is not in it.
const LEAST_INSIDE: f64 = 0.9;
/// With this part of the votes for an exempt class it may be one, and nobody
/// is accused who may be exempt.
const MAY_BE_EXEMPT: f64 = 0.3;
/// A blob is not alone when this part of it is behind a person or vehicle.
const ALONE: f64 = 0.2;
/// A dwell of this part of the threshold is worth telling as a near miss.
pub(super) const NEAR_DWELL: f64 = 0.5;

/// What explains that somebody stands.
#[derive(Clone, Debug)]
pub(super) enum Excuse {
    /// Standing in a queue or before a red stop line, for at most so many seconds.
    Queue(f64),
    /// Cross traffic of this signal group has no green, so nobody is in its way.
    NoCrossTraffic(SignalGroupId),
    /// Nothing does.
    None,
}

/// Those who may stand in the zone all the same.
#[derive(Clone, Debug, Default)]
struct Exempt {
    /// Where; everywhere if empty.
    zones: Vec<Zone>,
    /// Who; everybody if empty, in these zones.
    classes: Vec<ObjectClass>,
}

/// A zone in which somebody may not stand.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    pub(super) zone: Zone,
    pub(super) classes: Vec<ObjectClass>,
    exempt: Exempt,
    pub(super) excuse: Excuse,
    pub(super) min_dwell_s: f64,
    pub(super) update_every_s: f64,
    /// Beyond the zone's edge, for who has been in the zone.
    pub(super) beyond: Option<Length>,
    /// Only what no person or vehicle stands before or on.
    pub(super) only_alone: bool,
    stops: Stops,
    /// Tracks that have been in the zone, where `beyond` asks for it.
    been_inside: BTreeSet<TrackId>,
}

/// The keys that every kind of standing has.
pub(super) const RADIUS: [Param; 4] = [
    Param::number(
        "radius_m",
        (2.0, "m"),
        (0.2, 20.0),
        "it stands while it stays within this (calibrated cameras)",
    ),
    Param::number(
        "radius_heights",
        (0.35, "box heights"),
        (0.05, 3.0),
        "it stands while it stays within this (without calibration)",
    ),
    Param::number(
        "keep_s",
        (60.0, "s"),
        (0.0, 3_600.0),
        "for how long its place is remembered while it is hidden",
    ),
    Param::number(
        "update_every_s",
        (60.0, "s"),
        (0.0, 86_400.0),
        "how often a running event is brought up to date; 0 for never",
    ),
];

/// The key that says how long a queue is an excuse.
pub(super) const fn queue_param(default_s: f64) -> Param {
    Param::number(
        "queue_excuses_s",
        (default_s, "s"),
        (0.0, 86_400.0),
        "for at most this long a queue or a red light explains that it stands; 0: never",
    )
}

/// The keys of those who may stand there.
const EXEMPT: [Param; 2] = [
    Param::new(
        "exempt_zones",
        Form::Zones,
        "where `exempt_classes` (or all, if none are written) may stand, for example a bus stop",
    ),
    Param::new(
        "exempt_classes",
        Form::Classes(&[]),
        "who may stand in `exempt_zones` (or everywhere, if none are written)",
    ),
];

/// The keys of a rule about a zone where nobody may stand for longer than a time.
pub(super) const fn forbidden(min_dwell_s: f64) -> [Param; 10] {
    [
        Param::new("zone", Form::Zone, "where it is forbidden"),
        Param::number(
            "min_dwell_s",
            (min_dwell_s, "s"),
            (1.0, 86_400.0),
            "how long it must have been seen to stand",
        ),
        EXEMPT[0],
        EXEMPT[1],
        RADIUS[0],
        RADIUS[1],
        RADIUS[2],
        RADIUS[3],
        queue_param(300.0),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ]
}

/// Reads the keys of [`forbidden`].
pub(super) fn read_forbidden(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let watch = Watch::read(params, None);
    let exempt = Exempt::read(params);
    let excuse = Excuse::Queue(params.number("queue_excuses_s"));
    let mut watch = watch?;
    watch.exempt = exempt?;
    watch.excuse = excuse;
    Some(Box::new(watch))
}

impl Exempt {
    /// Reads the keys of [`EXEMPT`].
    fn read(params: &mut Params<'_, '_>) -> Option<Self> {
        let zones = params.zones("exempt_zones");
        let classes = params.classes("exempt_classes");
        Some(Self {
            zones: zones?,
            classes: classes?,
        })
    }
}

impl Watch {
    /// Reads the keys of [`RADIUS`], `zone`, `classes` and `min_dwell_s`.
    pub(super) fn read(
        params: &mut Params<'_, '_>,
        concerned: Option<&[ObjectClass]>,
    ) -> Option<Self> {
        let zone = params.zone("zone");
        let classes = match concerned {
            Some(classes) => Some(classes.to_vec()),
            None => params.classes("classes"),
        };
        let min_dwell_s = params.number("min_dwell_s");
        let update_every_s = params.number("update_every_s");
        let radius = Length {
            metres: params.number("radius_m"),
            heights: params.number("radius_heights"),
        };
        let keep_s = params.number("keep_s");
        Some(Self {
            zone: zone?,
            classes: classes?,
            exempt: Exempt::default(),
            excuse: Excuse::None,
            min_dwell_s,
            update_every_s,
            beyond: None,
            only_alone: false,
            stops: Stops::new(radius, keep_s),
            been_inside: BTreeSet::new(),
        })
    }

    fn is_in_zone(&self, user: &Observation, frame: &FrameView<'_>) -> bool {
        if polygon_contains(&self.zone.points, frame.stand(user)) {
            return true;
        }
        self.beyond.is_some_and(|beyond| {
            self.been_inside.contains(&user.track) && {
                let (basis, distance) = frame.sight.distance_to(&self.zone.points, &user.spot);
                distance <= beyond.of(basis)
            }
        })
    }

    /// Whether it may stand where it is: the share of its votes for classes that may.
    fn exempt_share(&self, user: &Observation, frame: &FrameView<'_>) -> f64 {
        let Exempt { zones, classes } = &self.exempt;
        let stand = frame.stand(user);
        let is_there = |zones: &[Zone]| zones.iter().any(|z| polygon_contains(&z.points, stand));
        match (zones.is_empty(), classes.is_empty()) {
            (false, true) => f64::from(u8::from(is_there(zones))),
            (true, false) => frame.vote_share(user, classes),
            (false, false) if is_there(zones) => frame.vote_share(user, classes),
            (true, true) | (false, false) => 0.0,
        }
    }

    fn is_excused(&self, user: &Observation, frame: &FrameView<'_>) -> bool {
        match &self.excuse {
            Excuse::Queue(most_s) => frame
                .queue
                .excuse(user.track)
                .is_some_and(|excuse| excuse.for_s <= *most_s),
            Excuse::NoCrossTraffic(group) => {
                frame.signals.at(group, frame.at.time).state != SignalState::Green
            }
            Excuse::None => false,
        }
    }

    fn look(&self, user: &Observation, frame: &FrameView<'_>) -> Look {
        Look {
            is_in_zone: self.is_in_zone(user, frame),
            is_excused: self.is_excused(user, frame),
        }
    }

    fn explain(&self, stop: &Stop, user: &Observation, frame: &FrameView<'_>) -> Vec<Predicate> {
        let (basis, farthest) = stop.farthest();
        let span = Span::new(stop.began().at, frame.at);
        let now = Span::at(frame.at);
        let mut explanation = vec![
            explain::number(
                explain::name("dwell", "Thời gian đứng yên", "Time standing still"),
                (stop.dwell(), Comparison::AtLeast, self.min_dwell_s),
                "s",
                span,
            ),
            explain::number(
                (
                    "displacement",
                    format!("Xê dịch lớn nhất ({})", basis.vi()),
                    format!("Greatest displacement ({})", basis.en()),
                ),
                (farthest, Comparison::AtMost, self.stops.radius().of(basis)),
                basis.unit(),
                span,
            ),
            explain::number(
                explain::name(
                    "in_zone",
                    "Tỷ lệ khung hình có vị trí đứng trong vùng",
                    "Share of the pictures with the place where it stands in the zone",
                ),
                (stop.share_inside(), Comparison::AtLeast, LEAST_INSIDE),
                "",
                span,
            ),
            explain::is(
                explain::name(
                    "in_zone_at_decision",
                    "Vị trí đứng nằm trong vùng khi kết luận",
                    "The place where it stands in the zone at the decision",
                ),
                self.is_in_zone(user, frame),
                true,
                now,
            ),
        ];
        explanation.extend(explain::of_class(user, &self.classes, frame));
        match &self.excuse {
            Excuse::Queue(_) => explanation.push(explain::is(
                explain::name(
                    "in_queue",
                    "Đang xếp hàng hoặc chờ đèn đỏ",
                    "Stands in a queue or before a red light",
                ),
                self.is_excused(user, frame),
                false,
                now,
            )),
            Excuse::NoCrossTraffic(group) => {
                let shown = frame.signals.at(group, frame.at.time);
                explanation.push(explain::is(
                    explain::name(
                        "cross_signal",
                        "Đèn của hướng cắt ngang",
                        "Signal of the cross traffic",
                    ),
                    shown.state.as_str(),
                    SignalState::Green.as_str(),
                    now,
                ));
            }
            Excuse::None => {}
        }
        if !self.exempt.zones.is_empty() || !self.exempt.classes.is_empty() {
            explanation.push(explain::number(
                explain::name(
                    "exempt_share",
                    "Tỷ lệ phiếu cho loại xe được phép dừng ở đây",
                    "Share of the votes for those who may stop here",
                ),
                (
                    self.exempt_share(user, frame),
                    Comparison::LessThan,
                    MAY_BE_EXEMPT,
                ),
                "",
                span,
            ));
        }
        if self.only_alone {
            explanation.push(explain::number(
                explain::name(
                    "covered_share",
                    "Phần bị người hoặc xe che",
                    "Part of it behind a person or vehicle",
                ),
                (covered_share(user, frame), Comparison::LessThan, ALONE),
                "",
                now,
            ));
        }
        explanation
    }

    fn decide(
        &self,
        stop: &Stop,
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) -> Option<Case> {
        let mut facts = stop.facts();
        facts.insert("class".to_owned(), user.class.as_str().into());
        facts.insert("basis".to_owned(), stop.farthest().0.as_str().into());
        report.decide(Onset {
            subject: stop.subject(),
            onset: stop.began().at.time,
            decided: frame.at,
            ended: None,
            actors: vec![frame.actor(user)],
            facts,
            explanation: self.explain(stop, user, frame),
            evidence: stop.stills().to_vec(),
        })
    }
}

/// The part of a box that a person or vehicle of this frame covers.
fn covered_share(user: &Observation, frame: &FrameView<'_>) -> f64 {
    let own = IsoBox::new(&user.bounds, frame.sight.aspect);
    let area = (own.width * own.height).max(1e-12);
    frame
        .users
        .iter()
        .filter(|other| other.track != user.track && other.class != ObjectClass::Other)
        .map(|other| own.overlap(&IsoBox::new(&other.bounds, frame.sight.aspect)) / area)
        .fold(0.0, f64::max)
}

impl Rule for Watch {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        self.stops.expire(frame, report);
        if self.beyond.is_some() {
            for user in frame.users {
                if polygon_contains(&self.zone.points, frame.stand(user)) {
                    self.been_inside.insert(user.track);
                }
            }
        }
        let nobody = Stops::new(self.stops.radius(), 0.0);
        let mut stops = std::mem::replace(&mut self.stops, nobody);
        stops.follow(frame, |user| self.look(user, frame));
        for user in frame.users {
            // Where it stands must be seen at least once.
            if self.classes.contains(&user.class)
                && self.is_in_zone(user, frame)
                && !frame.is_covered(user)
            {
                stops.admit(user, self.look(user, frame), frame);
            }
        }
        self.stops = stops;
        let least = if report.wants_near_misses() {
            NEAR_DWELL * self.min_dwell_s
        } else {
            self.min_dwell_s
        };
        let mut list = std::mem::take(&mut self.stops.list);
        for stop in &mut list {
            let Some(user) = frame.find(stop.holder()) else {
                continue;
            };
            let held_back = stop.is_excused() && !report.wants_near_misses();
            if self.stops.may_raise(stop, least) && !held_back {
                if let Some(case) = self.decide(stop, user, frame, report) {
                    self.stops.raised.insert(user.track);
                    stop.raised(case);
                }
            } else if self.update_every_s > 0.0 {
                stop.bring_up_to_date(self.update_every_s, report);
            }
        }
        self.stops.list = list;
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.stops.raised.remove(&track);
        self.been_inside.remove(&track);
    }

    fn end(&mut self, reason: EndReason, report: &mut Reporter<'_>) {
        self.stops.end(reason, report);
        self.been_inside.clear();
    }

    fn blind(&self, frame: &FrameView<'_>) -> Option<Unwatched> {
        match &self.excuse {
            Excuse::NoCrossTraffic(group) => {
                let shown = frame.signals.at(group, frame.at.time).state;
                (shown == SignalState::Unknown).then_some(Unwatched::SignalUnknown)
            }
            Excuse::Queue(_) | Excuse::None => None,
        }
    }

    fn remembered(&self) -> usize {
        self.stops.list.len() + self.stops.raised.len() + self.been_inside.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}
