//! A recording as a camera: plays recorded inputs in real time.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};
use edge_core::Input;
use protocol::CameraId;

use super::scene_thread::OnPanic;
use super::{CameraState, StopFlag, Work, now};
use crate::config::RecordingConfig;
use crate::recording::{RecordingError, RecordingReader, SeenBy, shifted, time_of};

/// Pause between two rounds, so that no track lives through the seam. s.
const BETWEEN_ROUNDS_S: f64 = 5.0;

/// A recording in memory.
pub(super) struct Recorded {
    /// Who saw it, as far as the recording says it.
    pub(super) by: SeenBy,
    inputs: Vec<Input>,
    repeat: bool,
}

/// Where a recording is played.
pub(super) struct Stage {
    pub(super) work: Sender<Work>,
    pub(super) state: Arc<CameraState>,
    pub(super) stop: StopFlag,
    pub(super) on_panic: OnPanic,
}

/// Reads a recording.
pub(super) fn load(config: &RecordingConfig) -> Result<Recorded, RecordingError> {
    let inputs = RecordingReader::open(&config.recording)?.read_all()?;
    Ok(Recorded {
        by: RecordingReader::seen_by(&config.recording)?,
        inputs,
        repeat: config.repeat,
    })
}

/// Starts playing.
pub(super) fn start(
    camera: &CameraId,
    recorded: Recorded,
    to: Stage,
) -> std::io::Result<JoinHandle<()>> {
    let name = camera.clone();
    let Stage {
        work,
        state,
        stop,
        on_panic,
    } = to;
    std::thread::Builder::new()
        .name(format!("player-{camera}"))
        .spawn(move || {
            let _held = on_panic;
            while play(&recorded.inputs, &work, &state, &stop) {
                if !recorded.repeat {
                    tracing::info!(camera = %name, "recording has ended");
                    return;
                }
                if !sleep(Duration::from_secs_f64(BETWEEN_ROUNDS_S), &stop) {
                    return;
                }
            }
        })
}

/// One round; false when it is time to stop.
fn play(inputs: &[Input], work: &Sender<Work>, state: &CameraState, stop: &StopFlag) -> bool {
    let (Some(first), started_at, started) = (inputs.first().map(time_of), now(), Instant::now())
    else {
        return false;
    };
    let shift = started_at.as_micros() - first.as_micros();
    for input in inputs {
        let due = Duration::try_from_secs_f64(time_of(input).since(first).0).unwrap_or_default();
        if !sleep(due.saturating_sub(started.elapsed()), stop) {
            return false;
        }
        let one = Work::new(vec![shifted(input.clone(), shift)], None);
        match work.try_send(one) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => state.count_dropped_busy(),
            Err(TrySendError::Disconnected(_)) => return false,
        }
    }
    true
}

/// Waits; false when it is time to stop.
fn sleep(duration: Duration, stop: &StopFlag) -> bool {
    let until = Instant::now() + duration;
    loop {
        if stop.is_set() {
            return false;
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}
