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
