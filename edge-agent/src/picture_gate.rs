//! The gate before the detector: which pictures of a camera are to be looked at.

use edge_core::Attention;
use edge_core::marks::may_be_somebody;
use edge_video::Frame;
use motion_gate::{Found, Gate, Reason, SmallPicture, Verdict};
use protocol::{Detection, EventTime};

use crate::config::DetectConfig;

/// Judges a camera's pictures one by one.
#[derive(Debug)]
pub struct PictureGate {
    /// `None`: switched off; every picture is looked at.
    gate: Option<Gate>,
    small: SmallPicture,
    /// Of the picture before.
    view: View,
}

impl PictureGate {
    /// As configured. It knows nothing of its camera yet.
    pub fn new(config: &DetectConfig) -> Self {
        Self {
            gate: config.gate.then(|| Gate::new(config.settings)),
            small: SmallPicture::default(),
            view: View::default(),
        }
    }

    /// Whether to look at `frame`, when the scene is this attentive. `None`
    /// without a gate.
    pub fn judge(&mut self, frame: &Frame, attention: Attention) -> Option<Verdict> {
        let gate = self.gate.as_mut()?;
        let view = View::of(frame);
        if std::mem::replace(&mut self.view, view) != view {
            gate.doubt();
        }
        if let Some(reason) = gate.foregone(frame.time, attention) {
            return Some(Verdict::Look(reason));
        }
        let (width, height) = (frame.width as usize, frame.height as usize);
        let is_read = self.small.read(frame.y(), frame.y_stride(), width, height);
        // What the gate cannot see is for the detector.
        Some(if is_read {
            gate.judge(&self.small, frame.time, attention)
        } else {
            Verdict::Look(Reason::Learning)
        })
    }

    /// The detector has looked at the picture of this time, and has found this.
    pub fn looked(&mut self, time: EventTime, found: Found) {
        if let Some(gate) = &mut self.gate {
            gate.looked(time, found);
        }
    }

    /// The scene was told that nobody is in the picture of this time.
    pub fn told(&mut self, time: EventTime) {
        if let Some(gate) = &mut self.gate {
            gate.told(time);
        }
    }
}

/// Of this part of the score from which the detector is believed, a sighting is worth a doubt; what is
/// less it sees in noise and shadows.
const DOUBT: f64 = 0.5;

/// Whether a look has found somebody, or something that might be somebody. Of its answers so many were
/// no numbers (`broken`): where they should have been, somebody may be.
pub(crate) fn found(sightings: &[Detection], broken: usize, believed_from: f64) -> Found {
    let is_doubtful =
        |seen: &Detection| may_be_somebody(seen.class) && seen.score >= DOUBT * believed_from;
    if sightings.iter().any(is_doubtful) {
        Found::Somebody
    } else if broken > 0 {
        Found::Unknown
    } else {
        Found::Nobody
    }
}

/// What two pictures must have in common for what was known of one to hold of the other: the same pixels
/// in the same places, in one run of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    size: [u32; 2],
    connection: u64,
    clock_steps: u32,
}

impl View {
    pub(crate) fn of(frame: &Frame) -> Self {
        Self {
            size: [frame.width, frame.height],
            connection: frame.connection,
            clock_steps: frame.clock_steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{NormBox, ObjectClass};

    use super::*;

    fn seen(class: ObjectClass, score: f64) -> Detection {
        Detection {
            class,
            score,
            bounds: NormBox::from([0.4, 0.4, 0.1, 0.2]),
        }
    }

    #[test]
    fn what_is_worth_a_doubt_is_somebody_and_a_ghost_in_noise_is_not() {
        for (scores, expected) in [
            (vec![], Found::Nobody),
            (vec![0.1, 0.14], Found::Nobody),
            (vec![0.1, 0.15], Found::Somebody),
            (vec![0.8], Found::Somebody),
        ] {
            let of_person = |score: &f64| seen(ObjectClass::Person, *score);
            let sightings: Vec<_> = scores.iter().map(of_person).collect();
            assert_eq!(found(&sightings, 0, 0.3), expected, "{scores:?}");
        }
    }

    /// At crossroads the detector sees signal heads in every look, and the road was never empty.
    #[test]
    fn a_signals_lamp_is_nobody_and_whatever_else_is_seen_may_be_somebody() {
        let lamp = seen(ObjectClass::TrafficLight, 0.9);
        assert_eq!(found(&[lamp, lamp], 0, 0.3), Found::Nobody);
        for class in [
            ObjectClass::Person,
            ObjectClass::Animal,
            ObjectClass::Plate,
            ObjectClass::Helmet,
            ObjectClass::Fire,
            ObjectClass::Smoke,
            ObjectClass::Other,
        ] {
            let sightings = [lamp, seen(class, 0.2)];
            assert_eq!(found(&sightings, 0, 0.3), Found::Somebody, "{class}");
        }
    }

    /// A network that overflows in one part of the picture is blind there.
    #[test]
    fn a_look_of_which_answers_were_no_numbers_does_not_say_that_nobody_is_there() {
        let ghost = seen(ObjectClass::Person, 0.1);
        let lamp = seen(ObjectClass::TrafficLight, 0.9);
        assert_eq!(found(&[], 1, 0.3), Found::Unknown);
        assert_eq!(found(&[ghost, lamp], 1, 0.3), Found::Unknown);
        let person = seen(ObjectClass::Person, 0.8);
        assert_eq!(found(&[person], 1, 0.3), Found::Somebody);
    }
}
