#![doc = include_str!("README.md")]

use std::collections::BTreeMap;

use protocol::event::{Comparison, Severity};
use protocol::id::SignalGroupId;
use protocol::units::Seconds;
use protocol::{ObjectClass, Predicate, SignalState, TrackId, ZoneId};

use super::explain::{self, Span};
use super::{EndReason, Form, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::config::Zone;
use crate::coverage::Unwatched;
use crate::geometry::polygon_contains;
use crate::observation::{FrameView, Length, Observation};
use crate::tracker::{Riding, Spot};

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "pedestrian_crossing",
    title: (
        "Người đi bộ sang đường sai quy định",
        "Pedestrian crossing off the crosswalk or on red",
    ),
    summary: (
        "Thống kê người đi bộ sang đường ngoài vạch hoặc khi đèn đỏ; không lưu danh tính, không lưu ảnh",
        "Counts people on foot who cross off the crosswalk or against their lamp; no identity, no pictures",
    ),
    severity: Severity::Info,
    guide: include_str!("README.md"),
    needs: &[],
    params: &[
        Param::new("zone", Form::Zone, "the carriageway with its crosswalks"),
        Param::new("crosswalks", Form::Zones, "where people may cross"),
        Param::new(
            "signal",
            Form::OptionalSignal,
            "the pedestrians' own signal group; without it lamps are not judged",
        ),
        Param::number(
            "grace_s",
            (1.0, "s"),
            (0.0, 10.0),
            "for how long the lamp must have been red when somebody stepped out",
        ),
        Param::number(
            "min_duration_s",
            (2.0, "s"),
            (0.5, 600.0),
            "for how long somebody must have been on the carriageway",
        ),
        Param::number(
            "min_distance_m",
            (3.0, "m"),
            (0.5, 100.0),
            "how far somebody must have walked there (calibrated cameras)",
        ),
        Param::number(
            "min_distance_heights",
            (1.5, "box heights"),
            (0.2, 50.0),
            "how far somebody must have walked there (without calibration)",
        ),
    ],
    read,
};

/// Crossing off the crosswalk: at most this part of the pictures on one.
const MOST_ON_CROSSWALK: f64 = 0.2;
/// Somebody out of sight for longer has not been seen to walk, s.
const UNSEEN_S: f64 = 2.0;
/// Looks outside the carriageway for up to this long are flicker, s.
const FLICKER_S: f64 = 0.6;

#[derive(Clone, Debug)]
struct PedestrianCrossing {
    zone: Zone,
    crosswalks: Vec<Zone>,
    signal: Option<SignalGroupId>,
    grace_s: f64,
    min_duration_s: f64,
    min_distance: Length,
    walks: BTreeMap<TrackId, Walk>,
}

/// Somebody on the carriageway.
#[derive(Clone, Debug)]
struct Walk {
    /// Whether it was seen beside the carriageway, so that its begin was seen.
    was_outside: bool,
    start: Option<Start>,
    walked_s: f64,
    looks: f64,
    on_crosswalk: f64,
    /// Watched time of the last look, and of the last on the carriageway.
    watched: f64,
    inside_at: f64,
    riding: Riding,
    is_told: bool,
}

#[derive(Clone, Copy, Debug)]
struct Start {
    spot: Spot,
    /// Whether it was seen to step out.
    is_seen: bool,
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let zone = params.zone("zone");
    let crosswalks = params.zones("crosswalks");
    let signal = params.optional_signal("signal");
    let grace_s = params.number("grace_s");
    let min_duration_s = params.number("min_duration_s");
    let min_distance = Length {
        metres: params.number("min_distance_m"),
        heights: params.number("min_distance_heights"),
    };
    Some(Box::new(PedestrianCrossing {
        zone: zone?,
        crosswalks: crosswalks?,
        signal: signal?,
        grace_s,
        min_duration_s,
        min_distance,
        walks: BTreeMap::new(),
    }))
}

impl Walk {
    fn new(watched: f64) -> Self {
        Self {
            was_outside: false,
            start: None,
            walked_s: 0.0,
            looks: 0.0,
            on_crosswalk: 0.0,
            watched,
            inside_at: watched,
            riding: Riding::default(),
            is_told: false,
        }
    }

    fn look(&mut self, user: &Observation, is_inside: bool, is_on_crosswalk: bool, watched: f64) {
        let passed = watched - self.watched;
        self.watched = watched;
        if !is_inside {
            if watched - self.inside_at > FLICKER_S {
                *self = Self {
                    was_outside: true,
                    is_told: self.is_told,
                    ..Self::new(watched)
                };
            }
            self.was_outside |= self.start.is_none();
            return;
        }
        self.inside_at = watched;
        if self.start.is_none() {
            self.start = Some(Start {
                spot: user.spot,
                is_seen: self.was_outside && passed <= UNSEEN_S,
            });
        } else if passed <= UNSEEN_S {
            // Negative when a frozen picture's time is taken back.
            self.walked_s = (self.walked_s + passed).max(0.0);
        }
        self.looks += 1.0;
        self.on_crosswalk += f64::from(u8::from(is_on_crosswalk));
        self.riding.add(user.rides_now);
    }
}

impl PedestrianCrossing {
    /// What is wrong with a crossing, if anything: off the crosswalk comes first.
    fn manner(
        &self,
        walk: &Walk,
        start: Start,
        frame: &FrameView<'_>,
    ) -> Option<(&'static str, Predicate)> {
        let share = walk.on_crosswalk / walk.looks.max(1.0);
        if share <= MOST_ON_CROSSWALK {
            let predicate = explain::number(
                explain::name(
                    "on_crosswalk",
                    "Tỷ lệ khung hình thấy ở trên vạch sang đường",
                    "Share of the pictures on a crosswalk",
                ),
                (share, Comparison::AtMost, MOST_ON_CROSSWALK),
                "",
                Span::new(start.spot.at, frame.at),
            );
            return Some(("off_crosswalk", predicate));
        }
        let group = self.signal.as_ref()?;
        if !start.is_seen {
            return None;
        }
        let stepped = start.spot.at.time;
        let shown = frame.signals.at(group, stepped);
        // It must have been red for all of the grace, and nothing else.
        let earlier = frame.signals.at(group, stepped - Seconds(self.grace_s));
        (shown.state == SignalState::Red && earlier.state == SignalState::Red).then(|| {
            let predicate = explain::number(
                explain::name(
                    "red_for",
                    "Đèn đã đỏ khi bước xuống đường",
                    "For how long the lamp had been red when somebody stepped out",
                ),
                (
                    stepped.since(shown.since).0,
                    Comparison::AtLeast,
                    self.grace_s,
                ),
                "s",
                Span::at(start.spot.at),
            );
            ("against_lamp", predicate)
        })
    }

    fn onset(&self, walk: &Walk, user: &Observation, frame: &FrameView<'_>) -> Option<Onset> {
        let start = walk.start?;
        let way = start.spot.way_to(&user.spot);
        let basis = way.basis;
        // Whoever stands at the kerb is asked at every frame.
        if way.vector.length() < self.min_distance.of(basis) {
            return None;
        }
        let (manner, wrong) = self.manner(walk, start, frame)?;
        let span = Span::new(start.spot.at, frame.at);
        let explanation = vec![
            wrong,
            explain::number(
                explain::name(
                    "on_carriageway_for",
                    "Thời gian ở trên lòng đường",
                    "Time on the carriageway",
                ),
                (walk.walked_s, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                (
                    "walked",
                    format!("Quãng đường đã đi ({})", basis.vi()),
                    format!("Way walked ({})", basis.en()),
                ),
                (
                    way.vector.length(),
                    Comparison::AtLeast,
                    self.min_distance.of(basis),
                ),
                basis.unit(),
                span,
            ),
            explain::is(
                explain::name("is_rider", "Đang đi xe hai bánh", "Rides a two-wheeler"),
                walk.riding.is_rider() || user.is_rider,
                false,
                span,
            ),
        ];
        Some(Onset {
            subject: user.track,
            onset: start.spot.at.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: Vec::new(),
            facts: explain::facts([("manner", manner.into()), ("basis", basis.as_str().into())]),
            explanation,
            evidence: Vec::new(),
        })
    }
}

impl Rule for PedestrianCrossing {
    fn place(&self) -> Option<&ZoneId> {
        Some(&self.zone.id)
    }

    fn about(&self) -> &'static [ObjectClass] {
        &[ObjectClass::Person]
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let mut walks = std::mem::take(&mut self.walks);
        for user in frame.users {
            if user.class != ObjectClass::Person {
                continue;
            }
            let foot = user.spot.foot;
            let is_inside = polygon_contains(&self.zone.points, foot);
            let is_on_crosswalk = self
                .crosswalks
                .iter()
                .any(|zone| polygon_contains(&zone.points, foot));
            let walk = walks
                .entry(user.track)
                .or_insert_with(|| Walk::new(frame.watched));
            walk.look(user, is_inside, is_on_crosswalk, frame.watched);
            if is_inside
                && !walk.is_told
                && walk.walked_s >= self.min_duration_s
                && let Some(onset) = self.onset(walk, user, frame)
            {
                walk.is_told = report.count(onset);
            }
        }
        self.walks = walks;
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.walks.remove(&track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.walks.clear();
    }

    fn blind(&self, frame: &FrameView<'_>) -> Option<Unwatched> {
        let group = self.signal.as_ref()?;
        (frame.signals.at(group, frame.at.time).state == SignalState::Unknown)
            .then_some(Unwatched::SignalUnknown)
    }

    fn remembered(&self) -> usize {
        self.walks.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
