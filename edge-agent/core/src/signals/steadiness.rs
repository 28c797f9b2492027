//! For how long a lamp must look the same before it can be no flash.
//!
//! Looks are samples, and a flash that is sampled too seldom aliases: looked at
//! five times a second, a lamp that flashes 1.63 times a second is lit at
//! every look for ten seconds. No waiting helps against that, since at some
//! rate of flashing the looks keep step with it for ever. What helps is looking
//! often enough: between two looks less than its dark part apart no flash can
//! hide, and a lamp that is lit for longer than a flash's lit part, at looks
//! that close, is not flashing.
//!
//! That is asked for each period by itself, so that looks far apart (a lost
//! frame) set back the proof against quick flashes only. Nothing is assumed of
//! how even the flashing or the looks are.

use protocol::EventTime;
use serde::{Deserialize, Serialize};

/// Period of the quickest flash, s: 2.5 Hz. Signals flash at about 1 Hz (50 to
/// 60 a minute in the MUTCD, 4E.04 and 4L); what is slower or quicker by more
/// than a factor of two is no signal's.
const QUICKEST_S: f64 = 0.4;
/// Width of the bands of periods, s.
const BAND_S: f64 = 0.1;
/// How many; the slowest flash has a period of 2 s, 0.5 Hz.
const BANDS: usize = 16;
/// A flashing lamp is dark for at least this part of each period …
const LEAST_DARK: f64 = 0.2;
/// … and lit for at least this part.
const LEAST_LIT: f64 = 0.3;

/// What the looks of a stretch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Some lamp was lit.
    Light,
    /// None was.
    Darkness,
}

impl Of {
    /// The least part of a flash's period that must have been missed.
    fn missed(self) -> f64 {
        match self {
            Self::Light => LEAST_DARK,
            Self::Darkness => LEAST_LIT,
        }
    }
}

/// Looks that all were of a light, or all of darkness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Unbroken(Option<Stretch>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Stretch {
    /// For each band of periods, since when the looks have been so close that
    /// the other part of a flash cannot have been between two of them.
    close_since: [EventTime; BANDS],
    until: EventTime,
}

impl Unbroken {
    /// Takes a look that was the same as the ones before.
    pub(super) fn look(&mut self, of: Of, at: EventTime) {
        let Some(stretch) = &mut self.0 else {
            self.0 = Some(Stretch {
                close_since: [at; BANDS],
                until: at,
            });
            return;
        };
        let gap = at.since(stretch.until).0;
        for (since, period) in stretch.close_since.iter_mut().zip(periods()) {
            if gap > of.missed() * period {
                *since = at;
            }
        }
        stretch.until = at;
    }

    /// A look was of the other kind.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }

    /// Whether no flash between 0.5 and 2.5 Hz can have looked like this.
    pub(super) fn excludes_flashing(&self, of: Of) -> bool {
        self.0.is_some_and(|stretch| {
            let longest = (1.0 - of.missed()) * BAND_S;
            stretch
                .close_since
                .iter()
                .zip(periods())
                .all(|(since, period)| {
                    // The slowest of the band lasts longest.
                    stretch.until.since(*since).0 > (1.0 - of.missed()) * period + longest
                })
        })
    }
}

/// The shortest period of each band, s.
fn periods() -> impl Iterator<Item = f64> {
    (0_u32..).map(|band| QUICKEST_S + BAND_S * f64::from(band))
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::units::Seconds;

    /// After how many seconds of looks so far apart flashing is excluded.
    fn excluded_after(of: Of, intervals: &[f64]) -> Option<f64> {
        let mut unbroken = Unbroken::default();
        let mut t = 0.0;
        for interval in intervals.iter().cycle().take(2_000) {
            unbroken.look(of, EventTime::EPOCH + Seconds(t));
            if unbroken.excludes_flashing(of) {
                return Some(t);
            }
            t += interval;
        }
        None
    }

    #[test]
    fn close_looks_exclude_flashing_after_its_longest_lit_part_and_others_never() {
        for (of, intervals, expected) in [
            (Of::Light, &[0.04][..], Some(1.64)),
            (Of::Light, &[1.0 / 15.0], Some(1.667)),
            (Of::Light, &[0.08], Some(1.68)),
            // 2.5 Hz, dark for a fifth: just fits between two looks.
            (Of::Light, &[0.085], None),
            (Of::Light, &[0.1], None),
            (Of::Light, &[0.2], None),
            (Of::Light, &[0.5], None),
            // Frames are lost every two seconds, and every fifth of a second.
            (Of::Light, &[&[0.04; 48][..], &[0.08]].concat(), Some(1.64)),
            (Of::Light, &[0.04, 0.04, 0.04, 0.085], None),
            // A flash is lit for longer than it is dark.
            (Of::Darkness, &[0.1], Some(1.5)),
            (Of::Darkness, &[0.2], None),
        ] {
            let found = excluded_after(of, intervals);
            let is_right = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 0.002,
                (found, expected) => found == expected,
            };
            assert!(is_right, "{of:?} at {intervals:?}: {found:?}");
        }
    }
}
