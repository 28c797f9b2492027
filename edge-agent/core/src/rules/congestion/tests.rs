use std::fmt::Write;

use expect_test::expect;

use crate::rules::testing::{check, events, near_misses, play, scene};

const RULE: &str = r#"
    kind = "congestion"
    zone = "road"
    min_count = 6
    max_speed_kmh = 10.0
    min_occupancy = 0.0
    min_duration_s = 10.0
    clear_after_s = 5.0
    update_every_s = 10.0
"#;

/// Vehicles in a row that creep for so long and then drive off at 36 km/h.
fn jam(vehicles: u32, seconds: u32) -> String {
    let mut story = String::new();
    for car in 0..vehicles {
        let x = 12 + 8 * car;
        writeln!(story, "0.0 car#{car} at {x}.0,30.0").unwrap();
        writeln!(story, "{seconds}.0 car#{car} at {}.0,30.0", x + seconds / 3).unwrap();
        let off = seconds / 3 + 120;
        writeln!(story, "{}.0 car#{car} at {}.0,30.0", seconds + 12, x + off).unwrap();
    }
    story
}

#[test]
fn many_slow_vehicles_for_a_while_are_one_event_with_updates() {
    check(
        RULE,
        &jam(8, 25),
        &expect![[r#"
        congestion starts (revision 1): nobody in particular since 0.4, decided at 10.4
            duration: 10.0 >= 10.0 s [0.4 to 10.4]
            slow_vehicles: 8.0 >= 6.0 [10.4 to 10.4]
            mean_speed: 1.152 < 15.0 km/h [10.4 to 10.4]
            occupancy: 0.023 >= 0.0 [10.4 to 10.4]
            pictures of 0.4, 10.4
        congestion goes on (revision 2): nobody in particular since 0.4, 
        congestion is over (revision 3): nobody in particular since 0.4 until 25.3, end_reason "left"
    "#]],
    );
}

#[test]
fn few_vehicles_or_a_moment_are_nothing_and_the_moment_is_a_near_miss() {
    for (vehicles, seconds, misses) in [(5, 25, 0), (8, 8, 1)] {
        let mut scene = scene(RULE, true);
        scene.tell_near_misses();
        let out = play(&mut scene, &jam(vehicles, seconds));
        assert_eq!(events(&out).count(), 0, "{vehicles} for {seconds} s");
        let told = near_misses(&out);
        assert_eq!(told.len(), misses, "{vehicles} for {seconds} s");
        assert!(told.iter().all(|miss| miss.failed == ["duration"]));
    }
}

#[test]
fn slow_traffic_on_an_empty_road_is_not_dense() {
    let rule = RULE.replace("min_occupancy = 0.0", "min_occupancy = 0.6");
    assert_eq!(
        events(&play(&mut scene(&rule, true), &jam(8, 25))).count(),
        0
    );
}
