//! Which encoded pictures are decoded, so that an idle road costs next to nothing.
//!
//! Two savings, both before the decoder:
//!
//! * **Pictures that nobody refers to** are left out while the others come often
//!   enough for `analysed_fps`.
//! * **Key pictures only**, while whoever looks says that nothing happens. What
//!   comes between is kept since the last key picture, and decoded at once when
//!   something does: decoding goes on from there, not from the next key picture.
//!
//! Key pictures alone are enough only where they come within [`MOST_BETWEEN`]; where
//! pictures are shown in another order than sent a decoder gives the key picture
//! seconds late; and some decoders hold pictures back in any case. All three are
//! measured, and where one fails every picture is decoded.
//!
//! An encoder spends more on a picture in which something moves. So a kept picture
//! much larger than those before wakes by itself, for two seconds, before anybody
//! has looked. Encoders of constant rate do not show it that way.

use std::collections::VecDeque;

/// Which pictures are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Diet {
    /// All that serve `analysed_fps`.
    #[default]
    All,
    /// Key pictures, where they come often enough.
    KeyFrames,
}

/// An encoded picture.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// Media time, µs.
    pub media: i64,
    /// Whether decoding can begin with it.
    pub is_key: bool,
    /// Whether later pictures need it.
    pub is_needed: bool,
    /// Its length.
    pub bytes: usize,
}

/// What becomes of an encoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served<T> {
    /// It is decoded.
    Decoded,
    /// It is decoded, but first these that had been kept.
    DecodedAfter(Vec<T>),
    /// It is left out for good.
    LeftOut,
    /// It is kept; so many that had been kept are left out for good.
    Kept,
}

/// Longest time between key pictures that still serve as a heartbeat, µs. Rules
/// take two seconds without a look for a hole.
pub const MOST_BETWEEN: i64 = 1_600_000;
/// Key pictures whose distances are remembered.
const DISTANCES: usize = 8;
/// Most that is kept of one stream. Two seconds of most cameras are a megabyte.
const MOST_KEPT: usize = 256;
const MOST_KEPT_BYTES: usize = 8 << 20;
/// Reference pictures must come so much oftener than they are wanted, in percent.
const SPARE: i64 = 120;
/// Reference pictures whose distances are remembered.
const REFERENCES: usize = 64;
/// Sizes that tell what is usual.
const SIZES: usize = 48;
const LEAST_SIZES: usize = 12;
/// How long a larger picture wakes for, µs.
const PEEK: i64 = 2_000_000;

/// Decides for one stream.
#[derive(Debug)]
pub struct Intake<T> {
    /// Wanted time between pictures, µs; 0 wants all.
    interval: i64,
    kept: Vec<T>,
    kept_bytes: usize,
    /// Only key pictures are being decoded.
    is_asleep: bool,
    last_key: Option<i64>,
    between_keys: VecDeque<i64>,
    latest: Option<i64>,
    is_reordered: bool,
    last_reference: Option<i64>,
    between_references: VecDeque<i64>,
    /// Pictures that came out since the last key picture went in.
    given: u64,
    holds_back: bool,
    /// Sizes of the last kept pictures.
    sizes: VecDeque<usize>,
    awake_until: Option<i64>,
    left_out: Counts,
}

/// Pictures left out so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Nobody refers to them, and they were not wanted.
    pub unreferenced: u64,
    /// Nothing happened.
    pub idle: u64,
}

impl<T> Intake<T> {
    /// For a stream of which `fps` pictures a second are wanted; all when absent.
    pub fn new(fps: Option<f64>) -> Self {
        #[allow(clippy::cast_possible_truncation)] // `as` saturates
        let interval = match fps {
            Some(fps) if fps.is_finite() && fps > 0.0 => (1e6 / fps).round() as i64,
            _ => 0,
        };
        Self {
            interval,
            kept: Vec::new(),
            kept_bytes: 0,
            is_asleep: false,
            last_key: None,
            between_keys: VecDeque::new(),
            latest: None,
            is_reordered: false,
            last_reference: None,
            between_references: VecDeque::new(),
            given: 0,
            holds_back: false,
            sizes: VecDeque::new(),
            awake_until: None,
            left_out: Counts::default(),
        }
    }

    /// A picture came out of the decoder.
    pub fn came_out(&mut self) {
        self.given += 1;
    }

    /// Pictures left out so far.
    pub fn left_out(&self) -> Counts {
        self.left_out
    }

    /// Whether only key pictures are being decoded.
    pub fn is_asleep(&self) -> bool {
        self.is_asleep
    }

    /// Whether key pictures alone would do.
    pub fn can_sleep(&self) -> bool {
        self.between_keys.len() >= 2 && self.obstacle().is_none()
    }

    /// Why key pictures alone would not do, and what could be done about it.
    pub fn obstacle(&self) -> Option<&'static str> {
        if self.between_keys.iter().any(|us| *us > MOST_BETWEEN) {
            Some("key pictures are too far apart; set the camera's I-frame interval to one second")
        } else if self.is_reordered {
            Some("the camera sends B pictures; switch them off in it")
        } else if self.holds_back {
            Some("the decoder holds pictures back; try decoder = \"software\"")
        } else {
            None
        }
    }

    /// What becomes of the next picture; `payload` gives what is to be kept of it.
    pub fn serve(&mut self, unit: Unit, diet: Diet, payload: impl FnOnce() -> T) -> Served<T> {
        let since_key = self.last_key.map(|last| unit.media - last);
        self.observe(unit);
        if self.is_asleep {
            self.serve_asleep(unit, since_key, diet, payload)
        } else {
            self.serve_awake(unit, diet)
        }
    }

    fn serve_awake(&mut self, unit: Unit, diet: Diet) -> Served<T> {
        let is_peeking = self
            .awake_until
            .is_some_and(|until| (until - PEEK..until).contains(&unit.media));
        if unit.is_key {
            if diet == Diet::KeyFrames && !is_peeking && self.can_sleep() {
                self.is_asleep = true;
                self.sizes.clear();
            }
            self.given = 0;
            return Served::Decoded;
        }
        if !unit.is_needed && self.references_suffice() {
            self.left_out.unreferenced += 1;
            return Served::LeftOut;
        }
        Served::Decoded
    }

    fn serve_asleep(
        &mut self,
        unit: Unit,
        since_key: Option<i64>,
        diet: Diet,
        payload: impl FnOnce() -> T,
    ) -> Served<T> {
        if unit.is_key {
            // A decoder that has not given the last key picture yet holds it back.
            self.holds_back |= std::mem::take(&mut self.given) == 0;
            // Whoever has woken since the last picture wants what was kept as well.
            if diet == Diet::All || !self.can_sleep() {
                return self.wake();
            }
            self.left_out.idle += self.kept.len() as u64;
            self.kept.clear();
            self.kept_bytes = 0;
            return Served::Decoded;
        }
        let is_overdue = since_key.is_none_or(|us| !(0..=MOST_BETWEEN).contains(&us));
        let is_full = self.kept.len() >= MOST_KEPT
            || self.kept_bytes.saturating_add(unit.bytes) > MOST_KEPT_BYTES;
        if self.is_surprising(unit) {
            self.awake_until = Some(unit.media + PEEK);
            return self.wake();
        }
        if diet == Diet::All || is_overdue || is_full || !self.can_sleep() {
            return self.wake();
        }
        self.kept.push(payload());
        self.kept_bytes += unit.bytes;
        Served::Kept
    }

    fn wake(&mut self) -> Served<T> {
        self.is_asleep = false;
        self.kept_bytes = 0;
        Served::DecodedAfter(std::mem::take(&mut self.kept))
    }

    fn observe(&mut self, unit: Unit) {
        let media = unit.media;
        // A second back is no reordering: the camera has begun anew.
        let back = self.latest.map_or(0, |latest| latest - media);
        if back > 1_000_000 {
            self.between_keys.clear();
            self.between_references.clear();
            (self.last_key, self.last_reference, self.latest) = (None, None, None);
        } else if back > 0 {
            self.is_reordered = true;
        }
        self.latest = self.latest.max(Some(media));
        if unit.is_key {
            remember(&mut self.between_keys, DISTANCES, self.last_key, media);
            self.last_key = Some(media);
        }
        if unit.is_needed {
            let between = &mut self.between_references;
            remember(between, REFERENCES, self.last_reference, media);
            self.last_reference = Some(media);
        }
    }

    fn references_suffice(&self) -> bool {
        self.between_references.len() >= REFERENCES / 2
            && self
                .between_references
                .iter()
                .all(|us| us.saturating_mul(SPARE) <= self.interval.saturating_mul(100))
    }

    /// Whether a picture is larger by half than any of late, while little happens.
    fn is_surprising(&mut self, unit: Unit) -> bool {
        let most = self.sizes.iter().copied().max().unwrap_or(0);
        let is_surprising =
            self.sizes.len() >= LEAST_SIZES && unit.bytes > most.saturating_add(most / 2) + 256;
        if self.sizes.len() == SIZES {
            self.sizes.pop_front();
        }
        self.sizes.push_back(unit.bytes);
        is_surprising
    }
}

fn remember(distances: &mut VecDeque<i64>, most: usize, last: Option<i64>, now: i64) {
    let Some(last) = last else { return };
    if distances.len() == most {
        distances.pop_front();
    }
    distances.push_back((now - last).abs());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PICTURE: i64 = 40_000;

    fn unit(n: i64, gop: i64) -> Unit {
        Unit {
            media: n * PICTURE,
            is_key: n % gop == 0,
            is_needed: true,
            bytes: if n % gop == 0 { 20_000 } else { 900 },
        }
    }

    /// A decoder with no delay behind an intake.
    struct Line {
        intake: Intake<i64>,
        decoded: Vec<i64>,
    }

    impl Line {
        fn new(fps: Option<f64>) -> Self {
            Self {
                intake: Intake::new(fps),
                decoded: Vec::new(),
            }
        }

        fn feed(&mut self, n: i64, unit: Unit, diet: Diet) {
            let before = self.decoded.len();
            match self.intake.serve(unit, diet, || n) {
                Served::Decoded => self.decoded.push(n),
                Served::DecodedAfter(kept) => self.decoded.extend(kept.into_iter().chain([n])),
                Served::LeftOut | Served::Kept => {}
            }
            for _ in before..self.decoded.len() {
                self.intake.came_out();
            }
        }

        fn run(&mut self, range: std::ops::Range<i64>, gop: i64, diet: Diet) -> Vec<i64> {
            self.decoded.clear();
            for n in range {
                self.feed(n, unit(n, gop), diet);
            }
            self.decoded.clone()
        }
    }

    #[test]
    fn an_idle_stream_is_decoded_at_its_key_pictures_and_waking_misses_nothing_since() {
        let mut line = Line::new(None);
        line.run(0..100, 25, Diet::All);
        assert_eq!(
            line.run(100..200, 25, Diet::KeyFrames),
            [100, 125, 150, 175]
        );
        let woken = line.run(200..240, 25, Diet::KeyFrames);
        assert_eq!(woken, [200, 225]);
        assert_eq!(
            line.run(240..250, 25, Diet::All),
            (226..250).collect::<Vec<_>>()
        );
        assert_eq!(line.intake.left_out().idle, 24 * 5);
    }

    /// Of five pictures a second each fifth is a key picture: as often what had been kept was thrown away,
    /// and who had moved in it was seen a second late.
    #[test]
    fn waking_right_before_a_key_picture_misses_nothing_since_the_last_one() {
        let mut line = Line::new(None);
        line.run(0..100, 25, Diet::All);
        line.run(100..150, 25, Diet::KeyFrames);
        let woken = line.run(150..151, 25, Diet::All);
        assert_eq!(woken, (126..151).collect::<Vec<_>>());
        assert_eq!(line.intake.left_out().idle, 24);
        assert!(!line.intake.is_asleep());
        let awake = line.run(151..200, 25, Diet::All);
        assert_eq!(awake, (151..200).collect::<Vec<_>>());
    }

    #[test]
    fn key_pictures_too_far_apart_are_no_heartbeat() {
        for (gop, is_enough) in [(25, true), (40, true), (50, false), (250, false)] {
            let mut line = Line::new(None);
            line.run(0..600, gop, Diet::All);
            let decoded = line.run(600..900, gop, Diet::KeyFrames).len();
            assert_eq!(decoded < 300, is_enough, "{gop}: {decoded}");
            assert_eq!(line.intake.obstacle().is_none(), is_enough, "{gop}");
        }
    }

    #[test]
    fn a_key_picture_that_does_not_come_is_not_waited_for() {
        let mut line = Line::new(None);
        line.run(0..100, 25, Diet::All);
        line.run(100..125, 25, Diet::KeyFrames);
        // The camera's key pictures stop, as "smart" codecs do when nothing moves.
        let decoded = line.run(126..200, 10_000, Diet::KeyFrames);
        assert_eq!(
            decoded,
            (101..200).filter(|n| *n != 125).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_larger_picture_wakes_before_anybody_has_looked() {
        let mut line = Line::new(None);
        line.run(0..200, 25, Diet::KeyFrames);
        line.decoded.clear();
        let moving = Unit {
            bytes: 3_000,
            ..unit(215, 25)
        };
        for n in 200..215 {
            line.feed(n, unit(n, 25), Diet::KeyFrames);
        }
        line.feed(215, moving, Diet::KeyFrames);
        assert_eq!(line.decoded, (200..=215).collect::<Vec<_>>());
        // For two seconds, and then up to a key picture.
        let awake = line.run(216..275, 25, Diet::KeyFrames);
        assert_eq!(awake, (216..275).collect::<Vec<_>>());
        assert_eq!(line.run(275..325, 25, Diet::KeyFrames), [275, 300]);
    }

    #[test]
    fn streams_shown_in_another_order_and_decoders_that_hold_back_get_all() {
        let mut line = Line::new(None);
        for n in 0..500_i64 {
            let shown = match n % 3 {
                1 => n + 1,
                2 => n - 1,
                _ => n,
            };
            let unit = Unit {
                media: shown * PICTURE,
                ..unit(n, 24)
            };
            line.feed(n, unit, Diet::KeyFrames);
        }
        assert_eq!(line.decoded.len(), 500);
        assert!(line.intake.obstacle().unwrap().contains("B pictures"));
        // One that gives nothing until the next comes is found out at the first.
        let mut intake = Intake::<i64>::new(None);
        let mut decoded = 0;
        for n in 0..500 {
            match intake.serve(unit(n, 25), Diet::KeyFrames, || n) {
                Served::Decoded => decoded += 1,
                Served::DecodedAfter(kept) => decoded += kept.len() + 1,
                Served::LeftOut | Served::Kept => {}
            }
            if n < 60 {
                intake.came_out();
            }
        }
        assert_eq!(decoded, 500 - 24);
        assert!(intake.obstacle().unwrap().contains("software"));
    }

    #[test]
    fn pictures_that_nobody_refers_to_are_left_out_where_the_others_suffice() {
        for (fps, is_enough) in [(Some(5.0), true), (Some(10.0), false), (None, false)] {
            let mut line = Line::new(fps);
            for n in 0..900 {
                let unit = Unit {
                    is_needed: n % 3 == 0,
                    ..unit(n, 24)
                };
                line.feed(n, unit, Diet::All);
            }
            let left_out = line.intake.left_out().unreferenced;
            assert_eq!(left_out > 500, is_enough, "{fps:?}: {left_out}");
            assert_eq!(line.decoded.len() as u64 + left_out, 900);
        }
    }

    proptest! {
        /// No picture is decoded without those since the last key picture.
        #[test]
        fn what_is_decoded_has_its_references(
            gops in proptest::collection::vec(1..60_i64, 1..20),
            diets in proptest::collection::vec((any::<bool>(), 1..80_usize), 1..40),
            sizes in proptest::collection::vec(100..9_000_usize, 1..50),
        ) {
            let mut line = Line::new(None);
            let mut diets = diets.iter().cycle().flat_map(|(idle, times)| {
                let diet = if *idle { Diet::KeyFrames } else { Diet::All };
                std::iter::repeat_n(diet, *times)
            });
            let mut sizes = sizes.iter().cycle();
            let mut keys = std::collections::BTreeSet::new();
            let mut n = 0;
            for gop in gops {
                keys.insert(n);
                for at in 0..gop {
                    let unit = Unit {
                        media: n * PICTURE,
                        is_key: at == 0,
                        is_needed: true,
                        bytes: *sizes.next().unwrap(),
                    };
                    line.feed(n, unit, diets.next().unwrap());
                    n += 1;
                }
            }
            for pair in line.decoded.windows(2) {
                prop_assert!(pair[1] == pair[0] + 1 || (pair[1] > pair[0] && keys.contains(&pair[1])));
            }
        }
    }
}
