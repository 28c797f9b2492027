use crate::rules::testing::{events, play, scene};

const RULE: &str = r#"
    kind = "debris"
    zone = "road"
"#;

#[test]
fn an_unknown_thing_that_lies_still_for_twenty_seconds_is_debris_and_no_other() {
    for (story, starts) in [
        ("0.0 other#1 at 60.0,30.0\n25.0 other#1 at 60.0,30.0", 1),
        ("0.0 other#1 at 60.0,30.0\n15.0 other#1 at 60.0,30.0", 0),
        ("0.0 other#1 at 60.0,30.0\n25.0 other#1 at 80.0,30.0", 0),
        ("0.0 car#1 at 60.0,30.0\n25.0 car#1 at 60.0,30.0", 0),
        // A car stands on it, or it is part of the car.
        (
            "0.0 other#1 at 60.0,30.0\n0.0 car#2 at 61.0,30.0\n25.0 other#1 at 60.0,30.0\n25.0 car#2 at 61.0,30.0",
            0,
        ),
    ] {
        let out = play(&mut scene(RULE, true), story);
        let events = events(&out).filter(|event| event.revision == 1);
        assert_eq!(events.count(), starts, "{story}");
    }
}
