//! Takes messages from the broker and acknowledges them after their commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::{Receipt, topic};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Filter, Packet, Publish, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::callers::{Callers, Verdict};
use super::publisher::Receipts;
use super::{Backoff, Link};
use crate::clock;
use crate::health::Health;
use crate::inbox::{self, Complaints, Content, Judged, Letter, Limits};
use crate::metrics::Metrics;
use crate::stopping::Stopping;
use crate::store::{Committed, Done, Job, Store, StoreError};

/// How long the last commits and acknowledgements may take at the end.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Consumer {
    pub(super) link: Link,
    pub(super) store: Store,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Health,
    pub(super) limits: Limits,
    pub(super) receipts: Arc<Receipts>,
    pub(super) callers: Arc<Mutex<Callers>>,
}

impl Consumer {
    pub(super) async fn run(self, mut stopping: Stopping) {
        let mut backoff = Backoff::new();
        // Of this connection, and of earlier ones whose last commits are slow.
        let mut desks = JoinSet::new();
        while !stopping.is_said() {
            while desks.try_join_next().is_some() {}
            let (why, was_connected) = self.connection(&mut desks, stopping.clone()).await;
            let Some(why) = why else { return };
            if was_connected {
                backoff.reset();
            }
            let wait = backoff.next();
            let told = format!("broker {}: {why}", self.link.address);
            if self.health.broker_lost(told) {
                tracing::warn!(broker = %self.link.address, why, "no broker; trying again until it works");
            } else {
                tracing::debug!(broker = %self.link.address, why, "still no broker");
            }
            let _stop = timeout(wait, stopping.said()).await.is_ok();
        }
    }

    /// One connection, from first to last; why it ended (`None`: because we
    /// are stopping) and whether it ever worked.
    async fn connection(
        &self,
        desks: &mut JoinSet<()>,
        mut stopping: Stopping,
    ) -> (Option<String>, bool) {
        let (client, mut events) = AsyncClient::new(self.link.options("in"), 256);
        let (arrive, arrivals) = mpsc::unbounded_channel();
        let desk = Desk {
            client: client.clone(),
            store: self.store.clone(),
            limits: self.limits,
            receipts: Arc::clone(&self.receipts),
            complaints: Complaints::default(),
            callers: Arc::clone(&self.callers),
            metrics: Arc::clone(&self.metrics),
            waiting: HashMap::new(),
        };
        desks.spawn(desk.run(arrivals));
        let mut was_connected = false;
        let why = loop {
            let event = tokio::select! {
                event = events.poll() => event,
                () = stopping.said() => break None,
            };
            match event {
                Ok(Event::Incoming(Packet::ConnAck(ack))) => {
                    if ack.code != ConnectReturnCode::Success {
                        break Some(format!("it refuses us: {:?}", ack.code));
                    }
                    self.metrics.broker_connections.inc();
                    // The queue of a new client is empty, so this never waits.
                    if let Err(error) = client.try_subscribe_many(self.filters()) {
                        break Some(format!("cannot subscribe: {error}"));
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(ack))) => {
                    let is_granted = ack
                        .return_codes
                        .iter()
                        .all(|code| matches!(code, SubscribeReasonCode::Success(_)));
                    if !is_granted {
                        break Some(
                            "it refuses our subscriptions; allow this user to read ngatu/v1/# \
                             and to share it"
                                .to_owned(),
                        );
                    }
                    was_connected = true;
                    self.receipts.listening(true);
                    self.health.broker_works();
                    tracing::info!(broker = %self.link.address, "taking messages from the broker");
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    // Never waits: a broker has at most our Receive Maximum on the way.
                    if arrive.send(publish).is_err() {
                        break Some("the inbox is closed".to_owned());
                    }
                }
                Ok(Event::Incoming(Packet::Disconnect(bye))) => {
                    break Some(format!("it sent us away: {:?}", bye.reason_code));
                }
                Ok(_) => {}
                Err(error) => break Some(explain(&error)),
            }
        };
        drop(arrive);
        if why.is_none() {
            // The last receipts go out as well.
            leave(&mut events, desks, &client).await;
        } else {
            self.receipts.listening(false);
        }
        (why, was_connected)
    }

    fn filters(&self) -> [Filter; 2] {
        // Events are shared among the copies of the centre; a state is
        // retained, which a shared subscription does not get, and concerns all.
        let shared = format!("$share/{}/{}", self.link.group, topic::ALL_EVENTS);
        [
            Filter::new(shared, QoS::AtLeastOnce),
            Filter::new(topic::ALL_STATES, QoS::AtLeastOnce),
        ]
    }
}

/// Lets the last commits be acknowledged, then says good-bye.
async fn leave(events: &mut EventLoop, desks: &mut JoinSet<()>, client: &AsyncClient) {
    let farewell = async {
        loop {
            tokio::select! {
                // What comes now is not acknowledged; others will get it.
                event = events.poll() => if event.is_err() { return },
                ended = desks.join_next() => if ended.is_none() { break },
            }
        }
        if client.try_disconnect().is_ok() {
            while events.poll().await.is_ok() {}
        }
    };
    if timeout(DRAIN_WITHIN, farewell).await.is_err() {
        tracing::warn!(
            "the broker took too long to say good-bye; it will send some messages again"
        );
    }
}

/// Hands messages to the store and acknowledges them, apart from the loop.
struct Desk {
    client: AsyncClient,
    store: Store,
    limits: Limits,
    receipts: Arc<Receipts>,
    complaints: Complaints,
    callers: Arc<Mutex<Callers>>,
    metrics: Arc<Metrics>,
    waiting: HashMap<u64, Publish>,
}

impl Desk {
    /// Works until no more can arrive and everything is committed, also after
    /// the connection is gone: its receipts go out by the publisher.
    async fn run(mut self, mut arrivals: mpsc::UnboundedReceiver<Publish>) {
        let (news, mut committed) = mpsc::unbounded_channel();
        let mut last_tag = 0;
        let mut is_open = true;
        while is_open || !self.waiting.is_empty() {
            tokio::select! {
                biased;
                Some(committed) = committed.recv() => self.answer(committed).await,
                arrival = arrivals.recv(), if is_open => match arrival {
                    Some(publish) => {
                        last_tag += 1;
                        let done = Done { to: news.clone(), tag: last_tag };
                        if self.take(publish, done).await.is_err() {
                            return;
                        }
                    }
                    None => is_open = false,
                },
            }
        }
    }

    /// Hands one message to the store; an error when that is closed.
    async fn take(&mut self, publish: Publish, done: Done) -> Result<(), StoreError> {
        let topic = String::from_utf8_lossy(&publish.topic).into_owned();
        let tag = done.tag;
        let job = match inbox::judge(&topic, &publish.payload, clock::now(), self.limits) {
            // What the broker has kept may be of an agent that is no more.
            Judged::Letter(letter) if !publish.retain && self.is_second(&letter) => {
                self.acknowledge(&publish).await;
                return Ok(());
            }
            Judged::Letter(letter) => Job::Letter(letter, Some(done)),
            Judged::Dead(dead) => {
                self.complaints.about(&dead);
                Job::Dead(dead, Some(done))
            }
            Judged::Nothing => {
                self.acknowledge(&publish).await;
                return Ok(());
            }
        };
        self.waiting.insert(tag, publish);
        self.store.submit(job).await
    }

    /// Whether a letter is of a second agent with the id of a box that is heard.
    /// It is then told so, and keeps what it has.
    fn is_second(&self, letter: &Letter) -> bool {
        let whose = (letter.site.clone(), letter.box_id.clone());
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        let outbox = match (&letter.content, &letter.delivery) {
            // A goodbye, or a last will, which is the broker's word, not the agent's.
            (Content::Box(status), _) if !status.online => {
                if let Some(position) = status.outbox {
                    callers.leave(&whose, position.id, position.run);
                }
                return false;
            }
            (Content::Box(status), _) => status
                .outbox
                .map(|position| (position.id, Some(position.run))),
            (_, delivery) => delivery.map(|delivery| (delivery.outbox, None)),
        };
        let Some((outbox, run)) = outbox else {
            return false;
        };
        let verdict = callers.hear(&whose, outbox, run, Instant::now());
        drop(callers);
        let Verdict::Refuse { speaks, tell } = verdict else {
            return false;
        };
        self.metrics.second_agent_messages.inc();
        if tell {
            tracing::warn!(
                security = "second_agent",
                site = %letter.site,
                r#box = %letter.box_id,
                refused = %outbox,
                %speaks,
                "two agents have the id of one box; the messages of the second are not taken. \
                 Give each box an id of its own, or stop one of the two"
            );
            let refusal = Receipt {
                outbox,
                through: 0,
                at: clock::now(),
                refused_for: Some(speaks),
                opening: None,
            };
            self.receipts.put(whose.0, whose.1, refusal);
        }
        true
    }

    /// Passes on what a commit promises.
    async fn answer(&mut self, committed: Committed) {
        if let Some((site, box_id, receipt)) = committed.receipt {
            self.receipts.put(site, box_id, receipt);
        }
        if let Some((whose, locks)) = committed.locks {
            self.receipts.put_locks(whose, locks);
        }
        if let Some(publish) = self.waiting.remove(&committed.tag) {
            self.acknowledge(&publish).await;
        }
    }

    /// Acknowledges a message. Where the connection is gone the broker will
    /// send it again, and it will be a duplicate.
    async fn acknowledge(&self, publish: &Publish) {
        if self.client.ack(publish).await.is_err() {
            tracing::trace!("an acknowledgement was too late");
        }
    }
}

/// What an operator can do about an error of the connection.
fn explain(error: &ConnectionError) -> String {
    match error {
        ConnectionError::Io(io) => format!("{io}; is it running, and is the address right?"),
        ConnectionError::Timeout(_) => "no answer in time; is a firewall in between?".to_owned(),
        ConnectionError::Tls(tls) if crate::tls::is_of_old_tls(tls) => format!(
            "TLS: {tls}; it does not take TLS 1.3: bring it up to date, or set broker.allow_tls12"
        ),
        ConnectionError::Tls(tls) => {
            format!(
                "TLS: {tls}; do broker.ca_file and the name in the address fit its certificate?"
            )
        }
        ConnectionError::ConnectionRefused(code) => {
            format!("it refuses us: {code:?}; look at broker.user and broker.password_file")
        }
        other => other.to_string(),
    }
}
