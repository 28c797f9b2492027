//! Recorded inputs of a scene: JSON lines of [`edge_core::Input`], plain or `.gz`.
//!
//! The same file serves replay (as fast as possible, byte-identical events)
//! and a simulated camera (in real time, again and again).

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use edge_core::Input;
use protocol::EventTime;

/// Longest line that is read. A frame with a thousand objects has 100 kB.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file itself.
    #[error("recording {path}: {error}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A line that is not an input.
    #[error(
        "recording {path}, line {line}: not an input of a scene: {reason}; make it again with \
         `edge-agent replay CLIP --record-inputs FILE`"
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing in it.
    #[error("recording {path} has no detections in it; there is nothing to play")]
    Empty {
        /// Which file.
        path: PathBuf,
    },
}

/// Whether `path` is a recording by its name.
pub fn is_recording(path: &Path) -> bool {
    let has_extension = |path: &Path, extension: &str| {
        path.extension()
            .is_some_and(|found| found.eq_ignore_ascii_case(extension))
    };
    let inner = if has_extension(path, "gz") {
        path.with_extension("")
    } else {
        path.to_owned()
    };
    has_extension(&inner, "jsonl")
}

/// Reads a recording, line by line.
pub struct RecordingReader {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    line: usize,
    text: String,
}

impl RecordingReader {
    /// Opens `path`.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = File::open(path).map_err(|error| RecordingError::File {
            path: path.to_owned(),
            error,
        })?;
        let is_compressed = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        let lines: Box<dyn BufRead + Send> = if is_compressed {
            Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::new(file))
        };
        Ok(Self {
            path: path.to_owned(),
            lines,
            line: 0,
            text: String::new(),
        })
    }

    /// The next input; `None` at the end.
    pub fn next_input(&mut self) -> Result<Option<Input>, RecordingError> {
        loop {
            self.text.clear();
            self.line += 1;
            let mut limited = std::io::Read::take(&mut self.lines, MAX_LINE_BYTES as u64);
            let read = limited
                .read_line(&mut self.text)
                .map_err(|error| RecordingError::File {
                    path: self.path.clone(),
                    error,
                })?;
            if read == 0 {
                return Ok(None);
            }
            let text = self.text.trim();
            if text.is_empty() {
                continue;
            }
            return serde_json::from_str(text)
                .map(Some)
                .map_err(|error| RecordingError::Line {
                    path: self.path.clone(),
                    line: self.line,
                    reason: error.to_string(),
                });
        }
    }

    /// Everything that is left.
    pub fn read_all(mut self) -> Result<Vec<Input>, RecordingError> {
        let mut inputs = Vec::new();
        while let Some(input) = self.next_input()? {
            inputs.push(input);
        }
        if inputs
            .iter()
            .any(|input| matches!(input, Input::Detections(_)))
        {
            Ok(inputs)
        } else {
            Err(RecordingError::Empty { path: self.path })
        }
    }
}

/// Writes a recording; compressed when the name ends in `.gz`.
pub struct RecordingWriter {
    path: PathBuf,
    sink: Sink,
}

enum Sink {
    Plain(std::io::BufWriter<File>),
    Compressed(flate2::write::GzEncoder<std::io::BufWriter<File>>),
}

impl RecordingWriter {
    /// Makes or empties `path`.
    pub fn create(path: &Path) -> Result<Self, RecordingError> {
        let fault = |error| RecordingError::File {
            path: path.to_owned(),
            error,
        };
        let file = std::io::BufWriter::new(File::create(path).map_err(fault)?);
        let is_compressed = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        let sink = if is_compressed {
            Sink::Compressed(flate2::write::GzEncoder::new(
                file,
                flate2::Compression::default(),
            ))
        } else {
            Sink::Plain(file)
        };
        Ok(Self {
            path: path.to_owned(),
            sink,
        })
    }

    /// Adds one input.
    pub fn write(&mut self, input: &Input) -> Result<(), RecordingError> {
        let mut line = serde_json::to_vec(input)
            .map_err(std::io::Error::from)
            .map_err(|error| RecordingError::File {
                path: self.path.clone(),
                error,
            })?;
        line.push(b'\n');
        let written = match &mut self.sink {
            Sink::Plain(sink) => sink.write_all(&line),
            Sink::Compressed(sink) => sink.write_all(&line),
        };
        written.map_err(|error| RecordingError::File {
            path: self.path.clone(),
            error,
        })
    }

    /// Writes what is still in memory.
    pub fn finish(self) -> Result<(), RecordingError> {
        let path = self.path;
        let finished = match self.sink {
            Sink::Plain(mut sink) => sink.flush(),
            Sink::Compressed(sink) => sink.finish().and_then(|mut sink| sink.flush()),
        };
        finished.map_err(|error| RecordingError::File { path, error })
    }
}

/// The instant that an input speaks of.
pub fn time_of(input: &Input) -> EventTime {
    match input {
        Input::Detections(detections) => detections.time,
        Input::Signal(reading) => reading.time,
        Input::Gap(gap) => gap.to,
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
        Input::Signal(reading) => shift(&mut reading.time),
        Input::Gap(gap) => {
            shift(&mut gap.from);
            shift(&mut gap.to);
        }
        Input::Tick(time) | Input::End(time) => shift(time),
    }
    input
}
