//! When a live picture was taken.
//!
//! GStreamer gives each picture a time of its own (PTS) that starts near 0 with
//! each connection; its intervals are the camera's. A [`Timeline`] finds the
//! offset from there to UTC, in one of two ways:
//!
//! * **RTCP.** Sender reports tell which UTC instant the camera gives to a
//!   picture. Believed while the camera's clock is within `max_difference` of
//!   this box's, once it has been well within; cameras lie (no NTP, a wrong zone, the year 1970). Belief is
//!   slow to come and slow to go (`trust.rs`), so that times keep to one clock.
//! * **Arrival.** This box's clock when the packet came, corrected: of the
//!   last seconds the packet with the least delay sets the offset, so that
//!   jitter of the network does not become jitter of speed.
//!
//! Media time must be the camera's RTP time and nothing else: a media time that
//! something before has bent to arrivals is already a mixture of the two clocks.
//!
//! A change of the offset is taken up slowly, at 2 % of media time, so that no
//! speed is wrong by more; a change of more than half a second is a step and is
//! told ([`Stamp::step_from`]). Between steps times always increase.
//!
//! A connection that begins with pictures of before it is timed from where it has come to
//! the present (`opening.rs`): [`Timeline::knows`].
//!
//! A camera's own clock may be set back: no offset mends the interval in which that
//! was. It is a step, however small ([`Timeline::set_back`]). Other times that do not
//! rise from one picture to the next are counted ([`Stamp::is_wrong`]), and where
//! they are many the quality of the times is unknown.
//!
//! It errs by the network's delay with arrival time, and by the camera's
//! clock with RTCP. It reads no clock itself; [`Now`] comes from outside.

use std::time::Duration;

use protocol::{EventTime, TimeQuality};

use super::least_delay::LeastDelay;
use super::opening::Opening;
use super::order::Order;
use super::trust::CameraClock;
use crate::encoded::Taken;
use crate::frame::OwnTime;

/// Both clocks of this box at one instant (µs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// A clock that is never set; any origin.
    pub monotonic: i64,
    /// UTC since 1970, as the host believes.
    pub wall: i64,
}

/// A picture's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// When it was taken.
    pub time: EventTime,
    /// Which clock said so.
    pub quality: TimeQuality,
    /// The time of the picture before, if time has jumped since.
    pub step_from: Option<EventTime>,
    /// The camera gave it a time that cannot be.
    pub is_wrong: bool,
}

/// From media time to UTC, for one stream over all its connections. All in µs.
#[derive(Debug)]
pub struct Timeline {
    camera: CameraClock,
    delay: LeastDelay,
    opening: Opening,
    wall_minus_monotonic: i64,
    /// The latest media time of any packet.
    latest: Option<i64>,
    /// Times have reached the camera's clock since it was believed.
    is_settled: bool,
    order: Order,
    /// The first media time since the camera's clock was set back, if no picture of
    /// that has been stamped.
    set_back_at: Option<i64>,
    applied: Option<Applied>,
    last: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Applied {
    /// UTC − media time.
    offset: i64,
    /// Media time of the picture it was last used for.
    at: i64,
}

/// More than this is a step, less is slewed.
const STEP: i64 = 500_000;
/// Offset changes by at most one part in so many of media time: 2 %.
const SLEW: i64 = 50;
/// While the slew is further away than this, the time is not the camera's yet.
const CONVERGED: i64 = 100_000;
/// Media time so far back is no reordered picture: the camera has begun anew.
const RESTART: i64 = 2_000_000;

impl Timeline {
    /// Never believes the camera's clock further than `max_difference` from the host's.
    pub fn new(max_difference: Duration) -> Self {
        Self {
            camera: CameraClock::new(i64::try_from(max_difference.as_micros()).unwrap_or(i64::MAX)),
            delay: LeastDelay::default(),
            opening: Opening::default(),
            wall_minus_monotonic: 0,
            latest: None,
            is_settled: false,
            order: Order::default(),
            set_back_at: None,
            applied: None,
            last: None,
        }
    }

    /// A new connection: media time starts again, UTC goes on.
    pub fn reconnect(&mut self) {
        self.restart();
        self.order = Order::default();
        self.set_back_at = None;
        self.applied = None;
    }

    /// What was learnt about media time holds no more.
    fn restart(&mut self) {
        self.camera.restart();
        self.delay = LeastDelay::default();
        self.opening = Opening::default();
        self.latest = None;
        self.is_settled = false;
    }

    /// The first packet of a picture has arrived; `reported` is the camera's UTC for it.
    ///
    /// In the order of arrival, which with B pictures is not that of media time. Whether
    /// with this one it has become known when the pictures of the connection were taken.
    pub fn packet(&mut self, media: i64, reported: Option<i64>, now: Now) -> bool {
        if self
            .latest
            .is_some_and(|latest| media < latest.saturating_sub(RESTART))
        {
            self.restart();
        }
        self.latest = self.latest.max(Some(media));
        self.wall_minus_monotonic = now.wall.saturating_sub(now.monotonic);
        self.delay
            .add(now.monotonic.saturating_sub(media), now.monotonic);
        if let (Some(reported), Some(arrival)) = (reported, self.arrival()) {
            self.camera
                .said(reported.saturating_sub(media), arrival, now.monotonic);
        }
        self.opening.packet(media, now.monotonic)
    }

    /// Whether it is known when the picture at `media` was taken: not in the burst with
    /// which many cameras begin. Others are not to be stamped.
    pub fn knows(&self, media: i64) -> bool {
        self.opening.times(media)
    }

    /// The camera's clock was set back, which the media time from `media` on does not
    /// show any more: how long it was from the picture before is not known.
    pub fn set_back(&mut self, media: i64) {
        // What it says belongs to other media times now.
        self.camera.restart();
        self.is_settled = false;
        self.set_back_at = Some(media);
    }

    /// The time of a decoded picture. `now` stands in while no packet is known.
    ///
    /// To be asked in the order in which they are shown.
    pub fn stamp(&mut self, media: i64, now: Now) -> Stamp {
        let is_set_back = self.set_back_at.take_if(|at| media >= *at).is_some();
        let is_wrong = self.order.shown(media, is_set_back);
        let (target, quality) = self.target(media, now);
        let mut step_from = None;
        let offset = match self.applied {
            Some(applied) => {
                let change = target.saturating_sub(applied.offset);
                if is_set_back || change.saturating_abs() > STEP {
                    step_from = self.last;
                    target
                } else {
                    let most = (media - applied.at).max(0) / SLEW;
                    applied.offset + change.clamp(-most, most)
                }
            }
            None => match self.last {
                // Clocks that disagree a little across a reconnect: go on from the last.
                Some(last) if (1 - STEP..=0).contains(&(media.saturating_add(target) - last)) => {
                    last + 1 - media
                }
                Some(last) if media.saturating_add(target) <= last => {
                    step_from = self.last;
                    target
                }
                _ => target,
            },
        };
        self.applied = Some(Applied { offset, at: media });
        let mut time = EventTime::from_micros(media.saturating_add(offset)).as_micros();
        if let (Some(last), None) = (self.last, step_from) {
            time = time.max(last + 1);
        }
        self.last = Some(time);
        // Once reached, the camera's clock stays the times' clock while it is
        // believed: a report that corrects it is slewed to, not a change of clock.
        self.is_settled = quality == TimeQuality::Rtcp
            && (self.is_settled || target.saturating_sub(offset).saturating_abs() <= CONVERGED);
        Stamp {
            time: EventTime::from_micros(time),
            quality: if self.order.is_lost() {
                TimeQuality::Unknown
            } else if self.is_settled {
                TimeQuality::Rtcp
            } else {
                TimeQuality::Arrival
            },
            step_from: step_from.map(EventTime::from_micros),
            is_wrong,
        }
    }

    /// The time that [`stamp`](Self::stamp) would give a picture; nothing changes by asking.
    ///
    /// For pictures that nobody decodes, in whatever order they come.
    pub fn estimate(&self, media: i64, now: Now) -> Taken {
        let (target, quality) = self.target(media, now);
        // Times that are slewing are the ones that decoded pictures are given.
        let offset = match self.applied {
            Some(applied) if target.saturating_sub(applied.offset).saturating_abs() <= STEP => {
                applied.offset
            }
            _ => target,
        };
        let is_settled = self.applied.is_none() || self.is_settled;
        let quality = match quality {
            _ if self.order.is_lost() => TimeQuality::Unknown,
            TimeQuality::Rtcp if !is_settled => TimeQuality::Arrival,
            quality => quality,
        };
        Taken {
            time: EventTime::from_micros(media.saturating_add(offset)),
            quality,
            own: self.own(media),
            is_provisional: !self.opening.is_over(),
        }
    }

    /// When the picture at `media` was taken by the camera's own clock, where all its streams
    /// go by that.
    pub fn own(&self, media: i64) -> Option<OwnTime> {
        let (offset, arrival) = (self.camera.own_offset()?, self.arrival()?);
        let time = media.saturating_add(offset);
        (CameraClock::is_ever_set(time) && !self.order.is_lost()).then(|| OwnTime {
            time: EventTime::from_micros(time),
            ahead_us: offset.saturating_sub(arrival),
        })
    }

    /// By how much the camera's clock, while it is believed, differs from
    /// arrival by this box's (µs): what is left of the network's delay, and the
    /// error of one clock against the other. And what decoded pictures are still to be
    /// slewed by to reach it: so far their times are from it, too.
    pub fn disagreement(&self) -> Option<i64> {
        let believed = self.camera.offset()?;
        let off = |other: i64| believed.saturating_sub(other).saturating_abs();
        let to_slew = self.applied.map_or(0, |applied| off(applied.offset));
        Some(off(self.arrival()?).saturating_add(to_slew))
    }

    /// The offset that would be right, and whose it is.
    fn target(&self, media: i64, now: Now) -> (i64, TimeQuality) {
        match self.camera.offset() {
            Some(offset) => (offset, TimeQuality::Rtcp),
            None => (
                self.arrival()
                    .unwrap_or_else(|| now.wall.saturating_sub(media)),
                TimeQuality::Arrival,
            ),
        }
    }

    /// UTC − media time by the arrival of packets, once one has come.
    fn arrival(&self) -> Option<i64> {
        let delay = self.delay.least()?;
        Some(delay.saturating_add(self.wall_minus_monotonic))
    }
}

#[cfg(test)]
mod tests;
