//! The label file: COCO's object detection format, and a few words more.
//!
//! Programs that know only COCO pass over the words that are ours. Numbers are
//! stable: a picture keeps its number, and a camera's day its side, whatever is
//! added later.

use std::collections::BTreeMap;

use protocol::{Digest, EventId, ObjectClass};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::LabelsError;
use super::gather::{Judged, Scene, Status};
use super::picture::Look;

/// To train with, or to measure with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// To train with.
    Train,
    /// To measure with; never trained on.
    Val,
}

/// The side of a camera's day: by a hash, so that it never changes when pictures
/// are added, and pictures of one scene are never on both sides.
pub fn side(camera: &str, day: &str, hold_out: f64) -> Side {
    let hash = Sha256::digest(format!("{camera} {day}").as_bytes());
    let first: [u8; 4] = [hash[0], hash[1], hash[2], hash[3]];
    let place = f64::from(u32::from_be_bytes(first)) / (f64::from(u32::MAX) + 1.0);
    if place < hold_out {
        Side::Val
    } else {
        Side::Train
    }
}

/// Classes that whoever completes the pictures looks for, besides those that occur.
const ROAD_USERS: [ObjectClass; 6] = [
    ObjectClass::Person,
    ObjectClass::Bicycle,
    ObjectClass::Car,
    ObjectClass::Motorcycle,
    ObjectClass::Bus,
    ObjectClass::Truck,
];

/// Name of a picture's file.
pub(super) fn file_name(digest: Digest, media_type: &str) -> String {
    let ending = if media_type == "image/png" {
        "png"
    } else {
        "jpg"
    };
    format!("{digest}.{ending}")
}

/// Boxes that a picture brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Boxes {
    pub(super) confirmed: usize,
    pub(super) disputed: usize,
}

/// One label file.
#[derive(Debug, Serialize)]
pub(super) struct Coco {
    info: Info,
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
    #[serde(skip)]
    classes: BTreeMap<u32, ObjectClass>,
    #[serde(skip)]
    numbers: BTreeMap<u64, Digest>,
}

#[derive(Debug, Serialize)]
struct Info {
    description: &'static str,
    side: Side,
}

#[derive(Debug, Serialize)]
struct Image {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
    camera: String,
    day: String,
    captured: String,
    night: bool,
    luma: f64,
    /// Whether everything in it is labelled.
    complete: bool,
    events: Vec<EventOf>,
}

#[derive(Debug, Serialize)]
struct EventOf {
    id: EventId,
    kind: String,
    disposition: &'static str,
    decided_on: String,
    reviewer: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

impl From<&Judged> for EventOf {
    fn from(event: &Judged) -> Self {
        Self {
            id: event.id,
            kind: event.kind.clone(),
            disposition: event.disposition.as_str(),
            decided_on: event.decided_on.clone(),
            reviewer: event.reviewer,
            model: event.model.as_ref().map(ToString::to_string),
        }
    }
}

#[derive(Debug, Serialize)]
struct Annotation {
    id: usize,
    image_id: u64,
    category_id: u32,
    /// Left, top, width, height in pixels.
    bbox: [f64; 4],
    /// None: it is a box. CVAT refuses a file whose annotations do not say so.
    segmentation: [(); 0],
    area: f64,
    iscrowd: u8,
    status: &'static str,
    score: f64,
    event: EventId,
}

#[derive(Debug, Serialize)]
struct Category {
    id: u32,
    name: &'static str,
    supercategory: &'static str,
}

impl Coco {
    pub(super) fn new(side: Side) -> Self {
        Self {
            info: Info {
                description: "Labelled from a centre's decisions; see README.txt beside",
                side,
            },
            images: Vec::new(),
            annotations: Vec::new(),
            categories: Vec::new(),
            classes: ROAD_USERS
                .iter()
                .map(|class| (class.coco_category(), *class))
                .collect(),
            numbers: BTreeMap::new(),
        }
    }

    /// Adds a picture.
    pub(super) fn add(
        &mut self,
        digest: Digest,
        scene: &Scene,
        look: &Look,
    ) -> Result<Boxes, LabelsError> {
        let id = number(digest);
        if let Some(other) = self.numbers.insert(id, digest) {
            return Err(LabelsError::SameNumber(other, digest));
        }
        let mut events: Vec<EventOf> = scene.events.iter().map(EventOf::from).collect();
        events.sort_by_key(|event| event.id);
        self.images.push(Image {
            id,
            file_name: file_name(digest, &scene.media_type),
            width: look.width,
            height: look.height,
            camera: scene.camera.clone(),
            day: scene.day.clone(),
            captured: scene.captured.to_string(),
            night: look.is_night(),
            luma: look.luma,
            complete: false,
            events,
        });
        let mut boxes = Boxes::default();
        for label in scene.labels.values() {
            let Some(bbox) = pixels(label.bounds, look) else {
                continue;
            };
            let is_confirmed = label.status == Status::Confirmed;
            boxes.confirmed += usize::from(is_confirmed);
            boxes.disputed += usize::from(!is_confirmed);
            let category_id = label.class.coco_category();
            self.classes.insert(category_id, label.class);
            self.annotations.push(Annotation {
                id: self.annotations.len() + 1,
                image_id: id,
                category_id,
                bbox,
                segmentation: [],
                area: protocol::units::rounded(bbox[2] * bbox[3], 2),
                iscrowd: u8::from(!is_confirmed),
                status: if is_confirmed {
                    "confirmed"
                } else {
                    "disputed"
                },
                score: protocol::units::rounded(label.score, 3),
                event: label.event,
            });
        }
        Ok(boxes)
    }

    /// Names of its pictures.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.images.iter().map(|image| image.file_name.as_str())
    }

    /// The file.
    pub(super) fn text(mut self) -> String {
        self.categories = (self.classes.iter())
            .map(|(id, class)| Category {
                id: *id,
                name: class.as_str(),
                supercategory: if class.is_vehicle() {
                    "vehicle"
                } else {
                    "other"
                },
            })
            .collect();
        let mut text = serde_json::to_string_pretty(&self).expect("plain values and text keys");
        text.push('\n');
        text
    }
}

/// The first 48 bits of the hash: stable, and exact in every reader of JSON.
fn number(digest: Digest) -> u64 {
    digest.0[..6]
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Left, top, width, height in pixels within the picture; `None` for nothing.
fn pixels(bounds: protocol::NormBox, look: &Look) -> Option<[f64; 4]> {
    let (width, height) = (f64::from(look.width), f64::from(look.height));
    let rounded = |value: f64| protocol::units::rounded(value, 2);
    let (left, top) = (bounds.x.clamp(0.0, 1.0), bounds.y.clamp(0.0, 1.0));
    let (right, bottom) = (
        bounds.right().clamp(0.0, 1.0),
        bounds.bottom().clamp(0.0, 1.0),
    );
    let bbox = [
        rounded(left * width),
        rounded(top * height),
        rounded((right - left) * width),
        rounded((bottom - top) * height),
    ];
    (bbox[2] >= 1.0 && bbox[3] >= 1.0).then_some(bbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_keeps_its_side_and_about_the_part_asked_for_is_kept_apart() {
        let days = || (0..4000).map(|day| format!("d{day}"));
        let held: Vec<Side> = days().map(|day| side("a/b/c", &day, 0.2)).collect();
        let count = held.iter().filter(|side| **side == Side::Val).count();
        assert!((700..900).contains(&count), "{count}");
        // Asking for more moves days one way only.
        for (day, was) in days().zip(held) {
            if was == Side::Val {
                assert_eq!(side("a/b/c", &day, 0.3), Side::Val);
            }
        }
        assert_eq!(side("a/b/c", "d1", 0.0), Side::Train);
        assert_eq!(side("a/b/c", "d1", 1.0), Side::Val);
    }

    #[test]
    fn boxes_are_cut_at_the_edge_and_slivers_are_none() {
        let look = Look {
            width: 1920,
            height: 1080,
            luma: 90.0,
        };
        let bbox = |bounds: [f64; 4]| pixels(bounds.into(), &look);
        assert_eq!(
            bbox([0.5, 0.5, 0.25, 0.5]),
            Some([960.0, 540.0, 480.0, 540.0])
        );
        assert_eq!(
            bbox([-0.1, 0.9, 0.2, 0.2]),
            Some([0.0, 972.0, 192.0, 108.0])
        );
        assert_eq!(bbox([0.0, 0.0, 0.0001, 0.5]), None);
        assert_eq!(bbox([1.5, 0.0, 0.5, 0.5]), None);
    }
}
