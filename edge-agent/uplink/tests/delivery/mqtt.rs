//! Events over a real broker, and everything that can go wrong with it.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use edge_uplink::{SignalMessage, SignalNotice, probe};
use protocol::status::{CameraHealth, CameraStatus};
use protocol::{Receipt, topic};
use serde_json::json;
use uuid::Uuid;

use crate::broker::{Mosquitto, OldBroker};
use crate::centre::Centre;
use crate::samples::{at, box_id, camera, envelope_id, event, site};
use crate::{append, kill, open, patient, settings, start, until};

fn camera_status(frames_received: u64) -> CameraStatus {
    CameraStatus {
        site: site(),
        box_id: box_id(),
        camera: camera(),
        name: "Ngã tư Sở".to_owned(),
        place: None,
        simulated: false,
        health: CameraHealth::Watching,
        reason: None,
        since: at(1),
        at: at(2),
        retries: 0,
        frames_received,
        frames_analysed: 0,
        frames_dropped: 0,
        analysed_fps: 5.0,
        time_quality: None,
        model: None,
        coverage: Vec::new(),
        coverage_left_out: 0,
        evidence_stream: None,
        detector: None,
        second_models: Vec::new(),
        recording: None,
        decoder: None,
    }
}

fn box_topic() -> String {
    topic::box_state(&site(), &box_id())
}

fn camera_topic() -> String {
    topic::camera_state(&site(), &box_id(), &camera())
}

#[test]
fn events_reach_the_centre_and_leave_the_outbox_on_its_receipt() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=5);
    let uplink = start(patient(&broker.url()), &outbox);
    append(&outbox, 6..=300);
    until("the last receipt is taken", || {
        uplink.status().receipted_through == 300
    });
    assert_eq!(centre.has(300), 300);
    let status = uplink.status();
    assert!(status.connected);
    assert_eq!(status.mqtt, Some("5"));
    assert_eq!(status.last_error, None);
    assert_eq!((status.resent, status.outbox.receipted), (0, 300));
    assert!(centre.state_is(&box_topic(), "/data/online", &json!(true)));

    uplink.stop(Duration::from_secs(5));
    until("the box says goodbye", || {
        centre.state_is(&box_topic(), "/data/online", &json!(false))
    });
}

#[test]
fn a_broker_killed_three_times_in_the_stream_loses_nothing() {
    let mut broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let uplink = start(settings(&broker.url()), &outbox);
    for round in 0..3 {
        append(&outbox, round * 400 + 1..=round * 400 + 200);
        until("the stream flows", || {
            uplink.status().sent > round * 400 + 50
        });
        broker.kill();
        append(&outbox, round * 400 + 201..=round * 400 + 400);
        broker.run();
    }
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(1200), 1200);
    assert!(uplink.status().connections >= 4, "{:?}", uplink.status());
    let dir_is_used = open_again_has_no_rows(dir.path(), uplink, outbox);
    assert!(dir_is_used);
}

fn open_again_has_no_rows(
    dir: &std::path::Path,
    uplink: edge_uplink::Uplink,
    outbox: edge_uplink::Outbox,
) -> bool {
    uplink.stop(Duration::ZERO);
    drop(outbox);
    open(dir).waiting() == 0
}

#[test]
fn a_broker_that_is_not_there_yet_is_waited_for() {
    let mut broker = Mosquitto::prepare("allow_anonymous true\n");
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let uplink = start(settings(&broker.url()), &outbox);
    append(&outbox, 1..=20);
    until("several attempts failed", || uplink.status().failures >= 3);
    let status = uplink.status();
    assert!(!status.connected);
    assert_eq!(status.waiting, 20);
    let error = status.last_error.unwrap();
    assert!(error.contains("check that the broker runs"), "{error}");

    let centre = Centre::on_later(broker.port);
    broker.run();
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(20), 20);
}

#[test]
fn a_wrong_password_is_named_and_the_events_wait() {
    let broker = Mosquitto::prepare("allow_anonymous false\npassword_file DIR/users\n");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(broker.file("users"))
        .args(["box", "right"])
        .status();
    assert!(
        made.is_ok_and(|s| s.success()),
        "mosquitto_passwd comes with mosquitto"
    );
    let mut broker = broker;
    broker.run();
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=3);
    let mut wrong = settings(&broker.url());
    (wrong.user, wrong.password) = (Some("box".to_owned()), Some("wrong".to_owned()));
    let uplink = start(wrong.clone(), &outbox);
    until("the refusal is known", || {
        let error = uplink.status().last_error.unwrap_or_default();
        error.contains("correct `user` and `password`") || error.contains("may not connect")
    });
    uplink.stop(Duration::ZERO);
    assert_eq!(outbox.waiting(), 3);

    let mut right = wrong;
    right.password = Some("right".to_owned());
    let uplink = start(right, &outbox);
    until("it is sent", || uplink.status().sent >= 1);
    assert!(uplink.status().connected);
}

#[test]
fn a_frozen_broker_is_given_up_by_the_watchdog() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let uplink = start(settings(&broker.url()), &outbox);
    until("it is connected", || uplink.status().connected);
    broker.signal("STOP");
    append(&outbox, 1..=500);
    until("the watchdog bit", || uplink.status().watchdog >= 1);
    broker.signal("CONT");
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(500), 500);
}

#[test]
fn a_camera_state_expires_at_the_broker_and_an_event_never_does() {
    use rumqttc::v5::mqttbytes::v5::Packet;
    let broker = Mosquitto::start();
    let options = rumqttc::v5::MqttOptions::new("watcher", "127.0.0.1", broker.port);
    let (client, mut connection) = rumqttc::v5::Client::new(options, 100);
    client
        .subscribe("ngatu/v1/#", rumqttc::v5::mqttbytes::QoS::AtLeastOnce)
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=1);
    let mut uplink = None;
    let mut expiries = std::collections::BTreeMap::new();
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while expiries.len() < 3 {
        assert!(std::time::Instant::now() < deadline, "{expiries:?}");
        match connection.recv_timeout(Duration::from_secs(5)) {
            Ok(Ok(rumqttc::v5::Event::Incoming(Packet::SubAck(_)))) => {
                let started = start(settings(&broker.url()), &outbox);
                started.publish_camera_status(camera_status(1));
                uplink = Some(started);
            }
            Ok(Ok(rumqttc::v5::Event::Incoming(Packet::Publish(publish)))) => {
                let topic = String::from_utf8(publish.topic.to_vec()).unwrap();
                let expiry = publish.properties.and_then(|p| p.message_expiry_interval);
                expiries.insert(topic, expiry);
            }
            Ok(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(uplink.is_some());
    let event = topic::event(&site(), &box_id(), &camera());
    assert_eq!(expiries[&event], None);
    assert_eq!(
        expiries[&box_topic()],
        None,
        "that a box is gone is known for ever"
    );
    assert!(expiries[&camera_topic()].is_some_and(|left| left > 86_000));
}

#[test]
fn an_agent_that_the_centre_refuses_for_another_says_so_and_keeps_everything() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    centre.receipts.store(false, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let uplink = start(settings(&broker.url()), &outbox);
    append(&outbox, 1..=3);
    until("all is sent", || centre.has(3) == 3);
    centre.send_receipt(&Receipt {
        outbox: outbox.id(),
        through: 0,
        at: at(9),
        refused_for: Some(Uuid::from_u128(7)),
        opening: None,
    });
    until("it is said", || {
        let said = uplink.status().last_error.unwrap_or_default();
        said.contains("another one has this box's id")
    });
    assert_eq!(outbox.waiting(), 3);
}

#[test]
fn camera_states_are_retained_and_come_back_after_a_broker_lost_them() {
    let mut broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let uplink = start(settings(&broker.url()), &outbox);
    uplink.publish_camera_status(camera_status(1));
    uplink.publish_camera_status(camera_status(2));
    let newest = || centre.state_is(&camera_topic(), "/data/frames_received", &json!(2));
    until("the newest state arrives", newest);

    // Retained: a centre that comes later sees it at once.
    drop(centre);
    let centre = Centre::on(broker.port);
    let newest = || centre.state_is(&camera_topic(), "/data/frames_received", &json!(2));
    until("a later centre sees it", newest);

    broker.kill();
    centre.forget_states();
    broker.run();
    until("the box publishes it again", || {
        centre.state_is(&camera_topic(), "/data/frames_received", &json!(2))
            && centre.state_is(&box_topic(), "/data/online", &json!(true))
    });
    assert!(uplink.status().connected);
}

#[test]
fn signals_on_the_same_broker_are_handed_out() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let mut listening = settings(&broker.url());
    listening.signal_topics = vec!["city/lights/+".to_owned()];
    let uplink = start(listening, &outbox);
    let deadline = Instant::now() + Duration::from_secs(20);
    let signal = loop {
        centre.publish("city/lights/north", b"red");
        if let Ok(signal) = uplink.signals().recv_timeout(Duration::from_millis(100)) {
            break signal;
        }
        assert!(Instant::now() < deadline, "no signal in 20 s");
    };
    let said = SignalMessage {
        topic: "city/lights/north".to_owned(),
        payload: b"red".to_vec(),
        is_retained: false,
    };
    assert_eq!(signal, SignalNotice::Message(said));
}

/// What a broker kept may be from yesterday, and after it is gone nothing is
/// certain any more; whoever reads the lamps is told both, in each version.
#[test]
fn a_retained_signal_is_marked_and_the_loss_of_the_broker_is_told() {
    for speaks_v5 in [true, false] {
        let mut broker = Mosquitto::start();
        let centre = Centre::on(broker.port);
        centre.publish_retained("city/lights/north", b"red");
        let dir = tempfile::tempdir().unwrap();
        let outbox = open(dir.path());
        let port = if speaks_v5 {
            broker.port
        } else {
            old_fashioned(broker.port)
        };
        let mut listening = settings(&format!("mqtt://127.0.0.1:{port}"));
        listening.signal_topics = vec!["city/lights/+".to_owned()];
        let uplink = start(listening, &outbox);
        let next = || uplink.signals().recv_timeout(Duration::from_secs(20));
        let kept = SignalMessage {
            topic: "city/lights/north".to_owned(),
            payload: b"red".to_vec(),
            is_retained: true,
        };
        assert_eq!(next(), Ok(SignalNotice::Message(kept)), "v5: {speaks_v5}");
        centre.publish("city/lights/north", b"green");
        let said = SignalMessage {
            topic: "city/lights/north".to_owned(),
            payload: b"green".to_vec(),
            is_retained: false,
        };
        assert_eq!(next(), Ok(SignalNotice::Message(said)), "v5: {speaks_v5}");
        broker.kill();
        assert_eq!(next(), Ok(SignalNotice::BrokerLost), "v5: {speaks_v5}");
        until("several attempts failed", || uplink.status().failures >= 3);
        let more = uplink.signals().recv_timeout(Duration::ZERO);
        assert!(more.is_err(), "told once, not at each attempt: {more:?}");
    }
}

/// A message over the broker's limit once muted the box: it was never sent,
/// the centre receipted up to it and no further, and the window filled.
#[test]
fn a_message_over_the_brokers_limit_arrives_with_less_in_it_and_holds_nothing_up() {
    // An event without its path is within it, one with it is not.
    let whole = event(3);
    let whole = edge_uplink::envelope::of_event(&whole, at(3));
    let limit = serde_json::to_vec(&whole).unwrap().len();
    let mut broker = Mosquitto::with(&format!("allow_anonymous true\nmax_packet_size {limit}\n"));
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let mut small = event(1);
    small.actors[0].path.clear();
    outbox.append_event(&small, at(1)).unwrap();
    let mut long = event(2);
    long.title.en = "x".repeat(30_000);
    outbox.append_event(&long, at(2)).unwrap();
    append(&outbox, 3..=3);
    let mut pacing = patient(&broker.url());
    // Less than what comes after: one that is stuck would be noticed.
    pacing.pace.window = 4;
    let uplink = start(pacing, &outbox);
    append(&outbox, 4..=20);
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(20), 20);
    let status = uplink.status();
    assert_eq!((status.shortened, status.too_large), (19, 0));
    assert_eq!((status.rewinds, status.connections), (0, 1), "{status:?}");

    let fact = |number: u64| {
        let received = centre.received.lock().unwrap();
        received.bodies[&envelope_id(number)]
            .pointer("/data/facts/left_out")
            .cloned()
    };
    assert_eq!(fact(1), None);
    let all = "paths, actors, facts, explanation, texts";
    assert_eq!(fact(2), Some(json!(all)));
    assert_eq!(fact(3), Some(json!("paths")));
    let whole = std::fs::read_dir(dir.path().join("unsendable")).unwrap();
    assert_eq!(whole.count(), 19, "a technician finds them whole");

    let trouble = |centre: &Centre| {
        let received = centre.received.lock().unwrap();
        let state = received.states.get(&box_topic())?;
        Some(state.pointer("/data/trouble/en")?.as_str()?.to_owned())
    };
    until("the operator is told", || {
        trouble(&centre).is_some_and(|trouble| trouble.contains("max_packet_size"))
    });
    // Raised as told: whole again, and no longer a trouble.
    broker.kill();
    broker.reconfigure("allow_anonymous true\n");
    broker.run();
    append(&outbox, 21..=21);
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(fact(21), None);
    until("the operator is told", || trouble(&centre).is_none());
}

/// Below the smallest form of an event there is nothing left to leave out.
#[test]
fn a_message_that_fits_in_no_form_is_set_aside_and_the_rest_goes_on() {
    let broker = Mosquitto::with("allow_anonymous true\nmax_packet_size 1400\n");
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=2);
    // A kind is never left out: without it the centre knows nothing.
    let mut endless = event(3);
    endless.kind.0 = "x".repeat(2000);
    outbox.append_event(&endless, at(3)).unwrap();
    append(&outbox, 4..=6);
    let mut pacing = settings(&broker.url());
    pacing.pace.acknowledgement = Duration::from_mins(10);
    let uplink = start(pacing, &outbox);
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(6), 5);
    let status = uplink.status();
    assert_eq!((status.too_large, status.outbox.set_aside), (1, 1));
    assert_eq!(status.connections, 1, "the connection holds");
    let aside = dir
        .path()
        .join("unsendable")
        .join(format!("{}-3", outbox.id()));
    assert!(aside.exists());
}

/// Speaks like a broker from before MQTT 5, in front of a real one.
fn old_fashioned(target: u16) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut head = [0; 16];
            let Ok(read) = client.read(&mut head) else {
                continue;
            };
            // Fixed header, length, "MQTT" with its length, protocol level.
            let level = head[..read]
                .windows(5)
                .find(|w| w.starts_with(b"MQTT"))
                .map(|w| w[4]);
            if level != Some(4) {
                drop(client.write_all(&[0x20, 2, 0, 1]));
                continue;
            }
            let mut server = TcpStream::connect(("127.0.0.1", target)).unwrap();
            server.write_all(&head[..read]).unwrap();
            let (mut client_in, mut server_in) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                drop(std::io::copy(&mut client_in, &mut server));
                drop(server.shutdown(Shutdown::Both));
            });
            std::thread::spawn(move || {
                drop(std::io::copy(&mut server_in, &mut client));
                drop(client.shutdown(Shutdown::Both));
            });
        }
    });
    port
}

/// With one that hangs up on MQTT 5: everything that the box and the centre want
/// of a broker works in 3.1.1, too.
#[test]
fn a_broker_from_before_mqtt_5_carries_events_receipts_states_and_the_last_will() {
    let mut broker = OldBroker::start();
    let centre = Centre::on_old(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let online = |centre: &Centre, is_online: bool| {
        centre.state_is(&box_topic(), "/data/online", &json!(is_online))
    };

    // Killed in the middle of its work.
    let mut agent = kill::spawn(dir.path(), 1, &broker.url());
    until("an agent delivers", || {
        online(&centre, true) && centre.has(20) == 20
    });
    agent.kill().unwrap();
    agent.wait().unwrap();
    until("the last will", || online(&centre, false));

    let outbox = open(dir.path());
    let mut last = outbox.status().last_sequence;
    let mut long = event(last + 1);
    long.title.en = "x".repeat(200_000);
    outbox.append_event(&long, at(last + 1)).unwrap();
    last += 1;
    let uplink = start(settings(&broker.url()), &outbox);
    uplink.publish_camera_status(camera_status(1));
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(last), last);
    assert_eq!(uplink.status().mqtt, Some("3.1.1"));
    let report = probe(&settings(&broker.url()), Duration::from_secs(20)).unwrap();
    assert_eq!(report.broker.unwrap(), "3.1.1");

    // Retained: whoever subscribes later sees both at once.
    let states = |centre: &Centre| {
        online(centre, true) && centre.state_is(&camera_topic(), "/data/frames_received", &json!(1))
    };
    until("the states arrive", || states(&centre));
    centre.forget_states();
    centre.subscribe_again();
    until("the broker has kept them", || states(&centre));

    // It has forgotten everything, and is told again.
    broker.kill();
    centre.forget_states();
    append(&outbox, last + 1..=last + 50);
    broker.run();
    until("the outbox is empty again", || outbox.waiting() == 0);
    until("the states come again", || states(&centre));
    assert_eq!(centre.has(last + 50), last + 50);
    assert_eq!(uplink.status().mqtt, Some("3.1.1"));
}
