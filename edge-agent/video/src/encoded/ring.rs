//! The last seconds of a camera, as it sent them.
//!
//! Bounded by seconds and by bytes; whole groups of pictures go, because what
//! has lost its key picture is of no use. A clip is cut from the key picture at
//! or before the wished-for beginning, so it is never shorter than was asked,
//! except where the pictures are not there, and then it says why.
//!
//! Clips share the pictures' bytes with the ring and with each other.

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

/// Encoded pictures of one stream, over all its connections.
#[derive(Debug)]
pub struct Ring {
    limits: RingLimits,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    units: VecDeque<AccessUnit>,
    bytes: usize,
    next: u64,
    run: u64,
    /// Of the run that goes on; absent until it has a key picture.
    format: Option<Arc<Format>>,
    /// Parameter sets and messages that came in a buffer of their own, ahead of
    /// the picture that they belong to.
    ahead: Vec<u8>,
    pressed_out: u64,
    album: Album,
}

/// A clip may lack so much at either end without being called short: a picture
/// at one frame per second.
const SLACK: Seconds = Seconds(1.0);
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
        if let Some(last) = kept.units.back_mut()
            && is_going_on
            && last.run == run
            && belongs(last)
        {
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
        let (joined, content) = if ahead.is_empty() {
            (bytes.to_vec(), content)
        } else {
            let joined = [&ahead[..], bytes].concat();
            let content = Content::of(codec, &joined);
            (joined, content)
        };
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
            format,
        };
        kept.next += 1;
        kept.bytes += unit.bytes.len();
        kept.units.push_back(unit);
        kept.shrink(&self.limits);
    }

    /// The picture shown at `media` has been given this time by whoever looked at it.
    pub fn stamp(&self, media: i64, time: EventTime, time_quality: TimeQuality) {
        let mut kept = self.kept();
        let run = kept.run;
        let found = kept
            .units
            .iter_mut()
            .rev()
            .take_while(|unit| unit.run == run)
            .find(|unit| unit.media == media);
        if let Some(unit) = found {
            (unit.time, unit.time_quality) = (time, time_quality);
        }
    }

    /// The newest picture's time.
    pub fn newest(&self) -> Option<EventTime> {
        self.kept().units.back().map(|unit| unit.time)
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
        let keys = kept.units.iter().filter(|unit| unit.is_key);
        let all = kept.album.units().chain(keys);
        all.filter(|unit| (from..=to).contains(&unit.time))
            .cloned()
            .collect()
    }

    /// What was sent after the picture `after`, from a key picture at or before
    /// `from` where nothing was taken yet. For a clip that grows while its
    /// event goes on, longer than the ring reaches.
    pub fn since(&self, after: Option<u64>, from: EventTime) -> Vec<AccessUnit> {
        let kept = self.kept();
        let begin = if let Some(number) = after {
            kept.units.partition_point(|unit| unit.number <= number)
        } else {
            let is_before = |unit: &AccessUnit| unit.is_key && unit.time <= from;
            kept.units.iter().rposition(is_before).unwrap_or(0)
        };
        kept.units.range(begin..).cloned().collect()
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

    fn seconds(&self) -> f64 {
        match (self.units.front(), self.units.back()) {
            (Some(first), Some(last)) => last.time.since(first.time).0.max(0.0),
            _ => 0.0,
        }
    }

    /// Lets the oldest groups go.
    fn shrink(&mut self, limits: &RingLimits) {
        loop {
            let second_key = self.units.iter().skip(1).position(|unit| unit.is_key);
            let is_pressed = self.bytes > limits.bytes;
            let group = match second_key {
                Some(at) => {
                    let newest = self.units.back().map(|unit| unit.time);
                    let reach = |unit: &AccessUnit| newest.map(|n| n.since(unit.time).0);
                    let is_old = reach(&self.units[at + 1]).is_some_and(|s| s >= limits.seconds);
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
            for unit in self.units.drain(..group) {
                self.bytes -= unit.bytes.len();
                if let (true, Some(limits)) = (unit.is_key, &limits.album) {
                    self.album.offer(&unit, limits);
                }
            }
        }
    }
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
