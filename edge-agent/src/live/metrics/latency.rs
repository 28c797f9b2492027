//! How long events take from the street to the disk, as metrics.

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;

use super::{Reading, labelled, write};

impl Reading {
    pub(super) fn latency(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let cameras: Vec<_> = (self.0.cameras.iter())
            .map(|camera| (camera.camera().to_string(), camera.latency()))
            .collect();
        let measured: Vec<_> = cameras
            .iter()
            .flat_map(|(camera, latency)| {
                latency.by_clock().map(move |(clock, latencies)| {
                    let labels = vec![("camera", camera.clone()), ("clock", clock.to_owned())];
                    (labels, latencies)
                })
            })
            .collect();
        if let Some((_, first)) = measured.first() {
            let mut family = encoder.encode_descriptor(
                "edge_event_latency_seconds",
                "From the capture of the picture that decided a new event until the event is in the outbox, by the clock that the picture's time is from",
                None,
                first.metric_type(),
            )?;
            for (labels, latencies) in &measured {
                latencies.encode(family.encode_family(labels)?)?;
            }
        }
        let unknown = self.per_camera(|camera| labelled("reason", camera.latency().unknown()));
        write(
            encoder,
            "edge_event_latency_unknown",
            "New events whose latency is not known, by reason: future, past (a clock was set), undated, not_stored",
            &unknown,
            ConstCounter::new,
        )
    }
}
