//! The pictures of an event's files, decoded: each group of pictures once, for all that is shown
//! of it.

use std::collections::BTreeMap;

use edge_video::Frame;
use edge_video::encoded::{AccessUnit, Stills, Undecodable, Wanted, decode_wanted};
use protocol::Event;
use protocol::event::Words;
use protocol::units::Seconds;

use super::super::ahead::Ahead;
use super::super::picture::{Choice, NEAR_S, Pictures, Stream};
use super::{damaged, gone};

/// A picture that was decoded.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) stream: Stream,
    pub(super) frame: &'a Frame,
    /// It stands in for a damaged one near it.
    pub(super) is_stand_in: bool,
}

/// Pictures that were decoded, of each stream by number.
pub(super) struct Decoded {
    evidence: Stills,
    looked: Stills,
}

impl Decoded {
    /// The one that was chosen, or why it is not there.
    pub(super) fn of(&self, choice: Choice<'_>) -> Result<Shown<'_>, Words> {
        let Choice { stream, unit } = choice;
        let stills = match stream {
            Stream::Evidence => &self.evidence,
            Stream::Looked => &self.looked,
        };
        if let Some(frame) = stills.found.get(&unit.number) {
            return Ok(Shown {
                stream,
                frame,
                is_stand_in: frame.number != unit.number,
            });
        }
        Err(match stills.undecodable.get(&unit.number) {
            Some(Undecodable::GroupBefore) => no_group_before(),
            Some(Undecodable::WholePicture) => no_whole_picture(),
            None if stills.damaged.contains(&unit.number) => damaged(),
            None => gone(),
        })
    }
}

/// Decodes what was chosen, and what those events want of the same groups that wait.
pub(super) fn decoded(
    event: &Event,
    pictures: &Pictures<'_>,
    chosen: &[Choice<'_>],
    ahead: &mut Ahead,
) -> Decoded {
    let mut of_stream = |stream, units: &[AccessUnit]| {
        let mut wanted = Wanted::default();
        let mut known: BTreeMap<u64, Frame> = BTreeMap::new();
        for Choice { unit, .. } in chosen.iter().filter(|choice| choice.stream == stream) {
            match ahead.find(unit) {
                Some(frame) => {
                    known.insert(unit.number, frame.clone());
                }
                None => {
                    wanted.numbers.insert(unit.number);
                }
            }
        }
        let expected = units.iter().filter(|unit| ahead.expects(unit));
        wanted.also = expected.map(|unit| unit.number).collect();
        let stills = decode_wanted(units, &wanted, Seconds(NEAR_S));
        let mut stills = stills.unwrap_or_else(|error| {
            tracing::error!(camera = %event.camera, id = %event.id, "{error}");
            Stills::default()
        });
        for unit in units {
            if let Some(frame) = stills.also.get(&unit.number) {
                ahead.keep(unit, frame);
            }
        }
        stills.found.extend(known);
        stills
    };
    let old = pictures.album.iter().filter_map(|old| old.unit.as_ref());
    let own: Vec<AccessUnit> = old.chain(&pictures.cut.units).cloned().collect();
    let looked = pictures.looked.map_or(&[][..], |cut| &cut.units);
    Decoded {
        evidence: of_stream(Stream::Evidence, &own),
        looked: of_stream(Stream::Looked, looked),
    }
}

/// Of an open group of pictures of which the one before was not kept.
fn no_group_before() -> Words {
    Words::new(
        "hình của lúc đó phải dựng từ các hình trước nó, không còn được giữ; gần đó cũng không có hình nào \
         thay được",
        "the picture of then can only be rebuilt from ones before it that were not kept, and none near it \
         can stand for it",
    )
}

/// Of a camera that refreshes slowly.
fn no_whole_picture() -> Words {
    Words::new(
        "camera làm mới hình từng phần, không gửi hình trọn vẹn, nên không dựng lại chắc chắn được hình của \
         lúc đó; trên camera hãy đặt khung hình chính (I-frame) định kỳ và tắt làm mới từng phần (intra refresh)",
        "the camera refreshes its picture bit by bit and sends none that is whole, so the picture of then \
         cannot be rebuilt for sure; set it to send key frames (I frames) at intervals, and turn intra \
         refresh off",
    )
}
