//! What can be seen of a scene from outside; nothing here changes it.

use protocol::id::SignalGroupId;
use protocol::units::{KmPerHour, rounded};
use protocol::{NormBox, ObjectClass, Point, SignalState, TrackId};

use super::{Attention, Identity, Refused, Scene};
use crate::config::SceneConfig;
use crate::coverage::CoverageHour;
use crate::observation::Motion;
use crate::tracker::Track;

impl Scene {
    /// The road users that are followed now, in order of birth.
    pub fn tracks(&self) -> impl Iterator<Item = TrackView<'_>> {
        let frame = self.frame;
        let (sight, aspect) = (self.perspective.sight(), self.perspective.aspect);
        self.tracker
            .tracks()
            .iter()
            .filter(|track| track.is_confirmed)
            .map(move |track| {
                let spot = sight.spot(track.foot(), track.bounds.height, track.seen);
                let motion = Motion::of(track.trail(), &spot);
                TrackView {
                    id: track.id,
                    class: track.class(),
                    score: track.score(),
                    bounds: track.bounds,
                    ground_speed: motion
                        .and_then(|motion| motion.ground_speed())
                        .map(|speed| KmPerHour(rounded(speed.0, 1))),
                    is_stationary: track.is_stationary(),
                    mount: track.mount().filter(|_| track.rides_now() == Some(true)),
                    comes: motion.map(|m| m.picture.y).and_then(comes),
                    is_seen: Some(track.seen) == frame,
                    missed: frame
                        .filter(|now| *now != track.seen)
                        .and_then(|now| track.whereabouts(now, MISSED_S, aspect)),
                    is_grounded: track.is_grounded(),
                    track,
                }
            })
    }

    /// How soon the scene needs the next picture; in doubt soon. A road user who
    /// moves, or was not yet seen to stand, is lost when the detector rests.
    pub fn attention(&self) -> Attention {
        let tracks = self.tracker.tracks();
        let is_settled = tracks.iter().all(Track::is_settled);
        // A rule that remembers something else than tracks waits for pictures, too.
        match (tracks.is_empty(), is_settled) {
            (true, _) if self.is_quiescent() => Attention::Nobody,
            (false, true) => Attention::Settled,
            _ => Attention::Unsettled,
        }
    }

    /// What every signal group shows now.
    pub fn signals(&self) -> impl Iterator<Item = (&SignalGroupId, SignalState)> {
        self.signals.all(self.clock.unwrap_or_default())
    }

    /// What the technician wrote.
    pub fn config(&self) -> &SceneConfig {
        &self.config
    }

    /// Which classes the detector can give; `None` where nobody knows.
    pub fn classes(&self) -> Option<&[ObjectClass]> {
        self.classes.as_deref()
    }

    /// Whose it is and by what its events are made.
    pub fn identity(&self) -> &Identity {
        &self.rules.identity
    }

    /// What every rule did in the hour that runs; complete hours are told as
    /// [`Output::Coverage`](crate::Output::Coverage).
    pub fn coverage_now(&self) -> impl Iterator<Item = CoverageHour> + '_ {
        let tallies = self.account.running().zip(&self.config.rules);
        tallies.map(|(tally, rule)| tally.of(rule))
    }

    /// What was refused so far.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// How many things tracker and rules remember, for the test that this stays bounded.
    pub fn remembered(&self) -> usize {
        self.tracker.tracks().len()
            + self.queues.remembered()
            + self.plates.remembered()
            + self.rules.remembered()
    }
}

/// Who was not seen for longer is not thought to be there, s.
const MISSED_S: f64 = 0.4;
/// Slower along the picture's height, nobody knows which end is seen, box heights per s.
const LEAST_PACE: f64 = 0.15;

/// Whether something that moves down so fast comes towards the camera.
fn comes(down: f64) -> Option<bool> {
    (down.abs() >= LEAST_PACE).then_some(down > 0.0)
}

/// A road user that is followed, for drawing.
#[derive(Clone, Copy, Debug)]
pub struct TrackView<'a> {
    /// Who.
    pub id: TrackId,
    /// What, by vote.
    pub class: ObjectClass,
    /// Mean score of the votes for `class`.
    pub score: f64,
    /// Where it was last seen.
    pub bounds: NormBox,
    /// Over the last second, where calibrated.
    pub ground_speed: Option<KmPerHour>,
    /// Whether it keeps its place.
    pub is_stationary: bool,
    /// The two-wheeler that this person rides, in the last frame and by vote.
    pub mount: Option<TrackId>,
    /// Whether it moves down the picture, towards the camera, so that its front
    /// is seen; `None` while it stands, goes across or is new.
    pub comes: Option<bool>,
    /// Whether the last frame showed it.
    pub is_seen: bool,
    /// Where it may be, if the last frame does not show it and those before did: detectors
    /// miss somebody for a few frames.
    pub missed: Option<NormBox>,
    /// Whether that frame showed where it touches the ground: rules judge nobody else.
    pub is_grounded: bool,
    track: &'a Track,
}

impl TrackView<'_> {
    /// Its ground contact points, oldest first, about every fifth of a second.
    pub fn path(&self) -> impl Iterator<Item = Point> + '_ {
        self.track.path()
    }
}
