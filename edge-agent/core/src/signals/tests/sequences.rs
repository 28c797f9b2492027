//! What looks at lamps amount to over seconds: phases in order, flashing, noise.

use super::*;

use SignalState::{Amber, Green, Red, Unknown as UnknownState};

pub(super) fn look(board: &mut SignalBoard, t: f64, state: SignalState, confidence: f64) {
    board.read(&SignalReading {
        group: group(),
        state,
        time: at(t),
        confidence,
        source: FromLamp,
    });
}

/// Looks at lamps that show each of `phases` until its end, `fps` times a second.
pub(super) fn watch(board: &mut SignalBoard, fps: f64, phases: &[(SignalState, f64)]) {
    let end = phases.last().unwrap().1;
    let mut tick = 0;
    loop {
        let t = f64::from(tick) / fps;
        let Some((state, _)) = phases.iter().find(|(_, until)| t < *until - 1e-9) else {
            break;
        };
        look(board, t, *state, 0.9);
        tick += 1;
        assert!(t < end);
    }
}

#[test]
fn a_cycle_is_followed_at_any_rate_and_never_ahead_of_its_lamps() {
    for fps in [2.0, 5.0, 10.0, 25.0, 30.0] {
        let mut board = board();
        let cycle = [
            (Red, 10.0),
            (Green, 20.0),
            (Amber, 23.0),
            (Red, 33.0),
            (Green, 40.0),
        ];
        watch(&mut board, fps, &cycle);
        // At first it might be a flash that the looks keep step with.
        let is_sure = fps > 12.5;
        let first = if is_sure { Red } else { UnknownState };
        assert_eq!(shown(&board, 9.9).0, first, "{fps} looks a second");
        for (t, expected, onset) in [
            (15.0, Green, 10.0),
            (22.5, Amber, 20.0),
            (24.2, Red, 23.0),
            (32.0, Red, 23.0),
            (39.0, Green, 33.0),
        ] {
            let (state, since) = shown(&board, t);
            assert_eq!(state, expected, "at {t}, {fps} looks a second");
            let late = since - onset;
            assert!(
                (0.0..=1.1).contains(&late),
                "{state:?} {late} s late at {fps} looks a second"
            );
        }
    }
}

#[test]
fn red_after_green_without_amber_is_unknown_until_it_has_lasted() {
    let mut board = board();
    watch(&mut board, 10.0, &[(Green, 10.0), (Red, 20.0)]);
    assert_eq!(shown(&board, 12.0).0, UnknownState);
    let (state, since) = shown(&board, 15.0);
    assert_eq!(state, Red);
    assert!(since >= 13.0, "since {since}, when it had settled");
}

#[test]
fn a_flicker_to_green_makes_red_begin_anew_when_it_has_settled() {
    let mut board = board();
    watch(&mut board, 20.0, &[(Red, 10.0), (Green, 10.9), (Red, 20.0)]);
    assert_eq!(shown(&board, 9.9).0, Red);
    assert_eq!(shown(&board, 10.8).0, Green);
    assert_eq!(shown(&board, 11.9).0, UnknownState);
    let (state, since) = shown(&board, 15.0);
    assert_eq!(state, Red);
    assert!(since >= 13.0, "{since}");
}

/// A truck before the signal head may have hidden amber.
#[test]
fn after_a_phase_out_of_sight_any_phase_may_follow_from_when_it_is_seen() {
    let mut board = board();
    watch(
        &mut board,
        10.0,
        &[(Green, 10.0), (UnknownState, 13.0), (Red, 20.0)],
    );
    let (state, since) = shown(&board, 14.0);
    assert_eq!(state, Red);
    assert!((13.0..=14.0).contains(&since), "{since}");
}

#[test]
fn a_confident_look_outweighs_doubtful_ones() {
    let mut board = board();
    // A reflection is read as green with little confidence, every other look.
    for tick in 0..80 {
        let t = f64::from(tick) / 20.0;
        if tick % 2 == 0 {
            look(&mut board, t, Green, 0.62);
        } else {
            look(&mut board, t, Red, 1.0);
        }
    }
    assert_eq!(shown(&board, 3.95).0, Red);
    assert_eq!(shown(&board, 3.9).0, UnknownState, "while green is seen");
}

/// A look that cannot be read does not say that the green before it was noise.
#[test]
fn an_unreadable_look_does_not_take_green_back() {
    let mut board = board();
    watch(
        &mut board,
        20.0,
        &[(Red, 5.0), (Green, 5.05), (UnknownState, 5.4)],
    );
    for t in [5.02, 5.15, 5.25, 5.35] {
        assert_eq!(shown(&board, t).0, UnknownState, "at {t}");
    }
    look(&mut board, 5.4, Red, 0.9);
    assert_eq!(shown(&board, 5.4), (Red, 0.05));
}

#[test]
fn a_light_in_the_lamps_contradicts_the_controller_before_it_is_settled() {
    let mut board = board();
    for tick in 0..50 {
        let t = f64::from(tick) / 10.0;
        say(&mut board, FromMqtt, t, Red);
        look(&mut board, t, if tick < 40 { Red } else { Green }, 0.9);
    }
    assert_eq!(shown(&board, 3.9).0, Red);
    assert_eq!(shown(&board, 4.0).0, UnknownState);
    let unknown = board.unknown(&group(), at(4.0)).unwrap();
    assert_eq!(unknown.reason, UnknownReason::Contradiction);
}

#[test]
fn each_source_goes_stale_in_its_own_time() {
    let mut config = config();
    config.stale_after.lamp = Seconds(3.0);
    let mut board = SignalBoard::new(&[config]);
    watch(&mut board, 20.0, &[(Red, 5.0)]);
    for tick in 0..50 {
        say(&mut board, FromMqtt, f64::from(tick) / 10.0, Red);
    }
    let says = |t| board.at(&group(), at(t)).source;
    assert_eq!(says(5.5), Some(FromLamp));
    assert_eq!(
        says(7.5),
        Some(FromLamp),
        "the controller is stale, the lamps are not"
    );
    assert_eq!(says(8.0), None);
}

#[test]
fn for_how_long_a_group_has_been_unknown_and_why() {
    let mut board = board();
    let unknown = |board: &SignalBoard, t| {
        board.unknown(&group(), at(t)).map(|unknown| {
            let since = unknown.since.map(|since| since.since(EventTime::EPOCH).0);
            (unknown.reason, since)
        })
    };
    assert_eq!(unknown(&board, 5.0), Some((UnknownReason::NeverRead, None)));
    say(&mut board, FromMqtt, 5.0, Red);
    assert_eq!(unknown(&board, 5.5), None);
    assert_eq!(board.unknown_since(&group(), at(5.5)), None);
    assert_eq!(
        unknown(&board, 9.0),
        Some((UnknownReason::Stale, Some(6.0)))
    );
    say(&mut board, FromMqtt, 9.5, UnknownState);
    assert_eq!(
        unknown(&board, 9.6),
        Some((UnknownReason::Unclear, Some(6.0)))
    );
    assert_eq!(board.unknown_since(&group(), at(9.6)), Some(Some(at(6.0))));
    let stranger = SignalGroupId::new("other").unwrap();
    let never = Some(Unknown {
        since: None,
        reason: UnknownReason::NeverRead,
    });
    assert_eq!(board.unknown(&stranger, at(9.6)), never);
}

#[test]
fn a_contradiction_is_unknown_since_it_began() {
    let mut board = board();
    keep_saying(&mut board, FromLamp, (0, 8), Red);
    keep_saying(&mut board, FromMqtt, (0, 5), Red);
    keep_saying(&mut board, FromMqtt, (5, 8), Green);
    let unknown = board.unknown(&group(), at(7.0)).unwrap();
    assert_eq!(unknown.reason, UnknownReason::Contradiction);
    assert_eq!(unknown.since, Some(at(5.0)));
}

fn two_groups() -> (SignalBoard, SignalGroupId) {
    let arrow = SignalGroupId::new("arrow").unwrap();
    let mut second = config();
    second.group = arrow.clone();
    (SignalBoard::new(&[config(), second]), arrow)
}

fn say_of(board: &mut SignalBoard, group: &SignalGroupId, t: f64, state: SignalState) {
    board.read(&SignalReading {
        group: group.clone(),
        state,
        time: at(t),
        confidence: 1.0,
        source: FromMqtt,
    });
}

#[test]
fn all_red_is_when_every_group_is_known_to_be_red() {
    let (mut board, arrow) = two_groups();
    say_of(&mut board, &group(), 1.0, Red);
    assert_eq!(board.all_red(at(1.1)), None, "nobody knows the other");
    say_of(&mut board, &arrow, 1.5, Red);
    assert_eq!(board.all_red(at(1.6)), Some(at(1.5)));
    say_of(&mut board, &arrow, 1.7, Green);
    assert_eq!(board.all_red(at(1.8)), None);
    assert_eq!(
        board.all_red(at(1.6)),
        Some(at(1.5)),
        "the past can be asked for"
    );
    let mut one = super::board();
    say_of(&mut one, &group(), 1.0, Red);
    assert_eq!(one.all_red(at(1.1)), None, "one group is no junction");
}

fn any_state() -> impl Strategy<Value = SignalState> {
    prop::sample::select(SignalState::ALL.to_vec())
}

proptest! {
    #![proptest_config(at_least(512))]

    /// One look in ten is misread as anything: green is never called red once it
    /// has lasted for a second, and no red is older than it is.
    #[test]
    fn noise_never_turns_green_into_red_nor_makes_red_older(
        noise in prop::collection::vec(
            prop::option::weighted(0.1, (any_state(), 0.0_f64..1.0)), 900),
        fps in 4.0_f64..15.0,
    ) {
        let cycle = [(Green, 15.0), (Amber, 18.0), (Red, 40.0), (Green, 60.0)];
        let mut board = board();
        for (tick, noise) in (0_u32..).zip(&noise) {
            let t = f64::from(tick) / fps;
            let truth_at = |t| cycle.iter().find(|(_, until)| t < *until);
            let Some((truth, _)) = truth_at(t) else {
                break;
            };
            let earlier = truth_at(t - 1.0).map(|(state, _)| *state);
            let (state, confidence) = noise.unwrap_or((*truth, 0.9));
            look(&mut board, t, state, confidence);
            let (state, since) = shown(&board, t);
            if state == Red {
                prop_assert!([Some(*truth), earlier].contains(&Some(Red)), "at {}", t);
                prop_assert!(since >= 18.0 - 1e-9, "since {}", since);
            }
        }
    }

    /// What is said of one group changes nothing for another.
    #[test]
    fn red_of_another_group_says_nothing(
        words in prop::collection::vec(
            (any::<bool>(), any::<bool>(), any_state(), 0.0_f64..1.0), 1..150),
    ) {
        let (mut both, arrow) = two_groups();
        let (mut alone, _) = two_groups();
        for (tick, (is_main, is_lamp, state, confidence)) in (0_u32..).zip(&words) {
            let reading = SignalReading {
                group: if *is_main { group() } else { arrow.clone() },
                state: *state,
                time: at(f64::from(tick) / 5.0),
                confidence: *confidence,
                source: if *is_lamp { FromLamp } else { FromMqtt },
            };
            both.read(&reading);
            if *is_main {
                alone.read(&reading);
            }
            prop_assert_eq!(
                both.at(&group(), reading.time),
                alone.at(&group(), reading.time)
            );
        }
    }

    /// Whoever asks for how long a group has been unknown gets an instant at
    /// which it still was known, and everything after it is unknown.
    #[test]
    fn unknown_lasts_since_it_was_last_known(
        words in prop::collection::vec((any::<bool>(), any_state(), 1_u32..15), 1..60),
        ask in 0_u32..60,
    ) {
        let mut board = board();
        let mut t = 0.0;
        for (is_lamp, state, pause) in &words {
            t += f64::from(*pause) / 10.0;
            say(&mut board, if *is_lamp { FromLamp } else { FromMqtt }, t, *state);
        }
        let now = t + f64::from(ask) / 10.0;
        match board.unknown_since(&group(), at(now)) {
            None => prop_assert_ne!(shown(&board, now).0, UnknownState),
            Some(None) => prop_assert_eq!(shown(&board, now).0, UnknownState),
            Some(Some(since)) => {
                prop_assert!(since <= at(now));
                let mut later = since + Seconds(0.000_002);
                while later < at(now) {
                    prop_assert_eq!(board.at(&group(), later).state, UnknownState);
                    later = later + Seconds(0.07);
                }
                let known = EventTime::from_micros(since.as_micros() - 1);
                prop_assert_ne!(board.at(&group(), known).state, UnknownState);
            }
        }
    }
}
