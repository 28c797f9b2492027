use std::fmt::Write;

use expect_test::expect;

use crate::rules::testing::{check, events, play, scene};

const RULE: &str = r#"
    kind = "crowd"
    zone = "road"
    min_count = 8
    min_duration_s = 5.0
    clear_after_s = 4.0
"#;

/// People who stand about, of whom each is hidden for a second now and then.
fn people(number: u32, until: u32) -> String {
    let mut story = String::new();
    for one in 0..number {
        let (x, y) = (30 + 4 * (one % 5), 15 + 4 * (one / 5));
        writeln!(story, "0.0 person#{one} at {x}.0,{y}.0").unwrap();
        writeln!(story, "{}.0 person#{one} hides", 2 + one % 3).unwrap();
        writeln!(story, "{}.0 person#{one} at {x}.0,{y}.0", 3 + one % 3).unwrap();
        writeln!(story, "{until}.0 person#{one} at {x}.0,{y}.0").unwrap();
    }
    story
}

#[test]
fn many_people_for_a_while_are_a_crowd_though_they_hide_each_other() {
    check(
        RULE,
        &people(9, 10),
        &expect![[r#"
        crowd starts (revision 1): nobody in particular since 0.0, decided at 5.0
            duration: 5.0 >= 5.0 s [0.0 to 5.0]
            people: 9.0 >= 8.0 [5.0 to 5.0]
            pictures of 0.0, 5.0
        crowd is over (revision 2): nobody in particular since 0.0 until 10.5, end_reason "stream_ended"
    "#]],
    );
}

#[test]
fn few_people_are_no_crowd_unless_they_are_dense() {
    let few = people(7, 10);
    assert_eq!(events(&play(&mut scene(RULE, true), &few)).count(), 0);
    // Seven people on 80 m × 30 m.
    for (density, count) in [(0.0025, 2), (0.0035, 0)] {
        let rule = format!("{RULE}\nmin_density_per_m2 = {density}");
        let out = play(&mut scene(&rule, true), &few);
        assert_eq!(events(&out).count(), count, "{density} per m²");
    }
}
