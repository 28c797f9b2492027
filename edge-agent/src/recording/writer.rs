//! Writes a recording, which has its name once it is whole.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use edge_core::Input;
use protocol::id::CascadeId;

use super::{RecordingError, RecordingHead, is_compressed};
use crate::draft::Draft;
use crate::scene_setup::DetectorIdentity;

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
