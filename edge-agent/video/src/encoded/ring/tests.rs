use super::super::cut::{Cut, Shortfall, cut};
use super::*;
use proptest::prelude::*;

const LIMITS: RingLimits = RingLimits {
    seconds: 4.0,
    bytes: 1 << 20,
    album: None,
};
const PICTURE: i64 = 100_000;

fn time(picture: i64) -> EventTime {
    EventTime::from_micros(1_795_000_000_000_000 + picture * PICTURE)
}

/// A JPEG of this size, `length` bytes long.
fn jpeg(width: u8, length: usize) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0, 48, 0, width];
    bytes.resize(length.max(bytes.len()), 7);
    bytes
}

/// Parameter sets of x264 for 320×240 and a picture of `kind`, with an SEI before it.
fn h264(kind: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    if kind == 5 {
        bytes.extend_from_slice(&SETS);
    }
    bytes.extend_from_slice(&[0, 0, 1, 6, 5, 1, 9, 0x80, 0, 0, 1, kind]);
    bytes.resize(bytes.len() + length, 0xaa);
    bytes
}

const SETS: [u8; 33] = [
    0, 0, 0, 1, 0x67, 0x42, 0xc0, 0x0d, 0xd9, 0x01, 0x41, 0xfb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0x20, 0, 0, 1, 0x68, 0xcb, 0x83, 0xcb, 0x20, 0x11,
];

/// Pushes pictures `of`, a key picture each ten.
fn push(ring: &Ring, of: std::ops::Range<i64>) {
    for n in of {
        let bytes = h264(if n % 10 == 0 { 5 } else { 1 }, 100);
        let stamp = (time(n), TimeQuality::Arrival);
        ring.push(Codec::H264, &bytes, Some(n * PICTURE), stamp);
    }
}

fn numbers(cut: &Cut) -> Option<(u64, u64)> {
    Some((cut.units.first()?.number, cut.units.last()?.number))
}

/// Every picture, also one of which more may come.
fn all(ring: &Ring) -> Vec<AccessUnit> {
    let kept = ring.kept();
    kept.units.iter().map(|held| held.unit.clone()).collect()
}

/// As evidence is taken: around `at`, by the clock of then.
fn cut_of(ring: &Ring, from: i64, to: i64, at: i64) -> Cut {
    let clock = ring.clock_of(time(at));
    let units = ring.since(None, time(from), clock);
    // What came before shows whether the stream was torn.
    let before = ring.since(None, EventTime::from_micros(i64::MIN), clock);
    let whole = cut(&before, time(from), time(to), time(at));
    let taken = cut(&units, time(from), time(to), time(at));
    assert_eq!(numbers(&taken), numbers(&whole));
    whole
}

/// Pushes pictures `of`, of a box whose clock is `ahead` pictures ahead, and of
/// which a decoder stamps each when the next `late` have come.
fn push_by(ring: &Ring, of: std::ops::Range<i64>, ahead: i64, late: i64) {
    for n in of {
        let bytes = h264(if n % 10 == 0 { 5 } else { 1 }, 100);
        let stamp = |n: i64| (time(n + ahead), TimeQuality::Arrival);
        ring.push(Codec::H264, &bytes, Some(n * PICTURE), stamp(n));
        let (time, quality) = stamp(n - late);
        ring.stamp((n - late) * PICTURE, time, quality);
    }
}

#[test]
fn a_clip_begins_with_the_key_picture_before_what_was_asked() {
    let ring = Ring::new(LIMITS);
    push(&ring, 0..40);
    let cut = cut_of(&ring, 13, 25, 20);
    assert_eq!(numbers(&cut), Some((10, 25)));
    assert!(cut.units[0].is_key && cut.shortfalls.is_empty());
}

#[test]
fn what_is_not_there_is_said() {
    let ring = Ring::new(LIMITS);
    push(&ring, 20..40);
    let check = |from, to, at, wanted: &[Shortfall]| {
        let cut = cut_of(&ring, from, to, at);
        assert_eq!(cut.shortfalls, wanted, "{from} to {to} around {at}");
        cut
    };
    check(5, 30, 25, &[Shortfall::BeganLate]);
    check(22, 60, 25, &[Shortfall::BrokeOff]);
    // A key picture's distance is no shortfall, and neither is a second.
    check(11, 38, 25, &[]);
    ring.interrupt();
    push(&ring, 60..80);
    check(25, 70, 65, &[Shortfall::CameLate]);
    check(25, 70, 39, &[Shortfall::BrokeOff]);
    let empty = Ring::new(LIMITS);
    assert_eq!(cut_of(&empty, 0, 9, 5).shortfalls, [Shortfall::Nothing]);
}

#[test]
fn a_clip_never_goes_over_a_break() {
    let ring = Ring::new(LIMITS);
    push(&ring, 0..15);
    ring.interrupt();
    push(&ring, 15..20);
    // The new connection has shown no key picture: nothing of it can be decoded.
    assert_eq!(ring.state().pictures, 15);
    push(&ring, 20..30);
    let cut = cut_of(&ring, 5, 28, 22);
    assert_eq!(
        cut.units[0].run,
        cut.units.last().map_or(0, |unit| unit.run)
    );
    assert_eq!(cut.units.len(), 9);
}

#[test]
fn a_picture_in_pieces_is_one_and_keeps_every_piece() {
    let ring = Ring::new(LIMITS);
    let stamp = (time(0), TimeQuality::Rtcp);
    // Parameter sets by themselves, as from the session's description; then a
    // picture of two slices, each with parameter sets before it, the second
    // without a time.
    ring.push(Codec::H264, &SETS, None, stamp);
    ring.push(Codec::H264, &h264(5, 50), Some(0), stamp);
    ring.push(Codec::H264, &h264(5, 60), None, stamp);
    ring.push(Codec::H264, &h264(1, 70), Some(PICTURE), stamp);
    let units = all(&ring);
    assert_eq!(units.len(), 2);
    assert_eq!(
        &units[0].bytes[..],
        [&SETS[..], &h264(5, 50), &h264(5, 60)].concat()
    );
    assert_eq!(
        ring.state().bytes,
        units.iter().map(|u| u.bytes.len()).sum::<usize>()
    );
}

/// A clip that was looked after between two pieces of a picture kept the first one
/// for good: half a picture, signed, whose own signature by the camera no longer held.
#[test]
fn a_picture_is_handed_out_when_it_is_whole_and_not_before() {
    let ring = Ring::new(LIMITS);
    let clock = RingClock::default();
    let handed = |after| {
        let units = ring.since(after, time(0), clock);
        let keys = ring.key_pictures(time(0), time(99), clock);
        let lengths: Vec<usize> = units.iter().map(|unit| unit.bytes.len()).collect();
        (lengths, keys.len(), ring.newest(clock))
    };
    let (first, second) = (h264(5, 50), h264(5, 60));
    let whole = first.len() + second.len();
    let stamp = |n| (time(n), TimeQuality::Rtcp);
    ring.push(Codec::H264, &first, Some(0), stamp(0));
    assert_eq!(handed(None), (vec![], 0, None));
    ring.push(Codec::H264, &second, None, stamp(0));
    assert_eq!(handed(None), (vec![], 0, None));
    // The next one has begun.
    ring.push(Codec::H264, &h264(1, 70), Some(PICTURE), stamp(1));
    assert_eq!(handed(None), (vec![whole], 1, Some(time(0))));
    assert_eq!(handed(Some(0)).0, [0; 0]);
    let last = h264(1, 70).len();
    ring.push(Codec::H264, &h264(1, 30), Some(PICTURE), stamp(1));
    // Nothing more comes on a connection that is over.
    ring.interrupt();
    let grown = last + h264(1, 30).len();
    assert_eq!(handed(Some(0)), (vec![grown], 1, Some(time(1))));
    // At the end of a file.
    ring.push(Codec::H264, &first, Some(0), stamp(5));
    assert_eq!(handed(Some(1)).0, [0; 0]);
    ring.end();
    assert_eq!(handed(Some(1)).0, [first.len()]);
}

/// A picture with a slice header of this type, after parameter sets if it `has_sets`
/// and a recovery point if it `has_point`.
fn slice(kind: u8, (has_sets, has_point): (bool, bool)) -> Vec<u8> {
    let mut bytes = if has_sets { SETS.to_vec() } else { Vec::new() };
    if has_point {
        // Behind a message of another type.
        bytes.extend_from_slice(&[0, 0, 1, 6, 5, 1, 9, 6, 1, 0xc4, 0x80]);
    }
    // `first_mb_in_slice` 0, and `slice_type` 5 to 7: P, B, I of the whole picture.
    let header = match kind {
        b'P' => 0b1001_1000,
        b'B' => 0b1001_1100,
        _ => 0b1000_1000,
    };
    let unit = if kind == b'K' { 5 } else { 1 };
    bytes.extend_from_slice(&[0, 0, 1, unit, header, 0x40, 9, 9]);
    bytes
}

/// The key pictures of a stream: `K` is IDR; small letters have no parameter sets
/// before them, `*` behind a letter is a recovery point before it.
fn keys_of(stream: &str) -> String {
    let ring = Ring::new(LIMITS);
    let letters = stream.as_bytes();
    let pictures = letters.iter().filter(|letter| **letter != b'*');
    let ends = letters[1..].iter().chain(b" ");
    let points = letters
        .iter()
        .zip(ends)
        .filter(|(letter, _)| **letter != b'*');
    for (n, (letter, (_, next))) in (0..).zip(pictures.zip(points)) {
        let sent = slice(
            letter.to_ascii_uppercase(),
            (letter.is_ascii_uppercase(), *next == b'*'),
        );
        ring.push(
            Codec::H264,
            &sent,
            Some(n * PICTURE),
            (time(n), TimeQuality::Rtcp),
        );
    }
    let letter = |unit: &AccessUnit| if unit.is_key { 'k' } else { '.' };
    all(&ring).iter().map(letter).collect()
}

/// Of a camera that says its parameters before every picture each one was a key
/// picture: clips began with what cannot be decoded, and there were no stills.
#[test]
fn parameter_sets_alone_make_no_key_picture_where_others_are() {
    for (stream, keys) in [
        ("KppKpp", "k..k.."),
        ("KPPKPP", "k..k.."),
        ("KBPP", "k..."),
        // Somebody came between two of them: what was before the first is nothing.
        ("PPPKPP", "k.."),
        // Intra pictures and recovery points are as good, with the parameters for them.
        ("KPIP", "k.k."),
        ("Kpip", "k..."),
        ("KPP*P", "k.k."),
        ("IpPpIp", "k...k."),
        // Cameras that refresh slowly send neither, and parameters now and then.
        ("PppPpp", "k..k.."),
        ("ppPpp", "k.."),
    ] {
        assert_eq!(keys_of(stream), keys, "{stream}");
    }
}

/// A group that does not fit was followed by pictures that had lost their key picture.
#[test]
fn after_a_group_that_is_too_large_parameter_sets_alone_begin_nothing() {
    let ring = Ring::new(RingLimits {
        bytes: 400,
        ..LIMITS
    });
    let push = |n, kind| {
        let bytes = slice(kind, (true, false));
        let stamp = (time(n), TimeQuality::Rtcp);
        ring.push(Codec::H264, &bytes, Some(n * PICTURE), stamp);
    };
    push(0, b'K');
    for n in 1..30 {
        push(n, b'P');
    }
    assert_eq!(ring.state().pictures, 0);
    push(30, b'K');
    push(31, b'P');
    assert_eq!(all(&ring).len(), 2);
    // Another camera may be behind the next connection.
    ring.interrupt();
    push(32, b'P');
    assert!(all(&ring)[2].is_key);
}

/// Slow refresh by slices: the first is intra and the next is not.
#[test]
fn a_picture_whose_later_slice_is_not_intra_is_no_key_picture() {
    let ring = Ring::new(LIMITS);
    let push = |n, kind| {
        let bytes = slice(kind, (true, false));
        ring.push(
            Codec::H264,
            &bytes,
            Some(n * PICTURE),
            (time(n), TimeQuality::Rtcp),
        );
    };
    let keys = || {
        all(&ring)
            .iter()
            .map(|unit| unit.is_key)
            .collect::<Vec<_>>()
    };
    push(0, b'I');
    push(0, b'P');
    assert_eq!(keys(), [false; 0], "nothing can begin with it");
    assert_eq!(ring.state().bytes, 0);
    push(1, b'K');
    push(1, b'K');
    push(2, b'I');
    push(2, b'I');
    push(3, b'I');
    push(3, b'B');
    assert_eq!(keys(), [true, true, false]);
}

#[test]
fn other_parameters_in_mid_stream_begin_a_run_and_the_same_again_do_not() {
    let ring = Ring::new(LIMITS);
    for (n, width) in [(0, 64), (1, 64), (2, 32), (3, 32)] {
        let stamp = (time(n), TimeQuality::Rtcp);
        ring.push(Codec::Mjpeg, &jpeg(width, 500), Some(n * PICTURE), stamp);
    }
    let runs: Vec<u64> = all(&ring).iter().map(|u| u.run).collect();
    assert_eq!(runs, [1, 1, 2, 2]);
    assert_eq!(ring.size(), Some((32, 48)));
}

#[test]
fn clips_of_overlapping_events_share_their_bytes() {
    let ring = Ring::new(LIMITS);
    push(&ring, 0..40);
    let (a, b) = (cut_of(&ring, 12, 30, 20), cut_of(&ring, 18, 38, 25));
    let shared = a
        .units
        .iter()
        .filter(|unit| {
            b.units
                .iter()
                .any(|other| Arc::ptr_eq(&unit.bytes, &other.bytes))
        })
        .count();
    assert_eq!(shared, 21, "pictures 10 to 30 are in both");
}

#[test]
fn a_group_larger_than_the_ring_leaves_nothing_that_cannot_be_decoded() {
    let ring = Ring::new(RingLimits {
        bytes: 1_000,
        ..LIMITS
    });
    let stamp = (time(0), TimeQuality::Rtcp);
    ring.push(Codec::H264, &h264(5, 400), Some(0), stamp);
    for n in 1..20 {
        ring.push(Codec::H264, &h264(1, 200), Some(n * PICTURE), stamp);
    }
    let state = ring.state();
    assert_eq!((state.bytes, state.pictures), (0, 0));
    assert!(state.pressed_out > 2);
    push(&ring, 30..33);
    assert!(all(&ring)[0].is_key);
}

/// An hour back, and the first event after it had one picture of an hour ago
/// for a clip, and no stills.
#[test]
fn a_clip_is_whole_whichever_way_the_clock_is_set_before_or_after_its_event() {
    const HOUR: i64 = 36_000;
    for (ahead, late) in [
        (-HOUR, 0),
        (-HOUR, 7),
        (HOUR, 0),
        (HOUR, 12),
        (-6, 3),
        (9, 12),
    ] {
        let ring = Ring::new(LIMITS);
        push_by(&ring, 0..24, 0, late);
        let kept = ring.since(None, time(0), ring.clock_of(time(12)));
        push_by(&ring, 24..40, ahead, late);
        // Decided after the step; it reaches back over it.
        let at = 37 + ahead;
        let after = cut_of(&ring, at - 20, at + 2, at);
        assert_eq!(numbers(&after), Some((10, 38)), "{ahead} {late}");
        assert_eq!(after.span(), Some((time(10 + ahead), time(38 + ahead))));
        assert_eq!(after.shortfalls, []);
        // Decided before it, and asked for afterwards; and while it waited.
        let before = cut_of(&ring, 2, 31, 5);
        assert_eq!(numbers(&before), Some((0, 31)), "{ahead} {late}");
        assert_eq!(before.span(), Some((time(0), time(31))));
        assert_eq!(before.shortfalls, []);
        let clock = RingClock::default();
        let rest = ring.since(kept.last().map(|unit| unit.number), time(0), clock);
        assert_eq!(rest.len(), 16);
        assert_eq!(rest[0].time, time(23));
        assert_eq!(ring.newest(clock), Some(time(38)));
        // And the ring is as long as before.
        assert!((ring.state().seconds - 3.9).abs() < 1e-6);
        push_by(&ring, 40..90, ahead, late);
        assert!(
            (4.0..5.1).contains(&ring.state().seconds),
            "{:?}",
            ring.state()
        );
    }
}

#[test]
fn a_clock_set_back_while_the_stream_was_lost_is_told_by_its_first_picture() {
    let ring = Ring::new(LIMITS);
    push_by(&ring, 0..20, 0, 0);
    ring.interrupt();
    push_by(&ring, 20..40, -600, 0);
    let cut = cut_of(&ring, -575, -562, -570);
    assert_eq!(numbers(&cut), Some((20, 38)));
    assert_eq!(
        cut_of(&ring, -600, -562, -570).shortfalls,
        [Shortfall::CameLate]
    );
    let before = cut_of(&ring, 5, 30, 15);
    assert_eq!(
        (numbers(&before), &before.shortfalls[..]),
        (Some((0, 19)), &[Shortfall::BrokeOff][..])
    );
}

/// A camera whose count begins anew shows no clock that was set.
#[test]
fn media_time_that_begins_anew_begins_a_run() {
    let ring = Ring::new(LIMITS);
    push(&ring, 100..120);
    for n in 120..140 {
        let bytes = h264(if n % 10 == 0 { 5 } else { 1 }, 100);
        let stamp = (time(n), TimeQuality::Arrival);
        ring.push(Codec::H264, &bytes, Some((n - 120) * PICTURE), stamp);
    }
    let cut = cut_of(&ring, 115, 135, 130);
    assert_eq!(
        (numbers(&cut), &cut.shortfalls[..]),
        (Some((20, 35)), &[][..])
    );
    assert_eq!(
        cut_of(&ring, 105, 135, 130).shortfalls,
        [Shortfall::CameLate]
    );
}

proptest! {
    /// However often a clock is set: what an event takes is one stream by the
    /// event's clock, each picture as far from the decision as it was taken.
    #[test]
    fn times_of_a_clip_are_the_events_clock(
        steps in proptest::collection::vec((1..30_i64, -40_000..40_000_i64), 1..6),
        which in any::<prop::sample::Index>(),
    ) {
        let ring = Ring::new(RingLimits { seconds: 600.0, ..LIMITS });
        let (mut n, mut told) = (0, Vec::new());
        for (length, ahead) in steps {
            push_by(&ring, n..n + length, ahead * 10, 0);
            told.extend((n..n + length).map(|n| (n, n + ahead * 10)));
            n += length;
        }
        let (at, shown) = told[which.index(told.len())];
        // Only if no other picture was given nearly that time by another clock.
        let is_apart = |&(n, time): &(i64, i64)| time - n == shown - at || (time - shown).abs() > 10;
        prop_assume!(told.iter().all(is_apart));
        let clock = ring.clock_of(time(shown));
        ring.end();
        let units = ring.since(None, time(shown - at), clock);
        prop_assert_eq!(i64::try_from(units.len()).unwrap(), n);
        for unit in units {
            prop_assert_eq!(unit.time, time(unit.media / PICTURE - at + shown));
        }
    }

    /// Whatever comes: bounds hold, and the oldest picture can be decoded.
    #[test]
    fn a_ring_holds_what_it_promises(
        groups in proptest::collection::vec((1..20_i64, 10..900_usize), 1..20),
        seconds in 1.0..6.0_f64,
        bytes in 2_000..40_000_usize,
    ) {
        let ring = Ring::new(RingLimits { seconds, bytes, album: None });
        let mut n = 0;
        for (length, size) in groups {
            for place in 0..length {
                let picture = h264(if place == 0 { 5 } else { 1 }, size);
                ring.push(Codec::H264, &picture, Some(n * PICTURE), (time(n), TimeQuality::Rtcp));
                n += 1;
                let state = ring.state();
                let units = all(&ring);
                prop_assert!(state.bytes <= bytes);
                prop_assert_eq!(state.bytes, units.iter().map(|u| u.bytes.len()).sum::<usize>());
                prop_assert!(units.first().is_none_or(|unit| unit.is_key));
                // As long as was asked, once so much has come, unless pressed out.
                let wanted = seconds.min((n - 1) as f64 * 0.1);
                prop_assert!(state.pressed_out > 0 || state.seconds >= wanted - 1e-6);
            }
        }
    }
}

/// A ring of four seconds with an album, through which key pictures of `length` bytes went.
fn with_album(album: AlbumLimits, seconds: i64, length: usize) -> Ring {
    let ring = Ring::new(RingLimits {
        album: Some(album),
        ..LIMITS
    });
    for n in 0..seconds * 10 {
        let bytes = jpeg(64, if n % 10 == 0 { length } else { 20 });
        ring.push(
            Codec::Mjpeg,
            &bytes,
            Some(n * PICTURE),
            (time(n), TimeQuality::Arrival),
        );
    }
    ring
}

const ALBUM: AlbumLimits = AlbumLimits {
    every: 5.0,
    seconds: 100.0,
    bytes: 1 << 20,
};

#[test]
fn what_leaves_the_ring_stays_in_the_album_a_picture_each_few_seconds() {
    let ring = with_album(ALBUM, 300, 1000);
    let state = ring.state();
    assert!(state.seconds < 6.0, "{state:?}");
    // A hundred seconds at five each.
    assert!((20..=22).contains(&state.album.pictures), "{state:?}");
    assert!((95.0..=105.0).contains(&state.album.seconds), "{state:?}");
    let keys = ring.key_pictures(time(2200), time(2800), RingClock::default());
    let apart = keys
        .windows(2)
        .map(|pair| pair[1].time.since(pair[0].time).0);
    assert!(apart.clone().all(|s| s >= 4.9), "{keys:?}");
    assert!(keys.len() >= 11, "{}", keys.len());
    // The newest are the ring's, and none twice.
    let newest = ring.key_pictures(time(2950), time(3000), RingClock::default());
    assert!(newest.len() >= 4 && newest.windows(2).all(|p| p[0].number < p[1].number));
}

#[test]
fn an_album_that_is_short_of_bytes_gets_thinner_and_not_shorter() {
    let ring = with_album(
        AlbumLimits {
            bytes: 8_000,
            ..ALBUM
        },
        300,
        1000,
    );
    let state = ring.state().album;
    assert!(state.bytes <= 8_000, "{state:?}");
    assert!((6..=8).contains(&state.pictures), "{state:?}");
    assert!(state.seconds > 80.0, "{state:?}");
}

/// An hour forward took every picture of the album with it, and an hour back all that
/// had been taken before: stills of a dwell over the step were "not kept".
#[test]
fn an_album_survives_a_clock_that_is_set_and_tells_its_times_by_the_events_clock() {
    const HOUR: i64 = 36_000;
    for ahead in [HOUR, -HOUR, 20, -20] {
        let ring = Ring::new(RingLimits {
            album: Some(ALBUM),
            ..LIMITS
        });
        push_by(&ring, 0..400, 0, 0);
        push_by(&ring, 400..800, ahead, 0);
        let state = ring.state().album;
        assert!((13..=16).contains(&state.pictures), "{ahead}: {state:?}");
        assert!((70.0..=76.0).contains(&state.seconds), "{ahead}: {state:?}");
        // Decided after the step, of a dwell from before it.
        let clock = ring.clock_of(time(790 + ahead));
        let keys = ring.key_pictures(time(ahead), time(ahead + 300), clock);
        assert!(keys.len() >= 6, "{ahead}: {}", keys.len());
        let shown = |unit: &AccessUnit| time(unit.media / PICTURE + ahead);
        assert!(keys.iter().all(|unit| unit.time == shown(unit)), "{ahead}");
        let before = ring.key_pictures(time(0), time(300), RingClock::default());
        assert_eq!(before.len(), keys.len());
    }
}

proptest! {
    #[test]
    fn an_album_never_exceeds_its_bytes_and_keeps_order(
        sizes in proptest::collection::vec(11..400_usize, 1..150),
        bytes in 0..3000_usize,
        every in 0.0..2.0_f64,
    ) {
        let album = AlbumLimits { every, seconds: 8.0, bytes };
        let ring = Ring::new(RingLimits { seconds: 0.5, bytes: 1 << 20, album: Some(album) });
        for (n, size) in (0..).zip(&sizes) {
            let stamp = (time(n), TimeQuality::Arrival);
            ring.push(Codec::Mjpeg, &jpeg(64, *size), Some(n * PICTURE), stamp);
            let state = ring.state().album;
            prop_assert!(state.bytes <= bytes && state.seconds <= 8.0);
        }
        let keys = ring.key_pictures(time(-1), time(1000), RingClock::default());
        prop_assert!(keys.windows(2).all(|pair| pair[0].time < pair[1].time));
    }
}

/// A relay hands out once more what it sent before the connection was lost.
#[test]
fn pictures_are_handed_out_when_it_is_known_when_they_were_taken() {
    for ahead in [0, -600] {
        let ring = Ring::new(LIMITS);
        push(&ring, 0..20);
        ring.interrupt();
        // All of them come in the place of 25, and so they are timed at first.
        let come = |n: i64| Taken {
            time: time(25 + ahead),
            quality: TimeQuality::Arrival,
            own: None,
            is_provisional: n <= 25,
        };
        for n in 10..=25 {
            let bytes = h264(if n % 10 == 0 { 5 } else { 1 }, 100);
            ring.push(Codec::H264, &bytes, Some(n * PICTURE), come(n));
        }
        assert_eq!(ring.newest_number(), Some(19));
        assert!(!ring.wait_beyond(Some(19), Duration::ZERO));
        ring.date(
            24 * PICTURE,
            (time(24 + ahead), TimeQuality::Arrival).into(),
        );
        assert!(ring.wait_beyond(Some(19), Duration::ZERO));
        let cut = cut_of(&ring, 12 + ahead, 24 + ahead, 22 + ahead);
        assert_eq!(numbers(&cut), Some((20, 20 + 14)), "{ahead}");
        assert_eq!(cut.span(), Some((time(10 + ahead), time(24 + ahead))));
        // One that never comes to the present leaves nothing.
        ring.interrupt();
        ring.push(Codec::H264, &h264(5, 100), Some(0), come(0));
        ring.push(Codec::H264, &h264(1, 100), Some(PICTURE), come(1));
        let before = ring.state();
        ring.interrupt();
        assert_eq!(ring.state().pictures, before.pictures - 2);
        assert!(ring.state().bytes < before.bytes);
    }
}
