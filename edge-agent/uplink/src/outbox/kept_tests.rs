//! What the centre has receipted and may lose again, and in which order files
//! are given up.

use std::collections::BTreeSet;

use case_bundle::manifest::CASE_MEDIA_TYPE;
use protocol::{Receipt, TimeQuality};

use super::samples::{at, box_id, camera, envelope_id, event, site};
use super::tests::{BUDGET, append, held, pass};
use super::*;

fn said(outbox: &Outbox, through: u64, second: u64) -> ReceiptOutcome {
    let receipt = Receipt {
        outbox: outbox.id(),
        through,
        at: at(second),
        refused_for: None,
        opening: None,
    };
    outbox.take_receipt(&receipt).unwrap()
}

fn heard_from(outbox: &Outbox, opening: Option<u128>) {
    let through = outbox.position().unwrap().receipted;
    let receipt = Receipt {
        outbox: outbox.id(),
        through,
        at: at(30),
        refused_for: None,
        opening: opening.map(Uuid::from_u128),
    };
    outbox.take_receipt(&receipt).unwrap();
    // A minute passes.
    outbox.lock().opened_at = None;
}

fn put(outbox: &Outbox, bytes: &[u8], media_type: &str) -> EvidenceItem {
    let role = EvidenceRole::StillClean;
    outbox.put_evidence(bytes, role, media_type, at(1)).unwrap()
}

fn sequences(outbox: &Outbox) -> Vec<u64> {
    held(outbox)
        .into_iter()
        .map(|(sequence, ..)| sequence)
        .collect()
}

#[test]
fn a_centre_that_says_less_than_before_gets_again_what_it_lost() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=10);
    let still = put(&outbox, b"still", "image/jpeg").sha256;
    outbox.mark_sent(10);
    outbox.mark_uploaded(&still, false).unwrap();
    said(&outbox, 8, 10);
    assert_eq!(sequences(&outbox), [9, 10]);

    // One that was long under way says less and is older.
    assert_eq!(said(&outbox, 3, 9), ReceiptOutcome::Stale);
    assert_eq!(sequences(&outbox), [9, 10]);
    let back = ReceiptOutcome::WentBack { again: 5, gone: 0 };
    assert_eq!(said(&outbox, 3, 20), back);
    let expected: Vec<_> = (4..=10).map(|n| (n, 1, envelope_id(n))).collect();
    assert_eq!(held(&outbox), expected, "under the same sequences and ids");
    assert_eq!(outbox.uploads()[0].digest, still, "and its files");
    // A centre that keeps saying so cannot make it send for ever.
    said(&outbox, 6, 21);
    assert_eq!(said(&outbox, 2, 22), ReceiptOutcome::Stale);
    assert_eq!(outbox.status().went_back, 1);

    drop(outbox);
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    assert_eq!(sequences(&outbox), [7, 8, 9, 10], "after a restart, too");
    assert_eq!(outbox.position().unwrap().receipted, 6);
    assert_eq!(outbox.position().unwrap().floor, 1);
}

#[test]
fn what_was_receipted_is_held_for_two_days_and_what_was_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=10);
    outbox.mark_sent(10);
    said(&outbox, 4, 1);
    said(&outbox, 6, 2);
    pass(&outbox, 47);
    assert_eq!(outbox.status().kept, 6);
    pass(&outbox, 2);
    assert_eq!((outbox.status().kept, outbox.waiting()), (0, 4));
    let back = ReceiptOutcome::WentBack { again: 0, gone: 4 };
    assert_eq!(said(&outbox, 2, 20), back, "3 to 6 are not held any more");
    assert_eq!(held(&outbox)[0], (7, 7, envelope_id(7)));

    // What waits again is not forgotten because it was receipted long ago.
    said(&outbox, 9, 30);
    outbox.lock().went_back_at = None;
    said(&outbox, 7, 40);
    pass(&outbox, 41);
    assert_eq!(sequences(&outbox), [8, 9, 10]);
}

#[test]
fn a_message_set_aside_leaves_no_hole_above_what_is_held() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=5);
    outbox.mark_sent(5);
    said(&outbox, 2, 1);
    assert!(!outbox.set_aside(2).unwrap(), "the centre has it");
    assert!(outbox.set_aside(3).unwrap());
    assert_eq!(held(&outbox)[0], (4, 4, envelope_id(4)));
}

#[test]
fn files_are_given_up_in_the_published_order() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    append(&outbox, 1..=3);
    outbox.mark_sent(3);
    said(&outbox, 3, 1);
    let media = [
        CASE_MEDIA_TYPE,
        "image/jpeg",
        "video/mp4",
        "application/octet-stream",
        "image/png",
        "video/x-matroska",
        "image/jpeg",
        "video/mp4",
    ];
    let files: Vec<Digest> = (0_u8..)
        .zip(media)
        .map(|(n, media_type)| put(&outbox, &[n; 1000], media_type).sha256)
        .collect();
    outbox.mark_uploaded(&files[6], false).unwrap();
    outbox.mark_refused(&files[7]).unwrap();
    let mut order = Vec::new();
    let mut kept = Vec::new();
    while outbox.sacrifice(&mut outbox.lock(), 1, room::Class::Case) > 0 {
        kept.push(outbox.status().kept);
        for (n, digest) in files.iter().enumerate() {
            if !order.contains(&n) && !outbox.file_path(digest).exists() {
                order.push(n);
            }
        }
    }
    assert_eq!(kept[..2], [3, 0], "messages go after the copies of files");
    assert_eq!(order, [6, 7, 2, 5, 3, 1, 4, 0]);
    let expected = [("case", 1), ("clip", 2), ("other", 1), ("still", 2)];
    assert_eq!(outbox.sacrificed(), BTreeMap::from(expected));
}

#[test]
fn a_camera_whose_evidence_was_given_up_can_say_so() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let event = event(1);
    outbox.append_event(&event, at(1)).unwrap();
    let draft = CaseDraft {
        event: &event,
        items: vec![
            put(&outbox, &[1; 9000], "video/mp4"),
            put(&outbox, &[2; 9000], "image/jpeg"),
        ],
        places: BTreeMap::new(),
        missing: Vec::new(),
        clock: case_bundle::manifest::Clock {
            quality: TimeQuality::Rtcp,
            uncertainty_s: None,
        },
        agent: &case_bundle::manifest::AgentVersion::default(),
    };
    let key = case_bundle::BoxKey::from_seed(&[5; 32]);
    outbox.append_case(&draft, &key, at(1)).unwrap();
    let (site, box_id, camera) = (site(), box_id(), camera());
    let said = || outbox.evidence_given_up((&site, &box_id, &camera));
    assert_eq!(said(), None);
    outbox.sacrifice(&mut outbox.lock(), 10_000, room::Class::Case);
    let words = said().unwrap();
    assert!(
        words.en.contains("2 files of this camera's"),
        "{}",
        words.en
    );
    let other = CameraId::new("elsewhere").unwrap();
    assert_eq!(outbox.evidence_given_up((&site, &box_id, &other)), None);
    // The signed case and what else is left is with the centre: there is room again.
    for upload in outbox.uploads() {
        outbox.mark_uploaded(&upload.digest, false).unwrap();
    }
    assert_eq!(said(), None);
}

/// Its copies are asked for as soon as it hears of an opening.
const AT_ONCE: DiskBudget = DiskBudget {
    ask_within: Duration::ZERO,
    ..BUDGET
};

/// The backup has every message and not their latest files. What it still has is
/// not sent again, and keeps its age.
#[test]
fn a_centre_that_was_opened_anew_is_asked_for_the_copies_again() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), AT_ONCE).unwrap();
    append(&outbox, 1..=3);
    outbox.mark_sent(3);
    let [old, new, refused] =
        [b"1", b"2", b"3"].map(|bytes| put(&outbox, bytes, "image/jpeg").sha256);
    said(&outbox, 3, 10);
    heard_from(&outbox, Some(1));
    outbox.mark_uploaded(&old, false).unwrap();
    pass(&outbox, 0);
    assert_eq!(pass(&outbox, 40), 0);
    outbox.mark_uploaded(&new, false).unwrap();
    outbox.mark_refused(&refused).unwrap();
    for opening in [None, Some(1)] {
        heard_from(&outbox, opening);
        assert!(
            outbox.uploads().is_empty(),
            "an older centre, or the same opening"
        );
    }
    heard_from(&outbox, Some(2));
    let waiting: Vec<_> = outbox
        .uploads()
        .iter()
        .map(|u| (u.digest, u.was_there))
        .collect();
    assert_eq!(waiting, [(refused, false), (old, true), (new, true)]);

    // It still has them, says so, and starts every few hours: no copy stays for ever.
    for digest in [old, new, refused] {
        outbox.mark_uploaded(&digest, true).unwrap();
    }
    pass(&outbox, 0);
    assert_eq!(pass(&outbox, 9), 1, "the old one's two days");
    drop(outbox);
    let outbox = Outbox::open(dir.path(), AT_ONCE).unwrap();
    heard_from(&outbox, Some(2));
    assert!(outbox.uploads().is_empty(), "remembered over a restart");
    heard_from(&outbox, Some(3));
    assert_eq!(outbox.uploads().len(), 2);
}

/// A centre that started, and within a minute was restored from a backup: it says so
/// once, and then nothing more to a box that nothing happens before.
#[test]
fn a_centre_that_starts_twice_in_a_minute_is_asked_after_the_second_time_too() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), AT_ONCE).unwrap();
    let still = put(&outbox, b"still", "image/jpeg").sha256;
    outbox.mark_uploaded(&still, false).unwrap();
    heard_from(&outbox, Some(1));
    assert_eq!(outbox.uploads()[0].digest, still);
    outbox.mark_uploaded(&still, false).unwrap();
    outbox.lock().opened_at = Some(Instant::now());
    let receipt = Receipt {
        outbox: outbox.id(),
        through: 0,
        at: at(31),
        refused_for: None,
        opening: Some(Uuid::from_u128(2)),
    };
    outbox.take_receipt(&receipt).unwrap();
    outbox.hear_of_owed_opening().unwrap();
    assert!(
        outbox.uploads().is_empty(),
        "two in turns ask for nothing without end"
    );
    // A minute passes.
    outbox.lock().opened_at = None;
    outbox.hear_of_owed_opening().unwrap();
    assert_eq!(outbox.uploads()[0].digest, still);
    outbox.mark_uploaded(&still, false).unwrap();
    outbox.lock().opened_at = None;
    outbox.hear_of_owed_opening().unwrap();
    assert!(outbox.uploads().is_empty(), "once");
}

#[test]
fn two_centres_in_turns_do_not_have_the_copies_asked_for_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), AT_ONCE).unwrap();
    let still = put(&outbox, b"still", "image/jpeg").sha256;
    for (opening, waiting) in [(1, 1), (2, 0), (1, 0), (2, 0)] {
        let receipt = Receipt {
            outbox: outbox.id(),
            through: 0,
            at: at(30),
            refused_for: None,
            opening: Some(Uuid::from_u128(opening)),
        };
        outbox.mark_uploaded(&still, false).unwrap();
        outbox.take_receipt(&receipt).unwrap();
        assert_eq!(outbox.uploads().len(), waiting, "{opening}");
    }
}

/// All boxes of a city hear of a new opening in the same second, and a centre may start
/// every night: the questions are spread, go after what it never had, and are no loss
/// when the disk is full.
#[test]
fn copies_are_asked_for_in_their_time_after_all_that_is_new() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let copies: BTreeSet<Digest> = (0..200_u8)
        .map(|n| put(&outbox, &[n; 100], "image/jpeg").sha256)
        .collect();
    for digest in &copies {
        outbox.mark_uploaded(digest, false).unwrap();
    }
    pass(&outbox, 0);
    heard_from(&outbox, Some(1));
    let asked = |outbox: &Outbox| outbox.uploads().iter().filter(|u| u.was_there).count();
    let minutes = |n| outbox.expire(at(1), Some(Duration::from_mins(n))).unwrap();
    let before = asked(&outbox);
    minutes(30);
    let half = asked(&outbox);
    assert!(before < half && half < 200, "{before} and {half} of 200");
    // Whoever starts again an hour later asks nothing anew.
    heard_from(&outbox, Some(2));
    minutes(30);
    assert_eq!(asked(&outbox), 200);
    assert_eq!(outbox.status().evidence_waiting, 0);

    let new = put(&outbox, b"new", "image/jpeg").sha256;
    let first = outbox.next_upload(|_| Some(0)).unwrap().unwrap();
    assert_eq!((first.digest, first.was_there), (new, false));
    let next = |digest: &Digest| (*digest != new).then_some(0);
    let next = outbox.next_upload(next).unwrap().unwrap();
    assert!(copies.contains(&next.digest) && next.was_there);

    // It has this one no more; that is evidence which only this box has.
    outbox.mark_lost_there(&next.digest).unwrap();
    assert_eq!(outbox.status().evidence_waiting, 2);
    // No time that passes removes what was not answered.
    assert_eq!(pass(&outbox, 1000), 0);
    outbox.sacrifice(&mut outbox.lock(), 199 * 100, room::Class::Case);
    let status = outbox.status();
    assert_eq!(
        (status.evidence_waiting, status.evidence_sacrificed),
        (2, 0)
    );
    assert!(outbox.file_path(&next.digest).exists());
}

/// The alert named its files, and said of them for ever that its box may still be
/// uploading them.
#[test]
fn evidence_that_will_never_come_is_told_once_its_case_is_announced() {
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(dir.path(), BUDGET).unwrap();
    let event = event(1);
    outbox.append_event(&event, at(1)).unwrap();
    let whose = (&site(), &box_id(), &camera());
    let files = [
        (&[1; 900][..], "video/mp4"),
        (&[2; 900], "image/jpeg"),
        (&[3; 900], "image/jpeg"),
        (&[4; 900], CASE_MEDIA_TYPE),
    ];
    let items = files.map(|(bytes, media_type)| put(&outbox, bytes, media_type));
    let manifest = EvidenceManifest {
        event: event.id,
        items: items.to_vec(),
        missing: Vec::new(),
    };
    outbox.announce_evidence(whose, &manifest, at(1)).unwrap();
    // The centre has the first picture: its copy is no loss.
    outbox.mark_uploaded(&items[1].sha256, false).unwrap();
    outbox.sacrifice(&mut outbox.lock(), 1800, room::Class::Case);
    outbox.mark_refused(&items[2].sha256).unwrap();
    outbox.forget(&items[3].sha256).unwrap();
    pass(&outbox, 0);
    assert_eq!(sequences(&outbox), [1, 2], "its case is still to come");

    outbox.append_evidence(whose, &manifest, at(2)).unwrap();
    for _ in 0..2 {
        pass(&outbox, 0);
    }
    assert_eq!(sequences(&outbox), [1, 2, 3, 4], "told once");
    let last = outbox.batch(4, 1).unwrap().into_messages().next();
    let told: protocol::Envelope<EvidenceManifest> =
        serde_json::from_slice(&last.unwrap().unwrap().payload).unwrap();
    assert!(told.id.starts_with(&format!("{}.evidence-gone.", event.id)));
    assert_eq!((told.data.event, told.data.items.len()), (event.id, 0));
    let lacks: Vec<_> = told
        .data
        .missing
        .iter()
        .map(|gone| (gone.role, gone.reason.en.as_str()))
        .collect();
    let [clip, _, still, case] = items.map(|item| item.sha256.to_string()[..12].to_owned());
    let expected = [
        (
            EvidenceRole::Clip,
            format!(
                "removed by the box for want of room, before the centre had said that it has it, 1 in all: {clip}"
            ),
        ),
        (
            EvidenceRole::CaseManifest,
            format!(
                "gone from the box's disk, before the centre had said that it has it, 1 in all: {case}"
            ),
        ),
        (
            EvidenceRole::Other,
            format!(
                "damaged on the box's disk, or the centre does not take it; see the box's log, 1 in all: {still}"
            ),
        ),
    ];
    let expected: Vec<_> = expected.iter().map(|(role, en)| (*role, &**en)).collect();
    assert_eq!(lacks, expected);
}
