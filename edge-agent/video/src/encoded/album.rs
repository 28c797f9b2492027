//! Key pictures from before the ring: one each few seconds, as they came, back to
//! the beginning of a dwell that is longer than the ring.
//!
//! Bounded by age and by bytes. Where the bytes do not reach, every stretch gets
//! thinner and none is lost: the picture goes whose neighbours are nearest to each
//! other. A key picture can be decoded by itself, so a still is made of it when one
//! is asked for, and not before.
//!
//! Age is counted as the ring counts it, as if no clock had ever been set.

use std::collections::VecDeque;

use super::ring::{AlbumState, Held, reach};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlbumLimits {
    /// Not more often than each so many seconds.
    pub every: f64,
    /// Back to so long before the newest, s.
    pub seconds: f64,
    /// At most so much.
    pub bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Album {
    held: VecDeque<Held>,
    bytes: usize,
}

impl Album {
    /// A key picture leaves the ring.
    pub(super) fn offer(&mut self, key: &Held, limits: &AlbumLimits) {
        let last = self.held.back().map(|last| reach(last, key));
        if last.is_some_and(|passed| passed < limits.every) {
            return;
        }
        self.bytes += key.unit.bytes.len();
        self.held.push_back(key.clone());
        while self
            .held
            .front()
            .is_some_and(|first| reach(first, key) > limits.seconds)
        {
            self.remove(0);
        }
        while self.bytes > limits.bytes && !self.held.is_empty() {
            self.remove(self.least());
        }
    }

    /// Oldest first.
    pub(super) fn held(&self) -> impl Iterator<Item = &Held> {
        self.held.iter()
    }

    pub(super) fn state(&self) -> AlbumState {
        let ends = self.held.front().zip(self.held.back());
        AlbumState {
            bytes: self.bytes,
            pictures: self.held.len(),
            seconds: ends.map_or(0.0, |(first, last)| reach(first, last)),
        }
    }

    /// The one that is missed least; of few the oldest.
    fn least(&self) -> usize {
        let gap = |at: &usize| {
            let around = self.held.get(at - 1).zip(self.held.get(at + 1));
            around.map_or(f64::INFINITY, |(before, after)| reach(before, after))
        };
        let inner = 1..self.held.len().saturating_sub(1);
        let least = inner.min_by(|a, b| gap(a).total_cmp(&gap(b)));
        least.unwrap_or(0)
    }

    fn remove(&mut self, at: usize) {
        if let Some(gone) = self.held.remove(at) {
            self.bytes -= gone.unit.bytes.len();
        }
    }
}
