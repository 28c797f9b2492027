//! What is kept of the cameras' streams and what became of it, as metrics.

use super::{Family, Reading, Sample, labelled};
use crate::live::CameraState;

impl Reading {
    /// Clips, by what became of them.
    pub(super) fn clips(&self) -> Family {
        (
            "edge_clips",
            "Clips of events, by what became of them: whole, short, none, failed",
            self.per_camera(|camera| labelled("outcome", camera.clips().into_iter().collect())),
        )
    }

    /// How full the rings of encoded pictures are.
    pub(super) fn rings(&self) -> [Family; 5] {
        let of_ring = |value: fn(edge_video::encoded::RingState) -> f64| -> Vec<Sample> {
            self.per_camera(|camera: &CameraState| {
                let rings = camera.rings().into_iter();
                rings
                    .map(|(stream, state)| (vec![("stream", stream.to_owned())], value(state)))
                    .collect()
            })
        };
        [
            (
                "edge_ring_bytes",
                "Encoded pictures that are kept for clips, by stream: the one that is looked at, and the one for evidence where that is another; [camera.clip] ring_mb is the most of each",
                of_ring(|state| state.bytes as f64),
            ),
            (
                "edge_ring_seconds",
                "How far back the kept pictures reach",
                of_ring(|state| state.seconds),
            ),
            (
                "edge_ring_pressed_out",
                "Pictures that could not be kept for [camera.clip] ring_s, because ring_mb is too small",
                of_ring(|state| state.pressed_out as f64),
            ),
            (
                "edge_ring_album_bytes",
                "Key pictures from before the ring, kept for stills of long dwells, by stream; [camera.clip] album_mb is the most of each",
                of_ring(|state| state.album.bytes as f64),
            ),
            (
                "edge_ring_album_seconds",
                "From the oldest to the newest of these key pictures",
                of_ring(|state| state.album.seconds),
            ),
        ]
    }
}
