//! Whether a key picture of H.265 counts on pictures that never came, by the order in which
//! pictures are shown (ITU-T H.265 § 7.4.7.1, 7.4.8, 8.3.1, 8.3.2).
//!
//! An open group begins with a CRA picture. It refers to nothing itself, and lists what those may
//! refer to that are sent behind it and shown before it. libav makes up what is missing of that: of
//! other pictures it says so, of this one it does not.
//!
//! Nothing is said where something is not understood.

use std::collections::BTreeMap;

use super::bits::Bits;
use super::parameters::h265_head;

/// What there may be of each, by the standard.
const SEQUENCES: u32 = 16;
const PICTURES: u32 = 64;
const MOST_LISTS: u32 = 64;
const MOST_LISTED: u32 = 16;
/// Most of a slice that its header needs, and longest set that is read, in bytes.
const SLICE_HEADER: usize = 80;
const LONGEST_SET: usize = 2_048;

const BLA_W_LP: u8 = 16;
const IDR_W_RADL: u8 = 19;
const IDR_N_LP: u8 = 20;
const CRA: u8 = 21;
const RADL_N: u8 = 6;
const RADL_R: u8 = 7;
const RASL_R: u8 = 9;
const SPS: u8 = 33;
const PPS: u8 = 34;

/// Pictures that are to be kept, by how much earlier and later they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Listed {
    /// The nearest first; below zero.
    before: Vec<i32>,
    /// The nearest first; above zero.
    after: Vec<i32>,
}

impl Listed {
    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// § 7.3.7: the list at this place, `earlier` ones stand before it. In a slice it is behind all.
    fn read(bits: &mut Bits, earlier: &[Self], is_in_slice: bool) -> Option<Self> {
        if !earlier.is_empty() && bits.bit()? {
            return Self::read_from_another(bits, earlier, is_in_slice);
        }
        let (before, after) = (bits.ue()?, bits.ue()?);
        if before > MOST_LISTED || after > MOST_LISTED {
            return None;
        }
        let mut run = |count: u32, sign: i32| {
            let mut at = 0_i32;
            let mut run = Vec::new();
            for _ in 0..count {
                let step = i32::try_from(bits.ue()?).ok()?.checked_add(1)?;
                at = at.checked_add(sign.checked_mul(step)?)?;
                let _is_for_this_one = bits.bit()?;
                run.push(at);
            }
            Some(run)
        };
        let (before, after) = (run(before, -1)?, run(after, 1)?);
        Self { before, after }.if_bearable()
    }

    /// Each may be one longer than the one that it is read from: no decoder keeps so many.
    fn if_bearable(self) -> Option<Self> {
        (self.len() <= MOST_LISTED as usize).then_some(self)
    }

    fn has(&self, off: i32) -> bool {
        self.before.contains(&off) || self.after.contains(&off)
    }

    /// Formulas 7-61 and 7-62.
    fn read_from_another(bits: &mut Bits, earlier: &[Self], is_in_slice: bool) -> Option<Self> {
        let back = if is_in_slice { bits.ue()? } else { 0 };
        let back = usize::try_from(back).ok()?.checked_add(1)?;
        let another = earlier.get(earlier.len().checked_sub(back)?)?;
        let is_less = bits.bit()?;
        let shift = i32::try_from(bits.ue()?).ok()?.checked_add(1)?;
        let shift = if is_less { -shift } else { shift };
        let mut is_kept = Vec::new();
        for _ in 0..=another.len() {
            let is_for_this_one = bits.bit()?;
            is_kept.push(is_for_this_one || bits.bit()?);
        }
        let first_after = another.before.len();
        let of = |runs: &[i32], at: usize| -> Vec<i32> {
            let kept = runs.iter().zip(&is_kept[at..]).filter(|(_, kept)| **kept);
            kept.filter_map(|(it, _)| it.checked_add(shift)).collect()
        };
        let (before, after) = (of(&another.before, 0), of(&another.after, first_after));
        let own = is_kept[another.len()].then_some(shift);
        let side = |near: &[i32], far: &[i32], is_ours: fn(&i32) -> bool| -> Vec<i32> {
            let crossed = near.iter().rev().copied();
            let all = crossed.chain(own).chain(far.iter().copied());
            all.filter(is_ours).collect()
        };
        let list = Self {
            before: side(&after, &before, |it| *it < 0),
            after: side(&before, &after, |it| *it > 0),
        };
        list.if_bearable()
    }
}

/// A sequence parameter set, as far as somebody here asks.
#[derive(Clone, Debug)]
struct Sequence {
    separate_planes: bool,
    /// Of what says when a picture is shown.
    order_bits: u32,
    lists: Vec<Listed>,
}

impl Sequence {
    /// § 7.3.2.2.1.
    fn read(sps: &[u8]) -> Option<(u32, Self)> {
        let (mut bits, head) = h265_head(sps)?;
        let order_bits = bits.ue()?.checked_add(4).filter(|bits| *bits <= 16)?;
        let layers = if bits.bit()? { head.layers + 1 } else { 1 };
        for _ in 0..3 * layers {
            bits.ue()?;
        }
        for _ in 0..6 {
            bits.ue()?;
        }
        if bits.bit()? && bits.bit()? {
            skip_scaling_lists(&mut bits)?;
        }
        bits.skip(2)?;
        if bits.bit()? {
            bits.skip(8)?;
            for _ in 0..2 {
                bits.ue()?;
            }
            bits.skip(1)?;
        }
        let count = bits.ue().filter(|count| *count <= MOST_LISTS)?;
        let mut lists = Vec::new();
        for _ in 0..count {
            let list = Listed::read(&mut bits, &lists, false)?;
            lists.push(list);
        }
        let sequence = Self {
            separate_planes: head.separate_planes,
            order_bits,
            lists,
        };
        (head.id < SEQUENCES).then_some((head.id, sequence))
    }
}

/// § 7.3.4.
fn skip_scaling_lists(bits: &mut Bits) -> Option<()> {
    for size in 0..4_u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.bit()? {
                bits.ue()?;
                continue;
            }
            let first = u32::from(size > 1);
            for _ in 0..first + (1_u32 << (4 + 2 * size)).min(64) {
                bits.se()?;
            }
        }
    }
    Some(())
}

/// A picture parameter set, as far as somebody here asks.
#[derive(Clone, Copy, Debug)]
struct Picture {
    sequence: u32,
    says_output: bool,
    extra_bits: u32,
}

/// What a picture says of its place among the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placed {
    /// It is a key picture that counts on one that never came.
    pub(crate) misses_one: bool,
    /// Before it all is forgotten, by every decoder: IDR, and where streams were cut together.
    pub(crate) begins_anew: bool,
    /// It is shown before its key picture, and refers to nothing before that (RADL).
    pub(crate) leads_alone: bool,
}

/// Follows when the pictures of one stream are shown, in the order of sending.
#[derive(Debug, Default)]
pub(crate) struct PictureOrder {
    sequences: BTreeMap<u32, Sequence>,
    pictures: BTreeMap<u32, Picture>,
    /// Of the last picture that the next one counts from.
    last: Option<i32>,
    /// Of those that a decoder still has: what a picture does not list is let go with it.
    kept: Vec<i32>,
}

impl PictureOrder {
    /// The units of a picture, or of what is said beside the pictures.
    pub(crate) fn heed<'a>(&mut self, units: impl Iterator<Item = &'a [u8]>) -> Placed {
        for unit in units {
            let &[first, second, ..] = unit else { continue };
            // Of other layers (a second view, a finer picture) libav decodes nothing.
            if first & 1 != 0 || second >> 3 != 0 {
                continue;
            }
            let set = &unit[..unit.len().min(LONGEST_SET)];
            match first >> 1 & 63 {
                // What cannot be read may stand for any: from here on nothing is known.
                SPS => match Sequence::read(set) {
                    Some((id, sequence)) => {
                        self.sequences.insert(id, sequence);
                    }
                    None => self.sequences.clear(),
                },
                PPS if self.heed_picture(set).is_none() => self.pictures.clear(),
                // Others up to 31 are reserved, and left out by decoders.
                kind @ (0..=RASL_R | BLA_W_LP..=CRA) => {
                    let header = &unit[..unit.len().min(SLICE_HEADER)];
                    let misses_one = self.heed_slice(kind, second & 7, header);
                    if misses_one.is_none() {
                        (self.last, self.kept) = (None, Vec::new());
                    }
                    return Placed {
                        misses_one: misses_one.unwrap_or(false),
                        begins_anew: (BLA_W_LP..=IDR_N_LP).contains(&kind),
                        leads_alone: matches!(kind, RADL_N | RADL_R),
                    };
                }
                _ => {}
            }
        }
        Placed::default()
    }

    fn heed_picture(&mut self, set: &[u8]) -> Option<()> {
        let mut bits = Bits::of_nal(set, 2);
        let (id, sequence) = (bits.ue()?, bits.ue()?);
        bits.skip(1)?;
        let picture = Picture {
            sequence,
            says_output: bits.bit()?,
            extra_bits: bits.bits(3)?,
        };
        (id < PICTURES).then(|| {
            self.pictures.insert(id, picture);
        })
    }

    /// § 7.3.6.1, 8.3.1, 8.3.2.
    fn heed_slice(&mut self, kind: u8, layer: u8, unit: &[u8]) -> Option<bool> {
        let mut bits = Bits::of_nal(unit, 2);
        let is_first = bits.bit()?;
        if kind >= BLA_W_LP {
            bits.skip(1)?;
        }
        let picture = *self.pictures.get(&bits.ue()?)?;
        let sequence = self.sequences.get(&picture.sequence)?;
        // The rest of one whose beginning is lost: who counts on it misses it.
        if !is_first {
            return Some(false);
        }
        match kind {
            IDR_W_RADL | IDR_N_LP => {
                (self.last, self.kept) = (Some(0), vec![0]);
                return Some(false);
            }
            // Cut together: what is before is not counted on.
            BLA_W_LP..IDR_W_RADL => (self.last, self.kept) = (None, Vec::new()),
            _ => {}
        }
        bits.skip(usize::try_from(picture.extra_bits).ok()?)?;
        bits.ue()?;
        bits.skip(usize::from(picture.says_output))?;
        bits.skip(if sequence.separate_planes { 2 } else { 0 })?;
        let round = 1_i32 << sequence.order_bits;
        let low = i32::try_from(bits.bits(sequence.order_bits)?).ok()?;
        let order = self.last.map_or(low, |last| {
            // The nearest one that ends so. Of a stream that never forgets they go round.
            let ahead = low.wrapping_sub(last).rem_euclid(round);
            let ahead = if ahead > round / 2 {
                ahead - round
            } else {
                ahead
            };
            last.wrapping_add(ahead)
        });
        let listed = if bits.bit()? {
            let count = u32::try_from(sequence.lists.len()).ok()?;
            let index_bits = count
                .checked_sub(1)?
                .checked_ilog2()
                .map_or(0, |log| log + 1);
            let at = usize::try_from(bits.bits(index_bits)?).ok()?;
            sequence.lists.get(at)?.clone()
        } else {
            Listed::read(&mut bits, &sequence.lists, true)?
        };
        let misses = kind == CRA && self.last.is_some() && {
            let mut all = listed.before.iter().chain(&listed.after);
            all.any(|it| !self.kept.contains(&order.wrapping_add(*it)))
        };
        self.kept.retain(|it| listed.has(it.wrapping_sub(order)));
        self.kept.push(order);
        // Others count from it: not what leads, nor what nobody of its layer refers to.
        let is_counted_from = layer == 1
            && (kind >= BLA_W_LP || !(kind.is_multiple_of(2) || (RADL_N..=RASL_R).contains(&kind)));
        if is_counted_from {
            self.last = Some(order);
        }
        Some(misses)
    }
}

#[cfg(test)]
mod tests;
