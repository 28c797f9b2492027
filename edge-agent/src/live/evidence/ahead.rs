//! Pictures that were decoded with those of another event.
//!
//! Events come together: ten vehicles run one red light, and what shows them lies in one group of
//! pictures, which would be decoded from its key picture for each of them. So what the events
//! that wait are known to want of a group is decoded with the first of them, and kept until it is their
//! turn. No picture is decoded that would not have been, and none is shown that the event itself
//! would not have been shown by.

use std::sync::Arc;

use edge_video::Frame;
use edge_video::encoded::AccessUnit;

/// What waiting events want, and what of that has been decoded.
#[derive(Default)]
pub(super) struct Ahead {
    expected: Vec<AccessUnit>,
    kept: Vec<(AccessUnit, Frame)>,
}

/// So many events are looked ahead to.
pub(super) const MOST_EVENTS: usize = 8;
/// What is kept, in bytes of pixels: five pictures of 1080p.
const MOST_BYTES: usize = 16 << 20;

impl Ahead {
    /// What those want that wait while the next one is made.
    pub(super) fn expect(&mut self, wanted: Vec<AccessUnit>) {
        self.expected = wanted;
    }

    /// Whether somebody who waits wants a picture that is not there yet.
    pub(super) fn expects(&self, unit: &AccessUnit) -> bool {
        let is_expected = self.expected.iter().any(|it| is_same(it, unit));
        is_expected && self.find(unit).is_none()
    }

    /// A picture that was decoded before, for somebody else.
    pub(super) fn find(&self, unit: &AccessUnit) -> Option<&Frame> {
        let kept = self.kept.iter().find(|(it, _)| is_same(it, unit));
        kept.map(|(_, frame)| frame)
    }

    /// One that was expected, if there is room for it.
    pub(super) fn keep(&mut self, unit: &AccessUnit, frame: &Frame) {
        let held: usize = self.kept.iter().map(|(_, frame)| size(frame)).sum();
        if held + size(frame) <= MOST_BYTES {
            self.kept.push((unit.clone(), frame.clone()));
        }
    }

    /// One was made: lets go what nobody waits for any more.
    pub(super) fn let_go(&mut self) {
        let expected = std::mem::take(&mut self.expected);
        let is_expected = |unit: &AccessUnit| expected.iter().any(|it| is_same(it, unit));
        self.kept.retain(|(unit, _)| is_expected(unit));
    }
}

/// The same picture, told by the same clock: its frame says when it was.
fn is_same(a: &AccessUnit, b: &AccessUnit) -> bool {
    Arc::ptr_eq(&a.bytes, &b.bytes)
        && (a.number, a.time, a.time_quality) == (b.number, b.time, b.time_quality)
}

fn size(frame: &Frame) -> usize {
    let (width, height) = (frame.width as usize, frame.height as usize);
    width * height * 3 / 2
}
