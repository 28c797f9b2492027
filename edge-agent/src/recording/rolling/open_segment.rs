//! The segment that is being written: compressed, and readable up to the last flush.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use edge_core::Input;
use flate2::write::GzEncoder;

use crate::recording::keeper::Chore;
use crate::recording::segment::SegmentHead;

/// How often what was written is handed to the system when nothing happens.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Room is looked after whenever this much more was written.
const LOOK_AFTER_BYTES: u64 = 4 * 1024 * 1024;

/// The segment that is being written.
pub(super) struct OpenSegment {
    pub(super) path: PathBuf,
    sink: GzEncoder<BufWriter<Counted>>,
    pub(super) begun: Instant,
    flushed: Instant,
    is_dirty: bool,
    /// How long it was when room was last asked for, bytes.
    looked_after: u64,
}

impl OpenSegment {
    /// Begins with what a replay of this segment alone needs to know.
    pub(super) fn begin(path: PathBuf, file: File, head: &SegmentHead) -> std::io::Result<Self> {
        let counted = Counted { file, bytes: 0 };
        let level = flate2::Compression::default();
        let mut segment = Self {
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
    }

    /// Adds an input; it can be read some seconds later.
    pub(super) fn note(&mut self, input: &Input) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(input)?;
        line.push(b'\n');
        self.write(&line)?;
        if self.flushed.elapsed() >= FLUSH_EVERY {
            self.flush()?;
        }
        Ok(())
    }

    /// Whether so much was written that room should be looked after; once for each such part.
    pub(super) fn wants_room(&mut self) -> bool {
        let wants = self.bytes() >= self.looked_after + LOOK_AFTER_BYTES;
        if wants {
            self.looked_after = self.bytes();
        }
        wants
    }

    pub(super) fn bytes(&self) -> u64 {
        self.sink.get_ref().get_ref().bytes
    }

    fn write(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.is_dirty = true;
        self.sink.write_all(line)
    }

    /// Whatever was written can be read from now on.
    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_dirty) {
            self.sink.flush()?;
        }
        self.flushed = Instant::now();
        Ok(())
    }

    /// What is still to be put on the disk.
    pub(super) fn end(self) -> std::io::Result<Chore> {
        let mut buffer = self.sink.finish()?;
        buffer.flush()?;
        let counted = buffer
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        Ok(Chore::Ended(self.path, counted.file))
    }
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
