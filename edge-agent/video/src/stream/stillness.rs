//! A frozen picture: the camera sends frames, but always the same one.
//!
//! About 60,000 luma samples on a grid are compared with those of the first
//! picture of the still period, a few times per second. It counts as the same
//! while fewer than one sample in 5,000 differs by more than the tolerance.
//! Compared with the *first*, because dusk changes no two neighbours.
//!
//! How it errs. A live camera is never quite still: sensor noise, leaves,
//! compression at each key picture. With tolerance 0 only an exact repetition is
//! frozen, so an encoder that goes on encoding one stuck picture is missed (its
//! key pictures differ in the last bit). A high tolerance, or a strong noise
//! filter on a dark and empty road, calls a good camera frozen: raise
//! `frozen_after` there, or lower the tolerance. A clock burnt into a stuck
//! picture hides the fault when the clock runs on.

use protocol::EventTime;

/// Watches one stream for stillness.
#[derive(Debug)]
pub struct Stillness {
    after_us: i64,
    tolerance: u8,
    reference: Vec<u8>,
    scratch: Vec<u8>,
    since: Option<EventTime>,
    looked: Option<EventTime>,
    is_frozen: bool,
}

/// Stillness has begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The same picture since then.
    Frozen(EventTime),
    /// It moves again.
    Thawed,
}

/// Luma of one picture.
#[derive(Clone, Copy, Debug)]
pub struct Luma<'a> {
    /// Rows of `stride` bytes.
    pub bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Pixels.
    pub width: usize,
    /// Pixels.
    pub height: usize,
}

const SAMPLES: usize = 65_536;
/// One sample in so many may differ.
const RARE: usize = 5_000;

impl Stillness {
    /// Frozen after so long with the same picture, each sample within `tolerance` levels.
    pub fn new(after: std::time::Duration, tolerance: u8) -> Self {
        Self {
            after_us: i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            tolerance,
            reference: Vec::new(),
            scratch: Vec::new(),
            since: None,
            looked: None,
            is_frozen: false,
        }
    }

    /// Forgets everything: the stream was lost.
    pub fn restart(&mut self) {
        self.is_frozen = false;
        self.step();
    }

    /// The times have jumped: since when a picture has been the same is not known any
    /// more. That it is frozen is, and only another picture ends that: whoever was
    /// told of the freeze waits for the thaw.
    pub fn step(&mut self) {
        self.looked = None;
        if !self.is_frozen {
            self.reference.clear();
            self.since = None;
        }
    }

    /// Looks at a picture, if it is time to look again.
    pub fn look(&mut self, time: EventTime, luma: Luma<'_>) -> Option<Change> {
        // Ten looks per period, two to ten per second: nearly free, soon enough.
        let every = (self.after_us / 10).clamp(100_000, 500_000);
        if let Some(looked) = self.looked
            && (0..every).contains(&(time.as_micros() - looked.as_micros()))
        {
            return None;
        }
        self.looked = Some(time);
        sample(luma, &mut self.scratch);
        let since = self.since.filter(|_| self.is_same());
        let Some(since) = since else {
            std::mem::swap(&mut self.reference, &mut self.scratch);
            self.since = Some(time);
            return std::mem::take(&mut self.is_frozen).then_some(Change::Thawed);
        };
        if !self.is_frozen && time.as_micros() - since.as_micros() >= self.after_us {
            self.is_frozen = true;
            return Some(Change::Frozen(since));
        }
        None
    }

    fn is_same(&self) -> bool {
        let (old, new) = (&self.reference, &self.scratch);
        old.len() == new.len() && {
            let changed = old
                .iter()
                .zip(new)
                .filter(|(a, b)| a.abs_diff(**b) > self.tolerance)
                .count();
            changed * RARE <= old.len()
        }
    }
}

fn sample(luma: Luma<'_>, into: &mut Vec<u8>) {
    into.clear();
    let pixels = luma.width * luma.height;
    let mut step = 1;
    while pixels / (step * step) > SAMPLES {
        step += 1;
    }
    for row in luma
        .bytes
        .chunks(luma.stride.max(1))
        .take(luma.height)
        .step_by(step)
    {
        let row = &row[..luma.width.min(row.len())];
        into.extend(row.iter().step_by(step));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const W: usize = 640;
    const H: usize = 360;

    fn seconds(s: f64) -> EventTime {
        EventTime::EPOCH + protocol::units::Seconds(s)
    }

    /// What is said over `length` seconds at 10 pictures per second.
    fn watch(
        tolerance: u8,
        length: u32,
        mut paint: impl FnMut(f64, &mut [u8]),
    ) -> Vec<(f64, Change)> {
        let mut stillness = Stillness::new(Duration::from_secs(5), tolerance);
        let mut said = Vec::new();
        for n in 0..length * 10 {
            let at = f64::from(n) / 10.0;
            let mut bytes = vec![90; W * H];
            paint(at, &mut bytes);
            let luma = Luma {
                bytes: &bytes,
                stride: W,
                width: W,
                height: H,
            };
            said.extend(stillness.look(seconds(at), luma).map(|change| (at, change)));
        }
        said
    }

    #[test]
    fn the_same_picture_is_frozen_once_and_thaws_when_it_moves() {
        let said = watch(0, 10, |at, bytes| {
            if at >= 8.0 {
                bytes.fill(91);
            }
        });
        assert_eq!(
            said,
            [(5.0, Change::Frozen(seconds(0.0))), (8.0, Change::Thawed)]
        );
    }

    #[test]
    fn sensor_noise_of_two_levels_is_life() {
        let mut random = fastrand::Rng::with_seed(7);
        let said = watch(1, 10, |_, bytes| {
            for byte in bytes {
                *byte += random.u8(0..4);
            }
        });
        assert_eq!(said, []);
    }

    #[test]
    fn noise_within_the_tolerance_hides_nothing() {
        let mut random = fastrand::Rng::with_seed(7);
        let said = watch(1, 6, |_, bytes| {
            for byte in bytes {
                *byte += random.u8(0..2);
            }
        });
        assert_eq!(said, [(5.0, Change::Frozen(seconds(0.0)))]);
    }

    #[test]
    fn slow_dusk_is_not_stillness() {
        // One level per two seconds: no two looks differ by more than one.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let said = watch(1, 20, |at, bytes| bytes.fill(200 - (at / 2.0) as u8));
        assert_eq!(said, []);
    }

    #[test]
    fn a_clock_of_forty_pixels_is_life() {
        let said = watch(1, 10, |at, bytes| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let digit = at as usize % 10;
            for row in 10..50 {
                bytes[row * W + 20 + digit * 20..][..20].fill(235);
            }
        });
        assert_eq!(said, []);
    }

    #[test]
    fn short_planes_and_odd_sizes_are_sampled_without_harm() {
        let mut into = Vec::new();
        for (length, stride, width, height) in [(0, 8, 5, 3), (20, 8, 5, 3), (1, 0, 1, 1)] {
            let bytes = vec![1; length];
            sample(
                Luma {
                    bytes: &bytes,
                    stride,
                    width,
                    height,
                },
                &mut into,
            );
            assert!(into.len() <= width * height);
        }
    }

    /// An encoder that hung comes back with a leap of its times. The leap forgot that
    /// the picture had been frozen, so its thaw was never told, and the camera's
    /// pictures were thrown away for as long as it stayed connected.
    #[test]
    fn a_frozen_picture_thaws_after_its_times_have_jumped() {
        let (one, other) = (vec![10; W * H], vec![200; W * H]);
        let luma = |bytes| Luma {
            bytes,
            stride: W,
            width: W,
            height: H,
        };
        let mut stillness = Stillness::new(Duration::from_secs(5), 2);
        let mut said = Vec::new();
        for second in 0..8 {
            said.extend(stillness.look(seconds(f64::from(second)), luma(&one)));
        }
        assert_eq!(said, [Change::Frozen(seconds(0.0))]);
        stillness.step();
        assert_eq!(
            stillness.look(seconds(500.0), luma(&one)),
            None,
            "still the same"
        );
        stillness.step();
        let moved = stillness.look(seconds(20.0), luma(&other));
        assert_eq!(moved, Some(Change::Thawed));
        // Of a picture that was not frozen yet a leap is not time that it was the same.
        stillness.step();
        assert_eq!(stillness.look(seconds(900.0), luma(&other)), None);
        assert_eq!(stillness.look(seconds(904.0), luma(&other)), None);
        let frozen = stillness.look(seconds(905.0), luma(&other));
        assert_eq!(frozen, Some(Change::Frozen(seconds(900.0))));
    }
}
