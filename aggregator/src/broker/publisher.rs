//! Sends receipts over the broker.
//!
//! Receipts are cumulative, so of each outbox only the newest waits: however
//! long the broker is away, no more wait than there are outboxes. One that gets
//! lost is made again when its box sends again.
//!
//! A box takes a receipt for a sign that the centre listens, and sends. So none goes
//! while the consumer is not subscribed: what the box sends then is lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::{BoxId, EvidenceLocks, Receipt, SiteId, topic};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event};
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Backoff, Link};
use crate::stopping::Stopping;
use crate::store::{Store, Whose};

/// How long the last receipts may take at the end.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// Receipts that wait to be sent.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    waiting: Mutex<BTreeMap<(SiteId, BoxId, Uuid), Receipt>>,
    /// In parts, the next one last.
    locks: Mutex<BTreeMap<Whose, Vec<EvidenceLocks>>>,
    /// The consumer is subscribed.
    is_listening: AtomicBool,
    bell: Notify,
}

impl Receipts {
    /// Leaves a receipt to be sent; an older one of the same outbox is forgotten.
    pub(super) fn put(&self, site: SiteId, box_id: BoxId, receipt: Receipt) {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((site, box_id, receipt.outbox), receipt);
        self.bell.notify_one();
    }

    /// Says whether the consumer is subscribed.
    pub(super) fn listening(&self, is_listening: bool) {
        self.is_listening.store(is_listening, Ordering::SeqCst);
        self.bell.notify_one();
    }

    /// Leaves word of a box's locked evidence; an older one is forgotten.
    pub(super) fn put_locks(&self, whose: Whose, mut locks: Vec<EvidenceLocks>) {
        locks.reverse();
        self.locks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(whose, locks);
        self.bell.notify_one();
    }

    fn take_locks(&self) -> Option<(Whose, EvidenceLocks)> {
        let mut waiting = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        let mut first = waiting.first_entry()?;
        let whose = first.key().clone();
        let part = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        Some((whose, part?))
    }

    /// The next to send: where to, and what.
    fn next(&self) -> Option<(String, serde_json::Result<Vec<u8>>)> {
        if !self.is_listening.load(Ordering::SeqCst) {
            return None;
        }
        if let Some(((site, box_id), receipt)) = self.take() {
            return Some((topic::receipt(&site, &box_id), serde_json::to_vec(&receipt)));
        }
        let ((site, box_id), locks) = self.take_locks()?;
        Some((topic::locks(&site, &box_id), serde_json::to_vec(&locks)))
    }

    fn take(&self) -> Option<((SiteId, BoxId), Receipt)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let ((site, box_id, _), receipt) = waiting.pop_first()?;
        Some(((site, box_id), receipt))
    }

    fn is_empty(&self) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.is_empty() && locks.is_empty()
    }
}

/// Leaves word of every lock that is set or released, until `stopping` turns true.
pub(super) async fn tell_locks(store: Store, receipts: Arc<Receipts>, mut stopping: Stopping) {
    let mut news = store.watch_locks();
    loop {
        let changed = tokio::select! {
            changed = news.recv() => changed,
            () = stopping.said() => return,
        };
        let whose = match changed {
            Ok(whose) => whose,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(
                    missed,
                    "boxes are not told of changed locks until they come back"
                );
                continue;
            }
            Err(RecvError::Closed) => return stopping.said().await,
        };
        match store.locks(whose.clone()).await {
            Ok(locks) => receipts.put_locks(whose, locks),
            Err(error) => {
                tracing::warn!(%error, "a box could not be told of locked evidence; it is when it comes back");
            }
        }
    }
}

/// Sends until `stopping` turns true, then what still waits.
pub(super) async fn run(link: Link, receipts: Arc<Receipts>, mut stopping: Stopping) {
    let mut backoff = Backoff::new();
    while !stopping.is_said() {
        if connection(&link, &receipts, stopping.clone()).await {
            backoff.reset();
        }
        let wait = backoff.next();
        let _stop = timeout(wait, stopping.said()).await.is_ok();
    }
}

/// One connection; whether it ever worked.
async fn connection(link: &Link, receipts: &Arc<Receipts>, mut stopping: Stopping) -> bool {
    let (client, mut events) = AsyncClient::new(link.options("out"), 64);
    let mut was_connected = false;
    let mut sender = None;
    let mut unanswered = 0_usize;
    loop {
        let event = tokio::select! {
            event = events.poll() => event,
            () = stopping.said() => break,
        };
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                was_connected = true;
                let (receipts, client) = (Arc::clone(receipts), client.clone());
                sender = Some(Abort(tokio::spawn(send(receipts, client))));
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => unanswered = unanswered.saturating_sub(1),
            Ok(Event::Outgoing(rumqttc::Outgoing::Publish(_))) => unanswered += 1,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "receipts wait for the broker");
                return was_connected;
            }
        }
    }
    let farewell = async {
        // The consumer commits its last messages meanwhile.
        let mut look = tokio::time::interval(Duration::from_millis(50));
        let mut quiet = 0;
        while quiet < 10 {
            tokio::select! {
                event = events.poll() => match event {
                    Ok(Event::Incoming(Packet::PubAck(_))) => unanswered = unanswered.saturating_sub(1),
                    Ok(Event::Outgoing(rumqttc::Outgoing::Publish(_))) => unanswered += 1,
                    Ok(_) => {}
                    Err(_) => return,
                },
                _ = look.tick() => {
                    quiet = if receipts.is_empty() && unanswered == 0 { quiet + 1 } else { 0 };
                }
            }
        }
        if client.try_disconnect().is_ok() {
            while events.poll().await.is_ok() {}
        }
    };
    if was_connected && timeout(DRAIN_WITHIN, farewell).await.is_err() {
        tracing::warn!("the last receipts could not be sent; their boxes send again and get them");
    }
    drop(sender);
    was_connected
}

/// Feeds the client; waits for it, which the loop must not.
async fn send(receipts: Arc<Receipts>, client: AsyncClient) {
    loop {
        while let Some((topic, payload)) = receipts.next() {
            let payload = match payload {
                Ok(payload) => payload,
                Err(error) => {
                    tracing::error!(%error, topic, "a message to a box could not be written");
                    continue;
                }
            };
            if client
                .publish(topic, QoS::AtLeastOnce, false, payload)
                .await
                .is_err()
            {
                return;
            }
        }
        receipts.bell.notified().await;
    }
}

/// Ends a task when dropped.
struct Abort(tokio::task::JoinHandle<()>);

impl Drop for Abort {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::EventTime;

    fn receipt_through(through: u64) -> Receipt {
        Receipt {
            outbox: Uuid::nil(),
            through,
            at: EventTime::EPOCH,
            refused_for: None,
            opening: None,
        }
    }

    #[test]
    fn of_an_outbox_the_newest_receipt_waits_until_the_centre_listens() {
        let receipts = Receipts::default();
        let (site, box_id) = (SiteId::new("s").unwrap(), BoxId::new("b").unwrap());
        for through in 1..=3 {
            receipts.put(site.clone(), box_id.clone(), receipt_through(through));
        }
        assert!(receipts.next().is_none(), "nobody listens yet");
        receipts.listening(true);
        assert!(
            receipts
                .next()
                .is_some_and(|(topic, _)| topic.ends_with("/down/receipt"))
        );
        assert!(receipts.next().is_none(), "of each outbox the newest");
        receipts.put(site.clone(), box_id.clone(), receipt_through(4));
        receipts.listening(false);
        assert!(receipts.next().is_none());
        assert_eq!(receipts.take().unwrap().1.through, 4);
    }
}
