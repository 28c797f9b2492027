use expect_test::expect;

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
