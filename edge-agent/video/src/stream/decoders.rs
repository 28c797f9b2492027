//! Which decoders have failed on a camera, and when that is held against them.
//!
//! A decoder that gives no picture at all, or garbage, is given up at once for this
//! camera. Hardware that worked and then failed is proved anew and gets a second
//! chance within a day: a driver may stumble once over a broken stream, and the
//! processor of a box may be too weak to decode all cameras.
//!
//! Only what the decoder did is held against it. Lost packets are the network's, and
//! a camera that sends a key picture each minute gives nothing to decode until then.
//! And no longer than for a day, unless it made garbage: drivers are updated, and
//! networks mended. Software alone is never given up for garbage, because then it is
//! the stream.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::loss::Loss;
use super::notice::LossReason;
use super::settings::RtspSettings;
use crate::decoder::{DecoderInUse, Family, Selection, doubt};

/// Failures within [`REMEMBERED`] of hardware that had worked, after which it is given up.
const CHANCES: usize = 2;
/// After so long a failure is forgotten, and what was given up is tried again with the
/// next connection.
const REMEMBERED: Duration = Duration::from_hours(24);

/// One camera's experience with its decoders.
#[derive(Debug)]
pub(super) struct Decoders {
    pub(super) selection: Selection,
    failures: BTreeMap<String, Vec<Instant>>,
    /// Those that may be tried again, and since when they are not.
    given_up: BTreeMap<String, Instant>,
}

/// What else was the case when a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// Good pictures came out of the decoder.
    pub(super) had_pictures: bool,
    /// A key picture came, and seconds later nothing has come out.
    pub(super) is_stuck: bool,
    /// Packets were lost a short while ago.
    pub(super) has_lost_packets: bool,
}

impl Decoders {
    pub(super) fn new(settings: &RtspSettings) -> Self {
        Self {
            selection: Selection {
                choice: settings.decoder.clone(),
                ..Selection::default()
            },
            failures: BTreeMap::new(),
            given_up: BTreeMap::new(),
        }
    }

    /// Lets those be tried again that were given up long ago.
    pub(super) fn forgive(&mut self, now: Instant) {
        let rejected = &mut self.selection.rejected;
        self.given_up.retain(|name, since| {
            let is_remembered = now.saturating_duration_since(*since) < REMEMBERED;
            if !is_remembered {
                rejected.remove(name);
            }
            is_remembered
        });
    }

    /// It did not let go of a connection that was over: given up for good, since each time
    /// it hangs a thread is left behind. Software does not hang.
    pub(super) fn hangs(&mut self, decoder: &DecoderInUse) -> Option<String> {
        if decoder.family == Family::Software {
            return None;
        }
        doubt(&decoder.name);
        self.given_up.remove(&decoder.name);
        let reason = "hangs and does not let go".to_owned();
        let rejected = &mut self.selection.rejected;
        let old = rejected.insert(decoder.name.clone(), reason.clone());
        old.is_none().then_some(reason)
    }

    /// A connection ended at `now`; why its decoder is given up, if it is.
    pub(super) fn blame(
        &mut self,
        loss: &Loss,
        decoder: &DecoderInUse,
        seen: Circumstances,
        now: Instant,
    ) -> Option<String> {
        let name = &decoder.name;
        let detail = loss.detail.as_deref();
        let reason = match loss.reason {
            LossReason::Garbage => {
                format!("makes {} of this stream", detail.unwrap_or("garbage"))
            }
            LossReason::Decode if seen.has_lost_packets => return None,
            // An error has words. Without, it just gave nothing; of nothing, perhaps.
            LossReason::Decode if detail.is_none() && !seen.is_stuck => return None,
            LossReason::Decode if !seen.had_pictures => match detail {
                Some(detail) => format!("gives no picture of this stream: {detail}"),
                None => "gives no picture of this stream".to_owned(),
            },
            LossReason::Decode if decoder.family != Family::Software => {
                let failures = self.failures.entry(name.clone()).or_default();
                failures.retain(|at| now.saturating_duration_since(*at) < REMEMBERED);
                failures.push(now);
                if failures.len() < CHANCES {
                    doubt(name);
                    return None;
                }
                format!(
                    "failed {} times on this stream: {}",
                    failures.len(),
                    detail.unwrap_or("no pictures any more")
                )
            }
            _ => return None,
        };
        doubt(name);
        if loss.reason == LossReason::Garbage {
            self.given_up.remove(name);
        } else {
            self.given_up.insert(name.clone(), now);
        }
        let old = self.selection.rejected.insert(name.clone(), reason.clone());
        // Told once: when all are rejected, the best of them goes on.
        old.is_none().then_some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUCK: Circumstances = Circumstances {
        had_pictures: true,
        is_stuck: true,
        has_lost_packets: false,
    };

    /// A camera with one piece of hardware, and a day of its life.
    struct Day {
        decoders: Decoders,
        hardware: DecoderInUse,
        began: Instant,
    }

    impl Day {
        fn new() -> Self {
            Self {
                decoders: Decoders::new(&RtspSettings::new("rtsp://h/x")),
                hardware: DecoderInUse {
                    name: "nvtestdaydec".to_owned(),
                    family: Family::Nvdec,
                    refused: Vec::new(),
                },
                began: Instant::now(),
            }
        }

        /// Whether the hardware is given up for this.
        fn fails(&mut self, hour: u64, loss: &Loss, seen: Circumstances) -> bool {
            let now = self.began + Duration::from_hours(hour);
            self.decoders.forgive(now);
            let reason = self.decoders.blame(loss, &self.hardware, seen, now);
            reason.is_some()
        }

        fn is_rejected(&mut self, hour: u64) -> bool {
            let now = self.began + Duration::from_hours(hour);
            self.decoders.forgive(now);
            let rejected = &self.decoders.selection.rejected;
            rejected.contains_key(&self.hardware.name)
        }
    }

    fn silent() -> Loss {
        Loss::new(LossReason::Decode)
    }

    #[test]
    fn networks_and_rare_key_pictures_are_no_fault_of_a_decoder() {
        let error = Loss::with_detail(LossReason::Decode, "the device is gone");
        for had_pictures in [true, false] {
            for (loss, is_stuck, has_lost_packets, is_blamed) in [
                (silent(), false, false, false),
                (silent(), true, true, false),
                (silent(), true, false, true),
                (error.clone(), false, true, false),
                (error.clone(), false, false, true),
                (Loss::new(LossReason::Silent), true, false, false),
                (Loss::new(LossReason::Closed), true, false, false),
            ] {
                let seen = Circumstances {
                    had_pictures,
                    is_stuck,
                    has_lost_packets,
                };
                let mut day = Day::new();
                // At once, or where it had worked the second time.
                let first = day.fails(0, &loss, seen);
                let second = day.fails(1, &loss, seen);
                let expected = (is_blamed && !had_pictures, is_blamed && had_pictures);
                assert_eq!((first, second), expected, "{loss:?} {seen:?}");
            }
        }
    }

    #[test]
    fn a_failure_is_forgotten_after_a_day_and_so_is_a_decoder_that_was_given_up() {
        let mut day = Day::new();
        // One each thirty hours: no two within a day.
        for hour in [0, 30, 60] {
            assert!(!day.fails(hour, &silent(), STUCK), "{hour}");
        }
        assert!(day.fails(70, &silent(), STUCK));
        assert!(day.is_rejected(71) && day.is_rejected(93));
        assert!(!day.is_rejected(94));
        // And it has its chances again.
        assert!(!day.fails(95, &silent(), STUCK));
        assert!(day.fails(96, &silent(), STUCK));
    }

    #[test]
    fn garbage_is_not_forgiven() {
        let mut day = Day::new();
        assert!(day.fails(0, &Loss::with_detail(LossReason::Garbage, "green"), STUCK));
        assert!(day.is_rejected(1_000));
    }
}
