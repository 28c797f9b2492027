//! What a frame shows *of* road users: heads with and without helmets, plates,
//! phones, seat belts. And what is no road user at all: fire, smoke, lamps.
//!
//! Such detections are not followed; each is given to the road user that it
//! belongs to in this very frame. A plate is never the nearest car's: it is
//! that of the only vehicle in which it lies, at a height where plates are. A
//! head is a rider's when it is at the upper end of that rider's box. What
//! might be several road users' is nobody's, because somebody would be accused
//! of a neighbour's bare head. Rider and machine are one road user: a head
//! that might be the driver's or the passenger's of one motorcycle is that
//! motorcycle's.

use protocol::event::{FrameTime, Look};
use protocol::units::rounded;
use protocol::{Detection, EventTime, NormBox, ObjectClass, TrackId};

use crate::geometry::{IsoBox, Vector};
use crate::second_look::{Found, SecondLook};
use crate::tracker::{Group, Track};

/// Whether detections of a class are marks, which are not followed.
pub const fn is_mark(class: ObjectClass) -> bool {
    use ObjectClass as C;
    matches!(
        class,
        C::TrafficLight
            | C::Helmet
            | C::NoHelmet
            | C::Plate
            | C::Face
            | C::Phone
            | C::SeatBelt
            | C::NoSeatBelt
            | C::Fire
            | C::Smoke
    )
}

/// Whether a detection of a class may be somebody, be a part of somebody, or be what somebody must be told
/// of: all but the lamps of a signal, which hang in the picture by day and by night. Who carries a plate or
/// has a head is there; smoke and fire are worth every look; and what has no word may lie on the road.
pub const fn may_be_somebody(class: ObjectClass) -> bool {
    !matches!(class, ObjectClass::TrafficLight)
}

/// Something that a frame shows, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mark {
    /// What.
    pub class: ObjectClass,
    /// The detector's confidence, 0 to 1.
    pub score: f64,
    /// Where.
    pub bounds: NormBox,
    /// Whether the score is enough to be believed alone
    /// ([`protocol::Detections::believed_from`]). What is not may speak for
    /// somebody, never against.
    pub is_believed: bool,
    /// The road user it belongs to: the two-wheeler for its riders. Nobody's
    /// where it could be several road users'.
    pub bearer: Option<TrackId>,
    /// The person of whom it is, where that can be told apart.
    pub person: Option<TrackId>,
    /// That person's box in this frame, as the detector saw it.
    pub(crate) body: Option<IsoBox>,
    /// Whether another model than the detector saw it, at a
    /// [second look](crate::second_look).
    pub is_second: bool,
    /// Whether `bounds` are the part that a classifier was shown, not what it found in it.
    pub is_label: bool,
    /// What a second look was shown; `None`: the detector saw it in the picture.
    pub shown: Option<Shown>,
}

/// What a second look was shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shown {
    /// Which part of the picture.
    pub part: NormBox,
    /// As [`SecondLook::main`].
    pub main: Option<EventTime>,
}

/// Part of a box that must lie in the part that a classifier was shown to be of the same thing.
const IN_PART: f64 = 0.6;

impl Mark {
    /// Whether two marks of a road user may be of one head or torso: one person's, or boxes of one
    /// thing, which overlap by `least_iou`. A classifier's part is larger than what it speaks
    /// of, so that what lies in it counts; whoever the detector could not tell from others may be
    /// the one who was looked at.
    pub(crate) fn may_be_of_same(&self, other: &Self, aspect: f64, least_iou: f64) -> bool {
        let is_second = self.is_second || other.is_second;
        if let (Some(one), Some(another), true) = (self.person, other.person, is_second) {
            return one == another;
        }
        let [a, b] = [self, other].map(|mark| IsoBox::new(&mark.bounds, aspect));
        if self.is_label || other.is_label {
            return inside(&a, &b).max(inside(&b, &a)) >= IN_PART;
        }
        a.iou(&b) >= least_iou
    }

    /// It as a look at the frame `at`, for a crop that shows it: the part that a second look was
    /// shown, else `around` it. `None`: nothing of that lies in the picture.
    pub(crate) fn look(&self, at: FrameTime, around: &NormBox) -> Option<Look> {
        let part = self.shown.map_or(*around, |shown| shown.part);
        Some(Look {
            at,
            class: self.class,
            score: self.score,
            part: in_picture(&part)?,
            bounds: (!self.is_label).then_some(self.bounds),
            is_second: self.shown.is_some(),
            main: self.shown.and_then(|shown| shown.main),
        })
    }
}

/// A box with this much more on each side, part of its size.
pub(crate) fn around(bounds: &NormBox, more: f64) -> NormBox {
    NormBox {
        x: bounds.x - more * bounds.width,
        y: bounds.y - more * bounds.height,
        width: (1.0 + 2.0 * more) * bounds.width,
        height: (1.0 + 2.0 * more) * bounds.height,
    }
}

/// What of a box lies in the picture.
fn in_picture(bounds: &NormBox) -> Option<NormBox> {
    let edge = |at: f64| rounded(at.clamp(0.0, 1.0), 5);
    let (x, y) = (edge(bounds.x), edge(bounds.y));
    let width = rounded(edge(bounds.right()) - x, 5);
    let height = rounded(edge(bounds.bottom()) - y, 5);
    let part = NormBox {
        x,
        y,
        width,
        height,
    };
    (width > 0.0 && height > 0.0).then_some(part)
}

/// The marks of a frame.
#[derive(Clone, Debug, Default)]
pub(crate) struct MarkBoard {
    marks: Vec<Mark>,
    bearers: Vec<Bearer>,
}

/// Somebody who may have marks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bearer {
    pub(crate) id: TrackId,
    group: Group,
    mount: Option<TrackId>,
    bounds: IsoBox,
    /// As the detector saw it: a filter follows a name that leaps to another rider step by step.
    seen: IsoBox,
}

impl Bearer {
    /// Everybody whom a frame shows for certain, be its wheels in sight or not.
    pub(crate) fn shown(
        tracks: &[Track],
        at: FrameTime,
        aspect: f64,
    ) -> impl Iterator<Item = Self> {
        let shown = move |track: &&Track| track.is_confirmed && track.seen == at;
        tracks.iter().filter(shown).map(move |track| Self {
            id: track.id,
            group: track.group(),
            // By vote and in this frame: who walks beside a machine has a head, too.
            mount: track.mount().filter(|_| track.rides_now() == Some(true)),
            bounds: IsoBox::new(&track.bounds, aspect),
            seen: IsoBox::new(&track.detected(aspect), aspect),
        })
    }

    /// The road user that it is: of a rider the machine.
    pub(crate) fn root(&self) -> TrackId {
        self.mount.unwrap_or(self.id)
    }
}

/// More marks than any picture shows; the most confident ones are kept.
const MOST_MARKS: usize = 1024;

impl MarkBoard {
    /// Takes the marks out of what a detector saw; road users stay.
    pub(crate) fn take(&mut self, items: &mut Vec<Detection>, believed_from: f64) {
        self.marks.clear();
        items.retain(|item| {
            let is_mark = is_mark(item.class);
            if is_mark && self.marks.len() < MOST_MARKS {
                self.marks.push(Mark {
                    class: item.class,
                    score: item.score,
                    bounds: item.bounds,
                    is_believed: item.score >= believed_from,
                    bearer: None,
                    person: None,
                    body: None,
                    is_second: false,
                    is_label: false,
                    shown: None,
                });
            }
            !is_mark
        });
    }

    /// Finds out whose each is, among those whom the frame shows.
    pub(crate) fn assign(&mut self, tracks: &[Track], at: FrameTime, aspect: f64) {
        if self.marks.is_empty() {
            return;
        }
        self.bearers.clear();
        self.bearers.extend(Bearer::shown(tracks, at, aspect));
        for mark in &mut self.marks {
            let place = IsoBox::new(&mark.bounds, aspect);
            let owner = owner(mark.class, &place, &self.bearers);
            (mark.bearer, mark.person) = owner.map_or((None, None), |o| (Some(o.0), o.1));
            mark.body = body_of(mark.person, &self.bearers);
        }
    }

    pub(crate) fn marks(&self) -> &[Mark] {
        &self.marks
    }
}

/// What a second look at `track` showed in a frame of `bearers`: the marks that
/// are its own, whoever else the crop showed; another look is theirs.
pub(crate) fn of_second_look(
    look: &SecondLook,
    bearers: &[Bearer],
    aspect: f64,
    into: &mut Vec<Mark>,
) {
    let looked_at = look.track.and_then(|track| {
        let bearer = bearers.iter().find(|bearer| bearer.id == track)?;
        let is_person = bearer.group == Group::Person;
        Some((bearer.root(), is_person.then_some(bearer.id)))
    });
    let mark = |class: ObjectClass, (score, believed_from): (f64, f64), bounds: NormBox| Mark {
        class,
        score,
        bounds,
        is_believed: score >= believed_from,
        bearer: None,
        person: None,
        body: None,
        is_second: true,
        is_label: false,
        shown: Some(Shown {
            part: look.bounds,
            main: look.main,
        }),
    };
    match &look.found {
        Found::Marks {
            believed_from,
            items,
        } => into.extend(items.iter().filter(|i| is_mark(i.class)).filter_map(|i| {
            let mark = mark(i.class, (i.score, *believed_from), i.bounds);
            let place = IsoBox::new(&i.bounds, aspect);
            let owner = owner(i.class, &place, bearers);
            let (bearer, person) = owner.map_or((None, None), |o| (Some(o.0), o.1));
            // Of the whole picture what is nobody's may be a fire.
            let is_meant =
                look.track.is_none() || looked_at.is_some_and(|(root, _)| bearer == Some(root));
            is_meant.then_some(Mark {
                bearer,
                person,
                body: body_of(person, bearers),
                ..mark
            })
        })),
        Found::Labels {
            believed_from,
            labels,
        } => {
            let (bearer, person) = looked_at.unzip();
            let known = labels.iter().filter(|label| is_mark(label.class));
            let person = person.flatten();
            into.extend(known.map(|label| Mark {
                bearer,
                person,
                body: body_of(person, bearers),
                is_label: true,
                ..mark(label.class, (label.score, *believed_from), look.bounds)
            }));
        }
        Found::Plates(_) => {}
    }
}

fn body_of(person: Option<TrackId>, all: &[Bearer]) -> Option<IsoBox> {
    let bearer = all.iter().find(|bearer| Some(bearer.id) == person)?;
    Some(bearer.seen)
}

/// The only road user to whom a mark may belong, and the person of it.
fn owner(class: ObjectClass, mark: &IsoBox, all: &[Bearer]) -> Option<(TrackId, Option<TrackId>)> {
    use ObjectClass as C;
    let may_be = |bearer: &&Bearer| match (class, bearer.group) {
        (C::Helmet | C::NoHelmet | C::Face, Group::Person) => is_head(mark, &bearer.bounds),
        (C::Plate, Group::FourWheeler) => is_plate(mark, &bearer.bounds, 0.3),
        // A motorcycle's box may end at the seat or at the rider's shoulders.
        (C::Plate, Group::TwoWheeler) => is_plate(mark, &bearer.bounds, 0.15),
        (C::SeatBelt | C::NoSeatBelt | C::Phone, Group::FourWheeler) => {
            is_behind_glass(mark, &bearer.bounds)
                && (class != C::Phone || is_small(mark, &bearer.bounds, PHONE_OF_VEHICLE))
        }
        (C::Phone, Group::Person) => {
            inside(mark, &bearer.bounds) >= MOSTLY
                && is_small(mark, &bearer.bounds, PHONE_OF_PERSON)
        }
        _ => false,
    };
    if let found @ Some(_) = only(all, all.iter().filter(may_be))? {
        return found;
    }
    // A rider whom the detector did not see as a person: above the machine.
    let is_rider = matches!(class, C::Helmet | C::NoHelmet | C::Phone);
    let above = |b: &&Bearer| {
        b.group == Group::TwoWheeler
            && is_above(mark, &b.bounds)
            && (class != C::Phone || is_small(mark, &b.bounds, PHONE_OF_PERSON))
    };
    if !is_rider {
        return None;
    }
    only(all, all.iter().filter(above))?
}

/// The one road user that all candidates are. The outer `None`: there are
/// several; the inner: there is none.
#[allow(clippy::option_option)] // two different kinds of nobody
fn only<'b>(
    all: &[Bearer],
    candidates: impl Iterator<Item = &'b Bearer>,
) -> Option<Option<(TrackId, Option<TrackId>)>> {
    let mut found: Option<(TrackId, Option<TrackId>)> = None;
    for bearer in candidates {
        let is_person = bearer.group == Group::Person;
        let person = is_person.then_some(bearer.id);
        let root = bearer
            .mount
            .or_else(|| person.and_then(|_| vehicle_of(bearer, all)))
            .unwrap_or(bearer.id);
        found = match found {
            None => Some((root, person)),
            Some((known, known_person)) if known == root => {
                // Vehicle and its driver: the driver. Two persons: either.
                let which = match (known_person, person) {
                    (Some(_), Some(_)) => None,
                    (one, other) => one.or(other),
                };
                Some((root, which))
            }
            Some(_) => return None,
        };
    }
    Some(found)
}

/// The car in which somebody sits: wholly within its box, and without feet on the road.
fn vehicle_of(person: &Bearer, all: &[Bearer]) -> Option<TrackId> {
    let mut cars = all.iter().filter(|car| {
        let (body, seat) = (&car.bounds, &person.bounds);
        car.group == Group::FourWheeler
            && inside(seat, body) >= WHOLLY
            && bottom(body) - bottom(seat) >= 0.2 * body.height
    });
    let first = cars.next()?;
    cars.next().is_none().then_some(first.id)
}

/// Part of a mark that must lie in whose it is.
const WHOLLY: f64 = 0.9;
/// The same where boxes are drawn around what sticks out: heads, hands.
const MOSTLY: f64 = 0.6;

fn inside(mark: &IsoBox, body: &IsoBox) -> f64 {
    mark.overlap(body) / (mark.width * mark.height).max(1e-12)
}

fn top(of: &IsoBox) -> f64 {
    of.centre.y - of.height / 2.0
}

fn bottom(of: &IsoBox) -> f64 {
    of.centre.y + of.height / 2.0
}

/// How far down in `body` the middle of `mark` is: 0 at the top, 1 at the bottom.
fn depth(mark: &IsoBox, body: &IsoBox) -> f64 {
    (mark.centre.y - top(body)) / body.height
}

fn is_beneath(mark: &IsoBox, body: &IsoBox) -> bool {
    (mark.centre.x - body.centre.x).abs() <= body.width / 2.0
}

/// The head of somebody who stands is an eighth of the body, of a rider whose
/// legs are hidden a quarter or more.
fn is_head(mark: &IsoBox, body: &IsoBox) -> bool {
    // Helmets stick out of boxes that were drawn for persons.
    let grown = IsoBox {
        centre: Vector::new(body.centre.x, body.centre.y - 0.075 * body.height),
        width: body.width,
        height: 1.15 * body.height,
    };
    is_beneath(mark, body)
        && (-0.1..=0.35).contains(&depth(mark, body))
        && (0.08..=0.5).contains(&(mark.height / body.height))
        && inside(mark, &grown) >= MOSTLY
}

/// The head of a rider above the machine: a seated upper body is about as tall as the machine.
fn is_above(mark: &IsoBox, machine: &IsoBox) -> bool {
    is_beneath(mark, machine)
        && (-1.0..=0.45).contains(&depth(mark, machine))
        && (0.08..=0.6).contains(&(mark.height / machine.height))
}

fn is_plate(mark: &IsoBox, vehicle: &IsoBox, least_depth: f64) -> bool {
    inside(mark, vehicle) >= WHOLLY
        && depth(mark, vehicle) >= least_depth
        && (0.04..=0.7).contains(&(mark.width / vehicle.width))
}

fn is_behind_glass(mark: &IsoBox, vehicle: &IsoBox) -> bool {
    inside(mark, vehicle) >= WHOLLY && depth(mark, vehicle) <= 0.7
}

/// A phone is a tenth as wide as a car and a seventh as tall, and its box is drawn with the hand.
/// Detectors take whole dark cars for phones.
const PHONE_OF_VEHICLE: f64 = 0.2;
/// The same of a person, whose legs may be hidden.
const PHONE_OF_PERSON: f64 = 1.0 / 3.0;

/// Whether a mark is at most this part of a body, each way.
fn is_small(mark: &IsoBox, body: &IsoBox, part: f64) -> bool {
    mark.width <= part * body.width && mark.height <= part * body.height
}

#[cfg(test)]
mod tests;
