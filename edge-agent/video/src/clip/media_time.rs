//! The time of each picture of a clip: the file's, mended where it has none.

use protocol::EventTime;

/// Gives increasing times, the first of them at `start`.
///
/// A picture with the file's own, increasing time keeps it. One without, or
/// with a time that does not increase, comes one nominal frame after the one
/// before. A bare elementary stream has no times at all (what a parser invents
/// for it is wrong as soon as there are B pictures): there, pictures are counted.
#[derive(Clone, Debug)]
pub struct MediaTime {
    start: EventTime,
    /// µs from one picture to the next.
    nominal: i64,
    counts_only: bool,
    /// The file's time of the first picture (µs).
    base: Option<i64>,
    /// µs after `start`.
    last: Option<i64>,
    mended: u64,
}

impl MediaTime {
    /// For a clip of `fps` nominal pictures per second; `counts_only` for bare streams.
    pub fn new(start: EventTime, fps: f64, counts_only: bool) -> Self {
        #[allow(clippy::cast_possible_truncation)] // `as` saturates
        let nominal = if fps.is_finite() && fps > 0.0 {
            ((1e6 / fps).round() as i64).clamp(1, 3_600_000_000)
        } else {
            40_000
        };
        Self {
            start,
            nominal,
            counts_only,
            base: None,
            last: None,
            mended: 0,
        }
    }

    /// The time of the next picture, from the file's (µs), if it has one.
    pub fn next(&mut self, media: Option<i64>) -> EventTime {
        let media = media.filter(|_| !self.counts_only);
        let Some(last) = self.last else {
            self.base = media;
            self.last = Some(0);
            self.mended += u64::from(media.is_none() && !self.counts_only);
            return self.start;
        };
        let own = match (media, self.base) {
            (Some(media), Some(base)) => Some(media.saturating_sub(base)),
            // The first picture had no time: this one's own place is the anchor.
            (Some(media), None) => {
                self.base = Some(media.saturating_sub(last + self.nominal));
                Some(last + self.nominal)
            }
            (None, _) => None,
        };
        let at = own.filter(|own| *own > last).unwrap_or_else(|| {
            self.mended += u64::from(!self.counts_only);
            last.saturating_add(self.nominal)
        });
        self.last = Some(at);
        EventTime::from_micros(self.start.as_micros().saturating_add(at))
    }

    /// Pictures whose time had to be made up.
    pub fn mended(&self) -> u64 {
        self.mended
    }

    /// From the first picture to the end of the last one shown so far (µs).
    pub fn length(&self) -> i64 {
        self.last.map_or(0, |last| last + self.nominal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(counts_only: bool, media: &[Option<i64>]) -> (Vec<i64>, u64) {
        let start = EventTime::from_micros(1_000_000);
        let mut time = MediaTime::new(start, 25.0, counts_only);
        let times = media
            .iter()
            .map(|m| time.next(*m).as_micros() - start.as_micros())
            .collect();
        (times, time.mended())
    }

    #[test]
    fn the_files_own_times_are_kept_from_the_first_picture_on() {
        let media = [3_600_000_000, 3_600_033_333, 3_600_900_000].map(Some);
        assert_eq!(times(false, &media), (vec![0, 33_333, 900_000], 0));
    }

    #[test]
    fn missing_and_backward_times_are_mended_and_counted() {
        for (media, expected, mended) in [
            (vec![None, None, None], vec![0, 40_000, 80_000], 3),
            (
                vec![Some(0), None, Some(80_000)],
                vec![0, 40_000, 80_000],
                1,
            ),
            (vec![Some(0), Some(0), Some(0)], vec![0, 40_000, 80_000], 2),
            (
                vec![Some(500), Some(100), Some(90_500)],
                vec![0, 40_000, 90_000],
                1,
            ),
            (
                vec![None, Some(700_000), Some(750_000)],
                vec![0, 40_000, 90_000],
                1,
            ),
        ] {
            assert_eq!(times(false, &media), (expected, mended), "{media:?}");
        }
    }

    #[test]
    fn pictures_of_a_bare_stream_are_counted() {
        let media = [0, 160_000, 40_000, 80_000].map(Some);
        assert_eq!(times(true, &media), (vec![0, 40_000, 80_000, 120_000], 0));
    }

    proptest! {
        #[test]
        fn times_always_increase(
            media in proptest::collection::vec(proptest::option::of(any::<i64>()), 1..100),
            fps in any::<f64>(),
        ) {
            let mut time = MediaTime::new(EventTime::EPOCH, fps, false);
            let mut last = None;
            for media in media {
                // Thousands of years: the clip ends before that.
                let next = time.next(media.map(|m| m % 1_000_000_000_000));
                prop_assert!(last.is_none_or(|last| next > last));
                last = Some(next);
            }
        }
    }
}
