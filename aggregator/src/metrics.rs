//! What Prometheus asks for at `/metrics`. Base units, counters end in `_total`.
//!
//! No label has a value that a stranger chooses: kinds and box names would let
//! one bad box fill the memory of the monitoring.

use std::fmt::Write as _;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use protocol::EventTime;

use crate::clock;
use crate::inbox::Reason;
use crate::retention::Retention;
use crate::store::{KindCount, Outcome};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ContentLabel {
    content: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClassLabel {
    class: &'static str,
}

/// Every metric of the centre.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    received: Family<ContentLabel, Counter>,
    duplicates: Family<ContentLabel, Counter>,
    dead_letters: Family<ReasonLabel, Counter>,
    refused: Family<ReasonLabel, Counter>,
    batch_rows: Histogram,
    commit_seconds: Histogram,
    lag_seconds: Histogram,
    /// Commits that failed and are tried again.
    pub failed_commits: Counter,
    /// Messages that boxes hold receipts for and this database never saw.
    pub beyond_recovery: Counter,
    /// Messages taken in that could not be taken when they came.
    pub second_chances: Counter,
    /// Messages not taken because another agent speaks for their box.
    pub second_agent_messages: Counter,
    /// Messages set aside for a second chance that had to make room.
    pub set_aside_dropped: Counter,
    /// Clients of the front door.
    pub connections: Gauge,
    /// Connections made with the broker.
    pub broker_connections: Counter,
    /// HTTP connections now.
    pub http_connections: Gauge,
    /// HTTP connections turned away because all places were taken.
    pub http_refused: Counter,
    /// Browsers on the stream.
    pub stream_clients: Gauge,
    /// Files of evidence taken in.
    pub evidence_files: Counter,
    /// Bytes of evidence taken in.
    pub evidence_bytes: Counter<u64, AtomicU64>,
    removed_files: Family<ClassLabel, Counter>,
    removed_bytes: Family<ClassLabel, Counter>,
    /// Alerts whose evidence is locked.
    pub locks: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let doubling = |first: f64, count: u16| {
            prometheus_client::metrics::histogram::exponential_buckets(first, 2.0, count)
        };
        let metrics = Self {
            received: Family::default(),
            duplicates: Family::default(),
            dead_letters: Family::default(),
            refused: Family::default(),
            batch_rows: Histogram::new(doubling(1.0, 10)),
            commit_seconds: Histogram::new(doubling(0.0005, 14)),
            lag_seconds: Histogram::new(doubling(0.01, 20)),
            failed_commits: Counter::default(),
            beyond_recovery: Counter::default(),
            second_chances: Counter::default(),
            second_agent_messages: Counter::default(),
            set_aside_dropped: Counter::default(),
            connections: Gauge::default(),
            broker_connections: Counter::default(),
            http_connections: Gauge::default(),
            http_refused: Counter::default(),
            stream_clients: Gauge::default(),
            evidence_files: Counter::default(),
            evidence_bytes: Counter::default(),
            removed_files: Family::default(),
            removed_bytes: Family::default(),
            locks: Gauge::default(),
            registry: Registry::default(),
        };
        for content in [
            "event",
            "evidence",
            "camera_status",
            "box_status",
            "unknown",
        ] {
            drop(metrics.received.get_or_create(&ContentLabel { content }));
            drop(metrics.duplicates.get_or_create(&ContentLabel { content }));
        }
        for reason in Reason::ALL.map(Reason::as_str) {
            drop(metrics.dead_letters.get_or_create(&ReasonLabel { reason }));
        }
        for (class, ..) in Retention::default().periods() {
            metrics.removed(class.as_str(), 0, 0);
        }
        let registry = metrics.registered();
        Self {
            registry,
            ..metrics
        }
    }
}

impl Metrics {
    /// Says what each is called and means.
    #[allow(clippy::too_many_lines)] // a list
    fn registered(&self) -> Registry {
        let mut registry = Registry::with_prefix("aggregator");
        let r = &mut registry;
        r.register(
            "events_received",
            "Messages committed, by content",
            self.received.clone(),
        );
        r.register(
            "duplicates",
            "Messages that had been here before",
            self.duplicates.clone(),
        );
        r.register(
            "dead_letters",
            "Messages that could not be taken, by reason",
            self.dead_letters.clone(),
        );
        r.register(
            "frontdoor_refused",
            "Connections that the front door ended, by reason",
            self.refused.clone(),
        );
        r.register(
            "commit_batch_rows",
            "Jobs in one commit",
            self.batch_rows.clone(),
        );
        r.register_with_unit(
            "commit_duration",
            "Time of one commit",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        r.register_with_unit(
            "receive_lag",
            "From the arrival of a message to its commit",
            Unit::Seconds,
            self.lag_seconds.clone(),
        );
        r.register(
            "commits_failed",
            "Commits that failed and are tried again",
            self.failed_commits.clone(),
        );
        r.register(
            "messages_beyond_recovery",
            "Messages that boxes hold receipts for and this database never saw",
            self.beyond_recovery.clone(),
        );
        r.register(
            "second_chances",
            "Messages taken in that could not be taken when they came",
            self.second_chances.clone(),
        );
        r.register(
            "second_agent_messages",
            "Messages not taken because another agent speaks for their box",
            self.second_agent_messages.clone(),
        );
        r.register(
            "set_aside_dropped",
            "Messages set aside for a second chance that had to make room",
            self.set_aside_dropped.clone(),
        );
        r.register(
            "frontdoor_connections",
            "Clients of the front door now",
            self.connections.clone(),
        );
        r.register(
            "broker_connections",
            "Connections made with the broker",
            self.broker_connections.clone(),
        );
        r.register(
            "http_connections",
            "HTTP connections now",
            self.http_connections.clone(),
        );
        r.register(
            "http_refused",
            "HTTP connections turned away because all places were taken",
            self.http_refused.clone(),
        );
        r.register(
            "stream_clients",
            "Browsers on the stream now",
            self.stream_clients.clone(),
        );
        r.register(
            "evidence_files",
            "Files of evidence taken in",
            self.evidence_files.clone(),
        );
        r.register_with_unit(
            "evidence",
            "Evidence taken in",
            Unit::Bytes,
            self.evidence_bytes.clone(),
        );
        r.register(
            "evidence_removed_files",
            "Files that retention removed, by class",
            self.removed_files.clone(),
        );
        r.register_with_unit(
            "evidence_removed",
            "Evidence that retention removed, by class",
            Unit::Bytes,
            self.removed_bytes.clone(),
        );
        r.register(
            "evidence_locks",
            "Alerts whose evidence is locked",
            self.locks.clone(),
        );
        registry
    }

    /// Counts what retention removed.
    pub fn removed(&self, class: &'static str, files: u64, bytes: u64) {
        let label = ClassLabel { class };
        self.removed_files.get_or_create(&label).inc_by(files);
        self.removed_bytes.get_or_create(&label).inc_by(bytes);
    }

    /// Counts a commit.
    pub fn committed(&self, rows: usize, took: Duration) {
        self.batch_rows.observe(rows as f64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// Counts a committed message.
    pub fn message(&self, content: &'static str, outcome: Outcome, received: EventTime) {
        let label = ContentLabel { content };
        self.received.get_or_create(&label).inc();
        match outcome {
            Outcome::Taken => {}
            Outcome::Duplicate => {
                self.duplicates.get_or_create(&label).inc();
            }
            Outcome::Dead(reason) => {
                let reason = reason.as_str();
                self.dead_letters
                    .get_or_create(&ReasonLabel { reason })
                    .inc();
            }
        }
        self.lag_seconds
            .observe(clock::now().since(received).0.max(0.0));
    }

    /// Counts a connection that the front door ended.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabel { reason }).inc();
    }

    /// The text of `/metrics`, with the alerts as the database counts them.
    pub fn text(&self, alerts: &[KindCount]) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail; a metric that could not be encoded
        // would only be missing from the page.
        if text::encode(&mut page, &self.registry).is_err() {
            tracing::warn!("a metric could not be written");
        }
        let mut states = String::new();
        for state in crate::alert::State::ALL {
            let count: u64 = alerts
                .iter()
                .filter(|row| row.state == *state)
                .map(|row| row.count)
                .sum();
            let written = writeln!(
                states,
                "aggregator_alerts{{state=\"{}\"}} {count}",
                state.as_str()
            );
            debug_assert!(written.is_ok(), "writing to a string");
        }
        let head = "# HELP aggregator_alerts Alerts in the database, by what people decided.\n\
                    # TYPE aggregator_alerts gauge\n";
        page.replace("# EOF\n", &format!("{head}{states}# EOF\n"))
    }
}
