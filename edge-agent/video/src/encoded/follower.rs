//! The picture of a moment out of a stream that is only kept, for who asks while it
//! comes: soon after the moment, and again for a later one.
//!
//! A [`Follower`] decodes forward from where it stands in a group of pictures, or from
//! the last key picture before the moment, and nothing while nobody asks. So it never
//! costs more than decoding the stream once (H.265 twice, see `group.rs`), and nothing
//! where nobody is looked for. A moment before the last one costs its group again, and one
//! whose picture refers to two groups costs the first of them.
//!
//! What is shown is a picture as the camera saw it, or none. And it is of the moment: two
//! streams are compared by the camera's own clock ([`OwnTime`]), right or wrong, and by
//! nothing else. What their pictures are told as ([`AccessUnit::time`]) may be slewed by
//! some tenths of a second in one of them, or go by the arrival of each, which their encoders
//! delay by different times: the next vehicle would be taken for the one that was seen.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::EventTime;
use protocol::units::Seconds;

use super::group::{DecodeError, Group, Verdict};
use super::ring::Ring;
use super::unit::AccessUnit;
use crate::frame::{Frame, OwnTime};

/// What there is of a moment.
#[derive(Clone, Debug)]
pub enum Sought {
    /// Its picture.
    Shown(Frame),
    /// It may still come: ask again when the ring has news ([`Follower::wait`]).
    NotYet,
    /// It is there, and there was no time to decode it: ask again.
    Behind,
    /// It is damaged, or may refer to what is.
    Damaged,
    /// No picture was taken near enough to it, or it is gone.
    Absent,
    /// The stream and the moment are not both timed by the camera's own clock: which picture
    /// is of it nobody knows.
    OtherClock,
}

/// What a follower has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowerCounters {
    /// Pictures that were decoded; those of H.265 count once.
    pub decoded: u64,
    /// How often it began with a key picture.
    pub begun: u64,
}

/// Follows the ring of one stream.
pub struct Follower {
    ring: Arc<Ring>,
    /// A picture may be this far from the moment.
    within: Seconds,
    standing: Option<Standing>,
    /// From one picture to the next, once that is known.
    interval: Option<Seconds>,
    /// The newest picture when it was asked last.
    newest: Option<u64>,
    counters: FollowerCounters,
}

/// Where it stands.
struct Standing {
    /// The number of the key picture.
    key: u64,
    group: Group,
    /// What came out last, by place.
    out: VecDeque<(usize, Frame)>,
    is_finished: bool,
}

/// Pictures that came out and may be asked for next: of a stream in which others are
/// sent before those that they are shown behind, some come out before one is known to be
/// sound.
const KEPT: usize = 4;
/// What is shown earlier may be sent so much later, s (at most 16 pictures of H.264 wait
/// for another).
const REORDERED_S: f64 = 0.7;
/// What a picture is told as may be so far from the moment's by the same clock, s: each up to
/// a second from its arrival, while it is slewed.
const TOLD_APART: Seconds = Seconds(2.0);
/// So many pictures tell how far they are apart, whatever order they are sent in.
const PACE: usize = 8;
/// Pictures are not quite evenly apart, s.
const SLACK_S: f64 = 0.002;

impl Follower {
    /// Of a ring; pictures farther than `within` from a moment are not of it.
    pub fn new(ring: Arc<Ring>, within: Seconds) -> Self {
        Self {
            ring,
            within,
            standing: None,
            interval: None,
            newest: None,
            counters: FollowerCounters::default(),
        }
    }

    /// What it has done so far.
    pub const fn counters(&self) -> FollowerCounters {
        self.counters
    }

    /// Lets its decoder go.
    pub fn rest(&mut self) {
        self.standing = None;
    }

    /// Waits until there are pictures that it had not seen when it was asked last.
    pub fn wait(&self, within: Duration) -> bool {
        self.ring.wait_beyond(self.newest, within)
    }

    /// The picture of a moment that was told as `told`, and is `own` by the camera's own
    /// clock. It stops decoding at `until`, and goes on from there when it is asked again.
    ///
    /// # Errors
    /// There is no decoder.
    pub fn seek(
        &mut self,
        (told, own): (EventTime, Option<OwnTime>),
        until: Instant,
    ) -> Result<Sought, DecodeError> {
        // Before it looks, and not of what it sees: a key picture that is still open leaves it
        // nothing to see, and what comes meanwhile is news.
        self.newest = self.ring.newest_number();
        let Some(moment) = own else {
            return Ok(Sought::OtherClock);
        };
        let clock = self.ring.clock_of(told);
        let earliest = told - TOLD_APART;
        let units = self.ring.since(None, earliest, clock);
        let after = |unit: &AccessUnit| unit.own_time?.since(moment);
        // The newest is not, or no longer.
        if units.last().is_some_and(|last| after(last).is_none()) {
            return Ok(Sought::OtherClock);
        }
        let off = |unit: &AccessUnit| after(unit).map_or(f64::INFINITY, f64::abs);
        let nearest = (0..units.len()).min_by(|a, b| off(&units[*a]).total_cmp(&off(&units[*b])));
        let Some(at) = nearest else {
            return Ok(Sought::NotYet);
        };
        let off = off(&units[at]);
        self.interval = interval(&units).or(self.interval);
        let is_nearest = (self.interval).is_some_and(|it| off <= it.0 / 2.0 + SLACK_S)
            || units
                .iter()
                .any(|unit| after(unit).is_some_and(|after| after > REORDERED_S));
        if !is_nearest {
            return Ok(Sought::NotYet);
        }
        if off > self.within.0 {
            // Where some are by no clock, one of those may have been it.
            let is_known = units.iter().all(|unit| after(unit).is_some());
            return Ok(if is_known {
                Sought::Absent
            } else {
                Sought::OtherClock
            });
        }
        let Some(key) = begins(&units, at) else {
            return Ok(Sought::Absent);
        };
        let (before, wanted) = (&units[key..=at], at - key);
        let goes_on = |pair: &[AccessUnit]| pair[0].is_followed_by(&pair[1]);
        if before.iter().any(|unit| unit.is_torn) || !before.windows(2).all(goes_on) {
            return Ok(Sought::Damaged);
        }
        self.decode(&units[key..], wanted, until)
    }

    /// Decodes a group until it is known what becomes of the `wanted` picture, which may be one
    /// of the next group that refers to both. Behind the group others may follow.
    fn decode(
        &mut self,
        units: &[AccessUnit],
        wanted: usize,
        until: Instant,
    ) -> Result<Sought, DecodeError> {
        let key = &units[0];
        let standing = match self.standing.take() {
            Some(standing) if standing.serves(key.number, wanted) => standing,
            _ => {
                self.counters.begun += 1;
                Standing::begin(key)?
            }
        };
        let standing = self.standing.insert(standing);
        loop {
            match standing.group.verdict(wanted) {
                Verdict::Damaged => return Ok(Sought::Damaged),
                Verdict::Sound => {
                    let frame = standing.frame(wanted).cloned();
                    return Ok(frame.map_or(Sought::Absent, Sought::Shown));
                }
                Verdict::Open => {}
            }
            let fed = standing.group.len();
            let Some(next) = units.get(fed) else {
                return Ok(Sought::NotYet);
            };
            let is_next_group = next.is_key && fed > wanted;
            if fed > 0 && (is_next_group || !units[fed - 1].is_followed_by(next)) {
                if let Err(error) = standing.finish(wanted) {
                    tracing::debug!(%error, "a group of pictures broke its decoder");
                }
                continue;
            }
            if Instant::now() >= until {
                return Ok(Sought::Behind);
            }
            self.counters.decoded += 1;
            standing.feed(next, wanted);
        }
    }
}

impl Standing {
    fn begin(key: &AccessUnit) -> Result<Self, DecodeError> {
        Ok(Self {
            key: key.number,
            group: Group::begin(key)?,
            out: VecDeque::new(),
            is_finished: false,
        })
    }

    /// Whether the `wanted` picture of a group can be had from here, going forward.
    fn serves(&self, key: u64, wanted: usize) -> bool {
        if wanted >= self.group.len() {
            return self.key == key && !self.is_finished;
        }
        let verdict = self.group.verdict(wanted);
        let is_on_its_way = verdict == Verdict::Open && !self.group.has_shown(wanted);
        self.key == key
            && (is_on_its_way || verdict == Verdict::Damaged || self.frame(wanted).is_some())
    }

    fn frame(&self, at: usize) -> Option<&Frame> {
        let found = self.out.iter().find(|(place, _)| *place == at);
        found.map(|(_, frame)| frame)
    }

    fn feed(&mut self, unit: &AccessUnit, wanted: usize) {
        let out = &mut self.out;
        self.group
            .feed(unit, true, |at, frame| keep(out, (at, frame), wanted));
    }

    fn finish(&mut self, wanted: usize) -> Result<(), DecodeError> {
        self.is_finished = true;
        let out = &mut self.out;
        self.group
            .finish(|at, frame| keep(out, (at, frame), wanted))
    }
}

/// The newest, and the one that is wanted.
fn keep(out: &mut VecDeque<(usize, Frame)>, new: (usize, Frame), wanted: usize) {
    out.push_back(new);
    if out.len() > KEPT
        && let Some(old) = out.iter().position(|(at, _)| *at != wanted)
    {
        out.remove(old);
    }
}

/// The place of the key picture from which the one at `at` can be decoded: that of its group, or of
/// the group before where it may refer to that and is sent right behind it.
fn begins(units: &[AccessUnit], at: usize) -> Option<usize> {
    let own = units[..=at].iter().rposition(|unit| unit.is_key)?;
    let before = units[..own].iter().rposition(|unit| unit.is_key);
    let is_joined =
        |_: &usize| units[at].leads(&units[own]) && units[own - 1].is_followed_by(&units[own]);
    Some(before.filter(is_joined).unwrap_or(own))
}

/// From one picture shown to the next, mostly.
fn interval(units: &[AccessUnit]) -> Option<Seconds> {
    let run = units.last().map(|unit| unit.run);
    let of_run = units.iter().filter(|unit| Some(unit.run) == run);
    let mut shown: Vec<EventTime> = of_run.map(|unit| unit.time).collect();
    if shown.len() < PACE {
        return None;
    }
    shown.sort_unstable();
    let between = shown.windows(2).map(|pair| pair[1].since(pair[0]).0);
    let mut between: Vec<f64> = between.collect();
    between.sort_by(f64::total_cmp);
    between.get(between.len() / 2).copied().map(Seconds)
}
