//! A few pictures out of many encoded ones, by a decoder that lives as long as
//! that takes.
//!
//! Stills are shown to people as photographs. So what the decoder made up is no still,
//! nor what may refer to that (see `group.rs`). Where the wanted picture is such a
//! one, the nearest sound one stands in.
//!
//! What is sent behind a key picture and shown before it may refer to both groups (an open
//! group of pictures): it is decoded from the key picture before, through that one. Where the
//! encoder does not say that the others refer to none of these, so are they (`origin.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use protocol::units::Seconds;

use super::group::{DecodeError, Group};
use super::origin::Origins;
use super::parameters::is_whole;
use super::unit::AccessUnit;
use crate::frame::Frame;

/// Pictures by their numbers.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// These, or what may stand in for them.
    pub numbers: BTreeSet<u64>,
    /// These where they are sound and in groups of which some of the others are, and nothing hurts
    /// the others.
    pub also: BTreeSet<u64>,
}

/// The pictures of [`decode_at`].
#[derive(Clone, Debug, Default)]
pub struct Stills {
    /// By the number of the wanted picture.
    pub found: BTreeMap<u64, Frame>,
    /// Those of [`Wanted::also`].
    pub also: BTreeMap<u64, Frame>,
    /// Those that are damaged, with no sound one near them.
    pub damaged: BTreeSet<u64>,
    /// Those that may be as they were sent, and cannot be decoded for sure; nor is a sound one
    /// near them.
    pub undecodable: BTreeMap<u64, Undecodable>,
}

/// Why a picture that is not damaged cannot be decoded for sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undecodable {
    /// It refers to a group of pictures that is not there.
    GroupBefore,
    /// The camera refreshes the picture bit by bit, and sends none that is whole.
    WholePicture,
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
    numbers: &BTreeSet<u64>,
    within: Seconds,
) -> Result<Stills, DecodeError> {
    let wanted = Wanted {
        numbers: numbers.clone(),
        also: BTreeSet::new(),
    };
    decode_wanted(units, &wanted, within)
}

/// The same, and what else is to be had from these groups.
///
/// # Errors
/// Nothing at all could be decoded.
pub fn decode_wanted(
    units: &[AccessUnit],
    wanted: &Wanted,
    within: Seconds,
) -> Result<Stills, DecodeError> {
    let Wanted { numbers, also } = wanted;
    let asked: BTreeSet<u64> = numbers.union(also).copied().collect();
    let is_wanted = |unit: &AccessUnit| numbers.contains(&unit.number);
    let is_also = |unit: &AccessUnit| also.contains(&unit.number);
    let decoded = decode(units, &asked, is_wanted, is_also);
    let (mut found, mut others) = (BTreeMap::new(), BTreeMap::new());
    for (number, frame) in decoded.kept {
        if also.contains(&number) {
            others.insert(number, frame.clone());
        }
        if numbers.contains(&number) {
            found.insert(number, frame);
        }
    }
    // What comes later in a group may be what hurts it.
    if !also.is_empty() && numbers.iter().any(|it| !found.contains_key(it)) {
        return decode_at(units, numbers, within);
    }
    let absent: Vec<&AccessUnit> = units
        .iter()
        .filter(|unit| is_wanted(unit) && !found.contains_key(&unit.number))
        .collect();
    if let (true, Some(fault)) = (found.is_empty(), decoded.fault) {
        return Err(fault);
    }
    let off = |a: &AccessUnit, b: &AccessUnit| a.time.since(b.time).0.abs();
    let is_near = |unit: &AccessUnit| absent.iter().any(|it| off(unit, it) <= within.0);
    let sound = decode(units, &BTreeSet::new(), is_near, |_| false).sound;
    let stand_in = |it: &AccessUnit| {
        let near = units.iter().filter(|unit| sound.contains(&unit.number));
        let nearest = near.min_by(|a, b| off(a, it).total_cmp(&off(b, it)))?;
        (off(nearest, it) <= within.0).then_some(nearest.number)
    };
    let stand_ins: BTreeMap<u64, u64> = absent
        .iter()
        .filter_map(|it| Some((it.number, stand_in(it)?)))
        .collect();
    let of_them: BTreeSet<u64> = stand_ins.values().copied().collect();
    let is_one = |unit: &AccessUnit| of_them.contains(&unit.number);
    let shown = decode(units, &of_them, is_one, |_| false).kept;
    for (number, stand_in) in stand_ins {
        found.extend(shown.get(&stand_in).map(|frame| (number, frame.clone())));
    }
    let mut stills = Stills {
        found,
        also: others,
        ..Stills::default()
    };
    let origins = Origins::of(units);
    for (at, unit) in units.iter().enumerate() {
        if is_wanted(unit) && !stills.found.contains_key(&unit.number) {
            match undecodable(&origins, units, at) {
                Some(why) => {
                    stills.undecodable.insert(unit.number, why);
                }
                None => {
                    stills.damaged.insert(unit.number);
                }
            }
        }
    }
    Ok(stills)
}

/// What is not there of a picture that may be whole itself.
fn undecodable(origins: &Origins, units: &[AccessUnit], at: usize) -> Option<Undecodable> {
    let key = units[..=at].iter().rfind(|it| it.is_key)?;
    if !is_whole(key.format.codec, &key.bytes) {
        Some(Undecodable::WholePicture)
    } else if origins.lacks_a_group(at) {
        Some(Undecodable::GroupBefore)
    } else {
        None
    }
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

/// Decodes each group up to the last picture that is `needed`, and keeps pictures. Where that
/// is done those count as needed that are only `welcome`.
fn decode(
    units: &[AccessUnit],
    keep: &BTreeSet<u64>,
    is_needed: impl Fn(&AccessUnit) -> bool,
    is_welcome: impl Fn(&AccessUnit) -> bool,
) -> Decoded {
    let mut decoded = Decoded::default();
    for run in runs(units, &is_needed, &is_welcome) {
        let is_shown = |unit: &AccessUnit| is_needed(unit) || is_welcome(unit);
        if let Err(fault) = decode_run(&units[run], keep, is_shown, &mut decoded) {
            // A stream that is damaged stops a decoder as well; other groups may be whole.
            decoded.fault.get_or_insert(fault);
        }
    }
    decoded
}

/// What decoders are fed: from a key picture to the last of those that are decoded from there,
/// where one of these is needed.
fn runs(
    units: &[AccessUnit],
    is_needed: impl Fn(&AccessUnit) -> bool,
    is_welcome: impl Fn(&AccessUnit) -> bool,
) -> Vec<Range<usize>> {
    // Where each ends, and whether it is needed.
    let mut runs: BTreeMap<usize, (usize, bool)> = BTreeMap::new();
    let origins = Origins::of(units);
    for (at, unit) in units.iter().enumerate() {
        let is_needed = is_needed(unit);
        if (is_needed || is_welcome(unit))
            && let Some(begin) = origins.begin(at)
        {
            let run = runs.entry(begin).or_default();
            *run = (at + 1, run.1 || is_needed);
        }
    }
    let needed = runs.into_iter().filter(|(_, (_, is_needed))| *is_needed);
    needed.map(|(begin, (end, _))| begin..end).collect()
}

/// Decodes what follows a key picture, and it.
fn decode_run(
    units: &[AccessUnit],
    keep: &BTreeSet<u64>,
    is_shown: impl Fn(&AccessUnit) -> bool,
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
        group.feed(unit, is_shown(unit), &mut show);
    }
    let end = group.finish(&mut show);
    let sound: BTreeSet<u64> = group.sound().collect();
    kept.retain(|number, _| sound.contains(number));
    into.kept.extend(kept);
    into.sound.extend(sound);
    end
}
