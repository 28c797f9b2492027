//! When a camera's stream may be decoded at its key pictures only.
//!
//! Only where the operator allows it, and only after nothing has moved and nobody
//! has been followed for a while. The first motion, and the first thing that a
//! scene wants to see again, takes it back.

use edge_core::Attention;
use edge_video::Diet;
use motion_gate::{Reason, Verdict};
use protocol::EventTime;

use crate::config::DetectConfig;

/// Watches one camera for idleness.
#[derive(Clone, Copy, Debug)]
pub(super) struct Idle {
    /// Idle for so long first, s; `None`: never.
    after_s: Option<f64>,
    /// Nothing has happened since.
    quiet_since: Option<EventTime>,
}

impl Idle {
    pub(super) fn new(config: &DetectConfig) -> Self {
        Self {
            after_s: config.is_idle_thin.then_some(config.idle_after_s),
            quiet_since: None,
        }
    }

    /// Something is wanted, whatever the pictures show.
    pub(super) fn wake(&mut self) {
        self.quiet_since = None;
    }

    /// What is to be decoded from now on, when the gate said this of a picture of
    /// `time`. Without a gate nobody knows whether anything moves.
    pub(super) fn diet(
        &mut self,
        verdict: Option<Verdict>,
        attention: Attention,
        time: EventTime,
    ) -> Diet {
        let is_quiet = attention != Attention::Unsettled
            && matches!(
                verdict,
                Some(Verdict::Rest | Verdict::Empty | Verdict::Look(Reason::Heartbeat))
            );
        if !is_quiet {
            self.quiet_since = None;
            return Diet::All;
        }
        let since = *self.quiet_since.get_or_insert(time);
        let quiet_s = time.since(since).0;
        if quiet_s < 0.0 {
            // The camera's clock was set.
            self.quiet_since = Some(time);
        }
        match self.after_s {
            Some(after_s) if quiet_s >= after_s => Diet::KeyFrames,
            _ => Diet::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Option<Verdict> = Some(Verdict::Rest);
    const BEAT: Option<Verdict> = Some(Verdict::Look(Reason::Heartbeat));
    const MOTION: Option<Verdict> = Some(Verdict::Look(Reason::Motion));

    fn diets(is_idle_thin: bool, story: &[(f64, Option<Verdict>, Attention)]) -> Vec<Diet> {
        let mut idle = Idle::new(&DetectConfig {
            is_idle_thin,
            idle_after_s: 10.0,
            ..DetectConfig::default()
        });
        story
            .iter()
            .map(|(at, verdict, attention)| {
                let time = EventTime::EPOCH + protocol::units::Seconds(*at);
                idle.diet(*verdict, *attention, time)
            })
            .collect()
    }

    #[test]
    fn a_road_is_idle_after_a_while_and_awake_at_the_first_motion() {
        use Attention::{Nobody, Settled, Unsettled};
        use Diet::{All, KeyFrames};
        let story = [
            (0.0, MOTION, Nobody),
            (1.0, REST, Nobody),
            (10.9, BEAT, Settled),
            (11.0, REST, Settled),
            (12.0, BEAT, Nobody),
            (13.0, MOTION, Nobody),
            (14.0, REST, Nobody),
            (24.0, Some(Verdict::Empty), Nobody),
            // Somebody is followed, though nothing moves.
            (25.0, REST, Unsettled),
            (26.0, BEAT, Nobody),
            // The clock was set back.
            (2.0, REST, Nobody),
            (11.0, REST, Nobody),
            (12.0, REST, Nobody),
            // The gate was switched off.
            (13.0, None, Nobody),
        ];
        assert_eq!(
            diets(true, &story),
            [
                All, All, All, KeyFrames, KeyFrames, All, All, KeyFrames, All, All, All, All,
                KeyFrames, All
            ]
        );
        assert_eq!(diets(false, &story), [All; 14]);
    }
}
