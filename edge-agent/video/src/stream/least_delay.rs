//! The packet that was least delayed on its way: by it the times of arrival are corrected.

/// Least of (arrival − media time) over the last 5 to 10 s.
#[derive(Debug, Default)]
pub(super) struct LeastDelay {
    current: Option<i64>,
    previous: Option<i64>,
    began: i64,
}

const WINDOW: i64 = 5_000_000;

impl LeastDelay {
    pub(super) fn add(&mut self, delay: i64, now: i64) {
        match self.current {
            None => {
                self.began = now;
                self.current = Some(delay);
            }
            Some(least) if now - self.began < WINDOW => self.current = Some(least.min(delay)),
            Some(least) => {
                self.previous = Some(least);
                self.current = Some(delay);
                self.began = now;
            }
        }
    }

    pub(super) fn least(&self) -> Option<i64> {
        match (self.current, self.previous) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
}
