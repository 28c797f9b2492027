//! For how long a condition has been true, with hysteresis.

use protocol::event::FrameTime;

use crate::rules::Case;

/// Two looks farther apart than this were not watched in between, s.
const UNSEEN_S: f64 = 2.0;

/// A condition of one subject over time.
#[derive(Clone, Debug, Default)]
pub(super) struct Holding {
    /// Since when it has been true, short releases included.
    pub(super) since: Option<FrameTime>,
    /// Watched seconds in which it was true.
    pub(super) held_s: f64,
    /// The last frame at which it was true.
    pub(super) last_true: Option<FrameTime>,
    /// Watched time of that, and of the last look.
    true_at: f64,
    was_true: bool,
    /// Whether it made an event already, which a track does once.
    pub(super) is_raised: bool,
    pub(super) case: Option<Case>,
}

impl Holding {
    /// Takes one look. Returns the case that is over by it.
    pub(super) fn look(
        &mut self,
        is_true: bool,
        at: FrameTime,
        watched: f64,
        release_s: f64,
    ) -> Option<Case> {
        let passed = watched - self.true_at;
        if is_true {
            if self.since.is_none() {
                *self = Self {
                    since: Some(at),
                    is_raised: self.is_raised,
                    ..Self::default()
                };
            } else if self.was_true && passed <= UNSEEN_S {
                // Negative when a frozen picture's time is taken back.
                self.held_s = (self.held_s + passed).max(0.0);
            }
            self.last_true = Some(at);
            self.true_at = watched;
            self.was_true = true;
            return None;
        }
        if passed < 0.0 {
            self.held_s = (self.held_s + passed).max(0.0);
            self.true_at = watched;
        }
        self.was_true = false;
        if self.since.is_some() && passed >= release_s {
            self.since = None;
            self.held_s = 0.0;
            return self.case.take();
        }
        None
    }
}
