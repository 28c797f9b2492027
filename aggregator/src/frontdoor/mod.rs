//! The front door: where boxes come in when there is no broker.
//!
//! An MQTT server, not a broker: it takes events and states, commits them, and
//! answers. It routes nothing between clients, keeps no sessions, knows QoS 0
//! and 1, and a client may subscribe only to its own `down/…`. PUBACK and
//! receipt come after the commit, so a box that has either has been heard.
//!
//! What it guards against: a first packet that is late, large or no CONNECT;
//! silence beyond the keep-alive; more unanswered messages than announced; a
//! client that does not read; packets of any size and content. Each ends that
//! connection with a reason and a count, and no other.

mod codec;
mod connection;
mod identity;
mod registry;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use protocol::envelope::MAX_ENVELOPE_BYTES;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::config::Passwords;
use crate::inbox::Limits;
use crate::metrics::Metrics;
use crate::stopping::Stopping;
use crate::store::Store;
use registry::Registry;

pub use identity::parse_name;

/// Largest packet taken: an envelope with its topic and MQTT 5 properties.
const MAX_PACKET: usize = MAX_ENVELOPE_BYTES + 2048;

/// How long a TLS handshake may take.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// How the front door behaves.
#[derive(Clone, Default)]
pub struct DoorSettings {
    /// TLS, with client certificates where they are asked for.
    pub tls: Option<crate::tls::Door>,
    /// Who may come in by password; empty when nobody needs one.
    pub passwords: Passwords,
    /// What messages are held against.
    pub limits: Limits,
    /// Most clients at a time.
    pub connections: usize,
}

/// Where clients come in, and how.
pub struct Entrance {
    /// Where.
    pub listener: TcpListener,
    /// How.
    pub settings: DoorSettings,
}

/// What all connections share.
pub(crate) struct Door {
    store: Store,
    metrics: Arc<Metrics>,
    passwords: Passwords,
    limits: Limits,
    registry: Arc<Registry>,
    anonymous: AtomicU64,
    stopping: Stopping,
}

impl Door {
    fn next_anonymous(&self) -> u64 {
        self.anonymous.fetch_add(1, Ordering::Relaxed)
    }
}

/// Lets clients in until `stopping` turns true, then winds all of them up.
pub async fn serve(
    entrance: Entrance,
    store: Store,
    metrics: Arc<Metrics>,
    mut stopping: Stopping,
) {
    let Entrance {
        listener,
        mut settings,
    } = entrance;
    let door = Arc::new(Door {
        store,
        metrics,
        passwords: settings.passwords,
        limits: settings.limits,
        registry: Arc::default(),
        anonymous: AtomicU64::new(1),
        stopping: stopping.clone(),
    });
    let room = Arc::new(Semaphore::new(settings.connections));
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stopping.said() => break,
            Some(ended) = clients.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                        door.metrics.refused("full");
                        tracing::warn!(%peer, most = settings.connections, "the front door is full; raise mqtt.max_connections");
                        continue;
                    };
                    let door = Arc::clone(&door);
                    let tls = settings.tls.as_mut().map(crate::tls::Door::acceptor);
                    clients.spawn(async move {
                        let _place = place;
                        let _counted = Counted::new(Arc::clone(&door.metrics));
                        welcome(socket, peer, tls, door).await;
                    });
                }
                Err(error) => {
                    // Out of file descriptors, mostly; it passes when somebody leaves.
                    tracing::warn!(%error, "the front door cannot take a connection; is the limit of open files high enough?");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(listener);
    while let Some(ended) = clients.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "a connection's task failed; the others go on. Please report it");
    }
}

/// Shakes hands where there is TLS, then serves.
async fn welcome(socket: TcpStream, peer: SocketAddr, tls: Option<TlsAcceptor>, door: Arc<Door>) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%peer, %error, "no TCP_NODELAY");
    }
    let Some(tls) = tls else {
        return connection::serve(socket, None, door).await;
    };
    match tokio::time::timeout(HANDSHAKE_WITHIN, tls.accept(socket)).await {
        Ok(Ok(stream)) => {
            let certificate = stream
                .get_ref()
                .1
                .peer_certificates()
                .and_then(<[_]>::first);
            let name = certificate.map(|der| crate::tls::common_name(der).unwrap_or_default());
            connection::serve(stream, name, door).await;
        }
        Ok(Err(error)) => {
            let security = crate::tls::refusal(&error);
            door.metrics.refused(security);
            tracing::warn!(security, %peer, %error, "{}", crate::tls::advice(security));
        }
        Err(_) => door.metrics.refused("tls_handshake"),
    }
}

/// Keeps the gauge of connections right however a connection ends.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(metrics: Arc<Metrics>) -> Self {
        metrics.connections.inc();
        Self(metrics)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}
