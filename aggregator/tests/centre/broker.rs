//! Behind a real broker: mosquitto, which is killed, and a centre, which is killed too.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use edge_uplink::{DiskBudget, Outbox, Pace, Uplink, UplinkSettings};
use rumqttc::v5::mqttbytes::v5::Packet;

use crate::support::{Heard, Line, Process, a_box, eventually};

/// A file of this name in its folder configures a broker's TLS library.
const OPENSSL: &str = "openssl.cnf";

/// A mosquitto of our own.
struct Mosquitto {
    child: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Mosquitto {
    /// `None` where it is not installed (Debian package `mosquitto`).
    fn start(folder: &Path) -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        Self::at(folder, address)
    }

    fn at(folder: &Path, address: SocketAddr) -> Option<Self> {
        Self::with(folder, address, "")
    }

    fn with(folder: &Path, address: SocketAddr, more: &str) -> Option<Self> {
        let program = [
            "/usr/sbin/mosquitto",
            "/usr/local/sbin/mosquitto",
            "/usr/bin/mosquitto",
        ]
        .into_iter()
        .find(|program| Path::new(program).exists());
        let Some(program) = program else {
            eprintln!("mosquitto is not installed; this test has nothing to test with");
            return None;
        };
        let file = folder.join("mosquitto.conf");
        let settings = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\n\
             max_queued_messages 0\n{more}",
            address.port()
        );
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(program);
        if folder.join(OPENSSL).exists() {
            command.env("OPENSSL_CONF", folder.join(OPENSSL));
        }
        let child = command
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("mosquitto listens", || TcpStream::connect(address).ok());
        Some(Self {
            child,
            address,
            folder: folder.to_owned(),
        })
    }

    fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    fn kill_and_restart(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        *self = Self::at(&self.folder.clone(), self.address).unwrap();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn is_ready(centre: &Process) -> bool {
    centre.api().get("/readyz").status == 200
}

#[test]
fn events_and_states_come_over_a_broker_and_receipts_go_back() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = Mosquitto::start(folder.path()) else {
        return;
    };
    let speaker = a_box("b1", 1);
    // Retained before the centre is there: it must hear of it all the same.
    let mut line = Line::connected(broker.address, "box", None);
    let mut state = rumqttc::v5::mqttbytes::v5::Publish::new(
        speaker.state_topic(),
        rumqttc::v5::mqttbytes::QoS::AtLeastOnce,
        speaker.status(true),
        None,
    );
    (state.pkid, state.retain) = (9, true);
    line.say(&Packet::Publish(state));
    line.acknowledged(9);
    let centre = Process::start(folder.path(), &["--broker", &broker.url()]);
    assert_eq!(centre.mqtt, None, "the front door stays closed");
    eventually("ready", || is_ready(&centre).then_some(()));
    eventually("the retained state", || {
        (speaker.is_online(centre.api()) == Some(true)).then_some(())
    });
    line.subscribe(&speaker.receipt_topic());
    for n in 1..=3 {
        line.publish(
            &speaker.event_topic(),
            n,
            speaker.letter(n.into(), n.into()),
        );
    }
    line.publish(&speaker.event_topic(), 4, "not JSON at all");
    while line.receipt().through < 3 {}
    assert_eq!(centre.api().alerts().len(), 3);
    eventually("the dead letter", || {
        let dead = centre
            .api()
            .metric("aggregator_dead_letters_total{reason=\"not_json\"}");
        (dead == 1.0).then_some(())
    });
}

#[test]
fn a_broker_that_is_not_there_is_said_once_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let url = format!("mqtt://{address}");
    let centre = Process::start(folder.path(), &["--broker", &url]);
    let reasons = eventually("it says why", || {
        let answer = centre.api().get("/readyz");
        let text = answer.json()["reasons"].to_string();
        text.contains("refused").then_some(text)
    });
    assert!(reasons.contains(&url), "which broker: {reasons}");
    // Long enough for several tries.
    let until = Instant::now() + Duration::from_secs(2);
    eventually("several tries", || (Instant::now() > until).then_some(()));
    let log = std::fs::read_to_string(&centre.log).unwrap();
    assert_eq!(log.matches("no broker").count(), 1, "{log}");
    assert!(log.contains("is it running"), "what to do: {log}");
    let Some(_broker) = Mosquitto::at(folder.path(), address) else {
        return;
    };
    eventually("ready", || is_ready(&centre).then_some(()));
}

/// Sends what has no receipt until all has one, over whatever happens meanwhile.
struct Sender {
    to: SocketAddr,
    through: u64,
    last: u64,
}

impl Sender {
    /// One connection; gives up when it hears nothing for a while.
    fn attempt(&mut self) {
        let speaker = a_box("b1", 1);
        let Ok(socket) = TcpStream::connect(self.to) else {
            return;
        };
        drop(socket);
        let mut line = Line::open(self.to);
        line.say(&crate::support::connect("box", None));
        let subscribe = {
            use rumqttc::v5::mqttbytes::v5::{Filter, Subscribe};
            let filter = Filter::new(
                speaker.receipt_topic(),
                rumqttc::v5::mqttbytes::QoS::AtMostOnce,
            );
            let mut subscribe = Subscribe::new(filter, None);
            subscribe.pkid = 1;
            Packet::Subscribe(subscribe)
        };
        line.say(&subscribe);
        for n in self.through + 1..=self.last.min(self.through + 200) {
            let pkid = u16::try_from(n - self.through).unwrap();
            line.publish(&speaker.event_topic(), pkid, speaker.letter(n, n));
        }
        let mut quiet = Instant::now() + Duration::from_millis(700);
        while Instant::now() < quiet {
            match line.hear_now() {
                Some(Heard::Packet(Packet::Publish(publish))) => {
                    let receipt: protocol::Receipt =
                        serde_json::from_slice(&publish.payload).unwrap();
                    self.through = self.through.max(receipt.through);
                    if self.through == self.last {
                        return;
                    }
                    quiet = Instant::now() + Duration::from_millis(300);
                }
                Some(Heard::Packet(_)) | None => {}
                Some(Heard::Closed) => return,
            }
        }
    }
}

#[test]
fn every_event_arrives_once_although_broker_and_centre_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut broker) = Mosquitto::start(folder.path()) else {
        return;
    };
    let url = broker.url();
    let mut centre = Process::start(folder.path(), &["--broker", &url]);
    let mut sender = Sender {
        to: broker.address,
        through: 0,
        last: 1500,
    };
    let mut round = 0;
    let until = Instant::now() + Duration::from_mins(1);
    while sender.through < sender.last {
        assert!(
            Instant::now() < until,
            "receipted only through {}",
            sender.through
        );
        sender.attempt();
        round += 1;
        match round {
            2 | 5 => broker.kill_and_restart(),
            3 | 6 => {
                centre.kill();
                centre = Process::start(folder.path(), &["--broker", &url]);
            }
            _ => {}
        }
    }
    assert!(round > 6, "the faults must have been in between");
    let alerts = centre.api().alerts();
    let ids: BTreeSet<&str> = alerts
        .iter()
        .map(|alert| alert["id"].as_str().unwrap())
        .collect();
    assert_eq!((alerts.len(), ids.len()), (1500, 1500));
}

/// The real sender of a box, a centre that is later than it, and a broker that is killed
/// with messages under way: what arrives first is always what was stored first.
#[test]
fn events_of_a_real_outbox_arrive_in_its_order_whatever_happens_to_the_broker() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut broker) = Mosquitto::start(folder.path()) else {
        return;
    };
    let speaker = a_box("b1", 1);
    let outbox = Outbox::open(&folder.path().join("outbox"), DiskBudget::new(1 << 30)).unwrap();
    let mut stored = Vec::new();
    let mut store = |count: u64| {
        for _ in 0..count {
            let event = speaker.event(stored.len() as u64 + 1);
            outbox.append_event(&event, event.onset).unwrap();
            stored.push(event.id.to_string());
        }
    };
    store(60);
    let (site, box_id) = (speaker.site.clone(), speaker.box_id.clone());
    let mut settings = UplinkSettings::new(broker.url(), site, box_id);
    settings.pace = Pace {
        reconnect_shortest: Duration::from_millis(20),
        reconnect_longest: Duration::from_millis(200),
        receipt: Duration::from_secs(2),
        ..Pace::default()
    };
    let uplink = Uplink::start(settings, outbox.clone()).unwrap();
    eventually("nobody listens", || {
        (uplink.status().rewinds >= 2).then_some(())
    });
    let centre = Process::start(folder.path(), &["--broker", &broker.url()]);
    for round in 1..=4 {
        store(150);
        eventually("some are on the way", || {
            (uplink.status().sent >= round * 150).then_some(())
        });
        broker.kill_and_restart();
        store(50);
        eventually("the outbox is empty", || {
            (outbox.waiting() == 0).then_some(())
        });
    }
    // An alert's number of change is that of its first arrival: there is one revision.
    let mut alerts = centre.api().alerts();
    alerts.sort_by_key(|alert| alert["change"].as_u64().unwrap());
    let arrived: Vec<_> = alerts
        .iter()
        .map(|alert| alert["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(arrived, stored);
}

/// A broker that asks for certificates, and the lines with which a centre has one.
struct TlsBroker {
    _broker: Mosquitto,
    /// `[broker]` without a certificate of the centre.
    nameless: String,
    /// What follows with one.
    identity: String,
}

impl TlsBroker {
    fn start(folder: &Path) -> Option<Self> {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let write = |name: &str, text: &str| {
            let file = folder.join(name);
            std::fs::write(&file, text).unwrap();
            file.to_str().unwrap().to_owned()
        };
        let authority_key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let authority = params.self_signed(&authority_key).unwrap();
        let issuer = Issuer::new(params, authority_key);
        let issue = |name: &str, names: Vec<String>| {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(names).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            (
                write(&format!("{name}.pem"), &certificate.pem()),
                write(&format!("{name}.key"), &key.serialize_pem()),
            )
        };
        let ca_file = write("ca.pem", &authority.pem());
        let (server, server_key) = issue("broker", vec!["localhost".to_owned()]);
        let (client, client_key) = issue("centre", Vec::new());
        let more = format!(
            "cafile {ca_file}\ncertfile {server}\nkeyfile {server_key}\n\
             require_certificate true\nuser root\n"
        );
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        Some(Self {
            _broker: Mosquitto::with(folder, address, &more)?,
            nameless: format!(
                "[broker]\nurl = \"mqtts://localhost:{}\"\nca_file = \"{ca_file}\"\n",
                address.port()
            ),
            identity: format!("cert_file = \"{client}\"\nkey_file = \"{client_key}\"\n"),
        })
    }
}

/// A centre whose configuration is `text`.
fn configured(folder: &Path, text: &str) -> Process {
    let file = folder.join("centre.toml");
    std::fs::write(&file, text).unwrap();
    Process::start(folder, &["--config", file.to_str().unwrap()])
}

/// Waits until the centre says this about its broker.
fn says(centre: &Process, words: &str) {
    eventually(words, || {
        let reasons = centre.api().get("/readyz").json()["reasons"].to_string();
        reasons.contains(words).then_some(())
    });
}

#[test]
fn a_broker_with_tls_and_certificates_is_spoken_to() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = TlsBroker::start(folder.path()) else {
        return;
    };
    let centre = configured(folder.path(), &broker.nameless);
    says(&centre, "mqtts://localhost");
    drop(centre);
    let centre = configured(
        folder.path(),
        &format!("{}{}", broker.nameless, broker.identity),
    );
    eventually("ready", || is_ready(&centre).then_some(()));
}

#[test]
fn a_broker_that_does_not_know_tls_1_3_is_spoken_to_only_where_that_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let old = "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = old\n\
               [old]\nMaxProtocol = TLSv1.2\n";
    std::fs::write(folder.path().join(OPENSSL), old).unwrap();
    let Some(broker) = TlsBroker::start(folder.path()) else {
        return;
    };
    let config = format!("{}{}", broker.nameless, broker.identity);
    let centre = configured(folder.path(), &config);
    says(&centre, "does not take TLS 1.3");
    drop(centre);
    let centre = configured(folder.path(), &format!("{config}allow_tls12 = true\n"));
    eventually("ready", || is_ready(&centre).then_some(()));
}
