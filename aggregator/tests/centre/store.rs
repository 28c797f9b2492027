//! The store by itself: revisions, gaps that will never be filled, and a
//! database that is full or refuses a row.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aggregator::clock;
use aggregator::health::Health;
use aggregator::inbox::{Judged, Limits, Reason, judge};
use aggregator::metrics::Metrics;
use aggregator::store::{AlertFilter, Committed, Done, Job, Outcome, Store, StoreSettings, Writer};
use protocol::{Event, Phase};
use rusqlite::Connection;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::support::{DEADLINE, Speaker, a_box, eventually};

struct Bench {
    store: Store,
    health: Health,
    news: UnboundedSender<Committed>,
    committed: UnboundedReceiver<Committed>,
    runtime: tokio::runtime::Runtime,
    _writer: Writer,
}

impl Bench {
    fn new(folder: &Path, settings: StoreSettings) -> Self {
        let health = Health::default();
        let metrics = Arc::new(Metrics::default());
        let (store, writer) = Store::open(folder, settings, metrics, health.clone()).unwrap();
        let (news, committed) = mpsc::unbounded_channel();
        Self {
            store,
            health,
            news,
            committed,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            _writer: writer,
        }
    }

    fn submit(&self, speaker: &Speaker, letter: &[u8]) {
        let letter = letter.to_vec().into();
        let judged = judge(
            &speaker.event_topic(),
            &letter,
            clock::now(),
            Limits::default(),
        );
        let Judged::Letter(letter) = judged else {
            panic!("{judged:?}")
        };
        let done = Done {
            to: self.news.clone(),
            tag: 0,
        };
        self.runtime
            .block_on(self.store.submit(Job::Letter(letter, Some(done))))
            .unwrap();
    }

    fn committed(&mut self) -> Committed {
        self.runtime
            .block_on(async { tokio::time::timeout(DEADLINE, self.committed.recv()).await })
            .unwrap()
            .unwrap()
    }

    /// Submits one and waits for its commit.
    fn take(&mut self, speaker: &Speaker, letter: &[u8]) -> Committed {
        self.submit(speaker, letter);
        self.committed()
    }

    fn alerts(&self) -> Vec<aggregator::store::AlertRow> {
        let filter = AlertFilter {
            limit: 1000,
            ..AlertFilter::default()
        };
        let page = self.runtime.block_on(self.store.alerts(filter));
        page.unwrap().items
    }
}

fn revised(event: &Event, revision: u32, phase: Phase) -> Event {
    let mut event = event.clone();
    (event.revision, event.phase) = (revision, phase);
    event.title.en = format!("revision {revision}");
    event
}

#[test]
fn the_highest_revision_counts_whatever_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let speaker = a_box("b1", 1);
    let event = speaker.event(1);
    let steps = [
        (2, Phase::Update, Outcome::Taken, "updated", "revision 2"),
        (1, Phase::Start, Outcome::Duplicate, "updated", "revision 2"),
        (
            2,
            Phase::Update,
            Outcome::Duplicate,
            "updated",
            "revision 2",
        ),
        (4, Phase::End, Outcome::Taken, "cleared", "revision 4"),
        (
            3,
            Phase::Update,
            Outcome::Duplicate,
            "cleared",
            "revision 4",
        ),
    ];
    for (sequence, (revision, phase, outcome, machine, title)) in (1..).zip(steps) {
        let letter = speaker.letter_of(&revised(&event, revision, phase), sequence);
        let committed = bench.take(&speaker, &letter);
        assert_eq!(committed.outcome, outcome, "revision {revision}");
        let through = committed.receipt.map(|(_, _, receipt)| receipt.through);
        assert_eq!(through, Some(sequence), "even a duplicate is receipted");
        let alerts = bench.alerts();
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].machine.as_str(), machine);
        assert_eq!(alerts[0].title.en, title);
    }
}

#[test]
fn a_box_that_was_receipted_elsewhere_is_not_asked_for_what_it_has_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let speaker = a_box("b1", 1);
    let mut at = |sequence: u64, floor: u64| {
        let mut letter: serde_json::Value =
            serde_json::from_slice(&speaker.letter(sequence, sequence)).unwrap();
        letter["sequencefloor"] = serde_json::json!(floor.to_string());
        let committed = bench.take(&speaker, letter.to_string().as_bytes());
        committed.receipt.unwrap().2.through
    };
    assert_eq!(at(41, 41), 41, "a new database begins where the box is");
    assert_eq!(at(43, 41), 41, "42 is on its way");
    assert_eq!(at(51, 50), 49, "42 and 44 to 49 will never come, 50 will");
    assert_eq!(at(50, 50), 51);
}

#[test]
fn a_full_database_promises_nothing_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        max_pages: Some(120),
        retry_wait: Duration::from_millis(20),
        ..StoreSettings::default()
    };
    let mut bench = Bench::new(folder.path(), settings);
    let speaker = a_box("b1", 1);
    let file = folder.path().join("centre.db");
    let ballast = Connection::open(&file).unwrap();
    ballast
        .execute_batch(
            "CREATE TABLE ballast (b BLOB); INSERT INTO ballast VALUES (zeroblob(200000));",
        )
        .unwrap();
    let mut sent = 0;
    eventually("the database is full", || {
        sent += 1;
        bench.submit(&speaker, &speaker.letter(sent, sent));
        (!bench.health.reasons().is_empty()).then_some(())
    });
    let reasons = bench.health.reasons();
    assert!(reasons[0].contains("full"), "{reasons:?}");
    let mut promised = 0;
    while let Ok(committed) = bench.committed.try_recv() {
        assert_eq!(committed.outcome, Outcome::Taken);
        promised += 1;
    }
    assert_eq!(bench.alerts().len(), promised, "each promise is kept");
    assert!((promised as u64) < sent, "some wait");
    ballast.execute_batch("DELETE FROM ballast").unwrap();
    while (promised as u64) < sent {
        bench.committed();
        promised += 1;
    }
    assert_eq!(bench.alerts().len() as u64, sent);
    assert_eq!(bench.health.reasons(), Vec::<String>::new());
}

#[test]
fn a_row_that_is_refused_becomes_a_dead_letter_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    // All of them in one batch.
    let settings = StoreSettings {
        batch_wait: Duration::from_millis(200),
        ..StoreSettings::default()
    };
    let mut bench = Bench::new(folder.path(), settings);
    let speaker = a_box("b1", 1);
    Connection::open(folder.path().join("centre.db"))
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER cursed BEFORE INSERT ON alerts WHEN new.kind = 'cursed'
             BEGIN SELECT raise(ABORT, 'cursed'); END;",
        )
        .unwrap();
    for n in 1..=5 {
        let mut event = speaker.event(n);
        if n == 3 {
            "cursed".clone_into(&mut event.kind.0);
        }
        bench.submit(&speaker, &speaker.letter_of(&event, n));
    }
    let committed: Vec<Committed> = (0..5).map(|_| bench.committed()).collect();
    let outcomes: Vec<Outcome> = committed.iter().map(|one| one.outcome).collect();
    let refused = Outcome::Dead(Reason::RefusedByStore);
    let taken = Outcome::Taken;
    assert_eq!(outcomes, [taken, taken, refused, taken, taken]);
    let last = committed.last().unwrap().receipt.as_ref().unwrap();
    assert_eq!(last.2.through, 5, "the box goes on");
    assert_eq!(bench.alerts().len(), 4);
    assert!(bench.health.reasons().is_empty(), "the disk is well");
}
