//! What the centre says it has, and in which order it gets it: receipts that come late,
//! twice, from strangers or never, over a real broker.

use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use edge_uplink::Outbox;
use protocol::{EvidenceManifest, Receipt, topic};
use uuid::Uuid;

use crate::broker::Mosquitto;
use crate::centre::Centre;
use crate::samples::{at, box_id, camera, event, site};
use crate::{append, open, patient, settings, start, until};

/// After a restart of the broker all come back within seconds, the centre perhaps
/// last: what it was too late for must not come after what it heard.
#[test]
fn a_centre_that_comes_after_the_box_hears_all_in_order() {
    let broker = Mosquitto::start();
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=40);
    let uplink = start(settings(&broker.url()), &outbox);
    until("nobody has heard it", || uplink.status().rewinds >= 2);
    let status = uplink.status();
    assert!(
        status.sent <= status.rewinds + 1,
        "only the oldest: {status:?}"
    );
    let centre = Centre::on(broker.port);
    append(&outbox, 41..=80);
    until("the outbox is empty", || outbox.waiting() == 0);
    let order = centre.received.lock().unwrap().order.clone();
    assert_eq!(order, (1..=80).collect::<Vec<_>>());
}

/// Behind a broker the line holds while the centre starts anew. What it was sent
/// meanwhile is sent again as soon as it is back, not when the receipts are overdue.
#[test]
fn a_centre_that_starts_anew_behind_a_broker_is_sent_again_at_once() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    centre.received.lock().unwrap().opening = Some(Uuid::from_u128(1));
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let uplink = start(patient(&broker.url()), &outbox);
    append(&outbox, 1..=5);
    until("the centre is heard", || outbox.waiting() == 0);
    let known = std::mem::take(&mut *centre.received.lock().unwrap());
    drop(centre);
    append(&outbox, 6..=20);
    until("nobody has heard it", || uplink.status().sent == 20);
    let centre = Centre::anew(broker.port, known, Uuid::from_u128(2));
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(20), 20);
    assert_eq!(uplink.status().rewinds, 0);
}

#[test]
fn without_receipts_rows_stay_and_are_sent_again_without_a_storm() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    centre.receipts.store(false, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let mut pacing = settings(&broker.url());
    pacing.pace.window = 100;
    // On a busy machine the broker may take its time; a new connection would begin
    // with a new window.
    pacing.pace.acknowledgement = Duration::from_mins(10);
    let uplink = start(pacing, &outbox);
    append(&outbox, 1..=250);
    until("it was sent again twice", || uplink.status().rewinds >= 2);
    let status = uplink.status();
    assert_eq!((status.waiting, status.connections), (250, 1));
    // In one look what was sent is read before how often that began again.
    assert!(status.sent <= 101 + status.rewinds, "{status:?}");
    assert!(status.resent > 0);
    let error = status.last_error.unwrap();
    assert!(
        error.contains("no receipt comes from the centre"),
        "{error}"
    );
    // Sent is not arrived: the broker and the centre may still be at it.
    until("the window arrives", || centre.has(100) == 100);
    assert_eq!(centre.has(250), 100, "the window holds the rest back");

    centre.receipts.store(true, Ordering::SeqCst);
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(250), 250);
    until("nothing is wrong any more", || {
        uplink.status().last_error.is_none()
    });
}

#[test]
fn receipts_of_strangers_duplicates_and_nonsense_change_nothing() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    centre.receipts.store(false, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    let uplink = start(settings(&broker.url()), &outbox);
    append(&outbox, 1..=10);
    until("all is at the centre", || centre.has(10) == 10);

    let receipt = |outbox, through| Receipt {
        refused_for: None,
        opening: None,
        outbox,
        through,
        at: at(0),
    };
    centre.send_receipt(&receipt(Uuid::from_u128(7), 10));
    centre.publish(&topic::receipt(&site(), &box_id()), b"not JSON");
    centre.publish(&topic::receipt(&site(), &box_id()), &[0xff; 4000]);
    until("all three are counted", || {
        let status = uplink.status();
        status.stranger_receipts == 1 && status.unreadable == 2
    });
    assert_eq!(outbox.waiting(), 10);

    for through in [4, 4, 2, 4] {
        centre.send_receipt(&receipt(outbox.id(), through));
    }
    until("the first four are gone", || outbox.waiting() == 6);
    centre.send_receipt(&receipt(outbox.id(), 10));
    until("the outbox is empty", || outbox.waiting() == 0);
}

/// A file that goes bad under a running agent is replaced, and the new one counts from
/// one again. The connection once went on where the old one had ended, and what came
/// after the damage was not delivered for as long as it lived: weeks on a good line.
#[test]
fn after_the_outbox_file_was_replaced_the_same_connection_goes_on_delivering() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=10);
    let append_long = |outbox: &Outbox, number| {
        let mut long = event(number);
        long.title.en = "x".repeat(200_000);
        outbox.append_event(&long, at(number)).unwrap();
        long.id
    };
    // What is owed for these is settled at once, which leaves room in the file. The start
    // looks through more of it than SQLite keeps in memory, so where that room is, is
    // read from the disk by who needs it next.
    for number in 11..=30 {
        let manifest = EvidenceManifest {
            event: append_long(&outbox, number),
            items: Vec::new(),
            missing: Vec::new(),
        };
        outbox
            .append_evidence((&site(), &box_id(), &camera()), &manifest, at(number))
            .unwrap();
    }
    drop(outbox);
    let outbox = open(dir.path());
    let uplink = start(patient(&broker.url()), &outbox);
    until("all is receipted", || {
        uplink.status().receipted_through == 50
    });
    let before = outbox.id();
    for file in ["outbox.db", "outbox.db-wal"] {
        let file = dir.path().join(file);
        let mut bytes = std::fs::read(&file).unwrap();
        // But for what says that it is a database.
        bytes.iter_mut().skip(4096).for_each(|byte| *byte = 0xa5);
        // In place: the agent has it open.
        let mut written = std::fs::File::options().write(true).open(file).unwrap();
        written.write_all(&bytes).unwrap();
    }

    append_long(&outbox, 31);
    append(&outbox, 32..=40);
    assert_ne!(outbox.id(), before, "the file was replaced");
    until("the outbox is empty", || outbox.waiting() == 0);
    assert_eq!(centre.has(40), 40);
    let status = uplink.status();
    assert_eq!((status.connections, status.rewinds), (1, 0), "{status:?}");
    until("the receipt is of the new one", || {
        (1..=10).contains(&uplink.status().receipted_through)
    });
}

/// One of this very outbox, and more than it was sent a receipt for.
#[test]
fn a_receipt_that_the_broker_has_kept_is_not_believed() {
    let broker = Mosquitto::start();
    let centre = Centre::on(broker.port);
    centre.receipts.store(false, Ordering::SeqCst);
    let dir = tempfile::tempdir().unwrap();
    let outbox = open(dir.path());
    append(&outbox, 1..=3);
    let kept = Receipt {
        outbox: outbox.id(),
        through: 3,
        at: at(9),
        refused_for: None,
        opening: None,
    };
    let topic = topic::receipt(&site(), &box_id());
    centre.publish_retained(&topic, &serde_json::to_vec(&kept).unwrap());
    // It is with the broker once a later message of the same client has passed it.
    centre.publish_retained("ngatu/v1/s/b/c/state", b"{}");
    until("the broker has both", || {
        let received = centre.received.lock().unwrap();
        received.states.contains_key("ngatu/v1/s/b/c/state")
    });
    let uplink = start(settings(&broker.url()), &outbox);
    until("it was refused", || uplink.status().unreadable == 1);
    until("all is at the centre", || centre.has(3) == 3);
    assert_eq!(outbox.waiting(), 3);
}
