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
use protocol::evidence::EvidenceRole;
use protocol::{Event, EventTime, Phase};
use rusqlite::Connection;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use uuid::Uuid;

use crate::announced::{file, manifest_of};
use crate::support::{DEADLINE, Speaker, a_box, eventually};

pub(crate) struct Bench {
    pub(crate) store: Store,
    pub(crate) metrics: Arc<Metrics>,
    health: Health,
    news: UnboundedSender<Committed>,
    committed: UnboundedReceiver<Committed>,
    pub(crate) runtime: tokio::runtime::Runtime,
    writer: Writer,
}

impl Bench {
    pub(crate) fn new(folder: &Path, settings: StoreSettings) -> Self {
        let health = Health::default();
        let metrics = Arc::new(Metrics::default());
        let opened = Store::open(folder, settings, Arc::clone(&metrics), health.clone());
        let (store, writer) = opened.unwrap();
        let (news, committed) = mpsc::unbounded_channel();
        Self {
            store,
            metrics,
            health,
            news,
            committed,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            writer,
        }
    }

    fn submit(&self, speaker: &Speaker, letter: &[u8]) {
        let judged = judged(speaker, letter, clock::now());
        assert!(matches!(judged, Judged::Letter(_)), "{judged:?}");
        self.hand_over(judged);
    }

    fn hand_over(&self, judged: Judged) {
        let done = Some(Done {
            to: self.news.clone(),
            tag: 0,
        });
        let job = match judged {
            Judged::Letter(letter) => Job::Letter(letter, done),
            Judged::Dead(dead) => Job::Dead(dead, done),
            Judged::Nothing => panic!("nothing to hand over"),
        };
        self.runtime.block_on(self.store.submit(job)).unwrap();
    }

    /// Hands over what was judged and waits for its commit.
    pub(crate) fn take_judged(&mut self, judged: Judged) -> Committed {
        self.hand_over(judged);
        self.committed()
    }

    /// Ends the writer, as the program does.
    pub(crate) fn close(self) {
        self.writer.finish();
    }

    fn committed(&mut self) -> Committed {
        self.runtime
            .block_on(async { tokio::time::timeout(DEADLINE, self.committed.recv()).await })
            .unwrap()
            .unwrap()
    }

    /// Submits one and waits for its commit.
    pub(crate) fn take(&mut self, speaker: &Speaker, letter: &[u8]) -> Committed {
        self.submit(speaker, letter);
        self.committed()
    }

    pub(crate) fn alerts(&self) -> Vec<aggregator::store::AlertRow> {
        let filter = AlertFilter {
            limit: 1000,
            ..AlertFilter::default()
        };
        let page = self.runtime.block_on(self.store.alerts(filter));
        page.unwrap().items
    }
}

/// What the inbox says of a letter that came at `received`.
pub(crate) fn judged(speaker: &Speaker, letter: &[u8], received: EventTime) -> Judged {
    let letter = letter.to_vec().into();
    judge(&speaker.event_topic(), &letter, received, Limits::default())
}

pub(crate) fn revised(event: &Event, revision: u32, phase: Phase) -> Event {
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

/// Behind a broker, what was sent while the centre was away comes again after what
/// was sent later. In whatever order the messages of an event come, and come again, its
/// alert ends the same.
#[test]
fn an_alert_ends_the_same_in_whatever_order_its_messages_come() {
    let speaker = a_box("b1", 1);
    let event = speaker.event(1);
    let manifest = manifest_of(event.id, [file(EvidenceRole::StillAnnotated, b"a still")]);
    let letters = [
        speaker.letter_of(&revised(&event, 1, Phase::Start), 1),
        speaker.letter_of(&revised(&event, 2, Phase::Update), 2),
        speaker.manifest(&manifest, 3),
        speaker.letter_of(&revised(&event, 3, Phase::End), 4),
    ];
    for order in permutations(&[0, 1, 2, 3]) {
        let folder = tempfile::tempdir().unwrap();
        let mut bench = Bench::new(folder.path(), StoreSettings::default());
        let mut through = 0;
        for place in order.iter().chain(&order) {
            let committed = bench.take(&speaker, &letters[*place]);
            through = committed.receipt.unwrap().2.through;
        }
        assert_eq!(through, 4, "{order:?}");
        let found = bench.runtime.block_on(bench.store.alert(event.id));
        let found = found.unwrap().unwrap();
        assert_eq!(found.row.revision, 3, "{order:?}");
        assert_eq!(found.row.machine.as_str(), "cleared", "{order:?}");
        assert_eq!(found.row.title.en, "revision 3", "{order:?}");
        assert_eq!(found.evidence.len(), 1, "{order:?}");
        assert_eq!(bench.alerts().len(), 1, "{order:?}");
    }
}

fn permutations(of: &[usize]) -> Vec<Vec<usize>> {
    let [] = of else {
        let first = of.iter().map(|first| {
            let rest: Vec<usize> = of.iter().copied().filter(|n| n != first).collect();
            let ends = permutations(&rest).into_iter();
            ends.map(|end| std::iter::once(*first).chain(end).collect())
                .collect::<Vec<_>>()
        });
        return first.flatten().collect();
    };
    vec![Vec::new()]
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

/// A box says where it stands whenever it connects, and the broker keeps it.
#[test]
fn a_box_that_tells_its_position_is_told_what_is_here() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let speaker = a_box("b1", 1);
    for sequence in 1..=3 {
        bench.take(&speaker, &speaker.letter(sequence, sequence));
    }
    let mut told = |outbox: Uuid, online: bool, floor: u64| {
        let mut status: serde_json::Value =
            serde_json::from_slice(&speaker.status(online)).unwrap();
        status["data"]["outbox"] = serde_json::json!({
            "id": outbox, "run": Uuid::from_u128(1), "floor": floor, "receipted": 90,
        });
        let judged = judge(
            &speaker.state_topic(),
            &status.to_string().into_bytes().into(),
            clock::now(),
            Limits::default(),
        );
        let receipt = bench.take_judged(judged).receipt;
        receipt.map(|(_, _, receipt)| (receipt.outbox, receipt.through))
    };
    let (known, unknown) = (speaker.outbox, Uuid::from_u128(77));
    assert_eq!(told(known, true, 1), Some((known, 3)));
    assert_eq!(
        told(unknown, true, 41),
        Some((unknown, 40)),
        "all it can still send"
    );
    assert_eq!(told(known, false, 1), None, "nobody is there to be told");
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

#[test]
fn nobody_rewrites_the_alert_of_another_camera_nor_adds_pictures_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let owner = a_box("b1", 1);
    let event = owner.event(1);
    bench.take(&owner, &owner.letter_of(&event, 1));
    let (of_alert, before) = (event.id, bench.alerts()[0].change);
    let other_box = a_box("b2", 2);
    let mut other_camera = owner.clone();
    other_camera.camera = protocol::CameraId::new("c9").unwrap();
    for (stranger, first) in [(other_box, 1), (other_camera, 2)] {
        let mut forged = revised(&event, 7, Phase::Update);
        (forged.box_id, forged.camera) = (stranger.box_id.clone(), stranger.camera.clone());
        let manifest = manifest_of(of_alert, [file(EvidenceRole::StillAnnotated, b"a still")]);
        let letters = [
            stranger.letter_of(&forged, first),
            stranger.manifest(&manifest, first + 1),
        ];
        for (sequence, letter) in (first..).zip(letters) {
            let committed = bench.take(&stranger, &letter);
            assert_eq!(committed.outcome, Outcome::Dead(Reason::WrongSource));
            let through = committed.receipt.unwrap().2.through;
            assert_eq!(through, sequence, "its box goes on");
            let again = bench.take(&stranger, &letter);
            assert_eq!(
                again.outcome,
                Outcome::Duplicate,
                "one dead letter is enough"
            );
        }
    }
    let detail = bench.runtime.block_on(bench.store.alert(of_alert));
    let detail = detail.unwrap().unwrap();
    assert_eq!(detail.row.change, before, "nothing changed");
    assert_eq!(detail.row.title.en, event.title.en);
    assert_eq!(detail.row.revision, 1);
    assert_eq!(detail.history.len(), 1);
    assert!(detail.evidence.is_empty());
    let dead = bench
        .runtime
        .block_on(bench.store.dead_letters(10))
        .unwrap();
    assert_eq!(dead.len(), 4);
    assert!(
        dead[0].detail.contains("/hanoi/b1/c1"),
        "{}",
        dead[0].detail
    );
    // And its own box still may.
    let update = owner.letter_of(&revised(&event, 2, Phase::Update), 4);
    assert_eq!(bench.take(&owner, &update).outcome, Outcome::Taken);
}

#[test]
fn an_outbox_at_the_end_of_all_numbers_does_not_end_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let speaker = a_box("b1", 1);
    bench.take(&speaker, &speaker.letter(1, 1));
    // As an earlier version let it happen.
    Connection::open(folder.path().join("centre.db"))
        .unwrap()
        .execute_batch(
            "UPDATE outboxes SET through = 9223372036854775807;
             INSERT INTO outbox_ahead SELECT site, box, outbox, through FROM outboxes;",
        )
        .unwrap();
    for n in [2, 3] {
        let committed = bench.take(&speaker, &speaker.letter(n, n));
        assert_eq!(committed.outcome, Outcome::Taken);
    }
    assert_eq!(bench.alerts().len(), 3);
}

#[test]
fn a_change_number_that_is_in_use_is_never_given_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let speaker = a_box("b1", 1);
    for n in 1..=3 {
        bench.take(&speaker, &speaker.letter(n, n));
    }
    Connection::open(folder.path().join("centre.db"))
        .unwrap()
        .execute("UPDATE change_counter SET value = 1", [])
        .unwrap();
    let committed = bench.take(&speaker, &speaker.letter(4, 4));
    assert_eq!(
        committed.outcome,
        Outcome::Taken,
        "not refused as a bad row"
    );
    let mut changes: Vec<i64> = bench.alerts().iter().map(|alert| alert.change).collect();
    changes.sort_unstable();
    assert_eq!(changes, [1, 2, 3, 4]);
}

#[test]
fn the_end_of_the_writer_can_be_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path(), StoreSettings::default());
    let speaker = a_box("b1", 1);
    bench.take(&speaker, &speaker.letter(1, 1));
    let store = bench.store.clone();
    let early = bench
        .runtime
        .block_on(async { tokio::time::timeout(Duration::ZERO, store.ended()).await });
    assert!(early.is_err(), "it still works");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    bench.close();
    runtime
        .block_on(async { tokio::time::timeout(DEADLINE, store.ended()).await })
        .unwrap();
}
