//! Whether the pictures of one connection, or of one recording, are good, and whose fault
//! it is if not.
//!
//! A bad picture is dropped. Too many of them, and another decoder is tried; if
//! there is none left to trust, it is the stream, which is told and watched on.

use protocol::EventTime;

use super::garbage::{Garbage, GarbageWatch, Planes, Record};

/// Judges the pictures of one connection, or of one recording.
#[derive(Debug)]
pub(crate) struct Judge {
    watch: GarbageWatch,
    record: Record,
    /// There is no other decoder to try.
    is_last: bool,
    /// The stream has been blamed, and not yet been good again.
    is_blamed: bool,
    has_good: bool,
}

/// What is to be done about a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is good.
    Good,
    /// It is good, and so have been those of the last second: the stream has recovered.
    Recovered,
    /// It is to be dropped.
    Bad,
    /// It is to be dropped, and the decoder to be changed.
    ChangeDecoder,
    /// It is to be dropped, and the stream to be blamed, because any decoder gives such.
    BlameStream,
}

impl Judge {
    /// `is_last`: there is no other decoder to try.
    pub(crate) fn new(is_last: bool) -> Self {
        Self {
            watch: GarbageWatch::default(),
            record: Record::default(),
            is_last,
            is_blamed: false,
            has_good: false,
        }
    }

    /// Looks at a picture; what is wrong with it, and what is to be done. `is_excused`
    /// as for [`flagged`](Self::flagged): hardware makes grey of what it lacks.
    pub(crate) fn look(
        &mut self,
        time: EventTime,
        planes: Planes<'_>,
        is_excused: bool,
    ) -> (Option<Garbage>, Verdict) {
        let garbage = self.watch.look(time, planes);
        let verdict = match garbage {
            Some(_) if is_excused => Verdict::Bad,
            Some(_) => self.bad(),
            None => self.good(),
        };
        (garbage, verdict)
    }

    /// The decoder itself says that a picture is damaged. `is_excused`: packets were
    /// lost on the way, so that is no fault of the decoder.
    pub(crate) fn flagged(&mut self, is_excused: bool) -> Verdict {
        // Before the first good one, nothing but the beginning is missing.
        if is_excused || !self.has_good {
            Verdict::Bad
        } else {
            self.bad()
        }
    }

    fn good(&mut self) -> Verdict {
        self.has_good = true;
        self.record.good();
        if self.is_blamed && self.record.is_clean() {
            self.is_blamed = false;
            Verdict::Recovered
        } else {
            Verdict::Good
        }
    }

    fn bad(&mut self) -> Verdict {
        if !self.record.bad() {
            Verdict::Bad
        } else if !self.is_last {
            Verdict::ChangeDecoder
        } else if std::mem::replace(&mut self.is_blamed, true) {
            Verdict::Bad
        } else {
            Verdict::BlameStream
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_blamed_once_until_it_is_good_again() {
        let mut judge = Judge::new(true);
        let mut said = Vec::new();
        for _ in 0..3 {
            said.extend((0..30).map(|_| judge.good()));
            said.extend((0..30).map(|_| judge.flagged(false)));
        }
        let of = |verdict| said.iter().filter(|v| **v == verdict).count();
        assert_eq!(of(Verdict::BlameStream), 3);
        assert_eq!(of(Verdict::Recovered), 2);
        assert_eq!(of(Verdict::ChangeDecoder), 0);
    }

    #[test]
    fn lost_packets_and_a_missing_beginning_are_no_fault_of_the_decoder() {
        let mut judge = Judge::new(false);
        assert!((0..90).all(|_| judge.flagged(false) == Verdict::Bad));
        judge.good();
        assert!((0..90).all(|_| judge.flagged(true) == Verdict::Bad));
        let blamed = (0..90).position(|_| judge.flagged(false) == Verdict::ChangeDecoder);
        assert_eq!(blamed, Some(11));
    }
}
