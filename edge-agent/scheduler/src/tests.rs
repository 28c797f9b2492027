//! Cameras, a device that takes its time, and what comes of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use protocol::{EventTime, NormBox};

use crate::{Job, Kind, Plan, Region, Scheduler, Settings};

const MS: i64 = 1_000;
const S: i64 = 1_000_000;
const HEARTBEAT: i64 = 1_700 * MS;
const TEN_A_SECOND: Plan = Plan {
    interval_us: 100 * MS,
    heartbeat_us: HEARTBEAT,
};

/// What a camera does in a simulation.
#[derive(Clone, Copy, Debug)]
struct Camera {
    /// µs from picture to picture.
    every: i64,
    /// Asleep, it offers heartbeats.
    asleep: bool,
    /// Jobs of other kinds that each picture brings.
    tiles: usize,
    second_looks: usize,
    /// µs from one look of a second model at the whole picture to the next.
    picture_looks_every: Option<i64>,
}

const fn awake(every: i64) -> Camera {
    Camera {
        every,
        asleep: false,
        tiles: 0,
        second_looks: 0,
        picture_looks_every: None,
    }
}

const fn asleep(every: i64) -> Camera {
    Camera {
        asleep: true,
        ..awake(every)
    }
}

/// A look of the first camera's detector at the whole of a picture of this time, µs.
fn whole<P>(kind: Kind, time: i64, picture: P) -> Job<P> {
    Job {
        camera: 0,
        model: 0,
        kind,
        region: Region::Whole,
        series: 0,
        time: EventTime::from_micros(time),
        picture,
    }
}

/// A look that was taken: when it began, at whose picture, and of when it was.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    at: i64,
    camera: usize,
    kind: Kind,
    time: i64,
    unwatched: Option<(i64, i64)>,
}

/// Runs cameras against a device that takes `inference` µs for a picture.
fn run(cameras: &[Camera], inference: i64, until: i64) -> (Vec<Look>, Scheduler<i64>) {
    let plans: Vec<Plan> = cameras
        .iter()
        .map(|camera| Plan {
            interval_us: camera.every,
            heartbeat_us: HEARTBEAT,
        })
        .collect();
    let mut scheduler = Scheduler::new(Settings::default(), &plans, &[1]);
    let mut next: Vec<i64> = (0..).take(cameras.len()).map(|n: i64| n * 7 * MS).collect();
    let mut heartbeat = vec![-10 * S; cameras.len()];
    let mut looks = Vec::new();
    let mut now = 0;
    while now < until {
        for (index, camera) in cameras.iter().enumerate() {
            while next[index] <= now {
                let time = next[index];
                next[index] += camera.every;
                if camera.asleep && time + camera.every - heartbeat[index] <= 1_500 * MS {
                    continue;
                }
                let mut offer = |kind, region| {
                    scheduler.offer(
                        Job {
                            camera: index,
                            region,
                            ..whole(kind, time, time)
                        },
                        now,
                    );
                };
                let whole = if camera.asleep {
                    Kind::Heartbeat
                } else {
                    Kind::Awake
                };
                offer(whole, Region::Whole);
                let periods =
                    |every: i64| (time + camera.every).div_euclid(every) - time.div_euclid(every);
                if camera
                    .picture_looks_every
                    .is_some_and(|every| periods(every) > 0)
                {
                    offer(Kind::PictureLook, Region::Whole);
                }
                for _ in 0..camera.tiles {
                    offer(Kind::Tile, Region::Part(NormBox::default()));
                }
                for _ in 0..camera.second_looks {
                    offer(Kind::SecondLook, Region::Part(NormBox::default()));
                }
            }
        }
        let chosen = scheduler.pick(now);
        assert!(chosen.len() <= 1, "the model takes one");
        let Some(chosen) = chosen.into_iter().next() else {
            now = next.iter().copied().min().unwrap_or(until);
            continue;
        };
        let time = chosen.job.time.as_micros();
        if chosen.job.kind.is_whole() {
            heartbeat[chosen.job.camera] = time;
        }
        let micros = |(from, to): (EventTime, EventTime)| (from.as_micros(), to.as_micros());
        looks.push(Look {
            at: now,
            camera: chosen.job.camera,
            kind: chosen.job.kind,
            time,
            unwatched: chosen.unwatched.map(micros),
        });
        now += inference;
        scheduler.finished(0, 1, inference, now);
    }
    (looks, scheduler)
}

fn counts(looks: &[Look]) -> BTreeMap<(usize, Kind), usize> {
    let mut counts = BTreeMap::new();
    for look in looks {
        *counts.entry((look.camera, look.kind)).or_default() += 1;
    }
    counts
}

/// The longest time between looks at whole pictures of a camera, from the start to the end.
fn longest_wait(looks: &[Look], camera: usize, until: i64) -> i64 {
    let looks = looks
        .iter()
        .filter(|look| look.camera == camera && look.kind.is_whole());
    let times: Vec<i64> = std::iter::once(0)
        .chain(looks.map(|look| look.at))
        .chain([until])
        .collect();
    times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or(0)
}

#[test]
fn with_time_to_spare_every_picture_is_looked_at() {
    let cameras = [awake(100 * MS), awake(100 * MS), asleep(100 * MS)];
    let (looks, scheduler) = run(&cameras, 20 * MS, 10 * S);
    let counts = counts(&looks);
    for camera in 0..2 {
        assert!(counts[&(camera, Kind::Awake)] >= 99, "{counts:?}");
        assert!(scheduler.counters(camera).unwrap().dropped.is_empty());
    }
    assert!(
        (7..=8).contains(&counts[&(2, Kind::Heartbeat)]),
        "{counts:?}"
    );
    assert!(looks.iter().all(|look| look.unwatched.is_none()));
}

#[test]
fn under_overload_what_is_dropped_first_is_what_is_published() {
    let busy = Camera {
        tiles: 2,
        second_looks: 1,
        ..awake(100 * MS)
    };
    // 10 pictures, 20 tiles and 10 second looks a second, and a heartbeat at times.
    let cameras = [busy, asleep(100 * MS)];
    let served = |inference: i64| {
        let (looks, _) = run(&cameras, inference, 20 * S);
        let counts = counts(&looks);
        [Kind::Awake, Kind::Tile, Kind::SecondLook]
            .map(|kind| counts.get(&(0, kind)).copied().unwrap_or(0).div_ceil(20))
    };
    // Time for all, for all but second looks, for half of the tiles, for no tile, for less.
    assert_eq!(served(20 * MS), [10, 20, 10]);
    let [awake, tiles, second] = served(33 * MS);
    assert!(
        awake == 10 && tiles >= 18 && second <= 2,
        "{awake} {tiles} {second}"
    );
    let [awake, tiles, second] = served(50 * MS);
    assert!(awake == 10 && second == 1, "{awake} {second}");
    assert!((7..=10).contains(&tiles), "{tiles}");
    let [awake, tiles, second] = served(105 * MS);
    assert!(
        awake >= 8 && tiles <= 1 && second <= 1,
        "{awake} {tiles} {second}"
    );
    // A sleeping camera is watched to the end.
    let (looks, _) = run(&cameras, 105 * MS, 20 * S);
    assert!(longest_wait(&looks, 1, 20 * S) <= 2 * S);
}

#[test]
fn a_box_that_is_never_idle_still_takes_tiles_and_second_looks() {
    // Pictures come three times as fast as they are looked at, or more.
    // As many tiles a picture as may wait leave the second looks their places.
    let boxes = [(2, 60), (2, 105), (8, 34), (8, 120)];
    for ((cameras, inference), tiles) in boxes.into_iter().flat_map(|of| [(of, 1), (of, 16)]) {
        let inference = inference * MS;
        let busy = Camera {
            tiles,
            second_looks: 1,
            ..awake(40 * MS)
        };
        let (looks, _) = run(&vec![busy; cameras], inference, 60 * S);
        let counts = counts(&looks);
        let share = |kind| {
            let of_kind = counts.iter().filter(|((_, of), _)| *of == kind);
            of_kind.map(|(_, count)| count).sum::<usize>() as f64 / looks.len() as f64
        };
        for kind in [Kind::Tile, Kind::SecondLook] {
            let share = share(kind);
            assert!(
                (0.04..=0.06).contains(&share),
                "{cameras} {inference} {tiles} {kind:?}: {share}"
            );
        }
        // And each camera its part of them.
        for camera in 0..cameras {
            assert!(
                counts.contains_key(&(camera, Kind::SecondLook)),
                "{camera}: {counts:?}"
            );
        }
    }
}

/// Fire is told by looks of a second model at the whole picture. They had the rank of a
/// look at a plate, the oldest of all cameras first: in rush hour they expired.
#[test]
fn looks_for_fire_are_taken_however_busy_the_box_is() {
    let boxes = [
        (1, 60, 500),
        (2, 105, 1_000),
        (8, 34, 1_000),
        (8, 45, 1_000),
    ];
    for (cameras, inference, every) in boxes {
        let busy = Camera {
            tiles: 4,
            second_looks: 3,
            picture_looks_every: Some(every * MS),
            ..awake(40 * MS)
        };
        let sleeps = cameras;
        let mut all = vec![busy; cameras];
        all.push(asleep(100 * MS));
        let (looks, scheduler) = run(&all, inference * MS, 60 * S);
        for camera in 0..cameras {
            let of_camera = looks.iter().filter(|look| look.camera == camera);
            let for_fire = of_camera.filter(|look| look.kind == Kind::PictureLook);
            let times: Vec<i64> = for_fire.clone().map(|look| look.time).collect();
            let apart = times
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .max()
                .unwrap();
            assert!(apart <= 3 * S, "{cameras} {inference}: {apart} µs apart");
            let late = for_fire.map(|look| look.at - look.time).max().unwrap();
            assert!(late <= 2 * S, "{cameras} {inference}: {late} µs late");
            let waited = longest_wait(&looks, camera, 60 * S);
            assert!(
                waited <= 2 * S,
                "{cameras} {inference}: not watched for {waited} µs"
            );
            let dropped = &scheduler.counters(camera).unwrap().dropped;
            assert!(dropped[&Kind::SecondLook] > 0, "it is busy: {dropped:?}");
        }
        // On a box that is full a heartbeat is late as pictures are, and is said to be.
        let waited = longest_wait(&looks, sleeps, 60 * S);
        assert!(
            waited <= 2_400 * MS,
            "{cameras} {inference}: {waited} µs asleep"
        );
    }
}

#[test]
fn a_newer_look_for_fire_takes_the_place_and_the_turn_of_an_older_one() {
    let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND; 2], &[1, 1]);
    let mut offer = |kind, camera, at: i64| {
        let job = Job {
            camera,
            model: usize::from(kind == Kind::PictureLook),
            ..whole(kind, at, at)
        };
        scheduler.offer(job, at);
    };
    offer(Kind::PictureLook, 0, 0);
    offer(Kind::PictureLook, 0, 900 * MS);
    offer(Kind::Awake, 1, 1_000 * MS);
    let chosen = scheduler.pick(1_000 * MS + 1).remove(0);
    assert_eq!(
        (chosen.job.kind, chosen.job.picture),
        (Kind::PictureLook, 900 * MS)
    );
    let dropped = &scheduler.counters(0).unwrap().dropped;
    assert_eq!(dropped.get(&Kind::PictureLook), Some(&1));
}

#[test]
fn a_fast_camera_does_not_starve_a_slow_one() {
    let cameras = [awake(20 * MS), awake(500 * MS), awake(40 * MS)];
    let (looks, _) = run(&cameras, 60 * MS, 20 * S);
    let counts = counts(&looks);
    assert!(counts[&(1, Kind::Awake)] >= 36, "{counts:?}");
}

#[test]
fn too_little_time_is_shared_in_proportion_to_what_each_wants() {
    let cameras = [
        awake(40 * MS),
        awake(160 * MS),
        awake(40 * MS),
        awake(160 * MS),
    ];
    let (looks, _) = run(&cameras, 30 * MS, 20 * S);
    let counts = counts(&looks);
    let of = |camera| counts[&(camera, Kind::Awake)] as f64;
    for (fast, slow) in [(0, 1), (2, 3)] {
        let ratio = of(fast) / of(slow);
        assert!((2.5..=5.0).contains(&ratio), "{counts:?}");
    }
}

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

/// Fire and smoke by one model, as two cascades that wish in the same picture.
#[test]
fn looks_of_two_series_at_a_whole_picture_do_not_replace_each_other() {
    let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND], &[1, 8]);
    for (series, at) in [(0, 0), (1, 0), (0, 900), (1, 900)] {
        let job = Job {
            model: 1,
            series,
            ..whole(Kind::PictureLook, at * MS, ())
        };
        scheduler.offer(job, at * MS);
    }
    let chosen = scheduler.pick(1_000 * MS);
    let mut of: Vec<_> = (chosen.iter())
        .map(|chosen| (chosen.job.series, chosen.job.time.as_micros()))
        .collect();
    of.sort_unstable();
    assert_eq!(of, [(0, 900 * MS), (1, 900 * MS)]);
}

/// Sixteen looks of one camera made all others wait, and most of theirs expired.
#[test]
fn second_looks_are_shared_by_camera_and_not_by_age() {
    let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND; 3], &[1]);
    for (camera, looks) in [(0, 12), (1, 2), (2, 2)] {
        for _ in 0..looks {
            let job = Job {
                camera,
                ..whole(Kind::SecondLook, 0, ())
            };
            // One camera's are the oldest.
            scheduler.offer(job, i64::try_from(camera).unwrap() * 100 * MS);
        }
    }
    let order: Vec<usize> = std::iter::from_fn(|| scheduler.pick(300 * MS).pop())
        .map(|chosen| chosen.job.camera)
        .take(8)
        .collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 0]);
}

/// Where there is too much to do second looks have waited for long, and batches of them
/// ended just then; and eight at once took eight times their share.
#[test]
fn second_looks_that_have_waited_go_in_a_batch_and_keep_to_their_share() {
    let plans = [TEN_A_SECOND; 2];
    let mut scheduler = Scheduler::new(Settings::default(), &plans, &[1, 8]);
    let cost = |model: usize, size: usize| match model {
        0 => 40 * MS,
        _ => (8 + 2 * i64::try_from(size).unwrap()) * MS,
    };
    let (mut now, mut spent, mut looks, mut largest) = (0, 0, 0, 0);
    while now < 60 * S {
        for (camera, model, kind) in [
            (0, 0, Kind::Awake),
            (1, 0, Kind::Awake),
            (0, 1, Kind::SecondLook),
        ] {
            for _ in 0..if model == 0 { 1 } else { 4 } {
                let job = Job {
                    camera,
                    model,
                    ..whole(kind, now, ())
                };
                scheduler.offer(job, now);
            }
        }
        let batch = scheduler.pick(now);
        let (model, size) = (batch[0].job.model, batch.len());
        let took = cost(model, size);
        now += took;
        scheduler.finished(model, size, took, now);
        if model == 1 {
            spent += took;
            looks += size;
            largest = largest.max(size);
        }
    }
    let share = spent as f64 / now as f64;
    assert_eq!(largest, 8);
    assert!((0.03..=0.06).contains(&share), "{share}");
    assert!(looks > 600, "{looks}");
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

#[test]
fn a_batch_holds_what_waits_and_no_more_than_latency_allows() {
    let plans = [TEN_A_SECOND; 8];
    let settings = Settings::default();
    let offered = |scheduler: &mut Scheduler<()>| {
        for camera in 0..8 {
            let job = Job {
                camera,
                model: camera % 2,
                ..whole(Kind::Awake, 0, ())
            };
            scheduler.offer(job, 0);
        }
    };
    let mut scheduler = Scheduler::new(settings, &plans, &[8, 8]);
    offered(&mut scheduler);
    let batch = scheduler.pick(0);
    assert_eq!(batch.len(), 4, "those of one model");
    assert!(
        batch
            .iter()
            .all(|chosen| chosen.job.model == batch[0].job.model)
    );
    // One picture takes 60 ms: with three, the oldest would be done after 180 ms.
    let mut scheduler = Scheduler::new(settings, &plans, &[8, 8]);
    scheduler.finished(0, 1, 60 * MS, 0);
    scheduler.finished(1, 1, 60 * MS, 0);
    offered(&mut scheduler);
    assert_eq!(scheduler.pick(0).len(), 3);
    // What has waited is not held up by company.
    offered(&mut scheduler);
    assert_eq!(scheduler.pick(150 * MS).len(), 1);
}

#[test]
fn second_looks_that_are_too_old_and_tiles_of_old_pictures_are_dropped_and_counted() {
    let mut scheduler = Scheduler::new(Settings::default(), &[TEN_A_SECOND], &[1]);
    let job = |kind, time: i64| whole(kind, time, time);
    scheduler.offer(job(Kind::Awake, 0), 0);
    scheduler.offer(job(Kind::Tile, 0), 0);
    scheduler.offer(job(Kind::SecondLook, 0), 0);
    assert_eq!(scheduler.waiting_tiles(0), 1);
    scheduler.offer(job(Kind::Awake, 100 * MS), 100 * MS);
    scheduler.offer(job(Kind::Tile, 100 * MS), 100 * MS);
    assert_eq!(scheduler.waiting_tiles(0), 1);
    scheduler.drop_tiles(0);
    assert_eq!(scheduler.waiting_tiles(0), 0);
    let kinds: Vec<Kind> = std::iter::from_fn(|| scheduler.pick(5 * S).pop())
        .map(|chosen| chosen.job.kind)
        .collect();
    assert_eq!(kinds, [Kind::Awake]);
    let dropped = &scheduler.counters(0).unwrap().dropped;
    for (kind, count) in [(Kind::Awake, 1), (Kind::Tile, 2), (Kind::SecondLook, 1)] {
        assert_eq!(dropped.get(&kind), Some(&count), "{kind:?}");
    }
}

fn any_camera() -> impl Strategy<Value = Camera> {
    (20..400_i64, any::<bool>(), 0..3_usize, 0..2_usize).prop_map(
        |(every, asleep, tiles, second_looks)| Camera {
            every: every * MS,
            asleep,
            tiles: if asleep { 0 } else { tiles },
            second_looks: if asleep { 0 } else { second_looks },
            picture_looks_every: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However many cameras, and however slow the device: nobody waits longer
    /// than its limit and a round of all the others, weighed by their limits.
    #[test]
    fn nobody_starves(
        cameras in proptest::collection::vec(any_camera(), 1..12),
        inference in 5..300_i64,
    ) {
        let until = 60 * S;
        let inference = inference * MS;
        let (looks, _) = run(&cameras, inference, until);
        let settings = Settings::default();
        for (index, camera) in cameras.iter().enumerate() {
            let limit = |camera: &Camera| if camera.asleep {
                HEARTBEAT
            } else {
                settings.floor_us
            };
            // While it waits for `wait`, each other is served once in its own limit's share of that.
            let round: f64 = cameras
                .iter()
                .map(|other| (limit(camera) as f64 / limit(other) as f64).max(1.0) + 1.0)
                .sum::<f64>() * inference as f64;
            let most = (limit(camera) + camera.every + 2 * inference) as f64 + round;
            let wait = longest_wait(&looks, index, until);
            prop_assert!(wait as f64 <= most, "camera {index} waited {wait} µs of {most}");
        }
    }

    /// Alike cameras are served alike.
    #[test]
    fn alike_cameras_get_alike_shares(
        count in 2..10_usize, every in 20..200_i64, inference in 5..200_i64,
    ) {
        let (looks, _) = run(&vec![awake(every * MS); count], inference * MS, 30 * S);
        let counts = counts(&looks);
        let shares: Vec<usize> = (0..count)
            .map(|camera| counts.get(&(camera, Kind::Awake)).copied().unwrap_or(0))
            .collect();
        let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
        prop_assert!(*most as f64 <= *least as f64 * 1.1 + 2.0, "{shares:?}");
    }

    /// Jobs come out as they went in, each at most once, and never an older
    /// picture of a camera after a newer one.
    #[test]
    fn jobs_are_passed_through_untouched_and_newest_first(
        cameras in proptest::collection::vec(any_camera(), 1..6),
        inference in 5..200_i64,
    ) {
        let (looks, scheduler) = run(&cameras, inference * MS, 20 * S);
        let mut newest = vec![i64::MIN; cameras.len()];
        for look in looks.iter().filter(|look| look.kind.is_whole()) {
            prop_assert!(look.time > newest[look.camera]);
            prop_assert!(look.time <= look.at);
            newest[look.camera] = look.time;
        }
        for (index, _) in cameras.iter().enumerate() {
            let chosen: u64 = scheduler.counters(index).unwrap().chosen.values().sum();
            let taken = looks.iter().filter(|look| look.camera == index).count();
            prop_assert_eq!(chosen, taken as u64);
        }
        prop_assert_eq!(&run(&cameras, inference * MS, 20 * S).0, &looks);
    }

    /// By what was measured, no batch of several makes anybody wait too long.
    #[test]
    fn batches_keep_the_latency_bound(
        offers in proptest::collection::vec((0..6_usize, 0..300_i64), 1..40),
        one in 1..150_i64,
        at in 0..400_i64,
        kind in proptest::sample::select(vec![Kind::Tile, Kind::SecondLook]),
    ) {
        let settings = Settings::default();
        let mut scheduler = Scheduler::new(settings, &[TEN_A_SECOND; 6], &[8]);
        scheduler.finished(0, 1, one * MS, 0);
        for (camera, when) in offers {
            let job = Job { camera, ..whole(kind, when * MS, ()) };
            scheduler.offer(job, when.min(at) * MS);
        }
        loop {
            let batch = scheduler.pick(at * MS);
            if batch.is_empty() {
                break;
            }
            let size = i64::try_from(batch.len()).unwrap();
            let oldest = batch.iter().map(|chosen| chosen.waited_us).max().unwrap();
            // Second looks may have waited; it is how long they hold up pictures that counts.
            let waited = if kind == Kind::Tile { oldest } else { 0 };
            prop_assert!(size == 1 || waited + size * one * MS <= settings.latency_us);
        }
    }
}
