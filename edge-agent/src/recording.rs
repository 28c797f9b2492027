//! Recorded inputs of a scene: JSON lines of [`edge_core::Input`], plain or `.gz`,
//! after a line that says which detector saw them ([`RecordingHead`]).
//!
//! The same file serves replay (as fast as possible, byte-identical events)
//! and a simulated camera (in real time, again and again). Replay reads line by
//! line, whatever the length; a camera keeps the whole recording in memory, so
//! there a recording of more than 512 MiB of text is refused.

mod ages;
pub mod head;
pub mod keeper;
pub mod rolling;
pub mod segment;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use edge_core::Input;
use protocol::EventTime;
use protocol::id::CascadeId;

use crate::draft::{self, Draft};
use crate::scene_setup::DetectorIdentity;
pub use head::RecordingHead;
pub use segment::{Cut, SegmentHead, series};

/// Longest line that is read. A frame with a thousand objects has 100 kB.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Most text that is kept for playing: some hours of a busy junction.
const MAX_KEPT_BYTES: u64 = 512 * 1024 * 1024;

/// Why a recording cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file itself.
    #[error("recording {path}: {error}; {}", next_step(path, error))]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It cannot be read on from a line.
    #[error("recording {path}, line {line}: {error}; {}", next_step(path, error))]
    Within {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What the system says.
        error: std::io::Error,
    },
    /// It could not be written.
    #[error(
        "recording {path} cannot be written: {error}; check that its folder exists, may be \
         written by you and has room"
    )]
    NotWritten {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// Too long to be kept in memory.
    #[error(
        "recording {path} has more than {} MiB of text, too much to play as a camera; record a \
         shorter clip (`edge-agent replay` reads recordings of any length)",
        limit / (1024 * 1024)
    )]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// Bytes that are allowed.
        limit: u64,
    },
    /// A line that is not an input.
    #[error(
        "recording {path}, line {line}: not an input of a scene: {reason}; {}",
        again(path)
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder of several cameras, or of none.
    #[error("{path} is not the recordings of one camera; {}", which(names))]
    Which {
        /// Which folder.
        path: PathBuf,
        /// Cameras that have recordings in it.
        names: Vec<String>,
    },
    /// Nothing in it.
    #[error("recording {path} has no detections in it; there is nothing to play")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

/// What somebody with this file can do about it.
fn next_step(path: &Path, error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound if is_segment_name(path) => {
            "correct the path; or the oldest recordings were deleted for room, see [record] budget"
        }
        ErrorKind::NotFound if !is_recording(path) => {
            "correct the path: a recording, or the folder that `edge-agent run --record` writes"
        }
        ErrorKind::NotFound => {
            "correct the path, or make it with `edge-agent replay CLIP --record-inputs FILE`"
        }
        ErrorKind::PermissionDenied => "let the agent's user read it",
        ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            "it is cut, damaged or not what its name says; copy or make it again"
        }
        _ => "check that it is a file and that its disk is sound",
    }
}

/// Where another one comes from.
fn again(path: &Path) -> &'static str {
    if is_segment_name(path) {
        "it is damaged and cannot be made again; copy it anew, or replay its whole folder, which \
         leaves damaged recordings out"
    } else {
        "make it again with `edge-agent replay CLIP --record-inputs FILE`"
    }
}

/// Whether it is called as `run --record` calls its files: `00000042-20261126T…`.
fn is_segment_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = name.split_once('-').map_or("", |(number, _)| number);
    is_recording(path) && number.len() == 8 && number.bytes().all(|b| b.is_ascii_digit())
}

fn which(names: &[String]) -> String {
    if names.is_empty() {
        return "there are no .jsonl or .jsonl.gz files in it; give the folder that \
                `edge-agent run --record` writes, or a file"
            .to_owned();
    }
    format!("add --camera, one of: {}", names.join(", "))
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// Whether `path` is a recording by its name; also an unfinished one, `.part`.
pub fn is_recording(path: &Path) -> bool {
    let path = draft::without_part(path);
    let inner = if has_extension(&path, "gz") {
        path.with_extension("")
    } else {
        path
    };
    has_extension(&inner, "jsonl")
}

fn is_compressed(path: &Path) -> bool {
    has_extension(&draft::without_part(path), "gz")
}

/// Who saw what is recorded, as far as the recording says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenBy {
    /// The detector.
    pub detector: Option<DetectorIdentity>,
    /// The cascades that were at work.
    pub cascades: Option<Vec<CascadeId>>,
}

/// A line of a recording.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// This detector saw what follows.
    Head(RecordingHead),
    /// A segment begins: a new scene goes on with its state.
    Segment(Box<SegmentHead>),
    /// The scene saw this.
    Input(Input),
}

/// Reads a recording, line by line.
pub struct RecordingReader {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    line: usize,
    /// Text read so far, decompressed.
    bytes: u64,
    text: String,
    /// Whether it is a segment, which a power cut may have left without its end.
    is_segment: bool,
    is_cut: bool,
}

impl RecordingReader {
    /// Opens `path`.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(|error| RecordingError::File {
            path: path.to_owned(),
            error,
        })?;
        let lines: Box<dyn BufRead + Send> = if is_compressed(path) {
            Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::new(file))
        };
        Ok(Self {
            path: path.to_owned(),
            lines,
            line: 0,
            bytes: 0,
            text: String::new(),
            is_segment: false,
            is_cut: false,
        })
    }

    /// Whether it was found to have no proper end: a segment of an agent that was
    /// killed while it wrote, or a plain file whose last line is cut. What was
    /// read until then is whole.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The next input, in whatever segment; `None` at the end.
    pub fn next_input(&mut self) -> Result<Option<Input>, RecordingError> {
        loop {
            match self.next_entry()? {
                Some(Entry::Input(input)) => return Ok(Some(input)),
                Some(Entry::Segment(_) | Entry::Head(_)) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next line; `None` at the end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        match self.read_entry() {
            Ok(entry) => Ok(entry),
            Err(RecordingError::Within { error, .. })
                if self.is_segment && error.kind() == std::io::ErrorKind::UnexpectedEof =>
            {
                self.is_cut = true;
                Ok(None)
            }
            // A plain file: its last line has no end. A file of nothing but such a
            // line is something else.
            Err(RecordingError::Line { .. })
                if (self.is_segment || self.line > 1) && !self.text.ends_with('\n') =>
            {
                self.is_cut = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read_entry(&mut self) -> Result<Option<Entry>, RecordingError> {
        if self.is_cut {
            return Ok(None);
        }
        loop {
            self.text.clear();
            self.line += 1;
            let mut limited = std::io::Read::take(&mut self.lines, MAX_LINE_BYTES as u64);
            let read =
                limited
                    .read_line(&mut self.text)
                    .map_err(|error| RecordingError::Within {
                        path: self.path.clone(),
                        line: self.line,
                        error,
                    })?;
            if read == 0 {
                return Ok(None);
            }
            self.bytes += read as u64;
            if read == MAX_LINE_BYTES && !self.text.ends_with('\n') {
                let limit = MAX_LINE_BYTES / (1024 * 1024);
                return Err(self.not_an_input(format!("it has more than {limit} MiB")));
            }
            let text = self.text.trim();
            if text.is_empty() {
                continue;
            }
            let entry = if text.starts_with(segment::MARK) {
                self.is_segment = true;
                SegmentHead::parse(text)
                    .map(|head| Entry::Segment(Box::new(head)))
                    .map_err(|error| error.to_string())
            } else if text.starts_with(head::MARK) {
                RecordingHead::parse(text).map(Entry::Head)
            } else {
                serde_json::from_str(text)
                    .map(Entry::Input)
                    .map_err(|error| error.to_string())
            };
            return entry.map(Some).map_err(|error| self.not_an_input(error));
        }
    }

    fn not_an_input(&self, reason: String) -> RecordingError {
        RecordingError::Line {
            path: self.path.clone(),
            line: self.line,
            reason,
        }
    }

    /// Who saw what is recorded in `path`, as far as its head says it.
    pub fn seen_by(path: &Path) -> Result<SeenBy, RecordingError> {
        Ok(match Self::open(path)?.next_entry()? {
            Some(Entry::Head(head)) => SeenBy {
                detector: Some(head.detector()),
                cascades: head.cascades,
            },
            Some(Entry::Segment(head)) => SeenBy {
                detector: head.detector(),
                cascades: head.cascades,
            },
            Some(Entry::Input(_)) | None => SeenBy::default(),
        })
    }

    /// Everything that is left, for playing: at most 512 MiB of text.
    pub fn read_all(self) -> Result<Vec<Input>, RecordingError> {
        let mut inputs = Vec::new();
        self.each(MAX_KEPT_BYTES, |input| inputs.push(input))?;
        Ok(inputs)
    }

    /// How many inputs [`read_all`](Self::read_all) would give, or its error;
    /// keeps none of them.
    pub fn count(self) -> Result<usize, RecordingError> {
        let mut inputs = 0;
        self.each(MAX_KEPT_BYTES, |_| inputs += 1)?;
        Ok(inputs)
    }

    fn each(mut self, limit: u64, mut take: impl FnMut(Input)) -> Result<(), RecordingError> {
        let mut has_detections = false;
        while let Some(input) = self.next_input()? {
            if self.bytes > limit {
                let path = self.path;
                return Err(RecordingError::TooLong { path, limit });
            }
            has_detections |= matches!(input, Input::Detections(_));
            take(input);
        }
        if self.is_cut {
            let path = self.path.display();
            tracing::warn!(%path, "the recording's last line is cut; it is played as far as it goes");
        }
        if has_detections {
            Ok(())
        } else {
            Err(RecordingError::Empty { path: self.path })
        }
    }
}

/// Writes a recording; compressed when the name ends in `.gz`. It has its name
/// only after [`finish`](Self::finish), and is called `NAME.part` until then.
pub struct RecordingWriter {
    path: PathBuf,
    draft: Draft,
    sink: Sink,
    is_empty: bool,
}

enum Sink {
    Plain(BufWriter<File>),
    Compressed(flate2::write::GzEncoder<BufWriter<File>>),
}

impl Sink {
    fn end(self) -> std::io::Result<()> {
        match self {
            Self::Plain(mut sink) => sink.flush(),
            Self::Compressed(sink) => sink.finish().and_then(|mut sink| sink.flush()),
        }
    }
}

impl RecordingWriter {
    /// Starts the recording that is to be called `path`.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        let (draft, file) = Draft::create(path).map_err(|error| not_written(path, error))?;
        let file = BufWriter::new(file);
        let sink = if is_compressed(path) {
            let level = flate2::Compression::default();
            Sink::Compressed(flate2::write::GzEncoder::new(file, level))
        } else {
            Sink::Plain(file)
        };
        Ok(Self {
            path: path.to_owned(),
            draft,
            sink,
            is_empty: true,
        })
    }

    /// What it is to be called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing has been written so far.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Says first of all which detector sees what will be recorded, and which cascades,
    /// where that is known.
    pub fn begin(
        &mut self,
        detector: &DetectorIdentity,
        cascades: Option<&[CascadeId]>,
    ) -> Result<(), RecordingError> {
        self.add(RecordingHead::of(detector, cascades).line())
    }

    /// Adds one input.
    pub fn write(&mut self, input: &Input) -> Result<(), RecordingError> {
        self.add(serde_json::to_vec(input))
    }

    fn add(&mut self, line: serde_json::Result<Vec<u8>>) -> Result<(), RecordingError> {
        self.is_empty = false;
        let line = line.map_err(std::io::Error::from);
        let written = line.and_then(|mut line| {
            line.push(b'\n');
            match &mut self.sink {
                Sink::Plain(sink) => sink.write_all(&line),
                Sink::Compressed(sink) => sink.write_all(&line),
            }
        });
        written.map_err(|error| not_written(&self.path, error))
    }

    /// All is written: the recording gets its name.
    pub fn finish(self) -> Result<(), RecordingError> {
        let Self {
            path, draft, sink, ..
        } = self;
        sink.end()
            .and_then(|()| draft.keep())
            .map_err(|error| not_written(&path, error))
    }

    /// Not all was written: what was stays readable as `NAME.part`; where that is.
    pub fn leave_unfinished(self) -> Result<PathBuf, RecordingError> {
        let Self {
            path, draft, sink, ..
        } = self;
        sink.end().map_err(|error| not_written(&path, error))?;
        Ok(draft.leave())
    }

    /// Nothing was written: nothing is left.
    pub fn discard(self) -> Result<(), RecordingError> {
        let discarded = self.draft.discard();
        discarded.map_err(|error| not_written(&self.path, error))
    }
}

fn not_written(path: &Path, error: std::io::Error) -> RecordingError {
    RecordingError::NotWritten {
        path: path.to_owned(),
        error,
    }
}

/// The instant that an input speaks of.
pub fn time_of(input: &Input) -> EventTime {
    match input {
        Input::Detections(detections) => detections.time,
        Input::SecondLook(look) => look.at.time,
        Input::Signal(reading) => reading.time,
        Input::Gap(gap) => gap.to,
        Input::Unanswered(stretch) => stretch.to,
        Input::Unseen(stretch) => stretch.to,
        Input::Health(health) => health.time,
        Input::Tick(time) | Input::End(time) => *time,
    }
}

/// The same input `shift_us` microseconds later, for playing a recording now.
pub fn shifted(mut input: Input, shift_us: i64) -> Input {
    let shift = |time: &mut EventTime| {
        *time = EventTime::from_micros(time.as_micros().saturating_add(shift_us));
    };
    match &mut input {
        Input::Detections(detections) => shift(&mut detections.time),
        Input::SecondLook(look) => {
            shift(&mut look.at.time);
            // A track is named after the instant of its birth.
            if let Some(track) = &mut look.track {
                shift(&mut track.born);
            }
        }
        Input::Signal(reading) => shift(&mut reading.time),
        Input::Gap(gap) => {
            shift(&mut gap.from);
            shift(&mut gap.to);
        }
        Input::Unanswered(stretch) => {
            shift(&mut stretch.from);
            shift(&mut stretch.to);
        }
        Input::Unseen(stretch) => {
            shift(&mut stretch.from);
            shift(&mut stretch.to);
        }
        Input::Health(health) => {
            shift(&mut health.time);
            shift(&mut health.since);
        }
        Input::Tick(time) | Input::End(time) => shift(time),
    }
    input
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detections(micros: i64) -> Input {
        let line = format!(
            r#"{{"detections":{{"frame":{micros},"time":"{}","time_quality":"media","aspect":1.5,"items":[]}}}}"#,
            EventTime::from_micros(micros)
        );
        serde_json::from_str(&line).unwrap()
    }

    fn gz(path: &Path, chunk: &[u8], times: usize) {
        let mut sink =
            flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
        for _ in 0..times {
            sink.write_all(chunk).unwrap();
        }
        sink.finish().unwrap();
    }

    #[test]
    fn a_recording_has_its_name_once_it_is_whole_and_can_be_read_before() {
        for name in ["r.jsonl", "r.jsonl.gz"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(name);
            let inputs = [detections(1), Input::End(EventTime::from_micros(2))];
            let write = || {
                let mut writer = RecordingWriter::create(&path).unwrap();
                for input in &inputs {
                    writer.write(input).unwrap();
                }
                writer
            };
            let part = write().leave_unfinished().unwrap();
            assert!(!path.exists() && is_recording(&part), "{}", part.display());
            let read = RecordingReader::open(&part).unwrap().read_all().unwrap();
            assert_eq!(format!("{read:?}"), format!("{inputs:?}"));

            write().finish().unwrap();
            assert!(!part.exists());
            assert_eq!(RecordingReader::open(&path).unwrap().count().unwrap(), 2);
        }
    }

    #[test]
    fn a_recording_that_does_not_fit_is_refused_while_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        let line = serde_json::to_string(&detections(1)).unwrap() + "\n";
        std::fs::write(&path, line.repeat(10)).unwrap();
        let read = |limit| {
            let mut taken = 0;
            let outcome = RecordingReader::open(&path)
                .unwrap()
                .each(limit, |_| taken += 1);
            (outcome.map_err(|error| error.to_string()), taken)
        };
        let length = line.len() as u64;
        assert_eq!(read(10 * length), (Ok(()), 10));
        let (outcome, taken) = read(4 * length);
        assert_eq!(taken, 4);
        assert!(outcome.unwrap_err().contains("record a shorter clip"));
    }

    #[test]
    fn a_small_file_that_unpacks_to_a_huge_line_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bomb.jsonl.gz");
        gz(&path, "[".repeat(1 << 20).as_bytes(), 64);
        assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
        let error = RecordingReader::open(&path).unwrap().count().unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("line 1") && text.contains("more than 4 MiB"),
            "{text}"
        );
    }

    #[test]
    fn a_recording_whose_last_line_is_cut_is_read_as_far_as_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        let line = serde_json::to_string(&detections(1)).unwrap() + "\n";
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            let mut reader = RecordingReader::open(&path).unwrap();
            let mut inputs = 0;
            while let Ok(Some(_)) = reader.next_input() {
                inputs += 1;
            }
            (inputs, reader.is_cut())
        };
        let three = line.repeat(3);
        assert_eq!(read(&three), (3, false));
        assert_eq!(read(three.trim_end()), (3, false));
        assert_eq!(read(&three[..three.len() - 9]), (2, true));
        // Nothing but a part of a line is no recording.
        assert_eq!(read(&line[..line.len() - 9]), (0, false));
    }

    #[test]
    fn what_is_wrong_with_a_file_comes_with_the_next_step() {
        let dir = tempfile::tempdir().unwrap();
        let cut = dir.path().join("cut.jsonl.gz");
        let line = serde_json::to_vec(&detections(1)).unwrap();
        gz(&cut, &line, 1);
        let bytes = std::fs::read(&cut).unwrap();
        std::fs::write(&cut, &bytes[..bytes.len() - 12]).unwrap();
        let plain = dir.path().join("plain.jsonl.gz");
        std::fs::write(&plain, &line).unwrap();
        let binary = dir.path().join("binary.jsonl");
        std::fs::write(&binary, [0xff, 0xfe, b'\n']).unwrap();
        for (path, step) in [
            (dir.path().join("nowhere.jsonl"), "--record-inputs"),
            (
                dir.path().join("00000042-20261126T070000Z.inputs.jsonl.gz"),
                "deleted for room",
            ),
            (dir.path().join("nowhere"), "`edge-agent run --record`"),
            (cut, "it is cut, damaged"),
            (plain, "it is cut, damaged"),
            (binary, "it is cut, damaged"),
            (dir.path().to_owned(), "check that it is a file"),
        ] {
            let error = RecordingReader::open(&path)
                .and_then(RecordingReader::count)
                .unwrap_err()
                .to_string();
            assert!(error.contains(step), "{}: {error}", path.display());
        }
        let nowhere = dir.path().join("no/where.jsonl");
        let error = RecordingWriter::create(&nowhere).map(drop).unwrap_err();
        assert!(error.to_string().contains("its folder exists"), "{error}");
    }
}
