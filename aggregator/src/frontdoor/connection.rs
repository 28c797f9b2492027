//! One client, from its first byte to its last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use protocol::{BoxId, EvidenceLocks, Receipt, SiteId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};
use uuid::Uuid;

use super::codec::{self, Connect, Incoming, Outgoing, Publish, Refusal, Version};
use super::identity::Identity;
use super::registry::{Agent, Presence};
use super::{Door, MAX_PACKET};
use crate::clock;
use crate::inbox::{self, Complaints, Content, Judged};
use crate::store::{Committed, Done, Job, Whose};

/// How long a client may take for its CONNECT.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A CONNECT is names and a small will; anything larger is not from a box.
const CONNECT_BYTES: usize = 4096;
/// How long a client may take to read what it is sent.
const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// How long the last commits may take when a connection ends.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);
/// Unacknowledged messages of one client: the back-pressure of MQTT 5
/// (Receive Maximum), and where reading pauses for 3.1.1, which has none.
pub(super) const IN_FLIGHT: u16 = 256;
/// Longest keep-alive granted, in seconds; also for who asks for none, because
/// a line that died in silence must be noticed some time.
const KEEP_ALIVE_MOST: u16 = 600;

/// How a connection ended.
enum End {
    /// The client said good-bye; `true` when it wants its will carried out.
    Goodbye(bool),
    /// The line went, without a word.
    Lost,
    /// We ended it.
    Refused(Refusal),
}

/// What a connection knows of its client.
struct Session {
    door: Arc<Door>,
    version: Version,
    identity: Identity,
    keep_alive: Duration,
    out: BytesMut,
    committed: UnboundedReceiver<Committed>,
    news: UnboundedSender<Committed>,
    /// Messages handed to the store that are not committed yet.
    in_flight: usize,
    /// Those of them that the client waits for: QoS 1, no PUBACK yet.
    unacknowledged: usize,
    /// Whether the client listens to its receipts.
    listens: bool,
    /// Whether it listens to word of locked evidence; older boxes do not.
    hears_locks: bool,
    /// Newest receipt of each outbox that the client has not been sent.
    receipts: BTreeMap<Uuid, (SiteId, BoxId, Receipt)>,
    /// Locked evidence that the client has not been told of.
    locks: Option<(Whose, Vec<EvidenceLocks>)>,
    /// What was already said in the log about the client's messages.
    complaints: Complaints,
    /// Which will this connection left with the store.
    will: Option<(Whose, u64)>,
    /// Its place among the clients, given up at the very end.
    presence: Presence,
}

/// Serves one client. `common_name` is that of its verified certificate.
pub(super) async fn serve<S>(mut socket: S, common_name: Option<String>, door: Arc<Door>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut input = BytesMut::new();
    let greeted = timeout(CONNECT_WITHIN, greet(&mut socket, &mut input)).await;
    let (version, connect) = match greeted {
        Ok(Ok(greeting)) => greeting,
        Ok(Err(Some((version, refusal)))) => {
            refuse(&mut socket, &door, version, refusal).await;
            return;
        }
        Ok(Err(None)) => return,
        Err(_) => {
            door.metrics.refused("no_connect");
            return;
        }
    };
    let keep_alive = granted_keep_alive(connect.keep_alive);
    let (mut session, left) = match admit(&door, version, &connect, common_name.as_deref()).await {
        Ok(admitted) => admitted,
        Err(refusal) => {
            let client = connect.client_id.escape_debug();
            let security = refusal.as_str();
            if refusal == Refusal::SecondAgent {
                tracing::warn!(
                    security,
                    %client,
                    "a second agent with the id of a box that is here was refused; \
                     give each box an id of its own, or stop one of the two"
                );
            } else {
                tracing::warn!(
                    security,
                    %client,
                    "the front door refused a client; look at its site, box, certificate or password"
                );
            }
            refuse(&mut socket, &door, version, refusal).await;
            return;
        }
    };
    session.say(Outgoing::ConnAck {
        receive_maximum: IN_FLIGHT,
        max_packet: u32::try_from(MAX_PACKET).unwrap_or(u32::MAX),
        keep_alive: (keep_alive != connect.keep_alive).then_some(keep_alive),
    });
    let end = session.run(&mut socket, &mut input, left).await;
    session.wind_up(&mut socket, end).await;
}

/// Tells a stranger why not, as far as its version has words for it.
async fn refuse<S: AsyncWrite + Unpin>(
    socket: &mut S,
    door: &Door,
    version: Version,
    refusal: Refusal,
) {
    door.metrics.refused(refusal.as_str());
    let mut out = BytesMut::new();
    codec::write(version, Outgoing::Refuse(refusal), &mut out);
    // It goes away in any case.
    let _told = timeout(WRITE_WITHIN, socket.write_all(&out)).await.is_ok();
    let _closed = timeout(WRITE_WITHIN, socket.shutdown()).await.is_ok();
}

/// Reads the CONNECT; `Err(None)` when the client went away before.
async fn greet<S: AsyncRead + Unpin>(
    socket: &mut S,
    input: &mut BytesMut,
) -> Result<(Version, Connect), Option<(Version, Refusal)>> {
    let fault = |refusal| Some((Version::V5, refusal));
    loop {
        // Not an MQTT client at all: do not wait for more of it.
        if input.first().is_some_and(|byte| byte >> 4 != 1) {
            return Err(fault(Refusal::Protocol));
        }
        if let Some(frame) = codec::frame(input, CONNECT_BYTES).map_err(fault)? {
            let version = codec::version(&frame).map_err(fault)?;
            return match codec::read(version, frame) {
                Ok(Incoming::Connect(connect)) => Ok((version, connect)),
                Ok(_) => Err(Some((version, Refusal::Protocol))),
                Err(refusal) => Err(Some((version, refusal))),
            };
        }
        if !matches!(socket.read_buf(input).await, Ok(1..)) {
            return Err(None);
        }
    }
}

fn granted_keep_alive(asked: u16) -> u16 {
    if asked == 0 {
        KEEP_ALIVE_MOST
    } else {
        asked.min(KEEP_ALIVE_MOST)
    }
}

/// Decides whether the client may come in, and makes room for it.
async fn admit(
    door: &Arc<Door>,
    version: Version,
    connect: &Connect,
    common_name: Option<&str>,
) -> Result<(Session, oneshot::Receiver<()>), Refusal> {
    let mut identity = Identity::establish(common_name, connect, &door.passwords)?;
    let proven = identity.whose().cloned();
    let mut agent = None;
    let will = match &connect.will {
        Some((topic, payload)) => {
            identity.may_will(topic)?;
            match inbox::judge(topic, payload, clock::now(), door.limits) {
                Judged::Letter(letter) => {
                    if let Content::Box(status) = &letter.content {
                        agent = status.outbox.map(|position| Agent {
                            outbox: position.id,
                            run: position.run,
                        });
                    }
                    Some(letter)
                }
                // A will that says nothing readable would leave the box
                // "online" for ever.
                Judged::Dead(_) | Judged::Nothing => return Err(Refusal::Malformed),
            }
        }
        None => None,
    };
    // MQTT 5 § 3.1.3.1: an empty client id asks for one of the server's; such
    // a client never comes back as the same one.
    let client_id = if connect.client_id.is_empty() {
        Uuid::from_u128(u128::from(door.next_anonymous())).to_string()
    } else {
        connect.client_id.clone()
    };
    let (presence, left, took_over) = door
        .registry
        .enter((proven, client_id), identity.whose(), agent)
        .await?;
    if took_over {
        door.metrics.refused(Refusal::TakenOver.as_str());
        tracing::info!(
            client = %connect.client_id.escape_debug(),
            "a client came back before its old connection had ended; \
             when it goes on, two boxes have the same name"
        );
    }
    let (news, committed) = mpsc::unbounded_channel();
    let mut session = Session {
        door: Arc::clone(door),
        version,
        identity,
        keep_alive: Duration::from_secs(u64::from(granted_keep_alive(connect.keep_alive))),
        out: BytesMut::new(),
        committed,
        news,
        in_flight: 0,
        unacknowledged: 0,
        listens: false,
        hears_locks: false,
        receipts: BTreeMap::new(),
        locks: None,
        complaints: Complaints::default(),
        will: None,
        presence,
    };
    if let Some(will) = will {
        let whose = (will.site.clone(), will.box_id.clone());
        let connection = session.presence.serial();
        session.will = Some((whose.clone(), connection));
        door.store
            .submit(Job::Arrived {
                will,
                whose,
                connection,
            })
            .await
            .map_err(|_| Refusal::ShuttingDown)?;
    }
    Ok((session, left))
}

impl Session {
    fn say(&mut self, packet: Outgoing) {
        codec::write(self.version, packet, &mut self.out);
    }

    /// Whether to stop reading. A client of MQTT 5 is told how much is too
    /// much and is held to it instead.
    fn is_full(&self) -> bool {
        self.version == Version::V311 && self.unacknowledged >= usize::from(IN_FLIGHT)
    }

    /// Serves the client until something ends it.
    async fn run<S>(
        &mut self,
        socket: &mut S,
        input: &mut BytesMut,
        mut taken_over: oneshot::Receiver<()>,
    ) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stopping = self.door.stopping.clone();
        let mut news_of_locks = self.door.store.watch_locks();
        let mut are_locks_told = true;
        let mut heard = Instant::now();
        loop {
            match self.work_off(input).await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                Err(refusal) => return End::Refused(refusal),
            }
            if self.flush(socket).await.is_err() {
                return End::Lost;
            }
            let is_full = self.is_full();
            // MQTT 5 § 3.1.2.10: one and a half times the keep-alive. While we
            // do not read we cannot complain of silence.
            let patience = heard + self.keep_alive.mul_f64(1.5);
            tokio::select! {
                biased;
                _ = &mut taken_over => return End::Refused(Refusal::TakenOver),
                () = stopping.said() => return End::Refused(Refusal::ShuttingDown),
                Some(committed) = self.committed.recv() => self.answer(committed),
                changed = news_of_locks.recv(), if are_locks_told => {
                    are_locks_told = !matches!(changed, Err(RecvError::Closed));
                    self.tell_locks(changed).await;
                }
                read = socket.read_buf(input), if !is_full => match read {
                    Ok(0) | Err(_) => return End::Lost,
                    Ok(_) => heard = Instant::now(),
                },
                () = tokio::time::sleep_until(patience), if !is_full => {
                    return End::Refused(Refusal::KeepAlive);
                }
            }
            if is_full {
                heard = Instant::now();
            }
        }
    }

    /// Handles every complete packet in `input`, as far as there is room.
    async fn work_off(&mut self, input: &mut BytesMut) -> Result<Option<End>, Refusal> {
        loop {
            if self.is_full() {
                return Ok(None);
            }
            let Some(frame) = codec::frame(input, MAX_PACKET)? else {
                return Ok(None);
            };
            match codec::read(self.version, frame)? {
                Incoming::Publish(publish) => self.publish(publish).await?,
                Incoming::Subscribe { pkid, filters } => {
                    let granted: Vec<bool> = filters
                        .iter()
                        .map(|filter| self.identity.may_subscribe(filter))
                        .collect();
                    self.presence.speaks_for(self.identity.whose());
                    for (filter, _) in filters.iter().zip(&granted).filter(|(_, is)| **is) {
                        self.listens |= !filter.ends_with("/locks");
                        self.hears_locks |= !filter.ends_with("/receipt");
                    }
                    self.say(Outgoing::SubAck(pkid, granted));
                    self.send_receipts();
                }
                Incoming::Unsubscribe { pkid, filters } => {
                    self.listens = false;
                    self.hears_locks = false;
                    self.say(Outgoing::UnsubAck(pkid, filters.len()));
                }
                Incoming::Ping => self.say(Outgoing::Pong),
                Incoming::Disconnect { with_will } => return Ok(Some(End::Goodbye(with_will))),
                Incoming::Connect(_) | Incoming::Other => return Err(Refusal::Protocol),
            }
        }
    }

    /// Hands a message to the store; the answer comes after the commit.
    async fn publish(&mut self, publish: Publish) -> Result<(), Refusal> {
        if publish.qos > 1 {
            return Err(Refusal::QosNotSupported);
        }
        if publish.pkid != 0 {
            if self.unacknowledged >= usize::from(IN_FLIGHT) {
                return Err(Refusal::TooMany);
            }
            self.unacknowledged += 1;
        }
        self.identity.may_publish(&publish.topic)?;
        self.presence.speaks_for(self.identity.whose());
        let done = Some(Done {
            to: self.news.clone(),
            tag: u64::from(publish.pkid),
        });
        let judged = inbox::judge(
            &publish.topic,
            &publish.payload,
            clock::now(),
            self.door.limits,
        );
        let job = match judged {
            Judged::Letter(letter) => Job::Letter(letter, done),
            Judged::Dead(dead) => {
                self.complaints.about(&dead);
                Job::Dead(dead, done)
            }
            Judged::Nothing => {
                if publish.pkid != 0 {
                    self.unacknowledged -= 1;
                    self.say(Outgoing::PubAck(publish.pkid));
                }
                return Ok(());
            }
        };
        self.in_flight += 1;
        self.door
            .store
            .submit(job)
            .await
            .map_err(|_| Refusal::ShuttingDown)
    }

    /// Puts PUBACKs and receipts of everything that has been committed into `out`.
    fn answer(&mut self, committed: Committed) {
        let mut next = Some(committed);
        while let Some(committed) = next {
            self.in_flight = self.in_flight.saturating_sub(1);
            if let Ok(pkid @ 1..) = u16::try_from(committed.tag) {
                self.unacknowledged = self.unacknowledged.saturating_sub(1);
                self.say(Outgoing::PubAck(pkid));
            }
            if let Some((site, box_id, receipt)) = committed.receipt {
                self.receipts
                    .insert(receipt.outbox, (site, box_id, receipt));
            }
            self.locks = committed.locks.or(self.locks.take());
            next = self.committed.try_recv().ok();
        }
        self.send_receipts();
    }

    /// Somebody has locked evidence, or released a lock: of this box?
    async fn tell_locks(&mut self, changed: Result<Whose, RecvError>) {
        let mine = match (changed, self.identity.whose()) {
            (Ok(whose), Some(mine)) if whose == *mine => whose,
            // Too much to know whose it was: look.
            (Err(RecvError::Lagged(_)), Some(mine)) => mine.clone(),
            // Another box's; or the writer is gone, and the connection ends with it.
            _ => return,
        };
        match self.door.store.locks(mine.clone()).await {
            Ok(locks) => self.locks = Some((mine, locks)),
            Err(error) => {
                tracing::warn!(%error, "a box could not be told of locked evidence; it is when it comes back");
            }
        }
        self.send_receipts();
    }

    /// Receipts go as QoS 0: they are cumulative, and a box that missed one
    /// because the line went sends again and is receipted again.
    fn send_receipts(&mut self) {
        if self.hears_locks {
            self.send_locks();
        }
        if !self.listens {
            return;
        }
        for (site, box_id, receipt) in std::mem::take(&mut self.receipts).into_values() {
            match serde_json::to_vec(&receipt) {
                Ok(payload) => {
                    let topic = protocol::topic::receipt(&site, &box_id);
                    self.say(Outgoing::Publish(topic, payload));
                }
                Err(error) => tracing::error!(%error, "a receipt could not be written"),
            }
        }
    }

    /// As receipts go; the next word makes a lost one good.
    fn send_locks(&mut self) {
        let Some(((site, box_id), parts)) = self.locks.take() else {
            return;
        };
        for part in parts {
            match serde_json::to_vec(&part) {
                Ok(payload) => {
                    let topic = protocol::topic::locks(&site, &box_id);
                    self.say(Outgoing::Publish(topic, payload));
                }
                Err(error) => tracing::error!(%error, "locks could not be written"),
            }
        }
    }

    async fn flush<S: AsyncWrite + Unpin>(&mut self, socket: &mut S) -> std::io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let out = self.out.split();
        timeout(WRITE_WITHIN, async {
            socket.write_all(&out).await?;
            socket.flush().await
        })
        .await
        .map_err(|_| std::io::ErrorKind::TimedOut)?
    }

    /// Ends the connection: answers what is still being committed where that
    /// may reach the client, says why, and settles the will.
    async fn wind_up<S: AsyncWrite + Unpin>(mut self, socket: &mut S, end: End) {
        let until = Instant::now() + DRAIN_WITHIN;
        if matches!(end, End::Refused(Refusal::ShuttingDown) | End::Goodbye(_)) {
            while self.in_flight > 0 {
                match timeout_at(until, self.committed.recv()).await {
                    Ok(Some(committed)) => self.answer(committed),
                    Ok(None) | Err(_) => break,
                }
            }
        }
        let in_disorder = match end {
            End::Goodbye(with_will) => with_will,
            End::Lost => true,
            End::Refused(refusal) => {
                if refusal != Refusal::TakenOver && refusal != Refusal::ShuttingDown {
                    self.door.metrics.refused(refusal.as_str());
                    tracing::warn!(
                        security = refusal.as_str(),
                        whose = ?self.identity.whose().map(|(site, box_id)| format!("{site}/{box_id}")),
                        reason = refusal.as_str(),
                        "the front door ended a connection"
                    );
                }
                self.say(Outgoing::Disconnect(refusal));
                true
            }
        };
        if let Some((whose, connection)) = self.will.take() {
            let left = Job::Left {
                whose,
                connection,
                // A box that has come again is not gone, whatever the old line says.
                in_disorder: in_disorder && !self.presence.has_successor(),
            };
            // A store that takes nothing must not hold us: the will then stays
            // in the database and is carried out at the next start.
            let submitted = timeout(DRAIN_WITHIN, self.door.store.submit(left)).await;
            if !matches!(submitted, Ok(Ok(()))) {
                tracing::debug!("a will is left for the next start");
            }
        }
        let _told = self.flush(socket).await.is_ok();
        let _closed = timeout_at(until, socket.shutdown()).await.is_ok();
    }
}
