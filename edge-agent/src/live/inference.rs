//! One detector for all cameras: whoever has a new frame gets a turn, in rotation.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError};
use edge_inference::Detector;
use edge_video::CameraStream;

use protocol::event::Words;
use protocol::status::CameraHealth;

use super::{CameraState, StopFlag, Work};
use crate::config::CameraConfig;
use crate::perception;

/// A camera's newest frame, and where what is seen in it goes.
pub(super) type Feed = (
    CameraConfig,
    Arc<CameraStream>,
    Sender<Work>,
    Arc<CameraState>,
);

/// Longest wait for a frame before the stop flag is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// Looks at frames until told to stop.
///
/// One pass visits every camera once, so a fast camera cannot starve a slow one;
/// each visit takes the newest frame there is and leaves none behind.
pub(super) fn run(mut detector: Detector, feeds: &[Feed], woken: &Receiver<()>, stop: &StopFlag) {
    while !stop.is_set() {
        let mut idle = true;
        for feed in feeds {
            if stop.is_set() {
                return;
            }
            idle &= !serve(&mut detector, feed);
        }
        if idle && woken.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Looks at the camera's newest frame; false when there is none.
fn serve(detector: &mut Detector, (camera, stream, work, state): &Feed) -> bool {
    let Some(frame) = stream.take_newest() else {
        return false;
    };
    match perception::look(detector, &frame, &camera.scene) {
        Ok(inputs) => {
            state.show_shadow(&frame, &inputs);
            match work.try_send(Work {
                inputs,
                frame: Some(frame),
            }) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => state.count_dropped_busy(),
                Err(TrySendError::Disconnected(_)) => scene_is_gone(camera, state),
            }
        }
        Err(error) => {
            // Once for a row of them: a model that fails does so on every frame.
            if state.count_dropped_failed() == 1 {
                tracing::error!(camera = %camera.id, frame = frame.number, %error, "detector failed on a frame");
            }
        }
    }
    true
}

/// The scene thread has ended, which only a fault of ours can do.
fn scene_is_gone(camera: &CameraConfig, state: &CameraState) {
    state.count_dropped_failed();
    let reason = Words::new(
        "Bộ phân tích của camera đã dừng; khởi động lại hộp",
        "the camera's scene has ended; restart the agent and report its log",
    );
    if state.set_health(CameraHealth::Lost, Some(reason)) {
        tracing::error!(camera = %camera.id, "the camera's scene has ended; restart the agent");
    }
}
