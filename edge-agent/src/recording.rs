//! Recorded inputs of a scene: JSON lines of [`edge_core::Input`], plain or `.gz`,
//! after a line that says which detector saw them ([`RecordingHead`]).
//!
//! The same file serves replay (as fast as possible, byte-identical events)
//! and a simulated camera (in real time, again and again). Replay reads line by
//! line, whatever the length; a camera keeps the whole recording in memory, so
//! there a recording of more than 512 MiB of text is refused.

mod ages;
mod error;
pub mod head;
pub mod keeper;
mod reader;
pub mod rolling;
pub mod segment;
mod time;
mod writer;

use std::path::Path;

use crate::draft;
pub use error::RecordingError;
pub use head::RecordingHead;
pub use reader::{Entry, RecordingReader, SeenBy};
pub use segment::{Cut, SegmentHead, series};
pub use time::{shifted, time_of};
pub use writer::RecordingWriter;

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

/// Whether it is called as `run --record` calls its files: `00000042-20261126T…`.
fn is_segment_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = name.split_once('-').map_or("", |(number, _)| number);
    is_recording(path) && number.len() == 8 && number.bytes().all(|b| b.is_ascii_digit())
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

#[cfg(test)]
mod tests;
