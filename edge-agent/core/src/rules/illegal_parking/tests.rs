use crate::rules::testing::{events, play, scene};

const RULE: &str = r#"
    kind = "illegal_parking"
    zone = "road"
    queue_excuses_s = 100.0
"#;

fn accused(story: &str) -> Vec<u16> {
    let out = play(&mut scene(RULE, true), story);
    events(&out)
        .filter(|event| event.revision == 1)
        .map(|event| event.actors[0].track.rank)
        .collect()
}

#[test]
fn five_minutes_through_occlusion_are_parking_and_four_are_not() {
    let stands = |until: u32| {
        format!(
            "0.0 car#1 at 70.0,30.0\n100.0 car#1 hides\n120.0 car#1 at 70.0,30.0\n{until}.0 car#1 at 70.0,30.0"
        )
    };
    assert_eq!(accused(&stands(310)), [] as [u16; 0]);
    assert_eq!(accused(&stands(330)), [1]);
}

/// A row of parked cars looks like a queue, for as long as a queue is an excuse.
#[test]
fn those_behind_in_a_row_of_parked_cars_are_accused_later() {
    let row = |until: u32| {
        format!(
            "0.0 car#1 at 30.0,30.0\n4.0 car#1 at 80.0,30.0\n0.0 car#2 at 14.0,30.0\n\
             5.0 car#2 at 73.0,30.0\n{until}.0 car#1 at 80.0,30.0\n{until}.0 car#2 at 73.0,30.0"
        )
    };
    assert_eq!(accused(&row(320)), [1]);
    assert_eq!(accused(&row(430)), [1, 2]);
}
