//! A camera's state as the centre gets it.

use protocol::status::{
    CameraHealth, CameraStatus, DecoderStatus, MOST_DECODERS_REFUSED, RecordingStatus,
};

use super::CameraState;
use crate::live::now;

impl CameraState {
    /// Everything, for the wire.
    pub(crate) fn status(&self) -> CameraStatus {
        let now = now();
        let mut inner = self.lock();
        let (coverage, coverage_left_out) = inner.coverage.by_rule();
        inner.refresh();
        let recording = inner.recorder.map(|counters| RecordingStatus {
            is_recording: counters.is_recording,
            failures: counters.failures,
            reason: inner.recorder_trouble.clone(),
        });
        let (health, reason, since) =
            inner
                .health
                .clone()
                .unwrap_or((CameraHealth::Connecting, None, self.fixed.since));
        CameraStatus {
            health,
            reason,
            since,
            at: now,
            retries: inner.counters.reconnects,
            // A recording has no stream: what was analysed is what was received.
            frames_received: inner.counters.received.max(inner.analysed),
            frames_analysed: inner.analysed,
            frames_dropped: inner.drops().total(),
            analysed_fps: inner.looked.per_second(now, self.fixed.since),
            time_quality: inner.time_quality,
            coverage,
            coverage_left_out,
            evidence_stream: inner.evidence_stream.clone(),
            recording,
            decoder: inner.decoder.as_ref().map(|decoder| DecoderStatus {
                name: decoder.name.clone(),
                family: decoder.family.to_string(),
                refused: decoder
                    .refused
                    .iter()
                    .take(MOST_DECODERS_REFUSED)
                    .map(ToString::to_string)
                    .collect(),
            }),
            detector: self.detector.get().map(|detector| detector.fares().status),
            second_models: (self.second_models().iter())
                .map(|model| model.second())
                .collect(),
            ..self.fixed.clone()
        }
    }
}
