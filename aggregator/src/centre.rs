//! Starts the parts, and stops them so that nothing is half done.
//!
//! Stopping, in order: nobody new is let in; clients of the front door and the
//! broker's consumer get the answers to what they have sent; browsers' streams
//! end; then the writer commits what is queued and closes the database. Each
//! step has a time limit: what is not committed by then the boxes still have.
//!
//! While it runs every part is watched. None of them has a reason to end before
//! it is told to, so one that does takes the program with it: half a centre that
//! looks ready loses more than a restart does.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use protocol::units::Seconds;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::api::{self, Api, Entrance, Newsroom, ServerSettings};
use crate::broker::{self, BrokerError};
use crate::config::{self, Config, ConfigError};
use crate::evidence::{Evidence, EvidenceError, UploadLimits};
use crate::frontdoor::{self, DoorSettings};
use crate::health::Health;
use crate::inbox::Limits;
use crate::metrics::Metrics;
use crate::retention::Kept;
use crate::stopping::{Stop, Stopping};
use crate::store::{Store, StoreError, StoreSettings, Writer};
use crate::tls::{self, TlsError};

/// How long a part may take to wind up at the end.
const PARTS_WITHIN: Duration = Duration::from_secs(12);

/// What the writer of the database is called among the parts.
const WRITER: &str = "the writer of the database";

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

/// A part that ended although nobody told it to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} has ended by itself ({how}); the centre stops so that it can be started anew")]
pub struct PartEnded {
    /// Which.
    pub part: &'static str,
    /// How: a panic's words, or that it returned.
    pub how: String,
}

/// A task of the centre.
struct Part {
    name: &'static str,
    task: JoinHandle<()>,
}

/// A running centre.
pub struct Centre {
    /// Where the API is.
    pub http: SocketAddr,
    /// Where boxes put evidence by HTTPS.
    pub uploads: Option<SocketAddr>,
    /// Where the front door is.
    pub mqtt: Option<SocketAddr>,
    stop: Stop,
    health: Health,
    parts: Vec<Part>,
    writer: Writer,
}

fn evidence_folder(config: &Config, idle: Duration) -> Result<Evidence, StartError> {
    let limits = UploadLimits {
        largest: config.http.max_evidence_mb * 1024 * 1024,
        at_once: config.http.max_uploads,
        kept: Duration::from_hours(config.http.keep_parts_h),
        idle,
    };
    Ok(Evidence::in_folder(
        &config.data_dir.join("evidence"),
        limits,
    )?)
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
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
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
        let uploads = uploads(config.uploads.as_ref()).await?;
        let front = match &door {
            Some((_, mqtt)) => Some(listen(mqtt.listen, "mqtt", "--mqtt").await?),
            None => None,
        };
        let store_settings = StoreSettings {
            dead_letters: config.inbox.dead_letters,
            limits,
            ..store_settings
        };
        let (store, writer) = Store::open(
            &config.data_dir,
            store_settings,
            Arc::clone(&metrics),
            health.clone(),
        )?;
        let mut parts = vec![Part {
            name: WRITER,
            task: tokio::spawn(ended(store.clone())),
        }];
        let idle = Duration::from_secs_f64(config.http.idle_s);
        let evidence = evidence_folder(config, idle)?;
        let (newsroom, telling) = Newsroom::open(store.clone(), stopping.clone());
        let api = Api {
            newsroom,
            store: store.clone(),
            evidence: evidence.clone(),
            metrics: Arc::clone(&metrics),
            health: health.clone(),
            evidence_token: token.as_deref().map(config::hash),
            hosts: config.http.hosts.clone().into(),
            idle,
            stopping: stopping.clone(),
        };
        let http_address = address(&http, config.http.listen);
        let uploads_address = uploads.as_ref().map(|(_, _, address)| *address);
        let server = ServerSettings {
            connections: config.http.max_connections,
            head_within: idle,
        };
        parts.extend(http_parts(http, uploads, &api, server));
        let kept = Kept {
            store: store.clone(),
            evidence,
            retention: config.retention,
        };
        let sweeping = tokio::spawn(kept.look_after(Arc::clone(&metrics), stopping.clone()));
        let both = [("the stream", telling), ("retention", sweeping)];
        parts.extend(both.map(|(name, task)| Part { name, task }));
        let mut mqtt_address = None;
        if let (Some(front), Some((settings, mqtt))) = (front, door) {
            mqtt_address = Some(address(&front, mqtt.listen));
            parts.push(door_part(front, settings, &api));
        }
        if let Some(link) = link {
            let intake = broker::Intake {
                store,
                metrics,
                health: health.clone(),
                limits,
            };
            parts.extend(broker_parts(link, intake, &stopping));
        }
        Ok(Self {
            http: http_address,
            uploads: uploads_address,
            mqtt: mqtt_address,
            stop,
            health,
            parts,
            writer,
        })
    }

    /// Waits until a part ends that was not told to; from then on the centre
    /// is not ready. What is left is to [`Centre::stop`] it.
    pub async fn part_ended(&mut self) -> PartEnded {
        let tasks = self.parts.iter_mut().map(|part| &mut part.task);
        let (ended, index, _) = select_all(tasks).await;
        let part = self.parts.swap_remove(index).name;
        let how = match ended {
            Ok(()) => "it returned".to_owned(),
            Err(error) => error.to_string(),
        };
        let ended = PartEnded { part, how };
        self.health.part_ended(ended.to_string());
        ended
    }

    /// Stops everything, in order, and returns when the database is closed.
    pub async fn stop(self) {
        self.health.stopping();
        self.stop.say();
        let (writers, parts): (Vec<Part>, Vec<Part>) =
            self.parts.into_iter().partition(|part| part.name == WRITER);
        for Part { name, mut task } in parts {
            match timeout(PARTS_WITHIN, &mut task).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::error!(part = name, %error, "a part of the centre failed; please report it");
                }
                Err(_) => {
                    // The database takes nothing, or a client nothing more.
                    tracing::warn!(
                        part = name,
                        "a part of the centre does not end and is cut off"
                    );
                    task.abort();
                }
            }
        }
        // Only a watch on the thread that is closed below.
        drop(writers);
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
            "uploads": self.uploads.map(|uploads| uploads.to_string()),
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

/// What speaks HTTP: for people and programs, and for boxes with evidence.
fn http_parts(
    http: TcpListener,
    uploads: Option<(TcpListener, tls::Door, SocketAddr)>,
    api: &Api,
    settings: ServerSettings,
) -> impl Iterator<Item = Part> {
    let all = ("the HTTP server", http, None, api::router(api.clone()));
    let of_boxes = uploads.map(|(listener, tls, _)| {
        let routes = api::uploads(api.clone());
        ("the door for uploads", listener, Some(tls), routes)
    });
    let entrances = [all].into_iter().chain(of_boxes);
    entrances.map(move |(name, listener, tls, routes)| {
        let entrance = Entrance {
            listener,
            tls,
            routes,
        };
        let (metrics, stopping) = (Arc::clone(&api.metrics), api.stopping.clone());
        let task = tokio::spawn(api::serve(entrance, metrics, settings, stopping));
        Part { name, task }
    })
}

/// The broker of its own.
fn door_part(listener: TcpListener, settings: DoorSettings, api: &Api) -> Part {
    let entrance = frontdoor::Entrance { listener, settings };
    let (store, metrics) = (api.store.clone(), Arc::clone(&api.metrics));
    let stopping = api.stopping.clone();
    Part {
        name: "the front door",
        task: tokio::spawn(frontdoor::serve(entrance, store, metrics, stopping)),
    }
}

/// What speaks with the broker.
fn broker_parts(
    link: broker::Link,
    intake: broker::Intake,
    stopping: &Stopping,
) -> impl Iterator<Item = Part> {
    let names = [
        "the broker's consumer",
        "the news of locks",
        "the broker's publisher",
    ];
    let tasks = broker::start(link, intake, stopping);
    let both = names.into_iter().zip(tasks);
    both.map(|(name, task)| Part { name, task })
}

fn door_settings(mqtt: &config::Mqtt, limits: Limits) -> Result<DoorSettings, StartError> {
    let tls = match &mqtt.tls {
        Some(files) => Some(tls::Door::open(files)?),
        None => None,
    };
    Ok(DoorSettings {
        tls,
        passwords: mqtt.passwords.clone(),
        limits,
        connections: mqtt.max_connections,
    })
}

/// The door for evidence: where, its TLS, and its real address.
async fn uploads(
    wanted: Option<&config::Uploads>,
) -> Result<Option<(TcpListener, tls::Door, SocketAddr)>, StartError> {
    let Some(config::Uploads { listen: at, tls }) = wanted else {
        return Ok(None);
    };
    let tls = tls::Door::open(tls)?;
    let listener = listen(*at, "uploads", "uploads.listen in the configuration").await?;
    let address = address(&listener, *at);
    Ok(Some((listener, tls, address)))
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

/// Ends with the writer's thread, however that ended.
async fn ended(store: Store) {
    store.ended().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn started(folder: &Path) -> Centre {
        let mut config = Config {
            data_dir: folder.to_owned(),
            mqtt: Some(config::Mqtt::default()),
            ..Config::default()
        };
        config.http.listen.set_port(0);
        if let Some(mqtt) = &mut config.mqtt {
            mqtt.listen.set_port(0);
        }
        Centre::start(&config).await.unwrap()
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_named_and_the_centre_is_not_ready() {
        for name in ["the HTTP server", "the front door", "the stream"] {
            let folder = tempfile::tempdir().unwrap();
            let mut centre = started(folder.path()).await;
            assert_eq!(centre.health.reasons(), Vec::<String>::new());
            let part = centre.parts.iter_mut().find(|part| part.name == name);
            let part = part.unwrap();
            part.task.abort();
            part.task = tokio::spawn(async { panic!("a defect") });
            let ended = centre.part_ended().await;
            assert_eq!(ended.part, name);
            assert!(ended.how.contains("panicked"), "{ended}");
            assert_eq!(centre.health.reasons(), [ended.to_string()]);
            // The rest still winds up, and the database is closed.
            centre.stop().await;
            assert!(!folder.path().join("centre.db-wal").exists());
        }
    }

    #[tokio::test]
    async fn the_end_of_the_writer_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (store, writer) = Store::open(
            folder.path(),
            StoreSettings::default(),
            Arc::default(),
            Health::default(),
        )
        .unwrap();
        let watch = tokio::spawn(ended(store));
        assert!(!watch.is_finished());
        tokio::task::spawn_blocking(move || writer.finish())
            .await
            .unwrap();
        timeout(Duration::from_secs(20), watch)
            .await
            .unwrap()
            .unwrap();
    }
}
