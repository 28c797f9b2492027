//! How long to wait before trying again: twice as long each time, and never
//! the same on two boxes, so that five thousand of them do not return to a
//! restarted broker in the same second.

use std::time::Duration;

/// Delays that double from `shortest` to `longest`, each drawn from its upper half.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    shortest: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest: longest.max(shortest),
            failures: 0,
        }
    }

    /// It worked: the next failure waits the shortest time again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// It failed once more: the delay before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let doubled = self
            .shortest
            .saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1).min(31);
        doubled
            .min(self.longest)
            .mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_start_over_after_success() {
        let (shortest, longest) = (Duration::from_millis(100), Duration::from_secs(3));
        let mut backoff = Backoff::new(shortest, longest);
        for round in 0..100_u32 {
            let full = shortest.saturating_mul(1 << round.min(20)).min(longest);
            let delay = backoff.next();
            assert!(
                delay >= full / 2 && delay <= full,
                "round {round}: {delay:?}"
            );
        }
        backoff.reset();
        assert!(backoff.next() <= shortest);
    }
}
