//! From an event to its evidence: what shows the moment of the decision at once,
//! and the wish for the rest. The same for a camera and for a clip that is replayed.

use case_bundle::Clock;
use case_bundle::manifest::ActorPlaces;
use edge_core::{EvidenceRequest, Scene};
use edge_video::Frame;
use protocol::event::FrameTime;
use protocol::{Event, EventTime, NormBox, SignalState};

use super::held::Held;
use super::owed::not_made;
use super::{Desk, SharedTrail, Wish};
use crate::case::Case;
use crate::explain::sentences::Language;
use crate::live::publisher::Publisher;
use crate::stills::{Canvas, Moment};

/// What the evidence of a camera's events is made with.
pub(crate) struct Proof<'a> {
    pub(crate) publisher: &'a Publisher,
    /// Where everybody was in the last frames.
    pub(crate) trail: &'a SharedTrail,
    /// Makes clips and further stills; none where no pictures are kept.
    pub(crate) desk: Option<&'a Desk>,
    /// The scene, as it is after the event.
    pub(crate) scene: &'a Scene,
    /// Of its pictures, width over height.
    pub(crate) aspect: f64,
}

impl Proof<'_> {
    /// Stores what shows the moment of the decision, and asks for the rest. `frame`
    /// is the picture that decided, where a picture did.
    pub(crate) fn of(&self, event: &Event, request: EvidenceRequest, frame: Option<&Frame>) {
        let clock = Clock {
            quality: event.time_quality,
            uncertainty_s: self.publisher.state.clock_uncertainty_s(event.time_quality),
        };
        let early = self.early(event, frame, &request.at);
        let mut wish = Box::new(Wish {
            event: event.clone(),
            at: request.at,
            early,
            clock,
        });
        let mut missing = Vec::new();
        if let Some(desk) = self.desk {
            self.publisher.announce(event, &wish.early, &wish.at);
            match desk.wish(wish) {
                Ok(()) => return,
                Err((refused, reason)) => {
                    wish = refused;
                    tracing::warn!(camera = %event.camera, id = %event.id, "no clip and no other stills: {}", reason.en);
                    missing = not_made(event, Some(&wish.at), &wish.early, &reason);
                }
            }
        } else if frame.is_none() {
            self.draw_schematics(&mut wish);
        }
        self.publisher.case(Case {
            event,
            items: wish.early,
            places: ActorPlaces::new(),
            missing,
            clock: wish.clock,
        });
    }

    /// The stills of the moment of the decision.
    fn early(
        &self,
        event: &Event,
        frame: Option<&Frame>,
        at: &[FrameTime],
    ) -> Vec<protocol::EvidenceItem> {
        let canvas = match frame {
            Some(frame) => Canvas::Frame(frame),
            // What time or a signal decided has a picture, too, among those kept.
            None if self.desk.is_some() => return Vec::new(),
            None => self.schematic(),
        };
        let captured = frame.map_or(event.decided.time, |frame| frame.time);
        let moment = self.moment(event, captured);
        let held = Held {
            at: Some(at.to_vec()),
            ..Held::default()
        };
        self.publisher.stills(event, &moment, &canvas, held)
    }

    /// The moment of the decision, for a picture of `captured`.
    pub(super) fn moment(&self, event: &Event, captured: EventTime) -> Moment {
        Moment {
            captured,
            actors: event.actors.clone(),
            signals: self.signals_at(event.decided.time),
        }
    }

    /// What the signals showed then. What a second look decides is decided in a picture
    /// of up to some seconds ago, in which the lamps are to be seen as well.
    fn signals_at(&self, time: EventTime) -> Vec<(String, SignalState)> {
        let trail = self.trail.lock();
        if let Some(step) = trail.at(time) {
            return step.signals.clone();
        }
        // What passing time decided is decided after the newest frame: now.
        if trail.newest().is_some_and(|newest| time <= newest) {
            return Vec::new();
        }
        let signals = self.scene.signals();
        signals
            .map(|(group, state)| (group.to_string(), state))
            .collect()
    }

    /// The other moments of an event of which there is no picture, only what was seen.
    fn draw_schematics(&self, wish: &mut Wish) {
        let event = &wish.event;
        let trail = self.trail.lock();
        let others = wish.at.iter().filter(|at| at.time != event.decided.time);
        for at in others {
            let Some(step) = trail.at(at.time) else {
                continue;
            };
            let canvas = Canvas::Schematic {
                aspect: self.aspect,
                road_users: step
                    .seen
                    .iter()
                    .map(|(_, class, bounds)| (*bounds, Language::Vi.class(*class).to_owned()))
                    .collect(),
            };
            let moment = trail.moment(event, *at, at.time);
            let held = Held {
                items: wish.early.clone(),
                at: Some(wish.at.clone()),
                ..Held::default()
            };
            let drawn = self.publisher.stills(event, &moment, &canvas, held);
            wish.early.extend(drawn);
        }
    }

    fn schematic(&self) -> Canvas<'static> {
        let road_users: Vec<(NormBox, String)> = self
            .scene
            .tracks()
            .filter(|track| track.is_seen)
            .map(|track| {
                let class = Language::Vi.class(track.class);
                (track.bounds, class.to_owned())
            })
            .collect();
        Canvas::Schematic {
            aspect: self.aspect,
            road_users,
        }
    }
}
