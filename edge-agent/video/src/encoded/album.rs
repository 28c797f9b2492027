//! Key pictures from before the ring: one each few seconds, as they came, back to
//! the beginning of a dwell that is longer than the ring.
//!
//! Bounded by age and by bytes. Where the bytes do not reach, every stretch gets
//! thinner and none is lost: the picture goes whose neighbours are nearest to each
//! other. A key picture can be decoded by itself, so a still is made of it when one
//! is asked for, and not before.

use std::collections::VecDeque;

use super::ring::AlbumState;
use super::unit::AccessUnit;

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
    units: VecDeque<AccessUnit>,
    bytes: usize,
}

impl Album {
    /// A key picture leaves the ring.
    pub(super) fn offer(&mut self, unit: &AccessUnit, limits: &AlbumLimits) {
        let after = |last: &AccessUnit| unit.time.since(last.time).0;
        // After a clock was set back: what lies in the future never grows old.
        while self.units.back().is_some_and(|last| after(last) < 0.0) {
            self.remove(self.units.len() - 1);
        }
        let last = self.units.back().map(after);
        if last.is_some_and(|passed| passed < limits.every) {
            return;
        }
        self.bytes += unit.bytes.len();
        self.units.push_back(unit.clone());
        while self
            .units
            .front()
            .is_some_and(|first| after(first) > limits.seconds)
        {
            self.remove(0);
        }
        while self.bytes > limits.bytes && !self.units.is_empty() {
            self.remove(self.least());
        }
    }

    /// Oldest first.
    pub(super) fn units(&self) -> impl Iterator<Item = &AccessUnit> {
        self.units.iter()
    }

    pub(super) fn state(&self) -> AlbumState {
        let ends = self.units.front().zip(self.units.back());
        AlbumState {
            bytes: self.bytes,
            pictures: self.units.len(),
            seconds: ends.map_or(0.0, |(first, last)| last.time.since(first.time).0),
        }
    }

    /// The one that is missed least; of few the oldest.
    fn least(&self) -> usize {
        let gap = |at: &usize| {
            let around = self.units.get(at + 1).zip(self.units.get(at - 1));
            around.map_or(f64::INFINITY, |(after, before)| {
                after.time.since(before.time).0
            })
        };
        let inner = 1..self.units.len().saturating_sub(1);
        let least = inner.min_by(|a, b| gap(a).total_cmp(&gap(b)));
        least.unwrap_or(0)
    }

    fn remove(&mut self, at: usize) {
        if let Some(gone) = self.units.remove(at) {
            self.bytes -= gone.bytes.len();
        }
    }
}
