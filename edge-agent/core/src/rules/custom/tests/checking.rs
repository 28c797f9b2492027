//! What the checker says of a condition before it is ever asked.

use std::fmt::Write;

use cel::{Context, Program};
use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::check::{Scope, check as read};
use super::super::condition::Source;
use super::super::facts::{Known, Sort, Subject};
use super::super::outcomes;
use super::rule;
use crate::config::{SceneConfig, SignalGroup};
use crate::rules::params::ROAD_USERS;
use crate::rules::testing::PLACES;

fn faults(expected: &Expect, conditions: &[(&str, &str)]) {
    let mut text = String::new();
    for (subject, when) in conditions {
        let table: toml::Table = format!(
            "{PLACES}\n[[rule]]\nid = \"r\"\nkind = \"custom\"\nzone = \"road\"\nsubject = \"{subject}\"\nwhen = \"{when}\""
        )
        .parse()
        .unwrap();
        let (_, faults) = SceneConfig::from_table(&table);
        assert!(!faults.is_empty(), "{when} has no fault");
        for fault in faults {
            writeln!(text, "{fault}").unwrap();
        }
    }
    expected.assert_eq(&text);
}

#[test]
fn what_is_wrong_with_a_condition_is_said_with_its_place_and_the_next_step() {
    faults(
        &expect![[r#"
            rule[0].when: is empty; write for example "speed_kmh > 30.0"
            rule[0].when: at character 1, `speed_ms`: there is no such fact of a track; did you mean `speed_kmh`?
            rule[0].when: at character 1, `speed`: there is no such fact of a track; did you mean `speed_kmh`?
            rule[0].when: at character 17, `clas`: there is no such fact of a track; did you mean `class`?
            rule[0].when: at character 1, `count`: is a fact of a zone, and the rule is about a track; write subject = "zone" or use a fact of a track
            rule[0].when: at character 1, `speed_kmh`: is a fact of a track, and the rule is about a zone; write subject = "track" or use a fact of a zone
            rule[0].when: at character 1, `health`: is a fact of a zone, and the rule is about a track; write subject = "zone" or use a fact of a track
            rule[0].when: at character 1, `class == 'lorry'`: there is no 'lorry' here; known are `person`, `bicycle`, `motorcycle`, `car`, `bus`, `truck`, `train`, `animal`
            rule[0].when: at character 1, `class > 3`: compares a word with a plain number; only numbers are smaller or larger
            rule[0].when: at character 1, `class == 3`: compares a word with a plain number; both must be of one type
            rule[0].when: at character 1, `speed_kmh > 'fast'`: compares a number in km/h with a text; only numbers are smaller or larger
            rule[0].when: at character 1, `speed_kmh > dwell_s`: puts a number in km/h with a number in s; both must have the same unit
            rule[0].when: at character 1, `speed_kmh + dwell_s`: puts a number in km/h with a number in s; both must have the same unit
            rule[0].when: at character 1, `speed_kmh * dwell_s`: multiplies a number in km/h by a number in s; one must be a plain number
            rule[0].when: at character 1, `speed_kmh > 900.0`: `speed_kmh` goes from 0 to 250 km/h; write a number in that range
            rule[0].when: at character 1, `occupancy > 60.0`: `occupancy` goes from 0 to 1; write a number in that range
            rule[0].when: at character 14, `24`: `hour` goes from 0 to 23 h; write a number in that range
            rule[0].when: at character 1, `speed_kmh / 2.0`: divides; multiply the other side instead
            rule[0].when: at character 1, `speed_kmh`: is a number in km/h, not true or false; compare it with something
            rule[0].when: at character 1, `speed_kmh`: is a number in km/h, not true or false; compare it with something
            rule[0].when: at character 1, `class`: is a word, not true or false; compare it with something
            rule[0].when: asks for no fact, so it is always the same; name a fact of the table in `edge-agent rules custom`
            rule[0].when: at character 1, `in_zone ? true : false`: chooses with `?`; write it with && and ||
            rule[0].when: at character 1, `class.matches('.*')`: is not part of conditions; compare facts with numbers and words
            rule[0].when: at character 1, `size(class)`: conditions have no function `size`; compare facts with numbers and words
            rule[0].when: at character 1, `[1, 2].exists(n, n > 1)`: goes through a list, which conditions cannot; use the counts of a zone
            rule[0].when: at character 1, `signal`: needs its group; write for example signal.north
            rule[0].when: at character 1, `signal.north`: there is no signal group `north`: known are `main`
            rule[0].when: at character 1, `signal.main == 'pink'`: there is no 'pink' here; known are `red`, `red_amber`, `amber`, `green`, `flashing_amber`, `dark`
            rule[0].when: at character 1, `weekday == 'sunday'`: there is no 'sunday' here; known are `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`
            rule[0].when: cannot be read to its end at character 18: something is missing after `&&`; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 17, `class`: does not belong there; between two parts stands a comparison, && or ||; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 11, `=`: write ==; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: has the character 'ố'; conditions are written in plain ASCII, people's words go into `title`
            rule[0].when: has brackets within brackets more than 10 deep; write it flatter
            rule[0].subject: there is no choice `bus`; known are `track`, `zone`
        "#]],
        &[
            ("track", ""),
            ("track", "speed_ms > 3.0"),
            ("track", "speed > 30.0 && clas == 'car'"),
            ("track", "count > 3"),
            ("zone", "speed_kmh > 3.0"),
            ("track", "health == 'dark'"),
            ("track", "class == 'lorry'"),
            ("track", "class > 3"),
            ("track", "class == 3"),
            ("track", "speed_kmh > 'fast'"),
            ("track", "speed_kmh > dwell_s"),
            ("track", "speed_kmh + dwell_s > 3.0"),
            ("track", "speed_kmh * dwell_s > 3.0"),
            ("track", "speed_kmh > 900.0"),
            ("zone", "occupancy > 60.0"),
            ("track", "hour in [22, 24]"),
            ("track", "speed_kmh / 2.0 > 3.0"),
            ("track", "speed_kmh"),
            ("track", "speed_kmh && class == 'car'"),
            ("track", "class"),
            ("track", "true"),
            ("track", "in_zone ? true : false"),
            ("track", "class.matches('.*')"),
            ("track", "size(class) > 3"),
            ("track", "[1, 2].exists(n, n > 1)"),
            ("track", "signal == 'red'"),
            ("track", "signal.north == 'red'"),
            ("track", "signal.main == 'pink'"),
            ("track", "weekday == 'sunday'"),
            ("track", "speed_kmh > 3.0 &&"),
            ("track", "speed_kmh > 3.0 class"),
            ("track", "speed_kmh = 3.0"),
            ("track", "tốc_độ > 3.0"),
            ("track", "((((((((((((speed_kmh > 3.0))))))))))))"),
            ("bus", "speed_kmh > 3.0"),
        ],
    );
    let long = format!("speed_kmh > {}", "1 + ".repeat(200));
    let many = format!("hour in [{}1]", "1, ".repeat(100));
    faults(
        &expect![["
            rule[0].when: has 812 characters; use at most 500, or two rules
            rule[0].when: has more than 80 parts; split it into two rules
        "]],
        &[("track", long.as_str()), ("track", many.as_str())],
    );
}

#[test]
fn what_cannot_be_read_is_said_in_our_words() {
    faults(
        &expect![[r#"
            rule[0].when: cannot be read at character 17, `and`: write &&; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 16, `&`: write &&; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 16, `&`: write &&; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read from character 10 on: the text in quotes that begins there does not end; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 1, `(`: the bracket is never closed; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 15, `)`: closes no bracket that was opened; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 23, `)`: closes no bracket that was opened; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 1, `&&`: does not belong there; something is missing before it, or it is no sign of conditions; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 5, `>`: does not belong there; something is missing before it, or it is no sign of conditions; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 3, `<>`: write !=; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 9, `;`: does not belong there; something is missing before it, or it is no sign of conditions; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: cannot be read at character 8, `,`: does not belong there; something is missing before it, or it is no sign of conditions; write for example "class == 'truck' && speed_kmh > 30.0"
            rule[0].when: at character 1, `''`: is a text, not true or false; compare it with something
        "#]],
        &[
            ("track", "speed_kmh > 3.0 and class == 'car'"),
            ("track", "class == 'car' &"),
            ("track", "class == 'car' & speed_kmh > 3.0"),
            ("track", "class == 'car"),
            ("track", "(class == 'car' && x > 0.5"),
            ("track", "class == 'car') && x > 0.5"),
            ("track", "class in ['car', 'bus')"),
            ("track", "&& x > 0.5"),
            ("track", "x > > 0.5"),
            ("track", "x <> 0.5"),
            ("track", "x > 0.5 ; y > 0.5"),
            ("track", "x > 0.5,"),
            ("track", "''"),
        ],
    );
}

#[test]
fn a_condition_that_can_never_be_true_is_refused() {
    faults(
        &expect![["
            rule[0].when: at character 1, `class in []`: looks in an empty list, in which nothing is; name what is meant, for example class in ['bus', 'truck']
            rule[0].when: `class == 'car'` and `class == 'bus'` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `class == 'car'` and `class in ['bus', 'truck']` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `x > 0.5` and `x < 0.3` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `x > 0.5` and `!(x > 0.5)` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `speed_kmh > 250.0` is never true, whatever the facts are, so the rule would never find anything; see the words and ranges in `edge-agent rules custom`, and the rule's `classes`
            rule[0].when: `riders == 2.5` is never true, whatever the facts are, so the rule would never find anything; see the words and ranges in `edge-agent rules custom`, and the rule's `classes`
            rule[0].when: `riders > 2` and `riders < 3` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `class == 'car'` and `riders >= 3` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `in_zone` and `!in_zone` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `hour > 22` and `hour < 5` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `speed_kmh == null` and `speed_kmh > 3.0` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: `dwell_s - 10.0 > 86400.0` is never true, whatever the facts are, so the rule would never find anything; see the words and ranges in `edge-agent rules custom`, and the rule's `classes`
            rule[0].when: `x + y > 2.5` is never true, whatever the facts are, so the rule would never find anything; see the words and ranges in `edge-agent rules custom`, and the rule's `classes`
            rule[0].when: `count_car + count_bus < 0` is never true, whatever the facts are, so the rule would never find anything; see the words and ranges in `edge-agent rules custom`, and the rule's `classes`
            rule[0].when: `signal.main == 'red'` and `signal.main == 'green'` are never true together, so the rule would never find anything; write || where one of them is enough
            rule[0].when: its parts are never true together, so the rule would never find anything; take parts out until it can be
        "]],
        &[
            ("track", "class in []"),
            ("track", "class == 'car' && class == 'bus'"),
            ("track", "class == 'car' && class in ['bus', 'truck']"),
            ("track", "x > 0.5 && x < 0.3"),
            ("track", "x > 0.5 && !(x > 0.5)"),
            ("track", "speed_kmh > 250.0"),
            ("track", "riders == 2.5"),
            ("track", "riders > 2 && riders < 3"),
            ("track", "class == 'car' && riders >= 3"),
            ("track", "in_zone && !in_zone"),
            ("track", "hour > 22 && hour < 5 && x > 0.5"),
            ("track", "speed_kmh == null && speed_kmh > 3.0"),
            ("track", "dwell_s - 10.0 > 86400.0"),
            ("track", "x + y > 2.5"),
            ("zone", "count_car + count_bus < 0"),
            ("track", "signal.main == 'red' && signal.main == 'green'"),
            (
                "track",
                "x > 0.6 && (y > 0.5 || x > 0.7) && (y < 0.5 || x > 0.8) && y < 0.5 && x < 0.65",
            ),
        ],
    );
}

#[test]
fn what_is_probably_not_meant_is_told_by_check() {
    let mut text = String::new();
    for (rest, when) in [
        ("", "riders > 2.5"),
        ("", "riders < 2.5"),
        ("", "riders >= 3 || speed_kmh > 30.0"),
        ("", "speed_kmh >= 0.0 && class == 'car'"),
        ("", "class == 'car' || class != 'car'"),
        ("", "speed_kmh == 30.0"),
        ("", "dwell_s == 0.0 && age_s > 5.0"),
        ("", "hour >= 22 || hour < 5"),
        ("", "!(class == 'car' && class == 'bus')"),
        ("classes = ['car']", "class == 'car' && x > 0.5"),
        (
            "subject = 'zone'\nclasses = ['car']",
            "count_car > 3 && count_bus == 0",
        ),
        (
            "subject = 'zone'",
            "count_motorcycle + count_car > 40 && signal.main == 'green'",
        ),
        ("subject = 'zone'", "health != 'well' && minute < 30"),
    ] {
        let table: toml::Table = format!(
            "{PLACES}\n[[rule]]\nid = \"r\"\n{}",
            rule(&format!("{rest}\nwhen = \"{when}\""))
        )
        .parse()
        .unwrap();
        let (config, faults) = SceneConfig::from_table(&table);
        assert_eq!(faults, [], "{when}");
        writeln!(text, "{when}").unwrap();
        for (_, outlook) in config.outlooks(None, 2.0).unwrap() {
            writeln!(text, "    {}", outlook.unwrap_err()).unwrap();
        }
    }
    expect![["
        riders > 2.5
            when: `riders` is a whole number, so comparing it with 2.5 means `riders >= 3`; write that if it is what you mean
        riders < 2.5
            when: `riders` is a whole number, so comparing it with 2.5 means `riders <= 2`; write that if it is what you mean
        riders >= 3 || speed_kmh > 30.0
        speed_kmh >= 0.0 && class == 'car'
            when: `speed_kmh >= 0.0` is always true wherever its facts are known, so it says nothing; take it out, or correct it; can find nothing: `speed_kmh` is unknown while the camera is not calibrated; calibrate it with `edge-agent calibrate`
        class == 'car' || class != 'car'
            when: `class == 'car' || class != 'car'` is always true, so it says nothing; take it out, or correct it
        speed_kmh == 30.0
            when: `speed_kmh` is measured and hardly ever exactly 30; write a range with >= and <=; can find nothing: `speed_kmh` is unknown while the camera is not calibrated; calibrate it with `edge-agent calibrate`
        dwell_s == 0.0 && age_s > 5.0
        hour >= 22 || hour < 5
        !(class == 'car' && class == 'bus')
            when: `!(class == 'car' && class == 'bus')` is always true, so it says nothing; take it out, or correct it
        class == 'car' && x > 0.5
            when: `class == 'car'` is always true, so it says nothing; take it out, or correct it
        count_car > 3 && count_bus == 0
            when: `count_bus == 0` is always true, so it says nothing; take it out, or correct it
        count_motorcycle + count_car > 40 && signal.main == 'green'
        health != 'well' && minute < 30
    "]].assert_eq(&text);
}

#[test]
fn a_study_is_bounded_whatever_the_condition_asks() {
    let groups = |n: usize| -> String {
        let parts: Vec<String> = (0..n)
            .map(|i| format!("(x > 0.0{i} || y < 0.9{i} || score == 0.5{i} || dwell_s > {i}.0)"))
            .collect();
        format!(
            "{} && hour > 3 && minute > 5 && weekday != 'sat'",
            parts.join(" && ")
        )
    };
    let signals = signals();
    let scope = Scope {
        subject: Subject::Track,
        signals: &signals,
    };
    for n in 1..=4 {
        let condition = read(&groups(n), scope).unwrap();
        let study = outcomes::study(&condition, &ROAD_USERS);
        assert!(study.whole.can_be_true && study.whole.can_be_false);
    }
}

fn signals() -> Vec<SignalGroup> {
    let table: toml::Table = PLACES.parse().unwrap();
    SceneConfig::from_table(&table).0.signals
}

/// Conditions that the checker takes, over facts of a track.
fn condition() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("speed_kmh".to_owned()),
        Just("dwell_s * 2.0".to_owned()),
        Just("score".to_owned()),
        Just("-x + 0.5".to_owned()),
        Just("(age_s - dwell_s)".to_owned()),
        Just("riders".to_owned()),
    ];
    let operator = prop::sample::select(vec!["<", "<=", ">", ">="]);
    let threshold = prop::sample::select(vec!["0.0", "0.5", "1.0"]);
    let comparison = (number, operator, threshold, any::<bool>()).prop_map(|(a, op, b, swap)| {
        if swap {
            format!("{b} {op} {a}")
        } else {
            format!("{a} {op} {b}")
        }
    });
    let leaf = prop_oneof![
        4 => comparison,
        1 => Just("in_zone".to_owned()),
        1 => Just("stationary == false".to_owned()),
        1 => Just("class == 'car'".to_owned()),
        1 => Just("class in ['bus', 'truck']".to_owned()),
        1 => Just("'person' != class".to_owned()),
        1 => Just("true".to_owned()),
        1 => Just("speed_kmh != null".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} && {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} || {b}")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// The `cel` crate's interpreter is the reference. What it refuses with an
    /// error (a comparison with null) is unknown here.
    #[test]
    fn a_condition_means_what_it_means_in_cel(
        text in condition(),
        numbers in prop::collection::vec(prop_oneof![Just(0.0), Just(0.5), Just(1.0), 0.0..2.0_f64], 8),
        truths in prop::collection::vec(any::<bool>(), 2),
        class in prop::sample::select(vec!["car", "bus", "person"]),
        is_known in any::<bool>(),
    ) {
        let signals = signals();
        let scope = Scope { subject: Subject::Track, signals: &signals };
        let Ok(condition) = read(&text, scope) else {
            // All constant, or too long.
            return Ok(());
        };
        let mut values = Vec::new();
        let mut context = Context::default();
        for source in &condition.sources {
            let Source::Fact(fact) = source else { continue };
            let value = match fact.sort {
                Sort::Number { .. } if fact.key == "speed_kmh" && !is_known => Known::Unknown,
                Sort::Number { .. } => Known::Number(numbers[values.len() % numbers.len()]),
                Sort::Truth => Known::Truth(truths[values.len() % truths.len()]),
                Sort::Word(_) => Known::Word(class),
            };
            match value {
                Known::Unknown => context.add_variable_from_value(fact.key, cel::Value::Null),
                Known::Number(number) => context.add_variable_from_value(fact.key, number),
                Known::Truth(truth) => context.add_variable_from_value(fact.key, truth),
                Known::Word(word) => context.add_variable_from_value(fact.key, word),
            }
            values.push(value);
        }
        let reference = match Program::compile(&text).unwrap().execute(&context) {
            Ok(cel::Value::Bool(truth)) => Some(truth),
            Ok(other) => panic!("{text} is {other:?}"),
            Err(_) => None,
        };
        prop_assert_eq!(condition.value(&values), reference, "{}", text);
    }

    /// Whatever a condition comes to, its study had said that it can.
    #[test]
    fn what_a_condition_comes_to_is_what_its_study_says_it_can(
        text in condition(),
        numbers in prop::collection::vec(prop_oneof![Just(0.0), Just(0.5), Just(1.0), 0.0..1.0_f64], 8),
        riders in 0..8_u8,
        truths in prop::collection::vec(any::<bool>(), 2),
        class in prop::sample::select(vec!["motorcycle", "bus", "person"]),
        is_known in any::<bool>(),
    ) {
        let signals = signals();
        let scope = Scope { subject: Subject::Track, signals: &signals };
        let Ok(condition) = read(&text, scope) else {
            return Ok(());
        };
        let asks_class = condition.asks("class");
        let mut values = Vec::new();
        for source in &condition.sources {
            let Source::Fact(fact) = source else { continue };
            values.push(match fact.sort {
                Sort::Number { .. } if fact.key == "speed_kmh" && !is_known => Known::Unknown,
                // Only two-wheelers have riders.
                Sort::Number { .. } if fact.key == "riders" => {
                    let none = asks_class && class != "motorcycle";
                    Known::Number(if none { 0.0 } else { f64::from(riders) })
                }
                Sort::Number { .. } => Known::Number(numbers[values.len() % numbers.len()]),
                Sort::Truth => Known::Truth(truths[values.len() % truths.len()]),
                Sort::Word(_) => Known::Word(class),
            });
        }
        let study = outcomes::study(&condition, &ROAD_USERS);
        let parts = condition.conjuncts.iter().zip(&study.conjuncts);
        let whole = (condition.value(&values), study.whole);
        let all = parts.map(|(part, can)| (part.truth.value(&values), *can));
        for (found, can) in all.chain([whole]) {
            let is_allowed = match found {
                Some(true) => can.can_be_true,
                Some(false) => can.can_be_false,
                None => can.can_be_unknown,
            };
            prop_assert!(is_allowed, "{}: {:?} of {:?} at {:?}", text, found, can, values);
        }
    }

    #[test]
    fn no_text_makes_the_checker_panic(text in "[a-z_0-9 ()&|!<>='.+*,?:/%{}\\[\\]\"\\\\-]{0,60}") {
        let scope = Scope { subject: Subject::Zone, signals: &[] };
        let _ignored = read(&text, scope);
    }

    #[test]
    fn no_sentence_of_the_words_makes_the_checker_panic(
        words in prop::collection::vec(prop::sample::select(vec![
            "speed_kmh", "class", "'car'", "'", "&&", "||", "!", "(", ")", "[", "]", "{", "}", "in",
            "null", "true", "1", "1.5", "-", "+", "*", "/", "?", ":", ".", ",", "signal", "main",
            "has", "all", "exists", "b'a'", "r'\\'", "1u", "0x", "99999999999999999999", "1e999",
            "//", "==", "<", "@", "\\", "\"\"\"",
        ]), 0..40)
    ) {
        let signals = signals();
        let scope = Scope { subject: Subject::Track, signals: &signals };
        let _ignored = read(&words.join(" "), scope);
        let _ignored = read(&words.concat(), scope);
    }
}

#[test]
fn a_condition_is_cheap_to_ask() {
    // Bounded by its parts, not by what it says.
    let text = format!("x > 0.5{}", " && speed_kmh + 1.0 > 0.0".repeat(19));
    let scope = Scope {
        subject: Subject::Track,
        signals: &[],
    };
    let faults = read(&text, scope).err().unwrap_or_default();
    assert!(
        faults.iter().any(|fault| fault.contains("split it")),
        "{faults:?}"
    );
}
