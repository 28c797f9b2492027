//! Starts the parts, and stops them so that nothing is half done.
//!
//! Stopping, in order: nobody new is let in; clients of the front door and the
//! broker's consumer get the answers to what they have sent; browsers' streams
//! end; then the writer commits what is queued and closes the database. Each
//! step has a time limit: what is not committed by then the boxes still have.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::units::Seconds;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api::{self, Api, Newsroom};
use crate::broker::{self, BrokerError};
use crate::config::{self, Config, ConfigError};
use crate::evidence::{Evidence, EvidenceError};
use crate::frontdoor::{self, DoorSettings};
use crate::health::Health;
use crate::inbox::Limits;
use crate::metrics::Metrics;
use crate::stopping::{Stop, Stopping};
use crate::store::{Store, StoreError, StoreSettings, Writer};
use crate::tls::{self, TlsError};

/// How long a part may take to wind up at the end.
const PARTS_WITHIN: Duration = Duration::from_secs(12);

/// How long open requests may take at the end.
const REQUESTS_WITHIN: Duration = Duration::from_secs(5);

/// Why the centre cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The evidence store.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The broker's settings.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// An address is taken or not ours.
    #[error(
        "cannot listen on {address} for {what}: {source}; is another program there? Choose another with {flag}"
    )]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// For what.
        what: &'static str,
        /// How to choose another.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The ready file cannot be written.
    #[error("cannot write the ready file {file}: {source}; its folder must exist and be writable", file = file.display())]
    ReadyFile {
        /// Which.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A running centre.
pub struct Centre {
    /// Where the API is.
    pub http: SocketAddr,
    /// Where the front door is.
    pub mqtt: Option<SocketAddr>,
    stop: Stop,
    health: Health,
    parts: Vec<JoinHandle<()>>,
    writer: Writer,
}

impl Centre {
    /// Starts everything; it serves when this returns.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, StoreSettings::default()).await
    }

    /// Starts everything with a store of its own habits.
    pub async fn start_with(
        config: &Config,
        store_settings: StoreSettings,
    ) -> Result<Self, StartError> {
        config.check()?;
        let (stop, stopping) = Stop::new();
        let (metrics, health) = (Arc::new(Metrics::default()), Health::default());
        let limits = Limits {
            future_tolerance: Seconds(config.inbox.future_tolerance_s),
        };
        // Whatever can be wrong is found out before anything is served.
        let link = config
            .broker
            .as_ref()
            .map(broker::Link::prepare)
            .transpose()?;
        let token = config
            .http
            .evidence_token_file
            .as_deref()
            .map(config::secret)
            .transpose()?;
        let door = match config.front_door() {
            Some(mqtt) => Some((door_settings(&mqtt, limits)?, mqtt)),
            None => None,
        };
        let http = listen(config.http.listen, "http", "--http").await?;
        let front = match &door {
            Some((_, mqtt)) => Some(listen(mqtt.listen, "mqtt", "--mqtt").await?),
            None => None,
        };
        let store_settings = StoreSettings {
            dead_letters: config.inbox.dead_letters,
            ..store_settings
        };
        let (store, writer) = Store::open(
            &config.data_dir,
            store_settings,
            Arc::clone(&metrics),
            health.clone(),
        )?;
        let evidence = Evidence::in_folder(
            &config.data_dir.join("evidence"),
            config.http.max_evidence_mb * 1024 * 1024,
        )?;
        let api = Api {
            newsroom: Newsroom::open(store.clone(), stopping.clone()),
            store: store.clone(),
            evidence,
            metrics: Arc::clone(&metrics),
            health: health.clone(),
            evidence_token: token.as_deref().map(config::hash),
            hosts: config.http.hosts.clone().into(),
            stopping: stopping.clone(),
        };
        let http_address = address(&http, config.http.listen);
        let mut parts = vec![tokio::spawn(serve_http(http, api, stopping.clone()))];
        let mut mqtt_address = None;
        if let (Some(front), Some((settings, mqtt))) = (front, door) {
            mqtt_address = Some(address(&front, mqtt.listen));
            let shared = (store.clone(), Arc::clone(&metrics));
            parts.push(tokio::spawn(frontdoor::serve(
                front,
                settings,
                shared,
                stopping.clone(),
            )));
        }
        if let Some(link) = link {
            let shared = (store, metrics, health.clone());
            parts.extend(broker::start(link, shared, limits, &stopping));
        }
        Ok(Self {
            http: http_address,
            mqtt: mqtt_address,
            stop,
            health,
            parts,
            writer,
        })
    }

    /// Stops everything, in order, and returns when the database is closed.
    pub async fn stop(self) {
        self.health.stopping();
        self.stop.say();
        for mut part in self.parts {
            match timeout(PARTS_WITHIN, &mut part).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(%error, "a part of the centre failed; please report it");
                }
                Err(_) => {
                    // The database takes nothing, or a client nothing more.
                    tracing::warn!("a part of the centre does not end and is cut off");
                    part.abort();
                }
            }
        }
        let writer = self.writer;
        if tokio::task::spawn_blocking(move || writer.finish())
            .await
            .is_err()
        {
            tracing::error!("the database may not have been closed");
        }
    }

    /// Writes where the centre is, all at once, for whoever waits for it.
    pub fn write_ready_file(&self, file: &Path) -> Result<(), StartError> {
        let text = serde_json::json!({
            "http": self.http.to_string(),
            "mqtt": self.mqtt.map(|mqtt| mqtt.to_string()),
        });
        let fault = |source| StartError::ReadyFile {
            file: file.to_owned(),
            source,
        };
        // Beside it, so that the rename stays on one file system.
        let mut beside = file.as_os_str().to_owned();
        beside.push(format!(".{}", std::process::id()));
        let beside = PathBuf::from(beside);
        std::fs::write(&beside, format!("{text}\n")).map_err(fault)?;
        std::fs::rename(&beside, file).map_err(fault)
    }
}

fn door_settings(mqtt: &config::Mqtt, limits: Limits) -> Result<DoorSettings, StartError> {
    if !mqtt.listen.ip().is_loopback() && !mqtt.asks_for_proof() {
        tracing::warn!(
            listen = %mqtt.listen,
            "the front door is open to other machines and nobody proves which box they are; \
             set mqtt.tls.client_ca_file or [mqtt.passwords]"
        );
    }
    let tls = match &mqtt.tls {
        Some(files) => Some(tls::acceptor(
            &files.cert_file,
            &files.key_file,
            files.client_ca_file.as_deref(),
        )?),
        None => None,
    };
    Ok(DoorSettings {
        tls,
        passwords: mqtt.passwords.clone(),
        limits,
        connections: mqtt.max_connections,
    })
}

async fn listen(
    address: SocketAddr,
    what: &'static str,
    flag: &'static str,
) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| StartError::Listen {
            address,
            what,
            flag,
            source,
        })
}

/// Where a listener really is, when it was told port 0.
fn address(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

async fn serve_http(listener: TcpListener, api: Api, stopping: Stopping) {
    let wait = |mut stopping: Stopping| async move { stopping.said().await };
    let server = axum::serve(listener, api::router(api))
        .with_graceful_shutdown(wait(stopping.clone()))
        .into_future();
    let deadline = async {
        wait(stopping).await;
        tokio::time::sleep(REQUESTS_WITHIN).await;
    };
    tokio::select! {
        ended = server => if let Err(error) = ended {
            tracing::error!(%error, "the HTTP server failed");
        },
        () = deadline => tracing::warn!("some requests were still open and are cut off"),
    }
}
