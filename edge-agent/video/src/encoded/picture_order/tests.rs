use super::*;
use crate::encoded::bits::push_with_prevention;
use proptest::prelude::*;

/// Bits as text, and what is left of them once the list has been read.
fn listed(text: &str, earlier: &[Listed], is_in_slice: bool) -> Option<Listed> {
    let bits: Vec<u8> = text.bytes().filter(|bit| b"01".contains(bit)).collect();
    let bytes = bits.chunks(8).map(|eight| {
        let byte = eight
            .iter()
            .fold(0_u8, |byte, bit| byte << 1 | (bit - b'0'));
        byte << (8 - eight.len())
    });
    let unit: Vec<u8> = [0, 0].into_iter().chain(bytes).collect();
    Listed::read(&mut Bits::of_nal(&unit, 2), earlier, is_in_slice)
}

#[test]
fn lists_are_read_by_themselves_and_from_one_another() {
    // Two before (1, then 3 further), one after (2).
    let first = listed("011 010  1 1  011 0  010 1", &[], false).unwrap();
    let expected = Listed {
        before: vec![-1, -4],
        after: vec![2],
    };
    assert_eq!(first, expected);
    // From it, shifted by -1, all kept: 1 → -2, -4 → -5, 2 → 1, and itself -1.
    let earlier = [first];
    let second = listed("1 1 1  1 1 1 1", &earlier, false).unwrap();
    let expected = Listed {
        before: vec![-1, -2, -5],
        after: vec![1],
    };
    assert_eq!(second, expected);
    // In a slice: the one before the last, shifted by 3, the middle one not kept.
    let earlier = [earlier[0].clone(), Listed::default()];
    let third = listed("1 010 0 011  1 00 01 1", &earlier, true).unwrap();
    let expected = Listed {
        before: vec![],
        after: vec![2, 3, 5],
    };
    assert_eq!(third, expected);
}

/// Bits of a unit, as an encoder writes them.
#[derive(Clone, Default)]
struct Written(Vec<bool>);

impl Written {
    fn bits(mut self, count: u32, value: u32) -> Self {
        let bits = (0..count).rev().map(|at| value >> at & 1 == 1);
        self.0.extend(bits);
        self
    }

    fn ue(self, value: u32) -> Self {
        let length = (value + 1).ilog2();
        self.bits(length, 0).bits(length + 1, value + 1)
    }

    fn ues(self, values: &[u32]) -> Self {
        values.iter().fold(self, |written, it| written.ue(*it))
    }

    /// With what follows in whole bytes; where nothing does, with the bit that ends it.
    fn unit(self, kind: u8, layer: u8, rest: &[u8]) -> Vec<u8> {
        let bits = if rest.is_empty() {
            self.bits(1, 1).0
        } else {
            self.0
        };
        let bytes = bits.chunks(8).map(|eight| {
            let byte = eight
                .iter()
                .fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
            byte << (8 - eight.len())
        });
        let plain: Vec<u8> = bytes.chain(rest.iter().copied()).collect();
        let mut unit = vec![kind << 1, layer];
        push_with_prevention(&mut unit, &plain);
        unit
    }
}

/// 160×128, of which eight bits say when a picture is shown, and so many sub-layers above the
/// first.
fn sequence(layers: u32) -> Vec<u8> {
    let sps = Written::default().bits(4, 0).bits(3, layers).bits(1, 1);
    let sps = [0x5555_5555; 3]
        .iter()
        .fold(sps, |sps, it| sps.bits(32, *it));
    // Neither profile nor level of any of them.
    let sps = if layers > 0 { sps.bits(16, 0) } else { sps };
    let sps = sps.ues(&[0, 1, 160, 128]).bits(1, 0).ues(&[0, 0, 4]);
    // Once for all of them.
    let sps = sps.bits(1, 0).ues(&[4, 2, 0]).ues(&[0, 3, 0, 3, 0, 0]);
    sps.bits(1, 0)
        .bits(2, 3)
        .bits(1, 0)
        .ue(0)
        .bits(5, 2)
        .unit(SPS, 1, &[])
}

fn parameters(extra_bits: u32) -> Vec<u8> {
    let pps = Written::default().ues(&[0, 0]).bits(2, 0);
    pps.bits(3, extra_bits).bits(8, 0x5a).unit(PPS, 1, &[])
}

/// The first slice of a picture that is shown at `order`, and lists these.
fn slice(kind: u8, order: i32, listed: &[i32], extra_bits: u32) -> Vec<u8> {
    let slice = Written::default().bits(1, 1);
    let slice = slice.bits(u32::from(kind >= BLA_W_LP), 0).ue(0);
    let slice = slice.bits(extra_bits, 0b101).ue(1);
    if matches!(kind, IDR_W_RADL | IDR_N_LP) {
        return slice.unit(kind, 1, &[]);
    }
    let low = u32::try_from(order.rem_euclid(256)).unwrap();
    let slice = slice.bits(8, low).bits(1, 0);
    let sides: [Vec<u32>; 2] = [-1, 1].map(|side| {
        let of_side = listed.iter().map(|it| it * side).filter(|it| *it > 0);
        of_side.map(i32::unsigned_abs).collect()
    });
    let counts = sides.iter().map(|side| u32::try_from(side.len()).unwrap());
    let slice = slice.ues(&counts.collect::<Vec<_>>());
    let slice = sides.iter().fold(slice, |slice, side| {
        let from = std::iter::once(&0).chain(side);
        let steps = from.zip(side).map(|(from, to)| to - from - 1);
        steps.fold(slice, |slice, step| slice.ue(step).bits(1, 1))
    });
    slice.unit(kind, 1, &[])
}

const TRAIL: u8 = 1;
/// Nobody of its layer refers to it.
const TRAIL_N: u8 = 0;
const RASL: u8 = 8;

fn order_of(sets: &[Vec<u8>; 2]) -> PictureOrder {
    let mut order = PictureOrder::default();
    order.heed(sets.iter().map(Vec::as_slice));
    order
}

/// Which of these pictures (kind, order, what it lists) count on one that never came.
fn missing(sent: &[(u8, i32, &[i32])]) -> Vec<usize> {
    let mut order = order_of(&[sequence(0), parameters(0)]);
    let mut missing = Vec::new();
    for (at, (kind, shown, listed)) in sent.iter().enumerate() {
        let unit = slice(*kind, *shown, listed, 0);
        if order.heed(std::iter::once(&unit[..])).misses_one {
            missing.push(at);
        }
    }
    missing
}

#[test]
fn a_key_picture_misses_what_it_lists_and_never_came() {
    let whole: &[(u8, i32, &[i32])] = &[
        (IDR_N_LP, 0, &[]),
        (TRAIL, 4, &[-4]),
        (TRAIL_N, 2, &[-2, 2]),
        (CRA, 8, &[-4, -8]),
        (RASL, 6, &[-2, 2]),
        (CRA, 300, &[]),
    ];
    assert_eq!(missing(whole), [0; 0]);
    let without = |lost: usize| {
        let mut sent = whole.to_vec();
        sent.remove(lost);
        missing(&sent)
    };
    assert_eq!(without(1), [2]);
    assert_eq!(without(2), [0; 0]);
    // Who came in the middle has not seen what was before.
    assert_eq!(missing(&whole[1..]), [2]);
    // And who begins with it counts on nothing.
    assert_eq!(missing(&whole[3..]), [0; 0]);
}

/// One that is kept for long was taken for lost once 32 others had come.
#[test]
fn what_each_picture_lists_is_kept_however_many_come() {
    let mut sent = vec![(IDR_N_LP, 0, vec![])];
    sent.extend((1..60).map(|at| (TRAIL, at, if at == 1 { vec![-1] } else { vec![-1, -at] })));
    sent.push((CRA, 60, vec![-60]));
    let kept: Vec<_> = sent
        .iter()
        .map(|(kind, at, of)| (*kind, *at, &of[..]))
        .collect();
    assert_eq!(missing(&kept), [0; 0]);
    // And what one in between does not list is gone.
    let mut gone = kept;
    gone[30].2 = &[-1];
    assert_eq!(missing(&gone), [60]);
}

#[test]
fn of_other_layers_and_reserved_kinds_nothing_is_taken() {
    let mut order = order_of(&[sequence(0), parameters(3)]);
    let mut heed = |unit: &[u8]| order.heed(std::iter::once(unit));
    let idr = heed(&slice(IDR_W_RADL, 0, &[], 3));
    assert!(idr.begins_anew && !idr.misses_one);
    // It is shown before its key picture, and needs nothing else.
    assert!(heed(&slice(RADL_N, 255, &[1], 3)).leads_alone);
    heed(&slice(TRAIL, 1, &[-1], 3));
    // A picture of another layer, one of a kind that there is not, and a set of the other layer
    // by which no slice could be read.
    for (kind, first, second) in [(TRAIL, 0, 1 << 3 | 1), (24, 0, 1), (TRAIL, 1, 1)] {
        let mut unit = slice(TRAIL, 2, &[-1], 3);
        (unit[0], unit[1]) = (kind << 1 | first, second);
        assert_eq!(heed(&unit), Placed::default(), "{kind} {first} {second}");
    }
    assert!(heed(&slice(CRA, 3, &[-1], 3)).misses_one);
    let mut other = parameters(0);
    other[1] = 1 << 3 | 1;
    heed(&other);
    assert!(!heed(&slice(CRA, 4, &[-1], 3)).misses_one);
    assert!(heed(&slice(CRA, 6, &[-1], 3)).misses_one);
}

#[test]
fn a_set_that_cannot_be_read_leaves_nothing_known() {
    for bad in [vec![SPS << 1, 1, 0xff], vec![PPS << 1, 1, 0]] {
        let mut order = order_of(&[sequence(0), parameters(0)]);
        order.heed(std::iter::once(&slice(IDR_N_LP, 0, &[], 0)[..]));
        order.heed(std::iter::once(&bad[..]));
        let placed = order.heed(std::iter::once(&slice(CRA, 9, &[-1], 0)[..]));
        assert_eq!(placed, Placed::default());
    }
}

/// A stream that never forgets, and what counts backwards: a picture that was far enough from
/// the first one stopped the program where sums are checked.
#[test]
fn what_is_shown_goes_round() {
    for last in [i32::MIN, i32::MIN + 3, i32::MAX - 1, -1] {
        let mut order = order_of(&[sequence(0), parameters(0)]);
        (order.last, order.kept) = (Some(last), vec![last]);
        let next = last.wrapping_add(2);
        for (shown, listed) in [(next, vec![-2]), (next.wrapping_add(2), vec![-2, -4])] {
            let unit = slice(CRA, shown, &listed, 0);
            let placed = order.heed(std::iter::once(&unit[..]));
            assert!(!placed.misses_one, "{last}");
            assert_eq!(order.last, Some(shown));
        }
    }
}

/// A picture in the tests below: what is before its header's own fields is in order.
fn wild() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![0..10_u8, 16..22_u8, 0..64_u8];
    let rest = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..90),
        proptest::collection::vec(
            prop_oneof![Just(0_u8), Just(3), Just(0xff), any::<u8>()],
            0..90
        ),
    ];
    (kind, 1..4_u8, rest, 0..9_u32).prop_map(|(kind, layer, rest, low)| {
        let first = Written::default().bits(1, 1);
        let first = first.bits(u32::from(kind >= BLA_W_LP), 0).ue(0).ue(1);
        // It says itself what is kept.
        first
            .bits(8, low << 5 & 255)
            .bits(1, 0)
            .unit(kind, layer, &rest)
    })
}

proptest! {
    #[test]
    fn no_units_are_too_wild(
        units in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..90), 0..9),
    ) {
        let mut order = PictureOrder::default();
        order.heed(units.iter().map(Vec::as_slice));
    }

    /// Behind parameters that hold: each slice is read as far as its bits make sense.
    #[test]
    fn no_slice_is_too_wild(
        layers in 0..7_u32,
        units in proptest::collection::vec(wild(), 1..60),
        last in prop_oneof![Just(None), any::<i32>().prop_map(Some)],
    ) {
        let mut order = order_of(&[sequence(layers), parameters(0)]);
        prop_assert!(order.sequences.len() == 1 && order.pictures.len() == 1);
        order.last = last;
        for unit in &units {
            order.heed(std::iter::once(&unit[..]));
            prop_assert!(order.kept.len() <= MOST_LISTED as usize + 1);
            prop_assert!(order.sequences.len() <= SEQUENCES as usize);
            prop_assert!(order.pictures.len() <= PICTURES as usize);
        }
    }

    /// Sets of which a part is another, up to the lists.
    #[test]
    fn no_set_is_too_wild(
        layers in 0..7_u32,
        keep in 0..40_usize,
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let sps = sequence(layers);
        let set = [&sps[..keep.min(sps.len())], &rest].concat();
        let mut order = order_of(&[set, parameters(0)]);
        let most = order.sequences.values().flat_map(|it| &it.lists).map(Listed::len).max();
        prop_assert!(most.unwrap_or(0) <= MOST_LISTED as usize);
        order.heed(std::iter::once(&slice(TRAIL, 1, &[-1], 0)[..]));
        order.heed(std::iter::once(&slice(CRA, 2, &[-1], 0)[..]));
    }
}
