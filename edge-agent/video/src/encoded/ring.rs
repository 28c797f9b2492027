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
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::{EventTime, TimeQuality};

use super::album::{Album, AlbumLimits};
use super::parameters::{Beginning, Content, Format};
use super::unit::{AccessUnit, Codec, Taken};

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

/// By which of the clocks that a ring has seen times are told: what times had
/// been set by until then, in sum (µs).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RingClock(i64);

/// Encoded pictures of one stream, over all its connections.
#[derive(Debug)]
pub struct Ring {
    limits: RingLimits,
    kept: Mutex<Kept>,
    /// Something has come, or the connection was made anew.
    news: Condvar,
}

/// A picture, and the clock that its time is by.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) unit: AccessUnit,
    clock: RingClock,
    beginning: Beginning,
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
    /// Whether more of the newest picture may come: half a picture is handed to nobody.
    is_open: bool,
    /// From which picture on it is not known yet when they were taken: they are handed to
    /// nobody.
    undated: Option<u64>,
    /// Whether pictures of this connection have said themselves that decoding can begin
    /// with them.
    tells_keys: bool,
}

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
            news: Condvar::new(),
        }
    }

    /// A new connection: media time starts again, and nothing goes on.
    pub fn interrupt(&self) {
        let mut kept = self.kept();
        kept.forget_undated();
        kept.begin_run(None);
        kept.tells_keys = false;
        kept.ahead.clear();
        kept.is_torn = false;
        self.news.notify_all();
    }

    /// Packets were lost on the way: the next picture may not be whole.
    pub fn tear(&self) {
        self.kept().is_torn = true;
    }

    /// No more pictures come, as at the end of a file: the newest is whole.
    pub fn end(&self) {
        self.kept().is_open = false;
        self.news.notify_all();
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
    /// only the first has a time. A picture is whole, and handed out, when the next
    /// one has begun.
    ///
    /// A time that jumps against media time is the word of a clock that was set. Pictures
    /// whose time is provisional wait for [`date`](Self::date).
    pub fn push(&self, codec: Codec, bytes: &[u8], media: Option<i64>, taken: impl Into<Taken>) {
        let taken = taken.into();
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
                kept.heed_piece(codec, bytes);
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
        if taken.is_provisional {
            let next = kept.next;
            kept.undated.get_or_insert(next);
        } else {
            kept.heed_clock(media, taken.time);
        }
        let bytes = &joined[..];
        let is_key = kept.is_key(content.beginning);
        if is_key {
            let is_same = kept
                .format
                .as_ref()
                .is_some_and(|format| format.codec == codec && format.covers(bytes, &content));
            if !is_same {
                kept.begin_run(Format::of(codec, bytes, &content));
            }
            kept.heed_key(content.beginning);
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
            time: taken.time,
            time_quality: taken.quality,
            own_time: taken.own,
            is_key,
            is_torn,
            format,
        };
        kept.next += 1;
        kept.bytes += unit.bytes.len();
        let clock = kept.clock;
        kept.units.push_back(Held {
            unit,
            clock,
            beginning: content.beginning,
        });
        kept.is_open = true;
        kept.shrink(&self.limits);
        self.news.notify_all();
    }

    /// It has become known when the pictures of this connection were taken: the one at
    /// `media` as is said here, and those before it accordingly.
    pub fn date(&self, media: i64, taken: Taken) {
        let mut kept = self.kept();
        let Some(first) = kept.undated.take() else {
            return;
        };
        let begin = kept.units.partition_point(|held| held.unit.number < first);
        kept.heed_return(begin, media, taken.time);
        let clock = kept.clock;
        for Held {
            unit, clock: by, ..
        } in kept.units.range_mut(begin..)
        {
            let passed = unit.media.saturating_sub(media);
            let time = taken.time.as_micros().saturating_add(passed);
            unit.time = EventTime::from_micros(time);
            unit.time_quality = taken.quality;
            *by = clock;
        }
        self.news.notify_all();
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
        let newest_first = kept.dated(0).rev();
        newest_first
            .min_by(|a, b| away(a).total_cmp(&away(b)))
            .map_or(kept.clock, |held| held.clock)
    }

    /// The time of the newest picture that is whole.
    pub fn newest(&self, clock: RingClock) -> Option<EventTime> {
        let kept = self.kept();
        let newest = kept.whole(0).next_back()?;
        Some(clock.tell(newest.steady()))
    }

    /// Waits until a picture is whole that was sent after the one with this number, for
    /// so long at most. Whether there is one.
    pub fn wait_beyond(&self, number: Option<u64>, within: Duration) -> bool {
        let is_behind = |kept: &mut Kept| {
            let newest = kept.whole(0).next_back().map(|held| held.unit.number);
            newest <= number
        };
        let waited = self.news.wait_timeout_while(self.kept(), within, is_behind);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// The number of the newest picture of which nothing more will come.
    pub(super) fn newest_number(&self) -> Option<u64> {
        let kept = self.kept();
        kept.whole(0).next_back().map(|held| held.unit.number)
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
    /// those of the ring itself. All times are by `clock`.
    pub fn key_pictures(
        &self,
        from: EventTime,
        to: EventTime,
        clock: RingClock,
    ) -> Vec<AccessUnit> {
        let kept = self.kept();
        let keys = kept.whole(0).filter(|held| held.unit.is_key);
        let all = kept.album.held().chain(keys).map(|held| held.by(clock));
        all.filter(|unit| (from..=to).contains(&unit.time))
            .collect()
    }

    /// What was sent after the picture `after`, from a key picture at or before
    /// `from` where nothing was taken yet. For a clip that grows while its
    /// event goes on, longer than the ring reaches. All times are by `clock`.
    /// The newest picture is left out as long as more of it may come.
    pub fn since(&self, after: Option<u64>, from: EventTime, clock: RingClock) -> Vec<AccessUnit> {
        let kept = self.kept();
        let begin = if let Some(number) = after {
            kept.units
                .partition_point(|held| held.unit.number <= number)
        } else {
            let is_before = |held: &Held| held.unit.is_key && clock.tell(held.steady()) <= from;
            kept.units.iter().rposition(is_before).unwrap_or(0)
        };
        kept.whole(begin).map(|held| held.by(clock)).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn begin_run(&mut self, format: Option<Format>) {
        self.run += 1;
        self.format = format.map(Arc::new);
        self.is_open = false;
    }

    /// Pictures of which nothing more will come, and of which it is known when they were
    /// taken, from the place `begin` on.
    fn whole(&self, begin: usize) -> std::collections::vec_deque::Iter<'_, Held> {
        let end = self.units.len() - usize::from(self.is_open && !self.units.is_empty());
        let end = end.min(self.dated_end());
        self.units.range(begin.min(end)..end)
    }

    /// Pictures of which it is known when they were taken, from the place `begin` on.
    fn dated(&self, begin: usize) -> std::collections::vec_deque::Iter<'_, Held> {
        let end = self.dated_end();
        self.units.range(begin.min(end)..end)
    }

    fn dated_end(&self) -> usize {
        let of = |first| self.units.partition_point(|held| held.unit.number < first);
        self.undated.map_or(self.units.len(), of)
    }

    /// Drops pictures of which it will never be known when they were taken.
    fn forget_undated(&mut self) {
        let end = self.dated_end();
        self.undated = None;
        for gone in self.units.drain(end..) {
            self.bytes -= gone.unit.bytes.len();
        }
    }

    /// Whether decoding can begin with a picture of this connection.
    fn is_key(&self, beginning: Beginning) -> bool {
        beginning >= Beginning::Intra || (beginning == Beginning::Parameters && !self.tells_keys)
    }

    /// A key picture comes. When it is the first of its connection that says itself that it is
    /// one, then those before it were taken for key pictures by their parameter sets
    /// alone, and cannot be decoded.
    fn heed_key(&mut self, beginning: Beginning) {
        if self.tells_keys || beginning < Beginning::Intra {
            return;
        }
        self.tells_keys = true;
        self.forget_run();
    }

    /// A piece of the newest picture has come.
    fn heed_piece(&mut self, codec: Codec, piece: &[u8]) {
        let run = self.run;
        let Some(last) = self.units.back_mut() else {
            return;
        };
        // Only the slices so far were intra.
        if last.beginning != Beginning::Intra || Content::of(codec, piece).is_intra {
            return;
        }
        last.beginning = Beginning::Parameters;
        last.unit.is_key = false;
        let is_first = |held: &&Held| held.unit.run == run;
        let number = last.unit.number;
        if self
            .units
            .iter()
            .find(is_first)
            .map(|held| held.unit.number)
            == Some(number)
        {
            self.forget_run();
            self.begin_run(None);
            self.tells_keys = false;
        }
    }

    /// Drops the pictures of the run that goes on.
    fn forget_run(&mut self) {
        while self
            .units
            .back()
            .is_some_and(|held| held.unit.run == self.run)
            && let Some(gone) = self.units.pop_back()
        {
            self.bytes -= gone.unit.bytes.len();
        }
        self.is_open = false;
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
        if let Some(back) = self.set_back_by(self.units.len(), time) {
            self.clock.0 = self.clock.0.saturating_add(back);
        }
    }

    /// Sees whether the clock was set back before the pictures from the place `begin` on,
    /// which no picture before goes on to. The newest of them came at present; the first
    /// may be older than the last of before, as relays hand out once more what they had.
    fn heed_return(&mut self, begin: usize, media: i64, time: EventTime) {
        let shown = || self.units.range(begin..).map(|held| held.unit.media);
        let at = |shown: i64| {
            let passed = shown.saturating_sub(media);
            EventTime::from_micros(time.as_micros().saturating_add(passed))
        };
        let (Some(first), Some(newest)) = (shown().min(), shown().max()) else {
            return;
        };
        if self.set_back_by(begin, at(newest)).is_some() {
            let back = self.set_back_by(begin, at(first)).unwrap_or_default();
            self.clock.0 = self.clock.0.saturating_add(back);
        }
    }

    /// By how much the clock was set back between the picture before the place `begin` and
    /// one of `time`. Where nothing goes on only that can be told from the time that passed.
    fn set_back_by(&self, begin: usize, time: EventTime) -> Option<i64> {
        let last = begin.checked_sub(1).and_then(|last| self.units.get(last))?;
        let steady = time.as_micros().saturating_sub(self.clock.0);
        let back = steady.saturating_sub(last.steady());
        (back < -STEP).then_some(back)
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
                    self.begin_run(None);
                    self.units.len()
                }
                None => return,
            };
            for held in self.units.drain(..group) {
                self.bytes -= held.unit.bytes.len();
                let is_whole = held.unit.is_key && !held.unit.is_torn;
                if let (true, Some(limits)) = (is_whole, &limits.album) {
                    self.album.offer(&held, limits);
                }
            }
        }
    }
}

/// From one picture to another, whatever clocks did in between (s).
pub(super) fn reach(from: &Held, to: &Held) -> f64 {
    let passed = to.steady().saturating_sub(from.steady());
    EventTime::from_micros(passed).since(EventTime::EPOCH).0
}

#[cfg(test)]
mod tests;
