//! Why a recording cannot be read or written, and what somebody with that file can do.

use std::path::{Path, PathBuf};

use super::{is_recording, is_segment_name};

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

fn which(names: &[String]) -> String {
    if names.is_empty() {
        return "there are no .jsonl or .jsonl.gz files in it; give the folder that \
                `edge-agent run --record` writes, or a file"
            .to_owned();
    }
    format!("add --camera, one of: {}", names.join(", "))
}
