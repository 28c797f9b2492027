//! Plates that were searched for, in vain or not.

use protocol::ObjectClass;

use super::{cascading, looks};
use crate::rules::testing::{events, play, told};

#[test]
fn a_plate_that_only_second_looks_search_for() {
    let rule = r#"kind = "plate_obscured"
        min_height_pct = 2.0
        min_neighbours = 2"#;
    let drive = |id: u16, from: f64, looks: String| {
        let (first, last) = (from, from + 5.0);
        format!("{first:.1} car#{id} at 30.0,5.0\n{last:.1} car#{id} at 30.0,45.0\n{looks}")
    };
    let searched = |id: u16, from: f64, what: &str| {
        drive(
            id,
            from,
            looks(&format!("car#{id}"), what, (from + 1.0, 0.5, 6)),
        )
    };
    let neighbours = [1, 2].map(|id| searched(id, 6.0 * f64::from(id), "plate:30A12345"));
    let raised = |last: String| {
        let out = play(
            &mut cascading(rule, &[]),
            &format!("{}{last}", neighbours.concat()),
        );
        events(&out).filter(|event| event.revision == 1).count()
    };
    assert_eq!(raised(searched(3, 18.0, "plate:")), 1, "searched in vain");
    assert_eq!(raised(searched(3, 18.0, "plate:30A99999")), 0, "found");
    assert_eq!(raised(drive(3, 18.0, String::new())), 0, "not searched");
}

/// They alone were neighbours, so that all of them had plates, however poor the view.
#[test]
fn vehicles_whose_plates_the_detector_saw_and_nobody_searched_are_no_neighbours() {
    let rule = r#"kind = "plate_obscured"
        min_height_pct = 2.0
        min_neighbours = 2"#;
    let drive = |id: u16, more: &str| {
        let (first, last) = (6.0 * f64::from(id), 6.0 * f64::from(id) + 5.0);
        format!("{first:.1} car#{id} at 30.0,5.0\n{last:.1} car#{id} at 30.0,45.0\n{more}")
    };
    let seen = [1, 2].map(|id| {
        let from = 6.0 * f64::from(id) + 1.0;
        drive(id, &format!("{from:.1} car#{id} shows plate\n"))
    });
    let searched = drive(3, &looks("car#3", "plate:", (19.0, 0.5, 6)));
    let out = play(
        &mut cascading(rule, &[ObjectClass::Plate]),
        &format!("{}{searched}", seen.concat()),
    );
    assert_eq!(events(&out).count(), 0, "{}", told(&out));
}

/// Its wheels were hidden by who stopped before it, and rules judge nobody whose place nobody sees.
/// But the plate that was read in that time is its plate.
#[test]
fn a_plate_is_heard_of_a_vehicle_whose_wheels_are_hidden() {
    let rule = r#"kind = "stopped_vehicle"
        zone = "road"
        min_dwell_s = 2.0"#;
    let story = format!(
        "0.0 car#1 at 50.0,30.0\n5.9 car#1 at 50.0,30.0\n6.0 car#1 at 50.0,29.3\n\
         12.0 car#1 at 50.0,29.3\n0.0 car#1 size 4.0,2.0\n5.9 car#1 size 4.0,2.0\n\
         6.0 car#1 size 4.0,1.3\n{}",
        looks("car#1", "plate:30A12345", (7.0, 0.5, 5))
    );
    let mut scene = cascading(rule, &[]);
    let out = play(&mut scene, &story);
    let is_stated = |event: &protocol::Event| {
        let plate = event.actors[0].plate.as_ref();
        plate.is_some_and(|plate| plate.is_stated && plate.text == "30A12345")
    };
    assert!(events(&out).any(is_stated), "{}", told(&out));
    assert_eq!(scene.refused().second_looks_of_nobody, 0);
}
