use expect_test::expect;

use crate::rules::testing::{check, events, near_misses, play, scene};

const RULE: &str = r#"
    kind = "illegal_stop"
    zone = "road"
    min_dwell_s = 30.0
    exempt_zones = ["zebra"]
    exempt_classes = ["bus"]
    [[approach]]
    line = "stop"
    signal = "main"
"#;

#[test]
fn a_car_that_stops_is_an_event_with_pictures_ten_seconds_apart() {
    check(
        RULE,
        "
        0.0 car#1 at 12.0,30.0
        3.0 car#1 at 70.0,30.0
        40.0 car#1 at 70.0,30.0
        ",
        &expect![[r#"
            illegal_stop starts (revision 1): car#1 since 3.0, decided at 33.0
                dwell: 30.0 >= 30.0 s [3.0 to 33.0]
                displacement: 0.0 <= 2.0 m [3.0 to 33.0]
                in_zone: 1.0 >= 0.9 [3.0 to 33.0]
                in_zone_at_decision: true = true [33.0 to 33.0]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 33.0]
                class_share: 1.0 >= 0.5 [0.0 to 33.0]
                in_queue: false = false [33.0 to 33.0]
                exempt_share: 0.0 < 0.3 [3.0 to 33.0]
                pictures of 3.0, 13.0, 23.0, 33.0
            illegal_stop is over (revision 2): car#1 since 3.0 until 40.0, dwell_s 37.0, end_reason "stream_ended", hidden_s 0.0
        "#]],
    );
}

/// In the language of tests `zebra` is the bus stop.
#[test]
fn a_bus_may_stand_at_its_stop_and_nowhere_else_and_a_car_nowhere() {
    for (who, x, accused) in [("bus", 35.0, 0), ("bus", 70.0, 1), ("car", 35.0, 1)] {
        let story = format!("0.0 signal green\n0.0 {who}#1 at {x},30.0\n40.0 {who}#1 at {x},30.0");
        let out = play(&mut scene(RULE, true), &story);
        let starts = events(&out).filter(|event| event.revision == 1).count();
        assert_eq!(starts, accused, "{who} at {x}");
    }
}

#[test]
fn who_waits_before_a_red_stop_line_has_not_stopped_and_who_stays_at_green_has() {
    let waits = "
        0.0 signal red
        0.0 car#1 at 12.0,30.0
        4.0 car#1 at 46.0,30.0
        70.0 car#1 at 46.0,30.0
        72.0 car#1 at 60.0,30.0
    ";
    assert_eq!(events(&play(&mut scene(RULE, true), waits)).count(), 0);
    let stays = "
        0.0 signal red
        0.0 car#1 at 12.0,30.0
        4.0 car#1 at 46.0,30.0
        30.0 signal green
        70.0 car#1 at 46.0,30.0
    ";
    assert_eq!(events(&play(&mut scene(RULE, true), stays)).count(), 2);
}

/// The second stands behind the first; only the first is why both stand.
#[test]
fn the_head_of_a_queue_that_no_red_light_holds_is_accused_and_those_behind_are_not() {
    let out = play(
        &mut scene(RULE, true),
        "
        0.0 signal green
        0.0 car#1 at 30.0,30.0
        4.0 car#1 at 80.0,30.0
        0.0 car#2 at 14.0,30.0
        5.0 car#2 at 73.0,30.0
        60.0 car#1 at 80.0,30.0
        60.0 car#2 at 73.0,30.0
        ",
    );
    let accused: Vec<u16> = events(&out)
        .filter(|event| event.revision == 1)
        .map(|event| event.actors[0].track.rank)
        .collect();
    assert_eq!(accused, [1]);
}

#[test]
fn a_stop_that_ends_shortly_before_the_threshold_is_a_near_miss_that_says_by_how_much() {
    let mut scene = scene(RULE, true);
    scene.tell_near_misses();
    let out = play(
        &mut scene,
        "
        0.0 car#1 at 12.0,30.0
        3.0 car#1 at 70.0,30.0
        28.0 car#1 at 70.0,30.0
        30.0 car#1 at 99.0,30.0
        ",
    );
    let misses = near_misses(&out);
    assert_eq!(misses.len(), 1);
    assert_eq!(misses[0].failed, ["dwell"]);
    let dwell = &misses[0].explanation[0];
    let margin = dwell.margin.unwrap();
    assert!((-6.0..-3.0).contains(&margin), "{dwell:?}");
}

/// A bus hides a parked car that was accused already, and the tracker finds the
/// car again bit by bit, under another id that seems to drive up.
#[test]
fn who_was_accused_is_not_accused_again_after_a_bus_has_passed() {
    let out = play(
        &mut scene(RULE, true),
        "
        0.0 car#1 at 70.0,30.0
        40.0 car#1 hides
        41.0 car#1 at 71.5,30.0
        41.0 car#1 is #2
        41.4 car#1 at 70.0,30.0
        90.0 car#1 at 70.0,30.0
        ",
    );
    assert_eq!(events(&out).filter(|event| event.revision == 1).count(), 1);
}
