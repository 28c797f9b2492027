//! From decisions to pictures: which boxes a person's word covers.

use std::collections::BTreeMap;

use protocol::envelope::Envelope;
use protocol::event::Actor;
use protocol::id::{ModelId, TrackId};
use protocol::units::Seconds;
use protocol::{Digest, Event, EventId, EventTime, NormBox, ObjectClass};

use super::{Report, Wanted};
use crate::alert::Resolution;
use crate::store::DecidedAlert;

/// How far a person's word covers a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// The event was confirmed with this box drawn into the still.
    Confirmed,
    /// It was not; the box may be right or wrong.
    Disputed,
}

/// A road user in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// What the detector took it for, by vote.
    pub class: ObjectClass,
    /// Where, in fractions of the picture.
    pub bounds: NormBox,
    /// The detector's mean confidence.
    pub score: f64,
    /// How far a person's word covers it.
    pub status: Status,
    /// Of which event.
    pub event: EventId,
}

/// An event that a picture belongs to, without anybody's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Which.
    pub id: EventId,
    /// What sort.
    pub kind: String,
    /// What a person said of it.
    pub disposition: Resolution,
    /// On which day, UTC.
    pub decided_on: String,
    /// Who, as a number: first to decide anything at this centre is 1.
    pub reviewer: u32,
    /// Which detector saw it.
    pub model: Option<ModelId>,
}

/// A picture and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// `site/box/camera`.
    pub camera: String,
    /// Local day, from noon to noon so that a night is whole.
    pub day: String,
    /// When it was taken.
    pub captured: EventTime,
    /// `image/jpeg` or `image/png`.
    pub media_type: String,
    /// Never empty; by id.
    pub events: Vec<Judged>,
    /// By track.
    pub labels: BTreeMap<TrackId, Labelled>,
}

/// The pictures of `alerts`, by hash; counts what is left out.
pub(super) fn scenes(
    alerts: Vec<DecidedAlert>,
    wanted: &Wanted,
    report: &mut Report,
) -> BTreeMap<Digest, Scene> {
    let mut scenes: BTreeMap<Digest, Scene> = BTreeMap::new();
    for alert in alerts {
        if let Err(reason) = add(&alert, wanted, &mut scenes) {
            *report.left_out.entry(reason).or_default() += 1;
        }
    }
    scenes
}

/// Adds an alert's pictures, or says why there are none.
fn add(
    alert: &DecidedAlert,
    wanted: &Wanted,
    scenes: &mut BTreeMap<Digest, Scene>,
) -> Result<(), &'static str> {
    let status = match alert.disposition {
        Resolution::Confirmed => Status::Confirmed,
        Resolution::FalseAlarm | Resolution::Unverifiable => Status::Disputed,
        // Its other alert speaks for it.
        Resolution::Duplicate => return Err("alerts that were duplicates"),
        Resolution::Test => return Err("alerts that were tests"),
    };
    if alert.simulated {
        return Err("alerts of simulated cameras");
    }
    let camera = format!("{}/{}/{}", alert.site, alert.box_id, alert.camera);
    let is_of = |list: &[String], word: &str| list.is_empty() || list.iter().any(|one| one == word);
    if !is_of(&wanted.kinds, &alert.kind) || !is_of(&wanted.cameras, &camera) {
        return Err("alerts of other kinds or cameras than asked for");
    }
    let revisions: Vec<Event> = alert
        .bodies
        .iter()
        .filter_map(|body| serde_json::from_slice::<Envelope<Event>>(body).ok())
        .map(|envelope| envelope.data)
        .collect();
    if revisions.iter().all(|event| event.actors.is_empty()) {
        return Err("alerts that name no road user");
    }
    if alert.stills.is_empty() {
        return Err("alerts without a clean still");
    }
    let mut has_any = false;
    for still in &alert.stills {
        // The boxes are those of the frame that decided; another moment's picture
        // has other ones.
        let Some(event) = revisions
            .iter()
            .rfind(|event| event.decided.time == still.captured && !event.actors.is_empty())
        else {
            continue;
        };
        has_any = true;
        let scene = scenes.entry(still.sha256).or_insert_with(|| Scene {
            camera: camera.clone(),
            day: day(still.captured, wanted.utc_offset_min),
            captured: still.captured,
            media_type: still.media_type.clone(),
            events: Vec::new(),
            labels: BTreeMap::new(),
        });
        scene.events.push(Judged {
            id: alert.id,
            kind: alert.kind.clone(),
            disposition: alert.disposition,
            decided_on: alert.decided_at.to_string()[..10].to_owned(),
            reviewer: alert.reviewer,
            model: event.provenance.model.clone(),
        });
        for actor in &event.actors {
            label(scene, actor, status, alert.id);
        }
    }
    if has_any {
        Ok(())
    } else {
        Err("alerts whose stills are of another moment than their boxes")
    }
}

/// One box per road user, and the better word for it: if it was in an event that
/// somebody confirmed, that another event was a false alarm says nothing of it.
fn label(scene: &mut Scene, actor: &Actor, status: Status, event: EventId) {
    let new = Labelled {
        class: actor.class,
        bounds: actor.bounds,
        score: actor.score,
        status,
        event,
    };
    scene
        .labels
        .entry(actor.track)
        .and_modify(|old| {
            if (new.status, new.event) < (old.status, old.event) {
                *old = new.clone();
            }
        })
        .or_insert(new);
}

/// The local day that an instant belongs to: it begins at noon.
fn day(time: EventTime, utc_offset_min: i32) -> String {
    let shifted = time + Seconds(f64::from(utc_offset_min - 12 * 60) * 60.0);
    shifted.to_string()[..10].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_local_noon_so_that_a_night_is_whole() {
        for (time, offset, expected) in [
            ("2026-01-02T05:00:00Z", 420, "2026-01-02"),
            ("2026-01-02T04:59:59Z", 420, "2026-01-01"),
            ("2026-01-02T16:30:00Z", 420, "2026-01-02"),
            ("2026-01-02T18:00:00Z", 420, "2026-01-02"),
            ("2026-01-02T11:00:00Z", 0, "2026-01-01"),
        ] {
            let time: EventTime = time.parse().unwrap();
            assert_eq!(day(time, offset), expected, "{time} at {offset} min");
        }
    }
}
