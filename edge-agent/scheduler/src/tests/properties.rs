//! What holds for any cameras and any device.

use proptest::prelude::*;

use super::simulation::{Camera, awake, counts, longest_wait, run};
use super::{HEARTBEAT, MS, S, TEN_A_SECOND, whole};
use crate::{Job, Kind, Scheduler, Settings};

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
