//! How much of a file goes to the centre at a time.
//!
//! An operating system takes megabytes of a body in at once and sends them for
//! minutes over a thin line, so that a body is "sent" long before it is there:
//! no time-out fits such an upload, and no pause that events need reaches what
//! it has taken. So a file goes in pieces that the line carries in some seconds,
//! each answered before the next is sent.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a piece is to be under way.
const AIM: Duration = Duration::from_secs(4);
/// Of a line that nobody knows yet.
const FIRST: usize = 64 * 1024;
/// Smaller ones are mostly heads of requests.
const SMALLEST: usize = 16 * 1024;
/// What a piece that breaks off costs at most.
const LARGEST: usize = 1024 * 1024;
/// What the answer to a piece may take beyond the answer to nothing: the line may
/// have become fifteen times worse since its last piece.
const SPARE: Duration = Duration::from_mins(1);
/// Of the thinnest line over which a whole file is sent, bytes per second.
const THINNEST: f64 = 8.0 * 1024.0;

/// The size of pieces, as far as the line is known; shared by all uploads.
#[derive(Debug)]
pub(crate) struct Stride(Mutex<usize>);

impl Stride {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(FIRST))
    }

    /// Bytes of the next piece.
    pub(crate) fn bytes(&self) -> usize {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece of so many bytes was answered after so long.
    pub(crate) fn answered(&self, bytes: usize, after: Duration) {
        let mut size = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The rest of a file tells of the round trip and not of the line.
        if bytes < *size {
            return;
        }
        let times = AIM.as_secs_f64() / after.as_secs_f64().max(0.001);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
        let fitting = (bytes as f64 * times).min(LARGEST as f64) as usize;
        *size = fitting.min(*size * 2).clamp(SMALLEST, LARGEST);
    }

    /// A piece got no answer.
    pub(crate) fn failed(&self) {
        let mut size = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *size = (*size / 2).max(SMALLEST);
    }
}

/// How long the answer to a piece is waited for once an operating system has taken
/// the piece in; `least` is the time for an answer to nothing.
pub(crate) fn patience(least: Duration) -> Duration {
    least + SPARE
}

/// The same for a whole file, for a centre that takes no pieces.
pub(crate) fn patience_with(bytes: usize, least: Duration) -> Duration {
    patience(least) + Duration::from_secs_f64(bytes as f64 / THINNEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEAST: Duration = Duration::from_secs(3);

    /// What became of a file.
    #[derive(Debug, Default)]
    struct Sent {
        sizes: Vec<usize>,
        seconds: f64,
        failures: u32,
    }

    /// Sends it over a line of so many bytes per second, with so long a round trip.
    /// What came of a piece that got no answer in time stays.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // part of a piece
    fn send(stride: &Stride, file: usize, rate: f64, trip: f64) -> Sent {
        let mut sent = Sent::default();
        let most = patience(LEAST).as_secs_f64();
        let mut rest = file;
        while rest > 0 {
            let bytes = rest.min(stride.bytes());
            let took = trip + bytes as f64 / rate;
            sent.sizes.push(bytes);
            if took <= most {
                stride.answered(bytes, Duration::from_secs_f64(took));
                rest -= bytes;
            } else {
                stride.failed();
                sent.failures += 1;
                rest -= (most * rate) as usize;
            }
            sent.seconds += took.min(most);
        }
        sent
    }

    #[test]
    fn a_good_line_soon_gets_the_largest_pieces_and_a_bad_one_small_ones() {
        let stride = Stride::new();
        let kib = |sent: Sent| -> Vec<usize> {
            let sizes = sent.sizes.into_iter();
            sizes.map(|bytes| bytes >> 10).collect()
        };
        let good = kib(send(&stride, 4 << 20, 10e6, 0.05));
        assert_eq!(good, [64, 128, 256, 512, 1024, 1024, 1024, 64]);
        // It remembers, until the line has become another one.
        let worse = kib(send(&stride, 2 << 20, 32_768.0, 0.0));
        assert_eq!(worse[..3], [1024, 128, 128]);
        for _ in 0..9 {
            stride.failed();
        }
        assert_eq!(stride.bytes(), SMALLEST);
    }

    proptest! {
        /// Over whatever line it goes, from 8 kbit/s on: what is not known yet is not
        /// asked too much of, and waiting for answers costs little where it is thin.
        #[test]
        fn every_piece_is_answered_in_time(
            file in 1_usize..40_000_000,
            log_rate in 10.1_f64..27.0,
            trip in 0.0_f64..0.5,
        ) {
            let rate = log_rate.exp2();
            let sent = send(&Stride::new(), file, rate, trip);
            prop_assert_eq!(sent.failures, 0);
            prop_assert_eq!(sent.sizes.iter().sum::<usize>(), file);
            let best = file as f64 / rate;
            let pieces = 8.0 + (best / AIM.as_secs_f64()).max(file as f64 / LARGEST as f64);
            if rate > 8192.0 && trip < 0.2 {
                prop_assert!(sent.seconds <= best + trip * 1.2 * pieces, "{sent:?}");
            }
        }

        /// A line that becomes worse costs some pieces their answer, and no more. (Below
        /// 8 kbit/s not even the smallest piece is answered in time.)
        #[test]
        fn a_line_that_becomes_worse_is_learned(log_rates in [10.1_f64..27.0, 10.1_f64..27.0]) {
            let stride = Stride::new();
            let [before, after] = log_rates.map(f64::exp2);
            send(&stride, 8 << 20, before, 0.1);
            let sent = send(&stride, 8 << 20, after, 0.1);
            prop_assert!(sent.failures <= 6, "{sent:?}");
        }
    }
}
