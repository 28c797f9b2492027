//! Reads a recording line by line, also one whose end was never written.
//!
//! A line that is not an input is an error and not left out: what follows would be judged as if
//! it had not been there.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use edge_core::Input;
use protocol::id::CascadeId;

use super::{RecordingError, RecordingHead, SegmentHead, head, is_compressed, segment};
use crate::scene_setup::DetectorIdentity;

/// Longest line that is read. A frame with a thousand objects has 100 kB.
const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

/// Most text that is kept for playing: some hours of a busy junction.
const MAX_KEPT_BYTES: u64 = 512 * 1024 * 1024;

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

    /// Gives everything that is left, of at most `limit` bytes of text.
    pub(super) fn each(
        mut self,
        limit: u64,
        mut take: impl FnMut(Input),
    ) -> Result<(), RecordingError> {
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

/// Who saw what is recorded, as far as the recording says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeenBy {
    /// The detector.
    pub detector: Option<DetectorIdentity>,
    /// The cascades that were at work.
    pub cascades: Option<Vec<CascadeId>>,
}
