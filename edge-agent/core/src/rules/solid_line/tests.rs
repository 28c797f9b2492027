use expect_test::expect;

use crate::rules::testing::{PLACES, check, check_uncalibrated, events, play, scene};
use crate::{SceneConfig, rules::testing};

/// Line `stop` runs along x = 50 from y = 10 to 40; forwards is to the right.
const RULE: &str = r#"
    kind = "solid_line"
    lines = ["stop"]
"#;

#[test]
fn changing_lanes_over_the_marking_is_told_once() {
    let story = "
        0.0 car#1 at 48.2,12.0
        1.0 car#1 at 48.2,20.0
        3.0 car#1 at 51.8,32.0
        3.5 car#1 at 51.8,36.0
        5.5 car#1 at 48.2,39.0
        ";
    check(
        RULE,
        story,
        &expect![[r#"
            solid_line starts (revision 1): car#1 since 2.0 until 2.0, decided at 2.3
                lateral: 2.34 > 1.75 m [1.0 to 2.3]
                beyond_line: 0.54 >= 0.438 m [2.3 to 2.3]
                within: 1.3 <= 6.0 s [1.0 to 2.3]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 2.3]
                class_share: 1.0 >= 0.5 [0.0 to 2.3]
                pictures of 1.0, 1.9, 2.2, 2.3
        "#]],
    );
    check_uncalibrated(
        RULE,
        story,
        &expect![[r#"
            solid_line starts (revision 1): car#1 since 2.0 until 2.0, decided at 2.3
                lateral: 1.17 > 1.0 box heights [1.0 to 2.3]
                beyond_line: 0.27 >= 0.25 box heights [2.3 to 2.3]
                within: 1.3 <= 6.0 s [1.0 to 2.3]
                class: "car" = "motorcycle, car, bus, truck" [0.0 to 2.3]
                class_share: 1.0 >= 0.5 [0.0 to 2.3]
                pictures of 1.0, 1.9, 2.2, 2.3
        "#]],
    );
}

#[test]
fn only_the_forbidden_way_counts() {
    let story = "
        0.0 car#1 at 48.2,12.0
        3.0 car#1 at 51.8,32.0
        4.0 car#1 at 51.8,36.0
        ";
    for (way, expected) in [("forward", 1), ("backward", 0), ("both", 1)] {
        let rule = format!("{RULE}\nway = \"{way}\"");
        let out = play(&mut scene(&rule, true), story);
        assert_eq!(events(&out).count(), expected, "{way}");
    }
}

#[test]
fn a_bent_marking_is_crossed_once() {
    let places = format!(
        "{PLACES}
        [[line]]
        id = \"upper\"
        from = [0.3, 0.2]
        to = [0.3, 0.5]
        towards = [0.4, 0.4]
        [[line]]
        id = \"lower\"
        from = [0.3, 0.5]
        to = [0.32, 0.8]
        towards = [0.4, 0.6]
        [[rule]]
        id = \"r\"
        kind = \"solid_line\"
        lines = [\"upper\", \"lower\"]"
    );
    let (config, faults) = SceneConfig::from_table(&places.parse().unwrap());
    assert_eq!(faults, []);
    let mut scene = crate::Scene::new(testing::identity(), config, None).unwrap();
    let out = play(
        &mut scene,
        "
        0.0 car#1 at 26.0,20.0
        3.0 car#1 at 34.0,30.0
        ",
    );
    assert_eq!(events(&out).count(), 1);
}

/// Stories in which nobody may be accused: who …
#[test]
fn who_does_not_change_lanes_is_silent() {
    for (who, story) in [
        (
            "drives on the marking",
            "0.0 car#1 at 49.8,12.0
             2.0 car#1 at 50.3,25.0
             4.0 car#1 at 49.8,38.0",
        ),
        (
            "drifts over it and back",
            "0.0 car#1 at 48.5,12.0
             2.0 car#1 at 50.3,20.0
             4.0 car#1 at 48.5,38.0",
        ),
        (
            "was hidden when it changed lanes",
            "0.0 car#1 at 48.2,12.0
             1.0 car#1 at 48.2,18.0
             1.0 car#1 hides
             3.0 car#1 at 51.8,30.0
             5.0 car#1 at 51.8,38.0",
        ),
        (
            "passes beyond the end of the marking",
            "0.0 car#1 at 48.2,42.0
             3.0 car#1 at 52.0,47.0",
        ),
        (
            "walks",
            "0.0 person#1 at 45.0,25.0
             8.0 person#1 at 55.0,25.0",
        ),
    ] {
        let out = play(&mut scene(RULE, true), story);
        assert_eq!(events(&out).count(), 0, "who {who}");
    }
}
