//! The last seconds of a camera, as it sent them.
//!
//! Bounded by seconds and by bytes; whole groups of pictures go, because what
//! has lost its key picture is of no use. A clip is cut from the key picture at
//! or before the wished-for beginning, so it is never shorter than was asked,
//! except where the pictures are not there, and then it says why.
//!
//! Clips share the pictures' bytes with the ring and with each other.
//!
//! A clock that is set does not tear a stream: its pictures still follow each
//! other in media time. So the ring counts by how much times have jumped, keeps
//! each picture's time as it was told, and hands all of them out by the clock of
//! the event that a clip is for ([`Ring::clock_of`]).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::units::Seconds;
use protocol::{EventTime, TimeQuality};

use super::album::{Album, AlbumLimits};
use super::parameters::{Content, Format};
use super::unit::{AccessUnit, Codec};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RingLimits {
    /// At least so long, if `bytes` allow it.
    pub seconds: f64,
    /// At most so much.
    pub bytes: usize,
    /// What is kept of what leaves.
    pub album: Option<AlbumLimits>,
}

/// How full a ring is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RingState {
    /// Bytes of pictures.
    pub bytes: usize,
    /// Pictures.
    pub pictures: usize,
    /// From the oldest to the newest.
    pub seconds: f64,
    /// Pictures that went before their seconds were over, because of `bytes`.
    pub pressed_out: u64,
    /// Key pictures of before.
    pub album: AlbumState,
}

/// How much an album holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AlbumState {
    /// Bytes of pictures.
    pub bytes: usize,
    /// Pictures.
    pub pictures: usize,
    /// From the oldest to the newest.
    pub seconds: f64,
}

/// Why a clip is shorter than was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// No picture was received in all that time.
    Nothing,
    /// The ring did not reach back so far.
    BeganLate,
    /// The stream was lost, or changed, before the wished-for end.
    BrokeOff,
    /// Whoever keeps pictures for the clip took no more of them. [`cut`] cannot
    /// know that, and says [`Shortfall::BrokeOff`].
    TooLarge,
    /// The stream was lost, or changed, after the wished-for beginning.
    CameLate,
}

/// Pictures of one unbroken run.
#[derive(Clone, Debug, Default)]
pub struct Cut {
    /// In the order in which they were sent; the first is a key picture.
    pub units: Vec<AccessUnit>,
    /// What is wrong with it, if anything.
    pub shortfalls: Vec<Shortfall>,
}

impl Cut {
    /// From the first picture to the last.
    pub fn span(&self) -> Option<(EventTime, EventTime)> {
        let times = || self.units.iter().map(|unit| unit.time);
        Some((times().min()?, times().max()?))
    }
}

/// By which of the clocks that a ring has seen times are told: what times had
/// been set by until then, in sum (µs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingClock(i64);

/// Encoded pictures of one stream, over all its connections.
#[derive(Debug)]
pub struct Ring {
    limits: RingLimits,
    kept: Mutex<Kept>,
}

/// A picture, and the clock that its time is by.
#[derive(Clone, Debug)]
struct Held {
    unit: AccessUnit,
    clock: RingClock,
}

impl Held {
    /// Its time as if no clock had ever been set (µs).
    fn steady(&self) -> i64 {
        self.unit.time.as_micros().saturating_sub(self.clock.0)
    }

    fn by(&self, clock: RingClock) -> AccessUnit {
        AccessUnit {
            time: clock.tell(self.steady()),
            ..self.unit.clone()
        }
    }

    fn offset(&self) -> i64 {
        offset(self.unit.time, self.unit.media)
    }

    fn set(&mut self, by: i64) {
        self.unit.time = EventTime::from_micros(self.unit.time.as_micros().saturating_add(by));
        self.clock.0 = self.clock.0.saturating_add(by);
    }
}

impl RingClock {
    fn tell(self, steady: i64) -> EventTime {
        EventTime::from_micros(steady.saturating_add(self.0))
    }
}

/// From media time to the clock (µs).
fn offset(time: EventTime, media: i64) -> i64 {
    time.as_micros().saturating_sub(media)
}

#[derive(Debug, Default)]
struct Kept {
    units: VecDeque<Held>,
    /// By which times are told now.
    clock: RingClock,
    bytes: usize,
    next: u64,
    run: u64,
    /// Of the run that goes on; absent until it has a key picture.
    format: Option<Arc<Format>>,
    /// Parameter sets and messages that came in a buffer of their own, ahead of
    /// the picture that they belong to.
    ahead: Vec<u8>,
    /// Packets were lost since the last picture.
    is_torn: bool,
    pressed_out: u64,
    album: Album,
}

/// A clip may lack so much at either end without being called short: a picture
/// at one frame per second.
const SLACK: Seconds = Seconds(1.0);
/// Times that jump by more against media time were set (µs); less is slewed, or the network's.
const STEP: i64 = 500_000;
/// Media time that jumps by more together with the times is another count of
/// the camera's, and no clock that was set (µs).
const RESTART: i64 = 2_000_000;
/// One picture of more is none that a camera sends.
const LARGEST_PICTURE: usize = 16 << 20;

impl Ring {
    /// An empty one.
    pub fn new(limits: RingLimits) -> Self {
        Self {
            limits,
            kept: Mutex::new(Kept::default()),
        }
    }

    /// A new connection: media time starts again, and nothing goes on.
    pub fn interrupt(&self) {
        let mut kept = self.kept();
        kept.run += 1;
        kept.format = None;
        kept.ahead.clear();
        kept.is_torn = false;
    }

    /// Packets were lost on the way: the next picture may not be whole.
    pub fn tear(&self) {
        self.kept().is_torn = true;
    }

    /// Parameter sets that are said beside the pictures and before them, as the header
    /// of a file does; a byte stream. What is pushed goes by these from here on.
    pub fn describe(&self, codec: Codec, parameters: &[u8]) {
        let content = Content::of(codec, parameters);
        let mut kept = self.kept();
        kept.begin_run(Format::of(codec, parameters, &content));
    }

    /// Takes a picture in. `media` is absent for what belongs to the picture before.
    ///
    /// The depayloader begins a new buffer at each parameter set, so a camera
    /// that repeats them before each slice sends a picture in pieces, of which
    /// only the first has a time.
    ///
    /// A time that jumps against media time is the word of a clock that was set.
    pub fn push(
        &self,
        codec: Codec,
        bytes: &[u8],
        media: Option<i64>,
        (time, time_quality): (EventTime, TimeQuality),
    ) {
        let mut kept = self.kept();
        let belongs = |last: &AccessUnit| media.is_none_or(|media| media == last.media);
        let run = kept.run;
        let is_going_on = kept.format.is_some();
        let is_torn = kept.is_torn;
        if let Some(Held { unit: last, .. }) = kept.units.back_mut()
            && is_going_on
            && last.run == run
            && belongs(last)
        {
            last.is_torn |= is_torn;
            if last.bytes.len() + bytes.len() <= LARGEST_PICTURE {
                last.bytes = [&last.bytes[..], bytes].concat().into();
                kept.bytes += bytes.len();
            }
            return;
        }
        if kept.ahead.len() + bytes.len() > LARGEST_PICTURE {
            kept.ahead.clear();
            return;
        }
        let content = Content::of(codec, bytes);
        if !content.has_slice {
            kept.ahead.extend_from_slice(bytes);
            return;
        }
        let Some(media) = media else {
            return;
        };
        let ahead = std::mem::take(&mut kept.ahead);
        kept.is_torn = false;
        let (joined, content) = if ahead.is_empty() {
            (bytes.to_vec(), content)
        } else {
            let joined = [&ahead[..], bytes].concat();
            let content = Content::of(codec, &joined);
            (joined, content)
        };
        kept.heed_clock(media, time);
        let bytes = &joined[..];
        if content.is_key {
            let is_same = kept
                .format
                .as_ref()
                .is_some_and(|format| format.codec == codec && format.covers(bytes, &content));
            if !is_same {
                kept.begin_run(Format::of(codec, bytes, &content));
            }
        }
        let Some(format) = kept.format.clone() else {
            // Nothing can be decoded before the first key picture.
            return;
        };
        let unit = AccessUnit {
            bytes: joined.into(),
            number: kept.next,
            run: kept.run,
            media,
            time,
            time_quality,
            is_key: content.is_key,
            is_torn,
            format,
        };
        kept.next += 1;
        kept.bytes += unit.bytes.len();
        let clock = kept.clock;
        kept.units.push_back(Held { unit, clock });
        kept.shrink(&self.limits);
    }

    /// The picture shown at `media` has been given this time by whoever looked at it.
    pub fn stamp(&self, media: i64, time: EventTime, time_quality: TimeQuality) {
        let mut kept = self.kept();
        let run = kept.run;
        let shown = |held: &Held| held.unit.run == run && held.unit.media == media;
        let Some(at) = kept.units.iter().rposition(shown) else {
            return;
        };
        // Decoding is behind: the pictures after it have the times of before, too.
        let by = offset(time, media).saturating_sub(kept.units[at].offset());
        if by.saturating_abs() > STEP {
            let old = kept.units[at].clock;
            let later = kept.units.range_mut(at..);
            later
                .filter(|held| held.clock == old)
                .for_each(|held| held.set(by));
            if kept.clock == old {
                kept.clock.0 = old.0.saturating_add(by);
            }
        }
        let unit = &mut kept.units[at].unit;
        (unit.time, unit.time_quality) = (time, time_quality);
    }

    /// The clock that `at` was told by: that of the picture which is nearest to
    /// it, by the picture's own clock.
    pub fn clock_of(&self, at: EventTime) -> RingClock {
        let kept = self.kept();
        let away = |held: &&Held| held.unit.time.since(at).0.abs();
        // The newest of those that are as near.
        let newest_first = kept.units.iter().rev();
        newest_first
            .min_by(|a, b| away(a).total_cmp(&away(b)))
            .map_or(kept.clock, |held| held.clock)
    }

    /// The newest picture's time.
    pub fn newest(&self, clock: RingClock) -> Option<EventTime> {
        let kept = self.kept();
        let newest = kept.units.back()?;
        Some(clock.tell(newest.steady()))
    }

    /// Pixels across and down of the pictures that come now.
    pub fn size(&self) -> Option<(u32, u32)> {
        let kept = self.kept();
        let format = kept.format.as_ref()?;
        Some((format.width, format.height))
    }

    /// How full it is.
    pub fn state(&self) -> RingState {
        let kept = self.kept();
        RingState {
            bytes: kept.bytes,
            pictures: kept.units.len(),
            seconds: kept.seconds(),
            pressed_out: kept.pressed_out,
            album: kept.album.state(),
        }
    }

    /// Key pictures taken within these times, oldest first: those of the album, and
    /// those of the ring itself.
    pub fn key_pictures(&self, from: EventTime, to: EventTime) -> Vec<AccessUnit> {
        let kept = self.kept();
        let units = kept.units.iter().map(|held| &held.unit);
        let all = kept.album.units().chain(units.filter(|unit| unit.is_key));
        all.filter(|unit| (from..=to).contains(&unit.time))
            .cloned()
            .collect()
    }

    /// What was sent after the picture `after`, from a key picture at or before
    /// `from` where nothing was taken yet. For a clip that grows while its
    /// event goes on, longer than the ring reaches. All times are by `clock`.
    pub fn since(&self, after: Option<u64>, from: EventTime, clock: RingClock) -> Vec<AccessUnit> {
        let kept = self.kept();
        let begin = if let Some(number) = after {
            kept.units
                .partition_point(|held| held.unit.number <= number)
        } else {
            let is_before = |held: &Held| held.unit.is_key && clock.tell(held.steady()) <= from;
            kept.units.iter().rposition(is_before).unwrap_or(0)
        };
        let held = kept.units.range(begin..);
        held.map(|held| held.by(clock)).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn begin_run(&mut self, format: Option<Format>) {
        self.run += 1;
        self.format = format.map(Arc::new);
    }

    /// Sees whether times have jumped with a picture that is given `time`.
    fn heed_clock(&mut self, media: i64, time: EventTime) {
        let Some(last) = self.units.back() else {
            return;
        };
        if self.format.is_some() && last.unit.run == self.run {
            let by = offset(time, media).saturating_sub(last.offset());
            if by.saturating_abs() <= STEP {
                return;
            }
            if media.saturating_sub(last.unit.media).saturating_abs() <= RESTART {
                self.clock.0 = self.clock.0.saturating_add(by);
            } else {
                self.begin_run(None);
            }
        }
        // Where nothing goes on only a clock that was set back can be told from
        // the time that passed.
        if let Some(last) = self.units.back() {
            let steady = time.as_micros().saturating_sub(self.clock.0);
            let back = steady.saturating_sub(last.steady());
            if back < -STEP {
                self.clock.0 = self.clock.0.saturating_add(back);
            }
        }
    }

    fn seconds(&self) -> f64 {
        match (self.units.front(), self.units.back()) {
            (Some(first), Some(last)) => reach(first, last).max(0.0),
            _ => 0.0,
        }
    }

    /// Lets the oldest groups go.
    fn shrink(&mut self, limits: &RingLimits) {
        loop {
            let second_key = self.units.iter().skip(1).position(|held| held.unit.is_key);
            let is_pressed = self.bytes > limits.bytes;
            let group = match second_key {
                Some(at) => {
                    let newest = self.units.back();
                    let next = &self.units[at + 1];
                    let is_old = newest.is_some_and(|last| reach(next, last) >= limits.seconds);
                    if !is_pressed && !is_old {
                        return;
                    }
                    self.pressed_out += if is_old { 0 } else { at as u64 + 1 };
                    at + 1
                }
                // One group that is too large by itself: what remains of it cannot
                // be decoded, so there is nothing until the next key picture.
                None if is_pressed => {
                    self.pressed_out += self.units.len() as u64;
                    self.format = None;
                    self.run += 1;
                    self.units.len()
                }
                None => return,
            };
            for held in self.units.drain(..group) {
                self.bytes -= held.unit.bytes.len();
                let is_whole = held.unit.is_key && !held.unit.is_torn;
                if let (true, Some(limits)) = (is_whole, &limits.album) {
                    self.album.offer(&held.unit, limits);
                }
            }
        }
    }
}

/// From one picture to another, whatever clocks did in between (s).
fn reach(from: &Held, to: &Held) -> f64 {
    let passed = to.steady().saturating_sub(from.steady());
    EventTime::from_micros(passed).since(EventTime::EPOCH).0
}

/// Cuts `from` to `to` out of pictures of one stream, around `at`.
///
/// Only the run counts that shows `at`: pictures over a break would be a clip
/// with a hole in it that looks whole.
pub fn cut(units: &[AccessUnit], from: EventTime, to: EventTime, at: EventTime) -> Cut {
    let away = |unit: &AccessUnit| unit.time.since(at).0.abs();
    let Some(run) = units
        .iter()
        .min_by(|a, b| away(a).total_cmp(&away(b)))
        .map(|unit| unit.run)
    else {
        return Cut {
            units: Vec::new(),
            shortfalls: vec![Shortfall::Nothing],
        };
    };
    let of_run = |unit: &&AccessUnit| unit.run == run;
    let whole: Vec<&AccessUnit> = units.iter().filter(of_run).collect();
    let begin = whole
        .iter()
        .rposition(|unit| unit.is_key && unit.time <= from)
        .or_else(|| whole.iter().position(|unit| unit.is_key));
    let Some(begin) = begin else {
        return Cut {
            units: Vec::new(),
            shortfalls: vec![Shortfall::Nothing],
        };
    };
    // To the picture after the end, so that the end is in it.
    let end = whole[begin..]
        .iter()
        .position(|unit| unit.time >= to)
        .map_or(whole.len(), |after| begin + after + 1);
    // And those that are shown before it but were sent after it.
    let last_shown = whole[begin..end].iter().map(|unit| unit.media).max();
    let reordered = whole[end..]
        .iter()
        .take_while(|unit| Some(unit.media) < last_shown)
        .count();
    let end = end + reordered;
    let taken: Vec<AccessUnit> = whole[begin..end].iter().map(|u| (*u).clone()).collect();
    let mut cut = Cut {
        units: taken,
        shortfalls: Vec::new(),
    };
    let Some((first, last)) = cut.span() else {
        cut.shortfalls.push(Shortfall::Nothing);
        return cut;
    };
    if first.since(from) > SLACK {
        let is_broken = units.first().is_some_and(|unit| unit.run < run);
        cut.shortfalls.push(if is_broken {
            Shortfall::CameLate
        } else {
            Shortfall::BeganLate
        });
    }
    if to.since(last) > SLACK {
        cut.shortfalls.push(Shortfall::BrokeOff);
    }
    cut
}

#[cfg(test)]
mod tests;
