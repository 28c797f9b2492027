//! Jobs that wait: what replaces them, whose turn it is, what goes in one batch, what is too old.

use super::{MS, S, TEN_A_SECOND, whole};
use crate::{Job, Kind, Scheduler, Settings};

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
