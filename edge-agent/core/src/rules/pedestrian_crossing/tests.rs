use expect_test::expect;

use crate::input::Output;
use crate::rules::testing::{check, events, play, scene};

/// Zone `road` is the carriageway, y from 10 to 40; `zebra`, x from 30 to 40,
/// its crosswalk.
const RULE: &str = r#"
    kind = "pedestrian_crossing"
    zone = "road"
    crosswalks = ["zebra"]
    signal = "main"
"#;

#[test]
fn who_crosses_off_the_crosswalk_is_counted_once() {
    check(
        RULE,
        "
        0.0 person#1 at 60.0,5.0
        30.0 person#1 at 60.0,44.0
        60.0 person#1 at 60.0,5.0
        ",
        &expect![["
            pedestrian_crossing starts (revision 1): nobody in particular since 3.9 until 6.3, decided at 6.3
                on_crosswalk: 0.0 <= 0.2 [3.9 to 6.3]
                on_carriageway_for: 2.4 >= 2.0 s [3.9 to 6.3]
                walked: 3.12 >= 3.0 m [3.9 to 6.3]
                is_rider: false = false [3.9 to 6.3]
        "]],
    );
}

#[test]
fn who_steps_out_on_red_is_counted() {
    check(
        RULE,
        "
        0.0 signal green
        2.0 signal red
        0.0 person#1 at 35.0,5.0
        30.0 person#1 at 35.0,44.0
        ",
        &expect![["
            pedestrian_crossing starts (revision 1): nobody in particular since 3.9 until 6.3, decided at 6.3
                red_for: 1.9 >= 1.0 s [3.9 to 3.9]
                on_carriageway_for: 2.4 >= 2.0 s [3.9 to 6.3]
                walked: 3.12 >= 3.0 m [3.9 to 6.3]
                is_rider: false = false [3.9 to 6.3]
        "]],
    );
}

#[test]
fn nobody_can_be_known_by_what_is_counted() {
    let mut scene = scene(RULE, true);
    scene.tell_near_misses();
    let out = play(
        &mut scene,
        "
        0.0 person#1 at 60.0,5.0
        30.0 person#1 at 60.0,44.0
        ",
    );
    assert_eq!(events(&out).count(), 1);
    let track = "1970-01-01T00:00:00";
    for output in &out {
        match output {
            Output::Event(event) => {
                assert_eq!(event.actors, []);
                let text = serde_json::to_string(event).unwrap();
                assert!(
                    !text.contains(track) && !text.contains("\"track\""),
                    "{text}"
                );
            }
            Output::Coverage(_) => {}
            Output::Evidence(_) | Output::NearMiss(_) | Output::Speed(_) => panic!("{output:?}"),
        }
    }
}

/// Stories in which nobody may be counted: who …
#[test]
fn who_crosses_as_one_should_is_silent() {
    for (who, story) in [
        (
            "crosses on the crosswalk on green",
            "0.0 signal green
             0.0 person#1 at 35.0,5.0
             30.0 person#1 at 35.0,44.0",
        ),
        (
            "stepped out just before red",
            "0.0 signal green
             3.0 signal red
             0.0 person#1 at 35.0,8.0
             24.0 person#1 at 35.0,44.0",
        ),
        (
            "crosses on the crosswalk while nobody knows the lamp",
            "0.0 person#1 at 35.0,5.0
             30.0 person#1 at 35.0,44.0",
        ),
        (
            "was first seen on the crosswalk",
            "0.0 signal red
             0.0 person#1 at 35.0,15.0
             20.0 person#1 at 35.0,44.0",
        ),
        (
            "stands at the kerb",
            "0.0 signal red
             0.0 person#1 at 60.0,9.0
             5.0 person#1 at 60.0,10.5
             30.0 person#1 at 60.0,10.5",
        ),
        (
            "drives",
            "0.0 car#1 at 60.0,5.0
             10.0 car#1 at 60.0,44.0",
        ),
        (
            "was not watched",
            "0.0 person#1 at 60.0,8.0
             1.0 gap 25.0
             26.0 person#1 at 60.0,44.0",
        ),
    ] {
        let out = play(&mut scene(RULE, true), story);
        assert_eq!(events(&out).count(), 0, "who {who}");
    }
}
