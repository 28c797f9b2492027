//! Who gets how much of the device's time, with time to spare and without.

use super::simulation::{Camera, asleep, awake, counts, longest_wait, run};
use super::{MS, S};
use crate::Kind;

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
