//! A centre that keeps what arrives and receipts it as the real one does: up
//! to where it has everything, counted per outbox from the sender's floor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::envelope::Delivery;
use protocol::topic::{ALL_EVENTS, ALL_STATES, Upward};
use protocol::{Envelope, EventTime, Receipt, topic};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{Client, Event, MqttOptions};
use uuid::Uuid;

#[derive(Default)]
pub(crate) struct Received {
    /// Envelope id → how often it came.
    pub(crate) messages: BTreeMap<String, u32>,
    /// Envelope id → the whole message.
    pub(crate) bodies: BTreeMap<String, serde_json::Value>,
    /// Topic → the last state.
    pub(crate) states: BTreeMap<String, serde_json::Value>,
    sequences: BTreeMap<Uuid, BTreeSet<u64>>,
    floors: BTreeMap<Uuid, u64>,
    pub(crate) connections: u32,
}

pub(crate) struct Centre {
    pub(crate) received: Arc<Mutex<Received>>,
    pub(crate) receipts: Arc<AtomicBool>,
    client: Client,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Centre {
    pub(crate) fn on(port: u16) -> Self {
        let centre = Self::on_later(port);
        let received = Arc::clone(&centre.received);
        crate::until("the centre is subscribed", || {
            received.lock().unwrap().connections > 0
        });
        centre
    }

    /// The broker need not be there yet.
    pub(crate) fn on_later(port: u16) -> Self {
        let mut options = MqttOptions::new(format!("centre-{port}"), "127.0.0.1", port);
        options.set_keep_alive(Duration::from_secs(5));
        options.set_max_packet_size(Some(1 << 20));
        let (client, mut connection) = Client::new(options, 10_000);
        let received = Arc::new(Mutex::new(Received::default()));
        let receipts = Arc::new(AtomicBool::new(true));
        let over = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (client, received) = (client.clone(), Arc::clone(&received));
            let (receipts, over) = (Arc::clone(&receipts), Arc::clone(&over));
            move || {
                for event in connection.iter() {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    match event {
                        Ok(Event::Incoming(Packet::ConnAck(_))) => {
                            for filter in [ALL_EVENTS, ALL_STATES] {
                                client.try_subscribe(filter, QoS::AtLeastOnce).unwrap();
                            }
                        }
                        Ok(Event::Incoming(Packet::SubAck(_))) => {
                            received.lock().unwrap().connections += 1;
                        }
                        Ok(Event::Incoming(Packet::Publish(publish))) => {
                            let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
                            let receipt = received.lock().unwrap().take(&topic, &publish.payload);
                            if let Some(receipt) = receipt
                                && receipts.load(Ordering::SeqCst)
                            {
                                publish_receipt(&client, &receipt);
                            }
                        }
                        Ok(_) => {}
                        Err(_) => std::thread::sleep(Duration::from_millis(20)),
                    }
                }
            }
        });
        Self {
            received,
            receipts,
            client,
            over,
            thread: Some(thread),
        }
    }

    /// How many of the first `count` samples have arrived.
    pub(crate) fn has(&self, count: u64) -> u64 {
        let received = self.received.lock().unwrap();
        (1..=count)
            .filter(|n| {
                received
                    .messages
                    .contains_key(&crate::samples::envelope_id(*n))
            })
            .count() as u64
    }

    /// Whether a state with this at this JSON pointer was the last one on `topic`.
    pub(crate) fn state_is(&self, topic: &str, pointer: &str, value: &serde_json::Value) -> bool {
        let received = self.received.lock().unwrap();
        let state = received.states.get(topic);
        state.and_then(|s| s.pointer(pointer)) == Some(value)
    }

    /// Forgets the states, to see them come again.
    pub(crate) fn forget_states(&self) {
        self.received.lock().unwrap().states.clear();
    }

    /// Publishes anything.
    pub(crate) fn publish(&self, topic: &str, payload: &[u8]) {
        self.client
            .publish(topic, QoS::AtLeastOnce, false, payload.to_vec())
            .unwrap();
    }

    /// Publishes something that the broker is to keep.
    pub(crate) fn publish_retained(&self, topic: &str, payload: &[u8]) {
        self.client
            .publish(topic, QoS::AtLeastOnce, true, payload.to_vec())
            .unwrap();
    }

    pub(crate) fn send_receipt(&self, receipt: &Receipt) {
        publish_receipt(&self.client, receipt);
    }
}

fn publish_receipt(client: &Client, receipt: &Receipt) {
    let topic = topic::receipt(&crate::samples::site(), &crate::samples::box_id());
    // A full queue loses a receipt, as any network may.
    drop(client.try_publish(
        topic,
        QoS::AtLeastOnce,
        false,
        serde_json::to_vec(receipt).unwrap(),
    ));
}

impl Received {
    fn take(&mut self, topic: &str, payload: &[u8]) -> Option<Receipt> {
        if !matches!(Upward::parse(topic)?, Upward::Event(..)) {
            let state = serde_json::from_slice(payload).expect("JSON");
            self.states.insert(topic.to_owned(), state);
            return None;
        }
        let envelope: Envelope<serde_json::Value> =
            serde_json::from_slice(payload).expect("an envelope");
        let Delivery {
            outbox,
            sequence,
            sequencefloor,
        } = envelope.delivery.expect("events are counted");
        let body = serde_json::from_slice(payload).expect("JSON");
        self.bodies.insert(envelope.id.clone(), body);
        *self.messages.entry(envelope.id).or_default() += 1;
        let floor = self.floors.entry(outbox).or_default();
        *floor = sequencefloor.max(*floor);
        let seen = self.sequences.entry(outbox).or_default();
        seen.insert(sequence);
        let mut next = *floor;
        while seen.contains(&next) {
            next += 1;
        }
        Some(Receipt {
            outbox,
            through: next - 1,
            at: EventTime::EPOCH,
            refused_for: None,
        })
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread if the broker is there; otherwise its next failure does.
        drop(self.client.try_disconnect());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}
