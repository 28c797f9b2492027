//! The front door: who is let in, what is answered and when, and what ends a connection.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use protocol::envelope::{EVENT_TYPE, MAX_ENVELOPE_BYTES};
use protocol::units::Seconds;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use serde_json::{Value, json};

use crate::support::{DEADLINE, Heard, Line, Running, a_box, connect, eventually};

#[test]
fn an_event_is_acknowledged_receipted_and_shown() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.subscribe("ngatu/v1/hanoi/b1/down/#");
    line.publish(&speaker.event_topic(), 7, speaker.letter(1, 1));
    let (mut is_acknowledged, mut receipt) = (false, None);
    while !is_acknowledged || receipt.is_none() {
        match line.hear() {
            Heard::Packet(Packet::PubAck(ack)) => {
                assert_eq!(ack.pkid, 7);
                is_acknowledged = true;
            }
            Heard::Packet(Packet::Publish(publish)) => {
                assert_eq!(publish.topic, speaker.receipt_topic());
                let value: protocol::Receipt = serde_json::from_slice(&publish.payload).unwrap();
                receipt = Some(value);
            }
            other => panic!("{other:?}"),
        }
        // Whichever comes first, the commit came before it.
        assert_eq!(centre.api().alerts().len(), 1);
    }
    let receipt = receipt.unwrap();
    assert_eq!((receipt.outbox, receipt.through), (speaker.outbox, 1));
}

#[test]
fn a_resend_counts_once_and_is_receipted_again() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    for _ in 0..2 {
        let mut line = Line::connected(centre.mqtt, "box", None);
        line.subscribe(&speaker.receipt_topic());
        for (pkid, sequence) in [(1, 1), (2, 2)] {
            line.publish(
                &speaker.event_topic(),
                pkid,
                speaker.letter(sequence, sequence),
            );
        }
        while line.receipt().through < 2 {}
    }
    assert_eq!(centre.api().alerts().len(), 2);
    let duplicates = centre
        .api()
        .metric("aggregator_duplicates_total{content=\"event\"}");
    assert_eq!(duplicates, 2.0);
}

#[test]
fn a_receipt_never_reaches_over_a_gap() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.subscribe(&speaker.receipt_topic());
    for (sequence, through) in [(1, 1), (3, 1), (4, 1), (6, 1), (2, 4), (5, 6)] {
        line.publish(
            &speaker.event_topic(),
            9,
            speaker.letter(sequence, sequence),
        );
        assert_eq!(line.receipt().through, through, "after {sequence}");
    }
}

#[test]
fn what_cannot_be_taken_is_kept_counted_and_receipted_so_that_the_box_goes_on() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let changed = |n: u64, place: &str, value: &Value| {
        let mut letter: Value = serde_json::from_slice(&speaker.letter(n, n)).unwrap();
        *letter.pointer_mut(place).unwrap() = value.clone();
        letter.to_string().into_bytes()
    };
    let future = (aggregator::clock::now() + Seconds(7200.0)).to_string();
    let large = "x".repeat(MAX_ENVELOPE_BYTES - 600);
    let cases: [(&str, Option<u64>, Vec<u8>); 8] = [
        ("not_json", None, b"hello".to_vec()),
        ("not_an_envelope", None, b"{\"a\":1}".to_vec()),
        (
            "unknown_type",
            Some(1),
            changed(1, "/type", &json!("vn.ngatu.hoverboard.v1")),
        ),
        (
            "wrong_content",
            Some(2),
            changed(2, "/data", &json!({"id": 1})),
        ),
        (
            "wrong_source",
            Some(3),
            changed(3, "/source", &json!("/hanoi/b2/c1")),
        ),
        (
            "from_the_future",
            Some(4),
            changed(4, "/time", &json!(future)),
        ),
        (
            "from_the_future",
            Some(5),
            changed(5, "/data/onset", &json!(future)),
        ),
        (
            "too_large",
            Some(6),
            changed(6, "/data/facts", &json!({ "a": large })),
        ),
    ];
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.subscribe(&speaker.receipt_topic());
    for (reason, through, letter) in &cases {
        line.publish(&speaker.event_topic(), 3, letter.clone());
        match through {
            Some(through) => assert_eq!(line.receipt().through, *through, "{reason}"),
            None => line.acknowledged(3),
        }
    }
    line.publish(&speaker.event_topic(), 3, speaker.letter(7, 7));
    assert_eq!(line.receipt().through, 7);
    assert_eq!(centre.api().alerts().len(), 1, "only the good one");
    let kept = centre.api().get("/api/v1/dead-letters").json();
    let reasons: Vec<&str> = kept["items"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .map(|letter| letter["reason"].as_str().unwrap())
        .collect();
    let expected: Vec<&str> = cases.iter().map(|(reason, ..)| *reason).collect();
    assert_eq!(reasons, expected);
    assert_eq!(
        centre
            .api()
            .metric("aggregator_dead_letters_total{reason=\"from_the_future\"}"),
        2.0
    );
}

#[test]
fn a_stranger_is_sent_away_with_the_reason_and_a_count() {
    let centre = Running::start();
    let b1 = a_box("b1", 1);
    let b2 = a_box("b2", 2);
    let publish = |qos, topic: &str, payload: Vec<u8>| {
        let mut publish = rumqttc::v5::mqttbytes::v5::Publish::new(topic, qos, payload, None);
        publish.pkid = 1;
        Packet::Publish(publish)
    };
    let cases: [(&str, u8, Vec<Packet>); 5] = [
        (
            "not_authorised",
            0x87,
            vec![
                publish(QoS::AtLeastOnce, &b1.event_topic(), b1.letter(1, 1)),
                publish(QoS::AtLeastOnce, &b2.event_topic(), b2.letter(1, 1)),
            ],
        ),
        (
            "topic_invalid",
            0x90,
            vec![publish(QoS::AtLeastOnce, "weather/hanoi", b"{}".to_vec())],
        ),
        (
            "qos_not_supported",
            0x9b,
            vec![publish(
                QoS::ExactlyOnce,
                &b1.event_topic(),
                b1.letter(1, 1),
            )],
        ),
        (
            "packet_too_large",
            0x95,
            vec![publish(
                QoS::AtLeastOnce,
                &b1.event_topic(),
                vec![b'x'; 2 * MAX_ENVELOPE_BYTES],
            )],
        ),
        ("protocol_error", 0x82, vec![connect("again", None)]),
    ];
    for (word, code, packets) in cases {
        let mut line = Line::connected(centre.mqtt, word, None);
        for packet in &packets {
            line.say(packet);
        }
        assert_eq!(line.ended(), Some(code), "{word}");
        let name = format!("aggregator_frontdoor_refused_total{{reason=\"{word}\"}}");
        eventually("the count", || {
            (centre.api().metric(&name) >= 1.0).then_some(())
        });
    }
    eventually("all are gone", || {
        (centre.api().metric("aggregator_frontdoor_connections") == 0.0).then_some(())
    });
}

#[test]
fn what_is_no_mqtt_client_is_not_served() {
    let centre = Running::start();
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"\x10\xff\xff\xff\xff\x01",
        b"\x10\xff\x7f",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x10\x0c\x00\x04MQTT\x09\x02\x00\x1e\x00\x00",
        b"\xc0\x00",
    ] {
        let mut line = Line::open(centre.mqtt);
        line.say_bytes(bytes);
        line.ended();
    }
    // And who says nothing at all is not waited for.
    let mut silent = Line::open(centre.mqtt);
    let begun = Instant::now();
    silent.ended();
    assert!(begun.elapsed() < DEADLINE);
    let refused = centre
        .api()
        .metric("aggregator_frontdoor_refused_total{reason=\"no_connect\"}");
    assert_eq!(refused, 1.0);
}

#[test]
fn a_client_of_mqtt_3_1_1_is_served_as_well() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut options =
        rumqttc::MqttOptions::new("old", centre.mqtt.ip().to_string(), centre.mqtt.port());
    options.set_max_packet_size(1 << 20, 1 << 20);
    let (client, mut connection) = rumqttc::Client::new(options, 10);
    client
        .subscribe(speaker.receipt_topic(), rumqttc::QoS::AtLeastOnce)
        .unwrap();
    client
        .publish(
            speaker.event_topic(),
            rumqttc::QoS::AtLeastOnce,
            false,
            speaker.letter(1, 1),
        )
        .unwrap();
    let (mut is_acknowledged, mut is_receipted) = (false, false);
    while !(is_acknowledged && is_receipted) {
        match connection.recv_timeout(DEADLINE).unwrap().unwrap() {
            rumqttc::Event::Incoming(rumqttc::Packet::PubAck(_)) => is_acknowledged = true,
            rumqttc::Event::Incoming(rumqttc::Packet::Publish(_)) => is_receipted = true,
            _ => {}
        }
    }
    client.disconnect().unwrap();
}

#[test]
fn rumqttc_delivers_a_thousand_events_within_the_announced_window() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let options =
        rumqttc::v5::MqttOptions::new("box", centre.mqtt.ip().to_string(), centre.mqtt.port());
    let (client, mut connection) = rumqttc::v5::Client::new(options, 2000);
    for n in 1..=1000 {
        client
            .publish(
                speaker.event_topic(),
                QoS::AtLeastOnce,
                false,
                speaker.letter(n, n),
            )
            .unwrap();
    }
    let mut acknowledged = 0;
    while acknowledged < 1000 {
        let event = connection.recv_timeout(DEADLINE).unwrap().unwrap();
        if let rumqttc::v5::Event::Incoming(Packet::PubAck(_)) = event {
            acknowledged += 1;
        }
    }
    assert_eq!(centre.api().alerts().len(), 1000);
}

#[test]
fn more_unanswered_messages_than_announced_end_the_connection() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "flood", None);
    let mut flood = bytes::BytesMut::new();
    for n in 1..=2000_u16 {
        let mut publish = rumqttc::v5::mqttbytes::v5::Publish::new(
            speaker.event_topic(),
            QoS::AtLeastOnce,
            speaker.letter(n.into(), n.into()),
            None,
        );
        publish.pkid = n;
        Packet::Publish(publish).write(&mut flood, None).unwrap();
    }
    line.say_bytes(&flood);
    assert_eq!(line.ended(), Some(0x93), "Receive Maximum exceeded");
}

#[test]
fn the_last_will_is_carried_out_when_the_line_goes_and_not_after_a_good_bye() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let come = |client: &str| {
        let will = Some((speaker.state_topic(), speaker.status(false)));
        let mut line = Line::connected(centre.mqtt, client, will);
        line.publish(&speaker.state_topic(), 1, speaker.status(true));
        line.acknowledged(1);
        assert_eq!(speaker.is_online(centre.api()), Some(true));
        line
    };
    let offline = || {
        eventually("the will", || {
            (speaker.is_online(centre.api()) == Some(false)).then_some(())
        });
    };
    drop(come("box"));
    offline();

    let mut polite = come("box");
    polite.say_bytes(&[0xe0, 0x00]);
    assert_eq!(polite.ended(), None);
    assert_eq!(
        speaker.is_online(centre.api()),
        Some(true),
        "who says good-bye speaks for itself"
    );

    // Taken over: the old line's will says nothing of a box that is back.
    let mut old = come("box");
    let new = come("box");
    assert_eq!(old.ended(), Some(0x8e), "session taken over");
    assert_eq!(speaker.is_online(centre.api()), Some(true));
    drop(new);
    offline();
}

/// Two machines with one id in their configuration, and two copies of one disk.
#[test]
fn a_second_agent_is_refused_while_the_first_is_here() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let hello = |outbox: u128, run: u128| {
        let mut status: Value = serde_json::from_slice(&speaker.status(false)).unwrap();
        status["data"]["outbox"] = json!({
            "id": uuid::Uuid::from_u128(outbox), "run": uuid::Uuid::from_u128(run),
            "floor": 1, "receipted": 0,
        });
        let will = (speaker.state_topic(), status.to_string().into_bytes());
        let mut line = Line::open(centre.mqtt);
        line.say(&connect(&format!("box-{outbox}"), Some(will)));
        let Heard::Packet(Packet::ConnAck(ack)) = line.hear() else {
            panic!("no answer");
        };
        (format!("{:?}", ack.code), line)
    };
    let (first, _here) = hello(1, 1);
    assert_eq!(first, "Success");
    assert_eq!(hello(2, 2).0, "ClientIdentifierNotValid", "another outbox");
    let (again, here) = hello(1, 3);
    assert_eq!(again, "Success", "the same box after a restart");
    assert_eq!(
        hello(1, 1).0,
        "ClientIdentifierNotValid",
        "a copy of its disk"
    );
    let name = "aggregator_frontdoor_refused_total{reason=\"second_agent\"}";
    assert_eq!(centre.api().metric(name), 2.0);
    drop(here);
    eventually("a new disk is taken once the old agent is gone", || {
        (hello(2, 2).0 == "Success").then_some(())
    });
}

#[test]
fn a_client_may_only_subscribe_to_its_own_receipts() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "nosy", None);
    line.subscribe(&speaker.receipt_topic());
    for filter in ["#", "ngatu/v1/+/+/down/#", "ngatu/v1/hanoi/b2/down/#"] {
        use rumqttc::v5::mqttbytes::v5::{Filter, Subscribe, SubscribeReasonCode};
        let filter = Filter::new(filter, QoS::AtMostOnce);
        let mut subscribe = Subscribe::new(filter, None);
        subscribe.pkid = 2;
        line.say(&Packet::Subscribe(subscribe));
        match line.hear() {
            Heard::Packet(Packet::SubAck(ack)) => {
                assert_eq!(ack.return_codes, [SubscribeReasonCode::NotAuthorized]);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn silence_beyond_the_keep_alive_ends_the_connection() {
    let centre = Running::start();
    let mut line = Line::open(centre.mqtt);
    let mut hello = connect("quiet", None);
    if let Packet::Connect(connect, ..) = &mut hello {
        connect.keep_alive = 1;
    }
    line.say(&hello);
    let begun = Instant::now();
    line.say_bytes(&[0xc0, 0x00]);
    assert_eq!(line.ended(), Some(0x8d), "keep alive timeout");
    assert!(begun.elapsed() >= Duration::from_millis(1400), "1.5 times");
}

#[test]
fn a_stopping_centre_answers_what_it_was_sent() {
    let mut centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.subscribe(&speaker.receipt_topic());
    for n in 1..=100_u16 {
        line.publish(
            &speaker.event_topic(),
            n,
            speaker.letter(n.into(), n.into()),
        );
    }
    line.acknowledged(1);
    centre.stop();
    let (mut acknowledged, mut reason) = (1_u16, None);
    loop {
        match line.hear() {
            Heard::Packet(Packet::PubAck(ack)) => acknowledged = ack.pkid,
            Heard::Packet(Packet::Disconnect(bye)) => reason = Some(bye.reason_code as u8),
            Heard::Packet(_) => {}
            Heard::Closed => break,
        }
    }
    assert_eq!(reason, Some(0x8b), "server shutting down");
    // Whatever was acknowledged is in the database that was left.
    let again = Running::with(|config| config.data_dir = centre.folder.path().to_owned());
    assert!(again.api().alerts().len() >= usize::from(acknowledged));
}

#[test]
fn no_bytes_from_a_stranger_hurt_the_others() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut good = Line::connected(centre.mqtt, "good", None);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    // Half of them after a correct CONNECT, where the codec is reached.
    let bytes = (
        any::<bool>(),
        any::<u8>(),
        proptest::collection::vec(any::<u8>(), 2..300),
    );
    for n in 1..=200 {
        let (greets, first, mut bytes) = bytes.new_tree(&mut runner).unwrap().current();
        let mut line = if greets {
            bytes[0] = 0x20;
            Line::connected(centre.mqtt, "stranger", None)
        } else {
            Line::open(centre.mqtt)
        };
        line.say_bytes(&[first]);
        line.say_bytes(&bytes);
        // It may have been closed already.
        drop(line.socket.shutdown(std::net::Shutdown::Write));
        line.ended();
        if n % 20 == 0 {
            good.publish(&speaker.event_topic(), 1, speaker.letter(n, n));
            good.acknowledged(1);
        }
    }
    assert_eq!(centre.api().get("/healthz").status, 200);
    let letter = speaker.envelope("x", EVENT_TYPE, speaker.event(999));
    good.publish(
        &speaker.event_topic(),
        2,
        serde_json::to_vec(&letter).unwrap(),
    );
    good.acknowledged(2);
}

#[test]
fn the_last_will_of_an_old_line_says_nothing_of_a_box_that_is_back() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let will = || Some((speaker.state_topic(), speaker.status(false)));
    let say_online = |line: &mut Line| {
        line.publish(&speaker.state_topic(), 1, speaker.status(true));
        line.acknowledged(1);
    };
    // Another client id, with a will of its own or without one.
    for (name, newer_will) in [("with", will()), ("without", None)] {
        let mut old = Line::connected(centre.mqtt, "old", will());
        say_online(&mut old);
        let mut newer = Line::connected(centre.mqtt, name, newer_will);
        say_online(&mut newer);
        drop(old);
        eventually("the old line is gone", || {
            (centre.api().metric("aggregator_frontdoor_connections") == 1.0).then_some(())
        });
        // Whatever the old line left with the store was before this.
        newer.publish(&speaker.event_topic(), 2, speaker.letter(1, 1));
        newer.acknowledged(2);
        assert_eq!(speaker.is_online(centre.api()), Some(true), "{name}");
        drop(newer);
        eventually("the newer line is gone", || {
            (centre.api().metric("aggregator_frontdoor_connections") == 0.0).then_some(())
        });
    }
    // And the newest one's counts.
    let mut last = Line::connected(centre.mqtt, "last", will());
    say_online(&mut last);
    drop(last);
    eventually("the will", || {
        (speaker.is_online(centre.api()) == Some(false)).then_some(())
    });
}

#[test]
fn a_topic_of_a_newer_box_is_set_aside_and_the_box_goes_on() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.subscribe(&speaker.receipt_topic());
    line.publish("ngatu/v1/hanoi/b1/c1/telemetry", 1, "{}");
    line.acknowledged(1);
    line.publish("ngatu/v1/hanoi/b1/c1/clip", 2, speaker.letter(1, 1));
    assert_eq!(line.receipt().through, 1, "it has a place in the outbox");
    line.publish(&speaker.event_topic(), 3, speaker.letter(2, 2));
    assert_eq!(line.receipt().through, 2, "the connection is still there");
    let kept = centre.api().get("/api/v1/dead-letters").json();
    for (letter, topic) in [(0, "clip"), (1, "telemetry")] {
        let letter = &kept["items"][letter];
        assert_eq!(letter["reason"], "unknown_topic");
        assert!(letter["topic"].as_str().unwrap().ends_with(topic));
    }
    // Another's branch is none of its business.
    line.publish("ngatu/v1/hanoi/b2/c1/telemetry", 4, "{}");
    assert_eq!(line.ended(), Some(0x87));
}

#[test]
fn a_sequence_beyond_counting_is_a_dead_letter_without_a_receipt() {
    let centre = Running::start();
    let speaker = a_box("b1", 1);
    let mut line = Line::connected(centre.mqtt, "box", None);
    line.subscribe(&speaker.receipt_topic());
    let at = |n: u64, sequence: &str, floor: &str| {
        let mut letter: Value = serde_json::from_slice(&speaker.letter(n, n)).unwrap();
        letter["sequence"] = json!(sequence);
        letter["sequencefloor"] = json!(floor);
        letter.to_string()
    };
    let (last, first_refused) = ("9223372036854775807", "4611686018427387904");
    for (pkid, sequence, floor) in [
        (1, last, last),
        (2, last, "1"),
        (3, first_refused, first_refused),
    ] {
        line.publish(&speaker.event_topic(), pkid, at(9, sequence, floor));
        line.acknowledged(pkid);
    }
    line.publish(&speaker.event_topic(), 4, speaker.letter(1, 1));
    assert_eq!(line.receipt().through, 1, "no receipt ran ahead");
    let highest = "4611686018427387903";
    line.publish(&speaker.event_topic(), 5, at(2, highest, highest));
    assert_eq!(line.receipt().through, 4_611_686_018_427_387_903);
    assert_eq!(centre.api().get("/readyz").status, 200);
    assert_eq!(centre.api().alerts().len(), 2);
}
