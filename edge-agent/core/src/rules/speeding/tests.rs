use expect_test::expect;

use crate::config::SceneConfig;
use crate::rules::testing::{PLACES, check, check_uncalibrated, events, overhead, play, scene};

/// The gate leads from x = 20 to x = 80 over the whole road.
const RULE: &str = r#"
    kind = "speeding"
    entry_line = "in"
    exit_line = "out"
    report_all = true
    [[line]]
    id = "in"
    from = [0.2, 0.2]
    to = [0.2, 0.8]
    towards = [0.3, 0.5]
    [[line]]
    id = "out"
    from = [0.8, 0.2]
    to = [0.8, 0.8]
    towards = [0.9, 0.5]
"#;

#[test]
fn who_keeps_to_the_limit_is_measured_and_not_accused() {
    // 12.5 m/s are 45 km/h.
    check(
        RULE,
        "
        0.0 car#1 at 5.0,25.0
        7.2 car#1 at 95.0,25.0
    ",
        &expect![["
            speed of car#1: 45.0 km/h (44.0 to 46.0)
        "]],
    );
}

#[test]
fn who_is_within_the_tolerance_is_not_accused() {
    // 15.2 m/s are 54.7 km/h.
    check(
        RULE,
        "
        0.0 car#1 at 4.0,25.0
        6.0 car#1 at 95.2,25.0
    ",
        &expect![["
            speed of car#1: 54.7 km/h (53.5 to 55.9)
        "]],
    );
}

#[test]
fn who_is_too_fast_beyond_doubt_is_accused_with_numbers() {
    // 20 m/s are 72 km/h.
    check(
        RULE,
        "
        0.0 car#1 at 5.0,25.0
        4.5 car#1 at 95.0,25.0
    ",
        &expect![[r#"
            speed of car#1: 72.0 km/h (70.4 to 73.6)
            speeding starts (revision 1): car#1 since 0.6 until 4.0, decided at 4.0
                certain_speed: 67.7 > 55.0 km/h [0.6 to 3.7]
                looks: 34.0 >= 6.0 [0.6 to 3.7]
                way_followed: 60.0 >= 36.0 m [0.6 to 3.7]
                misfit: 0.0 <= 0.15 [0.6 to 3.7]
                calibration_residual: 0.1 <= 0.5 m [0.6 to 3.7]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 4.0]
                class_share: 1.0 >= 0.5 [0.0 to 4.0]
                pictures of 0.6, 2.2, 4.0
        "#]],
    );
}

/// A camera whose clock is set back again and again, or that stamps its pictures wrongly.
#[test]
fn by_times_of_no_quality_nobody_has_a_speed() {
    check(
        RULE,
        "
        0.0 clock unknown
        0.0 car#1 at 5.0,25.0
        4.5 car#1 at 95.0,25.0
    ",
        &expect![[""]],
    );
}

#[test]
fn without_calibration_nobody_has_a_speed() {
    check_uncalibrated(
        RULE,
        "
        0.0 car#1 at 5.0,25.0
        3.0 car#1 at 95.0,25.0
    ",
        &expect![[""]],
    );
}

#[test]
fn who_drives_the_other_way_or_beside_the_gate_is_not_measured() {
    check(
        RULE,
        "
        0.0 car#1 at 95.0,25.0
        3.0 car#1 at 5.0,25.0
        0.0 car#2 at 5.0,48.0
        3.0 car#2 at 95.0,48.0
    ",
        &expect![[""]],
    );
}

#[test]
fn an_id_that_leaps_to_another_body_measures_neither() {
    check(
        RULE,
        "
        0.0 car#1 at 5.0,25.0
        2.0 car#1 at 35.0,25.0
        2.1 car#1 at 70.0,25.0
        3.1 car#1 at 85.0,25.0
    ",
        &expect![[""]],
    );
}

#[test]
fn a_gap_in_the_gate_ends_the_measurement() {
    check(
        RULE,
        "
        0.0 car#1 at 5.0,25.0
        4.5 car#1 at 95.0,25.0
        2.0 gap 2.6
    ",
        &expect![[""]],
    );
}

#[test]
fn limits_and_bands_go_by_class() {
    let rule = RULE.replace(
        "report_all = true",
        "limit_kmh = 60.0\nlimit_motorcycle_kmh = 40.0\ntolerance_kmh = 0.0",
    );
    let story = "
        0.0 car#1 at 5.0,20.0
        4.5 car#1 at 95.0,20.0
        0.0 motorcycle#2 at 5.0,35.0
        4.5 motorcycle#2 at 95.0,35.0
    ";
    let out = play(&mut scene(&rule, true), story);
    let found: Vec<String> = events(&out)
        .map(|event| {
            let fact = |key: &str| serde_json::to_string(&event.facts[key]).unwrap();
            format!(
                "{} {} over {}",
                event.actors[0].class,
                fact("band"),
                fact("limit_kmh")
            )
        })
        .collect();
    expect![[r#"["car \"+5\" over 60.0", "motorcycle \"+20\" over 40.0"]"#]]
        .assert_eq(&format!("{found:?}"));
}

#[test]
fn a_doubtful_calibration_measures_nothing_and_says_why() {
    let outlook = |rule: &str, calibrated: bool| {
        let text = format!("{PLACES}\n[[rule]]\nid = \"r\"\n{rule}");
        let (config, faults) = SceneConfig::from_table(&text.parse().unwrap());
        assert_eq!(faults, []);
        let calibration = calibrated.then(overhead);
        let mut outlooks = config.outlooks(calibration.as_ref(), 2.0).unwrap();
        outlooks.pop().unwrap().1
    };
    let doubt = |rule, calibrated| outlook(rule, calibrated).unwrap_err();
    let good = outlook(RULE, true).unwrap();
    assert!(
        good.starts_with("gate of 60.0 m, known within 0.3 %"),
        "{good}"
    );
    assert!(doubt(RULE, false).contains("is not calibrated"));
    let strict = RULE.replace("report_all = true", "max_residual_m = 0.05");
    assert!(doubt(&strict, true).contains("residual is 0.10 m"));
    let tape = RULE.replace("report_all = true", "length_m = 66.0");
    assert!(doubt(&tape, true).contains("says 60.00 m"));
    let inexact = RULE.replace("report_all = true", "max_length_error = 0.002");
    assert!(doubt(&inexact, true).contains("in doubt by 0.3 %"));
    let skew = RULE.replace("to = [0.8, 0.8]", "to = [0.3, 0.25]");
    assert!(doubt(&skew, true).contains("not parallel"));
}
