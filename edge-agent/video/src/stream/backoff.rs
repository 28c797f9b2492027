//! How long to wait before trying again.

use std::time::Duration;

use super::notice::LossReason;
use super::settings::RtspSettings;

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The connection was good: the next failure is the first.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The wait after one more failure. `random` in 0..1 spreads the boxes
    /// that lost the same switch, so that they do not return all at once.
    pub(super) fn next(
        &mut self,
        settings: &RtspSettings,
        reason: LossReason,
        random: f64,
    ) -> Duration {
        let wait = match reason {
            LossReason::Unauthorised
            | LossReason::NotFound
            | LossReason::Unsupported
            | LossReason::BadAddress => settings.retry_refused,
            // The camera is well: it is ours to do better, at once.
            LossReason::Garbage => return Duration::ZERO,
            // Who asks again is told the truth. If not, it shall not be asked without end.
            LossReason::CodecChanged if self.failures == 0 => Duration::ZERO,
            _ => settings
                .retry_first
                .saturating_mul(1 << self.failures.min(16))
                .min(settings.retry_most),
        };
        self.failures = self.failures.saturating_add(1);
        wait.mul_f64(0.75 + 0.5 * random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(reason: LossReason, random: f64) -> Vec<u128> {
        let settings = RtspSettings {
            retry_first: Duration::from_millis(200),
            retry_most: Duration::from_secs(1),
            retry_refused: Duration::from_secs(20),
            ..RtspSettings::new("rtsp://camera/")
        };
        let mut backoff = Backoff::default();
        let mut waits: Vec<u128> = (0..5)
            .map(|_| backoff.next(&settings, reason, random).as_millis())
            .collect();
        backoff.reset();
        waits.push(backoff.next(&settings, reason, random).as_millis());
        waits
    }

    #[test]
    fn waits_double_up_to_the_most_and_start_again_after_a_good_connection() {
        let middle = waits(LossReason::Refused, 0.5);
        assert_eq!(middle, [200, 400, 800, 1000, 1000, 200]);
        assert_eq!(waits(LossReason::Silent, 0.0)[0], 150);
        assert_eq!(waits(LossReason::Closed, 1.0)[0], 250);
    }

    #[test]
    fn who_sends_another_codec_than_it_says_is_asked_again_at_once_but_not_without_end() {
        let waits = waits(LossReason::CodecChanged, 0.5);
        assert_eq!(waits, [0, 400, 800, 1000, 1000, 0]);
    }

    #[test]
    fn a_wrong_password_is_not_tried_in_a_hurry() {
        assert_eq!(waits(LossReason::Unauthorised, 0.5)[0], 20_000);
        assert_eq!(waits(LossReason::NotFound, 0.5)[0], 20_000);
    }
}
