//! From a scene's outputs to the outbox: the event at once, its stills after.

use std::sync::Arc;

use edge_core::SceneConfig;
use edge_uplink::{Outbox, Uplink};
use edge_video::encoded::mp4;
use protocol::event::{FrameTime, Words};
use protocol::evidence::EvidenceRole;
use protocol::status::{CameraHealth, CameraStatus};
use protocol::{Event, EventTime, EvidenceItem, EvidenceManifest};

use super::CameraState;
use super::evidence::held::{self, Held};
use crate::case::{Case, Signer};
use crate::explain::sentences::{Language, Teller};
use crate::stills::{self, Canvas, Moment};

/// Where a camera's events and evidence go.
#[derive(Clone)]
pub(crate) struct Publisher {
    pub(super) scene: SceneConfig,
    pub(super) outbox: Outbox,
    pub(super) uplink: Option<Arc<Uplink>>,
    pub(super) state: Arc<CameraState>,
    pub(super) signer: Arc<Signer>,
    /// Where the pictures are from, where that is not the camera itself: said of each file.
    pub(super) origin: Option<Words>,
}

impl Publisher {
    /// Of a clip that is replayed: into a store of its own, and to nobody else.
    pub(crate) fn of_clip(
        scene: SceneConfig,
        outbox: Outbox,
        state: Arc<CameraState>,
        signer: Signer,
        origin: Words,
    ) -> Self {
        Self {
            scene,
            outbox,
            uplink: None,
            state,
            signer: Arc::new(signer),
            origin: Some(origin),
        }
    }

    /// Durable when it returns, or kept in memory and said.
    pub(crate) fn event(&self, event: &Event) {
        let appended = self.outbox.append_event(event, super::now());
        if self.origin.is_none() {
            let stored = appended.is_ok().then(super::now);
            self.state.count_latency(event, stored);
        }
        match appended {
            // A replay tells its events on standard output.
            Ok(_) if self.origin.is_some() => {}
            Ok(sequence) => tracing::info!(
                camera = %event.camera, kind = %event.kind, rule = %event.rule, id = %event.id,
                revision = event.revision, phase = ?event.phase, sequence, "event"
            ),
            Err(error) => tracing::error!(
                camera = %event.camera, kind = %event.kind, id = %event.id,
                revision = event.revision, %error, "event is not on disk yet"
            ),
        }
    }

    /// Draws and stores the stills of a frame of `event`; empty when there are none,
    /// which has been said. `held` is what there is already.
    pub(super) fn stills(
        &self,
        event: &Event,
        moment: &Moment,
        canvas: &Canvas<'_>,
        held: Held,
    ) -> Vec<EvidenceItem> {
        let captured = moment.captured;
        // Officers read them, and they read Vietnamese.
        let teller = Teller {
            language: Language::Vi,
            utc_offset_min: self.scene.utc_offset_min,
        };
        match stills::draw(event, Some(moment), &self.scene, canvas, &teller) {
            Ok(stills) => {
                let items = stills.iter();
                let items = items.map(|still| self.item(&still.jpeg, still.role, captured));
                let next = items.collect();
                self.hold(event, &Held { next, ..held });
                let stored = stills.iter();
                stored
                    .filter_map(|still| self.put(event, &still.jpeg, still.role, captured).ok())
                    .collect()
            }
            Err(error) => {
                tracing::error!(camera = %event.camera, id = %event.id, %error, "event has no stills");
                Vec::new()
            }
        }
    }

    /// Stores a file; why it could not be, in words for whoever misses it.
    pub(super) fn put(
        &self,
        event: &Event,
        bytes: &[u8],
        role: EvidenceRole,
        captured: EventTime,
    ) -> Result<EvidenceItem, Words> {
        self.outbox
            .put_evidence(bytes, role, media_type(role), captured)
            .map(|item| EvidenceItem {
                note: self.origin.clone(),
                ..item
            })
            .map_err(|error| {
                tracing::error!(
                    camera = %event.camera, id = %event.id, ?role, %error,
                    "a file of evidence could not be stored"
                );
                if error.is_want_of_room() {
                    let whose = (&event.site, &event.box_id, &event.camera);
                    self.outbox.evidence_not_stored(whose);
                }
                Words::new(format!("không lưu được: {error}"), error.to_string())
            })
    }

    /// What a file will be, before it is stored.
    pub(super) fn item(
        &self,
        bytes: &[u8],
        role: EvidenceRole,
        captured: EventTime,
    ) -> EvidenceItem {
        EvidenceItem {
            role,
            sha256: case_bundle::Sealed::digest(bytes),
            length: bytes.len() as u64,
            media_type: media_type(role).to_owned(),
            captured,
            until: None,
            asked: None,
            note: self.origin.clone(),
        }
    }

    /// Notes what there is of an event's evidence. Should the agent be killed before
    /// the case is made, its next run makes it of what is noted here.
    pub(super) fn hold(&self, event: &Event, held: &Held) {
        if let Err(error) = held::note(self.outbox.dir(), event.id, held) {
            tracing::warn!(
                camera = %event.camera, id = %event.id, %error,
                "stored files are not noted; killed now, the agent would make a case without them"
            );
        }
    }

    /// Announces files while more are to follow: stills of the moments `at`, and others.
    pub(super) fn announce(&self, event: &Event, items: &[EvidenceItem], at: &[FrameTime]) {
        let held = Held {
            items: items.to_vec(),
            at: Some(at.to_vec()),
            ..Held::default()
        };
        self.hold(event, &held);
        if items.is_empty() {
            return;
        }
        let whose = (&event.site, &event.box_id, &event.camera);
        let manifest = EvidenceManifest {
            event: event.id,
            items: items.to_vec(),
            missing: Vec::new(),
        };
        if let Err(error) = self
            .outbox
            .announce_evidence(whose, &manifest, super::now())
        {
            tracing::error!(camera = %event.camera, id = %event.id, %error, "the stills are not announced yet");
        }
    }

    /// Its evidence is complete: signs the case and announces the files.
    pub(super) fn case(&self, case: Case<'_>) {
        let event = case.event;
        let is_still = |item: &EvidenceItem| item.role == EvidenceRole::StillClean;
        if !case.items.iter().any(is_still) {
            self.state.count_without_stills();
        }
        match self.signer.append(&self.outbox, case, super::now()) {
            Ok(_) => held::forget(self.outbox.dir(), event.id),
            Err(error) => {
                tracing::error!(camera = %event.camera, id = %event.id, %error, "the evidence is not announced");
            }
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

fn media_type(role: EvidenceRole) -> &'static str {
    match role {
        EvidenceRole::Clip => mp4::MEDIA_TYPE,
        EvidenceRole::FindingCrop => "image/png",
        _ => "image/jpeg",
    }
}
