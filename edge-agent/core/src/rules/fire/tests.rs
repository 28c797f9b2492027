use expect_test::expect;

use crate::rules::testing::check;

const RULE: &str = r#"kind = "fire"
min_size_pct = 0.01"#;

#[test]
fn a_fire_that_grows_and_goes_out() {
    check(
        RULE,
        "
        1.0 fire#9 at 50.0,30.0
        1.0 fire#9 size 2.0,1.0
        9.0 fire#9 size 4.0,3.0
        12.0 fire#9 at 50.0,30.0
        12.1 fire#9 hides
        40.0 car#1 at 10.0,10.0
        ",
        &expect![[r#"
            fire starts (revision 1): fire#0 since 1.0, decided at 6.0
                lasts: 5.0 >= 5.0 s [1.0 to 6.0]
                seen_share: 1.0 >= 0.6 [1.0 to 6.0]
                looks: 26.0 >= 3.0 [1.0 to 6.0]
                growth: 135.979 >= 20.0 % [1.0 to 6.0]
                size: 0.125 >= 0.01 % [1.0 to 6.0]
                pictures of 1.0, 6.0
            fire is over (revision 2): fire#0 since 1.0 until 12.0, end_reason "cleared"
        "#]],
    );
}

#[test]
fn silent_stories() {
    for story in [
        // A lamp does not grow.
        "1.0 fire#9 at 50.0,30.0
         1.0 fire#9 size 2.0,1.0
         30.0 fire#9 at 50.0,30.0",
        // A flash, and brake lights now and then.
        "1.0 fire#9 at 50.0,30.0
         1.0 fire#9 size 2.0,1.0
         3.0 fire#9 size 4.0,3.0
         3.0 fire#9 at 50.0,30.0
         9.0 car#1 at 10.0,10.0",
        "1.0 fire#9 at 50.0,30.0
         1.0 fire#9 size 2.0,1.0
         9.0 fire#9 size 4.0,3.0
         2.0 fire#9 hides
         3.5 fire#9 at 50.0,30.0
         4.0 fire#9 hides
         5.5 fire#9 at 50.0,30.0
         6.0 fire#9 hides
         7.5 fire#9 at 50.0,30.0
         8.0 fire#9 hides
         9.0 fire#9 at 50.0,30.0",
        // A headlight moves on.
        "1.0 fire#9 at 20.0,30.0
         1.0 fire#9 size 2.0,1.0
         9.0 fire#9 size 4.0,3.0
         9.0 fire#9 at 190.0,30.0",
    ] {
        check(RULE, story, &expect![[""]]);
    }
}
