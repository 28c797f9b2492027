//! Who is still open and what is still due, by every way there and back.
//! Under `kill -9` in `tests/delivery/kill.rs`.

use proptest::prelude::*;
use protocol::Phase;

use protocol::evidence::EvidenceRole;

use super::super::disk_tests::damage;
use super::super::tests::samples::{at, box_id, camera, event, site};
use super::super::tests::{BUDGET, limit_pages, receipt};
use super::*;

fn revised(number: u64, revision: u32, phase: Phase) -> Event {
    Event {
        revision,
        phase,
        ended: (phase == Phase::End).then(|| at(number + 60)),
        ..event(number)
    }
}

fn append(outbox: &Outbox, event: &Event) {
    outbox.append_event(event, at(0)).unwrap();
}

/// The open events: number of the sample, and revision.
fn open(outbox: &Outbox) -> Vec<(u64, u32)> {
    let number = |of: &Event| (1..100).find(|n| event(*n).id == of.id).unwrap();
    let events = outbox.open_events().unwrap();
    events.iter().map(|e| (number(e), e.revision)).collect()
}

#[test]
fn what_was_begun_and_not_ended_is_known_after_a_restart_and_after_the_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let mut momentary = revised(4, 1, Phase::Start);
    momentary.ended = Some(momentary.onset);
    let told = revised(3, 2, Phase::Update);
    for event in [
        &revised(1, 1, Phase::Start),
        &revised(2, 1, Phase::Start),
        &revised(3, 1, Phase::Start),
        &momentary,
        &told,
        &revised(2, 2, Phase::End),
    ] {
        append(&outbox, event);
    }
    outbox.mark_sent(6);
    outbox.take_receipt(&receipt(&outbox, 6)).unwrap();
    drop(outbox);

    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!(outbox.waiting(), 0);
    assert_eq!(open(&outbox), [(1, 1), (3, 2)]);
    assert_eq!(outbox.open_events().unwrap()[1], told);
    append(&outbox, &revised(1, 2, Phase::End));
    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!(open(&outbox), [(3, 2)], "ended once");
}

#[test]
fn an_older_revision_that_comes_late_does_not_hide_the_newer_one() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, &revised(1, 3, Phase::Update));
    append(&outbox, &revised(1, 2, Phase::Update));
    assert_eq!(open(&outbox), [(1, 3)]);
}

#[test]
fn at_most_a_thousand_are_handed_out_and_ending_them_brings_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    // Past the disk syncs of 1001 appends.
    outbox
        .lock()
        .database
        .connection
        .execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO open_event (event, revision, envelope)
             SELECT printf('00000000-0000-0000-0000-%012d', i), 1, '{' FROM n",
            [],
        )
        .unwrap();
    append(&outbox, &revised(1, 1, Phase::Start));
    // Those cannot be read; they are given up rather than handed out for ever.
    assert_eq!(open(&outbox), []);
    assert_eq!(open(&outbox), [(1, 1)]);
}

#[test]
fn a_file_of_the_first_version_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, &revised(1, 1, Phase::Start));
    drop(outbox);
    let file = rusqlite::Connection::open(dir.path().join("outbox.db")).unwrap();
    for table in [
        "open_event",
        "evidence_due",
        "case_chain",
        "case_file",
        "receipted",
        "receipt_mark",
        "locked",
        "locks_told",
        "seen_time",
        "evidence_of",
        "evidence_gone",
        "centre",
    ] {
        file.execute_batch(&format!("DROP TABLE {table}")).unwrap();
    }
    file.execute_batch("DROP INDEX evidence_to_ask").unwrap();
    for column in ["since_us", "ask_us"] {
        let drop_column = format!("ALTER TABLE evidence DROP COLUMN {column}");
        file.execute_batch(&drop_column).unwrap();
    }
    file.pragma_update(None, "user_version", 1).unwrap();
    drop(file);

    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!((outbox.waiting(), open(&outbox)), (1, vec![]));
    append(&outbox, &revised(2, 1, Phase::Start));
    assert_eq!(open(&outbox), [(2, 1)]);
}

#[test]
fn a_damaged_file_does_not_forget_who_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, &revised(1, 1, Phase::Start));
    append(&outbox, &revised(2, 1, Phase::Start));
    for number in 3..60 {
        append(&outbox, &revised(number, 2, Phase::End));
    }
    drop(outbox);
    damage(dir.path());

    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert!(outbox.trouble().unwrap().en.contains("damaged"));
    assert_eq!(open(&outbox), [(1, 1), (2, 1)]);
}

fn manifest_of(number: u64, items: Vec<protocol::EvidenceItem>) -> EvidenceManifest {
    let event = event(number).id;
    EvidenceManifest {
        event,
        items,
        missing: Vec::new(),
    }
}

#[test]
fn evidence_that_a_crash_prevented_is_known_and_given_up_once() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let (site, box_id, camera) = (site(), box_id(), camera());
    let whose = (&site, &box_id, &camera);
    for number in 1..=3 {
        append(&outbox, &revised(number, 1, Phase::Start));
    }
    // Later revisions have the stills of the first.
    append(&outbox, &revised(4, 2, Phase::Update));
    append(&outbox, &revised(1, 2, Phase::End));
    let still = outbox
        .put_evidence(b"still", EvidenceRole::StillClean, "image/jpeg", at(1))
        .unwrap();
    outbox
        .append_evidence(whose, &manifest_of(2, vec![still]), at(2))
        .unwrap();
    let last = outbox.status().last_sequence;
    outbox.mark_sent(last);
    outbox.take_receipt(&receipt(&outbox, last)).unwrap();
    drop(outbox);

    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let due = |number| EvidenceDue {
        event: event(number).id,
        site: site.clone(),
        box_id: box_id.clone(),
        camera: camera.clone(),
    };
    assert_eq!(outbox.evidence_outstanding().unwrap(), [due(1), due(3)]);
    for due in outbox.evidence_outstanding().unwrap() {
        let whose = (&due.site, &due.box_id, &due.camera);
        outbox.give_up_evidence(whose, due.event, at(3)).unwrap();
    }
    assert_eq!(outbox.evidence_outstanding().unwrap(), []);
    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!(outbox.evidence_outstanding().unwrap(), []);

    // What the centre gets, by the protocol's own schema of a manifest.
    let sent: Vec<_> = outbox.batch(1, 10).unwrap().into_messages().collect();
    let envelopes: Vec<protocol::Envelope<EvidenceManifest>> = sent
        .into_iter()
        .map(|message| serde_json::from_slice(&message.ok().unwrap().payload).unwrap())
        .collect();
    assert_eq!(envelopes[0].data, manifest_of(1, vec![]));
    assert_eq!(envelopes[1].data, manifest_of(3, vec![]));
    assert_ne!(envelopes[0].id, envelopes[1].id);
}

#[test]
fn evidence_given_up_twice_is_one_message_to_the_centre_and_differs_from_real_evidence() {
    let (site, box_id, camera) = (site(), box_id(), camera());
    let whose = (&site, &box_id, &camera);
    let id = |manifest: &EvidenceManifest, observed| {
        crate::envelope::of_evidence(whose, manifest, observed).id
    };
    let none = manifest_of(1, vec![]);
    assert_eq!(id(&none, at(1)), id(&none, at(9)));
    let item = protocol::EvidenceItem {
        role: EvidenceRole::StillClean,
        sha256: protocol::Digest([1; 32]),
        length: 1,
        media_type: "image/jpeg".to_owned(),
        captured: at(1),
        until: None,
        asked: None,
        note: None,
    };
    assert_ne!(id(&none, at(1)), id(&manifest_of(1, vec![item]), at(1)));
}

#[test]
fn evidence_due_survives_a_full_and_a_damaged_disk() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let (site, box_id, camera) = (site(), box_id(), camera());
    append(&outbox, &revised(1, 1, Phase::Start));
    append(&outbox, &revised(2, 1, Phase::Start));
    let is_full = |yes: bool| {
        let connection = &outbox.lock().database.connection;
        connection.pragma_update(None, "query_only", yes).unwrap();
    };
    is_full(true);
    outbox
        .append_event(&revised(3, 1, Phase::Start), at(0))
        .unwrap_err();
    outbox
        .give_up_evidence((&site, &box_id, &camera), event(1).id, at(0))
        .unwrap_err();
    let due = |outbox: &Outbox| -> Vec<EventId> {
        let due = outbox.evidence_outstanding().unwrap();
        due.into_iter().map(|due| due.event).collect()
    };
    let expected = [event(2).id, event(3).id];
    assert_eq!(due(&outbox), expected);
    is_full(false);
    assert!(outbox.retry_in_memory());
    assert_eq!(due(&outbox), expected);

    // Enough behind them that the last page is not theirs.
    for number in 4..60 {
        append(&outbox, &revised(number, 2, Phase::End));
    }
    drop(outbox);
    damage(dir.path());
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert!(outbox.trouble().unwrap().en.contains("damaged"));
    assert_eq!(due(&outbox), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// On the disk, in memory because the disk is full, and written from there
    /// later: who is open is always what was told last.
    #[test]
    fn memory_and_disk_together_say_the_same_as_a_disk_that_is_never_full(
        told in proptest::collection::vec((1_u64..6, 0_u8..3), 1..24),
        full_from in 0_usize..24,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
        let mut expected: Vec<(u64, u32)> = Vec::new();
        let mut revision = 0;
        for (index, (number, what)) in told.into_iter().enumerate() {
            if index == full_from {
                outbox.lock().database.connection.pragma_update(None, "query_only", true).unwrap();
            }
            revision += 1;
            let phase = [Phase::Start, Phase::Update, Phase::End][usize::from(what)];
            let result = outbox.append_event(&revised(number, revision, phase), at(0));
            prop_assert_eq!(result.is_err(), index >= full_from);
            match expected.iter_mut().find(|(n, _)| *n == number) {
                _ if phase == Phase::End => expected.retain(|(n, _)| *n != number),
                Some(known) => known.1 = revision,
                None => expected.push((number, revision)),
            }
            prop_assert_eq!(open(&outbox), expected.clone());
        }
        outbox.lock().database.connection.pragma_update(None, "query_only", false).unwrap();
        prop_assert!(outbox.retry_in_memory());
        prop_assert_eq!(open(&outbox), expected.clone());
        drop(outbox);
        let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
        prop_assert_eq!(open(&outbox), expected);
    }
}

#[test]
fn what_a_full_disk_keeps_in_memory_counts_as_told() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, &revised(1, 1, Phase::Start));
    limit_pages(&outbox, 1);
    let mut number = 1;
    while outbox
        .append_event(&revised(number + 1, 1, Phase::Start), at(0))
        .is_ok()
    {
        number += 1;
    }
    outbox
        .append_event(&revised(1, 2, Phase::End), at(0))
        .unwrap_err();
    assert_eq!(outbox.status().in_memory, 2);
    let expected: Vec<_> = (2..=number + 1).map(|n| (n, 1)).collect();
    assert_eq!(open(&outbox), expected);
}
