//! Covers what was found, in stills and clips.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use anyhow::bail;
use case_bundle::manifest::{CaseManifest, CaseMedia};
use edge_inference::Still;
use edge_stills::Picture;
use edge_video::{ClipPicture, ClipReader, ClipWriter, Frame};
use protocol::event::Actor;
use protocol::evidence::EvidenceRole;
use protocol::units::Seconds;
use protocol::{Event, EventTime, NormBox, ObjectClass};

use super::finder::{Finders, ModelUsed};
use super::places::{in_higher, leave_legend, to_cover};
use super::{Copy, Whom};
use crate::stills::drawing;

/// As of the originals.
const JPEG_QUALITY: u8 = 90;
/// A face that a model misses in one picture of a clip is covered where it was
/// found in the pictures around it, so long before and after.
const HOLD: Seconds = Seconds(0.5);
/// All of a picture.
const WHOLE: NormBox = NormBox {
    x: 0.0,
    y: 0.0,
    width: 1.0,
    height: 1.0,
};
/// Frame rate of a clip that does not tell its own; times are the frames' own anyway.
const USUAL_FPS: f64 = 25.0;

/// Copies the files of one case, in their order.
pub(super) struct Copyist<'a> {
    case: &'a CaseManifest,
    whom: Whom,
    finders: Finders,
    /// Size of the last clean still, pixels: an annotated one is higher.
    clean: Option<(u32, u32)>,
}

impl<'a> Copyist<'a> {
    pub(super) fn new(case: &'a CaseManifest, whom: Whom, finders: Finders) -> Self {
        Self {
            case,
            whom,
            finders,
            clean: None,
        }
    }

    pub(super) fn models(&self) -> Vec<ModelUsed> {
        self.finders.models()
    }

    /// Writes the copy of one file into `folder`.
    pub(super) fn copy(
        &mut self,
        media: &CaseMedia,
        bytes: &[u8],
        folder: &Path,
    ) -> anyhow::Result<Copy> {
        if media.media_type.starts_with("image/") {
            let (jpeg, covered) = self.still(media, bytes)?;
            let name = renamed(&media.name, "jpg");
            fs::write(folder.join(&name), jpeg)?;
            return Ok(Copy {
                name,
                pictures: 1,
                covered,
            });
        }
        if media.media_type.starts_with("video/") {
            let name = renamed(&media.name, "mp4");
            let original = folder.join(format!("{}.original", media.name));
            fs::write(&original, bytes)?;
            let done = clip(&original, &folder.join(&name), &mut self.finders, media);
            // Also of a failure: nothing uncovered stays in the folder.
            fs::remove_file(&original)?;
            let (pictures, covered) = done?;
            return Ok(Copy {
                name,
                pictures,
                covered,
            });
        }
        bail!(
            "files of the type {} cannot be covered; hand over the others by hand if they may be shown",
            media.media_type
        )
    }

    fn still(&mut self, media: &CaseMedia, bytes: &[u8]) -> anyhow::Result<(Vec<u8>, u64)> {
        let seen = Still::read(bytes, "of the case")?;
        let mut picture = Picture::from_encoded(bytes)?;
        let (width, height) = (picture.width(), picture.height());
        self.finders.fit(width, height)?;
        let camera_part = match (media.role, self.clean) {
            (EvidenceRole::StillClean, _) => {
                self.clean = Some((width, height));
                1.0
            }
            (_, Some((same, camera_height))) if same == width && camera_height < height => {
                f64::from(camera_height) / f64::from(height)
            }
            _ => 1.0,
        };
        let spared = self.spared(media, camera_part);
        let mut found = self.finders.find(&seen.view())?;
        leave_legend(&mut found, camera_part);
        let places = to_cover(&found, &spared);
        for place in &places {
            picture.mosaic(place);
        }
        Ok((picture.jpeg(JPEG_QUALITY)?, places.len() as u64))
    }

    /// The accused's boxes in the picture at hand, where they are known; of it
    /// `camera_part` is the camera's.
    fn spared(&self, media: &CaseMedia, camera_part: f64) -> Vec<NormBox> {
        if self.whom == Whom::Everyone {
            return Vec::new();
        }
        let event = &self.case.event;
        let own: Vec<NormBox> = match media.role {
            // It was cut out because it shows the accused's plate.
            EvidenceRole::PlateCrop => return vec![WHOLE],
            EvidenceRole::FindingCrop => return in_crop(media, event),
            _ if !media.actors.is_empty() => media.actors.clone(),
            // The event says it of one moment, older cases of no other.
            _ if media.captured == event.decided.time => {
                event.actors.iter().map(|actor| actor.bounds).collect()
            }
            _ => Vec::new(),
        };
        own.iter().map(|own| in_higher(own, camera_part)).collect()
    }
}

/// The accused in a crop of what a look saw. A classifier does not say where in it: then it is
/// all of it, unless somebody else of the case may be in it as well.
fn in_crop(media: &CaseMedia, event: &Event) -> Vec<NormBox> {
    let Some(look) = event.looks.iter().find(|it| it.taken() == media.captured) else {
        return Vec::new();
    };
    let (Some(seen), part) = (look.bounds, look.part) else {
        let people = event.actors.iter().filter(|actor| is_person(actor)).count();
        return if people > 1 { Vec::new() } else { vec![WHOLE] };
    };
    vec![NormBox {
        x: (seen.x - part.x) / part.width,
        y: (seen.y - part.y) / part.height,
        width: seen.width / part.width,
        height: seen.height / part.height,
    }]
}

fn is_person(actor: &Actor) -> bool {
    actor.class == ObjectClass::Person
}

fn renamed(name: &str, ending: &str) -> String {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    format!("{stem}.{ending}")
}

/// One picture of a clip, waiting for what the next ones show.
struct Waiting {
    frame: Frame,
    places: Vec<NormBox>,
}

/// Covers every face and plate of a clip, whosever: where the accused is in
/// each picture is not in the case.
fn clip(
    original: &Path,
    copy: &Path,
    finders: &mut Finders,
    media: &CaseMedia,
) -> anyhow::Result<(u64, u64)> {
    edge_video::init()?;
    let mut reader = ClipReader::open(original, media.captured)?;
    let info = reader.info().clone();
    finders.fit(info.width, info.height)?;
    let fps = info.fps.unwrap_or(USUAL_FPS);
    let mut writer = ClipWriter::create(copy, info.width, info.height, fps)?;
    let (mut pictures, mut covered) = (0, 0);
    // Places of the last half second that are already written.
    let mut past: VecDeque<(EventTime, Vec<NormBox>)> = VecDeque::new();
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
    loop {
        // Damaged pictures are the case's as well, and who is on them is to be covered.
        let next = reader.next_picture()?.map(ClipPicture::into_frame);
        if let Some(frame) = next.as_ref() {
            let found = finders.find(frame.view())?;
            waiting.push_back(Waiting {
                frame: frame.clone(),
                places: to_cover(&found, &[]),
            });
            pictures += 1;
        }
        let newest = next.as_ref().map(|frame| frame.time);
        while let Some(first) = waiting.front() {
            let time = first.frame.time;
            if newest.is_some_and(|newest| newest.since(time).0 < HOLD.0) {
                break;
            }
            past.retain(|(at, _)| time.since(*at).0 <= HOLD.0);
            let around = past.iter().map(|(_, places)| places);
            let places: Vec<NormBox> = around
                .chain(waiting.iter().map(|w| &w.places))
                .flatten()
                .copied()
                .collect();
            let picture = drawing::picture(&first.frame)?;
            let mut picture = picture.resized(info.width, info.height)?;
            for place in &places {
                picture.mosaic(place);
            }
            covered += first.places.len() as u64;
            writer.push_bgr(picture.bgr(), time)?;
            if let Some(done) = waiting.pop_front() {
                past.push_back((time, done.places));
            }
        }
        if next.is_none() {
            break;
        }
    }
    writer.finish()?;
    Ok((pictures, covered))
}
