//! How fast evidence may go, so that a mobile link is left to the events.

use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes handed to the network at a time.
const PIECE: usize = 8 * 1024;
/// Longest pause for events before a piece goes all the same: the centre ends an
/// upload that brings nothing for 20 s.
const LONGEST: Duration = Duration::from_secs(8);

/// Gives each piece of every upload its turn; shared by the threads.
#[derive(Debug)]
pub(crate) struct Pacer {
    bytes_per_second: Option<f64>,
    /// When the link is free of what was let through.
    free: Mutex<Instant>,
}

impl Pacer {
    /// Without a limit pieces wait for events only.
    pub(crate) fn new(kbit_s: Option<u32>) -> Self {
        Self {
            bytes_per_second: kbit_s.map(|kbit| f64::from(kbit) * 125.0),
            free: Mutex::new(Instant::now()),
        }
    }

    /// How long a piece of so many bytes has to wait from `now` on.
    fn wait(&self, bytes: usize, now: Instant) -> Duration {
        let Some(rate) = self.bytes_per_second else {
            return Duration::ZERO;
        };
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // What was not used is lost: no burst after a pause.
        let turn = (*free).max(now);
        *free = turn + Duration::from_secs_f64(bytes as f64 / rate);
        turn - now
    }
}

/// The rest of a file, at the pace that is allowed.
pub(crate) struct Paced<'a, Yield> {
    pub(crate) rest: &'a [u8],
    pub(crate) pacer: &'a Pacer,
    /// Whether events wait for the link.
    pub(crate) must_yield: Yield,
}

impl<Yield: Fn() -> bool> Read for Paced<'_, Yield> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(PIECE).min(self.rest.len());
        std::thread::sleep(self.pacer.wait(length, Instant::now()));
        let until = Instant::now() + LONGEST;
        while (self.must_yield)() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(50));
        }
        let (piece, rest) = self.rest.split_at(length);
        into[..length].copy_from_slice(piece);
        self.rest = rest;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_uploads_together_keep_to_the_rate_and_a_pause_saves_nothing() {
        let pacer = Pacer::new(Some(80)); // 10,000 bytes a second
        let begin = Instant::now();
        let waits = |at_ms: u64| {
            let wait = pacer.wait(5000, begin + Duration::from_millis(at_ms));
            wait.as_millis()
        };
        let first = waits(100);
        assert_eq!(first, 0);
        assert_eq!([waits(100), waits(100), waits(600)], [500, 1000, 1000]);
        assert_eq!([waits(60_000), waits(60_000)], [0, 500]);
        assert_eq!(Pacer::new(None).wait(1 << 30, begin), Duration::ZERO);
    }

    #[test]
    fn everything_is_read_once_whatever_the_buffer() {
        let bytes: Vec<u8> = (0..30_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let pacer = Pacer::new(None);
        let mut reader = Paced {
            rest: &bytes,
            pacer: &pacer,
            must_yield: || false,
        };
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
    }
}
