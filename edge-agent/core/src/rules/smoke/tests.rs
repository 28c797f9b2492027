use std::fmt::Write as _;

use expect_test::expect;

use crate::input::Output;
use crate::rules::testing::{check, events, play, scene};

const RULE: &str = r#"kind = "smoke"
zones = ["road"]
min_size_pct = 0.01"#;

#[test]
fn smoke_that_grows_in_the_zone() {
    check(
        RULE,
        "
        1.0 smoke#9 at 50.0,30.0
        1.0 smoke#9 size 3.0,2.0
        9.0 smoke#9 size 9.0,6.0
        12.0 smoke#9 at 50.0,30.0
        ",
        &expect![[r#"
            smoke starts (revision 1): smoke#0 since 1.0, decided at 6.0
                lasts: 5.0 >= 5.0 s [1.0 to 6.0]
                seen_share: 1.0 >= 0.6 [1.0 to 6.0]
                looks: 26.0 >= 3.0 [1.0 to 6.0]
                growth: 189.645 >= 20.0 % [1.0 to 6.0]
                size: 0.506 >= 0.01 % [1.0 to 6.0]
                pictures of 1.0, 6.0
            smoke is over (revision 2): smoke#0 since 1.0 until 12.0, end_reason "stream_ended"
        "#]],
    );
    check(
        RULE,
        "
        1.0 smoke#9 at 95.0,30.0
        1.0 smoke#9 size 3.0,2.0
        9.0 smoke#9 size 6.0,6.0
        12.0 smoke#9 at 95.0,30.0
        ",
        &expect![[""]],
    );
}

#[test]
fn a_replay_gives_the_same_id() {
    let story = "
        1.0 smoke#9 at 50.0,30.0
        1.0 smoke#9 size 3.0,2.0
        9.0 smoke#9 size 9.0,6.0
        12.0 smoke#9 at 50.0,30.0
    ";
    let run = || play(&mut scene(RULE, true), story);
    let first = run();
    assert_eq!(first, run());
    assert!(events(&first).next().is_some());
}

/// Smoke blocks and blurs the picture that it fills, and was switched off by that.
/// A camera that wind has turned watched no fire until somebody had climbed the pole.
#[test]
fn smoke_is_told_in_a_picture_that_is_not_well_and_its_time_is_not_vouched_for() {
    let mut said = String::new();
    for zones in ["", "zones = [\"road\"]"] {
        for condition in ["blocked", "defocused", "dark", "moved", "frozen"] {
            let rule = format!("kind = \"smoke\"\nmin_size_pct = 0.01\n{zones}");
            let story = format!(
                "1.0 smoke#9 at 50.0,30.0
                1.0 smoke#9 size 3.0,2.0
                2.0 health {condition}
                9.0 smoke#9 size 9.0,6.0
                12.0 smoke#9 at 50.0,30.0"
            );
            let out = play(&mut scene(&rule, true), &story);
            let starts = events(&out).filter(|event| event.revision == 1).count();
            let hours = out.iter().filter_map(|output| match output {
                Output::Coverage(hour) => Some(&hour.unwatched_s),
                _ => None,
            });
            let unwatched: Vec<_> = hours
                .flatten()
                .map(|(why, s)| format!("{s:.0} s {}", why.as_str()))
                .collect();
            let place = if zones.is_empty() {
                "anywhere"
            } else {
                "in a zone"
            };
            writeln!(said, "{condition}, {place}: {starts} told, {unwatched:?}").unwrap();
        }
    }
    expect![[r#"
        blocked, anywhere: 1 told, ["10 s blocked", "1 s model_unknown"]
        defocused, anywhere: 1 told, ["10 s defocused", "1 s model_unknown"]
        dark, anywhere: 1 told, ["10 s dark", "1 s model_unknown"]
        moved, anywhere: 1 told, ["1 s model_unknown"]
        frozen, anywhere: 0 told, ["10 s frozen", "1 s model_unknown"]
        blocked, in a zone: 1 told, ["10 s blocked", "1 s model_unknown"]
        defocused, in a zone: 1 told, ["10 s defocused", "1 s model_unknown"]
        dark, in a zone: 1 told, ["10 s dark", "1 s model_unknown"]
        moved, in a zone: 0 told, ["10 s moved", "1 s model_unknown"]
        frozen, in a zone: 0 told, ["10 s frozen", "1 s model_unknown"]
    "#]]
    .assert_eq(&said);
}
