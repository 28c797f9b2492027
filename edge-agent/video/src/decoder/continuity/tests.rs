use super::*;

const PICTURE: i64 = 40_000;

fn key(n: i64) -> Sent {
    Sent {
        media: Some(n * PICTURE),
        is_key: true,
        told: Told {
            is_reference: true,
            ..Told::default()
        },
        ..Sent::default()
    }
}

fn next(n: i64) -> Sent {
    Sent {
        is_key: false,
        ..key(n)
    }
}

fn torn(sent: Sent) -> Sent {
    Sent {
        is_torn: true,
        ..sent
    }
}

fn missing(sent: Sent) -> Sent {
    let told = Told {
        misses_one: true,
        ..sent.told
    };
    Sent { told, ..sent }
}

/// Pictures of a stream with a key picture each `gop`, as `change` has them.
fn stream(pictures: i64, gop: i64, change: impl Fn(i64, Sent) -> Sent) -> Vec<Sent> {
    let one = |n| if n % gop == 0 { key(n) } else { next(n) };
    (0..pictures).map(|n| change(n, one(n))).collect()
}

/// The media times of those that are broken, as numbers of pictures.
fn broken(sent: impl IntoIterator<Item = Sent>) -> Vec<i64> {
    let mut run = Run::default();
    let broken = sent.into_iter().filter(|sent| run.sent(*sent).is_broken);
    broken.map(|sent| sent.media.unwrap() / PICTURE).collect()
}

#[test]
fn what_follows_a_loss_is_broken_up_to_the_next_key_picture() {
    for hurt in [torn, missing] {
        let sent = stream(150, 50, |n, sent| if n == 60 { hurt(sent) } else { sent });
        assert_eq!(broken(sent), (60..100).collect::<Vec<_>>());
    }
    assert_eq!(broken(stream(150, 50, |_, sent| sent)), [0; 0]);
}

#[test]
fn a_key_picture_after_a_loss_is_believed_where_somebody_would_say_what_it_lacks() {
    let hurt = |is_key_doubted| {
        broken(stream(90, 30, |n, sent| match n {
            30 => Sent {
                is_key_doubted,
                ..torn(sent)
            },
            _ => sent,
        }))
    };
    assert_eq!(hurt(false), [0; 0]);
    assert_eq!(hurt(true), (30..60).collect::<Vec<_>>());
}

#[test]
fn a_stream_without_key_pictures_is_believed_again_after_some_seconds() {
    let sent = stream(500, 10_000, |n, sent| match n {
        100 | 120 => missing(sent),
        _ => sent,
    });
    assert_eq!(broken(sent), (100..220).collect::<Vec<_>>());
}

/// Encoders as they come send a key picture in ten seconds.
#[test]
fn where_key_pictures_come_regularly_the_next_one_is_waited_for() {
    let sent = stream(
        1_000,
        250,
        |n, sent| if n == 510 { missing(sent) } else { sent },
    );
    assert_eq!(broken(sent), (510..750).collect::<Vec<_>>());
}

#[test]
fn what_is_shown_before_an_open_key_picture_may_refer_to_what_was_lost() {
    let sent = [
        key(0),
        next(1),
        missing(next(4)),
        next(3),
        key(8),
        next(6),
        next(7),
        next(9),
    ];
    assert_eq!(broken(sent), [4, 3, 6, 7]);
    let whole = [
        key(0),
        next(1),
        next(4),
        next(3),
        key(8),
        next(6),
        next(7),
        next(9),
    ];
    assert_eq!(broken(whole), [0; 0]);
}

#[test]
fn a_slow_refresh_has_recovered_when_it_says_so() {
    let sent = stream(90, 10_000, |n, mut sent| {
        if n == 40 {
            sent.is_key = true;
            sent.told.recovers_after = Some(20);
        }
        if n == 30 { missing(sent) } else { sent }
    });
    assert_eq!(broken(sent), (30..60).collect::<Vec<_>>());
}

/// A key picture of H.264 that forgets nothing, as x264 sends it.
fn open_key(n: i64) -> Sent {
    let told = Told {
        number: Some(7),
        is_sure_beginning: true,
        recovers_after: Some(0),
        ..key(n).told
    };
    Sent { told, ..key(n) }
}

/// Who is sent behind a key picture and refers to what is not there, and with which decoding
/// begins anew.
fn led(sent: impl IntoIterator<Item = Sent>) -> (Vec<(i64, Leads)>, Vec<i64>) {
    let mut run = Run::default();
    let (mut led, mut begun) = (Vec::new(), Vec::new());
    for sent in sent {
        let place = sent.media.unwrap() / PICTURE;
        let passed = run.sent(sent);
        led.extend(passed.leads.map(|leads| (place, leads)));
        if passed.begins {
            begun.push(place);
        }
    }
    (led, begun)
}

#[test]
fn who_begins_with_an_open_key_picture_is_never_shown_what_is_before_it() {
    let group = |n: i64| [open_key(n + 3), next(n + 1), next(n + 2), next(n + 4)];
    let sent = [group(0), group(10), group(20)].concat();
    let before = [(1, Leads::First), (2, Leads::First)];
    assert_eq!(led(sent.clone()), (before.to_vec(), vec![3]));
    assert_eq!(broken(sent), [1, 2]);
    // Nor who came in the middle of the group before.
    let sent = [vec![next(1), next(2)], group(10).to_vec()].concat();
    let before = [(11, Leads::First), (12, Leads::First)];
    assert_eq!(led(sent), (before.to_vec(), vec![13]));
    // A picture before which everything is forgotten has nothing before it, whatever a clock
    // that was set back says.
    let mut closed = open_key(100);
    closed.told.begins_anew = true;
    assert_eq!(led([closed, next(1), next(2)]), (vec![], vec![]));
}

#[test]
fn a_gap_right_before_an_open_key_picture_spoils_what_is_before_it_and_nothing_else() {
    let gap = |mut sent: Sent| {
        sent.told.left_out = 5;
        sent
    };
    for hurt in [torn, gap] {
        let sent = [
            key(0),
            next(1),
            hurt(open_key(8)),
            next(6),
            next(7),
            next(9),
        ];
        let spoilt = [(6, Leads::Broken), (7, Leads::Broken)];
        let mut begun = led(sent);
        begun.1.retain(|place| *place != 0);
        assert_eq!(begun, (spoilt.to_vec(), vec![8]));
        assert_eq!(broken(sent), [6, 7]);
    }
}

/// Not all encoders say that nothing behind the key picture refers to what is before it.
#[test]
fn where_nobody_says_that_it_does_not_what_follows_may_refer_to_what_was_never_there() {
    let mut doubtful = open_key(3);
    doubtful.told.is_sure_beginning = false;
    let unneeded = |n| {
        let mut sent = next(n);
        sent.told.is_reference = false;
        sent
    };
    let sent = [doubtful, next(1), unneeded(2), next(4), next(5)];
    assert_eq!(broken(sent), [1, 2, 4, 5]);
    let sent = [doubtful, unneeded(1), unneeded(2), next(4), next(5)];
    assert_eq!(broken(sent), [1, 2]);
}

#[test]
fn a_clock_that_is_set_back_behind_an_open_key_picture_makes_nobody_blind() {
    let sent = std::iter::once(open_key(1_000)).chain((1..100).map(next));
    assert_eq!(broken(sent), (1..17).collect::<Vec<_>>());
}

/// Nobody says so but its number: libav was told of no gap, and what it drew onto the wrong picture
/// was judged by.
#[test]
fn a_gap_right_before_a_slow_refresh_spoils_all_up_to_its_end() {
    let sent = stream(90, 10_000, |n, mut sent| {
        if n == 30 {
            sent.is_key = true;
            sent.told.recovers_after = Some(20);
            sent.told.left_out = 5;
        }
        sent
    });
    assert_eq!(broken(sent), (30..50).collect::<Vec<_>>());
}

/// A picture of H.265 with this first part, as a camera's decoder is given it.
fn heed(continuity: &mut Continuity, n: i64, kind: u8, flags: gst::BufferFlags) -> Passed {
    let caps = gst::Caps::builder("video/x-h265")
        .field("stream-format", "byte-stream")
        .build();
    let mut buffer = gst::Buffer::from_slice([0, 0, 1, kind << 1, 1, 0x80, 0x5a]);
    buffer.get_mut().unwrap().set_flags(flags);
    continuity.heed(Some(&caps), &buffer, Some(n * PICTURE))
}

const KEY: gst::BufferFlags = gst::BufferFlags::empty();
const NEXT: gst::BufferFlags = gst::BufferFlags::DELTA_UNIT;
const TORN: gst::BufferFlags = gst::BufferFlags::DISCONT;
const TRAIL: u8 = 1;
const RADL: u8 = 6;
const RASL: u8 = 8;
const IDR: u8 = 19;
const CRA: u8 = 21;

/// The camera was blind up to the next key picture, whatever had been lost.
#[test]
fn a_key_picture_of_h265_is_believed_behind_a_gap_of_which_nothing_is_its_own() {
    crate::init().unwrap();
    for (is_whole, is_hurt) in [(false, false), (true, false), (true, true)] {
        let mut continuity = Continuity::of_packets();
        assert!(heed(&mut continuity, 0, IDR, KEY).is_clean);
        heed(&mut continuity, 1, TRAIL, NEXT);
        if is_whole {
            continuity.is_whole_behind_gap(8 * PICTURE);
        }
        // More of it was lost after its beginning.
        if is_hurt {
            continuity.is_hurt_itself(8 * PICTURE);
        }
        let key = heed(&mut continuity, 8, CRA, TORN);
        let leads = heed(&mut continuity, 7, RASL, NEXT);
        let after = heed(&mut continuity, 9, TRAIL, NEXT);
        let is_believed = is_whole && !is_hurt;
        let told = format!("{is_whole} {is_hurt}: {key:?} {after:?}");
        assert_eq!(
            (key.is_clean, key.begins),
            (is_believed, is_believed),
            "{told}"
        );
        assert_eq!(leads.leads, Some(Leads::Broken), "{told}");
        assert_eq!(after.is_broken, !is_believed, "{told}");
    }
}

/// It needs nothing from before its key picture, and an IDR forgets all by itself.
#[test]
fn what_leads_a_key_picture_of_h265_by_itself_is_sound_behind_a_gap() {
    crate::init().unwrap();
    for (key, leading, expected) in [
        (IDR, RADL, (false, false)),
        (CRA, RADL, (true, false)),
        (CRA, RASL, (true, true)),
    ] {
        let mut continuity = Continuity::of_packets();
        heed(&mut continuity, 0, IDR, KEY);
        heed(&mut continuity, 1, TRAIL, NEXT | TORN);
        let begins = heed(&mut continuity, 8, key, KEY).begins;
        let leads = heed(&mut continuity, 7, leading, NEXT);
        assert_eq!((begins, leads.is_broken), expected, "{key} {leading}");
    }
}

/// They were called damaged on their way from the camera.
#[test]
fn what_refers_to_pictures_that_the_box_skipped_is_skipped_as_well() {
    crate::init().unwrap();
    for is_torn in [false, true] {
        let mut continuity = Continuity::of_packets();
        heed(&mut continuity, 0, IDR, KEY);
        heed(
            &mut continuity,
            1,
            TRAIL,
            if is_torn { NEXT | TORN } else { NEXT },
        );
        // Those of later wait behind the next key picture.
        for n in [2, 3, 4, 20, 21] {
            continuity.skip(n * PICTURE);
        }
        let key = heed(&mut continuity, 8, CRA, KEY);
        assert!(key.begins && key.is_clean);
        let leads = heed(&mut continuity, 7, RASL, NEXT).leads;
        // What the line lost is the line's.
        let expected = if is_torn {
            Leads::Broken
        } else {
            Leads::Skipped
        };
        assert_eq!(leads, Some(expected));
        assert!(!heed(&mut continuity, 9, TRAIL, NEXT).is_broken);
        assert!(!heed(&mut continuity, 16, CRA, KEY).begins);
        assert_eq!(heed(&mut continuity, 15, RASL, NEXT).leads, None);
        assert!(heed(&mut continuity, 24, CRA, KEY).begins);
    }
}
