//! Which heads a frame shows on a machine, bare or in a helmet, and whose.
//!
//! Each rider who can be told apart has looks of their own: bare heads of
//! driver and passenger by turns are two models' doubts, not one bare head.

use protocol::event;
use protocol::{ObjectClass, TrackId};

use super::super::ballot::Look;
use super::roster::Seat;
use crate::geometry::{IsoBox, Vector};
use crate::marks::{Mark, around};
use crate::observation::{FrameView, Observation};
use crate::second_look::LookedBy;
use crate::tracker::Track;

/// Of which machine, and of which of its riders; `None`: of one of those who
/// could not be told apart, or of the only one.
pub(super) type Whose = (TrackId, Option<Seat>);

/// A part that begins lower shows no head: part of the height of the person, or of the machine where no
/// rider is known, whose box may be with its riders.
const CROWN: f64 = 0.1;
/// How high a head is, as part of the rider's box from crown to shoes, and as part of the
/// machine's where no rider was seen: rather too low, so that no head counts that is
/// smaller than the rule wants.
const HEAD_OF_RIDER: f64 = 1.0 / 6.0;
const HEAD_OF_MACHINE: f64 = 1.0 / 5.0;

/// How much of what is around a head that the detector found is shown with it, part of its
/// size on each side: the next rider's head is farther.
const AROUND_HEAD: f64 = 0.25;

/// A head that is also seen with a helmet, overlapping by this, is not bare.
const SAME_HEAD: f64 = 0.3;

/// The heads of a machine that one look showed.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    list: Vec<Head>,
    /// The only rider, where a mark names them: heads without a name are theirs.
    only: Option<TrackId>,
    /// Where on the machine those are who can be told apart: their crowns beside the middle
    /// and above the upper edge of its box, in its heights.
    places: Vec<(TrackId, Vector)>,
    /// The look without what it showed.
    look: Look,
}

#[derive(Clone, Copy, Debug)]
struct Head {
    person: Option<TrackId>,
    is_bare: bool,
    /// % of the picture's height.
    height: f64,
    /// To be shown, should it be bare.
    shows: Option<event::Look>,
}

impl Heads {
    /// What a frame shows of a machine's riders. Where it is known that there are several, a head
    /// without a name may be anybody's.
    pub(super) fn of(
        user: &Observation,
        frame: &FrameView<'_>,
        min_head_pct: f64,
        are_several: bool,
    ) -> Self {
        let height = |mark: &Mark| 100.0 * head_height(mark, user, frame);
        let own = |class| {
            let own = frame.marks_of(user.track);
            own.filter(move |mark| mark.class == class && may_show_a_head(mark, user, frame))
        };
        let same = |a: &Mark, b: &Mark| a.may_be_of_same(b, frame.sight.aspect, SAME_HEAD);
        // A single rider is not always told from the machine, and is one head all the same. A
        // second one may have hidden feet, or be missed in this frame.
        let heads = own(ObjectClass::NoHelmet).chain(own(ObjectClass::Helmet));
        let mut persons: Vec<TrackId> = heads.filter_map(|mark| mark.person).collect();
        persons.sort_unstable();
        persons.dedup();
        let named = persons.clone();
        let rides = |track: &&Track| track.is_confirmed && track.mount() == Some(user.track);
        persons.extend(frame.tracks.iter().filter(rides).map(|track| track.id));
        persons.sort_unstable();
        persons.dedup();
        let are_told_apart =
            !named.is_empty() && (are_several || user.riders.count > 1 || persons.len() > 1);
        let person = |mark: &Mark| mark.person.filter(|_| are_told_apart);
        let is_large = |mark: &&Mark| height(mark) >= min_head_pct;
        let head = |mark: &Mark, is_bare: bool| Head {
            person: person(mark),
            is_bare,
            height: height(mark),
            shows: mark.look(frame.at, &around(&mark.bounds, AROUND_HEAD)),
        };
        let bare = || own(ObjectClass::NoHelmet).filter(|mark| mark.is_believed && is_large(mark));
        let covered = || own(ObjectClass::Helmet).filter(is_large);
        let mut list: Vec<Head> = covered().map(|mark| head(mark, false)).collect();
        for mark in bare() {
            let is_one = |other: &&Mark| person(other) == person(mark) && same(other, mark);
            // Each head once.
            if bare().find(is_one) != Some(mark) {
                continue;
            }
            // Contradicted by a helmet on it, however doubtful: then it is covered.
            let has_helmet = own(ObjectClass::Helmet).any(|helmet| same(helmet, mark));
            let is_counted = has_helmet && covered().any(|helmet| is_one(&helmet));
            // Who is known to be bare is not somebody else beside that.
            let is_known = person(mark).is_none()
                && bare().any(|other| person(other).is_some() && same(other, mark));
            if !is_counted && (has_helmet || !is_known) {
                list.push(head(mark, !has_helmet));
            }
        }
        let marks = || own(ObjectClass::NoHelmet).chain(own(ObjectClass::Helmet));
        let place = |person: TrackId| {
            let body = marks().find(|mark| mark.person == Some(person))?.body?;
            Some((person, place_on(user, &body, frame.sight.aspect)))
        };
        let places = named.iter().copied().filter_map(place).collect();
        Self {
            list,
            places,
            only: named.first().copied().filter(|_| !are_told_apart),
            look: Look {
                at: frame.at,
                watched: frame.watched,
                accuses: false,
                height: 0.0,
                count: 0,
                by: LookedBy::default(),
                shows: None,
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many.
    pub(super) fn count(&self) -> u8 {
        u8::try_from(self.list.len()).unwrap_or(u8::MAX)
    }

    /// Where on the machine those are who can be told apart.
    pub(super) fn places(&self) -> Vec<(TrackId, Vector)> {
        let persons = self.persons();
        let places = self.places.iter().copied();
        places
            .filter(|(person, _)| persons.contains(person))
            .collect()
    }

    /// How many heads it showed bare, each once.
    fn bare(&self) -> u8 {
        let bare = || self.list.iter().filter(|head| head.is_bare);
        if self.only.is_some() {
            return u8::try_from(bare().count()).unwrap_or(u8::MAX);
        }
        let is_denied = |person: TrackId| {
            let mut own = self.list.iter().filter(|head| head.person == Some(person));
            own.any(|head| !head.is_bare)
        };
        let mut named: Vec<TrackId> = bare().filter_map(|head| head.person).collect();
        named.sort_unstable();
        named.dedup();
        named.retain(|person| !is_denied(*person));
        let others = bare().filter(|head| head.person.is_none()).count();
        u8::try_from(named.len() + others).unwrap_or(u8::MAX)
    }

    /// Those who can be told apart, each once, in order.
    pub(super) fn persons(&self) -> Vec<TrackId> {
        let told_apart = self.list.iter().filter_map(|head| head.person);
        let mut persons: Vec<TrackId> = told_apart.chain(self.only).collect();
        persons.sort_unstable();
        persons.dedup();
        persons
    }

    /// What it says of somebody's head; `None`: it showed none.
    pub(super) fn look(&self, person: Option<TrackId>) -> Option<Look> {
        let is_only = person.is_some() && person == self.only;
        let is_own =
            move |head: &&Head| head.person == person || (is_only && head.person.is_none());
        let own = || self.list.iter().filter(is_own);
        own().next()?;
        let bare = || own().filter(|head| head.is_bare);
        let smallest = bare().min_by(|a, b| a.height.total_cmp(&b.height));
        let count = bare().count();
        // One person has one head, and what speaks for them holds.
        let is_denied = person.is_some() && own().any(|head| !head.is_bare);
        Some(Look {
            accuses: count > 0 && !is_denied,
            height: smallest.map_or(0.0, |head| head.height),
            // Of all who ride it: how many were bare together.
            count: self.bare(),
            shows: smallest.and_then(|head| head.shows),
            ..self.look
        })
    }
}

/// Where on a machine a rider is: the crown beside the middle and above the upper edge of its
/// box, in its heights.
pub(super) fn place_on(machine: &Observation, rider: &IsoBox, aspect: f64) -> Vector {
    let machine = IsoBox::new(&machine.bounds, aspect);
    let upper = |of: &IsoBox| Vector::new(of.centre.x, of.centre.y - of.height / 2.0);
    (upper(rider) - upper(&machine)) * (1.0 / machine.height.max(1e-9))
}

/// Whether what a classifier was shown begins as high as the crown: wheels have no head, and its word on
/// them is none on a helmet. A detector says where the head is.
fn may_show_a_head(mark: &Mark, user: &Observation, frame: &FrameView<'_>) -> bool {
    let rider = mark.person.and_then(|person| frame.find(person));
    let body = rider.map_or(&user.bounds, |rider| &rider.bounds);
    let crown = body.y + CROWN * body.height;
    !mark.is_label || mark.bounds.y <= crown
}

/// How high the head is, part of the picture's height. A classifier was shown more than
/// the head and does not say where it is in that.
fn head_height(mark: &Mark, user: &Observation, frame: &FrameView<'_>) -> f64 {
    let shown = mark.bounds.height;
    if !mark.is_label {
        return shown;
    }
    let rider = mark.person.and_then(|person| frame.find(person));
    let head = match rider {
        Some(rider) => HEAD_OF_RIDER * rider.bounds.height,
        None => HEAD_OF_MACHINE * user.bounds.height,
    };
    head.min(shown)
}
