//! `/metrics` for Prometheus and `/healthz`, read by whoever watches the boxes.

mod detector;
mod evidence;
mod healthz;
mod latency;
mod looks;

use std::future::IntoFuture as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use edge_uplink::{Outbox, OutboxStatus, Uplink, UplinkStatus};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text::encode};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use protocol::status::CameraHealth;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::CameraState;
use super::model_state::ModelState;
use super::shadow::Shadow;
use crate::recording::rolling::RecorderCounters;

/// What there is to be read.
pub(super) struct Sources {
    pub(super) cameras: Vec<Arc<CameraState>>,
    pub(super) outbox: Outbox,
    pub(super) uplink: Option<Arc<Uplink>>,
    pub(super) detector: Option<Arc<ModelState>>,
    /// What looks besides, for cascades.
    pub(super) second: Vec<Arc<ModelState>>,
    /// What would, and could not begin.
    pub(super) left_out: Vec<Arc<ModelState>>,
    /// What is compared, or would be.
    pub(super) compared: Option<Arc<ModelState>>,
    pub(super) shadow: Option<Arc<Shadow>>,
}

/// The running server.
pub(super) struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// How long open requests may take when the box stops. Whoever is silent in the middle of one, or
/// does not read its answer, holds up nobody.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

impl Server {
    /// Ends it; open requests are answered first, as far as they come to their end.
    pub(super) fn stop(self) {
        // The receiver is gone only when the server has ended by itself.
        let _sent = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("metrics server ended by a panic");
        }
    }
}

/// Serves on `listen`.
pub(super) fn serve(listen: SocketAddr, sources: Sources) -> anyhow::Result<Server> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let listener = runtime
        .block_on(TcpListener::bind(listen))
        .with_context(|| format!("[metrics] listen = {listen}: take another address or port"))?;
    tracing::info!(address = %listener.local_addr()?, "metrics");
    let sources = Arc::new(sources);
    let metrics = Arc::clone(&sources);
    let router = Router::new()
        .route("/metrics", get(move || async move { metrics.text() }))
        .route("/healthz", get(move || async move { sources.health() }));
    start(runtime, listener, router)
}

/// Answers on a thread of its own.
fn start(runtime: Runtime, listener: TcpListener, router: Router) -> anyhow::Result<Server> {
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(answer(listener, router, stopped)) {
                tracing::error!(%error, "metrics server ended");
            }
            // And with it whatever still waits for a stranger.
            drop(runtime);
        })?;
    Ok(Server { stop, thread })
}

async fn answer(
    listener: TcpListener,
    router: Router,
    stopped: oneshot::Receiver<()>,
) -> std::io::Result<()> {
    let (close, closing) = oneshot::channel::<()>();
    let serving = axum::serve(listener, router).with_graceful_shutdown(async move {
        let _either_way = closing.await;
    });
    let mut serving = pin!(serving.into_future());
    tokio::select! {
        served = &mut serving => return served,
        _either_way = stopped => {}
    }
    drop(close);
    let last = tokio::time::timeout(LAST_ANSWERS, serving).await;
    last.unwrap_or(Ok(()))
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
        // A blind camera is for the operator; the box itself lives, so no restart.
        let cameras = self.cameras.iter().map(|camera| camera.status());
        (StatusCode::OK, healthz::told(cameras))
    }
}

struct Reading(Arc<Sources>);

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reading")
    }
}

type Sample = (Vec<(&'static str, String)>, f64);
/// Name, help and samples of a metric.
type Family = (&'static str, &'static str, Vec<Sample>);

impl Collector for Reading {
    #[allow(clippy::too_many_lines)] // a list of metrics
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
            (
                "edge_packet_gaps",
                "Places where packets of the camera's stream were lost on the way",
                self.per_camera(|camera| vec![(Vec::new(), camera.packet_gaps() as f64)]),
            ),
            (
                "edge_stream_holes",
                "Times that several pictures of the camera's stream in a row were missing",
                self.per_camera(|camera| vec![(Vec::new(), camera.holes() as f64)]),
            ),
            (
                "edge_decoders_rejected",
                "Decoders given up on the camera's stream",
                self.per_camera(|camera| vec![(Vec::new(), camera.decoder().1 as f64)]),
            ),
            (
                "edge_times_wrong",
                "Pictures that the camera gave a time that cannot be; its clock is set back, or stamps wrongly",
                self.per_camera(|camera| vec![(Vec::new(), camera.times_wrong() as f64)]),
            ),
            ("edge_events", "Events, by kind", self.events()),
            (
                "edge_events_without_stills",
                "Events for which no still could be made or stored",
                self.per_camera(|camera| vec![(Vec::new(), camera.without_stills() as f64)]),
            ),
        ];
        for (name, help, samples) in counters {
            write(&mut encoder, name, help, &samples, ConstCounter::new)?;
        }
        let families = self.coverage().into_iter().chain(self.recording());
        let families = families.chain([self.clips()]);
        for (name, help, samples) in families.chain(self.looks()) {
            write(&mut encoder, name, help, &samples, ConstCounter::new)?;
        }
        let is_recording = self.of_recorders(|counters| u64::from(counters.is_recording));
        let help = "1 while the inputs of the camera's scene are recorded";
        write(
            &mut encoder,
            "edge_recording",
            help,
            &is_recording,
            ConstGauge::new,
        )?;
        let gauges = [
            (
                "edge_camera_watching",
                "1 while the camera is watched",
                of_camera(|s| f64::from(u8::from(s.health == CameraHealth::Watching))),
            ),
            (
                "edge_camera_decoder",
                "1 for the decoder that makes pictures of the camera's stream, and what it runs on",
                self.per_camera(|camera| {
                    let decoder = camera.decoder().0.into_iter();
                    decoder
                        .map(|decoder| {
                            let family = decoder.family.to_string();
                            (vec![("decoder", decoder.name), ("family", family)], 1.0)
                        })
                        .collect()
                }),
            ),
            (
                "edge_analysed_fps",
                "Frames analysed per second over the last 10 s",
                of_camera(|s| s.analysed_fps),
            ),
            (
                "edge_gate_awake",
                "1 while something moves or is followed, so that the detector looks at every picture",
                self.per_camera(|camera| {
                    let is_awake = f64::from(u8::from(camera.looks().is_awake));
                    vec![(Vec::new(), is_awake)]
                }),
            ),
        ];
        for (name, help, samples) in gauges.into_iter().chain(self.rings()) {
            write(&mut encoder, name, help, &samples, ConstGauge::new)?;
        }
        if let Some(info) = &sources.detector {
            detector::detector(&mut encoder, info)?;
        }
        let beside = sources.second.iter().chain(&sources.left_out);
        let beside = beside.chain(&sources.compared);
        detector::second(&mut encoder, beside)?;
        if let Some(shadow) = &sources.shadow {
            detector::shadow(&mut encoder, shadow)?;
        }
        self.latency(&mut encoder)?;
        delivery(&mut encoder, &sources.outbox.status())?;
        for (name, help, by_class) in [
            (
                "edge_evidence_sacrificed",
                "Evidence files given up for room before they were uploaded, by class",
                sources.outbox.sacrificed(),
            ),
            (
                "edge_evidence_not_stored",
                "Evidence files not stored because the budget or the disk has no room, by class",
                sources.outbox.not_stored(),
            ),
        ] {
            let classes: Vec<Sample> = ["clip", "other", "still", "case"]
                .into_iter()
                .map(|class| {
                    let files = by_class.get(class).copied().unwrap_or(0);
                    (vec![("class", class.to_owned())], files as f64)
                })
                .collect();
            write(&mut encoder, name, help, &classes, ConstCounter::new)?;
        }
        match &sources.uplink {
            Some(uplink) => connection(&mut encoder, &uplink.status()),
            None => Ok(()),
        }
    }
}

/// Counts by a word.
fn labelled(label: &'static str, counts: Vec<(&'static str, u64)>) -> Vec<Sample> {
    let counts = counts.into_iter();
    counts
        .map(|(word, count)| (vec![(label, word.to_owned())], count as f64))
        .collect()
}

/// One number that belongs to no camera.
fn one(value: u64) -> [Sample; 1] {
    [(Vec::new(), value as f64)]
}

fn delivery(encoder: &mut DescriptorEncoder<'_>, outbox: &OutboxStatus) -> std::fmt::Result {
    for (name, help, value) in [
        (
            "edge_outbox_waiting",
            "Messages that the centre has not receipted",
            outbox.waiting,
        ),
        (
            "edge_outbox_kept",
            "Messages that the centre has, kept for one that is restored from a backup",
            outbox.kept,
        ),
        (
            "edge_outbox_in_memory",
            "Events in memory because the disk takes none",
            outbox.in_memory,
        ),
        (
            "edge_outbox_bytes",
            "Size of the outbox database",
            outbox.database_bytes,
        ),
        (
            "edge_outbox_used_bytes",
            "What counts to the disk budget: database, evidence, what is kept beside them",
            outbox.used_bytes,
        ),
        (
            "edge_evidence_bytes",
            "Size of the evidence on this box",
            outbox.evidence_bytes,
        ),
        (
            "edge_evidence_waiting",
            "Evidence files not yet uploaded",
            outbox.evidence_waiting,
        ),
        (
            "edge_evidence_refused",
            "Evidence files that the centre refused for good",
            outbox.evidence_refused,
        ),
        (
            "edge_evidence_locked_events",
            "Events whose evidence the centre has locked",
            outbox.locked_events,
        ),
        (
            "edge_evidence_locked_files",
            "Evidence files held because the centre has locked them",
            outbox.locked_files,
        ),
    ] {
        write(encoder, name, help, &one(value), ConstGauge::new)?;
    }
    for (name, help, value) in [
        (
            "edge_events_lost",
            "Events lost because disk and memory were full",
            outbox.events_lost,
        ),
        (
            "edge_messages_receipted",
            "Messages that the centre has receipted",
            outbox.receipted,
        ),
        (
            "edge_centre_went_back",
            "Times that the centre had lost what it had receipted",
            outbox.went_back,
        ),
        (
            "edge_messages_set_aside",
            "Messages that cannot be sent in any form",
            outbox.set_aside,
        ),
        (
            "edge_receipts_refused",
            "Receipts that were not believed",
            outbox.receipts_refused,
        ),
    ] {
        write(encoder, name, help, &one(value), ConstCounter::new)?;
    }
    Ok(())
}

fn connection(encoder: &mut DescriptorEncoder<'_>, uplink: &UplinkStatus) -> std::fmt::Result {
    let connected = one(u64::from(uplink.connected));
    write(
        encoder,
        "edge_uplink_connected",
        "1 while the uplink is connected",
        &connected,
        ConstGauge::new,
    )?;
    for (name, help, value) in [
        (
            "edge_uplink_connections",
            "Connections made",
            uplink.connections,
        ),
        (
            "edge_uplink_failures",
            "Connections that failed or ended",
            uplink.failures,
        ),
        (
            "edge_uplink_watchdog",
            "Connections given up because nothing moved",
            uplink.watchdog,
        ),
        (
            "edge_messages_sent",
            "Messages sent, resends included",
            uplink.sent,
        ),
        (
            "edge_messages_resent",
            "Messages sent again within a connection",
            uplink.resent,
        ),
        (
            "edge_messages_shortened",
            "Messages sent with less in them, for the broker's packet limit",
            uplink.shortened,
        ),
        (
            "edge_messages_too_large",
            "Messages larger than the broker takes in any form",
            uplink.too_large,
        ),
        (
            "edge_receipts_overdue",
            "Times that receipts were overdue and sending began again",
            uplink.rewinds,
        ),
        (
            "edge_receipts_unreadable",
            "Receipts that could not be read",
            uplink.unreadable,
        ),
        (
            "edge_uploads",
            "Evidence files uploaded",
            uplink.uploads_done,
        ),
        (
            "edge_upload_failures",
            "Attempts to upload that failed",
            uplink.uploads_failed,
        ),
        (
            "edge_signals_dropped",
            "Signal messages that nobody took in time",
            uplink.signals_dropped,
        ),
        (
            "edge_signals_refused",
            "Signal messages that were malformed, too large or from another time",
            uplink.signals_refused,
        ),
        (
            "edge_signals_undated",
            "Retained signal messages without a time of their own",
            uplink.signals_undated,
        ),
    ] {
        write(encoder, name, help, &one(value), ConstCounter::new)?;
    }
    Ok(())
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
                ("undated", drops.undated),
            ]
            .into_iter()
            .chain(drops.garbage.by_reason())
            .map(|(reason, count)| (vec![("reason", reason.to_owned())], count as f64))
            .collect()
        })
    }

    /// Seconds by rule: watched, and not watched by reason.
    fn coverage(&self) -> [Family; 2] {
        let of = |is_watched: bool| {
            self.per_camera(|camera| {
                let seconds = camera.coverage().into_iter();
                seconds
                    .filter(|((_, reason), _)| reason.is_none() == is_watched)
                    .map(|((rule, reason), seconds)| {
                        let mut labels = vec![("rule", rule)];
                        labels.extend(reason.map(|reason| ("reason", reason.to_owned())));
                        (labels, seconds)
                    })
                    .collect()
            })
        };
        [
            (
                "edge_rule_watched_seconds",
                "Seconds in which the rule was watching",
                of(true),
            ),
            (
                "edge_rule_unwatched_seconds",
                "Seconds in which the rule was not watching, by reason",
                of(false),
            ),
        ]
    }

    fn of_recorders(&self, value: fn(&RecorderCounters) -> u64) -> Vec<Sample> {
        self.per_camera(|camera| {
            let counters = camera.recorder().into_iter();
            counters
                .map(|counters| (Vec::new(), value(&counters) as f64))
                .collect()
        })
    }

    fn recording(&self) -> [Family; 4] {
        [
            (
                "edge_record_bytes",
                "Bytes of recorded inputs written",
                self.of_recorders(|counters| counters.bytes),
            ),
            (
                "edge_record_segments",
                "Segments of recorded inputs begun",
                self.of_recorders(|counters| counters.segments),
            ),
            (
                "edge_record_forced_cuts",
                "Cuts of a recording that ended what went on",
                self.of_recorders(|counters| counters.forced),
            ),
            (
                "edge_record_failures",
                "Times that inputs could not be recorded",
                self.of_recorders(|counters| counters.failures),
            ),
        ]
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::mpsc;

    use super::*;

    /// A scraper that had lost its network in the middle of a request held the program that was to stop,
    /// until systemd killed it: a start of a model on trial that had failed, then.
    #[test]
    fn who_is_silent_in_the_middle_of_a_request_does_not_hold_up_the_end() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/healthz", get(|| async { "ok\n" }));
        let server = start(runtime, listener, router).unwrap();
        let ask = |words: &[u8]| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(words).unwrap();
            stream
        };
        let _silent = ask(b"GET /healthz HTTP/1.1\r\nHost: b");
        // Whoever is answered came after it.
        let mut answered = ask(b"GET /healthz HTTP/1.1\r\nHost: box\r\n\r\n");
        let mut first = [0; 15];
        answered.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        let (told, ended) = mpsc::channel();
        std::thread::spawn(move || {
            server.stop();
            told.send(()).unwrap();
        });
        ended.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
