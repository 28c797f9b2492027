//! From a scene's outputs to the outbox: the event at once, its stills after.

use std::sync::Arc;

use edge_core::SceneConfig;
use edge_uplink::{Outbox, Uplink};
use protocol::status::{CameraHealth, CameraStatus};
use protocol::{Event, EventTime, EvidenceItem};

use super::CameraState;
use crate::case::Signer;
use crate::explain::sentences::{Language, Teller};
use crate::stills::{self, Canvas};

/// Where a camera's events and stills go.
pub(super) struct Publisher {
    pub(super) scene: SceneConfig,
    pub(super) outbox: Outbox,
    pub(super) uplink: Option<Arc<Uplink>>,
    pub(super) state: Arc<CameraState>,
    pub(super) signer: Arc<Signer>,
}

impl Publisher {
    /// Durable when it returns, or kept in memory and said.
    pub(super) fn event(&self, event: &Event) {
        match self.outbox.append_event(event, super::now()) {
            Ok(sequence) => tracing::info!(
                camera = %event.camera, kind = %event.kind, rule = %event.rule, id = %event.id,
                revision = event.revision, phase = ?event.phase, sequence, "event"
            ),
            Err(error) => tracing::error!(
                camera = %event.camera, kind = %event.kind, id = %event.id, %error,
                "event is not on disk yet"
            ),
        }
    }

    /// Draws, stores and announces the stills of `event`.
    pub(super) fn stills(&self, event: &Event, canvas: &Canvas<'_>, captured: EventTime) {
        // Officers read them, and they read Vietnamese.
        let teller = Teller {
            language: Language::Vi,
            utc_offset_min: self.scene.utc_offset_min,
        };
        let stills = match stills::draw(event, &self.scene, canvas, &teller) {
            Ok(stills) => stills,
            Err(error) => {
                tracing::error!(camera = %event.camera, id = %event.id, %error, "event has no stills");
                return self.give_up(event);
            }
        };
        let mut items = Vec::new();
        for still in stills {
            match self
                .outbox
                .put_evidence(&still.jpeg, still.role, "image/jpeg", captured)
            {
                Ok(item) => items.push(item),
                Err(error) => tracing::error!(
                    camera = %event.camera, id = %event.id, role = ?still.role, %error,
                    "still could not be stored"
                ),
            }
        }
        if items.is_empty() {
            return self.give_up(event);
        }
        self.case(event, items);
    }

    /// Tells the centre that no stills will come.
    fn give_up(&self, event: &Event) {
        self.state.count_without_stills();
        self.case(event, Vec::new());
    }

    /// Its evidence is complete: signs the case and announces the files.
    fn case(&self, event: &Event, items: Vec<EvidenceItem>) {
        if let Err(error) = self.signer.append(&self.outbox, event, items, super::now()) {
            tracing::error!(camera = %event.camera, id = %event.id, %error, "the evidence is not announced");
        }
    }

    /// Says how the camera is.
    pub(super) fn status(&self, mut status: CameraStatus) {
        if let Some(uplink) = &self.uplink {
            // What it sees is lost as evidence: it watches, and not well.
            let whose = (&status.site, &status.box_id, &status.camera);
            if status.health == CameraHealth::Watching
                && let Some(words) = self.outbox.evidence_given_up(whose)
            {
                status.health = CameraHealth::Degraded;
                status.reason = Some(words);
            }
            uplink.publish_camera_status(status);
        }
    }
}
