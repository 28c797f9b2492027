//! Few looks at each road user: the large and clear ones, none that repeats another.
//!
//! Nobody knows in a frame whether a better one follows, so looks are taken as
//! they come until there are [`Looks::wanted`], and after that only for a
//! clearly better picture, up to [`Looks::most`]. A look is worth one only if the
//! road user has moved or grown since the last: neighbouring pictures repeat each
//! other's mistakes, and a model that errs on one errs on the next.
//!
//! Where more are worth a look than the cascade may take in a second, those
//! come first who were looked at least, then the better picture.

use std::collections::BTreeMap;

use protocol::{EventTime, NormBox, ObjectClass, TrackId};

use crate::crop::{Crop, is_covered_by};

/// What a cascade looks at, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Looks {
    /// At whom; empty: at the whole picture.
    pub on: Vec<ObjectClass>,
    /// At which part.
    pub crop: Crop,
    /// Added on each side of it, part of its width and height.
    pub margin: f64,
    /// So many looks at each are wanted …
    pub wanted: usize,
    /// … and at most so many are taken, where later ones are clearly better.
    pub most: usize,
    /// Looks at one road user are at least so far apart, s. Of the whole picture: one in so many s.
    pub apart_s: f64,
    /// The part must be at least so high, pixels.
    pub min_height_px: f64,
    /// And at least so clear, see [`crate::sharpness`].
    pub min_sharpness: f64,
    /// Which end must be seen.
    pub facing: Facing,
    /// Whether its wheels or feet must be seen, because rules judge nobody else. A plate is its
    /// vehicle's in any case.
    pub needs_ground: bool,
    /// Over all road users at most so many parts are looked at in a second.
    pub most_per_s: f64,
}

/// Which end of a vehicle is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facing {
    /// Either.
    Any,
    /// Its front: it comes towards the camera.
    Towards,
    /// Its back.
    Away,
}

impl Facing {
    /// Every one, with its word in configurations.
    pub const ALL: [(&'static str, Self); 3] = [
        ("any", Self::Any),
        ("towards", Self::Towards),
        ("away", Self::Away),
    ];

    /// The one with this word.
    pub fn of_word(word: &str) -> Option<Self> {
        let named = Self::ALL.iter().find(|(name, _)| *name == word);
        named.map(|(_, facing)| *facing)
    }

    /// The word in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Towards => "towards",
            Self::Away => "away",
        }
    }

    fn allows(self, comes: Option<bool>) -> bool {
        match self {
            Self::Any => true,
            Self::Towards => comes == Some(true),
            Self::Away => comes == Some(false),
        }
    }
}

/// A road user in a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Who.
    pub id: TrackId,
    /// What, by vote.
    pub class: ObjectClass,
    /// Where it was last seen.
    pub bounds: NormBox,
    /// Whether this frame shows it.
    pub is_seen: bool,
    /// Where it may be, if this frame does not show it and those before did.
    pub missed: Option<NormBox>,
    /// Whether this frame shows where it touches the ground.
    pub is_grounded: bool,
    /// The two-wheeler that this person rides.
    pub mount: Option<TrackId>,
    /// Whether it moves down the picture, towards the camera; `None` while it
    /// stands or is new.
    pub comes: Option<bool>,
}

/// A look that is worth it.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// At whom; `None`: at the whole picture.
    pub track: Option<TrackId>,
    /// Who is answered for, and the part of the picture: several riders of one machine.
    pub parts: Vec<(Option<TrackId>, NormBox)>,
}

/// Why there was no look at somebody in a frame; counted for whoever wonders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Fewer pixels than the model needs.
    pub small: u64,
    /// At the edge of the picture, or what was to be seen is beyond it.
    pub cut: u64,
    /// Behind somebody else.
    pub covered: u64,
    /// Where it touches the ground is hidden, so that no rule judges it.
    pub wheels_hidden: u64,
    /// The other end is seen, or nobody knows which.
    pub turned: u64,
    /// Too soon after the last look, or the same pose.
    pub repeats: u64,
    /// Not clear, or no clearer than the looks that there are.
    pub unclear: u64,
    /// More road users at once than the cascade may look at.
    pub busy: u64,
}

/// Chooses for one cascade of one camera.
#[derive(Clone, Debug)]
pub struct Chooser {
    looks: Looks,
    known: BTreeMap<TrackId, Known>,
    /// Parts that may be looked at now.
    allowance: f64,
    now: Option<EventTime>,
    /// The last look at the whole picture.
    whole: Option<EventTime>,
    passed: Passed,
}

#[derive(Clone, Debug)]
struct Known {
    taken: Vec<Taken>,
    seen: EventTime,
    /// Looks that could not be ones, and the last of them.
    unfit: usize,
    tried: Option<EventTime>,
}

#[derive(Clone, Debug)]
struct Taken {
    at: EventTime,
    bounds: NormBox,
    worth: f64,
    /// Who is answered for.
    whom: Vec<TrackId>,
}

/// A new pose: moved by this part of its height …
const MOVED: f64 = 0.25;
/// … or larger or smaller by this factor.
const GREW: f64 = 1.15;
/// Who stands still is looked at again after this many times `apart_s`: a lorry
/// may have driven on, a headlight gone out.
const STILL: f64 = 8.0;
/// Clearly better than the best of the looks that there are.
const BETTER: f64 = 1.3;
/// Half as clear as can be.
const HALF_CLEAR: f64 = 0.2;
/// Who was not heard of for this long is forgotten, s. Ids do not come back.
const FORGOTTEN_S: f64 = 5.0;
/// After a look that could not be one the next is so much later, s.
const UNFIT_S: f64 = 1.0;
/// Nobody is looked at more often, whatever the configuration says.
const MOST_TAKEN: usize = 64;

impl Chooser {
    /// Nobody has been looked at.
    pub fn new(looks: Looks) -> Self {
        Self {
            allowance: looks.most_per_s.max(1.0),
            looks,
            known: BTreeMap::new(),
            now: None,
            whole: None,
            passed: Passed::default(),
        }
    }

    /// What is looked at, and how often.
    pub const fn looks(&self) -> &Looks {
        &self.looks
    }

    /// Why there was no look, so far.
    pub const fn passed(&self) -> Passed {
        self.passed
    }

    /// How many road users are remembered.
    pub fn remembered(&self) -> usize {
        self.known.len()
    }

    /// Which looks to take in a frame of `width` × `height` pixels. `sharpness`
    /// is asked for those parts only on which it depends.
    pub fn choose(
        &mut self,
        at: EventTime,
        (width, height): (f64, f64),
        candidates: &[Candidate],
        mut sharpness: impl FnMut(&NormBox) -> f64,
    ) -> Vec<Choice> {
        self.pass_time(at);
        if self.looks.on.is_empty() {
            return self.choose_whole(at).into_iter().collect();
        }
        let mut wanted: Vec<(usize, f64, TrackId, Choice, NormBox)> = Vec::new();
        for candidate in candidates {
            if !candidate.is_seen || !self.looks.on.contains(&candidate.class) {
                continue;
            }
            let known = self.known.entry(candidate.id).or_insert_with(|| Known {
                taken: Vec::new(),
                seen: at,
                unfit: 0,
                tried: None,
            });
            known.seen = at;
            let riders = riders(candidate, candidates);
            let parts = parts(&self.looks, candidate, &riders);
            let riders: Vec<NormBox> = riders.iter().map(|rider| rider.bounds).collect();
            let looks = &self.looks;
            let passed = &mut self.passed;
            let least = parts.iter().map(|(_, part)| part.height * height);
            let least = least.fold(f64::INFINITY, f64::min);
            let reason = if parts.is_empty() || least < looks.min_height_px {
                Some(&mut passed.small)
            } else if !looks.crop.is_whole(&candidate.bounds, &riders) {
                Some(&mut passed.cut)
            } else if looks.needs_ground && !is_grounded(candidate, candidates) {
                Some(&mut passed.wheels_hidden)
            } else if !looks.facing.allows(candidate.comes) {
                Some(&mut passed.turned)
            } else if known.repeats(at, &candidate.bounds, looks, width / height) {
                Some(&mut passed.repeats)
            } else if is_covered(candidate, &parts, candidates) {
                Some(&mut passed.covered)
            } else {
                None
            };
            if let Some(count) = reason {
                *count += 1;
                continue;
            }
            let clear = parts.iter().map(|(_, part)| sharpness(part));
            let clear = clear.fold(f64::INFINITY, f64::min).max(0.0);
            let worth = least * clear / (clear + HALF_CLEAR);
            if clear < looks.min_sharpness || !known.gains(worth, looks) {
                passed.unclear += 1;
                continue;
            }
            let choice = Choice {
                track: Some(candidate.id),
                parts,
            };
            // Nobody waits behind who could not be looked at.
            let taken = known.taken.len() + known.unfit;
            wanted.push((taken, worth, candidate.id, choice, candidate.bounds));
        }
        wanted.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
        let mut chosen = Vec::new();
        for (_, worth, id, choice, bounds) in wanted {
            let cost = choice.parts.len() as f64;
            // Who has more riders than the allowance is ever large may overdraw it.
            if self.allowance < cost.min(self.looks.most_per_s.max(1.0)) {
                self.passed.busy += 1;
                continue;
            }
            self.allowance -= cost;
            if let Some(known) = self.known.get_mut(&id) {
                let whom = choice.parts.iter().filter_map(|(track, _)| *track);
                known.taken.push(Taken {
                    at,
                    bounds,
                    worth,
                    whom: whom.collect(),
                });
            }
            chosen.push(choice);
        }
        chosen
    }

    /// A look that was chosen at `at` was not taken after all: the device was busy.
    pub fn not_taken(&mut self, track: Option<TrackId>, at: EventTime) {
        match track.and_then(|track| self.known.get_mut(&track)) {
            Some(known) => known.taken.retain(|taken| taken.at != at),
            // The next one is due at once.
            None if self.whole == Some(at) => self.whole = None,
            None => {}
        }
    }

    /// The answer about `whom` to a look that was chosen at `at` came too late to be heard: as
    /// if nobody had looked.
    pub fn came_too_late(&mut self, whom: Option<TrackId>, at: EventTime) {
        let Some(whom) = whom else {
            return self.not_taken(None, at);
        };
        for known in self.known.values_mut() {
            let is_it = |taken: &Taken| taken.at == at && taken.whom.contains(&whom);
            known.taken.retain(|taken| !is_it(taken));
        }
    }

    /// A look that was chosen at `at` could not be one, because of the picture: it is not worth
    /// another try at once.
    pub fn was_unfit(&mut self, track: Option<TrackId>, at: EventTime) {
        self.not_taken(track, at);
        let known = track.and_then(|track| self.known.get_mut(&track));
        // Each part of it says so.
        if let Some(known) = known.filter(|known| known.tried != Some(at)) {
            known.unfit += 1;
            known.tried = Some(at);
        }
    }

    fn choose_whole(&mut self, at: EventTime) -> Option<Choice> {
        let is_due = self
            .whole
            .is_none_or(|last| at.since(last).0 >= self.looks.apart_s - JITTER_S);
        is_due.then(|| {
            self.whole = Some(at);
            Choice {
                track: None,
                parts: vec![(None, WHOLE)],
            }
        })
    }

    fn pass_time(&mut self, at: EventTime) {
        let passed = self.now.map_or(0.0, |now| at.since(now).0);
        if passed < 0.0 {
            // The clock was set back: nobody of before is here.
            self.known.clear();
            self.whole = None;
        }
        self.now = Some(at);
        let most = self.looks.most_per_s.max(1.0);
        self.allowance = (self.allowance + passed.max(0.0) * self.looks.most_per_s).min(most);
        self.known
            .retain(|_, known| at.since(known.seen).0 <= FORGOTTEN_S);
    }
}

/// Frames do not come quite evenly, s.
const JITTER_S: f64 = 0.02;

const WHOLE: NormBox = NormBox {
    x: 0.0,
    y: 0.0,
    width: 1.0,
    height: 1.0,
};

impl Known {
    fn repeats(&self, at: EventTime, bounds: &NormBox, looks: &Looks, aspect: f64) -> bool {
        if self.taken.len() >= looks.most.min(MOST_TAKEN) {
            return true;
        }
        if (self.tried).is_some_and(|tried| at.since(tried).0 < UNFIT_S) {
            return true;
        }
        let Some(last) = self.taken.last() else {
            return false;
        };
        let passed = at.since(last.at).0;
        let (here, there) = (bounds.centre(), last.bounds.centre());
        let (aside, down) = ((here.x - there.x) * aspect, here.y - there.y);
        let size = last.bounds.height.max(1e-9);
        let has_moved = aside * aside + down * down >= (MOVED * size) * (MOVED * size);
        let grew = bounds.height / size;
        let is_new = has_moved || !(1.0 / GREW..=GREW).contains(&grew);
        passed < looks.apart_s - JITTER_S || !(is_new || passed >= STILL * looks.apart_s)
    }

    /// Whether a further look of this worth is one more that is wanted, or
    /// clearly better than all that there are: the best may be yet to come.
    fn gains(&self, worth: f64, looks: &Looks) -> bool {
        let best = self
            .taken
            .iter()
            .map(|taken| taken.worth)
            .fold(0.0, f64::max);
        self.taken.len() < looks.wanted || worth >= BETTER * best
    }
}

/// Whether a road user's contact with the ground is seen; of a rider the machine's.
fn is_grounded(candidate: &Candidate, all: &[Candidate]) -> bool {
    let mount = candidate.mount;
    let machine = mount.and_then(|mount| all.iter().find(|other| other.id == mount));
    machine.unwrap_or(candidate).is_grounded
}

/// Who is seen on a two-wheeler.
fn riders<'c>(candidate: &Candidate, all: &'c [Candidate]) -> Vec<&'c Candidate> {
    all.iter()
        .filter(|other| other.is_seen && other.mount == Some(candidate.id))
        .collect()
}

fn parts(
    looks: &Looks,
    candidate: &Candidate,
    riders: &[&Candidate],
) -> Vec<(Option<TrackId>, NormBox)> {
    if looks.crop == Crop::Riders && !riders.is_empty() {
        let of = |rider: &&Candidate| {
            let part = looks
                .crop
                .parts(&candidate.bounds, &[rider.bounds], looks.margin);
            Some((Some(rider.id), *part.first()?))
        };
        return riders.iter().filter_map(of).collect();
    }
    let parts = looks.crop.parts(&candidate.bounds, &[], looks.margin);
    parts
        .into_iter()
        .map(|part| (Some(candidate.id), part))
        .collect()
}

/// Whether somebody nearer stands before one of the parts, or may stand there, missed for
/// a moment: he is not less opaque for that. Rider and machine do not cover each other.
fn is_covered(
    candidate: &Candidate,
    parts: &[(Option<TrackId>, NormBox)],
    all: &[Candidate],
) -> bool {
    let root = |one: &Candidate| one.mount.unwrap_or(one.id);
    all.iter().any(|other| {
        let place = if other.is_seen {
            Some(other.bounds)
        } else {
            other.missed
        };
        root(other) != root(candidate)
            && place.is_some_and(|place| {
                let mut parts = parts.iter();
                parts.any(|(_, part)| is_covered_by(&place, &candidate.bounds, part))
            })
    })
}

#[cfg(test)]
mod tests;
