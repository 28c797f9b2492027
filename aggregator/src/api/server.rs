//! The connections that HTTP comes by.
//!
//! hyper speaks HTTP; what is decided here is how much a stranger may hold on
//! to without saying anything: one of so many places, for so long. Dead lines
//! are noticed by TCP itself, both those that fall silent (keep-alive) and those
//! that take nothing in (user timeout).

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::metrics::Metrics;
use crate::stopping::Stopping;
use crate::tls::{self, Door};

/// How long open requests may take at the end.
const REQUESTS_WITHIN: Duration = Duration::from_secs(5);

/// A line that is silent this long is asked whether it lives, and then again.
const ASKED_AFTER: Duration = Duration::from_secs(30);

/// How long what was sent may stay unread or unanswered.
const UNREAD_FOR: Duration = Duration::from_mins(1);

/// What strangers may hold on to.
#[derive(Clone, Copy, Debug)]
pub struct ServerSettings {
    /// Most connections at a time.
    pub connections: usize,
    /// How long the head of a request may take; also how long a connection
    /// may wait for its next request.
    pub head_within: Duration,
}

/// Where requests come in, and which are answered there.
pub struct Entrance {
    /// Where.
    pub listener: TcpListener,
    /// TLS, if any.
    pub tls: Option<Door>,
    /// Which.
    pub routes: Router,
}

/// Answers requests until `stopping` turns true, then those that are under way.
pub async fn serve(
    entrance: Entrance,
    metrics: Arc<Metrics>,
    settings: ServerSettings,
    mut stopping: Stopping,
) {
    let Entrance {
        listener,
        mut tls,
        routes,
    } = entrance;
    let service = TowerToHyperService::new(routes);
    let room = Arc::new(Semaphore::new(settings.connections));
    let mut connections = JoinSet::new();
    let mut was_full = false;
    loop {
        tokio::select! {
            () = stopping.said() => break,
            Some(ended) = connections.join_next() => report(ended),
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                        metrics.http_refused.inc();
                        // Said once: a flood must not fill the log as well.
                        if !std::mem::replace(&mut was_full, true) {
                            tracing::warn!(%peer, most = settings.connections, "all places for HTTP are taken; raise http.max_connections");
                        }
                        continue;
                    };
                    was_full = false;
                    if let Err(error) = watch(&socket) {
                        tracing::debug!(%peer, %error, "TCP does not watch this line");
                    }
                    let counted = Counted::new(Arc::clone(&metrics));
                    let tls = tls.as_mut().map(Door::acceptor);
                    let (service, stopping) = (service.clone(), stopping.clone());
                    let metrics = Arc::clone(&metrics);
                    connections.spawn(async move {
                        let _held = (place, counted);
                        let ended = match tls {
                            None => converse(socket, service, settings, stopping).await,
                            Some(tls) => {
                                let shaken = shake_hands(socket, peer, &tls, settings).await;
                                let Some(stream) = shaken else {
                                    metrics.http_refused.inc();
                                    return;
                                };
                                converse(stream, service, settings, stopping).await
                            }
                        };
                        if let Err(error) = ended {
                            tracing::debug!(%peer, %error, "an HTTP connection ended");
                        }
                    });
                }
                Err(error) => {
                    // Out of file descriptors, mostly; it passes when somebody leaves.
                    tracing::warn!(%error, "HTTP cannot take a connection; is the limit of open files high enough?");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    drop(listener);
    let rest = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if timeout(REQUESTS_WITHIN, rest).await.is_err() {
        tracing::warn!("some requests were still open and are cut off");
    }
}

/// TLS, or why not is in the log.
async fn shake_hands(
    socket: TcpStream,
    peer: SocketAddr,
    tls: &TlsAcceptor,
    settings: ServerSettings,
) -> Option<TlsStream<TcpStream>> {
    match timeout(settings.head_within, tls.accept(socket)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            let security = tls::refusal(&error);
            tracing::warn!(security, %peer, %error, "{}", tls::advice(security));
            None
        }
        Err(_) => None,
    }
}

/// One connection, until it ends or the program does.
async fn converse(
    socket: impl AsyncRead + AsyncWrite + Unpin + 'static,
    service: TowerToHyperService<Router>,
    settings: ServerSettings,
    mut stopping: Stopping,
) -> hyper::Result<()> {
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.head_within)
            .serve_connection(TokioIo::new(socket), service)
    );
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = stopping.said() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

/// Has TCP notice a dead line.
fn watch(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(ASKED_AFTER)
            .with_interval(ASKED_AFTER / 3)
            .with_retries(3),
    )?;
    socket.set_tcp_user_timeout(Some(UNREAD_FOR))
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an HTTP connection's task failed; the others go on. Please report it");
    }
}

/// Keeps the gauge of connections right however a connection ends.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(metrics: Arc<Metrics>) -> Self {
        metrics.http_connections.inc();
        Self(metrics)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.http_connections.dec();
    }
}
