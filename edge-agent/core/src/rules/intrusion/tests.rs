use expect_test::expect;

use crate::rules::testing::{check, events, play, scene};

const RULE: &str = r#"
    kind = "intrusion"
    zone = "road"
    except_zones = ["zebra"]
"#;

#[test]
fn somebody_where_nobody_may_be_is_an_event_until_they_leave() {
    check(
        RULE,
        "
        0.0 person#1 at 60.0,5.0
        5.0 person#1 at 60.0,20.0
        10.0 person#1 at 60.0,20.0
        15.0 person#1 at 60.0,5.0
        25.0 person#1 at 60.0,5.0
        ",
        &expect![[r#"
            intrusion starts (revision 1): person#1 since 1.7, decided at 2.7
                in_zone_for: 1.0 >= 1.0 s [1.7 to 2.7]
                in_zone: true = true [2.7 to 2.7]
                class: "person" = "person, bicycle, motorcycle, car, bus, truck" [0.0 to 2.7]
                class_share: 1.0 >= 0.5 [0.0 to 2.7]
                pictures of 1.7, 2.7
            intrusion is over (revision 2): person#1 since 1.7 until 13.3, dwell_s 11.6, end_reason "left"
        "#]],
    );
}

#[test]
fn beside_the_zone_in_an_exception_and_for_a_moment_is_nothing() {
    for story in [
        "0.0 person#1 at 60.0,5.0\n9.0 person#1 at 60.0,6.0",
        "0.0 person#1 at 35.0,20.0\n9.0 person#1 at 35.0,21.0",
        "0.0 person#1 at 60.0,9.0\n1.0 person#1 at 60.0,10.5\n2.0 person#1 at 60.0,9.0",
    ] {
        assert_eq!(
            events(&play(&mut scene(RULE, true), story)).count(),
            0,
            "{story}"
        );
    }
}

#[test]
fn a_rider_is_one_intruder() {
    let out = play(
        &mut scene(RULE, true),
        "
        0.0 motorcycle#1 at 60.0,20.0
        0.0 person#2 at 60.0,19.8
        5.0 motorcycle#1 at 62.0,20.0
        5.0 person#2 at 62.0,19.8
        ",
    );
    assert_eq!(events(&out).filter(|event| event.revision == 1).count(), 1);
}
