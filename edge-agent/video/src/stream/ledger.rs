//! How many encoded pictures never came out of the decoder.
//!
//! Decoders do not tell: some log it, some drop in silence. So pictures are
//! counted in and out. The difference sways while B pictures are put in order,
//! but its least value over some pictures rises by one with each picture lost.
//! Times would name the lost picture, but they are not to be trusted here: the
//! jitter buffer and the decoder both mend them.

use std::collections::VecDeque;

/// Encoded pictures in, decoded pictures out.
#[derive(Debug, Default)]
pub struct Ledger {
    inside: u64,
    /// Inside after each of the last pictures that came out.
    recent: VecDeque<u64>,
    /// The least that this decoder holds back; known after the first pictures.
    held: Option<u64>,
}

/// Longer than any decoder takes to put pictures in order.
const PICTURES: usize = 32;
/// More than any decoder holds back: it gives nothing more.
const MOST_INSIDE: u64 = 64;

impl Ledger {
    /// An encoded picture goes in; returns how many must be given up as lost.
    pub fn encoded(&mut self) -> u64 {
        self.inside += 1;
        match &mut self.held {
            Some(held) if self.inside > *held + MOST_INSIDE => {
                *held += 1;
                1
            }
            _ => 0,
        }
    }

    /// A decoded picture comes out; returns how many are now known to be lost.
    pub fn decoded(&mut self) -> u64 {
        self.inside = self.inside.saturating_sub(1);
        if self.recent.len() == PICTURES {
            self.recent.pop_front();
        }
        self.recent.push_back(self.inside);
        if self.recent.len() < PICTURES {
            return 0;
        }
        let least = self.recent.iter().copied().min().unwrap_or(0);
        // What went in before the first key picture was in reach is no fault:
        // the first look only says how much is held. And a decoder that was
        // drained for a new size fills up again: the least is never lowered.
        let held = self.held.get_or_insert(least);
        let lost = least.saturating_sub(*held);
        *held = (*held).max(least);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pictures to a decoder that holds `depth` back; `false` is lost in it.
    fn lost(depth: usize, pictures: impl IntoIterator<Item = bool>) -> u64 {
        let mut ledger = Ledger::default();
        let mut held = 0;
        let mut lost = 0;
        for is_good in pictures {
            lost += ledger.encoded();
            held += usize::from(is_good);
            if is_good && held > depth {
                held -= 1;
                lost += ledger.decoded();
            }
        }
        lost
    }

    #[test]
    fn pictures_held_back_for_their_order_are_not_lost() {
        for depth in [0, 1, 4, 16] {
            assert_eq!(lost(depth, vec![true; 500]), 0, "{depth}");
        }
    }

    #[test]
    fn what_was_there_before_the_first_picture_is_not_lost() {
        let joined = [false; 40].into_iter().chain([true; 200]);
        assert_eq!(lost(2, joined), 0);
    }

    #[test]
    fn each_lost_picture_is_counted_once() {
        for every in [2, 3, 50] {
            let faulty = (0..600).map(|n| !(100..500).contains(&n) || n % every != 0);
            let expected = (100..500).filter(|n| n % every == 0).count() as u64;
            assert_eq!(lost(2, faulty), expected, "one in {every}");
        }
    }

    #[test]
    fn a_decoder_that_gives_nothing_more_loses_all_but_what_it_holds() {
        let faulty = [true; 100].into_iter().chain([false; 300]);
        assert_eq!(lost(0, faulty), 300 - MOST_INSIDE);
    }
}
