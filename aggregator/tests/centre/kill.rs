//! The centre killed in the middle of its work, again and again: what it
//! acknowledged or receipted it has, and nothing twice.

use std::collections::BTreeSet;

use rumqttc::v5::mqttbytes::v5::Packet;

use crate::support::{Heard, Line, Process, a_box};

/// Sends from `next` on, with a window, until `enough` are acknowledged; then
/// the centre is killed with the rest on its way.
fn round(
    centre: &mut Process,
    next: &mut u64,
    (seed, acknowledged): (u64, &mut BTreeSet<u64>),
) -> u64 {
    let speaker = a_box("b1", 1);
    let mut chance = fastrand::Rng::with_seed(seed);
    let enough = chance.usize(1..250);
    let window = chance.u64(2..200);
    let mut line = Line::connected(centre.mqtt.unwrap(), "box", None);
    line.subscribe(&speaker.receipt_topic());
    let (first, mut through, mut heard) = (*next, 0, 0);
    let mut sent = first;
    while heard < enough {
        while sent < first + heard as u64 + window {
            let pkid = u16::try_from(sent - first + 1).unwrap();
            line.publish(&speaker.event_topic(), pkid, speaker.letter(sent, sent));
            sent += 1;
        }
        match line.hear() {
            Heard::Packet(Packet::PubAck(ack)) => {
                acknowledged.insert(first + u64::from(ack.pkid) - 1);
                heard += 1;
            }
            Heard::Packet(Packet::Publish(publish)) => {
                let receipt: protocol::Receipt = serde_json::from_slice(&publish.payload).unwrap();
                through = receipt.through;
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    centre.kill();
    // What was on the wire when it died counts as well.
    while let Heard::Packet(packet) = line.hear() {
        if let Packet::PubAck(ack) = packet {
            acknowledged.insert(first + u64::from(ack.pkid) - 1);
        }
    }
    // The box sends again from where it has a receipt.
    *next = through + 1;
    through
}

#[test]
fn what_was_acknowledged_survives_ten_kills_and_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = a_box("b1", 1);
    let (mut next, mut acknowledged) = (1, BTreeSet::new());
    for seed in 1..=10 {
        let mut centre = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
        let through = round(&mut centre, &mut next, (seed, &mut acknowledged));
        let centre = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
        let alerts = centre.api().alerts();
        let ids: BTreeSet<&str> = alerts
            .iter()
            .map(|alert| alert["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids.len(), alerts.len(), "seed {seed}: one is there twice");
        let promised = acknowledged.iter().copied().chain(1..=through);
        for n in promised {
            let id = speaker.event(n).id.to_string();
            assert!(
                ids.contains(id.as_str()),
                "seed {seed}: event {n} was promised and is lost"
            );
        }
        println!(
            "seed {seed}: {} alerts, receipted through {through}",
            alerts.len()
        );
    }
    assert!(acknowledged.len() > 100, "the rounds must have had work");
}

#[test]
fn a_killed_centre_knows_at_its_next_start_who_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = a_box("b1", 1);
    let mut centre = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
    let will = Some((speaker.state_topic(), speaker.status(false)));
    let mut line = Line::connected(centre.mqtt.unwrap(), "box", will);
    line.publish(&speaker.state_topic(), 1, speaker.status(true));
    line.acknowledged(1);
    assert_eq!(speaker.is_online(centre.api()), Some(true));
    centre.kill();
    let centre = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
    assert_eq!(speaker.is_online(centre.api()), Some(false));
}
