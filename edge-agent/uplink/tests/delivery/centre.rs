//! A centre that keeps what arrives and receipts it as the real one does: up
//! to where it has everything, counted per outbox from the sender's floor.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use protocol::envelope::Delivery;
use protocol::status::OutboxPosition;
use protocol::topic::{ALL_EVENTS, ALL_STATES, Upward};
use protocol::{Envelope, EventTime, Receipt, topic};
use rumqttc::v5;
use uuid::Uuid;

use crate::samples::{box_id, site};

/// A client of MQTT 5 or 3.1.1.
#[derive(Clone)]
enum Client {
    V5(v5::Client),
    V311(rumqttc::Client),
}

/// What it hears.
enum Heard {
    Connected,
    Subscribed,
    Message(String, Vec<u8>),
    Other,
    Lost,
}

impl Client {
    /// And what it hears, as long as it lives.
    fn new(port: u16, speaks_v5: bool) -> (Self, Box<dyn FnMut() -> Option<Heard> + Send>) {
        let (id, keep_alive) = (format!("centre-{port}"), Duration::from_secs(5));
        if speaks_v5 {
            let mut options = v5::MqttOptions::new(id, "127.0.0.1", port);
            options.set_keep_alive(keep_alive);
            options.set_max_packet_size(Some(1 << 20));
            let (client, mut connection) = v5::Client::new(options, 10_000);
            let next = move || Some(of_v5(connection.recv().ok()?));
            (Self::V5(client), Box::new(next))
        } else {
            let mut options = rumqttc::MqttOptions::new(id, "127.0.0.1", port);
            options.set_keep_alive(keep_alive);
            options.set_max_packet_size(1 << 20, 1 << 20);
            let (client, mut connection) = rumqttc::Client::new(options, 10_000);
            let next = move || Some(of_v311(connection.recv().ok()?));
            (Self::V311(client), Box::new(next))
        }
    }

    fn subscribe(&self, filter: &str) {
        match self {
            Self::V5(client) => client
                .try_subscribe(filter, v5::mqttbytes::QoS::AtLeastOnce)
                .unwrap(),
            Self::V311(client) => client
                .try_subscribe(filter, rumqttc::QoS::AtLeastOnce)
                .unwrap(),
        }
    }

    /// Whether there was room for it.
    fn publish(&self, topic: &str, retain: bool, payload: Vec<u8>) -> bool {
        match self {
            Self::V5(client) => {
                let qos = v5::mqttbytes::QoS::AtLeastOnce;
                client.try_publish(topic, qos, retain, payload).is_ok()
            }
            Self::V311(client) => {
                let qos = rumqttc::QoS::AtLeastOnce;
                client.try_publish(topic, qos, retain, payload).is_ok()
            }
        }
    }

    fn disconnect(&self) {
        match self {
            Self::V5(client) => drop(client.try_disconnect()),
            Self::V311(client) => drop(client.try_disconnect()),
        }
    }
}

fn of_v5(event: Result<v5::Event, v5::ConnectionError>) -> Heard {
    use v5::mqttbytes::v5::Packet;
    match event {
        Ok(v5::Event::Incoming(Packet::ConnAck(_))) => Heard::Connected,
        Ok(v5::Event::Incoming(Packet::SubAck(_))) => Heard::Subscribed,
        Ok(v5::Event::Incoming(Packet::Publish(publish))) => Heard::Message(
            String::from_utf8(publish.topic.to_vec()).unwrap(),
            publish.payload.to_vec(),
        ),
        Ok(_) => Heard::Other,
        Err(_) => Heard::Lost,
    }
}

fn of_v311(event: Result<rumqttc::Event, rumqttc::ConnectionError>) -> Heard {
    use rumqttc::Packet;
    match event {
        Ok(rumqttc::Event::Incoming(Packet::ConnAck(_))) => Heard::Connected,
        Ok(rumqttc::Event::Incoming(Packet::SubAck(_))) => Heard::Subscribed,
        Ok(rumqttc::Event::Incoming(Packet::Publish(publish))) => {
            Heard::Message(publish.topic, publish.payload.to_vec())
        }
        Ok(_) => Heard::Other,
        Err(_) => Heard::Lost,
    }
}

#[derive(Default)]
pub(crate) struct Received {
    /// Envelope id → how often it came.
    pub(crate) messages: BTreeMap<String, u32>,
    /// Envelope id → the whole message.
    pub(crate) bodies: BTreeMap<String, serde_json::Value>,
    /// Topic → the last state.
    pub(crate) states: BTreeMap<String, serde_json::Value>,
    /// Sequences in the order in which they first came.
    pub(crate) order: Vec<u64>,
    /// Which opening of its database it speaks from.
    pub(crate) opening: Option<Uuid>,
    sequences: BTreeMap<Uuid, BTreeSet<u64>>,
    floors: BTreeMap<Uuid, u64>,
    pub(crate) connections: u32,
}

/// What the real one answers.
enum Answer {
    /// As soon as a box says that it is here, however much of it is known.
    ToStatus(Receipt),
    ToMessage(Receipt),
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
        Self::on_later(port).subscribed()
    }

    /// At a broker from before MQTT 5.
    pub(crate) fn on_old(port: u16) -> Self {
        Self::speaking(port, false, Received::default()).subscribed()
    }

    /// The broker need not be there yet.
    pub(crate) fn on_later(port: u16) -> Self {
        Self::speaking(port, true, Received::default())
    }

    /// Started again on what it had.
    pub(crate) fn anew(port: u16, known: Received, opening: Uuid) -> Self {
        let received = Received {
            opening: Some(opening),
            connections: 0,
            ..known
        };
        Self::speaking(port, true, received)
    }

    fn subscribed(self) -> Self {
        let received = Arc::clone(&self.received);
        crate::until("the centre is subscribed", || {
            received.lock().unwrap().connections > 0
        });
        self
    }

    fn speaking(port: u16, speaks_v5: bool, received: Received) -> Self {
        let (client, mut next) = Client::new(port, speaks_v5);
        let received = Arc::new(Mutex::new(received));
        let receipts = Arc::new(AtomicBool::new(true));
        let over = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (client, received) = (client.clone(), Arc::clone(&received));
            let (receipts, over) = (Arc::clone(&receipts), Arc::clone(&over));
            move || {
                while let Some(heard) = next() {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    match heard {
                        Heard::Connected => {
                            for filter in [ALL_EVENTS, ALL_STATES] {
                                client.subscribe(filter);
                            }
                        }
                        Heard::Subscribed => received.lock().unwrap().connections += 1,
                        Heard::Message(topic, payload) => {
                            let answer = received.lock().unwrap().take(&topic, &payload);
                            match answer {
                                Some(Answer::ToStatus(receipt)) => {
                                    publish_receipt(&client, &receipt);
                                }
                                Some(Answer::ToMessage(receipt))
                                    if receipts.load(Ordering::SeqCst) =>
                                {
                                    publish_receipt(&client, &receipt);
                                }
                                _ => {}
                            }
                        }
                        Heard::Other => {}
                        Heard::Lost => std::thread::sleep(Duration::from_millis(20)),
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

    /// Has the broker send what it has kept.
    pub(crate) fn subscribe_again(&self) {
        self.client.subscribe(ALL_STATES);
    }

    /// Forgets the states, to see them come again.
    pub(crate) fn forget_states(&self) {
        self.received.lock().unwrap().states.clear();
    }

    /// Publishes anything.
    pub(crate) fn publish(&self, topic: &str, payload: &[u8]) {
        assert!(self.client.publish(topic, false, payload.to_vec()));
    }

    /// Publishes something that the broker is to keep.
    pub(crate) fn publish_retained(&self, topic: &str, payload: &[u8]) {
        assert!(self.client.publish(topic, true, payload.to_vec()));
    }

    pub(crate) fn send_receipt(&self, receipt: &Receipt) {
        publish_receipt(&self.client, receipt);
    }
}

fn publish_receipt(client: &Client, receipt: &Receipt) {
    let topic = topic::receipt(&site(), &box_id());
    // A full queue loses a receipt, as any network may.
    client.publish(&topic, false, serde_json::to_vec(receipt).unwrap());
}

impl Received {
    fn take(&mut self, topic: &str, payload: &[u8]) -> Option<Answer> {
        let upward = Upward::parse(topic)?;
        if !matches!(upward, Upward::Event(..)) {
            let state: serde_json::Value = serde_json::from_slice(payload).expect("JSON");
            let data = &state["data"];
            let is_here = matches!(upward, Upward::BoxState(..)) && data["online"] == true;
            let position = is_here.then(|| data["outbox"].clone());
            self.states.insert(topic.to_owned(), state);
            let position: OutboxPosition = serde_json::from_value(position?).ok()?;
            let receipt = self.receipt(position.id, position.floor);
            return Some(Answer::ToStatus(receipt));
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
        if self.sequences.entry(outbox).or_default().insert(sequence) {
            self.order.push(sequence);
        }
        Some(Answer::ToMessage(self.receipt(outbox, sequencefloor)))
    }

    /// Up to where everything of an outbox is here.
    fn receipt(&mut self, outbox: Uuid, sequencefloor: u64) -> Receipt {
        let floor = self.floors.entry(outbox).or_default();
        *floor = sequencefloor.max(*floor);
        let seen = self.sequences.entry(outbox).or_default();
        let mut next = *floor;
        while seen.contains(&next) {
            next += 1;
        }
        Receipt {
            outbox,
            through: next - 1,
            at: EventTime::EPOCH,
            refused_for: None,
            opening: self.opening,
        }
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // Wakes the thread if the broker is there; otherwise its next failure does.
        self.client.disconnect();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}
