//! Whether a connection has come to the present.
//!
//! Many cameras, and relays that keep a group of pictures for who comes, begin with a
//! burst: the last key picture and all since, up to some seconds old, as fast as the line
//! takes them. Each of these packets is less delayed than the one before, so by
//! arrival their pictures would be told late by all of the burst that is still to come,
//! and the clock that falls with it would look like one that was set back.
//!
//! So at first no picture is timed. The present is reached where packets come at the
//! pace at which their pictures were taken, for a while in which the delay has not
//! fallen any more; from the packet on with which it last fell, pictures are timed. Of a
//! camera without a burst that is the first one. A line that is hardly faster than the
//! camera takes long to get there: it is waited for so long and no longer.
//!
//! B pictures are sent after some that are shown later, so media time goes back and forth by
//! them from packet to packet. The pace is that of the times in their order: where a
//! picture was overtaken by so many at the most, that many of the latest times are still to be
//! filled up, and the one before them is what the packet stands for.
//!
//! All times in µs.

/// So long must packets have come at the pace of the pictures.
const STEADY: i64 = 300_000;
/// A delay that falls by no more in that time falls no faster than times are slewed,
/// nearly; the network's jitter has its part in it.
const FALL: i64 = 10_000;
/// And one that rises by more says nothing of the pace: a large key picture takes long on a
/// slow line, whatever follows.
const RISE: i64 = 200_000;
/// After this, pictures are timed as well as may be.
const PATIENCE: i64 = 5_000_000;

/// No picture is overtaken by more: a clock was set back, or times say nothing.
const MOST_OVERTAKING: usize = 16;

/// The beginning of one connection.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// When its first packet came.
    began: Option<i64>,
    /// The packet with which the delay last fell, or rose a lot.
    least: Option<Packet>,
    /// The latest media times so far, ascending.
    latest: Vec<i64>,
    /// So many pictures at the most that are shown later were sent before one.
    overtaking: usize,
    /// Media time from which pictures are timed, once that is known.
    present: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
struct Packet {
    media: i64,
    arrived: i64,
}

impl Packet {
    fn delay(self) -> i64 {
        self.arrived.saturating_sub(self.media)
    }
}

impl Opening {
    /// A packet has come; whether it is the first that tells that the present is reached.
    pub(super) fn packet(&mut self, media: i64, arrived: i64) -> bool {
        if self.present.is_some() {
            return false;
        }
        let began = *self.began.get_or_insert(arrived);
        let media = self.in_order(media);
        let packet = Packet { media, arrived };
        match self.least {
            Some(least)
                if (-FALL..=RISE).contains(&packet.delay().saturating_sub(least.delay())) =>
            {
                let passed = arrived.saturating_sub(least.arrived);
                let shown = media.saturating_sub(least.media);
                if passed >= STEADY && shown >= passed / 2 {
                    self.present = Some(least.media);
                }
            }
            _ => self.least = Some(packet),
        }
        if arrived.saturating_sub(began) >= PATIENCE {
            self.present.get_or_insert(media);
        }
        self.present.is_some()
    }

    /// The media time that would come now if pictures were sent in the order of showing, but
    /// for a delay.
    fn in_order(&mut self, media: i64) -> i64 {
        let at = self.latest.partition_point(|time| *time <= media);
        let overtaking = self.latest.len() - at;
        self.latest.insert(at, media);
        if overtaking > MOST_OVERTAKING {
            self.latest = vec![media];
            (self.overtaking, self.least) = (0, None);
        } else if overtaking > self.overtaking {
            // What was taken for the pace until now was the order.
            (self.overtaking, self.least) = (overtaking, None);
        }
        if self.latest.len() > MOST_OVERTAKING + 1 {
            self.latest.remove(0);
        }
        let before = self.latest.len().saturating_sub(1 + self.overtaking);
        self.latest[before]
    }

    /// Whether the present is reached, or no packet has come at all.
    pub(super) fn is_over(&self) -> bool {
        self.present.is_some() || self.began.is_none()
    }

    /// Whether it is known when the picture at `media` was taken.
    pub(super) fn times(&self, media: i64) -> bool {
        self.is_over() && self.present.is_none_or(|present| media >= present)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: i64 = 40_000;

    /// The media time from which a camera's pictures are timed, and when that was known:
    /// its packets come at `arrives`.
    fn present(interval: i64, arrives: impl Fn(i64) -> i64) -> (i64, i64) {
        let mut opening = Opening::default();
        for n in 0..1_000 {
            assert!(!opening.times(n * interval) || n == 0, "{n}");
            if opening.packet(n * interval, arrives(n)) {
                let first = (0..=n).find(|n| opening.times(n * interval));
                return (first.unwrap() * interval, arrives(n));
            }
        }
        panic!("the present is never reached");
    }

    #[test]
    fn without_a_burst_all_pictures_are_timed_after_a_moment() {
        assert_eq!(present(PICTURE, |n| n * PICTURE), (0, 320_000));
        // With jitter of the network.
        let (first, known) = present(PICTURE, |n| n * PICTURE + n * 7 % 5 * 8_000);
        assert!(first <= 2 * PICTURE && known <= 500_000, "{first} {known}");
        // One picture a second, and one of four seconds.
        assert_eq!(present(1_000_000, |n| n * 1_000_000), (0, 1_000_000));
        assert_eq!(present(4_000_000, |n| n * 4_000_000), (0, 4_000_000));
    }

    #[test]
    fn what_comes_in_a_burst_is_not_timed_but_its_last_picture() {
        for burst in [5, 25, 50, 100, 250] {
            // At once, and as a line lets it through: 1, 8 and 30 ms each.
            for each in [0, 1_000, 8_000, 30_000] {
                let live = |n: i64| (n - burst) * PICTURE;
                let arrives = |n: i64| live(n).max(n * each);
                let last = (0..10_000).find(|n| live(*n) >= n * each).unwrap();
                let (first, known) = present(PICTURE, arrives);
                let told = format!("{burst} of {each} µs: {first} at {known}");
                if arrives(last) < PATIENCE - STEADY {
                    assert!((first / PICTURE - last).abs() <= 1, "{told}; {last}");
                    assert!(known <= arrives(last) + STEADY + 2 * PICTURE, "{told}");
                } else {
                    assert!(known <= PATIENCE + PICTURE, "{told}");
                }
            }
        }
    }

    /// Its first packet came long before its last, and nothing told that a burst follows.
    #[test]
    fn a_key_picture_that_takes_long_is_no_pace() {
        // Key picture: 400 ms; then a second's worth at once.
        let arrives = |n: i64| match n {
            0 => 0,
            n => (400_000 + n * 500).max((n - 25) * PICTURE),
        };
        let (first, _) = present(PICTURE, arrives);
        assert!(first >= 25 * PICTURE, "{first}");
    }

    #[test]
    fn media_time_that_stands_still_is_waited_for_no_longer() {
        let mut opening = Opening::default();
        let reached = (0..1_000).find(|n| opening.packet(0, n * PICTURE));
        assert_eq!(reached, Some(PATIENCE / PICTURE));
    }

    /// Numbers of pictures in the order of sending: a key picture, then groups of a reference and
    /// so many B pictures before it, as a pyramid the middle one first.
    fn with_b_pictures(between: i64, is_pyramid: bool) -> Vec<i64> {
        let groups = (0..200).flat_map(|group| {
            let first = group * (between + 1) + 1;
            let middle = first + between / 2;
            let mut sent = vec![first + between];
            let is_first = |n: &i64| is_pyramid && between > 1 && *n == middle;
            sent.extend((first..first + between).filter(is_first));
            sent.extend((first..first + between).filter(|n| !is_first(n)));
            sent
        });
        std::iter::once(0).chain(groups).collect()
    }

    /// Once it took up to five seconds: the delay seemed to fall and rise by the B pictures.
    #[test]
    fn with_b_pictures_the_present_is_known_as_soon_as_their_order_is() {
        for fps in [5, 8, 10, 12, 15, 20, 25, 50] {
            for (between, is_pyramid) in [(0, false), (1, false), (2, true), (3, false), (3, true)]
            {
                // Joined in the middle, as at a relay.
                for joined in 0..2 * usize::try_from(between + 1).unwrap() {
                    for burst in [0, 3 * fps] {
                        let interval = 1_000_000 / fps;
                        let sent = &with_b_pictures(between, is_pyramid)[joined..];
                        let arrives = |n: i64| ((n - burst) * interval).max(0);
                        let mut opening = Opening::default();
                        let known = (0..)
                            .zip(sent)
                            .find(|(n, shown)| opening.packet(*shown * interval, arrives(*n)));
                        let (known, shown) = known.unwrap();
                        let waited = arrives(known);
                        // The order is seen with the second group at the latest.
                        let most = STEADY + (2 * between + 3) * interval;
                        let told = format!("{between} {is_pyramid} at {fps}, {joined}, {burst}");
                        assert!(waited <= most, "{told}: {waited} of {most}");
                        // And what comes from then on is timed, but nothing of the burst.
                        assert!(opening.times((shown + between) * interval), "{told}");
                        let old = sent[usize::try_from(burst).unwrap()] - 2 * between - 2;
                        assert!(burst == 0 || !opening.times(old * interval), "{told}");
                    }
                }
            }
        }
    }

    #[test]
    fn an_order_that_is_none_is_waited_for_no_longer() {
        let mut opening = Opening::default();
        let mut random = fastrand::Rng::with_seed(7);
        let reached = (0..1_000).find(|n| opening.packet(random.i64(0..1 << 40), n * PICTURE));
        assert!(reached.is_some_and(|reached| reached <= PATIENCE / PICTURE));
        assert!(opening.latest.len() <= MOST_OVERTAKING + 1);
    }
}
