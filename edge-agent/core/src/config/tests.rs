use super::*;
use expect_test::{Expect, expect};

fn faults(toml: &str) -> String {
    let table: toml::Table = toml.parse().unwrap();
    let (_, faults) = SceneConfig::from_table(&table);
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

fn check(toml: &str, expected: &Expect) {
    expected.assert_eq(&faults(toml));
}

const GOOD: &str = r#"
    [[zone]]
    id = "lane"
    name = "Làn ngoài"
    points = [[0.1, 0.5], [0.9, 0.5], [0.9, 0.9], [0, 1]]

    [[line]]
    id = "stop"
    from = [0.1, 0.6]
    to = [0.9, 0.6]
    towards = [0.5, 0.4]

    [[signal]]
    group = "north"
    lamp = { region = [0.62, 0.1, 0.02, 0.08], layout = "vertical" }

    [[signal]]
    group = "east"
    mqtt = { topic = "junction/12/east" }
    stale_after_s = 2

    # Numbered by a SPaT controller that publishes only on change, with lamps
    # of two colours, and each source with its own limit.
    [[signal]]
    group = "east-right"
    lamp = { region = [0.7, 0.1, 0.04, 0.02], layout = "horizontal", lamps = ["red", "green"], stale_after_s = 0.8 }
    mqtt = { topic = "junction/12", signal_group = 3, intersection = 1209, stale_after_s = 90 }

    [[signal]]
    group = "north-right"
    lamp = { region = [0.8, 0.1, 0.02, 0.03], layout = "arrow" }

    [tracker]
    keep_lost_s = 3.0

    [[rule]]
    id = "red"
    kind = "red_light"
    line = "stop"
    signal = "north"
    title = { vi = "Vượt đèn", en = "Ran the light" }
    severity = "critical"

    [[rule]]
    id = "parked"
    kind = "stopped_vehicle"
    zone = "lane"
    min_dwell_s = 30
    classes = ["car", "truck"]
    title = "Chỗ cấm đỗ"
"#;

#[test]
fn a_good_scene_has_no_faults_and_its_defaults() {
    let (config, faults) = SceneConfig::from_table(&GOOD.parse().unwrap());
    assert_eq!(faults, []);
    assert_eq!(config.zones[0].points[3], Point { x: 0.0, y: 1.0 });
    assert_eq!(config.signals[0].stale_after.lamp, Seconds(1.5));
    assert_eq!(config.signals[1].stale_after.controller, Seconds(2.0));
    assert_eq!(config.tracker.keep_lost_s, 3.0);
    assert_eq!(config.tracker.high_score, None);
    let [red, parked] = config.rules.as_slice() else {
        panic!("two rules");
    };
    assert_eq!(red.severity, Severity::Critical);
    assert_eq!(red.title.en, "Ran the light");
    assert_eq!(red.place.as_ref().unwrap().as_str(), "stop");
    assert_eq!(parked.severity, Severity::Major);
    assert_eq!(parked.title.vi, parked.title.en);
}

#[test]
fn an_empty_scene_is_a_scene() {
    let (config, faults) = SceneConfig::from_table(&toml::Table::new());
    assert_eq!(faults, []);
    assert!(config.rules.is_empty());
}

#[test]
fn every_fault_is_found_at_once() {
    check(
        r#"
        [[zone]]
        id = "lane"
        points = [[0.1, 0.5], [0.9, 0.5]]
        [[zone]]
        id = "bow-tie"
        points = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
        [[zone]]
        id = "pixels"
        points = [[0.1, 0.5], [640, 360], [0.9, 0.9]]
        [[zone]]
        id = "lane"
        points = [[0.1, 0.5], [0.9, 0.5], [0.9, 0.9]]
        colour = "red"
        [[zone]]
        id = "Làn"
        points = "everywhere"
        [[line]]
        id = "lane"
        from = [0.1, 0.6]
        to = [0.9, 0.6]
        towards = [0.5, 0.6]
        [[signal]]
        group = "north"
        [[signal]]
        group = "south"
        lamp = { region = [0.9, 0.9, 0.2, 0.2], layout = "round" }
        mqtt = { topic = "a/#", signal_group = 1.5 }
        [[signal]]
        group = "west"
        lamp = { region = [0.1, 0.1, 0.02, 0.02], layout = "arrow", lamps = ["red", "green"] }
        [tracker]
        high_score = 0.3
        low_score = 0.5
        keep_lost = 2
        [[rule]]
        id = "r1"
        kind = "stoped_vehicle"
        anything = 1
        [[rule]]
        id = "r2"
        kind = "stopped_vehicle"
        zone = "lame"
        min_dwell_ms = 5000
        [[rule]]
        id = "r2"
        kind = "wrong_way"
        zone = "lane"
        direction = [[0.5, 0.5], [0.5, 0.5]]
        min_distance_m = -3
        min_duration_s = "2 s"
        classes = ["lorry"]
        severity = "high"
        [[rule]]
        id = "r3"
        kind = "red_light"
        line = "stop"
        signal = "north"
        [[rule]]
        kind = "loitering"
        "#,
        &expect![[r#"
            zone[0].points: has 2; a zone needs at least 3 points (for a line use [[line]])
            zone[1].points: the edge after point 0 crosses the edge after point 2 (counted from 0); list the corners in order around the zone
            zone[2].points[1]: [640, 360] is outside the picture; write fractions of its width and height from 0 to 1, not pixels
            zone[3].colour: is not a key here; known are `id`, `name`, `points`
            zone[4].id: `Làn` cannot be an id; use 1 to 64 of a-z, 0-9, `-` and `_`, starting with a letter or digit
            zone[4].points: is the text "everywhere"; write a list of [x, y]
            line[0].towards: is on the line; give a point beyond it, on the side where a forward crossing ends up
            signal[0]: has no source; give `lamp = { region = [x, y, width, height], layout = "vertical" }` or `mqtt = { topic = "..." }`, or `recorded = true` when its readings come with recorded inputs
            signal[1].lamp.layout: `round` is not known; write "vertical", "horizontal" or, for a green arrow of its own, "arrow"
            signal[1].lamp.region: is empty or reaches outside the picture; write [left, top, width, height] as fractions of the picture, for example [0.62, 0.10, 0.02, 0.08]
            signal[1].mqtt.signal_group: is 1.5; write a whole number
            signal[1].mqtt.topic: must be one topic without wildcards, for example junction/12/signal/north
            signal[2].lamp.lamps: must be the colours of the lamps from the top or the left, each once, for example ["red", "amber", "green"] or ["red", "green"]; an "arrow" has one
            tracker.low_score: is above high_score (0.3); write a smaller number
            tracker.keep_lost: is not a key here; did you mean `keep_lost_s`?
            rule[0].kind: there is no kind of rule `stoped_vehicle`; did you mean `stopped_vehicle`? known are `abreast`, `animal`, `blocking_junction`, `camera_blocked`, `camera_dark`, `camera_defocused`, `camera_frozen`, `camera_lost`, `camera_moved`, `congestion`, `crash`, `crowd`, `custom`, `debris`, `emergency_lane`, `fire`, `illegal_parking`, `illegal_stop`, `illegal_turn`, `illegal_uturn`, `intrusion`, `loitering`, `no_entry`, `no_helmet`, `overtaking`, `pedestrian_crossing`, `pedestrian_on_carriageway`, `phone_use`, `plate_obscured`, `queue`, `red_light`, `reversing`, `riders_three_plus`, `riders_two`, `seat_belt`, `sidewalk_driving`, `smoke`, `solid_line`, `speeding`, `stop_line`, `stopped_vehicle`, `wrong_lane`, `wrong_way`, `wrong_way_driver`
            rule[1].zone: there is no zone `lame`; did you mean `lane`? known are `lane`
            rule[1].min_dwell_ms: is not a key here; did you mean `min_dwell_s`?
            rule[2].severity: there is no severity `high`; known are `info`, `minor`, `major`, `critical`
            rule[2].direction: leads nowhere; move its two points apart
            rule[2].classes: there is no class of road user `lorry`; known are `person`, `bicycle`, `motorcycle`, `car`, `bus`, `truck`, `train`, `animal`
            rule[2].min_duration_s: is the text "2 s"; write a number in s without its unit, for example 2
            rule[2].min_distance_m: is -3; write a number in m from 0.5 to 1000
            rule[3].line: there is no line `stop`, and no other; add one
            rule[4].id: is missing; write for example `id = "no-stopping"`
            rule[4].zone: is missing; write for example `zone = "carriageway"`
            zone[3].id: `lane` is taken by zone[0]; choose another
            rule[2].id: `r2` is taken by rule[1]; choose another
            line[0].id: `lane` is a zone already; zones and lines share their names, choose another"#]],
    );
}

#[test]
fn a_rule_that_names_a_faulty_zone_is_not_at_fault_itself() {
    check(
        r#"
        [[zone]]
        id = "lane"
        points = [[0.1, 0.5], [0.9, 0.5]]
        [[rule]]
        id = "r"
        kind = "loitering"
        zone = "lane"
        "#,
        &expect!["zone[0].points: has 2; a zone needs at least 3 points (for a line use [[line]])"],
    );
}

#[test]
fn values_of_the_wrong_form_are_named() {
    check(
        r#"
        zone = "lane"
        tracker = 3
        line = [1]
        [[rule]]
        id = 7
        kind = true
        "#,
        &expect![[r#"
            zone: is the text "lane"; write one [[zone]] for each
            line[0]: is the number 1; write one [[line]] for each
            tracker: is the number 3; write a table
            rule[0].id: is the number 7; write text in quotes
            rule[0].kind: is true; write text in quotes"#]],
    );
}

/// What the keys are stands in `docs/rules/`, which a test keeps true.
#[test]
fn every_kind_has_its_words_and_every_number_its_unit_and_range() {
    for entry in crate::rule_catalogue() {
        for (vi, en) in [entry.title, entry.summary] {
            assert!(!vi.is_empty() && !en.is_empty(), "{}", entry.kind);
        }
        for param in entry.params {
            assert!(!param.meaning.is_empty(), "{}", param.key);
            if let crate::rules::Form::Number(number) = param.form {
                // A number carries its unit in its key.
                assert!(param.key.contains('_'), "{} has no unit", param.key);
                assert!((number.min..=number.max).contains(&number.default));
            }
        }
    }
    let kinds: Vec<&str> = crate::rule_catalogue().iter().map(|e| e.kind).collect();
    assert!(kinds.is_sorted(), "not in alphabetical order: {kinds:?}");
}

#[test]
fn a_signal_group_says_where_its_lamps_are_and_how_its_controller_calls_it() {
    let (config, _) = SceneConfig::from_table(&GOOD.parse().unwrap());
    let [north, _, east_right, arrow] = config.signals.as_slice() else {
        panic!("four groups");
    };
    let lamps = |group: &SignalGroup| group.lamp.clone().unwrap().lamps;
    assert_eq!(
        lamps(north),
        [LampColour::Red, LampColour::Amber, LampColour::Green]
    );
    assert_eq!(lamps(east_right), [LampColour::Red, LampColour::Green]);
    assert_eq!(lamps(arrow), [LampColour::Green]);
    let uses = SignalUse {
        rule: "red".to_owned(),
        group: "north".to_owned(),
        has_clock_margin: false,
    };
    assert_eq!(config.signal_uses, [uses]);
    let mqtt = east_right.mqtt.as_ref().unwrap();
    assert_eq!(
        (mqtt.signal_group, mqtt.intersection),
        (Some(3), Some(1209))
    );
    assert_eq!(
        east_right.stale_after,
        StaleAfter {
            lamp: Seconds(0.8),
            controller: Seconds(90.0)
        }
    );
}
