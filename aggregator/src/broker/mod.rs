//! Messages from an MQTT broker.
//!
//! Two clients. The *consumer* subscribes, hands every message to the store and
//! acknowledges it only after the commit (manual acknowledgements); the
//! *publisher* sends receipts. They are apart because the consumer's loop must
//! never wait: a loop that waits for room in its own queue of acknowledgements
//! never makes any.
//!
//! A connection is a client: after any error both are thrown away and made
//! anew, so that no acknowledgement of an old connection can meet a packet id
//! of the new one. What the broker lost meanwhile the boxes send again, because
//! they have no receipt.

mod address;
mod callers;
mod consumer;
mod publisher;

use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::v5::ConnectProperties;
use rumqttc::{TlsConfiguration, Transport};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::config::{self, ConfigError};
use crate::health::Health;
use crate::inbox::Limits;
use crate::metrics::Metrics;
use crate::stopping::Stopping;
use crate::store::Store;
use crate::tls::TlsError;
pub use address::Address;
use publisher::Receipts;

/// First and longest wait between connections.
const WAIT: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

/// Unacknowledged messages that the broker may have with us.
const IN_FLIGHT: u16 = 2048;

/// Why the broker cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The address is none.
    #[error("{0}")]
    Address(String),
    /// A secret cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// How to connect, over and over.
#[derive(Clone)]
pub(crate) struct Link {
    address: Address,
    transport: Transport,
    credentials: Option<(String, String)>,
    group: String,
    /// Tells this run of the program from others on the same broker.
    run: Uuid,
}

impl Link {
    /// Reads everything that the connection needs, so that faults come at the start.
    pub(crate) fn prepare(settings: &config::Broker) -> Result<Self, BrokerError> {
        let address = Address::parse(&settings.url).map_err(BrokerError::Address)?;
        let transport = if address.is_tls {
            let config = crate::tls::client(
                settings.ca_file.as_deref(),
                settings
                    .cert_file
                    .as_deref()
                    .zip(settings.key_file.as_deref()),
                settings.allow_tls12,
            )?;
            Transport::tls_with_config(TlsConfiguration::Rustls(Arc::new(config)))
        } else {
            Transport::tcp()
        };
        let password = settings
            .password_file
            .as_deref()
            .map(config::secret)
            .transpose()?;
        let credentials = settings
            .user
            .clone()
            .map(|user| (user, password.unwrap_or_default()));
        // Not random for secrecy, only for being another than the last run's.
        let run = Uuid::new_v5(
            &Uuid::NAMESPACE_OID,
            format!("{}/{}", std::process::id(), crate::clock::now()).as_bytes(),
        );
        Ok(Self {
            address,
            transport,
            credentials,
            group: settings.group.clone(),
            run,
        })
    }

    fn options(&self, role: &str) -> MqttOptions {
        let id = format!("ngatu-centre-{role}-{:.8}", self.run.simple().to_string());
        let mut options = MqttOptions::new(id, &self.address.host, self.address.port);
        options
            .set_transport(self.transport.clone())
            .set_keep_alive(Duration::from_secs(15))
            .set_clean_start(true)
            .set_connection_timeout(10)
            .set_manual_acks(true)
            // The inbox refuses what is too large, with a receipt; a client
            // that refused it would be sent it again for ever.
            .set_connect_properties(ConnectProperties {
                session_expiry_interval: Some(0),
                receive_maximum: Some(IN_FLIGHT),
                max_packet_size: Some(256 * 1024 * 1024),
                topic_alias_max: None,
                request_response_info: None,
                request_problem_info: None,
                user_properties: Vec::new(),
                authentication_method: None,
                authentication_data: None,
            });
        if let Some((user, password)) = &self.credentials {
            options.set_credentials(user, password);
        }
        options
    }
}

/// What takes in the messages that come from the broker.
pub(crate) struct Intake {
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Health,
    pub(crate) limits: Limits,
}

/// Starts both clients; they end when `stopping` turns true.
pub(crate) fn start(link: Link, intake: Intake, stopping: &Stopping) -> [JoinHandle<()>; 3] {
    let Intake {
        store,
        metrics,
        health,
        limits,
    } = intake;
    let receipts = Arc::new(Receipts::default());
    health.broker_lost(format!("not yet connected to the broker {}", link.address));
    let consumer = consumer::Consumer {
        link: link.clone(),
        store: store.clone(),
        metrics,
        health,
        limits,
        receipts: Arc::clone(&receipts),
        callers: Arc::default(),
    };
    [
        tokio::spawn(consumer.run(stopping.clone())),
        tokio::spawn(publisher::tell_locks(
            store,
            Arc::clone(&receipts),
            stopping.clone(),
        )),
        tokio::spawn(publisher::run(link, receipts, stopping.clone())),
    ]
}

/// Waits longer after every failure, never in step with other copies.
struct Backoff(Duration);

impl Backoff {
    fn new() -> Self {
        Self(WAIT.0)
    }

    fn reset(&mut self) {
        self.0 = WAIT.0;
    }

    /// How long to wait now: between a half and the whole of the current step.
    fn next(&mut self) -> Duration {
        let step = self.0;
        self.0 = (step * 2).min(WAIT.1);
        // The clock's last digits are random enough to keep copies apart.
        let part = crate::clock::now().as_micros().rem_euclid(1000) as f64 / 1000.0;
        step.mul_f64(0.5 + part / 2.0)
    }
}
