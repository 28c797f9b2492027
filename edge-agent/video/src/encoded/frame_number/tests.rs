use super::*;
use crate::encoded::bits::push_with_prevention;
use crate::encoded::renumbered::Renumbering;
use crate::encoded::unit::nal_units;
use proptest::prelude::*;

/// Writes bits of a NAL unit (without emulation prevention: none of these needs it).
#[derive(Default)]
struct Written(Vec<bool>);

impl Written {
    fn bits(mut self, count: u32, value: u32) -> Self {
        self.0
            .extend((0..count).rev().map(|at| value >> at & 1 == 1));
        self
    }

    fn ue(self, value: u32) -> Self {
        let length = (value + 1).ilog2();
        self.bits(length, 0).bits(length + 1, value + 1)
    }

    fn unit(self, header: u8) -> Vec<u8> {
        let mut unit = vec![header];
        let bits = [self.0, vec![true]].concat();
        unit.extend(bits.chunks(8).map(|eight| {
            let byte = eight
                .iter()
                .fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
            byte << (8 - eight.len())
        }));
        unit
    }
}

/// Baseline, numbers of four bits.
fn sequence(allows_gaps: bool, frames_only: bool) -> Vec<u8> {
    let sps = Written::default().bits(8, 66).bits(16, 30).ue(0).ue(0);
    let sps = sps.ue(2).ue(4).bits(1, allows_gaps.into()).ue(19).ue(14);
    let sps = sps.bits(1, frames_only.into());
    let sps = if frames_only { sps } else { sps.bits(1, 0) };
    sps.bits(1, 1).bits(1, 0).bits(1, 0).unit(0x67)
}

fn parameters() -> Vec<u8> {
    Written::default().ue(0).ue(0).bits(4, 0).unit(0x68)
}

#[derive(Clone, Copy)]
enum Kind {
    Key,
    Reference(u32),
    Unneeded(u32),
    Field(u32),
}
use Kind::{Field, Key, Reference, Unneeded};

fn slice(kind: Kind) -> Vec<u8> {
    let (header, number) = match kind {
        Key => (0x65, 0),
        Reference(number) | Field(number) => (0x41, number),
        Unneeded(number) => (0x01, number),
    };
    let slice = Written::default().ue(0).ue(5).ue(0).bits(4, number % 16);
    let slice = match kind {
        Field(_) => slice.bits(2, 0b10),
        _ => slice.bits(2, 0),
    };
    slice.bits(8, 0x5a).unit(header)
}

/// Which pictures miss one before them.
fn missing(sps: &[u8], kinds: &[Kind]) -> Vec<usize> {
    let mut numbers = FrameNumbers::default();
    let sets = [sps.to_vec(), parameters()];
    numbers.heed(sets.iter().map(Vec::as_slice), true);
    let told = kinds.iter().map(|kind| {
        let unit = slice(*kind);
        // Of several slices the first is read.
        let units = [unit.as_slice(), unit.as_slice()];
        let is_key = matches!(kind, Key);
        numbers.heed(units.into_iter(), is_key).misses_one
    });
    let told: Vec<bool> = told.collect();
    (0..told.len()).filter(|at| told[*at]).collect()
}

#[test]
fn a_picture_that_others_refer_to_is_missed() {
    let sps = sequence(false, true);
    for (kinds, expected) in [
        (
            vec![Key, Reference(1), Reference(2), Key, Reference(1)],
            vec![],
        ),
        (vec![Key, Reference(1), Reference(3), Reference(4)], vec![2]),
        (vec![Key, Reference(2), Reference(4)], vec![1, 2]),
        // Nobody refers to them: they have the number of the next one.
        (
            vec![Key, Reference(1), Unneeded(2), Unneeded(2), Reference(2)],
            vec![],
        ),
        (vec![Key, Reference(1), Unneeded(3), Reference(3)], vec![2]),
        // It is missed by what comes first, wherever that is.
        (vec![Key, Unneeded(2), Unneeded(2), Reference(2)], vec![1]),
        // Joined in the middle, and a key picture after whatever was left out.
        (vec![Reference(7), Reference(8), Key, Reference(1)], vec![]),
        // Counted anew in the middle, as control operation 5 does.
        (
            vec![
                Key,
                Reference(1),
                Reference(2),
                Reference(3),
                Reference(1),
                Reference(2),
            ],
            vec![],
        ),
    ] {
        let shown = missing(&sps, &kinds);
        assert_eq!(shown, expected);
    }
}

#[test]
fn numbers_go_round() {
    let sps = sequence(false, true);
    let round: Vec<Kind> = std::iter::once(Key)
        .chain((1..100).map(Reference))
        .collect();
    assert_eq!(missing(&sps, &round), [0; 0]);
    let mut short = round;
    short.remove(16);
    short.remove(47);
    assert_eq!(missing(&sps, &short), [16, 47]);
}

/// Somebody changes the encoder's settings: the program stopped where sums are checked.
#[test]
fn parameters_by_which_there_are_fewer_numbers_are_taken_over() {
    let eight_bits = Written::default().bits(8, 66).bits(16, 30).ue(0).ue(4);
    let eight_bits = eight_bits.ue(2).ue(4).bits(1, 0).ue(19).ue(14);
    let eight_bits = eight_bits.bits(1, 1).bits(4, 0b1000).unit(0x67);
    let far = Written::default().ue(0).ue(5).ue(0).bits(8, 200);
    let far = far.bits(8, 0x5a).unit(0x41);
    for (kind, is_key) in [(Key, true), (Reference(3), true), (Reference(3), false)] {
        let mut numbers = FrameNumbers::default();
        let mut heed = |unit: &[u8], is_key| numbers.heed(std::iter::once(unit), is_key);
        heed(&eight_bits, true);
        heed(&parameters(), true);
        assert_eq!(heed(&far, false).number, Some(200));
        heed(&sequence(false, true), true);
        let told = heed(&slice(kind), is_key);
        assert!(told.left_out < 16, "{told:?}");
    }
}

#[test]
fn where_numbers_say_nothing_nothing_is_missed() {
    let odd = [Key, Reference(1), Reference(4), Reference(9)];
    assert_eq!(missing(&sequence(true, true), &odd), [0; 0]);
    // Two fields have one number, and what follows them is not judged by it.
    let fields = [
        Key,
        Field(1),
        Field(1),
        Field(5),
        Reference(9),
        Reference(10),
    ];
    assert_eq!(missing(&sequence(false, false), &fields), [0; 0]);
    // Nor without parameters.
    let mut numbers = FrameNumbers::default();
    for kind in odd {
        let unit = slice(kind);
        assert_eq!(
            numbers.heed(std::iter::once(&unit[..]), false),
            Told::default()
        );
    }
}

#[test]
fn a_recovery_point_says_when_all_is_right() {
    let sei = [6, 5, 2, 0x11, 0x22, 6, 1, 0b0010_1000, 0x80];
    let recovery = |after, is_exact| Some(Recovery { after, is_exact });
    assert_eq!(recovery_point(&sei), recovery(4, false));
    // No reference more, and to the bit.
    let at_once = [0x06, 6, 1, 0b1100_0100, 0x80];
    assert_eq!(recovery_point(&at_once), recovery(0, true));
    assert_eq!(recovery_point(&sei[..4]), None);
    assert_eq!(recovery_point(&[0x65, 6, 1, 0x80]), None);
}

proptest! {
    #[test]
    fn no_units_are_too_wild(
        units in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..9),
    ) {
        let mut numbers = FrameNumbers::default();
        numbers.heed([&sequence(false, true)[..], &parameters()].into_iter(), true);
        for unit in &units {
            numbers.heed(std::iter::once(&unit[..]), false);
        }
    }

    /// Whatever is left out of what nobody refers to, nothing is missed; and any one
    /// reference is.
    #[test]
    fn references_are_missed_and_the_others_are_not(
        between in proptest::collection::vec(0..4_usize, 2..40),
        left_out in proptest::collection::vec(any::<bool>(), 4..20),
        lost in any::<prop::sample::Index>(),
    ) {
        let mut kinds = vec![Key];
        let mut left_out = left_out.iter().cycle();
        for (n, unneeded) in between.iter().enumerate() {
            let number = u32::try_from(n).unwrap() + 1;
            kinds.push(Reference(number));
            let kept = (0..*unneeded).filter(|_| *left_out.next().unwrap());
            kinds.extend(kept.map(|_| Unneeded(number + 1)));
        }
        let sps = sequence(false, true);
        prop_assert_eq!(missing(&sps, &kinds), Vec::<usize>::new());
        kinds.push(Reference(u32::try_from(between.len()).unwrap() + 1));
        let references: Vec<usize> = (1..kinds.len() - 1)
            .filter(|at| matches!(kinds[*at], Reference(_)))
            .collect();
        let at = references[lost.index(references.len())];
        kinds.remove(at);
        prop_assert_eq!(missing(&sps, &kinds), vec![at]);
    }
}

/// An intra slice that is no IDR, with four bits of number, and what follows it.
fn open_key(number: u32, rest: &[u8]) -> Vec<u8> {
    let slice = Written::default().ue(0).ue(7).ue(0).bits(4, number);
    let bits = rest
        .iter()
        .fold(slice, |slice, byte| slice.bits(8, u32::from(*byte)));
    let plain = bits.unit(0x61);
    let mut unit = vec![plain[0]];
    push_with_prevention(&mut unit, &plain[1..]);
    unit
}

fn with_start(unit: &[u8]) -> Vec<u8> {
    [&[0, 0, 1], unit].concat()
}

proptest! {
    /// Whatever stands behind the number: nothing else of a picture changes, and it looks like no
    /// other unit.
    #[test]
    fn a_group_is_counted_from_zero_and_nothing_else_of_it_changes(
        first in 1_u32..16,
        ahead in 0_u32..16,
        rest in proptest::collection::vec(prop_oneof![Just(0_u8), 0..4_u8, any::<u8>()], 0..90),
    ) {
        let mut numbers = FrameNumbers::default();
        let sets = [sequence(false, true), parameters()];
        numbers.heed(sets.iter().map(Vec::as_slice), true);
        let key = with_start(&open_key(first, &[0x5a]));
        let counted = Renumbering::of(&numbers, &key);
        let picture = open_key((first + ahead) % 16, &rest);
        let told = counted.of_picture(&numbers, &with_start(&picture)).unwrap();
        let units: Vec<&[u8]> = nal_units(&told).collect();
        prop_assert_eq!(units, [&open_key(ahead, &rest)[..]]);
        // As in files: what prevents start codes changes the length.
        for size in [2, 4] {
            let framed = |unit: &[u8]| {
                let length = u32::try_from(unit.len()).unwrap().to_be_bytes();
                [&length[4 - size..], unit].concat()
            };
            let told = counted.of_picture_in(&numbers, &framed(&picture), Some(size));
            prop_assert_eq!(told, Some(framed(&open_key(ahead, &rest))));
        }
    }
}

#[test]
fn a_key_picture_behind_a_gap_misses_nothing_and_the_gap_is_known() {
    let mut numbers = FrameNumbers::default();
    let sets = [sequence(false, true), parameters()];
    numbers.heed(sets.iter().map(Vec::as_slice), true);
    let mut heed = |unit: &[u8], is_key| numbers.heed(std::iter::once(unit), is_key);
    heed(&slice(Key), true);
    heed(&slice(Reference(1)), false);
    for (number, left_out) in [(2, 0), (7, 4), (8, 0), (1, 8)] {
        let told = heed(&open_key(number, &[0x5a]), true);
        assert_eq!((told.number, told.left_out), (Some(number), left_out));
        assert!(!told.misses_one && !told.begins_anew, "{number}");
    }
    assert_eq!(heed(&slice(Key), true).left_out, 0);
}

#[test]
fn a_group_that_is_closed_or_refreshed_slowly_is_left_as_it_came() {
    let mut numbers = FrameNumbers::default();
    let sets = [sequence(false, true), parameters()];
    numbers.heed(sets.iter().map(Vec::as_slice), true);
    let recovery_after_three = [0x06, 6, 1, 0b0010_0100, 0x80];
    let open = with_start(&open_key(3, &[0x5a]));
    let slow = [with_start(&recovery_after_three), open.clone()].concat();
    for key in [
        with_start(&slice(Key)),
        with_start(&slice(Reference(3))),
        slow,
    ] {
        let counted = Renumbering::of(&numbers, &key);
        assert_eq!(counted.of_picture(&numbers, &open), None, "{key:?}");
    }
    assert!(
        Renumbering::of(&numbers, &open)
            .of_picture(&numbers, &open)
            .is_some()
    );
}
