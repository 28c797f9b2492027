//! A few pictures out of many encoded ones, by a decoder that lives as long as
//! that takes.
//!
//! Stills are shown to people as photographs. So what the decoder made up is no still,
//! nor what may refer to that (see `group.rs`). Where the wanted picture is such a
//! one, the nearest sound one stands in.

use std::collections::{BTreeMap, BTreeSet};

use protocol::units::Seconds;

use super::group::{DecodeError, Group};
use super::unit::AccessUnit;
use crate::frame::Frame;

/// The pictures of [`decode_at`].
#[derive(Clone, Debug, Default)]
pub struct Stills {
    /// By the number of the wanted picture.
    pub found: BTreeMap<u64, Frame>,
    /// Those that are damaged, with no sound one near them.
    pub damaged: BTreeSet<u64>,
}

/// Decodes the pictures with these numbers.
///
/// For a damaged one the sound one that is nearest in time stands in, if it is
/// `within` of it: its [`Frame::number`] is another one than was asked for.
///
/// Of each group of pictures only what stands before the last wanted one; where
/// that is damaged, again for what is near it.
///
/// # Errors
/// Nothing at all could be decoded.
pub fn decode_at(
    units: &[AccessUnit],
    wanted: &BTreeSet<u64>,
    within: Seconds,
) -> Result<Stills, DecodeError> {
    let decoded = decode(units, wanted, |unit| wanted.contains(&unit.number));
    let mut found = decoded.kept;
    let absent: Vec<&AccessUnit> = units
        .iter()
        .filter(|unit| wanted.contains(&unit.number) && !found.contains_key(&unit.number))
        .collect();
    if let (true, Some(fault)) = (found.is_empty(), decoded.fault) {
        return Err(fault);
    }
    let off = |a: &AccessUnit, b: &AccessUnit| a.time.since(b.time).0.abs();
    let is_near = |unit: &AccessUnit| absent.iter().any(|it| off(unit, it) <= within.0);
    let sound = decode(units, &BTreeSet::new(), is_near).sound;
    let stand_in = |it: &AccessUnit| {
        let near = units.iter().filter(|unit| sound.contains(&unit.number));
        let nearest = near.min_by(|a, b| off(a, it).total_cmp(&off(b, it)))?;
        (off(nearest, it) <= within.0).then_some(nearest.number)
    };
    let stand_ins: BTreeMap<u64, u64> = absent
        .iter()
        .filter_map(|it| Some((it.number, stand_in(it)?)))
        .collect();
    let numbers: BTreeSet<u64> = stand_ins.values().copied().collect();
    let shown = decode(units, &numbers, |unit| numbers.contains(&unit.number)).kept;
    for (number, stand_in) in stand_ins {
        found.extend(shown.get(&stand_in).map(|frame| (number, frame.clone())));
    }
    let damaged = absent.iter().map(|unit| unit.number);
    let damaged = damaged.filter(|it| !found.contains_key(it)).collect();
    Ok(Stills { found, damaged })
}

/// What came out of decoders.
#[derive(Default)]
struct Decoded {
    /// Sound pictures that were asked for, by number.
    kept: BTreeMap<u64, Frame>,
    /// The numbers of all that are sound.
    sound: BTreeSet<u64>,
    /// What failed first, if anything did.
    fault: Option<DecodeError>,
}

/// Decodes each group up to the last picture that is `needed`, and keeps pictures.
fn decode(
    units: &[AccessUnit],
    keep: &BTreeSet<u64>,
    is_needed: impl Fn(&AccessUnit) -> bool,
) -> Decoded {
    let mut decoded = Decoded::default();
    for group in groups(units) {
        if let Some(last) = group.iter().rposition(&is_needed)
            && let Err(fault) = decode_group(&group[..=last], keep, &mut decoded)
        {
            // A stream that is damaged stops a decoder as well; other groups may be whole.
            decoded.fault.get_or_insert(fault);
        }
    }
    decoded
}

/// What can be decoded by itself: from each key picture to before the next.
fn groups(units: &[AccessUnit]) -> impl Iterator<Item = &[AccessUnit]> {
    units
        .chunk_by(|_, next| !next.is_key)
        .filter(|group| group[0].is_key)
}

/// Decodes a group from its key picture.
fn decode_group(
    units: &[AccessUnit],
    keep: &BTreeSet<u64>,
    into: &mut Decoded,
) -> Result<(), DecodeError> {
    let Some(key) = units.first() else {
        return Ok(());
    };
    let mut group = Group::begin(key)?;
    let mut kept: BTreeMap<u64, Frame> = BTreeMap::new();
    let mut show = |_, frame: Frame| {
        if keep.contains(&frame.number) {
            kept.insert(frame.number, frame);
        }
    };
    for unit in units {
        group.feed(unit, &mut show);
    }
    let end = group.finish(&mut show);
    let sound: BTreeSet<u64> = group.sound().collect();
    kept.retain(|number, _| sound.contains(number));
    into.kept.extend(kept);
    into.sound.extend(sound);
    end
}
