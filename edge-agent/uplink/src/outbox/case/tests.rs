use case_bundle::manifest::CASE_FILE;
use case_bundle::{MediaSource, Report, Trust, verify, verify_chain};
use protocol::{Digest, Envelope, TimeQuality};

use super::*;
use crate::outbox::samples::{at, event};
use crate::outbox::tests::{BUDGET, receipt};

fn key() -> BoxKey {
    BoxKey::from_seed(&[5; 32])
}

fn append(outbox: &Outbox, number: u64) -> u64 {
    let event = event(number);
    outbox.append_event(&event, at(number)).unwrap();
    let still = format!("still {number}");
    let items = vec![
        outbox
            .put_evidence(
                still.as_bytes(),
                EvidenceRole::StillClean,
                "image/jpeg",
                at(number),
            )
            .unwrap(),
    ];
    let draft = CaseDraft {
        event: &event,
        items,
        places: ActorPlaces::new(),
        missing: Vec::new(),
        clock: Clock {
            quality: TimeQuality::Rtcp,
            uncertainty_s: None,
        },
        agent: &AgentVersion::default(),
    };
    outbox.append_case(&draft, &key(), at(number)).unwrap()
}

/// The files of a case where the outbox has them.
struct Stored<'a>(&'a Outbox, Vec<(String, Digest)>);

impl MediaSource for Stored<'_> {
    fn names(&mut self) -> Result<Vec<String>, String> {
        Ok(self.1.iter().map(|(name, _)| name.clone()).collect())
    }

    fn open<'b>(&'b mut self, name: &str) -> std::io::Result<Option<Box<dyn std::io::Read + 'b>>> {
        let found = self.1.iter().find(|(known, _)| known == name);
        let Some((_, digest)) = found else {
            return Ok(None);
        };
        let bytes = self.0.read_file(digest)?;
        Ok(bytes.map(|bytes| Box::new(std::io::Cursor::new(bytes)) as Box<dyn std::io::Read>))
    }
}

/// What a verifier says of every case that the outbox announces, in order.
fn announced(outbox: &Outbox) -> Vec<Report> {
    let mut trust = Trust::default();
    trust.add_key(key().public());
    outbox
        .batch(1, 100_000)
        .unwrap()
        .into_messages()
        .filter_map(|message| {
            let payload = message.map_err(|(_, e)| e).unwrap().payload;
            serde_json::from_slice::<Envelope<EvidenceManifest>>(&payload).ok()
        })
        .map(|envelope| {
            let items = envelope.data.items;
            let case = items
                .iter()
                .find(|item| item.role == EvidenceRole::CaseManifest);
            let case = outbox.read_file(&case.unwrap().sha256).unwrap().unwrap();
            let items: Vec<EvidenceItem> = items
                .into_iter()
                .filter(|item| item.role != EvidenceRole::CaseManifest)
                .collect();
            let names = CaseMedia::of(&items)
                .into_iter()
                .map(|item| (item.name, item.sha256))
                .collect();
            verify(&case, &trust, &mut Stored(outbox, names))
        })
        .collect()
}

fn assert_sound(reports: &[Report], numbers: &[u64]) {
    let found: Vec<u64> = reports
        .iter()
        .map(|report| report.manifest.as_ref().unwrap().chain.number)
        .collect();
    assert_eq!(found, numbers);
    for report in reports {
        assert_eq!(report.faults, [], "{CASE_FILE}");
    }
}

#[test]
fn cases_of_a_camera_are_chained_across_restarts_and_receipts() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1);
    append(&outbox, 2);
    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let last = append(&outbox, 3);
    let reports = announced(&outbox);
    assert_sound(&reports, &[1, 2, 3]);
    assert_eq!(verify_chain(&reports).faults, []);
    // Nothing is owed, and the chain outlives the centre's receipt.
    assert_eq!(outbox.evidence_outstanding().unwrap(), []);
    outbox.mark_sent(last);
    outbox.take_receipt(&receipt(&outbox, last)).unwrap();
    append(&outbox, 4);
    assert_sound(&announced(&outbox), &[4]);
}

#[test]
fn a_manifest_that_did_not_become_a_file_before_kill_9_becomes_one_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1);
    let case = announced(&outbox)[0].digest;
    let bytes = outbox.read_file(&case).unwrap().unwrap();
    // As the process would have left it: in the database, not in the folder.
    {
        let state = outbox.lock();
        ledger::write(&state.database.connection, &[Entry::File(case, bytes)], "").unwrap();
    }
    outbox.forget(&case).unwrap();
    std::fs::remove_file(outbox.file_path(&case)).unwrap();
    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_sound(&announced(&outbox), &[1]);
    let queued = outbox.uploads();
    let case = queued.iter().find(|upload| upload.digest == case).unwrap();
    assert_eq!(case.media_type, CASE_MEDIA_TYPE);
    append(&outbox, 2);
    assert_sound(&announced(&outbox), &[1, 2]);
}

#[test]
fn a_file_replaced_by_an_older_copy_begins_a_new_chain_instead_of_a_number_twice() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let last = append(&outbox, 1);
    // The centre has more of this outbox than the copy knows.
    outbox.take_receipt(&receipt(&outbox, last + 5)).unwrap();
    append(&outbox, 2);
    let reports = announced(&outbox);
    assert_sound(&reports, &[1, 1]);
    let chain = verify_chain(&reports);
    assert_eq!(chain.faults, []);
    assert_eq!(chain.notes.len(), 1);
}

#[test]
fn the_event_that_evidence_is_owed_for_is_known_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    outbox.append_event(&event(1), at(1)).unwrap();
    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let due = outbox.evidence_outstanding().unwrap();
    assert_eq!(outbox.owed_event(due[0].event).unwrap(), Some(event(1)));
}
