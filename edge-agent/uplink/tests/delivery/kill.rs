//! `kill -9` of the process that appends and sends, at random points.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use protocol::topic;
use serde_json::json;

use crate::broker::Mosquitto;
use crate::centre::Centre;
use crate::samples::{at, box_id, camera, event, site};
use crate::{append, open, settings, start, until};

const DIR: &str = "NGATU_TEST_OUTBOX";
const FIRST: &str = "NGATU_TEST_FIRST";
const BROKER: &str = "NGATU_TEST_BROKER";
const DONE: &str = "appended ";

/// The process that gets killed: appends for ever and says what returned.
fn victim(dir: &str) {
    let number = |name: &str| std::env::var(name).unwrap();
    let outbox = open(dir.as_ref());
    let _uplink = start(settings(&number(BROKER)), &outbox);
    let mut out = std::io::stdout();
    for number in number(FIRST).parse().unwrap().. {
        outbox
            .append_event(&event(number), event(number).onset)
            .unwrap();
        outbox
            .put_evidence(
                format!("still of {number}").as_bytes(),
                protocol::evidence::EvidenceRole::StillClean,
                "image/jpeg",
                event(number).onset,
            )
            .unwrap();
        writeln!(out, "\n{DONE}{number}").unwrap();
        out.flush().unwrap();
    }
}

/// This test again, in a process of its own, as the victim.
pub(crate) fn spawn(dir: &std::path::Path, first: u64, broker: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "kill::what_was_appended_survives_kill_9_of_the_agent",
            "--nocapture",
        ])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .env(BROKER, broker)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn what_was_appended_survives_kill_9_of_the_agent() {
    if let Ok(dir) = std::env::var(DIR) {
        return victim(&dir);
    }
    let seed = std::env::var("NGATU_TEST_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}; repeat with NGATU_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);

    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let (mut appended, mut stills) = (0, 0);
    for round in 1..=12 {
        // Receipts come and go, so that some rounds end with a full outbox.
        centre
            .receipts
            .store(round % 3 != 0, std::sync::atomic::Ordering::SeqCst);
        let mut child = spawn(dir.path(), appended + 1, &broker.url());
        let lines = BufReader::new(child.stdout.take().unwrap());
        let (started, is_started) = std::sync::mpsc::channel();
        let reader = std::thread::spawn(move || {
            let numbers = lines.lines().map_while(Result::ok).filter_map(|line| {
                let number = line.strip_prefix(DONE)?.parse::<u64>().ok()?;
                // Only the first one is waited for.
                started.send(()).ok();
                Some(number)
            });
            numbers.fold((0, 0), |(_, count), number| (number, count + 1))
        });
        is_started
            .recv_timeout(Duration::from_secs(30))
            .expect("the victim appends");
        std::thread::sleep(Duration::from_micros(random.u64(0..150_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let (said, times) = reader.join().unwrap();
        assert!(said > appended, "round {round}, seed {seed}");

        // What returned is there or receipted; nothing is missing in between.
        let outbox = open(dir.path());
        let status = outbox.status();
        assert!(
            status.last_sequence == said || status.last_sequence == said + 1,
            "round {round}, seed {seed}: {said} appends returned, the last sequence is {}",
            status.last_sequence
        );
        assert_eq!(
            status.waiting + centre_had(&centre, status.last_sequence - status.waiting),
            status.last_sequence,
            "round {round}, seed {seed}"
        );
        // At most one still per round was stored without a word of it.
        stills += times;
        let stored = status.evidence_waiting;
        assert!(
            (stills..=stills + round).contains(&stored),
            "round {round}, seed {seed}: {stills} stills stored, {stored} queued"
        );
        appended = status.last_sequence;
    }

    // The broker says it for the dead.
    let state = topic::box_state(&site(), &box_id());
    until("the last will", || {
        centre.state_is(&state, "/data/online", &json!(false))
    });

    centre
        .receipts
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let outbox = open(dir.path());
    append(&outbox, appended + 1..=appended + 1);
    let uplink = start(settings(&broker.url()), &outbox);
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(appended + 1), appended + 1, "seed {seed}");
    uplink.stop(Duration::ZERO);
}

/// Appends for ever: an event begins, its still is announced, it ends.
fn thorough_victim(dir: &str) {
    let outbox = open(dir.as_ref());
    let mut out = std::io::stdout();
    let first = outbox.status().last_sequence / 3 + 1;
    for number in first.. {
        let (event, whose) = (event(number), (&site(), &box_id(), &camera()));
        outbox.append_event(&event, event.onset).unwrap();
        let manifest = protocol::EvidenceManifest {
            event: event.id,
            items: Vec::new(),
            missing: Vec::new(),
        };
        outbox
            .append_evidence(whose, &manifest, event.onset)
            .unwrap();
        outbox.append_event(&end(number), event.onset).unwrap();
        writeln!(out, "\n{DONE}{number}").unwrap();
        out.flush().unwrap();
    }
}

fn end(number: u64) -> protocol::Event {
    let event = event(number);
    protocol::Event {
        revision: 2,
        phase: protocol::Phase::End,
        ended: Some(event.decided.time),
        ..event
    }
}

/// A message and what it changes in the ledger are one write: after any
/// `kill -9` the last message alone tells what is still owed.
#[test]
fn kill_9_between_an_event_and_its_end_leaves_exactly_that_event_open() {
    if let Ok(dir) = std::env::var(DIR) {
        return thorough_victim(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..10 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kill::kill_9_between_an_event_and_its_end_leaves_exactly_that_event_open",
                "--nocapture",
            ])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let is_appending = lines.any(|line| line.is_ok_and(|line| line.starts_with(DONE)));
        assert!(is_appending, "round {round}: the victim appends");
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..20_000)));
        child.kill().unwrap();
        child.wait().unwrap();

        let outbox = open(dir.path());
        let last = outbox.status().last_sequence;
        let number = last.div_ceil(3);
        let open = outbox.open_events().unwrap();
        let due = outbox.evidence_outstanding().unwrap();
        let due: Vec<_> = due.into_iter().map(|due| due.event).collect();
        match last % 3 {
            1 => assert_eq!(due, [event(number).id], "round {round}, sequence {last}"),
            _ => assert_eq!(due, [], "round {round}, sequence {last}"),
        }
        seen.insert(last % 3);
        match last % 3 {
            0 => assert_eq!(open, [], "round {round}, sequence {last}"),
            _ => assert_eq!(open, [event(number)], "round {round}, sequence {last}"),
        }
        // What a new process does: it settles what the dead one owed.
        for event in due {
            outbox
                .give_up_evidence((&site(), &box_id(), &camera()), event, at(0))
                .unwrap();
        }
        if !last.is_multiple_of(3) {
            outbox.append_event(&end(number), at(0)).unwrap();
        }
        assert_eq!(outbox.open_events().unwrap(), []);
    }
    eprintln!("killed after each of: {seen:?}");
}

/// Of the first `count` events, how many the centre has.
fn centre_had(centre: &Centre, count: u64) -> u64 {
    centre.has(count)
}
