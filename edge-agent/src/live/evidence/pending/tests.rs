use edge_video::encoded::{Codec, RingLimits};
use protocol::TimeQuality;

use super::*;

/// Bytes of each picture.
const PICTURE: usize = 1000;

fn at(second: f64) -> EventTime {
    EventTime::from_micros(1_795_000_000_000_000) + Seconds(second)
}

fn ring() -> Ring {
    Ring::new(RingLimits {
        seconds: 30.0,
        bytes: 1 << 20,
        album: None,
    })
}

/// JPEG pictures, ten a second, by a clock that is `ahead` of media time, s.
fn push(ring: &Ring, pictures: std::ops::Range<u32>, ahead: f64) {
    for n in pictures {
        let mut jpeg = vec![0xff, 0xd8, 0xff, 0xc0, 0, 17, 8, 0, 48, 0, 64];
        jpeg.resize(PICTURE, 7);
        let media = i64::from(n) * 100_000;
        let time = at(f64::from(n) / 10.0 + ahead);
        ring.push(
            Codec::Mjpeg,
            &jpeg,
            Some(media),
            (time, TimeQuality::Arrival),
        );
    }
}

/// What is taken for a clip of a decision at 5.0 s, while the ring goes on after
/// the 60th picture, by a clock that was set by `set` s then.
fn taken(ring: &Ring, most: usize, set: f64) -> Cut {
    let asked = Span {
        from: at(2.0),
        to: at(9.0),
    };
    let (mut taken, decided) = (Taken::default(), at(5.0));
    push(ring, 0..60, 0.0);
    taken.take_in(ring, decided, &asked, most);
    push(ring, 60..120, set);
    taken.take_in(ring, decided, &asked, most);
    taken.cut(&asked, decided)
}

/// A clip that our own bound had ended said, signed, that the camera's stream
/// was lost: a fault of the camera's that never was.
#[test]
fn a_clip_that_grew_too_large_says_so_and_blames_no_stream() {
    let cut = taken(&ring(), 50 * PICTURE, 0.0);
    assert_eq!(cut.shortfalls, [Shortfall::TooLarge]);
    let bytes: usize = cut.units.iter().map(|unit| unit.bytes.len()).sum();
    assert_eq!(bytes, 50 * PICTURE, "never more than it may be");
    assert_eq!(cut.span(), Some((at(2.0), at(6.9))));
    // Without the bound it is whole; one that would be reached later ends nothing.
    for most in [71, 1000] {
        let cut = taken(&ring(), most * PICTURE, 0.0);
        assert_eq!(
            (cut.shortfalls.len(), cut.span()),
            (0, Some((at(2.0), at(9.0))))
        );
    }
    // A stream that was lost before the bound is.
    let broken = ring();
    push(&broken, 0..60, 0.0);
    let asked = Span {
        from: at(2.0),
        to: at(9.0),
    };
    let mut lost = Taken::default();
    lost.take_in(&broken, at(5.0), &asked, 50 * PICTURE);
    assert_eq!(lost.cut(&asked, at(5.0)).shortfalls, [Shortfall::BrokeOff]);
}

#[test]
fn a_clock_that_is_set_while_a_clip_is_waited_for_does_not_end_it() {
    for set in [-3600.0, -2.0, 2.0, 3600.0] {
        let cut = taken(&ring(), 1000 * PICTURE, set);
        assert_eq!(cut.span(), Some((at(2.0), at(9.0))), "by {set} s");
        assert_eq!(cut.shortfalls, []);
    }
}
