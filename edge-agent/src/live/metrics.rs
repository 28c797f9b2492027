//! `/metrics` for Prometheus and `/healthz`, read by whoever watches the boxes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use edge_uplink::{Outbox, Uplink};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text::encode};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use protocol::status::CameraHealth;

use super::CameraState;

/// What there is to be read.
struct Sources {
    cameras: Vec<Arc<CameraState>>,
    outbox: Outbox,
    uplink: Option<Arc<Uplink>>,
}

/// The running server.
pub(super) struct Server {
    stop: tokio::sync::oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Ends it; open requests are answered first.
    pub(super) fn stop(self) {
        // The receiver is gone only when the server has ended by itself.
        let _sent = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("metrics server ended by a panic");
        }
    }
}

/// Serves on `listen`.
pub(super) fn serve(
    listen: SocketAddr,
    cameras: Vec<Arc<CameraState>>,
    outbox: Outbox,
    uplink: Option<Arc<Uplink>>,
) -> anyhow::Result<Server> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind(listen))
        .with_context(|| format!("[metrics] listen = {listen}: take another address or port"))?;
    tracing::info!(address = %listener.local_addr()?, "metrics");
    let sources = Arc::new(Sources {
        cameras,
        outbox,
        uplink,
    });
    let metrics = Arc::clone(&sources);
    let router = Router::new()
        .route("/metrics", get(move || async move { metrics.text() }))
        .route("/healthz", get(move || async move { sources.health() }));
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            let served = runtime.block_on(async {
                axum::serve(listener, router)
                    .with_graceful_shutdown(async move {
                        let _either_way = stopped.await;
                    })
                    .await
            });
            if let Err(error) = served {
                tracing::error!(%error, "metrics server ended");
            }
        })?;
    Ok(Server { stop, thread })
}

impl Sources {
    fn text(self: &Arc<Self>) -> (StatusCode, String) {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Reading(Arc::clone(self))));
        let mut text = String::new();
        match encode(&mut text, &registry) {
            Ok(()) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    fn health(&self) -> (StatusCode, String) {
        let blind: Vec<String> = self
            .cameras
            .iter()
            .map(|camera| camera.status())
            .filter(|status| status.health != CameraHealth::Watching)
            .map(|status| format!("{}: {:?}", status.camera, status.health))
            .collect();
        // A blind camera is for the operator; the box itself lives, so no restart.
        (
            StatusCode::OK,
            if blind.is_empty() {
                "ok\n".to_owned()
            } else {
                blind.join("\n") + "\n"
            },
        )
    }
}

struct Reading(Arc<Sources>);

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading")
    }
}

type Sample = (Vec<(&'static str, String)>, f64);

impl Collector for Reading {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let sources = &self.0;
        let statuses: Vec<_> = sources.cameras.iter().map(|c| (c, c.status())).collect();
        let of_camera = |value: fn(&protocol::status::CameraStatus) -> f64| -> Vec<Sample> {
            statuses
                .iter()
                .map(|(_, s)| (vec![("camera", s.camera.to_string())], value(s)))
                .collect()
        };
        let counters = [
            (
                "edge_frames_received",
                "Frames that came from the camera",
                of_camera(|s| s.frames_received as f64),
            ),
            (
                "edge_frames_analysed",
                "Frames that reached the rules",
                of_camera(|s| s.frames_analysed as f64),
            ),
            (
                "edge_reconnects",
                "Connections lost and made anew",
                of_camera(|s| s.retries as f64),
            ),
            (
                "edge_frames_dropped",
                "Frames not looked at, by reason",
                self.drops(),
            ),
            (
                "edge_decode_errors",
                "Pictures that the decoder could not read",
                self.decode_errors(),
            ),
            ("edge_events", "Events, by kind", self.events()),
        ];
        for (name, help, samples) in counters {
            write(&mut encoder, name, help, &samples, ConstCounter::new)?;
        }
        let mut gauges = vec![
            (
                "edge_camera_watching",
                "1 while the camera is watched",
                of_camera(|s| f64::from(u8::from(s.health == CameraHealth::Watching))),
            ),
            (
                "edge_analysed_fps",
                "Frames analysed per second over the last 10 s",
                of_camera(|s| s.analysed_fps),
            ),
            (
                "edge_outbox_waiting",
                "Messages that the centre has not receipted",
                vec![(Vec::new(), sources.outbox.waiting() as f64)],
            ),
        ];
        if let Some(uplink) = &sources.uplink {
            let status = uplink.status();
            gauges.push((
                "edge_uplink_connected",
                "1 while the uplink is connected",
                vec![(Vec::new(), f64::from(u8::from(status.connected)))],
            ));
            gauges.push((
                "edge_uploads_waiting",
                "Evidence files not yet uploaded",
                vec![(Vec::new(), status.uploads_waiting as f64)],
            ));
        }
        for (name, help, samples) in gauges {
            write(&mut encoder, name, help, &samples, ConstGauge::new)?;
        }
        Ok(())
    }
}

impl Reading {
    fn per_camera(&self, samples: impl Fn(&CameraState) -> Vec<Sample>) -> Vec<Sample> {
        self.0
            .cameras
            .iter()
            .flat_map(|camera| {
                let name = camera.status().camera.to_string();
                samples(camera).into_iter().map(move |(mut labels, value)| {
                    labels.insert(0, ("camera", name.clone()));
                    (labels, value)
                })
            })
            .collect()
    }

    fn drops(&self) -> Vec<Sample> {
        self.per_camera(|camera| {
            let (drops, _) = camera.drops();
            [
                ("overwritten", drops.overwritten),
                ("rate", drops.rate),
                ("scene_busy", drops.scene_busy),
                ("inference", drops.inference),
                ("frozen", drops.frozen),
                ("corrupt", drops.corrupt),
                ("backlog", drops.backlog),
            ]
            .into_iter()
            .map(|(reason, count)| (vec![("reason", reason.to_owned())], count as f64))
            .collect()
        })
    }

    fn decode_errors(&self) -> Vec<Sample> {
        self.per_camera(|camera| vec![(Vec::new(), camera.drops().1 as f64)])
    }

    fn events(&self) -> Vec<Sample> {
        self.per_camera(|camera| {
            camera
                .events()
                .into_iter()
                .map(|(kind, count)| (vec![("kind", kind)], count as f64))
                .collect()
        })
    }
}

fn write<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: &[Sample],
    metric: impl Fn(f64) -> M,
) -> Result<(), std::fmt::Error> {
    let Some((_, first)) = samples.first() else {
        return Ok(());
    };
    let mut family = encoder.encode_descriptor(name, help, None, metric(*first).metric_type())?;
    for (labels, value) in samples {
        metric(*value).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}
