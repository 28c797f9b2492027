//! Watching over a model that is new here until it may be trusted.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use edge_inference::OnTrial;

use super::{CameraState, StopFlag};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Proves the model once it has lived for `healthy_after` and has looked at another
/// frame after that. One that nobody showed a frame has proved nothing, however long
/// it has been running, and one that hangs has not either.
pub(super) fn watch(
    trial: &mut OnTrial,
    healthy_after: Duration,
    cameras: &[Arc<CameraState>],
    stop: &StopFlag,
) {
    let began = Instant::now();
    let mut before = None;
    while !stop.is_set() {
        if began.elapsed() >= healthy_after {
            let looks: u64 = cameras.iter().map(|camera| camera.well_looked_at()).sum();
            if looks > *before.get_or_insert(looks) {
                trial.prove();
                return;
            }
        }
        thread::sleep(LOOK_EVERY);
    }
}
