//! From which key picture a picture is decoded.
//!
//! Mostly from that of its group. What is sent behind that one and shown before it may refer to
//! the group before (an open group of pictures), and is decoded from there.
//!
//! H.264 lets all that follows refer to one of these. So where one of them is a reference, and the
//! encoder does not say at the key picture that all behind it is right (an IDR, or a recovery point
//! at once and exact), what follows is decoded from the group before as well; and that one from where
//! it is sure. Where that is not there nobody knows whether it can be decoded rightly.

use super::frame_number::recovery_point;
use super::parameters::is_whole;
use super::unit::{AccessUnit, Codec, nal_units};
use crate::stream::reference::ReferenceReader;

/// No picture is decoded through more others: half a minute of most cameras.
const FARTHEST: usize = 750;

/// Of some pictures, in the order of sending.
pub(super) struct Origins<'a> {
    units: &'a [AccessUnit],
    groups: Vec<Origin>,
}

/// Of the pictures of one group.
#[derive(Clone, Copy, Debug)]
struct Origin {
    key: usize,
    /// The first that what follows may refer to, and that itself refers to the group before.
    doubted: Option<usize>,
    /// The group before, where it goes on into this one.
    before: Option<usize>,
    /// Where what follows its key picture is decoded from for sure.
    sure: Option<usize>,
}

impl<'a> Origins<'a> {
    pub(super) fn of(units: &'a [AccessUnit]) -> Self {
        let mut groups: Vec<Origin> = Vec::new();
        let mut references = ReferenceReader::of_byte_stream(Codec::H264);
        for (at, unit) in units.iter().enumerate() {
            if unit.is_key {
                let before = groups.len().checked_sub(1);
                groups.push(Origin {
                    key: at,
                    doubted: None,
                    before: before.filter(|_| goes_on(units, at)),
                    sure: Some(at),
                });
            } else if let Some(group) = groups.last_mut()
                && group.doubted.is_none()
                && unit.leads(&units[group.key])
                && references.is_needed(&unit.bytes)
                && is_doubted(&units[group.key])
            {
                group.doubted = Some(at);
            }
        }
        for at in 0..groups.len() {
            let Origin {
                key,
                doubted,
                before,
                ..
            } = groups[at];
            if doubted.is_some() {
                let sure = before.and_then(|before| groups[before].sure);
                groups[at].sure = sure.filter(|sure| key - sure <= FARTHEST);
            }
        }
        Self { units, groups }
    }

    fn group(&self, at: usize) -> Option<&Origin> {
        let behind = self.groups.partition_point(|group| group.key <= at);
        self.groups.get(behind.checked_sub(1)?)
    }

    fn leads(&self, at: usize, group: &Origin) -> bool {
        self.units[at].leads(&self.units[group.key])
    }

    /// The group before, where the picture at this place may refer to it.
    fn before(&self, at: usize, group: &Origin) -> Option<&Origin> {
        let before = group.before.filter(|_| self.leads(at, group))?;
        self.groups.get(before)
    }

    /// The key picture from which the one at this place is decoded; none where there is none before it.
    pub(super) fn begin(&self, at: usize) -> Option<usize> {
        let group = self.group(at)?;
        Some(if let Some(before) = self.before(at, group) {
            before.sure.unwrap_or(before.key)
        } else if group.doubted.is_some_and(|doubted| doubted < at) {
            group.sure.unwrap_or(group.key)
        } else {
            group.key
        })
    }

    /// Whether the picture at this place may refer to a group that is not there, though nothing
    /// behind the key picture was hurt.
    pub(super) fn lacks_a_group(&self, at: usize) -> bool {
        let Some(group) = self.group(at) else {
            return false;
        };
        if self.leads(at, group) {
            let before = self.before(at, group);
            !self.units[at].is_torn && before.is_none_or(|before| before.sure.is_none())
        } else {
            let is_doubted = group.doubted.is_some_and(|doubted| doubted < at);
            let is_hurt = || self.units[group.key..=at].iter().any(|unit| unit.is_torn);
            is_doubted && group.sure.is_none() && !is_hurt()
        }
    }
}

/// Whether the picture at this place goes on from the one before.
fn goes_on(units: &[AccessUnit], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| units.get(before));
    before.is_some_and(|before| before.is_followed_by(&units[at]))
}

/// Whether a key picture is whole, and nobody says that all behind it is right for who begins
/// with it.
pub(super) fn is_doubted(key: &AccessUnit) -> bool {
    let codec = key.format.codec;
    codec == Codec::H264 && is_whole(codec, &key.bytes) && !promises_all(&key.bytes)
}

fn promises_all(key: &[u8]) -> bool {
    let mut promised = None;
    for unit in nal_units(key) {
        match unit[0] & 31 {
            5 => return true,
            1 | 2 => break,
            _ => promised = promised.or_else(|| recovery_point(unit)),
        }
    }
    promised.is_some_and(|it| it.after == 0 && it.is_exact)
}
