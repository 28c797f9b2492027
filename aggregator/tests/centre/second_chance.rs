//! What could not be taken when it came, and may be taken later: kept whole,
//! within a budget, and judged again at the next start.

use std::sync::Arc;

use aggregator::clock;
use aggregator::inbox::{Judged, Reason};
use aggregator::store::{Outcome, StoreSettings};
use protocol::units::Seconds;
use rusqlite::Connection;

use crate::store::{Bench, judged};
use crate::support::{a_box, eventually, noon};

/// The letter as a centre would keep it that finds `reason` with it.
fn dead(judged: Judged, reason: Reason) -> Judged {
    let Judged::Letter(letter) = judged else {
        panic!("{judged:?}")
    };
    Judged::Dead(Box::new(
        letter.refused(reason, "not known here".to_owned()),
    ))
}

fn alerts_become(bench: &Bench, count: usize) {
    eventually("the second chance", || {
        (bench.alerts().len() == count).then_some(())
    });
}

#[test]
fn an_event_from_the_future_is_an_alert_once_its_time_has_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let speaker = a_box("b1", 1);
    let came = noon() + Seconds(-7200.0);
    let early = judged(&speaker, &speaker.letter(1, 1), came);
    let committed = bench.take_judged(early);
    assert_eq!(committed.outcome, Outcome::Dead(Reason::FromTheFuture));
    let through = committed.receipt.unwrap().2.through;
    assert_eq!(through, 1, "so that the box goes on");
    // This one's time has not come yet even now.
    let mut later = speaker.event(2);
    later.onset = clock::now() + Seconds(86_400.0);
    let later = judged(&speaker, &speaker.letter_of(&later, 2), clock::now());
    let committed = bench.take_judged(later);
    assert_eq!(committed.outcome, Outcome::Dead(Reason::FromTheFuture));
    assert_eq!(bench.alerts().len(), 0);
    bench.close();

    // Again and again: it counts once, and the later one waits.
    for _ in 0..2 {
        let mut bench = Bench::new(folder.path(), StoreSettings::default());
        alerts_become(&bench, 1);
        let alert = &bench.alerts()[0];
        assert_eq!(alert.id, speaker.event(1).id);
        assert_eq!(alert.received_at, came, "it came when it came");
        let again = bench.take(&speaker, &speaker.letter(1, 1));
        assert_eq!(again.outcome, Outcome::Duplicate);
        bench.close();
    }
    let waiting: i64 = Connection::open(folder.path().join("centre.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM set_aside", [], |row| row.get(0))
        .unwrap();
    assert_eq!(waiting, 1, "the one whose time has not come");
}

#[test]
fn what_an_older_centre_did_not_understand_the_newer_one_takes() {
    for (reason, expected) in [
        (Reason::UnknownType, 1),
        (Reason::WrongContent, 1),
        (Reason::UnknownTopic, 1),
        (Reason::RefusedByStore, 1),
        (Reason::NotAnEnvelope, 0),
        (Reason::WrongSource, 0),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let speaker = a_box("b1", 1);
        let mut bench = Bench::new(folder.path(), StoreSettings::default());
        let letter = speaker.letter(1, 1);
        let committed = bench.take_judged(dead(judged(&speaker, &letter, clock::now()), reason));
        assert_eq!(committed.outcome, Outcome::Dead(reason));
        bench.close();
        let mut bench = Bench::new(folder.path(), StoreSettings::default());
        // Second chances come before anything that is queued.
        bench.take(&speaker, &speaker.letter(2, 2));
        assert_eq!(bench.alerts().len(), 1 + expected, "{reason:?}");
        let detail = bench
            .runtime
            .block_on(bench.store.alert(speaker.event(1).id))
            .unwrap();
        assert_eq!(detail.is_some(), expected == 1, "{reason:?}");
        bench.close();
    }
}

#[test]
fn what_the_database_still_refuses_stays_aside_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = a_box("b1", 1);
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let database = Connection::open(folder.path().join("centre.db")).unwrap();
    database
        .execute_batch(
            "CREATE TRIGGER cursed BEFORE INSERT ON alerts WHEN new.kind = 'cursed'
             BEGIN SELECT raise(ABORT, 'cursed'); END;",
        )
        .unwrap();
    let mut event = speaker.event(1);
    "cursed".clone_into(&mut event.kind.0);
    let committed = bench.take(&speaker, &speaker.letter_of(&event, 1));
    assert_eq!(committed.outcome, Outcome::Dead(Reason::RefusedByStore));
    bench.close();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let committed = bench.take(&speaker, &speaker.letter(2, 2));
    assert_eq!(committed.outcome, Outcome::Taken);
    assert_eq!(bench.alerts().len(), 1);
    database.execute_batch("DROP TRIGGER cursed").unwrap();
    bench.close();
    let bench = Bench::new(folder.path(), StoreSettings::default());
    alerts_become(&bench, 2);
    bench.close();
}

#[test]
fn the_oldest_make_room_and_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let speaker = a_box("b1", 1);
    let one = speaker.letter(1, 1).len() as u64 + 512;
    let settings = StoreSettings {
        set_aside_bytes: 2 * one + one / 2,
        ..StoreSettings::default()
    };
    let mut bench = Bench::new(folder.path(), settings);
    for n in 1..=5 {
        let letter = judged(&speaker, &speaker.letter(n, n), clock::now());
        bench.take_judged(dead(letter, Reason::UnknownType));
    }
    assert_eq!(bench.metrics.set_aside_dropped.get(), 3);
    bench.close();
    let bench = Bench::new(folder.path(), settings);
    alerts_become(&bench, 2);
    let ids: Vec<_> = bench.alerts().iter().map(|alert| alert.id).collect();
    assert_eq!(ids, [speaker.event(5).id, speaker.event(4).id]);
    let metrics = Arc::clone(&bench.metrics);
    bench.close();
    assert_eq!(metrics.second_chances.get(), 2);
}
