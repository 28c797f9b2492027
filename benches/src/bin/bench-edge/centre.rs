//! A broker, and a centre that notes when each event arrives and receipts it as the real one does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use protocol::envelope::{Delivery, EVENT_TYPE};
use protocol::topic::{ALL_EVENTS, Upward};
use protocol::{Envelope, EventTime, Receipt, TimeQuality, topic};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{Client, Event, MqttOptions};
use uuid::Uuid;

use crate::process::{Program, free_port};

/// Where Debian puts it, which is not on everybody's path.
const BROKERS: [&str; 2] = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];

/// An event at the centre.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    /// From the picture that decided it to its arrival here. s.
    pub(crate) latency_s: f64,
    /// Whether the picture's time is the camera's own.
    pub(crate) is_camera_time: bool,
}

/// Mosquitto and a client of it.
pub(crate) struct Centre {
    _broker: Program,
    port: u16,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    client: Client,
}

impl Centre {
    /// Whether there is a broker on this machine.
    pub(crate) fn is_possible() -> bool {
        BROKERS.iter().any(|path| Path::new(path).exists())
    }

    pub(crate) fn start(folder: &Path) -> anyhow::Result<Self> {
        let program = BROKERS
            .iter()
            .find(|path| Path::new(path).exists())
            .context("mosquitto is not installed; run `deploy/setup test`")?;
        let port = free_port()?;
        let config = folder.join("mosquitto.conf");
        // Started as root it would become a user who may not read our files.
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nuser root\n"
        );
        std::fs::write(&config, text)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(&config);
        let mut broker = Program::start(command, folder.join("mosquitto.log"))?;
        broker.until("the broker", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        })?;
        let mut options = MqttOptions::new("bench-centre", "127.0.0.1", port);
        options.set_max_packet_size(Some(1 << 20));
        let (client, mut connection) = Client::new(options, 1000);
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let (ours, answers) = (Arc::clone(&arrivals), client.clone());
        let (subscribed, ready) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("centre".to_owned())
            .spawn(move || {
                let mut ledger = Ledger::default();
                for event in connection.iter() {
                    match event {
                        Ok(Event::Incoming(Packet::ConnAck(_))) => {
                            // The queue is empty at this point.
                            answers.try_subscribe(ALL_EVENTS, QoS::AtLeastOnce).ok();
                        }
                        Ok(Event::Incoming(Packet::SubAck(_))) => {
                            // Only the first one is waited for.
                            subscribed.try_send(()).ok();
                        }
                        Ok(Event::Incoming(Packet::Publish(publish))) => {
                            let now = now();
                            let Some((arrival, topic, receipt)) =
                                ledger.take(&publish.topic, &publish.payload, now)
                            else {
                                continue;
                            };
                            ours.lock()
                                .unwrap_or_else(PoisonError::into_inner)
                                .extend(arrival);
                            // A full queue loses a receipt, as any network may.
                            answers
                                .try_publish(topic, QoS::AtLeastOnce, false, receipt)
                                .ok();
                        }
                        Ok(_) => {}
                        // The broker is gone: the run is over.
                        Err(_) => return,
                    }
                }
            })?;
        ready
            .recv_timeout(Duration::from_secs(10))
            .context("the broker lets nobody subscribe")?;
        Ok(Self {
            _broker: broker,
            port,
            arrivals,
            client,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// Events that came since this was asked last, each once.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Centre {
    fn drop(&mut self) {
        // If it cannot be told, it notices the end of the broker.
        self.client.try_disconnect().ok();
    }
}

#[allow(clippy::cast_possible_truncation)] // µs since 1970 fit for 290,000 years
fn now() -> EventTime {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    EventTime::from_micros(since.as_micros() as i64)
}

/// What has come, so that receipts have no gap.
#[derive(Default)]
struct Ledger {
    sequences: BTreeMap<Uuid, BTreeSet<u64>>,
    floors: BTreeMap<Uuid, u64>,
    ids: BTreeSet<String>,
}

impl Ledger {
    /// A message; the event in it if it is a new one, and the receipt for it.
    fn take(
        &mut self,
        topic: &[u8],
        payload: &[u8],
        now: EventTime,
    ) -> Option<(Option<Arrival>, String, Vec<u8>)> {
        let Upward::Event(site, box_id, _) = Upward::parse(std::str::from_utf8(topic).ok()?)?
        else {
            return None;
        };
        let envelope: Envelope<serde_json::Value> = serde_json::from_slice(payload).ok()?;
        let Delivery {
            outbox,
            sequence,
            sequencefloor,
        } = envelope.delivery?;
        let floor = self.floors.entry(outbox).or_default();
        *floor = sequencefloor.max(*floor);
        let seen = self.sequences.entry(outbox).or_default();
        seen.insert(sequence);
        let mut next = *floor;
        while seen.contains(&next) {
            next += 1;
        }
        let receipt = Receipt {
            outbox,
            through: next.saturating_sub(1),
            at: now,
            refused_for: None,
            opening: None,
        };
        let to = topic::receipt(&site, &box_id);
        let is_new = self.ids.insert(envelope.id.clone());
        // Revisions and ends of an event are decided by time, not by a picture.
        let is_first = envelope.kind == EVENT_TYPE && envelope.data["revision"] == 1;
        let arrival = (is_new && is_first)
            .then(|| {
                let decided: EventTime =
                    serde_json::from_value(envelope.data["decided"]["time"].clone()).ok()?;
                Some(Arrival {
                    latency_s: now.since(decided).0,
                    is_camera_time: envelope.clockquality == TimeQuality::Rtcp,
                })
            })
            .flatten();
        Some((arrival, to, serde_json::to_vec(&receipt).ok()?))
    }
}
