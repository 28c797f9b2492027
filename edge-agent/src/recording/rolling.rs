//! `run --record DIR`: everything that a camera's scene sees, kept as long as
//! there is room.
//!
//! Recording never hinders watching: what cannot be written is not written, is
//! said, and is tried again at the next instant at which a segment may begin. What
//! takes long is done by the [`Keeper`].
//! What was written is readable after kill -9: an input is written before the
//! scene sees it, and handed to the system before an event of it is published.
//! A power cut may cost what the system had not yet put on the disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use edge_core::{Input, Output, Scene};
use flate2::write::GzEncoder;
use protocol::event::Words;
use protocol::id::{CameraId, EventId};
use protocol::{EventTime, Phase};

use super::keeper::{Active, Chore, Fallen, Keeper};
use super::segment::{Cut, SegmentHead};

/// How often what was written is handed to the system when nothing happens.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How long after a fault until recording is tried again.
const RETRY_AFTER: Duration = Duration::from_mins(1);
/// After this long a fault, recording begins again also where somebody is in sight.
const RESUME_AT_LEAST: Duration = Duration::from_mins(10);
/// Room is looked after whenever this much more was written.
const LOOK_AFTER_BYTES: u64 = 4 * 1024 * 1024;

/// How long segments are, and how much room all of them have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Room for all cameras together, bytes.
    pub budget: u64,
    /// How long a segment is kept after its end; `None`: as long as there is room.
    pub keep: Option<Duration>,
    /// A segment is ended at a quiescent instant from this age on.
    pub usual: Duration,
    /// A segment is ended at any cost at this age.
    pub longest: Duration,
}

/// The folder of all cameras' segments, and its budget.
#[derive(Debug)]
pub struct RecordStore {
    dir: PathBuf,
    limits: Limits,
    cameras: u64,
    active: Active,
    /// What takes as long as the disk does.
    chores: Sender<Chore>,
    keeper_has_fallen: Fallen,
}

impl RecordStore {
    /// For so many cameras, and who looks after what they write.
    pub fn new(dir: &Path, limits: Limits, cameras: usize) -> (Arc<Self>, Keeper) {
        let active = Active::default();
        let (chores, keeper_has_fallen, keeper) = Keeper::new(dir, limits, &active);
        let store = Self {
            dir: dir.to_owned(),
            limits,
            cameras: cameras.max(1) as u64,
            active,
            chores,
            keeper_has_fallen,
        };
        (Arc::new(store), keeper)
    }

    /// A camera's share of the room, bytes.
    fn share(&self) -> u64 {
        self.limits.budget / self.cameras
    }

    /// The number of the newest segment of `camera`, 0 where there is none.
    fn newest(&self, camera: &CameraId) -> std::io::Result<u64> {
        let folder = self.dir.join(camera.as_str());
        std::fs::create_dir_all(&folder)?;
        let mut last = 0_u64;
        for entry in std::fs::read_dir(&folder)? {
            let name = entry?.file_name();
            let number = name.to_string_lossy();
            let number = number.split('-').next().and_then(|n| n.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(last)
    }

    /// Opens the next segment of `camera`.
    fn begin(
        &self,
        camera: &CameraId,
        number: u64,
        begun: EventTime,
    ) -> std::io::Result<(PathBuf, File)> {
        self.must_be_kept()?;
        // By number, because a box's clock may be set back between two segments.
        let stamp: String = begun.to_string();
        let stamp: String = stamp.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let stamp = stamp.split('.').next().unwrap_or(&stamp);
        let folder = self.dir.join(camera.as_str());
        let path = folder.join(format!("{number:08}-{stamp}Z.inputs.jsonl.gz"));
        // First, so that a file is never there of which nobody knows that it is written.
        self.active.lock().insert(camera.clone(), path.clone());
        let file = File::options().write(true).create_new(true).open(&path)?;
        self.ask(Chore::MakeRoom);
        Ok((path, file))
    }

    /// Nobody may fill the disk that outbox and evidence need as well.
    fn must_be_kept(&self) -> std::io::Result<()> {
        if self.keeper_has_fallen.is_set() {
            return Err(std::io::Error::other(
                "what deletes the oldest recordings has ended by a fault of the agent; restart the agent \
                 and report its log",
            ));
        }
        Ok(())
    }

    /// Never waits; a chore for which there is no room is not missed.
    fn ask(&self, chore: Chore) {
        self.chores.try_send(chore).ok();
    }
}

/// The segment that is being written.
struct Segment {
    path: PathBuf,
    sink: GzEncoder<BufWriter<Counted>>,
    begun: Instant,
    flushed: Instant,
    is_dirty: bool,
    looked_after: u64,
}

/// A file that knows how much was written to it.
struct Counted {
    file: File,
    bytes: u64,
}

impl Write for Counted {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(data)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Segment {
    fn bytes(&self) -> u64 {
        self.sink.get_ref().get_ref().bytes
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.is_dirty = true;
        self.sink.write_all(line)
    }

    /// Whatever was written can be read from now on.
    fn flush(&mut self) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_dirty) {
            self.sink.flush()?;
        }
        self.flushed = Instant::now();
        Ok(())
    }

    /// What is still to be put on the disk.
    fn end(self) -> std::io::Result<Chore> {
        let mut buffer = self.sink.finish()?;
        buffer.flush()?;
        let counted = buffer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        Ok(Chore::Ended(self.path, counted.file))
    }
}

/// How a camera's recording goes, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecorderCounters {
    /// Whether inputs are being recorded now.
    pub is_recording: bool,
    /// Bytes written.
    pub bytes: u64,
    /// Segments begun.
    pub segments: u64,
    /// Cuts that ended something that went on.
    pub forced: u64,
    /// Times that recording stopped because it could not be written.
    pub failures: u64,
}

/// Records one camera.
pub struct Recorder {
    store: Arc<RecordStore>,
    camera: CameraId,
    segment: Option<Segment>,
    /// Since when it cannot be written, and when to try again.
    fault: Option<(Instant, Instant)>,
    /// Why it cannot be written.
    trouble: Option<Words>,
    /// Of its newest segment, where that is known.
    number: Option<u64>,
    /// Events that go on.
    open: BTreeSet<EventId>,
    counters: RecorderCounters,
    /// Bytes of the segments before.
    earlier_bytes: u64,
}

impl Recorder {
    /// Records nothing until [`begin`](Self::begin).
    pub fn new(store: Arc<RecordStore>, camera: CameraId) -> Self {
        Self {
            store,
            camera,
            segment: None,
            number: None,
            fault: None,
            trouble: None,
            open: BTreeSet::new(),
            counters: RecorderCounters::default(),
            earlier_bytes: 0,
        }
    }

    /// How it goes.
    pub fn counters(&self) -> RecorderCounters {
        RecorderCounters {
            is_recording: self.segment.is_some(),
            bytes: self.earlier_bytes + self.segment.as_ref().map_or(0, Segment::bytes),
            ..self.counters
        }
    }

    /// Why inputs are not recorded, and what to do; `None` when nothing is wrong.
    pub fn trouble(&self) -> Option<&Words> {
        self.trouble.as_ref()
    }

    /// Whether nothing was recorded yet.
    pub fn is_new(&self) -> bool {
        self.segment.is_none() && self.fault.is_none()
    }

    /// Whether the segment should end here, and how.
    pub fn due(&self, scene: &Scene) -> Option<Cut> {
        let Some(segment) = &self.segment else {
            let now = Instant::now();
            let (since, again) = self.fault.unwrap_or((now, now));
            // A busy road is never quiescent; then a moment without events has to do.
            let is_long = now - since >= RESUME_AT_LEAST && self.open.is_empty();
            let may = now >= again && (scene.is_quiescent() || is_long);
            let cut = if self.fault.is_some() {
                Cut::Resumed
            } else {
                Cut::Start
            };
            return may.then_some(cut);
        };
        let (limits, share) = (&self.store.limits, self.store.share());
        let (age, bytes) = (segment.begun.elapsed(), segment.bytes());
        if age >= limits.longest || bytes >= share / 2 {
            return Some(Cut::Forced);
        }
        let is_long = age >= limits.longest / 2 || bytes >= share / 4;
        if is_long && self.open.is_empty() {
            return Some(Cut::Calm);
        }
        let is_usual = age >= limits.usual || bytes >= share / 16;
        (is_usual && scene.is_quiescent()).then_some(Cut::Quiescent)
    }

    /// Ends the segment at hand and begins the next with `head`.
    pub fn begin(&mut self, head: &SegmentHead) {
        self.finish();
        let (store, camera) = (&self.store, &self.camera);
        // Once: there may be thousands.
        let last = self.number.map_or_else(|| store.newest(camera), Ok);
        let made = last
            .and_then(|last| {
                self.number = Some(last + 1);
                store.begin(camera, last + 1, head.begun)
            })
            .and_then(|(path, file)| {
                let counted = Counted { file, bytes: 0 };
                let level = flate2::Compression::default();
                let mut segment = Segment {
                    path,
                    sink: GzEncoder::new(BufWriter::new(counted), level),
                    begun: Instant::now(),
                    flushed: Instant::now(),
                    is_dirty: false,
                    looked_after: 0,
                };
                segment.write(&head.line()?)?;
                segment.flush()?;
                Ok(segment)
            });
        match made {
            Ok(segment) => {
                tracing::debug!(camera = %self.camera, path = %segment.path.display(), cut = ?head.cut, "recording");
                self.trouble = None;
                if self.fault.take().is_some() {
                    tracing::info!(camera = %self.camera, "inputs are recorded again");
                }
                self.counters.segments += 1;
                self.counters.forced += u64::from(head.cut == Cut::Forced);
                self.segment = Some(segment);
            }
            Err(error) => self.fail(&error),
        }
    }

    /// Takes an input, before the scene sees it.
    pub fn note(&mut self, input: &Input) {
        let Some(segment) = &mut self.segment else {
            return;
        };
        let line = serde_json::to_vec(input).map_err(std::io::Error::from);
        let written = line.and_then(|mut line| {
            line.push(b'\n');
            segment.write(&line)?;
            if segment.flushed.elapsed() >= FLUSH_EVERY {
                segment.flush()?;
            }
            Ok(())
        });
        if let Err(error) = written {
            return self.fail(&error);
        }
        if segment.bytes() >= segment.looked_after + LOOK_AFTER_BYTES {
            segment.looked_after = segment.bytes();
            self.store.ask(Chore::MakeRoom);
            if let Err(error) = self.store.must_be_kept() {
                self.fail(&error);
            }
        }
    }

    /// Takes what the scene said to it, before anything of it is published.
    pub fn heard(&mut self, outputs: &[Output]) {
        let mut is_event = false;
        for output in outputs {
            if let Output::Event(event) = output {
                is_event = true;
                match event.phase {
                    Phase::Start if event.ended.is_none() => {
                        self.open.insert(event.id);
                    }
                    Phase::End => {
                        self.open.remove(&event.id);
                    }
                    Phase::Start | Phase::Update => {}
                }
            }
        }
        if is_event
            && let Some(segment) = &mut self.segment
            && let Err(error) = segment.flush()
        {
            self.fail(&error);
        }
    }

    /// Ends the segment at hand.
    pub fn finish(&mut self) {
        if let Some(segment) = self.segment.take() {
            self.earlier_bytes += segment.bytes();
            let path = segment.path.clone();
            match segment.end() {
                Ok(ended) => self.store.ask(ended),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the end of a recording is not on disk");
                    self.counters.failures += 1;
                }
            }
        }
        self.store.active.lock().remove(&self.camera);
    }

    /// Nothing more is recorded until a segment can begin again; watching goes on.
    fn fail(&mut self, error: &std::io::Error) {
        if self.fault.is_none() {
            tracing::error!(
                camera = %self.camera, dir = %self.store.dir.display(), %error,
                "inputs are not recorded: give the disk room or correct [record] dir; watching \
                 goes on, and recording is tried again every minute"
            );
        }
        self.trouble = Some(if self.store.keeper_has_fallen.is_set() {
            no_keeper()
        } else {
            words(error)
        });
        self.counters.failures += 1;
        let now = Instant::now();
        let since = self.fault.map_or(now, |(since, _)| since);
        self.fault = Some((since, now + RETRY_AFTER));
        if let Some(segment) = self.segment.take() {
            self.earlier_bytes += segment.bytes();
            // Its end would be written as well; dropping it tries and gives up silently.
            drop(segment);
        }
        self.number = None;
        self.store.active.lock().remove(&self.camera);
    }
}

/// For the camera's status: what deletes the oldest recordings is gone.
fn no_keeper() -> Words {
    Words::new(
        "không ghi dữ liệu vì phần dọn bản ghi đã dừng do lỗi chương trình; gửi nhật ký và khởi động lại hộp",
        "inputs are not recorded, because what deletes the oldest recordings has ended by a fault of this \
         program; restart the agent and report its log",
    )
}

/// For the camera's status.
fn words(error: &std::io::Error) -> Words {
    use std::io::ErrorKind;
    let (vi, en, what_to_do) = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            "đĩa đầy; hãy giải phóng đĩa hoặc giảm [record] budget",
            "the disk is full".to_owned(),
            "free disk space, or lower [record] budget",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            "không có quyền ghi; hãy kiểm tra [record] dir",
            "its folder may not be written".to_owned(),
            "correct [record] dir, or let the agent's user write it",
        ),
        _ => (
            "không ghi được; hãy kiểm tra đĩa và [record] dir",
            error.to_string(),
            "check the disk and [record] dir",
        ),
    };
    Words::new(
        format!("Dữ liệu đầu vào không được ghi lại: {vi}. Camera vẫn được theo dõi"),
        format!("inputs are not recorded: {en}; {what_to_do}. Watching goes on"),
    )
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.finish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let full = words(&std::io::Error::from(std::io::ErrorKind::StorageFull));
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
}
