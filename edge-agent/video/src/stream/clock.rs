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

/// Least of (arrival − media time) over the last 5 to 10 s.
#[derive(Debug, Default)]
struct LeastDelay {
    current: Option<i64>,
    previous: Option<i64>,
    began: i64,
}

const WINDOW: i64 = 5_000_000;

impl LeastDelay {
    fn add(&mut self, delay: i64, now: i64) {
        match self.current {
            None => {
                self.began = now;
                self.current = Some(delay);
            }
            Some(least) if now - self.began < WINDOW => self.current = Some(least.min(delay)),
            Some(least) => {
                self.previous = Some(least);
                self.current = Some(delay);
                self.began = now;
            }
        }
    }

    fn least(&self) -> Option<i64> {
        match (self.current, self.previous) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-18T11:06:40Z, and a monotonic clock of another origin.
    const UTC: i64 = 1_795_000_000_000_000;
    const MONOTONIC: i64 = 77_000_000;
    const PICTURE: i64 = 40_000;
    /// Pictures from the first report until the camera is believed.
    const BELIEF: usize = 75;

    fn timeline() -> Timeline {
        Timeline::new(Duration::from_secs(1))
    }

    /// A camera of 25 pictures per second: each arrives `delay` µs after it was taken.
    struct Camera {
        clock_error: i64,
        reports_from: i64,
        host_error: i64,
        delay: fn(i64) -> i64,
    }

    const GOOD: Camera = Camera {
        clock_error: 0,
        reports_from: 50,
        host_error: 0,
        delay: |_| 30_000,
    };

    impl Camera {
        fn picture(&self, timeline: &mut Timeline, n: i64) -> Stamp {
            let media = n * PICTURE;
            let taken = UTC + media;
            let arrived = media + (self.delay)(n);
            let now = Now {
                monotonic: MONOTONIC + arrived,
                wall: UTC + arrived + self.host_error,
            };
            let reported = (n >= self.reports_from).then_some(taken + self.clock_error);
            timeline.packet(media, reported, now);
            timeline.stamp(media, now)
        }

        /// Times after the true one (µs), with quality, of all pictures.
        fn errors(&self, timeline: &mut Timeline, pictures: i64) -> Vec<(i64, TimeQuality)> {
            (0..pictures)
                .map(|n| {
                    let stamp = self.picture(timeline, n);
                    (stamp.time.as_micros() - UTC - n * PICTURE, stamp.quality)
                })
                .collect()
        }
    }

    #[test]
    fn sender_reports_replace_arrival_without_a_jump() {
        let errors = GOOD.errors(&mut timeline(), 250);
        let believed = 50 + BELIEF;
        assert_eq!(errors[0], (30_000, TimeQuality::Arrival));
        assert_eq!(errors[believed - 1], (30_000, TimeQuality::Arrival));
        assert_eq!(errors[believed], (29_200, TimeQuality::Rtcp));
        assert_eq!(errors[249], (0, TimeQuality::Rtcp));
        assert!(
            errors
                .windows(2)
                .all(|w| (w[1].0 - w[0].0).abs() <= PICTURE / 50)
        );
    }

    #[test]
    fn jitter_of_the_network_does_not_reach_the_times() {
        let camera = Camera {
            reports_from: i64::MAX,
            delay: |n| 30_000 + n % 7 * 9_000,
            ..GOOD
        };
        let errors = camera.errors(&mut timeline(), 300);
        assert!(
            errors.iter().all(|e| *e == (30_000, TimeQuality::Arrival)),
            "{errors:?}"
        );
    }

    #[test]
    fn a_camera_that_lies_is_not_believed() {
        for clock_error in [-UTC, -7 * 3_600_000_000, 1_500_000, 750_000, 60_000_000] {
            let camera = Camera {
                clock_error,
                ..GOOD
            };
            let errors = camera.errors(&mut timeline(), 250);
            assert_eq!(errors[249], (30_000, TimeQuality::Arrival), "{clock_error}");
        }
    }

    #[test]
    fn a_camera_at_the_limit_is_not_believed_by_turns() {
        let mut timeline = timeline();
        let near = Camera {
            clock_error: -600_000,
            reports_from: 0,
            ..GOOD
        };
        near.errors(&mut timeline, 100);
        let over = Camera {
            clock_error: -960_000,
            reports_from: 0,
            ..GOOD
        };
        let qualities: Vec<_> = (100..300)
            .map(|n| over.picture(&mut timeline, n).quality)
            .collect();
        assert!(
            qualities.iter().skip(20).all(|q| *q == TimeQuality::Rtcp),
            "{qualities:?}"
        );
        // Over it, with nothing but arrivals to go by.
        let wrong = Camera {
            clock_error: -1_100_000,
            ..over
        };
        let qualities: Vec<_> = (300..600)
            .map(|n| wrong.picture(&mut timeline, n).quality)
            .collect();
        assert_eq!(qualities[299], TimeQuality::Arrival);
    }

    #[test]
    fn a_stepped_host_clock_is_told_once_and_times_go_on_from_there() {
        for host_error in [10_000_000, -10_000_000] {
            let mut timeline = timeline();
            let camera = Camera {
                reports_from: i64::MAX,
                ..GOOD
            };
            camera.errors(&mut timeline, 100);
            let stepped = Camera {
                host_error,
                ..camera
            };
            let stamps: Vec<_> = (100..200)
                .map(|n| stepped.picture(&mut timeline, n))
                .collect();
            let before = UTC + 99 * PICTURE + 30_000;
            assert_eq!(stamps[0].step_from, Some(EventTime::from_micros(before)));
            assert_eq!(stamps[0].time.as_micros(), before + PICTURE + host_error);
            assert!(stamps[1..].iter().all(|s| s.step_from.is_none()));
        }
    }

    #[test]
    fn a_reconnect_is_no_step_and_never_goes_back() {
        let mut timeline = timeline();
        let first = Camera {
            clock_error: 200_000,
            reports_from: 0,
            ..GOOD
        };
        let last = (0..150)
            .map(|n| first.picture(&mut timeline, n))
            .last()
            .unwrap();
        timeline.reconnect();
        // At once, and now without reports: by arrival it would be earlier.
        let now = |n: i64| Now {
            monotonic: MONOTONIC + (150 + n) * PICTURE,
            wall: UTC + (150 + n) * PICTURE,
        };
        let mut before = last.time;
        for n in 0..10 {
            timeline.packet(n * PICTURE, None, now(n));
            let stamp = timeline.stamp(n * PICTURE, now(n));
            assert_eq!(stamp.step_from, None);
            assert!(stamp.time > before, "{stamp:?} after {before}");
            if n > 0 {
                // Intervals stay true within the slew.
                let interval = stamp.time.as_micros() - before.as_micros();
                assert!((interval - PICTURE).abs() <= PICTURE / 50, "{interval}");
            }
            before = stamp.time;
        }
    }

    /// Sent I P B B P B B …, shown I B B P …: each P comes before the two B pictures it
    /// follows in time, with up to 90 ms of jitter, and is decoded later.
    #[test]
    fn reordered_pictures_and_jitter_keep_to_one_clock() {
        let shown = |sent: i64| match sent {
            0 => 0,
            n if n % 3 == 1 => n + 2,
            n => n - 1,
        };
        for reports_from in [0, 50] {
            let mut timeline = timeline();
            let mut stamps: Vec<Stamp> = Vec::new();
            for sent in 0..1_000 {
                let media = shown(sent) * PICTURE;
                // Sent when encoded, which is after the last picture it needs.
                let arrived = sent * PICTURE + 2 * PICTURE + sent * 7 % 10 * 9_000;
                let now = Now {
                    monotonic: MONOTONIC + arrived,
                    wall: UTC + arrived,
                };
                let reported = (sent >= reports_from).then_some(UTC + media);
                timeline.packet(media, reported, now);
                if sent >= 3 {
                    stamps.push(timeline.stamp((sent - 3) * PICTURE, now));
                }
            }
            let changes = stamps
                .windows(2)
                .filter(|w| w[0].quality != w[1].quality)
                .count();
            assert_eq!(changes, 1, "reports from {reports_from}");
            assert_eq!(stamps[200].quality, TimeQuality::Rtcp);
            assert!(stamps.iter().all(|stamp| stamp.step_from.is_none()));
            for pair in stamps.windows(2) {
                let interval = pair[1].time.as_micros() - pair[0].time.as_micros();
                // The first seconds may still find a lesser delay.
                assert!((interval - PICTURE).abs() <= PICTURE / 50, "{interval}");
            }
            let last = stamps[996].time.as_micros();
            assert_eq!(last, UTC + 996 * PICTURE);
        }
    }

    #[test]
    fn media_time_that_begins_anew_is_no_standstill() {
        let mut timeline = timeline();
        let last = (0..200).map(|n| GOOD.picture(&mut timeline, n)).last();
        assert!(last.is_some());
        for n in 0..200 {
            let arrived = (200 + n) * PICTURE;
            let now = Now {
                monotonic: MONOTONIC + arrived,
                wall: UTC + arrived,
            };
            timeline.packet(n * PICTURE, Some(UTC + arrived), now);
            let stamp = timeline.stamp(n * PICTURE, now);
            let error = stamp.time.as_micros() - UTC - arrived;
            assert!(error.abs() <= 1_000, "{error} µs at {n}");
        }
    }

    /// Once its pictures were 1 µs apart for as long as the clock had been set back,
    /// and nobody was told.
    #[test]
    fn a_camera_clock_that_is_set_back_is_a_step_and_no_standstill() {
        for (reports_from, ahead) in [(0, 0), (0, 450_000), (i64::MAX, 0)] {
            let mut timeline = timeline();
            let camera = Camera {
                clock_error: ahead,
                reports_from,
                ..GOOD
            };
            let mut stamps: Vec<Stamp> =
                (0..200).map(|n| camera.picture(&mut timeline, n)).collect();
            timeline.set_back(200 * PICTURE);
            // One that was still in the decoder, and those after it.
            stamps.extend((200..400).map(|n| GOOD.picture(&mut timeline, n)));
            let told = format!("reports from {reports_from}, {ahead} µs ahead");
            for (n, stamp) in stamps.iter().enumerate() {
                assert_eq!(stamp.step_from.is_some(), n == 200, "{told}: {n}");
                assert_eq!(stamp.is_wrong, n == 200, "{told}: {n}");
                assert_ne!(stamp.quality, TimeQuality::Unknown, "{told}: {n}");
            }
            for (n, pair) in stamps.windows(2).enumerate().filter(|(n, _)| *n != 199) {
                let interval = pair[1].time.as_micros() - pair[0].time.as_micros();
                let off = (interval - PICTURE).abs();
                assert!(off <= PICTURE / 50, "{told}: {interval} at {n}");
            }
        }
    }

    #[test]
    fn times_that_are_wrong_again_and_again_are_of_no_quality() {
        let mut timeline = timeline();
        let wrong = [100, 130, 160];
        let stamps: Vec<Stamp> = (0..400)
            .map(|n| {
                let same = i64::from(wrong.contains(&n));
                let now = Now {
                    monotonic: MONOTONIC + n * PICTURE,
                    wall: UTC + n * PICTURE,
                };
                let media = (n - same) * PICTURE;
                timeline.packet(media, Some(UTC + media), now);
                timeline.stamp(media, now)
            })
            .collect();
        assert_eq!(stamps.iter().filter(|stamp| stamp.is_wrong).count(), 3);
        let unknown = |stamp: &Stamp| stamp.quality == TimeQuality::Unknown;
        // From the second on, until the last but one is a hundred pictures ago.
        let ends = (
            stamps.iter().position(unknown),
            stamps.iter().rposition(unknown),
        );
        assert_eq!(ends, (Some(130), Some(229)));
        let estimate = timeline.estimate(
            400 * PICTURE,
            Now {
                monotonic: 0,
                wall: 0,
            },
        );
        assert_eq!(estimate.quality, TimeQuality::Rtcp);
    }

    /// A case said "± 0.03 s" while its times were still 0.4 s ahead.
    #[test]
    fn what_is_still_to_be_slewed_is_part_of_the_uncertainty() {
        let mut timeline = timeline();
        let ahead = Camera {
            clock_error: 400_000,
            reports_from: 0,
            ..GOOD
        };
        ahead.errors(&mut timeline, 600);
        // It sets its clock right.
        let right = Camera {
            clock_error: 0,
            ..ahead
        };
        for n in 600..1_400 {
            let stamp = right.picture(&mut timeline, n);
            let error = (stamp.time.as_micros() - UTC - n * PICTURE).abs();
            let told = timeline.disagreement().unwrap();
            assert_eq!(stamp.quality, TimeQuality::Rtcp);
            // Arrival, which it is held against, is late by the network's least delay.
            assert!(error <= told + 30_000, "{n}: {error} µs off, ± {told} told");
        }
        // The network's delay is all that is left.
        assert_eq!(timeline.disagreement(), Some(30_000));
    }

    #[test]
    fn a_picture_without_any_packet_takes_the_hosts_time() {
        let now = Now {
            monotonic: MONOTONIC,
            wall: UTC,
        };
        let stamp = timeline().stamp(5, now);
        assert_eq!(stamp.time.as_micros(), UTC);
        assert_eq!(stamp.quality, TimeQuality::Arrival);
    }

    proptest! {
        /// Whatever a camera and a network do: time goes back only with a word about it.
        #[test]
        fn times_increase_between_steps(
            pictures in proptest::collection::vec(
                (-5_000_000..5_000_000_i64, 0..2_000_000_i64,
                 proptest::option::of(any::<i64>()), 0..40_u8),
                1..200,
            ),
        ) {
            let mut timeline = timeline();
            let mut last: Option<EventTime> = None;
            let mut media = 0_i64;
            let mut mono = MONOTONIC;
            for (step, wait, reported, action) in pictures {
                if action == 0 {
                    timeline.reconnect();
                    media = 0;
                }
                media += step;
                mono += wait;
                let now = Now { monotonic: mono, wall: UTC + mono };
                if action % 3 != 1 {
                    timeline.packet(media, reported, now);
                }
                let stamp = timeline.stamp(media, now);
                if let Some(last) = last {
                    match stamp.step_from {
                        Some(from) => prop_assert_eq!(from, last),
                        None => prop_assert!(stamp.time > last),
                    }
                }
                last = Some(stamp.time);
            }
        }
    }
}
