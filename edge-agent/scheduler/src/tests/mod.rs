//! Cameras, a device that takes its time, and what comes of it.

mod load;
mod properties;
mod simulation;
mod unwatched;
mod waiting;

use protocol::EventTime;

use crate::{Job, Kind, Plan, Region};

const MS: i64 = 1_000;
const S: i64 = 1_000_000;
const HEARTBEAT: i64 = 1_700 * MS;
const TEN_A_SECOND: Plan = Plan {
    interval_us: 100 * MS,
    heartbeat_us: HEARTBEAT,
};

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
