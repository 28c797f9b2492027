//! Fire that nobody sees but looks at the whole picture.

use std::fmt::Write as _;

use expect_test::expect;
use protocol::{EventTime, ObjectClass};

use super::{cascading, looks};
use crate::input::Output;
use crate::rules::testing::{events, play, told};
use crate::scene::Scene;

#[test]
fn fire_that_a_second_model_sees_once_a_second() {
    let rule = r#"kind = "fire"
        min_duration_s = 3.0
        min_size_pct = 0.01"#;
    let fire = |what| {
        format!(
            "0.0 fire#9 at 40.0,30.0\n0.0 fire#9 size 2.0,2.0\n8.0 fire#9 size 6.0,6.0\n\
             8.0 fire#9 at 40.0,30.0\n{}",
            looks("fire#9", what, (0.0, 1.0, 8))
        )
    };
    // What stories call fire#9 is what the whole picture shows; the detector knows no fire.
    let seen = play_unseen(&mut cascading(rule, &[]), &fire("fire"));
    expect![[r#"
        fire starts (revision 1): fire#0 since 0.0, decided at 3.0
            lasts: 3.0 >= 3.0 s [0.0 to 3.0]
            seen_share: 1.0 >= 0.6 [0.0 to 3.0]
            looks: 4.0 >= 3.0 [0.0 to 3.0]
            growth: 107.317 >= 20.0 % [0.0 to 3.0]
            size: 0.213 >= 0.01 % [0.0 to 3.0]
            pictures of 0.0, 3.0
        fire is over (revision 2): fire#0 since 0.0 until 7.0, end_reason "stream_ended"
    "#]]
    .assert_eq(&told(&seen));
    // A detector that lists fire and sees none does not outvote the model that looks for it.
    let knows_fire = play_unseen(&mut cascading(rule, &[ObjectClass::Fire]), &fire("fire"));
    assert_eq!(told(&knows_fire), told(&seen));
    let unseen = play_unseen(&mut cascading(rule, &[]), &fire("nothing"));
    assert_eq!(told(&unseen), "");
}

/// A fire is where it is whether or not a look finds it. The tests before this one
/// had a look each second, each with fire and answered at once, so a rule that
/// gave a fire up for one flicker, or because the box was busy, passed them.
#[test]
fn a_fire_is_told_although_a_look_misses_it_and_answers_are_late() {
    let rule = r#"kind = "fire"
        min_size_pct = 0.01"#;
    // Each letter is a look: fire or nothing.
    let story = |looks: &str, every: f64, late: f64| {
        let mut story = format!(
            "0.0 fire#9 at 40.0,30.0\n0.0 fire#9 size 2.0,2.0\n30.0 fire#9 size 9.0,9.0\n\
             30.0 fire#9 at 40.0,30.0\n0.0 fire#9 unseen\n0.0 answers {late}\n"
        );
        for (index, look) in looks.chars().enumerate() {
            let t = every * index as f64;
            let what = if look == 'f' { "fire" } else { "nothing" };
            writeln!(story, "{t:.1} fire#9 looked {what}").unwrap();
        }
        story
    };
    let mut said = String::new();
    for (looks, every, late) in [
        ("ffffffff", 1.0, 1.8),
        ("fnffffffff", 1.0, 0.3),
        ("ffnfnfffnf", 1.0, 1.8),
        ("ffnnffffffffff", 1.0, 0.3),
        ("ffnfffff", 1.5, 1.9),
        // A busy box answers one look in three seconds.
        ("fffffff", 3.0, 1.9),
        // What is seen now and then is no fire, and two looks are no proof.
        ("fnnfnnfnnfnnfnnfnn", 1.0, 0.3),
        ("fnnnfnnnffnnnfnnn", 1.0, 0.3),
        ("ff", 6.0, 0.3),
    ] {
        let out = play(&mut cascading(rule, &[]), &story(looks, every, late));
        let raised = events(&out).find(|event| event.revision == 1);
        let decided = raised.map(|event| event.decided.time.since(EventTime::EPOCH).0);
        writeln!(
            said,
            "{looks} each {every} s, answered {late} s later: {decided:?}"
        )
        .unwrap();
    }
    expect![[r"
        ffffffff each 1 s, answered 1.8 s later: Some(5.0)
        fnffffffff each 1 s, answered 0.3 s later: Some(5.0)
        ffnfnfffnf each 1 s, answered 1.8 s later: Some(5.0)
        ffnnffffffffff each 1 s, answered 0.3 s later: Some(5.0)
        ffnfffff each 1.5 s, answered 1.9 s later: Some(6.0)
        fffffff each 3 s, answered 1.9 s later: Some(6.0)
        fnnfnnfnnfnnfnnfnn each 1 s, answered 0.3 s later: None
        fnnnfnnnffnnnfnnn each 1 s, answered 0.3 s later: None
        ff each 6 s, answered 0.3 s later: None
    "]]
    .assert_eq(&said);
}

/// That nobody could look is no end of a fire, and no answer for long is no fire for ever.
#[test]
fn a_fire_ends_by_looks_that_searched_for_it_and_not_for_want_of_them() {
    let rule = r#"kind = "fire"
        min_duration_s = 3.0
        clear_after_s = 4.0
        min_size_pct = 0.01"#;
    let burning = format!(
        "0.0 fire#9 at 40.0,30.0\n0.0 fire#9 size 2.0,2.0\n60.0 fire#9 size 9.0,9.0\n\
         60.0 fire#9 at 40.0,30.0\n0.0 fire#9 unseen\n{}",
        looks("fire#9", "fire", (0.0, 1.0, 8))
    );
    let mut said = String::new();
    for (name, more) in [
        (
            "nobody looks for 12 s",
            looks("fire#9", "fire", (19.0, 1.0, 5)),
        ),
        (
            "searched in vain",
            looks("fire#9", "nothing", (8.0, 1.0, 12)),
        ),
        ("never answered again", String::new()),
    ] {
        let out = play(&mut cascading(rule, &[]), &format!("{burning}{more}"));
        let told: Vec<String> = events(&out)
            .map(|event| format!("{:?}", event.facts.get("end_reason")))
            .collect();
        let ends = events(&out).filter_map(|event| event.ended);
        let ends: Vec<f64> = ends.map(|end| end.since(EventTime::EPOCH).0).collect();
        writeln!(said, "{name}: {} events, until {ends:?}", told.len()).unwrap();
    }
    expect![[r"
        nobody looks for 12 s: 2 events, until [23.0]
        searched in vain: 2 events, until [7.0]
        never answered again: 2 events, until [7.0]
    "]]
    .assert_eq(&said);
}

/// A story in which only cascades see fire.
fn play_unseen(scene: &mut Scene, story: &str) -> Vec<Output> {
    play(scene, &format!("{story}\n0.0 fire#9 unseen"))
}
