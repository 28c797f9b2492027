//! What becomes of looks whose answers come when the scene has forgotten their frame.

use crossbeam_channel::{Receiver, bounded};
use edge_inference::Answered;
use models::heads::Answers;

use super::*;
use crate::cascades::{Answer, LookerIndex};
use crate::live::inference::SecondLook;

/// One look at each, and no more.
const HEADS: &str = "[[camera.rule]]\nid = 'heads'\nkind = 'no_helmet'\n\
     [[camera.cascade]]\nid = 'heads'\nmodel = 'my-heads'\ngives = ['no_helmet', 'helmet']\n\
     on = 'person'\ncrop = 'upper'\nlooks = 1\nmost_looks = 1\nmin_height_px = 8\n\
     min_sharpness = 0.0\n";

/// A camera with a cascade, and where its looks are asked for.
fn camera() -> (Camera, Receiver<SecondLook>) {
    let mut camera = Camera::new(HEADS);
    let (ask, asked) = bounded(64);
    let config = camera.room.setup.config.clone();
    let index = LookerIndex::made_up(&config.cascades);
    camera.room.setup.second_looks = SecondLooks::new(&config, &index, ask);
    (camera, asked)
}

/// Somebody is seen in these tenths of a second.
fn see(camera: &mut Camera, tenths: std::ops::Range<u32>) {
    let picture = picture(160, 90);
    for tenth in tenths {
        let second = f64::from(tenth) / 10.0;
        let work = camera.look_in(second, &picture);
        camera.at(second).take(work);
    }
}

/// The look is answered: nothing to be seen.
fn answered(look: SecondLook) -> Work {
    let nothing = Answers {
        found: Vec::new(),
        broken: 0,
    };
    let learnt = (look.learn)(Answer::Network(Ok(Answered::Labels(nothing)))).unwrap();
    Work {
        inputs: vec![learnt.input],
        frame: Some(look.frame),
        pledge: Some(learnt.pledge),
    }
}

/// The same, and the scene hears it.
fn answer(camera: &mut Camera, second: f64, look: SecondLook) {
    let work = answered(look);
    camera.at(second).take(work);
}

/// A scene that stood still for a while had room for so many; of the others nobody heard, and who
/// was to be looked at once was not looked at again.
#[test]
fn a_look_whose_answer_is_lost_on_the_way_may_be_taken_again() {
    let (mut camera, asked) = camera();
    see(&mut camera, 0..10);
    let first = asked.try_recv().unwrap();
    drop(answered(first));
    see(&mut camera, 10..20);
    let second = asked.try_recv().unwrap();
    answer(&mut camera, 2.0, second);
    see(&mut camera, 20..100);
    assert!(asked.is_empty());
}

/// A look at somebody was all that there was for him, and its answer was refused.
#[test]
fn a_look_whose_answer_comes_too_late_may_be_taken_again() {
    let (mut camera, asked) = camera();
    see(&mut camera, 0..10);
    let first = asked.try_recv().unwrap();
    see(&mut camera, 10..80);
    assert!(asked.is_empty(), "one look is all that there is");
    answer(&mut camera, 8.0, first);
    assert_eq!(camera.room.scene.refused().second_looks_late, 1);
    see(&mut camera, 80..90);
    let second = asked.try_recv().unwrap();
    // One that is heard is one.
    answer(&mut camera, 9.0, second);
    assert_eq!(camera.room.scene.refused().second_looks_late, 1);
    see(&mut camera, 90..180);
    assert!(asked.is_empty());
}

/// And so may one for which the thread with the models had no time.
#[test]
fn a_look_that_is_dropped_unanswered_may_be_taken_again() {
    let (mut camera, asked) = camera();
    see(&mut camera, 0..10);
    drop(asked.try_recv().unwrap());
    see(&mut camera, 10..20);
    let second = asked.try_recv().unwrap();
    answer(&mut camera, 2.0, second);
    see(&mut camera, 20..100);
    assert!(asked.is_empty());
}

/// Rules that rest on such looks did not watch, and that is in the recording.
#[test]
fn a_row_of_answers_that_come_too_late_is_told_as_overload() {
    let (mut camera, asked) = camera();
    let mut second = 0;
    for _ in 0..4 {
        see(&mut camera, second..second + 60);
        let look = asked.try_recv().unwrap();
        second += 60;
        answer(&mut camera, f64::from(second) / 10.0, look);
    }
    see(&mut camera, second..second + 2);
    let shown = camera.shown();
    let mut told = shown.iter().filter_map(|input| match input {
        Input::Unanswered(stretch) => Some(stretch.reason),
        _ => None,
    });
    assert_eq!(told.next(), Some(GapReason::Overload));
}
