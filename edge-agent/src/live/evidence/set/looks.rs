//! Crops of what was seen in the looks that voted for a finding: a head, a driver.
//!
//! Each is cut out of the very picture that was looked at, or there is none: in a picture
//! of another moment somebody else may be in that place. Nothing is kept for that but
//! places, until the event is made: the pictures are in the ring, as for stills.

use protocol::event::{Look, Words};
use protocol::evidence::{EvidenceRole, Missing};

use super::super::Maker;
use super::super::picture::{Choice, Stream, nearest};
use super::decoded::{Decoded, Shown};
use super::{File, Set, Source, damaged, gone};
use crate::stills;

/// A picture nearer than this is the one that was looked at, s: no camera takes two so close to
/// each other, and clocks that are corrected in between shift less.
const THE_VERY_S: f64 = 0.01;

/// A look of the event.
pub(super) struct Chosen<'a> {
    look: &'a Look,
    /// The picture that it was taken at, if that is there.
    pub(super) choice: Option<Choice<'a>>,
}

pub(super) fn choices<'a>(source: &'a Source<'_>) -> Vec<Chosen<'a>> {
    let looks = source.event.looks.iter();
    let chosen = looks.map(|look| Chosen {
        look,
        choice: picture(look, source),
    });
    chosen.collect()
}

fn picture<'a>(look: &Look, source: &'a Source<'_>) -> Option<Choice<'a>> {
    let (stream, cut) = match (look.main, &source.looked) {
        (Some(_), _) if source.is_main => (Stream::Evidence, &source.cut),
        (Some(_), _) => return None,
        (None, Some(looked)) => (Stream::Looked, looked),
        (None, None) => (Stream::Evidence, &source.cut),
    };
    let unit = nearest(cut, look.taken())?;
    (unit.time.since(look.taken()).0.abs() <= THE_VERY_S).then_some(Choice { stream, unit })
}

impl Maker {
    /// Cuts out what each look saw.
    pub(super) fn look_crops(
        &self,
        looks: &[Chosen<'_>],
        decoded: &Decoded,
        source: &Source<'_>,
        set: &mut Set,
    ) {
        for Chosen { look, choice } in looks {
            let picture = choice.ok_or_else(gone).and_then(|it| decoded.of(it));
            let crop = picture.and_then(|picture| self.look_crop(look, picture, source, set));
            if let Err(reason) = crop {
                set.missing.push(Missing {
                    role: EvidenceRole::FindingCrop,
                    at: Some(look.taken()),
                    reason,
                });
            }
        }
    }

    fn look_crop(
        &self,
        look: &Look,
        picture: Shown<'_>,
        source: &Source<'_>,
        set: &mut Set,
    ) -> Result<(), Words> {
        // What stands in for a damaged picture shows another moment.
        if picture.is_stand_in {
            return Err(damaged());
        }
        let frame = picture.frame;
        let part = stills::part(frame, &look.part)
            .map_err(|error| Words::new(format!("không cắt được: {error}"), error.to_string()))?;
        let stream = match (look.main, &self.rings.detect) {
            (Some(_), _) => (", luồng chính", ", main stream"),
            (None, Some(_)) => (", luồng phụ", ", sub-stream"),
            (None, None) => ("", ""),
        };
        let (width, height) = (part.width, part.height);
        let of = format!("{}×{}", frame.width, frame.height);
        let mut notes = source.notes.clone();
        notes.push(Words::new(
            format!("phần {width}×{height} điểm ảnh của hình {of}{}", stream.0),
            format!("{width}×{height} pixels of a picture of {of}{}", stream.1),
        ));
        let role = EvidenceRole::FindingCrop;
        let file = File::picture(&part.png, role, look.taken(), &notes);
        self.put(source.event, &file, set).map(|_| ())
    }
}
