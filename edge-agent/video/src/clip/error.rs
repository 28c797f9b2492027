//! Why a clip cannot be read or written.

use std::path::PathBuf;

use crate::decoder::NoDecoder;

/// Why a clip cannot be read or written. The message says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    /// No such file.
    #[error("clip {0}: no such file; check the path")]
    Missing(PathBuf),
    /// A folder where a file should be.
    #[error("clip {0}: is a folder; name a clip in it")]
    Folder(PathBuf),
    /// A folder without pictures.
    #[error("folder {0}: has no .jpg, .jpeg or .png in it; name the folder with the pictures")]
    NoPictures(PathBuf),
    /// Not to be opened or read.
    #[error("clip {path}: {source}; check the permissions and the disk")]
    Unreadable {
        /// The clip.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Nothing that GStreamer knows.
    #[error(
        "clip {path}: is not a video ({detail}); check that the file is complete and what it should be"
    )]
    NotMedia {
        /// The clip.
        path: PathBuf,
        /// What GStreamer said.
        detail: String,
    },
    /// Sound, subtitles, but no pictures.
    #[error("clip {0}: has no video stream; choose a clip with pictures")]
    NoVideo(PathBuf),
    /// No camera sends it, so no evidence can be made of its pictures as they are.
    #[error(
        "clip {path}: is {codec}; evidence is made of H.264, H.265 or MJPEG, as cameras send it: convert it \
         (`ffmpeg -i IN -c:v libx264 -bf 0 OUT.mp4`), or leave out --evidence"
    )]
    NotKept {
        /// The clip.
        path: PathBuf,
        /// As people call it.
        codec: String,
    },
    /// A stream that says neither where a picture ends nor when it is shown.
    #[error(
        "clip {0}: its pictures have no times, so none can be found again for evidence; put it into a \
         container (`ffmpeg -i IN -c copy OUT.mp4`)"
    )]
    NoTimes(PathBuf),
    /// Held upright, or upside down.
    #[error(
        "clip {0}: is to be turned before it is shown, and the pictures of a camera are not; write it as it \
         is shown (`ffmpeg -i IN -c:v libx264 -bf 0 OUT.mp4`)"
    )]
    Turned(PathBuf),
    /// Nothing here decodes it.
    #[error(
        "clip {path}: no decoder for {codec} on this machine; {}",
        NoDecoder::REMEDY
    )]
    NoDecoder {
        /// The clip.
        path: PathBuf,
        /// As people call it.
        codec: String,
    },
    /// A video stream of which no picture can be made.
    #[error(
        "clip {path}: no picture can be decoded ({detail}); the file may be damaged, try to play it elsewhere"
    )]
    NoFrames {
        /// The clip.
        path: PathBuf,
        /// What GStreamer said.
        detail: String,
    },
    /// Nothing came for a long time.
    #[error(
        "clip {path}: nothing decoded for {waited_s} s; check the disk, or try to play it elsewhere"
    )]
    Stalled {
        /// The clip.
        path: PathBuf,
        /// How long.
        waited_s: u64,
    },
    /// The pipeline could not be built or started.
    #[error("clip {path}: {detail}; check GStreamer's installation")]
    Pipeline {
        /// The clip.
        path: PathBuf,
        /// What GStreamer said.
        detail: String,
    },
    /// No encoder for H.264.
    #[error(
        "no H.264 encoder is installed; install gstreamer1.0-plugins-ugly (x264enc) or gstreamer1.0-plugins-bad (openh264enc)"
    )]
    NoEncoder,
    /// The clip could not be written.
    #[error(
        "clip {path}: cannot be written ({detail}); check the folder, its permissions and the disk"
    )]
    NotWritten {
        /// The clip.
        path: PathBuf,
        /// What the system or GStreamer said.
        detail: String,
    },
    /// A picture that does not belong to the clip being written.
    #[error("clip {path}: a picture of {bytes} bytes is not {width}×{height} BGR")]
    WrongPicture {
        /// The clip.
        path: PathBuf,
        /// What came.
        bytes: usize,
        /// What was promised (pixels).
        width: u32,
        /// What was promised (pixels).
        height: u32,
    },
}
