//! `run --record DIR`: everything that a camera's scene sees, kept as long as
//! there is room.
//!
//! Recording never hinders watching: what cannot be written is not written, is
//! said, and is tried again at the next instant at which a segment may begin.
//! What was written is readable after kill -9: an input is written before the
//! scene sees it, and handed to the system before an event of it is published.
//! A power cut may cost what the system had not yet put on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use edge_core::{Input, Output, Scene};
use flate2::write::GzEncoder;
use protocol::event::Words;
use protocol::id::{CameraId, EventId};
use protocol::{EventTime, Phase};

use super::ages::Ages;
use super::is_recording;
use super::segment::{Cut, SegmentHead};

/// How often what was written is handed to the system when nothing happens.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How long after a fault until recording is tried again.
const RETRY_AFTER: Duration = Duration::from_mins(1);
/// After this long a fault, recording begins again also where somebody is in sight.
const RESUME_AT_LEAST: Duration = Duration::from_mins(10);
/// How often what was kept for long enough is looked for.
const EXPIRY: Duration = Duration::from_mins(1);
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
    /// Segments that are being written, by camera.
    active: Mutex<BTreeMap<CameraId, PathBuf>>,
    ages: Mutex<Aging>,
}

/// When the ages of segments were last looked at.
#[derive(Debug, Default)]
struct Aging {
    ages: Option<Ages>,
    looked: Option<Instant>,
}

impl RecordStore {
    /// For so many cameras.
    pub fn new(dir: &Path, limits: Limits, cameras: usize) -> Arc<Self> {
        Arc::new(Self {
            dir: dir.to_owned(),
            limits,
            cameras: cameras.max(1) as u64,
            active: Mutex::default(),
            ages: Mutex::default(),
        })
    }

    /// A camera's share of the room, bytes.
    fn share(&self) -> u64 {
        self.limits.budget / self.cameras
    }

    /// Opens the next segment of `camera`.
    fn begin(&self, camera: &CameraId, begun: EventTime) -> std::io::Result<(PathBuf, File)> {
        let folder = self.dir.join(camera.as_str());
        std::fs::create_dir_all(&folder)?;
        let mut last = 0_u64;
        for entry in std::fs::read_dir(&folder)? {
            let name = entry?.file_name();
            let number = name.to_string_lossy();
            let number = number.split('-').next().and_then(|n| n.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        // By number, because a box's clock may be set back between two segments.
        let stamp: String = begun.to_string();
        let stamp: String = stamp.chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let stamp = stamp.split('.').next().unwrap_or(&stamp);
        let path = folder.join(format!("{:08}-{stamp}Z.inputs.jsonl.gz", last + 1));
        let file = File::options().write(true).create_new(true).open(&path)?;
        self.lock().insert(camera.clone(), path.clone());
        self.make_room();
        Ok((path, file))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<CameraId, PathBuf>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Deletes segments that ended long enough ago; looks once a minute at most.
    fn expire(&self) {
        let Some(keep) = self.limits.keep else {
            return;
        };
        let mut aging = self.ages.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = aging.looked.map(|at| at.elapsed());
        if elapsed.is_some_and(|elapsed| elapsed < EXPIRY) {
            return;
        }
        aging.looked = Some(Instant::now());
        let active: BTreeSet<PathBuf> = self.lock().values().cloned().collect();
        let ended = self.files().into_iter().map(|(_, path, _)| path);
        let ended: Vec<PathBuf> = ended
            .filter(|path| !active.contains(path))
            .filter_map(|path| path.strip_prefix(&self.dir).ok().map(Path::to_owned))
            .collect();
        let ages = aging.ages.get_or_insert_with(|| Ages::read(&self.dir));
        let old = ages.look(&ended, keep, crate::live::now(), elapsed);
        for path in old.iter().map(|path| self.dir.join(path)) {
            match std::fs::remove_file(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "recording deleted, it was kept as long as [record] keep_days says");
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "recording cannot be deleted");
                }
            }
        }
        if let Err(error) = ages.write(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), %error, "the age of recordings cannot be written; they may be kept too long");
        }
    }

    /// All segments, with when they were last written and how long they are.
    fn files(&self) -> Vec<(SystemTime, PathBuf, u64)> {
        let mut files = Vec::new();
        let folders = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for folder in folders {
            let entries = std::fs::read_dir(folder.path()).into_iter().flatten();
            for entry in entries.flatten() {
                let path = entry.path();
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                if metadata.is_file() && is_recording(&path) {
                    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    files.push((written, path, metadata.len()));
                }
            }
        }
        files
    }

    /// Deletes the oldest segments that nobody writes, until the rest fits.
    fn make_room(&self) {
        let active = self.lock();
        let mut files = self.files();
        files.sort();
        let mut total: u64 = files.iter().map(|(.., bytes)| bytes).sum();
        for (_, path, bytes) in files {
            if total <= self.limits.budget {
                return;
            }
            if active.values().any(|written| *written == path) {
                continue;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), bytes, "oldest recording deleted for room");
                    total -= bytes;
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "recording cannot be deleted");
                }
            }
        }
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

    fn end(self) -> std::io::Result<()> {
        let mut buffer = self.sink.finish()?;
        buffer.flush()?;
        let counted = buffer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        counted.file.sync_data()
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
        // Here, because it is asked also while nothing can be recorded.
        self.store.expire();
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
        let made = self
            .store
            .begin(&self.camera, head.begun)
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
            self.store.make_room();
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
            if let Err(error) = segment.end() {
                tracing::warn!(path = %path.display(), %error, "the end of a recording is not on disk");
                self.counters.failures += 1;
            }
        }
        self.store.lock().remove(&self.camera);
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
        self.trouble = Some(words(error));
        self.counters.failures += 1;
        let now = Instant::now();
        let since = self.fault.map_or(now, |(since, _)| since);
        self.fault = Some((since, now + RETRY_AFTER));
        if let Some(segment) = self.segment.take() {
            self.earlier_bytes += segment.bytes();
            // Its end would be written as well; dropping it tries and gives up silently.
            drop(segment);
        }
        self.store.lock().remove(&self.camera);
    }
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
        let store = RecordStore::new(dir, limits, 1);
        Recorder::new(store, CameraId::new("c").unwrap())
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
        let mut recorder = recorder(dir.path(), limits);
        let scene = scene();
        for _ in 0..12 {
            recorder.begin(&head(&scene, Cut::Quiescent));
            recorder.note(&Input::Tick(EventTime::from_micros(1)));
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
            let mut recorder = recorder(dir.path(), limits(keep));
            for _ in 0..segments {
                recorder.begin(&head(&scene, Cut::Quiescent));
            }
            // The last one is being written.
            assert_eq!(recorder.due(&scene), Some(Cut::Quiescent));
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

    #[test]
    fn a_segment_that_grows_too_long_is_cut_at_a_calm_moment_then_at_any() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            usual: Duration::from_hours(1),
            longest: Duration::from_millis(200),
            ..USUAL
        };
        let mut recorder = recorder(dir.path(), limits);
        let scene = scene();
        recorder.begin(&head(&scene, Cut::Start));
        assert_eq!(recorder.due(&scene), None);
        std::thread::sleep(Duration::from_millis(110));
        assert_eq!(recorder.due(&scene), Some(Cut::Calm));
        recorder
            .open
            .insert("c9d8b87e-32f2-5469-978d-0293e1c17075".parse().unwrap());
        assert_eq!(recorder.due(&scene), None);
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(recorder.due(&scene), Some(Cut::Forced));
    }
}
