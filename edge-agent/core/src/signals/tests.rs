use super::*;
use crate::config::{Lamp, LampColour, LampLayout, MqttSignal, StaleAfter};
use proptest::prelude::*;
use protocol::NormBox;
use protocol::signal::SignalSource::{Lamp as FromLamp, Mqtt as FromMqtt};
use protocol::units::Seconds;

fn board() -> SignalBoard {
    SignalBoard::new(&[config()])
}

fn config() -> SignalGroup {
    SignalGroup {
        group: group(),
        lamp: Some(Lamp {
            region: NormBox::from([0.1, 0.1, 0.1, 0.1]),
            layout: LampLayout::Vertical,
            lamps: vec![LampColour::Red, LampColour::Amber, LampColour::Green],
        }),
        mqtt: Some(MqttSignal {
            topic: "t".to_owned(),
            signal_group: None,
            intersection: None,
        }),
        recorded: false,
        stale_after: StaleAfter {
            lamp: Seconds(1.0),
            controller: Seconds(1.0),
        },
        min_confidence: 0.6,
        majority_window_s: Seconds(1.0),
    }
}

fn group() -> SignalGroupId {
    SignalGroupId::new("main").unwrap()
}

fn at(t: f64) -> EventTime {
    EventTime::EPOCH + Seconds(t)
}

fn say(board: &mut SignalBoard, source: SignalSource, t: f64, state: SignalState) {
    board.read(&SignalReading {
        group: group(),
        state,
        time: at(t),
        confidence: 0.9,
        source,
    });
}

/// Cases of a property; `PROPTEST_CASES` asks for more.
fn at_least(cases: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: config.cases.max(cases),
        ..config
    }
}

/// Says something twenty times a second.
fn keep_saying(
    board: &mut SignalBoard,
    source: SignalSource,
    (from, to): (u32, u32),
    state: SignalState,
) {
    for tick in from * 20..to * 20 {
        say(board, source, f64::from(tick) / 20.0, state);
    }
}

fn shown(board: &SignalBoard, t: f64) -> (SignalState, f64) {
    let showing = board.at(&group(), at(t));
    (showing.state, showing.since.since(EventTime::EPOCH).0)
}

#[test]
fn a_controllers_word_counts_at_once_and_goes_stale() {
    let mut board = board();
    say(&mut board, FromMqtt, 5.0, SignalState::Red);
    assert_eq!(shown(&board, 4.9).0, SignalState::Unknown);
    assert_eq!(shown(&board, 5.0), (SignalState::Red, 5.0));
    assert_eq!(shown(&board, 6.0), (SignalState::Red, 5.0));
    assert_eq!(shown(&board, 6.1).0, SignalState::Unknown);
}

#[test]
fn who_says_so_is_known_and_the_lamps_word_comes_first() {
    let mut board = board();
    let says = |board: &SignalBoard, t| board.at(&group(), at(t)).source;
    assert_eq!(says(&board, 0.0), None);
    keep_saying(
        &mut board,
        SignalSource::Recording,
        (0, 1),
        SignalState::Red,
    );
    assert_eq!(says(&board, 0.9), Some(SignalSource::Recording));
    keep_saying(&mut board, FromMqtt, (1, 6), SignalState::Red);
    assert_eq!(says(&board, 3.0), Some(FromMqtt));
    keep_saying(&mut board, FromLamp, (4, 6), SignalState::Red);
    assert_eq!(says(&board, 5.5), Some(FromLamp));
    // They contradict each other.
    say(&mut board, FromMqtt, 6.0, SignalState::Green);
    assert_eq!(says(&board, 6.0), None);
}

#[test]
fn the_past_can_be_asked_for() {
    let mut board = board();
    keep_saying(&mut board, FromMqtt, (0, 3), SignalState::Green);
    keep_saying(&mut board, FromMqtt, (3, 6), SignalState::Amber);
    keep_saying(&mut board, FromMqtt, (6, 9), SignalState::Red);
    for (t, expected) in [
        (2.99, (SignalState::Green, 0.0)),
        (3.0, (SignalState::Amber, 3.0)),
        (5.99, (SignalState::Amber, 3.0)),
        (6.0, (SignalState::Red, 6.0)),
        (8.5, (SignalState::Red, 6.0)),
    ] {
        assert_eq!(shown(&board, t), expected, "at {t}");
    }
}

#[test]
fn a_flickering_lamp_is_read_by_majority() {
    let mut board = board();
    keep_saying(&mut board, FromLamp, (0, 3), SignalState::Red);
    say(&mut board, FromLamp, 3.0, SignalState::Dark);
    // At that very look nobody can tell, before and after it is red since 0.05,
    // when a second look had confirmed the first.
    assert_eq!(shown(&board, 3.0).0, SignalState::Unknown);
    say(&mut board, FromLamp, 3.05, SignalState::Red);
    assert_eq!(shown(&board, 2.9), (SignalState::Red, 0.05));
    assert_eq!(shown(&board, 3.05), (SignalState::Red, 0.05));
}

#[test]
fn the_first_look_at_green_stops_red_at_once() {
    let mut board = board();
    keep_saying(&mut board, FromLamp, (0, 3), SignalState::Red);
    say(&mut board, FromLamp, 3.0, SignalState::Green);
    assert_eq!(shown(&board, 3.1).0, SignalState::Unknown);
    for tick in 1..8 {
        say(
            &mut board,
            FromLamp,
            3.0 + f64::from(tick) / 5.0,
            SignalState::Green,
        );
    }
    assert_eq!(shown(&board, 4.4).0, SignalState::Green);
}

#[test]
fn lamp_and_controller_that_contradict_each_other_are_unknown() {
    let mut board = board();
    keep_saying(&mut board, FromLamp, (0, 4), SignalState::Red);
    keep_saying(&mut board, FromMqtt, (1, 2), SignalState::Red);
    keep_saying(&mut board, FromMqtt, (2, 3), SignalState::Green);
    assert_eq!(
        shown(&board, 0.9),
        (SignalState::Red, 0.05),
        "the lamp alone"
    );
    assert_eq!(
        shown(&board, 1.5),
        (SignalState::Red, 1.0),
        "both, since the later"
    );
    assert_eq!(shown(&board, 2.5).0, SignalState::Unknown, "they disagree");
}

#[test]
fn what_cannot_be_read_with_confidence_is_unknown() {
    let mut board = board();
    for tick in 0..10 {
        board.read(&SignalReading {
            group: group(),
            state: SignalState::Red,
            time: at(f64::from(tick) / 5.0),
            confidence: 0.3,
            source: FromLamp,
        });
    }
    assert_eq!(shown(&board, 1.8).0, SignalState::Unknown);
}

#[test]
fn a_long_silence_makes_red_begin_anew_and_a_short_one_does_not() {
    let mut board = board();
    say(&mut board, FromMqtt, 0.0, SignalState::Red);
    say(&mut board, FromMqtt, 1.8, SignalState::Red);
    assert_eq!(shown(&board, 1.9), (SignalState::Red, 0.0));
    say(&mut board, FromMqtt, 10.0, SignalState::Red);
    assert_eq!(shown(&board, 10.0), (SignalState::Red, 10.0));
}

#[test]
fn readings_out_of_order_and_of_strangers_change_nothing() {
    let mut board = board();
    say(&mut board, FromMqtt, 5.0, SignalState::Green);
    say(&mut board, FromMqtt, 4.0, SignalState::Red);
    assert_eq!(shown(&board, 5.0), (SignalState::Green, 5.0));
    board.read(&SignalReading {
        group: SignalGroupId::new("other").unwrap(),
        state: SignalState::Red,
        time: at(6.0),
        confidence: 1.0,
        source: FromMqtt,
    });
    assert_eq!(shown(&board, 5.5).0, SignalState::Green);
}

proptest! {
    /// Whatever is said, red is shown only where the newest word was red.
    #[test]
    fn red_is_never_shown_against_the_newest_word(
        words in prop::collection::vec((0_u32..600, prop_oneof![
            Just(SignalState::Red), Just(SignalState::Green), Just(SignalState::Amber)
        ], any::<bool>()), 1..200),
        ask in 0_u32..800,
    ) {
        let mut words = words;
        words.sort_by_key(|(t, ..)| *t);
        let mut board = board();
        for (t, state, lamp) in &words {
            let source = if *lamp { FromLamp } else { FromMqtt };
            say(&mut board, source, f64::from(*t) / 10.0, *state);
        }
        let now = f64::from(ask) / 10.0;
        let showing = board.at(&group(), at(now));
        prop_assert!(showing.since <= at(now));
        if showing.state == SignalState::Red {
            let newest = words.iter().rfind(|(t, ..)| *t <= ask).unwrap().0;
            let said_red = words.iter().any(|(t, state, _)| *t == newest && *state == SignalState::Red);
            // The other source may have spoken last, but then it said red or is stale.
            let fresh_red = words.iter().any(|(t, state, _)| {
                *state == SignalState::Red && *t <= ask && ask - t <= 10
            });
            prop_assert!(said_red || fresh_red);
        }
        prop_assert!(board.groups[0].lamp.len() <= phases::MOST_PHASES);
        prop_assert!(board.groups[0].watch.remembered() <= lamps::MOST_REMEMBERED);
    }
}

mod flashing;
mod sequences;
