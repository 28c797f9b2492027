//! Watching over a model that is new here until it may be trusted.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use edge_inference::OnTrial;

use super::{CameraState, StopFlag};

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Proves the model once it has lived for `healthy_after` and looked at frames
/// to the end. One that nobody showed a frame has proved nothing, however long
/// it has been running.
pub(super) fn watch(
    trial: &mut OnTrial,
    healthy_after: Duration,
    cameras: &[Arc<CameraState>],
    stop: &StopFlag,
) {
    let began = Instant::now();
    while !stop.is_set() {
        if began.elapsed() >= healthy_after && cameras.iter().any(|camera| camera.is_seen()) {
            trial.prove();
            return;
        }
        thread::sleep(LOOK_EVERY);
    }
}
