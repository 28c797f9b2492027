use expect_test::expect;
use protocol::EventTime;
use protocol::event::Value;
use protocol::units::Seconds;

use crate::health::{Condition, Health};
use crate::input::Input;
use crate::rules::testing::{check, events, play, scene, told};

#[test]
fn a_camera_that_was_turned_and_turned_back() {
    check(
        r#"kind = "camera_moved""#,
        "
        0.0 car#1 at 20.0,30.0
        2.0 health moved
        6.0 health well
        9.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            camera_moved starts (revision 1): nobody in particular since 2.0, decided at 2.0
                condition: "moved" = "moved" [2.0 to 2.0]
                lasts: 0.0 >= 0.0 s [2.0 to 2.0]
                pictures of 2.0
            camera_moved is over (revision 2): nobody in particular since 2.0 until 6.0, end_reason "cleared"
        "#]],
    );
}

#[test]
fn a_lost_camera_is_told_while_no_frame_comes() {
    check(
        r#"kind = "camera_lost""#,
        "
        0.0 car#1 at 20.0,30.0
        3.0 car#1 at 22.0,30.0
        3.0 lost 50.0
        52.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            camera_lost starts (revision 1): nobody in particular since 3.0, decided at 33.0
                condition: "lost" = "lost" [3.0 to 33.0]
                lasts: 30.0 >= 30.0 s [3.0 to 33.0]
                pictures of 33.0
            camera_lost is over (revision 2): nobody in particular since 3.0 until 50.0, end_reason "cleared"
        "#]],
    );
}

/// A camera that gives damaged pictures only is as good as none; what is wrong is said.
#[test]
fn damaged_pictures_are_a_loss_and_go_on_as_one() {
    check(
        r#"kind = "camera_lost""#,
        "
        0.0 car#1 at 20.0,30.0
        3.0 health corrupt
        40.0 health lost
        45.0 health well
        48.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            camera_lost starts (revision 1): nobody in particular since 3.0, decided at 33.0
                condition: "corrupt" = "corrupt" [3.0 to 33.0]
                lasts: 30.0 >= 30.0 s [3.0 to 33.0]
                pictures of 33.0
            camera_lost is over (revision 2): nobody in particular since 3.0 until 45.0, end_reason "cleared"
        "#]],
    );
}

/// It was told when it had been lost for half a minute, as if it had been of use until then.
#[test]
fn damaged_pictures_that_go_over_into_none_are_one_loss_from_the_first_on() {
    check(
        r#"kind = "camera_lost""#,
        "
        0.0 car#1 at 20.0,30.0
        3.0 health corrupt
        25.0 health lost
        45.0 health well
        48.0 car#1 at 40.0,30.0
        ",
        &expect![[r#"
            camera_lost starts (revision 1): nobody in particular since 3.0, decided at 33.0
                condition: "lost" = "lost" [25.0 to 33.0]
                lasts: 30.0 >= 30.0 s [3.0 to 33.0]
                pictures of 33.0
            camera_lost is over (revision 2): nobody in particular since 3.0 until 45.0, end_reason "cleared"
        "#]],
    );
}

/// A camera without power was damaged for days, by what its event said.
#[test]
fn what_is_wrong_is_revised_once_the_other_has_lasted() {
    let story = "
        0.0 car#1 at 20.0,30.0
        3.0 health corrupt
        40.0 health lost
        90.0 health corrupt
        95.0 health lost
        98.0 health well
        99.0 car#1 at 40.0,30.0
    ";
    let out = play(&mut scene(r#"kind = "camera_lost""#, false), story);
    let said = events(&out).map(|event| (event.revision, event.facts["condition"].clone()));
    let said: Vec<(u32, Value)> = said.collect();
    let [corrupt, lost] = ["corrupt", "lost"].map(Value::from);
    assert_eq!(said, [(1, corrupt), (2, lost.clone()), (3, lost)]);
}

#[test]
fn a_condition_that_comes_back_is_another_one() {
    let mut scene = scene(r#"kind = "camera_lost""#, false);
    let mut out = Vec::new();
    let at = |t| EventTime::EPOCH + Seconds(t);
    let lost = |t, since| {
        Input::Health(Health {
            time: at(t),
            since: at(since),
            condition: Condition::Lost,
            ..Health::default()
        })
    };
    // That it was well meanwhile was not heard.
    for input in [lost(11.0, 1.0), lost(41.0, 40.0), lost(71.0, 40.0)] {
        scene.handle(input, &mut out);
    }
    let onsets: Vec<_> = events(&out).map(|event| event.onset).collect();
    assert_eq!(onsets, [at(40.0)]);
}

/// Of a camera at work each loss ended when it began: the picture has been well since long before
/// that, as far as anybody looked at it.
#[test]
fn a_loss_ends_when_the_picture_is_back_and_not_when_that_became_well_once() {
    let at = |t| EventTime::EPOCH + Seconds(t);
    let told = |t, since, condition| {
        Input::Health(Health {
            time: at(t),
            since: at(since),
            condition,
            ..Health::default()
        })
    };
    for (since, condition, ended) in [
        (0.0, Condition::Well, 100.0),
        (3.0, Condition::Dark, 100.0),
        (80.0, Condition::Well, 80.0),
    ] {
        let mut scene = scene(r#"kind = "camera_lost""#, false);
        let mut out = Vec::new();
        for input in [
            told(11.0, 10.0, Condition::Lost),
            Input::Tick(at(41.0)),
            told(100.0, since, condition),
        ] {
            scene.handle(input, &mut out);
        }
        let spans: Vec<_> = events(&out).map(|it| (it.onset, it.ended)).collect();
        let expected = [(at(10.0), None), (at(10.0), Some(at(ended)))];
        assert_eq!(spans, expected, "{condition:?} since {since}");
    }
}

/// It was lost for a moment before the rule's hours were over, and damaged for a moment when they began
/// again: eight hours, of which it was well for all but a minute, were told as one loss.
#[test]
fn a_loss_of_yesterday_is_not_the_beginning_of_todays_damage() {
    let mut scene = scene("kind = \"camera_lost\"\nhours = [\"06:00-22:00\"]", false);
    let mut out = Vec::new();
    // On the clock of the camera's place.
    let at = |hour: f64, s: f64| EventTime::EPOCH + Seconds(3_600.0 * (hour - 7.0) + s);
    let told = |time, since, condition| {
        Input::Health(Health {
            time,
            since,
            condition,
            ..Health::default()
        })
    };
    let (lost, damaged) = (at(46.0, -10.0), at(54.0, -5.0));
    for input in [
        told(lost, lost, Condition::Lost),
        Input::Tick(at(46.0, -1.0)),
        told(at(46.0, 30.0), at(46.0, 30.0), Condition::Well),
        told(damaged, damaged, Condition::Corrupt),
        Input::Tick(at(54.0, 1.0)),
        Input::Tick(at(54.0, 20.0)),
    ] {
        scene.handle(input, &mut out);
    }
    assert_eq!(events(&out).count(), 0, "{out:?}");
    scene.handle(Input::Tick(at(54.0, 26.0)), &mut out);
    let onsets: Vec<_> = events(&out).map(|event| event.onset).collect();
    assert_eq!(onsets, [damaged]);
}

#[test]
fn silent_stories() {
    for (kind, story) in [
        // Back before anybody needs to come.
        (
            "camera_lost",
            "0.0 car#1 at 20.0,30.0\n3.0 lost 20.0\n22.0 car#1 at 40.0,30.0",
        ),
        // Another condition is another rule's.
        ("camera_dark", "2.0 health moved\n9.0 car#1 at 40.0,30.0"),
    ] {
        let rule = format!("kind = \"{kind}\"");
        check(&rule, story, &expect![[""]]);
    }
}

#[test]
fn one_condition_after_another_ends_the_first() {
    let story = "
        0.0 car#1 at 20.0,30.0
        2.0 health defocused
        6.0 health blocked
        9.0 car#1 at 40.0,30.0
    ";
    check(
        r#"kind = "camera_defocused""#,
        story,
        &expect![[r#"
            camera_defocused starts (revision 1): nobody in particular since 2.0, decided at 2.0
                condition: "defocused" = "defocused" [2.0 to 2.0]
                lasts: 0.0 >= 0.0 s [2.0 to 2.0]
                pictures of 2.0
            camera_defocused is over (revision 2): nobody in particular since 2.0 until 6.0, end_reason "cleared"
        "#]],
    );
}

#[test]
fn what_goes_on_after_the_stream_ended_is_a_new_event() {
    let mut scene = scene(r#"kind = "camera_blocked""#, false);
    let mut out = Vec::new();
    let at = |t| EventTime::EPOCH + Seconds(t);
    let blocked = |t, since| {
        Input::Health(Health {
            time: at(t),
            since: at(since),
            condition: Condition::Blocked,
            value: Some(0.9),
            threshold: Some(0.7),
        })
    };
    for input in [
        blocked(3.0, 1.0),
        Input::End(at(4.0)),
        blocked(5.0, 1.0),
        Input::Tick(at(6.0)),
    ] {
        scene.handle(input, &mut out);
    }
    let ids: std::collections::BTreeSet<_> = events(&out).map(|event| event.id).collect();
    assert_eq!(ids.len(), 2);
    expect![[r#"
        camera_blocked starts (revision 1): nobody in particular since 1.0, decided at 3.0
            condition: "blocked" = "blocked" [1.0 to 3.0]
            lasts: 2.0 >= 0.0 s [1.0 to 3.0]
            lost_detail: 0.9 >= 0.7 [1.0 to 3.0]
            pictures of 3.0
        camera_blocked is over (revision 2): nobody in particular since 1.0 until 3.0, end_reason "stream_ended"
        camera_blocked starts (revision 1): nobody in particular since 3.0, decided at 5.0
            condition: "blocked" = "blocked" [3.0 to 5.0]
            lasts: 2.0 >= 0.0 s [3.0 to 5.0]
            lost_detail: 0.9 >= 0.7 [3.0 to 5.0]
            pictures of 5.0
    "#]]
    .assert_eq(&told(&out));
}

#[test]
fn coverage_of_the_rule_goes_on_while_the_picture_is_bad() {
    let story = "
        0.0 car#1 at 20.0,30.0
        2.0 health moved
        9.0 car#1 at 40.0,30.0
    ";
    let out = play(&mut scene(r#"kind = "camera_moved""#, false), story);
    let unwatched = out.iter().any(|output| {
        matches!(output, crate::input::Output::Coverage(hour) if !hour.unwatched_s.is_empty())
    });
    assert!(!unwatched, "{out:?}");
}
