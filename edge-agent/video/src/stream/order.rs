//! How often the times of pictures are wrong, as they are shown.
//!
//! Pictures come out of a decoder in the order of showing, so their times must rise.
//! Some cameras stamp pictures when they are sent, or take their clock from one that
//! is set back. A decoder evens out what it can, and gives the rest the time of the
//! picture before. Such a time is wrong, and so is a speed that is measured over it.

use std::collections::VecDeque;

/// Of so many pictures...
const PICTURES: u64 = 100;
/// ...this many wrong times are too many for any of them to be believed.
const TOO_MANY: usize = 2;

/// The media times of one connection's pictures, as they come out of the decoder.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: Option<i64>,
    pictures: u64,
    /// Which of the last pictures had wrong times.
    wrong: VecDeque<u64>,
}

impl Order {
    /// The next picture is to be shown at `media` (µs). Whether that is wrong: no later
    /// than the last one, or known to be (`is_wrong`).
    pub(super) fn shown(&mut self, media: i64, is_wrong: bool) -> bool {
        let last = self.last.replace(media);
        let is_wrong = is_wrong || last.is_some_and(|last| media <= last);
        self.pictures += 1;
        if is_wrong {
            self.wrong.push_back(self.pictures);
        }
        while self
            .wrong
            .front()
            .is_some_and(|first| first + PICTURES <= self.pictures)
        {
            self.wrong.pop_front();
        }
        is_wrong
    }

    /// Whether times are wrong so often that none is to be believed.
    pub(super) fn is_lost(&self) -> bool {
        self.wrong.len() >= TOO_MANY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_times_are_told_and_many_of_them_are_too_many() {
        let mut order = Order::default();
        let mut told = Vec::new();
        let mut lost = Vec::new();
        for n in 0..400_i64 {
            // Twice the same time at 150 and at 201.
            let media = match n {
                150 | 201 => (n - 1) * 40_000,
                n => n * 40_000,
            };
            if order.shown(media, n == 100) {
                told.push(n);
            }
            if order.is_lost() {
                lost.push(n);
            }
        }
        assert_eq!(told, [100, 150, 201]);
        // Until a hundred pictures have come with one of them at most.
        let expected: Vec<i64> = (150..200).chain(201..250).collect();
        assert_eq!(lost, expected);
    }
}
