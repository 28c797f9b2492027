//! Cameras that offer their pictures to one device, for a while.

use std::collections::BTreeMap;

use protocol::{EventTime, NormBox};

use super::{HEARTBEAT, MS, S, whole};
use crate::{Job, Kind, Plan, Region, Scheduler, Settings};

/// What a camera does in a simulation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Camera {
    /// µs from picture to picture.
    pub(super) every: i64,
    /// Asleep, it offers heartbeats.
    pub(super) asleep: bool,
    /// Jobs of other kinds that each picture brings.
    pub(super) tiles: usize,
    pub(super) second_looks: usize,
    /// µs from one look of a second model at the whole picture to the next.
    pub(super) picture_looks_every: Option<i64>,
}

pub(super) const fn awake(every: i64) -> Camera {
    Camera {
        every,
        asleep: false,
        tiles: 0,
        second_looks: 0,
        picture_looks_every: None,
    }
}

pub(super) const fn asleep(every: i64) -> Camera {
    Camera {
        asleep: true,
        ..awake(every)
    }
}

/// A look that was taken: when it began, at whose picture, and of when it was.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Look {
    pub(super) at: i64,
    pub(super) camera: usize,
    pub(super) kind: Kind,
    pub(super) time: i64,
    pub(super) unwatched: Option<(i64, i64)>,
}

/// Runs cameras against a device that takes `inference` µs for a picture.
pub(super) fn run(cameras: &[Camera], inference: i64, until: i64) -> (Vec<Look>, Scheduler<i64>) {
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

pub(super) fn counts(looks: &[Look]) -> BTreeMap<(usize, Kind), usize> {
    let mut counts = BTreeMap::new();
    for look in looks {
        *counts.entry((look.camera, look.kind)).or_default() += 1;
    }
    counts
}

/// The longest time between looks at whole pictures of a camera, from the start to the end.
pub(super) fn longest_wait(looks: &[Look], camera: usize, until: i64) -> i64 {
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
