//! The life of one connection: subscribe, say that we are here, send what the
//! outbox holds, take receipts.
//!
//! Two halves run side by side and never wait for each other: [`receive`] does
//! nothing but poll the client and leave what it got in an [`Exchange`];
//! [`send`] does the rest, with every touch of the disk on a blocking thread.
//! The first half that ends, ends the connection.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use protocol::status::BoxStatus;
use protocol::{EventTime, EvidenceLocks, LockPart, Receipt, topic};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::connection::{Busy, Client, Events, Failure, Happening, Retained};
use crate::locks::WordOfLocks;
use crate::outbox::{OutboxError, Outgoing, ReceiptOutcome};
use crate::shorten::shorten;
use crate::signals::SignalMessage;
use crate::uplink::Shared;
use crate::window::Window;
use crate::{clock, envelope};

/// Around topic and payload of a packet: header, lengths, packet id; generously.
const PACKET_BYTES: usize = 64;
/// Messages read from the disk at a time.
const BATCH: u64 = 64;
/// Outboxes whose receipts are remembered at a time: ours, and those this box had before.
const OUTBOXES: usize = 16;
/// How often the box's trouble is asked for.
const TROUBLE: Duration = Duration::from_secs(1);
/// How long a broker keeps a camera's state, seconds: one that is not renewed
/// says nothing any more. Events and the box's own state never expire.
const TELEMETRY_S: u32 = 24 * 3600;
/// An acknowledgement that takes longer means that the line is full.
const SLOW: Duration = Duration::from_secs(1);
/// How often time-outs are looked at when nothing happens.
const TICK: Duration = Duration::from_millis(200);

/// What one half leaves for the other.
pub(crate) struct Exchange {
    progress: Notify,
    connected: AtomicBool,
    /// Largest packet that the broker takes; 0 when it did not say.
    largest: AtomicU64,
    acknowledged: AtomicU64,
    receipts: Mutex<Vec<Receipt>>,
    locks: Mutex<WordOfLocks>,
}

impl Exchange {
    pub(crate) fn new() -> Self {
        Self {
            progress: Notify::new(),
            connected: AtomicBool::new(false),
            largest: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            receipts: Mutex::new(Vec::new()),
            locks: Mutex::default(),
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::SeqCst)
    }

    /// Only the newest receipt of an outbox matters: it speaks for all before it.
    fn leave_receipt(&self, receipt: Receipt) {
        let mut waiting = self.receipts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = waiting.iter_mut().find(|r| r.outbox == receipt.outbox) {
            if old.through <= receipt.through {
                *old = receipt;
            }
        } else if waiting.len() < OUTBOXES {
            waiting.push(receipt);
        }
    }

    /// `false` when there can be no such part of a word.
    fn leave_locks(&self, locks: EvidenceLocks) -> bool {
        let mut waiting = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take_part(locks, clock::now())
    }

    fn take_locks(&self) -> Option<EvidenceLocks> {
        self.locks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn take_receipts(&self) -> Vec<Receipt> {
        std::mem::take(&mut *self.receipts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Polls the client until it fails.
pub(crate) async fn receive(events: &mut Events, exchange: &Exchange, shared: &Shared) -> Failure {
    let receipts = topic::receipt(&shared.settings.site, &shared.settings.box_id);
    let locks = topic::locks(&shared.settings.site, &shared.settings.box_id);
    let mut own_subscription = true;
    loop {
        match events.next().await {
            Err(failure) => return failure,
            Ok(Happening::Connected { largest }) => {
                exchange
                    .largest
                    .store(u64::from(largest.unwrap_or(0)), Ordering::SeqCst);
                exchange.connected.store(true, Ordering::SeqCst);
            }
            Ok(Happening::Acknowledged) => {
                exchange.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Happening::NotTaken { reason }) => {
                exchange.acknowledged.fetch_add(1, Ordering::SeqCst);
                shared.note(format!(
                    "the broker does not pass on what this box publishes ({reason}); allow it `ngatu/v1/{}/{}/#`",
                    shared.settings.site, shared.settings.box_id
                ));
            }
            Ok(Happening::Subscribed { granted }) => {
                if std::mem::take(&mut own_subscription) && granted.contains(&false) {
                    shared.note(format!(
                        "the broker refuses the subscription to {receipts}; allow it, or nothing is ever receipted"
                    ));
                } else if granted.contains(&false) {
                    shared.note(
                        "the broker refuses the subscription to a signal topic; allow it to this box"
                            .to_owned(),
                    );
                }
            }
            Ok(Happening::Message {
                topic,
                is_retained: true,
                ..
            }) if topic == receipts || topic == locks => {
                // The centre retains none: it is an old one, or somebody's trick.
                shared.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    security = "retained_receipt",
                    topic,
                    "a message of the centre that the broker had kept is not believed; clear the topic, and look who may write to it"
                );
            }
            Ok(Happening::Message { topic, payload, .. }) if topic == receipts => {
                match serde_json::from_slice::<Receipt>(&payload) {
                    Ok(receipt) => exchange.leave_receipt(receipt),
                    Err(error) => {
                        shared.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!(%error, bytes = payload.len(), "a receipt cannot be read; ignored");
                    }
                }
            }
            Ok(Happening::Message { topic, payload, .. }) if topic == locks => {
                match serde_json::from_slice::<EvidenceLocks>(&payload) {
                    Ok(locks) => {
                        let LockPart { number, of } = locks.part;
                        if !exchange.leave_locks(locks) {
                            shared.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                            tracing::warn!(
                                number,
                                of,
                                "a part of the centre's word of locked evidence has an impossible number; ignored, compare the versions of agent and centre"
                            );
                        }
                    }
                    Err(error) => {
                        shared.counters.unreadable.fetch_add(1, Ordering::Relaxed);
                        tracing::warn!(%error, bytes = payload.len(), "the centre's word of locked evidence cannot be read; ignored");
                    }
                }
            }
            Ok(Happening::Message {
                topic,
                payload,
                is_retained,
            }) => shared.signals.message(SignalMessage {
                topic,
                payload,
                is_retained,
            }),
            Ok(Happening::Other) => continue,
        }
        exchange.progress.notify_one();
    }
}

/// Sends until the connection is found dead or the uplink stops.
pub(crate) async fn send(client: &Client, exchange: &Exchange, shared: &Arc<Shared>) -> Failure {
    while !exchange.is_connected() {
        exchange.progress.notified().await;
    }
    let mut sender = Sender {
        client,
        exchange,
        shared,
        published: 0,
        seen_acknowledged: 0,
        counts: Uuid::nil(),
        alive: Instant::now(),
        opening: None,
    };
    match sender.run().await {
        Ok(()) => Failure::passing("stopped"),
        Err(failure) => failure,
    }
}

struct Sender<'a> {
    client: &'a Client,
    exchange: &'a Exchange,
    shared: &'a Arc<Shared>,
    /// Publishes handed to the client in this connection.
    published: u64,
    seen_acknowledged: u64,
    /// The outbox whose sequences the window counts.
    counts: Uuid,
    /// When the broker last acknowledged something, or there was nothing to acknowledge.
    alive: Instant,
    /// Which opening of the centre's database was heard last in this connection.
    opening: Option<Uuid>,
}

impl Sender<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let shared = self.shared;
        let settings = &shared.settings;
        let since = clock::now();
        // Receipts and locks: all that the centre says to this box.
        self.subscribe(&topic::all_down(&settings.site, &settings.box_id))
            .await?;
        for signal in &settings.signal_topics {
            self.subscribe(signal).await?;
        }
        let mut said = self.box_status(true, since).await?;
        let mut said_at = Instant::now();
        self.publish_box(&said).await?;
        shared.connected(since, self.largest());

        let mut window = self.fresh_window().await?;
        let mut statuses_sent = std::collections::BTreeMap::new();
        loop {
            for receipt in self.exchange.take_receipts() {
                self.take_receipt(receipt, &mut window).await?;
            }
            if let Some(locks) = self.exchange.take_locks() {
                self.take_locks(locks).await;
            }
            for (camera, version, status) in shared.newer_statuses(&statuses_sent) {
                let topic = topic::camera_state(&status.site, &status.box_id, &status.camera);
                let payload = json(&envelope::of_camera_status(&status, clock::now()))?;
                self.publish_state(&topic, Some(TELEMETRY_S), &payload)
                    .await?;
                statuses_sent.insert(camera, version);
            }
            if said_at.elapsed() > TROUBLE {
                said_at = Instant::now();
                let owed = shared.outbox.clone();
                if let Err(failure) = on_disk(move || owed.hear_of_owed_opening()).await {
                    shared.note(failure.reason);
                }
                let status = self.box_status(true, since).await?;
                let outbox = |status: &BoxStatus| status.outbox.map(|position| position.id);
                if status.trouble != said.trouble || outbox(&status) != outbox(&said) {
                    self.publish_box(&status).await?;
                    said = status;
                }
                // Also where the window is full of messages of the file before.
                if outbox(&said).is_some_and(|id| id != self.counts) {
                    self.count_anew(&mut window).await?;
                }
            }
            if let Some(waited) = window.rewind_if_overdue(Instant::now()) {
                shared.counters.rewinds.fetch_add(1, Ordering::Relaxed);
                // After a broker's restart the centre may be some seconds later than we.
                if waited >= settings.pace.receipt {
                    shared.note(
                        "the broker takes messages but no receipt comes from the centre; check that the centre runs and is connected to the same broker"
                            .to_owned(),
                    );
                }
            }
            let sent_some = self.send_batch(&mut window).await?;
            if shared.is_draining() {
                let shared = Arc::clone(shared);
                let is_idle = window.is_idle();
                if on_disk(move || Ok(shared.is_drained(is_idle))).await? {
                    return self.say_goodbye(since).await;
                }
            }
            if !sent_some {
                self.rest().await?;
            }
        }
    }

    async fn fresh_window(&mut self) -> Result<Window, Failure> {
        let outbox = self.shared.outbox.clone();
        let (id, floor) = on_disk(move || outbox.floor()).await?;
        self.counts = id;
        let pace = &self.shared.settings.pace;
        Ok(Window::new(
            floor,
            pace.window,
            pace.receipt,
            Instant::now(),
        ))
    }

    /// The outbox has another file or other sequences: what was counted is of no use.
    /// A centre that was heard listens still.
    async fn count_anew(&mut self, window: &mut Window) -> Result<(), Failure> {
        let counters = &self.shared.counters;
        counters.receipted_through.store(0, Ordering::Relaxed);
        let is_heard = window.is_heard();
        *window = self.fresh_window().await?;
        if is_heard {
            window.heard(Instant::now());
        }
        Ok(())
    }

    async fn take_receipt(&mut self, receipt: Receipt, window: &mut Window) -> Result<(), Failure> {
        let counters = &self.shared.counters;
        counters.receipts.fetch_add(1, Ordering::Relaxed);
        let outbox = self.shared.outbox.clone();
        match on_disk(move || outbox.take_receipt(&receipt)).await {
            Ok(ReceiptOutcome::Taken { through, .. }) => {
                let now = Instant::now();
                window.receipted(through, now);
                window.heard(now);
                let before = std::mem::replace(&mut self.opening, receipt.opening);
                if before.is_some() && before != receipt.opening {
                    // Behind a broker: what went out while it was away nobody heard.
                    window.begin_again(now);
                }
                counters.receipted_through.store(through, Ordering::Relaxed);
                self.shared.receipts_came();
            }
            Ok(ReceiptOutcome::Stranger) => {
                counters.stranger_receipts.fetch_add(1, Ordering::Relaxed);
                tracing::info!(security = "receipt_of_a_stranger", outbox = %receipt.outbox, "receipt for another outbox of this box; ignored");
            }
            Ok(ReceiptOutcome::NotSent | ReceiptOutcome::Stale) => {}
            Ok(ReceiptOutcome::SecondAgent(other)) => shared_agent(self.shared, other),
            Ok(ReceiptOutcome::WentBack { .. }) => {
                let through = receipt.through;
                counters.receipted_through.store(through, Ordering::Relaxed);
                *window = self.fresh_window().await?;
                window.heard(Instant::now());
            }
            Ok(ReceiptOutcome::Renumbered) => {
                window.heard(Instant::now());
                self.count_anew(window).await?;
            }
            // For example a full disk that cannot even delete: the next receipt says the same again.
            Err(failure) => self.shared.note(failure.reason),
        }
        Ok(())
    }

    async fn take_locks(&self, locks: EvidenceLocks) {
        let outbox = self.shared.outbox.clone();
        let events = locks.locked.len();
        match on_disk(move || outbox.take_locks(&locks)).await {
            Ok(true) => tracing::info!(events, "the centre says whose evidence is locked"),
            Ok(false) => tracing::warn!(
                events,
                "a word of locks that is not newer than the last; ignored"
            ),
            // It counts all the same, and is written once the disk takes it.
            Err(failure) => self.shared.note(format!(
                "which evidence the centre has locked is not on the disk yet: {}",
                failure.reason
            )),
        }
    }

    /// Sends what the window has room for; whether there was something.
    async fn send_batch(&mut self, window: &mut Window) -> Result<bool, Failure> {
        let (first, room) = window.room();
        if room == 0 {
            return Ok(false);
        }
        let outbox = self.shared.outbox.clone();
        let limit = usize::try_from(room.min(BATCH)).unwrap_or(usize::MAX);
        let batch = match on_disk(move || outbox.batch(first, limit)).await {
            Ok(batch) => batch,
            Err(failure) => {
                self.shared.note(failure.reason);
                return Ok(false);
            }
        };
        if batch.outbox() != self.counts {
            // A damaged file was replaced meanwhile, and its sequences begin anew.
            self.count_anew(window).await?;
            return Ok(true);
        }
        let mut sent_some = false;
        for message in batch.into_messages() {
            let sequence = match message {
                Ok(message) => {
                    let sequence = message.sequence;
                    if !self.send_message(message).await? {
                        self.pass_over(sequence, window).await?;
                    }
                    sequence
                }
                Err((sequence, error)) => {
                    self.shared.note(format!(
                        "message {sequence} of the outbox cannot be read: {error}; check the disk"
                    ));
                    self.pass_over(sequence, window).await?;
                    sequence
                }
            };
            let counters = &self.shared.counters;
            counters.sent.fetch_add(1, Ordering::Relaxed);
            if window.sent(sequence, Instant::now()) {
                counters.resent.fetch_add(1, Ordering::Relaxed);
            }
            self.shared.outbox.mark_sent(sequence);
            sent_some = true;
        }
        Ok(sent_some)
    }

    /// Sends a message, with less in it if the broker does not take it whole;
    /// `false` when it takes it in no form.
    async fn send_message(&mut self, message: Outgoing) -> Result<bool, Failure> {
        let Outgoing {
            sequence,
            topic,
            payload,
        } = message;
        let room = self.room(&topic);
        if payload.len() <= room {
            self.publish(&topic, Retained::No, &payload).await?;
            return Ok(true);
        }
        let (needed, largest) = (payload.len() + PACKET_BYTES + topic.len(), self.largest());
        let Some(short) = shorten(&payload, room) else {
            self.shared.too_large(sequence, needed, largest);
            return Ok(false);
        };
        if self.shared.shortened(sequence, needed, largest) {
            let outbox = self.shared.outbox.clone();
            if let Err(failure) = on_disk(move || outbox.keep_whole(sequence)).await {
                tracing::warn!(
                    sequence,
                    reason = failure.reason,
                    "the whole message is not kept"
                );
            }
        }
        self.publish(&topic, Retained::No, &short).await?;
        Ok(true)
    }

    /// A message that cannot be sent: out of the way when it is the lowest,
    /// until then it is come back to like one that got lost.
    async fn pass_over(&self, sequence: u64, window: &mut Window) -> Result<(), Failure> {
        let outbox = self.shared.outbox.clone();
        if on_disk(move || outbox.set_aside(sequence)).await? {
            window.receipted(sequence, Instant::now());
        }
        Ok(())
    }

    /// Largest packet that the broker takes.
    fn largest(&self) -> usize {
        match self.exchange.largest.load(Ordering::SeqCst) {
            0 => usize::MAX,
            largest => usize::try_from(largest).unwrap_or(usize::MAX),
        }
    }

    /// Room for a payload on this topic; with more the client would end the connection.
    fn room(&self, topic: &str) -> usize {
        self.largest().saturating_sub(topic.len() + PACKET_BYTES)
    }

    /// Publishes a state. One that the broker does not take is not worth the connection.
    async fn publish_state(
        &mut self,
        topic: &str,
        expiry: Option<u32>,
        payload: &[u8],
    ) -> Result<(), Failure> {
        if payload.len() > self.room(topic) {
            tracing::warn!(
                topic,
                bytes = payload.len(),
                limit = self.largest(),
                "a state is larger than the broker takes and is not published; raise its limit (mosquitto: `max_packet_size`)"
            );
            return Ok(());
        }
        let retained = Retained::Yes { expiry_s: expiry };
        self.publish(topic, retained, payload).await
    }

    async fn publish(
        &mut self,
        topic: &str,
        retained: Retained,
        payload: &[u8],
    ) -> Result<(), Failure> {
        while let Err(Busy) = self.client.publish(topic, retained, payload) {
            self.rest().await?;
        }
        if self.published == self.exchange.acknowledged.load(Ordering::SeqCst) {
            self.alive = Instant::now();
        }
        self.published += 1;
        Ok(())
    }

    async fn subscribe(&mut self, topic: &str) -> Result<(), Failure> {
        while let Err(Busy) = self.client.subscribe(topic) {
            self.rest().await?;
        }
        Ok(())
    }

    async fn box_status(&self, online: bool, since: EventTime) -> Result<BoxStatus, Failure> {
        let shared = Arc::clone(self.shared);
        on_disk(move || Ok(shared.box_status(online, since))).await
    }

    async fn publish_box(&mut self, status: &BoxStatus) -> Result<(), Failure> {
        let topic = topic::box_state(&status.site, &status.box_id);
        let payload = json(&envelope::of_box_status(status, clock::now()))?;
        // Never expires: that a box is gone must be known however long it is gone.
        self.publish_state(&topic, None, &payload).await
    }

    /// Says that we are gone on purpose; the broker then drops the last will.
    async fn say_goodbye(&mut self, since: EventTime) -> Result<(), Failure> {
        let status = self.box_status(false, since).await?;
        self.publish_box(&status).await?;
        let deadline = Instant::now() + Duration::from_secs(2);
        while self.exchange.acknowledged.load(Ordering::SeqCst) < self.published
            && Instant::now() < deadline
        {
            self.rest().await?;
        }
        if self.client.disconnect().is_ok() {
            // The receiving half ends when the broker closes; do not wait for a dead one.
            tokio::time::sleep(TICK).await;
        }
        Ok(())
    }

    /// Waits for something to do, and finds out whether the connection still lives.
    async fn rest(&mut self) -> Result<(), Failure> {
        tokio::select! {
            () = self.exchange.progress.notified() => {}
            () = self.shared.outbox.appended() => {}
            () = self.shared.nudged() => {}
            () = tokio::time::sleep(TICK) => {}
        }
        let acknowledged = self.exchange.acknowledged.load(Ordering::SeqCst);
        if acknowledged != self.seen_acknowledged || acknowledged >= self.published {
            self.seen_acknowledged = acknowledged;
            self.alive = Instant::now();
            self.shared.set_slow(false);
            return Ok(());
        }
        self.shared.set_slow(self.alive.elapsed() > SLOW);
        if self.alive.elapsed() > self.shared.settings.pace.acknowledgement {
            self.shared
                .counters
                .watchdog
                .fetch_add(1, Ordering::Relaxed);
            return Err(Failure::passing(format!(
                "no acknowledgement for {} s although {} are due; connecting anew",
                self.shared.settings.pace.acknowledgement.as_secs(),
                self.published - acknowledged
            )));
        }
        Ok(())
    }
}

/// Says that the centre refuses this agent for another one.
fn shared_agent(shared: &Shared, other: Uuid) {
    shared.note(format!(
        "the centre takes nothing from this agent, because another one has this box's id (its outbox is {other}); give each box its own `box` id, or stop the other one"
    ));
}

fn json<T: serde::Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value)
        .map_err(|e| Failure::passing(format!("a status cannot be written: {e}")))
}

/// Runs `work` where waiting for a disk keeps nobody else waiting.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OutboxError> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|e| Failure::passing(e.to_string())),
        Err(error) => Err(Failure::passing(format!("the disk worker failed: {error}"))),
    }
}
