//! Which encoded pictures never came out of the decoder.
//!
//! Decoders do not tell: some log it, some drop in silence. But pictures come
//! out in the order of their times, so whatever went in with an earlier time
//! and is not out yet never will be.

use std::collections::BTreeSet;

/// Times (µs) of encoded pictures inside the decoder.
#[derive(Debug, Default)]
pub struct Ledger {
    inside: BTreeSet<i64>,
    /// Before the first picture there is nothing to decode with: no fault.
    has_begun: bool,
}

/// More than any decoder holds back.
const MOST_INSIDE: usize = 64;

impl Ledger {
    /// An encoded picture goes in; returns how many must be given up for it.
    pub fn encoded(&mut self, time: i64) -> u64 {
        self.inside.insert(time);
        if self.inside.len() <= MOST_INSIDE {
            return 0;
        }
        self.inside.pop_first();
        u64::from(self.has_begun)
    }

    /// A decoded picture comes out; returns how many before it were lost.
    pub fn decoded(&mut self, time: i64) -> u64 {
        let later = self.inside.split_off(&time);
        let lost = std::mem::replace(&mut self.inside, later).len() as u64;
        self.inside.remove(&time);
        if std::mem::replace(&mut self.has_begun, true) {
            lost
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reordered_pictures_are_not_lost() {
        let mut ledger = Ledger::default();
        let mut lost = 0;
        for (encoded, decoded) in [(0, None), (120, Some(0)), (40, Some(40)), (80, Some(80))] {
            lost += ledger.encoded(encoded);
            lost += decoded.map_or(0, |time| ledger.decoded(time));
        }
        lost += ledger.decoded(120);
        assert_eq!(lost, 0);
    }

    #[test]
    fn pictures_that_stay_inside_are_lost_but_not_those_before_the_first() {
        let mut ledger = Ledger::default();
        for time in [0, 40, 80, 120, 160, 200] {
            ledger.encoded(time);
        }
        assert_eq!(ledger.decoded(80), 0, "joined between key pictures");
        assert_eq!(ledger.decoded(200), 2);
    }

    #[test]
    fn a_decoder_that_gives_nothing_more_loses_all() {
        let mut ledger = Ledger::default();
        ledger.encoded(0);
        ledger.decoded(0);
        let lost: u64 = (1..200).map(|time| ledger.encoded(time)).sum();
        assert_eq!(lost, 199 - MOST_INSIDE as u64);
    }
}
