//! What is said not to have been watched, and what is as good as watched.

use std::collections::{BTreeMap, BTreeSet};

use protocol::EventTime;

use super::simulation::{awake, run};
use super::{MS, S, TEN_A_SECOND, whole};
use crate::{Job, Kind, Scheduler, Settings};

#[test]
fn what_was_not_watched_for_overload_is_said_and_nothing_else() {
    // Ten cameras that each get a look in 1.2 s, and no more.
    let cameras = [awake(100 * MS); 10];
    let (looks, scheduler) = run(&cameras, 120 * MS, 20 * S);
    let mut said = BTreeSet::new();
    let mut last = BTreeMap::new();
    for look in &looks {
        let before = last.insert(look.camera, look.time);
        if let (Some((from, to)), Some(before)) = (look.unwatched, before) {
            assert!(
                from >= before && to == look.time && to - from > S,
                "{look:?}"
            );
            said.insert(look.camera);
        }
    }
    assert_eq!(said.len(), 10);
    assert!((0..10).all(|camera| scheduler.counters(camera).unwrap().unwatched > 5));
    // A camera that itself gives a picture in three seconds is not overloaded.
    let (looks, _) = run(&[awake(3 * S)], 10 * MS, 30 * S);
    assert!(looks.iter().all(|look| look.unwatched.is_none()));
}

/// Nobody offers pictures while a look is being done. With one camera and a model of
/// 1.2 s no two jobs ever waited, and nothing was said although it was watched at less
/// than a picture a second.
#[test]
fn pictures_that_pass_while_a_look_is_done_are_overload_and_rest_is_not() {
    let job = |kind, at: i64| whole(kind, at, ());
    let said = |look: i64, moves: bool| {
        let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND], &[1]);
        let mut said = 0;
        for round in 0..10 {
            let now = round * look;
            if round > 0 && moves {
                // All since the last look, which were replaced by the newest.
                scheduler.passed_over(0, EventTime::from_micros(now - look));
            }
            scheduler.offer(job(Kind::Awake, now), now);
            said += usize::from(scheduler.pick(now).remove(0).unwatched.is_some());
            scheduler.finished(0, 1, look, now + look);
        }
        said
    };
    assert_eq!(said(1_200 * MS, true), 9);
    assert_eq!(said(400 * MS, true), 0);
    assert_eq!(said(1_200 * MS, false), 0);
}

/// A motorbike crosses before a busy box, and is gone when its turn comes: the picture that waits
/// is of its last moment, or of an empty road.
#[test]
fn what_moved_and_was_not_looked_at_is_unwatched_although_all_rests_when_the_look_comes() {
    for last in [Kind::Awake, Kind::Heartbeat] {
        let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND], &[1]);
        let offer = |scheduler: &mut Scheduler<()>, kind, at: i64| {
            let job = whole(kind, at, ());
            scheduler.offer(job, at);
        };
        offer(&mut scheduler, Kind::Awake, 0);
        assert_eq!(scheduler.pick(0).len(), 1);
        for at in [100, 200, 1_200] {
            offer(&mut scheduler, Kind::Awake, at * MS);
        }
        offer(&mut scheduler, last, 1_300 * MS);
        let chosen = scheduler.pick(1_700 * MS).remove(0);
        let from_to = (100 * MS, 1_300 * MS);
        let unwatched = chosen
            .unwatched
            .map(|(a, b)| (a.as_micros(), b.as_micros()));
        assert_eq!(unwatched, Some(from_to), "{last:?}");
    }
}

#[test]
fn a_heartbeat_that_a_newer_picture_replaces_in_time_is_not_dropped() {
    let dropped = |looked_at: i64| {
        let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND], &[1]);
        for at in [0, 1_500, 1_540, 1_580, looked_at] {
            let job = whole(Kind::Heartbeat, at * MS, ());
            scheduler.offer(job, at * MS);
            if at == 0 || at == looked_at {
                assert_eq!(scheduler.pick(at * MS).len(), 1);
            }
        }
        let dropped = &scheduler.counters(0).unwrap().dropped;
        dropped.get(&Kind::Heartbeat).copied()
    };
    assert_eq!(dropped(1_620), None);
    // Rules bear no hole of two seconds.
    assert_eq!(dropped(2_100), Some(1));
}

/// A look of three seconds, and each of the other cameras, which rested, was said to have sent nothing.
#[test]
fn a_heartbeat_that_could_not_be_asked_for_during_a_long_look_is_overload() {
    let unwatched = |looked_at: i64, are_passed_over: bool| {
        let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND], &[1]);
        scheduler.offer(whole(Kind::Heartbeat, 0, ()), 0);
        assert_eq!(scheduler.pick(0).len(), 1);
        if are_passed_over {
            scheduler.passed_over_at_rest(0);
        }
        let at = looked_at * MS;
        scheduler.offer(whole(Kind::Heartbeat, at, ()), at);
        let of = scheduler.pick(at).remove(0).unwatched;
        // They are counted where they were taken over.
        assert_eq!(scheduler.counters(0).unwrap().dropped, BTreeMap::new());
        of.map(|(from, to)| (from.as_micros() / MS, to.as_micros() / MS))
    };
    assert_eq!(unwatched(3_000, true), Some((0, 3_000)));
    assert_eq!(unwatched(1_500, true), None);
    // The camera itself sent nothing for so long, and its scene sees that.
    assert_eq!(unwatched(3_000, false), None);
}

/// The gate vouches for an empty road between rare looks.
#[test]
fn a_rest_that_the_scene_knows_of_is_as_good_as_a_heartbeat_unless_something_was_missed() {
    let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND; 2], &[1]);
    let offer = |scheduler: &mut Scheduler<()>, camera, kind, at: i64| {
        let job = Job {
            camera,
            ..whole(kind, at * MS, ())
        };
        scheduler.offer(job, at * MS);
    };
    assert!(!scheduler.has_seen_all(0), "nobody has looked yet");
    for camera in [0, 1] {
        offer(&mut scheduler, camera, Kind::Heartbeat, 0);
        assert!(!scheduler.has_seen_all(camera), "it waits");
        assert_eq!(scheduler.pick(0).len(), 1);
        assert!(scheduler.has_seen_all(camera));
    }
    for at in [1_500, 3_000, 4_500] {
        scheduler.rested(0, EventTime::from_micros(at * MS), at * MS);
    }
    // Five seconds after the last look its heartbeat is no hole, and gives way to whoever moves.
    offer(&mut scheduler, 0, Kind::Heartbeat, 5_000);
    offer(&mut scheduler, 1, Kind::Awake, 5_000);
    let chosen = [0, 1].map(|_| scheduler.pick(5_100 * MS).remove(0));
    assert_eq!(chosen.each_ref().map(|chosen| chosen.job.camera), [1, 0]);
    assert_eq!(chosen.each_ref().map(|chosen| chosen.unwatched), [None; 2]);
    // What moved and was not looked at.
    scheduler.passed_over(0, EventTime::from_micros(5_200 * MS));
    assert!(!scheduler.has_seen_all(0));
    offer(&mut scheduler, 0, Kind::Awake, 5_300);
    assert_eq!(scheduler.pick(5_300 * MS).len(), 1);
    assert!(scheduler.has_seen_all(0));
    // A heartbeat that found no time.
    offer(&mut scheduler, 0, Kind::Heartbeat, 6_800);
    offer(&mut scheduler, 0, Kind::Heartbeat, 6_900);
    assert!(!scheduler.has_seen_all(0));
}

#[test]
fn waking_from_sleep_is_no_overload() {
    let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND], &[1]);
    let mut offer = |kind, at: i64| {
        scheduler.offer(whole(kind, at, ()), at);
        scheduler.clone().pick(at + 1)[0].unwatched
    };
    assert_eq!(offer(Kind::Heartbeat, 0), None);
    assert_eq!(offer(Kind::Awake, 1_400 * MS), None);
    assert_eq!(offer(Kind::Awake, 1_500 * MS), None);
}

/// It rested for 1.4 s and waited for less than a second, each of which is watched; together they are
/// more than two, which rules took for pictures that the camera had not sent.
#[test]
fn a_rest_and_a_wait_that_are_a_hole_together_are_overload_since_it_woke() {
    let unwatched = |looked_at: i64| {
        let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND], &[1]);
        scheduler.offer(whole(Kind::Heartbeat, 0, ()), 0);
        assert_eq!(scheduler.pick(0).len(), 1);
        for at in [1_400, 1_500, looked_at] {
            scheduler.offer(whole(Kind::Awake, at * MS, ()), at * MS);
        }
        let chosen = scheduler.pick(looked_at * MS).remove(0);
        let of = chosen.unwatched;
        of.map(|(from, to)| (from.as_micros() / MS, to.as_micros() / MS))
    };
    assert_eq!(unwatched(2_000), None);
    assert_eq!(unwatched(2_300), Some((1_400, 2_300)));
    assert_eq!(unwatched(2_500), Some((1_400, 2_500)));
}
