//! What is recorded as it lies in the folder, with the keeper worked by hand.

use std::path::{Path, PathBuf};

use protocol::EventTime;

use super::*;
use crate::recording::keeper::Keeper;
use crate::recording::{Entry, RecordingReader};

const USUAL: Limits = Limits {
    budget: 1 << 30,
    keep: None,
    usual: Duration::ZERO,
    longest: Duration::from_hours(1),
};

fn head(scene: &Scene, cut: Cut) -> SegmentHead {
    let identity = scene.identity();
    SegmentHead {
        site: identity.site.clone(),
        box_id: identity.box_id.clone(),
        camera: identity.camera.clone(),
        begun: EventTime::from_micros(1_790_000_000_000_000),
        cut,
        aspect: 1.5,
        provenance: identity.provenance.clone(),
        classes: None,
        cascades: None,
        state: scene.state(),
    }
}

fn scene() -> Scene {
    let identity = edge_core::Identity {
        site: protocol::SiteId::new("s").unwrap(),
        box_id: protocol::BoxId::new("b").unwrap(),
        camera: CameraId::new("c").unwrap(),
        place: None,
        simulated: false,
        provenance: protocol::event::Provenance::default(),
    };
    Scene::new(identity, edge_core::SceneConfig::default(), None).unwrap()
}

fn recorder(dir: &Path, limits: Limits) -> Recorder {
    kept(dir, limits).0
}

/// With who looks after the folder, by hand.
fn kept(dir: &Path, limits: Limits) -> (Recorder, Keeper) {
    let (store, keeper) = RecordStore::new(dir, limits, 1);
    (Recorder::new(store, CameraId::new("c").unwrap()), keeper)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    crate::recording::series(dir, None).unwrap()
}

fn entries(path: &Path) -> (Vec<Entry>, bool) {
    let mut reader = RecordingReader::open(path).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        entries.push(entry);
    }
    (entries, reader.is_cut())
}

#[test]
fn what_was_flushed_is_readable_though_the_process_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = recorder(dir.path(), USUAL);
    let scene = scene();
    assert_eq!(recorder.due(&scene), Some(Cut::Start));
    recorder.begin(&head(&scene, Cut::Start));
    let input = Input::Tick(EventTime::from_micros(1));
    recorder.note(&input);
    if let Some(segment) = &mut recorder.segment {
        segment.flush().unwrap();
    }
    recorder.note(&Input::Tick(EventTime::from_micros(2)));
    // As kill -9 leaves it: no end, and nothing that was not flushed.
    std::mem::forget(recorder);
    let files = files(dir.path());
    let (found, is_cut) = entries(&files[0]);
    assert!(is_cut);
    assert_eq!(found[0], Entry::Segment(Box::new(head(&scene, Cut::Start))));
    assert_eq!(found[1], Entry::Input(input));
    assert_eq!(found.len(), 2);
    // Every shorter remnant is readable, too, once its head is.
    let whole = std::fs::read(&files[0]).unwrap();
    let cut = dir.path().join("c").join("00000009-cut.inputs.jsonl.gz");
    let mut read = 0;
    for length in 20..whole.len() {
        std::fs::write(&cut, &whole[..length]).unwrap();
        let mut reader = RecordingReader::open(&cut).unwrap();
        while let Ok(Some(_)) = reader.next_entry() {
            read += 1;
        }
    }
    assert!(read > 0);
}

#[test]
fn the_oldest_segments_make_room_but_never_the_one_that_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        budget: 1500,
        ..USUAL
    };
    let (mut recorder, mut keeper) = kept(dir.path(), limits);
    let scene = scene();
    for _ in 0..12 {
        recorder.begin(&head(&scene, Cut::Quiescent));
        recorder.note(&Input::Tick(EventTime::from_micros(1)));
        keeper.step();
    }
    recorder.finish();
    let left = files(dir.path());
    let bytes: u64 = left.iter().map(|f| f.metadata().unwrap().len()).sum();
    assert!(left.len() >= 2 && left.len() < 12, "{left:?}");
    assert!(bytes <= 1500 + 1000, "{bytes}");
    let newest = left.last().unwrap().to_string_lossy().into_owned();
    assert!(newest.contains("00000012-20260921T"), "{newest}");
    assert_eq!(recorder.counters().segments, 12);
}

#[test]
fn what_was_kept_long_enough_goes_however_much_room_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let scene = scene();
    let limits = |keep| Limits {
        keep: Some(keep),
        ..USUAL
    };
    let record = |keep, segments| {
        let (mut recorder, mut keeper) = kept(dir.path(), limits(keep));
        for _ in 0..segments {
            recorder.begin(&head(&scene, Cut::Quiescent));
        }
        // The last one is being written.
        assert_eq!(recorder.due(&scene), Some(Cut::Quiescent));
        keeper.step();
        files(dir.path()).len()
    };
    assert_eq!(record(Duration::from_hours(24), 3), 3);
    assert_eq!(
        record(Duration::ZERO, 1),
        1,
        "all but the one that is written"
    );
    let ages = std::fs::read_to_string(dir.path().join("ages.json")).unwrap();
    assert!(ages.contains("c/00000003-"), "{ages}");
    assert!(!ages.contains("c/00000004-"), "{ages}");
}

/// The first scene that came by looked at all files of all cameras, once a minute, and
/// the others waited for it.
#[test]
fn who_records_leaves_to_the_keeper_what_takes_as_long_as_the_disk_does() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        budget: 1,
        keep: Some(Duration::ZERO),
        ..USUAL
    };
    let (mut recorder, mut keeper) = kept(dir.path(), limits);
    let scene = scene();
    for _ in 0..3 {
        recorder.begin(&head(&scene, Cut::Quiescent));
        recorder.note(&Input::Tick(EventTime::from_micros(1)));
        recorder.due(&scene);
    }
    assert_eq!(files(dir.path()).len(), 3);
    assert!(!dir.path().join("ages.json").exists());
    keeper.step();
    assert_eq!(
        files(dir.path()).len(),
        1,
        "all but the one that is written"
    );
    // Nor does anybody wait where nobody looks after the folder.
    for _ in 0..200 {
        recorder.begin(&head(&scene, Cut::Quiescent));
    }
    assert!(recorder.counters().is_recording);
    let named = files(dir.path()).pop().unwrap();
    assert!(named.to_string_lossy().contains("/00000203-"), "{named:?}");
}

/// It ends with those that record, when all that ended is on the disk.
#[test]
fn the_keeper_goes_when_nobody_records_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { budget: 1, ..USUAL };
    let (mut recorder, keeper) = kept(dir.path(), limits);
    let thread = keeper.start(()).unwrap();
    let scene = scene();
    for _ in 0..3 {
        recorder.begin(&head(&scene, Cut::Quiescent));
    }
    drop(recorder);
    thread.join().unwrap();
    let left = std::fs::read_dir(dir.path().join("c")).unwrap();
    assert!(left.count() <= 1);
}

#[test]
fn a_folder_that_cannot_be_written_stops_recording_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut recorder = recorder(&file, USUAL);
    let scene = scene();
    recorder.begin(&head(&scene, Cut::Start));
    recorder.note(&Input::Tick(EventTime::from_micros(1)));
    recorder.heard(&[]);
    let counters = recorder.counters();
    assert!(!counters.is_recording && counters.failures == 1);
    let trouble = recorder.trouble().unwrap();
    assert!(trouble.en.contains("[record] dir"), "{}", trouble.en);
    let full = trouble::of(&std::io::Error::from(std::io::ErrorKind::StorageFull));
    assert!(full.en.contains("the disk is full"), "{}", full.en);
    assert_eq!(recorder.due(&scene), None, "tried again at once");
}

impl Recorder {
    /// As if the segment had been begun so long ago.
    fn began(&mut self, ago: Duration) {
        let begun = Instant::now().checked_sub(ago).unwrap();
        self.segment.as_mut().unwrap().begun = begun;
    }
}

#[test]
fn a_segment_that_grows_too_long_is_cut_at_a_calm_moment_then_at_any() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        usual: Duration::from_hours(1),
        longest: Duration::from_secs(200),
        ..USUAL
    };
    let mut recorder = recorder(dir.path(), limits);
    let scene = scene();
    recorder.begin(&head(&scene, Cut::Start));
    assert_eq!(recorder.due(&scene), None);
    recorder.began(Duration::from_secs(110));
    assert_eq!(recorder.due(&scene), Some(Cut::Calm));
    recorder
        .open
        .insert("c9d8b87e-32f2-5469-978d-0293e1c17075".parse().unwrap());
    assert_eq!(recorder.due(&scene), None);
    recorder.began(Duration::from_secs(201));
    assert_eq!(recorder.due(&scene), Some(Cut::Forced));
}

/// Its thread had ended by a panic, nobody heard of it, and recordings filled the disk.
#[test]
fn nothing_is_recorded_once_nobody_deletes_the_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let (store, keeper) = RecordStore::new(dir.path(), USUAL, 1);
    let (held, heard) = crossbeam_channel::bounded::<()>(0);
    let thread = keeper.start_to(|_, _| panic!("a fault"), held).unwrap();
    let mut recorder = Recorder::new(store, CameraId::new("c").unwrap());
    recorder.begin(&head(&scene(), Cut::Start));
    assert!(recorder.counters().is_recording);
    assert!(thread.join().is_err());
    // What the thread held has heard of its end.
    assert!(heard.try_recv().is_err_and(|error| error.is_disconnected()));
    recorder.begin(&head(&scene(), Cut::Quiescent));
    assert!(!recorder.counters().is_recording);
    let told = &recorder.trouble().unwrap().en;
    assert!(told.contains("restart the agent"), "{told}");
}
