use super::*;
use proptest::prelude::*;

/// Messages as gateways send them, kept for ever.
const PLAIN: &str = include_str!("../../tests/wire/controller/plain.json");
const NAMELESS: &str = include_str!("../../tests/wire/controller/plain-nameless.json");
const STATES: &str = include_str!("../../tests/wire/controller/states.json");
const SPAT: &str = include_str!("../../tests/wire/controller/spat.json");

const ARRIVED: &str = "2026-11-22T01:01:04.5Z";

fn said_at(
    text: &str,
    group: &str,
    numbers: (Option<u8>, Option<u16>),
    arrived: &str,
) -> Result<Option<(SignalState, Option<String>)>, SpatFault> {
    let group = SignalGroupId::new(group).unwrap();
    let wanted = Wanted {
        group: &group,
        signal_group: numbers.0,
        intersection: numbers.1,
    };
    let message: SignalMessage = serde_json::from_str(text).unwrap();
    let said = message.said_of(&wanted, arrived.parse().unwrap())?;
    Ok(said.map(|said| (said.state, said.time.map(|time| time.to_string()))))
}

fn state(text: &str, group: &str, number: Option<u8>) -> Option<SignalState> {
    let said = said_at(text, group, (number, None), ARRIVED).unwrap();
    said.map(|(state, _)| state)
}

#[test]
fn every_form_that_was_ever_published_is_read() {
    let time = Some("2026-11-22T01:01:04.200000Z".to_owned());
    for (text, group, numbers, expected) in [
        (
            PLAIN,
            "north",
            (None, None),
            Some((SignalState::Red, time.clone())),
        ),
        (PLAIN, "south", (None, None), None),
        (
            NAMELESS,
            "north",
            (None, None),
            Some((SignalState::Green, None)),
        ),
        (
            STATES,
            "north",
            (None, None),
            Some((SignalState::Red, time.clone())),
        ),
        (
            STATES,
            "north-right",
            (None, None),
            Some((SignalState::Green, time.clone())),
        ),
        (
            STATES,
            "south",
            (None, None),
            Some((SignalState::FlashingRed, time.clone())),
        ),
        (STATES, "east", (None, None), None),
        // By name, by number under a name of ours, by a name that is the number.
        (
            SPAT,
            "north",
            (None, None),
            Some((SignalState::Red, time.clone())),
        ),
        (
            SPAT,
            "main",
            (Some(2), Some(1209)),
            Some((SignalState::Red, time.clone())),
        ),
        (
            SPAT,
            "arrow",
            (Some(3), None),
            Some((SignalState::Green, time.clone())),
        ),
        (
            SPAT,
            "4",
            (None, None),
            Some((SignalState::Amber, time.clone())),
        ),
        (SPAT, "north", (Some(9), None), None),
        (SPAT, "north", (Some(2), Some(1210)), None),
    ] {
        let said = said_at(text, group, numbers, ARRIVED);
        assert_eq!(said, Ok(expected), "{group} {numbers:?} of {text}");
    }
}

#[test]
fn each_movement_phase_state_has_its_lamp_by_word_and_by_number() {
    for (number, (word, expected)) in MOVEMENT_PHASE_STATES.iter().enumerate() {
        let spellings = [
            format!("\"{word}\""),
            format!("\"{}\"", word.replace('-', "_").to_uppercase()),
            format!("\"{}\"", word.replace('-', "")),
            number.to_string(),
        ];
        for spelling in spellings {
            let text = format!(r#"{{"states":[{{"signalGroup":1,"eventState":{spelling}}}]}}"#);
            assert_eq!(state(&text, "n", Some(1)), Some(*expected), "{text}");
        }
    }
    for own in SignalState::ALL {
        let text = format!(r#"{{"state":"{}"}}"#, own.as_str());
        assert_eq!(state(&text, "n", None), Some(own));
    }
}

/// Whatever is not understood must not look like red.
#[test]
fn what_nobody_knows_is_unknown() {
    for said in [
        r#""crimson""#,
        r#""RED""#,
        "11",
        "3.0",
        "-3",
        "[]",
        "true",
        r#""stop""#,
    ] {
        let text = format!(r#"{{"states":[{{"signalGroup":1,"eventState":{said}}}]}}"#);
        assert_eq!(
            state(&text, "n", Some(1)),
            Some(SignalState::Unknown),
            "{text}"
        );
    }
    let no_events = r#"{"states":[{"signalGroup":1,"state-time-speed":[]}]}"#;
    assert_eq!(state(no_events, "n", Some(1)), Some(SignalState::Unknown));
    let nothing = r#"{"states":[{"signalGroup":1}]}"#;
    assert_eq!(state(nothing, "n", Some(1)), Some(SignalState::Unknown));
}

#[test]
fn a_group_that_is_said_to_show_two_things_shows_neither() {
    for text in [
        r#"{"states":[{"group":"n","state":"red"},{"group":"n","state":"green"}]}"#,
        r#"{"group":"n","state":"red","eventState":"protected-Movement-Allowed"}"#,
        r#"{"intersections":[{"id":1,"states":[{"group":"n","state":"red"}]},
                             {"id":2,"states":[{"group":"n","state":"green"}]}]}"#,
    ] {
        assert_eq!(state(text, "n", None), Some(SignalState::Unknown), "{text}");
    }
    let two = r#"{"intersections":[{"id":1,"states":[{"group":"n","state":"red"}]},
                                   {"id":2,"states":[{"group":"n","state":"green"}]}]}"#;
    let said = said_at(two, "n", (None, Some(1)), ARRIVED).unwrap();
    assert_eq!(said.map(|(state, _)| state), Some(SignalState::Red));
}

#[test]
fn a_controller_that_reports_failure_is_not_believed() {
    for (status, expected) in [
        (r#""0000""#, SignalState::Red),
        (r#"["preemptIsActive"]"#, SignalState::Red),
        (r#""0080""#, SignalState::Unknown),
        (r#""0040""#, SignalState::Unknown),
        (r#"["failureMode"]"#, SignalState::Unknown),
        (r#"["off"]"#, SignalState::Unknown),
        (
            r#"["noValidSPATisAvailableAtThisTime"]"#,
            SignalState::Unknown,
        ),
        (r#"{"anything":1}"#, SignalState::Red),
    ] {
        let text = format!(r#"{{"status":{status},"states":[{{"group":"n","state":"red"}}]}}"#);
        assert_eq!(state(&text, "n", None), Some(expected), "{text}");
    }
}

#[test]
fn times_are_read_with_the_nearest_year_and_minute() {
    for (times, arrived, expected) in [
        // The last minute of 2026, read in 2027.
        (
            r#""moy":525599,"timeStamp":59900"#,
            "2027-01-01T00:00:00.1Z",
            Some("2026-12-31T23:59:59.900000Z"),
        ),
        // The first of 2027, read by a clock that is late.
        (
            r#""moy":0,"timeStamp":100"#,
            "2026-12-31T23:59:59.9Z",
            Some("2027-01-01T00:00:00.100000Z"),
        ),
        // A millisecond alone, just before and after the minute's end.
        (
            r#""timeStamp":59900"#,
            "2026-11-22T01:02:00.1Z",
            Some("2026-11-22T01:01:59.900000Z"),
        ),
        (
            r#""timeStamp":100"#,
            "2026-11-22T01:01:59.9Z",
            Some("2026-11-22T01:02:00.100000Z"),
        ),
        (r#""moy":527040,"timeStamp":65535"#, ARRIVED, None),
        (r#""moy":1000"#, ARRIVED, None),
        (
            r#""timeStamp":"2026-11-22T08:01:04+07:00""#,
            ARRIVED,
            Some("2026-11-22T01:01:04.000000Z"),
        ),
    ] {
        let text = format!(r#"{{{times},"states":[{{"group":"n","state":"red"}}]}}"#);
        let (_, time) = said_at(&text, "n", (None, None), arrived).unwrap().unwrap();
        assert_eq!(time.as_deref(), expected, "{text}");
    }
}

#[test]
fn a_time_that_no_calendar_has_is_a_fault_and_so_is_a_message_without_a_state() {
    for times in [
        r#""moy":600000,"timeStamp":0"#,
        r#""moy":18446744073709551615,"timeStamp":0"#,
        r#""moy":0,"timeStamp":61000"#,
        r#""timeStamp":18446744073709551615"#,
    ] {
        let text = format!(r#"{{{times},"states":[{{"group":"n","state":"red"}}]}}"#);
        let fault = said_at(&text, "n", (None, None), ARRIVED).unwrap_err();
        assert!(matches!(fault, SpatFault::NotATime { .. }), "{text}");
    }
    for text in ["{}", r#"{"group":"n"}"#, r#"{"intersections":[{}]}"#] {
        let fault = said_at(text, "n", (None, None), ARRIVED).unwrap_err();
        assert_eq!(fault, SpatFault::SaysNothing, "{text}");
    }
}

/// A value of the kinds that occur in messages, or anything else.
fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<u64>().prop_map(Into::into),
        (0_u64..70_000).prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        "[a-z]{0,6}".prop_map(Into::into),
        Just("red".into()),
        Just("stop-And-Remain".into()),
        Just("0080".into()),
        Just("2026-11-22T01:01:04Z".into()),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let key = prop::sample::select(vec![
            "intersections",
            "states",
            "id",
            "status",
            "time",
            "moy",
            "timeStamp",
            "group",
            "signalGroup",
            "movementName",
            "state",
            "eventState",
            "state-time-speed",
            "x",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((key, inner), 0..8).prop_map(|fields| {
                let fields = fields.into_iter().map(|(k, v)| (k.to_owned(), v));
                serde_json::Value::Object(fields.collect())
            }),
        ]
    })
}

proptest! {
    /// No message of any shape panics, and one that does not contain the word
    /// never makes a red.
    #[test]
    fn no_message_panics_and_red_is_never_made_up(
        message in value(),
        micros in any::<i64>(),
        number in prop::option::of(any::<u8>()),
    ) {
        let text = message.to_string();
        let group = SignalGroupId::new("n").unwrap();
        let wanted = Wanted { group: &group, signal_group: number, intersection: None };
        if let Ok(message) = serde_json::from_str::<SignalMessage>(&text)
            && let Ok(Some(said)) = message.said_of(&wanted, EventTime::from_micros(micros))
            && said.state == SignalState::Red
        {
            let says_red = text.contains("red") || text.contains("stop-And-Remain")
                || text.contains(":3");
            prop_assert!(says_red, "{text}");
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let is_json = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
        prop_assert!(is_json || serde_json::from_slice::<SignalMessage>(&bytes).is_err());
    }

    #[test]
    fn a_minute_of_the_year_is_that_of_its_instant(micros in 0_i64..4_000_000_000_000_000) {
        let instant = EventTime::from_micros(micros / 1000 * 1000);
        let date = OffsetDateTime::from_unix_timestamp(micros / 1_000_000).unwrap();
        let minute = u64::from(date.ordinal() - 1) * 1440
            + u64::from(date.hour()) * 60 + u64::from(date.minute());
        let within = u64::try_from(micros.rem_euclid(MINUTE_US) / 1000).unwrap();
        prop_assert_eq!(instant_of_year(minute, within, instant), Some(instant));
        prop_assert_eq!(instant_of_minute(within, instant), instant);
    }
}
