#![doc = include_str!("README.md")]

use std::collections::{BTreeMap, VecDeque};

use protocol::event::{Comparison, FrameTime, Severity};
use protocol::{ObjectClass, TrackId, ZoneId};

use super::explain::{self, Span};
use super::params::MOTOR_VEHICLES;
use super::{EndReason, Form, Looked, Onset, Param, Params, Reporter, Rule, RuleEntry};
use crate::geometry::IsoBox;
use crate::observation::{FrameView, Observation};
use crate::second_look::LookedBy;
use crate::tracker::Group;

pub(super) const ENTRY: RuleEntry = RuleEntry {
    kind: "plate_obscured",
    title: ("Che biển số", "Plate not visible"),
    summary: (
        "Xe đủ lớn và đủ lâu trong hình mà không thấy biển số, trong khi các xe khác có",
        "A vehicle large enough for long enough without a plate, while its neighbours show theirs",
    ),
    severity: Severity::Info,
    guide: include_str!("README.md"),
    needs: &[ObjectClass::Plate],
    params: &[
        Param::number(
            "min_height_pct",
            (12.0, "% of the picture's height"),
            (0.5, 100.0),
            "plates of smaller vehicles are not expected to be seen",
        ),
        Param::number(
            "min_duration_s",
            (2.0, "s"),
            (0.4, 60.0),
            "for how long it must have been that large and unhidden",
        ),
        Param::number(
            "min_neighbours",
            (8.0, ""),
            (1.0, 200.0),
            "how many vehicles of its sort, going its way, must have shown a plate …",
        ),
        Param::number(
            "within_s",
            (300.0, "s"),
            (10.0, 3_600.0),
            "… in the time before",
        ),
        Param::number(
            "min_share_pct",
            (90.0, "%"),
            (50.0, 100.0),
            "and which part of all that were as large for as long must have",
        ),
        Param::new("classes", Form::Classes(MOTOR_VEHICLES), "which vehicles"),
    ],
    read,
};

/// Looks farther apart are not one stretch, s.
const UNSEEN_S: f64 = 0.6;
/// A plate must be seen in this many frames to be one.
const PLATE_LOOKS: u32 = 2;
/// Where plates are seen by second looks only, so many must have searched for one in vain; and so many
/// looks of the detector where it does not look at each picture.
const LEAST_SEARCHES: f64 = 3.0;
/// What covers more of a vehicle than this may cover its plate.
const MOST_COVERED: f64 = 0.03;
/// A vehicle whose box ends at the picture's edge may have its plate beyond.
const EDGE: f64 = 0.01;
/// Neighbours that are remembered.
const MOST_NEIGHBOURS: usize = 512;

/// Vehicles that are seen alike: their sort, and whether their front is seen.
type Sort = (bool, bool);

#[derive(Clone, Debug)]
struct PlateObscured {
    min_height_pct: f64,
    min_duration_s: f64,
    min_neighbours: f64,
    within_s: f64,
    min_share_pct: f64,
    classes: Vec<ObjectClass>,
    vehicles: BTreeMap<TrackId, Vehicle>,
    /// Who had been large enough for long enough, oldest first.
    neighbours: VecDeque<Neighbour>,
}

#[derive(Clone, Copy, Debug)]
struct Neighbour {
    sort: Sort,
    watched: f64,
    has_plate: bool,
    by: LookedBy,
}

#[derive(Clone, Debug)]
struct Vehicle {
    sort: Sort,
    first: FrameTime,
    /// Watched seconds in which a plate could be seen.
    large_s: f64,
    last_watched: f64,
    /// Least height in that time, % of the picture's.
    height: f64,
    /// Frames with a plate, believed or not.
    plates: u32,
    /// Second looks that searched for a plate while one could be seen …
    searches: u32,
    /// … where no others show plates.
    is_searched_only: bool,
    /// Looks of the detector while one could be seen …
    looks: u32,
    /// … and pictures into which it was only followed, which show no plate to anybody.
    followed: u32,
    /// The models of those looks.
    by: LookedBy,
    best: FrameTime,
    best_height: f64,
    raised: bool,
    counted: bool,
}

impl Vehicle {
    /// How often a plate was looked for, where that must be often enough; nothing where each
    /// picture shows plates.
    fn searched(&self) -> Option<u32> {
        if self.is_searched_only {
            Some(self.searches)
        } else {
            (self.followed > 0).then_some(self.looks)
        }
    }

    /// By which looks that is.
    fn name_of_search(&self) -> explain::Name<'static> {
        if self.is_searched_only {
            explain::name(
                "plate_searches",
                "Số lần nhìn kỹ để tìm biển số",
                "Second looks that searched for a plate",
            )
        } else {
            explain::name(
                "detector_looks",
                "Số lần bộ phát hiện nhìn xe khi xe đủ lớn và không bị che",
                "Looks of the detector while it was large enough and unhidden",
            )
        }
    }

    fn is_searched(&self) -> bool {
        let searched = self.searched();
        searched.is_none_or(|searches| f64::from(searches) >= LEAST_SEARCHES)
    }
}

fn read(params: &mut Params<'_, '_>) -> Option<Box<dyn Rule>> {
    let min_height_pct = params.number("min_height_pct");
    let min_duration_s = params.number("min_duration_s");
    let min_neighbours = params.number("min_neighbours");
    let within_s = params.number("within_s");
    let min_share_pct = params.number("min_share_pct");
    let classes = params.classes("classes");
    Some(Box::new(PlateObscured {
        min_height_pct,
        min_duration_s,
        min_neighbours,
        within_s,
        min_share_pct,
        classes: classes?,
        vehicles: BTreeMap::new(),
        neighbours: VecDeque::new(),
    }))
}

/// Of what sort it is, where a plate must be visible on it: a motorcycle has
/// one at its back only.
fn sort_of(user: &Observation) -> Option<Sort> {
    let down = user.motion?.picture.y;
    let is_two_wheeler = user.group == Group::TwoWheeler;
    let shows_front = down > 0.0;
    let moves = down.abs() >= LEAST_PACE;
    (moves && !(is_two_wheeler && shows_front)).then_some((is_two_wheeler, shows_front))
}

/// Slower along the picture's height, nobody knows which end is seen, box heights per s.
const LEAST_PACE: f64 = 0.15;

impl PlateObscured {
    /// Whether a plate could be seen on it in this frame.
    fn is_clear(&self, user: &Observation, frame: &FrameView<'_>) -> bool {
        let bounds = &user.bounds;
        let is_whole = bounds.x >= EDGE
            && bounds.right() <= 1.0 - EDGE
            && bounds.bottom() <= 1.0 - EDGE
            && 100.0 * bounds.height >= self.min_height_pct;
        let body = IsoBox::new(bounds, frame.sight.aspect);
        let covers = |other: &&Observation| {
            let is_other = other.track != user.track && other.mount != Some(user.track);
            let cover = IsoBox::new(&other.bounds, frame.sight.aspect);
            is_other
                && other.bounds.bottom() >= bounds.bottom()
                && cover.overlap(&body) > MOST_COVERED * body.width * body.height
        };
        is_whole && !frame.users.iter().any(|other| covers(&other))
    }

    fn follow(&mut self, user: &Observation, frame: &FrameView<'_>) {
        let Some(sort) = sort_of(user) else {
            return;
        };
        let vehicle = self.vehicles.entry(user.track).or_insert(Vehicle {
            sort,
            first: frame.at,
            large_s: 0.0,
            last_watched: frame.watched,
            height: f64::INFINITY,
            plates: 0,
            searches: 0,
            is_searched_only: frame.rests_on_second_looks(ObjectClass::Plate, Some(user)),
            looks: 0,
            followed: 0,
            by: LookedBy::default(),
            best: frame.at,
            best_height: 0.0,
            raised: false,
            counted: false,
        });
        // It turned: what was expected of one end says nothing of the other.
        if vehicle.sort != sort {
            (vehicle.sort, vehicle.first) = (sort, frame.at);
            (vehicle.large_s, vehicle.searches) = (0.0, 0);
            (vehicle.looks, vehicle.followed) = (0, 0);
        }
        vehicle.looks += u32::from(!frame.is_followed);
        vehicle.followed += u32::from(frame.is_followed);
        // Negative when a frozen picture's time is taken back.
        let passed = frame.watched - vehicle.last_watched;
        if passed <= UNSEEN_S {
            vehicle.large_s = (vehicle.large_s + passed).max(0.0);
        }
        vehicle.last_watched = frame.watched;
        let height = 100.0 * user.bounds.height;
        vehicle.height = vehicle.height.min(height);
        if height > vehicle.best_height {
            (vehicle.best, vehicle.best_height) = (frame.at, height);
        }
        let has_plate = frame
            .marks_of(user.track)
            .any(|mark| mark.class == ObjectClass::Plate);
        vehicle.plates += u32::from(has_plate);
        self.count_if_neighbour(user.track);
    }

    /// A vehicle that has been clear for long enough and has a plate is a neighbour.
    fn count_if_neighbour(&mut self, track: TrackId) {
        let Some(vehicle) = self.vehicles.get_mut(&track) else {
            return;
        };
        let is_neighbour = vehicle.plates >= PLATE_LOOKS
            && vehicle.is_searched()
            && vehicle.large_s >= self.min_duration_s
            && !vehicle.counted;
        if is_neighbour {
            vehicle.counted = true;
            let neighbour = Neighbour {
                sort: vehicle.sort,
                watched: vehicle.last_watched,
                has_plate: true,
                by: vehicle.by,
            };
            self.remember(neighbour);
        }
    }

    fn decide_if_due(
        &mut self,
        user: &Observation,
        frame: &FrameView<'_>,
        report: &mut Reporter<'_>,
    ) {
        let Some(vehicle) = self.vehicles.get(&user.track) else {
            return;
        };
        let is_judged = vehicle.large_s >= self.min_duration_s && vehicle.is_searched();
        let is_due =
            !vehicle.raised && vehicle.plates == 0 && (is_judged || report.wants_near_misses());
        if !is_due {
            return;
        }
        // Its neighbours' plates are half of the proof.
        let alike = self.neighbours.iter().filter(|n| n.sort == vehicle.sort);
        let by = vehicle.by | alike.map(|neighbour| neighbour.by).collect();
        let onset = self.judge(vehicle, user, frame);
        if report.decide_by(onset, by).is_some()
            && let Some(vehicle) = self.vehicles.get_mut(&user.track)
        {
            vehicle.raised = true;
        }
    }

    fn remember(&mut self, neighbour: Neighbour) {
        if self.neighbours.len() == MOST_NEIGHBOURS {
            self.neighbours.pop_front();
        }
        self.neighbours.push_back(neighbour);
    }

    /// How many neighbours had a plate, and of how many.
    fn count(&self, sort: Sort) -> (f64, f64) {
        let alike = self.neighbours.iter().filter(|n| n.sort == sort);
        alike.fold((0.0, 0.0), |(with, all), neighbour| {
            (with + f64::from(u8::from(neighbour.has_plate)), all + 1.0)
        })
    }

    fn judge(&self, vehicle: &Vehicle, user: &Observation, frame: &FrameView<'_>) -> Onset {
        let span = Span::new(vehicle.first, frame.at);
        let (with, all) = self.count(vehicle.sort);
        let mut explanation = vec![
            explain::number(
                explain::name(
                    "plate_looks",
                    "Số khung hình thấy biển số",
                    "Frames that showed a plate",
                ),
                (f64::from(vehicle.plates), Comparison::AtMost, 0.0),
                "",
                span,
            ),
            explain::number(
                explain::name(
                    "visible_for",
                    "Thời gian xe đủ lớn và không bị che",
                    "Time for which it was large enough and unhidden",
                ),
                (vehicle.large_s, Comparison::AtLeast, self.min_duration_s),
                "s",
                span,
            ),
            explain::number(
                explain::name(
                    "height",
                    "Chiều cao nhỏ nhất của xe trong ảnh",
                    "Least height of the vehicle in the picture",
                ),
                (vehicle.height, Comparison::AtLeast, self.min_height_pct),
                "%",
                span,
            ),
            explain::number(
                explain::name(
                    "neighbours",
                    "Số xe cùng loại, cùng hướng thấy được biển số",
                    "Vehicles of its sort, going its way, that showed a plate",
                ),
                (with, Comparison::AtLeast, self.min_neighbours),
                "",
                span,
            ),
            explain::number(
                explain::name(
                    "neighbours_share",
                    "Tỷ lệ xe thấy được biển số",
                    "Part of such vehicles that showed a plate",
                ),
                (
                    100.0 * with / f64::max(all, 1.0),
                    Comparison::AtLeast,
                    self.min_share_pct,
                ),
                "%",
                span,
            ),
        ];
        if let Some(searches) = vehicle.searched() {
            let name = vehicle.name_of_search();
            let least = (f64::from(searches), Comparison::AtLeast, LEAST_SEARCHES);
            explanation.push(explain::number(name, least, "", span));
        }
        explanation.extend(explain::of_class(user, &self.classes, frame));
        Onset {
            subject: user.track,
            onset: vehicle.first.time,
            decided: frame.at,
            ended: Some(frame.at.time),
            actors: vec![frame.actor(user)],
            facts: explain::facts([
                ("class", user.class.as_str().into()),
                ("shows_front", vehicle.sort.1.into()),
                (
                    "review",
                    "the plate may be dirty, bent, hidden by a load, or not recognised".into(),
                ),
            ]),
            explanation,
            evidence: vec![vehicle.first, vehicle.best],
        }
    }

    /// A vehicle is gone: who never showed a plate is a neighbour, too.
    fn let_go(&mut self, track: TrackId) {
        let Some(vehicle) = self.vehicles.remove(&track) else {
            return;
        };
        // Of whom nobody searched the plate says nothing of plates.
        if !vehicle.counted && vehicle.large_s >= self.min_duration_s && vehicle.is_searched() {
            self.remember(Neighbour {
                sort: vehicle.sort,
                watched: vehicle.last_watched,
                has_plate: false,
                by: vehicle.by,
            });
        }
    }
}

impl Rule for PlateObscured {
    fn place(&self) -> Option<&ZoneId> {
        None
    }

    fn frame(&mut self, frame: &FrameView<'_>, report: &mut Reporter<'_>) {
        let within_s = self.within_s;
        self.neighbours
            .retain(|neighbour| frame.watched - neighbour.watched <= within_s);
        for user in frame.users {
            if !self.classes.contains(&user.class) || !self.is_clear(user, frame) {
                continue;
            }
            self.follow(user, frame);
            self.decide_if_due(user, frame, report);
        }
    }

    fn second_look(
        &mut self,
        then: &FrameView<'_>,
        looked: &Looked<'_>,
        report: &mut Reporter<'_>,
    ) {
        let Some(user) = looked.user(then, &[ObjectClass::Plate]) else {
            return;
        };
        let is_clear = self.is_clear(user, then);
        let Some(vehicle) = self.vehicles.get_mut(&user.track) else {
            return;
        };
        let of = |is_second: bool| {
            let mut own = then.marks_of(user.track);
            own.any(|mark| mark.class == ObjectClass::Plate && mark.is_second == is_second)
        };
        // What the detector showed in that frame was counted with it.
        vehicle.plates += u32::from(of(true) && !of(false));
        vehicle.by |= looked.by;
        if is_clear && then.at.time >= vehicle.first.time {
            vehicle.searches += 1;
            self.count_if_neighbour(user.track);
            self.decide_if_due(user, then, report);
        }
    }

    fn forget(&mut self, track: TrackId, _report: &mut Reporter<'_>) {
        self.let_go(track);
    }

    fn end(&mut self, _reason: EndReason, _report: &mut Reporter<'_>) {
        self.vehicles.clear();
        self.neighbours.clear();
    }

    fn remembered(&self) -> usize {
        self.vehicles.len() + self.neighbours.len()
    }

    fn boxed(&self) -> Box<dyn Rule> {
        Box::new(self.clone())
    }
}

#[cfg(test)]
mod tests;
