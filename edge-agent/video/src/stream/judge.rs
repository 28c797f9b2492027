//! Whether the pictures of one connection, or of one recording, are good, and whose fault
//! it is if not.
//!
//! A bad picture is dropped. Too many of them, and another decoder is tried; if
//! there is none left to trust, it is the stream, which is told and watched on.

use protocol::EventTime;

use super::garbage::{Garbage, GarbageWatch, Planes};
use super::record::Record;

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
    /// It is good, and so have been those of the last second, or nearly all of the last two:
    /// the stream has recovered.
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

    /// Looks at a picture that is shown at `at` (µs of media time, where there is one);
    /// what is wrong with it, and what is to be done. `is_excused` as for [`flagged`](Self::flagged): hardware makes grey of what it lacks.
    pub(crate) fn look(
        &mut self,
        time: EventTime,
        at: Option<i64>,
        planes: Planes<'_>,
        is_excused: bool,
    ) -> (Option<Garbage>, Verdict) {
        let garbage = self.watch.look(time, planes);
        let verdict = match garbage {
            Some(_) if is_excused => Verdict::Bad,
            Some(_) => self.bad(at),
            None => self.good(at),
        };
        (garbage, verdict)
    }

    /// The decoder itself says that a picture is damaged. `is_excused`: packets were
    /// lost on the way, so that is no fault of the decoder.
    pub(crate) fn flagged(&mut self, at: Option<i64>, is_excused: bool) -> Verdict {
        // Before the first good one, nothing but the beginning is missing.
        if is_excused || !self.has_good {
            Verdict::Bad
        } else {
            self.bad(at)
        }
    }

    fn good(&mut self, at: Option<i64>) -> Verdict {
        self.has_good = true;
        self.record.good(at);
        if self.is_blamed && self.record.is_clean() {
            self.is_blamed = false;
            self.record.forget();
            Verdict::Recovered
        } else {
            Verdict::Good
        }
    }

    fn bad(&mut self, at: Option<i64>) -> Verdict {
        if !self.record.bad(at) {
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

    /// Media time of picture `n` of so many a second.
    fn at(n: i64, fps: i64) -> i64 {
        n * 1_000_000 / fps
    }

    #[test]
    fn the_stream_is_blamed_once_until_it_is_good_again() {
        let mut judge = Judge::new(true);
        let said = (0..180).map(|n| match n / 30 % 2 {
            0 => judge.good(Some(at(n, 25))),
            _ => judge.flagged(Some(at(n, 25)), false),
        });
        let said: Vec<Verdict> = said.collect();
        let of = |verdict| said.iter().filter(|v| **v == verdict).count();
        assert_eq!(of(Verdict::BlameStream), 3);
        assert_eq!(of(Verdict::Recovered), 2);
        assert_eq!(of(Verdict::ChangeDecoder), 0);
    }

    /// Once 25 pictures in a row had to be good, at any rate: one bad in 25 kept the rules
    /// blind for ever.
    #[test]
    fn a_stream_with_a_bad_picture_now_and_then_recovers_from_a_burst_and_stays() {
        for fps in [1, 5, 10, 15, 25, 50] {
            let burst = 10 * fps..13 * fps + 6;
            for every in [8, 20] {
                let mut judge = Judge::new(true);
                let (mut blamed, mut recovered) = (Vec::new(), Vec::new());
                for n in 0..120 * fps {
                    let is_bad = burst.contains(&n) || n % every == 0;
                    let verdict = if is_bad {
                        judge.flagged(Some(at(n, fps)), false)
                    } else {
                        judge.good(Some(at(n, fps)))
                    };
                    match verdict {
                        Verdict::BlameStream => blamed.push(n),
                        Verdict::Recovered => recovered.push(n),
                        _ => {}
                    }
                }
                let told = format!("{fps} a second, one bad of {every}: {blamed:?} {recovered:?}");
                assert_eq!((blamed.len(), recovered.len()), (1, 1), "{told}");
                let lasted = (recovered[0] - burst.end) as f64 / fps as f64;
                assert!(lasted <= if fps == 1 { 4.0 } else { 2.0 }, "{told}");
            }
        }
    }

    #[test]
    fn lost_packets_and_a_missing_beginning_are_no_fault_of_the_decoder() {
        let mut judge = Judge::new(false);
        assert!((0..90).all(|n| judge.flagged(Some(at(n, 25)), false) == Verdict::Bad));
        judge.good(Some(at(90, 25)));
        assert!((91..180).all(|n| judge.flagged(Some(at(n, 25)), true) == Verdict::Bad));
        let blamed = (180..270)
            .position(|n| judge.flagged(Some(at(n, 25)), false) == Verdict::ChangeDecoder);
        assert_eq!(blamed, Some(11));
    }
}
