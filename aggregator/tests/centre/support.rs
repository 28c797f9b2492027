//! A centre to test, a box to speak to it, and words to say.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aggregator::centre::Centre;
use aggregator::clock;
use aggregator::config::{Config, Mqtt};
use bytes::BytesMut;
use protocol::envelope::{Delivery, EVENT_TYPE, EVIDENCE_TYPE, Envelope};
use protocol::event::{FrameTime, Words};
use protocol::status::BoxStatus;
use protocol::units::Seconds;
use protocol::{
    BoxId, CameraId, Event, EventId, EventKind, EventTime, EvidenceManifest, Phase, Receipt,
    RuleId, Severity, SiteId, TimeQuality, topic,
};
use rumqttc::v5::mqttbytes::v5::{Connect, LastWill, Packet, Publish};
use rumqttc::v5::mqttbytes::{Error, QoS};
use serde::Serialize;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

/// How long a condition may take before the test fails: only an upper bound, a machine may be busy.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);

/// Waits until `condition` gives something.
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < until, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Free ports, a folder of its own, a front door.
pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config {
        data_dir: folder.to_owned(),
        mqtt: Some(Mqtt::default()),
        ..Config::default()
    };
    config.http.listen.set_port(0);
    if let Some(mqtt) = &mut config.mqtt {
        mqtt.listen.set_port(0);
    }
    config
}

/// A centre within the test.
pub(crate) struct Running {
    pub(crate) http: SocketAddr,
    pub(crate) uploads: Option<SocketAddr>,
    pub(crate) mqtt: SocketAddr,
    centre: Option<Centre>,
    runtime: tokio::runtime::Runtime,
    /// Last, so that it goes after the database is closed.
    pub(crate) folder: TempDir,
}

impl Running {
    pub(crate) fn start() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(folder.path());
        change(&mut config);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let centre = runtime.block_on(Centre::start(&config)).unwrap();
        Self {
            http: centre.http,
            uploads: centre.uploads,
            mqtt: centre.mqtt.unwrap(),
            centre: Some(centre),
            runtime,
            folder,
        }
    }

    pub(crate) fn api(&self) -> Api {
        Api(self.http)
    }

    pub(crate) fn stop(&mut self) {
        if let Some(centre) = self.centre.take() {
            self.runtime.block_on(centre.stop());
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A centre as a process of its own.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) mqtt: Option<SocketAddr>,
    pub(crate) log: PathBuf,
}

impl Process {
    pub(crate) fn start(folder: &Path, more: &[&str]) -> Self {
        Self::by(Command::new(env!("CARGO_BIN_EXE_aggregator")), folder, more)
    }

    /// By a command that ends in the program.
    pub(crate) fn by(mut command: Command, folder: &Path, more: &[&str]) -> Self {
        let (ready, log) = (folder.join("ready.json"), folder.join("log.txt"));
        if ready.exists() {
            std::fs::remove_file(&ready).unwrap();
        }
        let to = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut child = command
            .arg("run")
            .args(["--http", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(to)
            .spawn()
            .unwrap();
        let text = eventually("the ready file", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{status}: {}", std::fs::read_to_string(&log).unwrap());
            }
            std::fs::read_to_string(&ready).ok()
        });
        let ready: Value = serde_json::from_str(&text).unwrap();
        Self {
            child,
            http: ready["http"].as_str().unwrap().parse().unwrap(),
            mqtt: ready["mqtt"].as_str().map(|mqtt| mqtt.parse().unwrap()),
            log,
        }
    }

    pub(crate) fn api(&self) -> Api {
        Api(self.http)
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{signal}"), &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The API as a caller sees it.
#[derive(Clone, Copy)]
pub(crate) struct Api(pub(crate) SocketAddr);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Api {
    fn agent() -> ureq::Agent {
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(DEADLINE))
            .build()
            .into()
    }

    fn answer(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
        let mut response = response.unwrap();
        Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.body_mut().read_to_vec().unwrap(),
        }
    }

    pub(crate) fn get(self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    pub(crate) fn get_with(self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Self::agent().get(format!("http://{}{path}", self.0));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Self::answer(request.call())
    }

    pub(crate) fn head(self, path: &str) -> Answer {
        Self::answer(
            Self::agent()
                .head(format!("http://{}{path}", self.0))
                .call(),
        )
    }

    pub(crate) fn post(self, path: &str, body: &Value) -> Answer {
        self.post_with(path, &[("content-type", "application/json")], body)
    }

    pub(crate) fn post_with(self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut request = Self::agent().post(format!("http://{}{path}", self.0));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Self::answer(request.send(body.to_string().as_bytes()))
    }

    pub(crate) fn put(self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = Self::agent().put(format!("http://{}{path}", self.0));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Self::answer(request.send(body))
    }

    /// Every alert, page by page.
    pub(crate) fn alerts(self) -> Vec<Value> {
        let (mut alerts, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self
                .get(&format!("/api/v1/alerts?limit=200{cursor}"))
                .json();
            alerts.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return alerts,
            }
        }
    }

    /// One line of `/metrics`, by its beginning.
    pub(crate) fn metric(self, name: &str) -> f64 {
        let page = self.get("/metrics").body;
        String::from_utf8(page)
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            .unwrap_or_else(|| panic!("no metric {name}"))
    }
}

/// A box with its outbox, as far as a test wants one.
#[derive(Clone)]
pub(crate) struct Speaker {
    pub(crate) site: SiteId,
    pub(crate) box_id: BoxId,
    pub(crate) camera: CameraId,
    pub(crate) outbox: Uuid,
}

/// The box `hanoi/<name>` with the outbox number `outbox`.
pub(crate) fn a_box(name: &str, outbox: u128) -> Speaker {
    Speaker {
        site: SiteId::new("hanoi").unwrap(),
        box_id: BoxId::new(name).unwrap(),
        camera: CameraId::new("c1").unwrap(),
        outbox: Uuid::from_u128(outbox),
    }
}

/// An instant that is always past.
pub(crate) fn noon() -> EventTime {
    "2026-01-02T05:00:00Z".parse().unwrap()
}

impl Speaker {
    pub(crate) fn event_topic(&self) -> String {
        topic::event(&self.site, &self.box_id, &self.camera)
    }

    pub(crate) fn state_topic(&self) -> String {
        topic::box_state(&self.site, &self.box_id)
    }

    pub(crate) fn receipt_topic(&self) -> String {
        topic::receipt(&self.site, &self.box_id)
    }

    /// Happening number `n` of this box.
    pub(crate) fn event(&self, n: u64) -> Event {
        let onset = noon() + Seconds(n as f64);
        let rule = RuleId::new("red").unwrap();
        Event {
            id: EventId::derive((&self.site, &self.box_id, &self.camera), &rule, &n, onset),
            revision: 1,
            phase: Phase::Start,
            kind: EventKind("red_light".to_owned()),
            rule,
            site: self.site.clone(),
            box_id: self.box_id.clone(),
            camera: self.camera.clone(),
            place: None,
            simulated: false,
            severity: Severity::Major,
            title: Words::new("Vượt đèn đỏ", "Red light"),
            onset,
            decided: FrameTime {
                frame: n,
                time: onset,
            },
            ended: None,
            time_quality: TimeQuality::Rtcp,
            zone: None,
            actors: Vec::new(),
            facts: [("run_s".to_owned(), 1.5.into())].into(),
            explanation: Vec::new(),
            looks: Vec::new(),
            provenance: protocol::event::Provenance::default(),
        }
    }

    pub(crate) fn delivery(&self, sequence: u64) -> Delivery {
        Delivery {
            outbox: self.outbox,
            sequence,
            sequencefloor: 1,
        }
    }

    pub(crate) fn envelope<T: Serialize>(&self, id: &str, kind: &str, data: T) -> Envelope<T> {
        Envelope {
            specversion: "1.0".to_owned(),
            id: id.to_owned(),
            source: format!("/{}/{}/{}", self.site, self.box_id, self.camera),
            kind: kind.to_owned(),
            subject: None,
            time: noon(),
            datacontenttype: "application/json".to_owned(),
            dataschema: "urn:ngatu:schema:event:1".to_owned(),
            observedtime: noon(),
            clockquality: TimeQuality::Rtcp,
            delivery: None,
            data,
        }
    }

    /// The bytes of event number `n` at `sequence`.
    pub(crate) fn letter(&self, n: u64, sequence: u64) -> Vec<u8> {
        self.letter_of(&self.event(n), sequence)
    }

    pub(crate) fn letter_of(&self, event: &Event, sequence: u64) -> Vec<u8> {
        let id = format!("{}.{}", event.id, event.revision);
        let mut envelope = self.envelope(&id, EVENT_TYPE, event);
        envelope.time = event.decided.time;
        envelope.delivery = Some(self.delivery(sequence));
        serde_json::to_vec(&envelope).unwrap()
    }

    pub(crate) fn manifest(&self, manifest: &EvidenceManifest, sequence: u64) -> Vec<u8> {
        let id = format!("{}.evidence", manifest.event);
        let mut envelope = self.envelope(&id, EVIDENCE_TYPE, manifest);
        envelope.delivery = Some(self.delivery(sequence));
        serde_json::to_vec(&envelope).unwrap()
    }

    pub(crate) fn status(&self, online: bool) -> Vec<u8> {
        let status = BoxStatus {
            site: self.site.clone(),
            box_id: self.box_id.clone(),
            online,
            version: "1".to_owned(),
            at: clock::now(),
            outbox_waiting: 0,
            trouble: None,
            outbox: None,
        };
        let mut envelope = self.envelope("status", protocol::envelope::BOX_STATUS_TYPE, status);
        envelope.source = format!("/{}/{}", self.site, self.box_id);
        serde_json::to_vec(&envelope).unwrap()
    }

    /// What the API says of the box's connection.
    pub(crate) fn is_online(&self, api: Api) -> Option<bool> {
        let cameras = api.get("/api/v1/cameras").json();
        cameras["boxes"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["box"] == self.box_id.as_str())?["online"]
            .as_bool()
    }
}

/// An MQTT 5 client that does only what it is told.
pub(crate) struct Line {
    pub(crate) socket: TcpStream,
    input: BytesMut,
}

/// How the other side ended a connection, or what it said.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // one at a time
pub(crate) enum Heard {
    Packet(Packet),
    Closed,
}

impl Line {
    pub(crate) fn open(to: SocketAddr) -> Self {
        let socket = TcpStream::connect(to).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        socket.set_nodelay(true).unwrap();
        Self {
            socket,
            input: BytesMut::new(),
        }
    }

    /// Connects as `client_id` and is let in.
    pub(crate) fn connected(
        to: SocketAddr,
        client_id: &str,
        will: Option<(String, Vec<u8>)>,
    ) -> Self {
        let mut line = Self::open(to);
        line.say(&connect(client_id, will));
        match line.hear() {
            Heard::Packet(Packet::ConnAck(ack)) => {
                assert_eq!(
                    ack.code,
                    rumqttc::v5::mqttbytes::v5::ConnectReturnCode::Success
                );
            }
            other => panic!("{other:?}"),
        }
        line
    }

    pub(crate) fn say(&mut self, packet: &Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, None).unwrap();
        self.say_bytes(&out);
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        // A line that was closed is found out by hearing.
        drop(self.socket.write_all(bytes));
    }

    pub(crate) fn publish(&mut self, topic: &str, pkid: u16, payload: impl Into<Vec<u8>>) {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload.into(), None);
        publish.pkid = pkid;
        self.say(&Packet::Publish(publish));
    }

    pub(crate) fn subscribe(&mut self, filter: &str) {
        use rumqttc::v5::mqttbytes::v5::{Filter, Subscribe};
        let mut subscribe = Subscribe::new(Filter::new(filter, QoS::AtLeastOnce), None);
        subscribe.pkid = 1;
        self.say(&Packet::Subscribe(subscribe));
        match self.hear() {
            Heard::Packet(Packet::SubAck(_)) => {}
            other => panic!("{other:?}"),
        }
    }

    /// The next packet, before the deadline.
    pub(crate) fn hear(&mut self) -> Heard {
        eventually("a packet", || self.hear_now())
    }

    /// The next packet, if it comes soon.
    pub(crate) fn hear_now(&mut self) -> Option<Heard> {
        loop {
            if let Some(packet) = self.packet() {
                return Some(Heard::Packet(packet));
            }
            let mut piece = [0; 4096];
            match self.socket.read(&mut piece) {
                Ok(0) => return Some(Heard::Closed),
                Ok(count) => self.input.extend_from_slice(&piece[..count]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return None;
                }
                Err(_) => return Some(Heard::Closed),
            }
        }
    }

    fn packet(&mut self) -> Option<Packet> {
        match Packet::read(&mut self.input, None) {
            Ok(packet) => Some(packet),
            Err(Error::InsufficientBytes(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// Hears until the PUBACK of `pkid`.
    pub(crate) fn acknowledged(&mut self, pkid: u16) {
        loop {
            match self.hear() {
                Heard::Packet(Packet::PubAck(ack)) if ack.pkid == pkid => return,
                Heard::Packet(_) => {}
                Heard::Closed => panic!("closed before the PUBACK of {pkid}"),
            }
        }
    }

    /// Hears until a receipt.
    pub(crate) fn receipt(&mut self) -> Receipt {
        loop {
            match self.hear() {
                Heard::Packet(Packet::Publish(publish))
                    if publish.topic.ends_with(b"/down/receipt") =>
                {
                    return serde_json::from_slice(&publish.payload).unwrap();
                }
                Heard::Packet(_) => {}
                Heard::Closed => panic!("closed before a receipt"),
            }
        }
    }

    /// Hears until the end; the reason, if one was given.
    pub(crate) fn ended(&mut self) -> Option<u8> {
        let mut reason = None;
        loop {
            match self.hear() {
                Heard::Packet(Packet::Disconnect(bye)) => reason = Some(bye.reason_code as u8),
                Heard::Packet(_) => {}
                Heard::Closed => return reason,
            }
        }
    }
}

/// A CONNECT.
pub(crate) fn connect(client_id: &str, will: Option<(String, Vec<u8>)>) -> Packet {
    let will =
        will.map(|(topic, payload)| LastWill::new(topic, payload, QoS::AtLeastOnce, true, None));
    let connect = Connect {
        keep_alive: 60,
        client_id: client_id.to_owned(),
        clean_start: true,
        properties: None,
    };
    Packet::Connect(connect, will, None)
}
