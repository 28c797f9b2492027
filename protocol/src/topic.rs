//! MQTT topics, of fixed depth so that access lists and wildcards stay simple.
//!
//! | topic | direction | QoS | retained |
//! |---|---|---|---|
//! | `ngatu/v1/<site>/<box>/<camera>/event` | up | 1 | never |
//! | `ngatu/v1/<site>/<box>/<camera>/state` | up | 1 | yes |
//! | `ngatu/v1/<site>/<box>/-/state` | up, last will | 1 | yes |
//! | `ngatu/v1/<site>/<box>/down/receipt` | down | 1 | never |
//! | `ngatu/v1/<site>/<box>/down/locks` | down | 1 | never |
//!
//! `-` and `down` cannot be camera ids.

use crate::id::{BoxId, CameraId, SiteId};

/// First two levels of every topic.
pub const PREFIX: &str = "ngatu/v1";
/// Subscription that catches events and evidence manifests of every box.
pub const ALL_EVENTS: &str = "ngatu/v1/+/+/+/event";
/// Subscription that catches states of every camera and box.
pub const ALL_STATES: &str = "ngatu/v1/+/+/+/state";

/// Events and evidence manifests of a camera.
pub fn event(site: &SiteId, box_id: &BoxId, camera: &CameraId) -> String {
    format!("{PREFIX}/{site}/{box_id}/{camera}/event")
}

/// Status of a camera.
pub fn camera_state(site: &SiteId, box_id: &BoxId, camera: &CameraId) -> String {
    format!("{PREFIX}/{site}/{box_id}/{camera}/state")
}

/// Status of a box; also the topic of its last will.
pub fn box_state(site: &SiteId, box_id: &BoxId) -> String {
    format!("{PREFIX}/{site}/{box_id}/-/state")
}

/// Receipts for a box.
pub fn receipt(site: &SiteId, box_id: &BoxId) -> String {
    format!("{PREFIX}/{site}/{box_id}/down/receipt")
}

/// Which of a box's evidence a person has locked.
pub fn locks(site: &SiteId, box_id: &BoxId) -> String {
    format!("{PREFIX}/{site}/{box_id}/down/locks")
}

/// Subscription to everything that the centre says to a box.
pub fn all_down(site: &SiteId, box_id: &BoxId) -> String {
    format!("{PREFIX}/{site}/{box_id}/down/#")
}

/// What a topic that came from a box says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upward {
    /// An event or an evidence manifest.
    Event(SiteId, BoxId, CameraId),
    /// A camera's status.
    CameraState(SiteId, BoxId, CameraId),
    /// A box's status.
    BoxState(SiteId, BoxId),
}

impl Upward {
    /// Reads a topic; `None` for one that no box may publish on.
    pub fn parse(topic: &str) -> Option<Self> {
        let rest = topic.strip_prefix(PREFIX)?.strip_prefix('/')?;
        let mut levels = rest.split('/');
        let (site, box_id, camera, leaf) = (
            levels.next()?,
            levels.next()?,
            levels.next()?,
            levels.next()?,
        );
        if levels.next().is_some() {
            return None;
        }
        let (site, box_id) = (SiteId::new(site).ok()?, BoxId::new(box_id).ok()?);
        match (camera, leaf) {
            ("-", "state") => Some(Self::BoxState(site, box_id)),
            (camera, "event") => Some(Self::Event(site, box_id, CameraId::new(camera).ok()?)),
            (camera, "state") => Some(Self::CameraState(site, box_id, CameraId::new(camera).ok()?)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_read_back_and_strangers_are_refused() {
        let (site, box_id, camera) = (
            SiteId::new("hanoi").unwrap(),
            BoxId::new("b1").unwrap(),
            CameraId::new("c1").unwrap(),
        );
        assert_eq!(
            Upward::parse(&event(&site, &box_id, &camera)),
            Some(Upward::Event(site.clone(), box_id.clone(), camera.clone()))
        );
        assert_eq!(
            Upward::parse(&camera_state(&site, &box_id, &camera)),
            Some(Upward::CameraState(site.clone(), box_id.clone(), camera))
        );
        assert_eq!(
            Upward::parse(&box_state(&site, &box_id)),
            Some(Upward::BoxState(site.clone(), box_id.clone()))
        );
        for stranger in [
            "ngatu/v1/hanoi/b1/down/receipt",
            "ngatu/v1/hanoi/b1/c1/event/x",
            "ngatu/v1/hanoi/b1/-/event",
            "ngatu/v2/hanoi/b1/c1/event",
            "ngatu/v1/+/b1/c1/event",
            "",
        ] {
            assert_eq!(Upward::parse(stranger), None, "{stranger}");
        }
    }
}
