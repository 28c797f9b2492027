//! A folder of stills, read as a clip: the form in which data sets come.

use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::error::ClipError;

/// Pictures of a folder in the order in which a person would number them.
pub(super) fn listed(folder: &Path) -> Result<Vec<PathBuf>, ClipError> {
    let unreadable = |source| ClipError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    if !folder.exists() {
        return Err(ClipError::Missing(folder.to_owned()));
    }
    let mut pictures = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if kind(&path).is_some() && path.is_file() {
            pictures.push(path);
        }
    }
    // One format per stream: the first one's. The rest are something else.
    pictures.sort_by_cached_key(|path| natural(path));
    let first = pictures.first().and_then(|path| kind(path));
    pictures.retain(|path| kind(path) == first);
    if pictures.is_empty() {
        return Err(ClipError::NoPictures(folder.to_owned()));
    }
    Ok(pictures)
}

/// The media type that the extension says.
pub(super) fn kind(path: &Path) -> Option<&'static str> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "jpg" | "jpeg" => Some("image/jpeg"),
        "png" => Some("image/png"),
        _ => None,
    }
}

/// A part of a file name, so that 9 comes before 10.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Digits without leading zeros: the longer number is the greater.
    Number(usize, String),
    Text(String),
}

fn natural(path: &Path) -> (Vec<Part>, PathBuf) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut parts = Vec::new();
    let mut rest = name.as_ref();
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != is_digit)
            .unwrap_or(rest.len());
        let (part, tail) = rest.split_at(end);
        rest = tail;
        parts.push(if is_digit {
            let digits = part.trim_start_matches('0');
            Part::Number(digits.len(), digits.to_owned())
        } else {
            Part::Text(part.to_owned())
        });
    }
    (parts, path.to_owned())
}

/// Hands the files to the decoder, each with its time, until it wants no more.
pub(super) fn feed(source: &gst_app::AppSrc, pictures: &[PathBuf], fps: f64) {
    for (n, path) in pictures.iter().enumerate() {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(picture = %path.display(), %error, "picture not read; left out");
                continue;
            }
        };
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            let at = |n: usize| gst::ClockTime::from_seconds_f64(n as f64 / fps);
            buffer.set_pts(at(n));
            buffer.set_dts(at(n));
            buffer.set_duration(at(n + 1) - at(n));
        }
        if source.push_buffer(buffer).is_err() {
            return; // the reader was dropped
        }
    }
    source.end_of_stream().ok();
}

/// The source of a picture stream, with room for a few files only.
pub(super) fn source(kind: &str, fps: f64) -> gst_app::AppSrc {
    let rate = gst::Fraction::approximate_f64(fps).unwrap_or_else(|| gst::Fraction::new(25, 1));
    let source = gst_app::AppSrc::builder()
        .format(gst::Format::Time)
        .caps(
            &gst::Caps::builder(kind)
                .field("framerate", rate)
                .field("parsed", true)
                .build(),
        )
        .max_bytes(8 << 20)
        .build();
    source.set_property("block", true);
    source
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_in_the_order_in_which_people_number_them() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "f10.jpg",
            "f9.jpg",
            "f009b.JPG",
            "notes.txt",
            "f1.jpeg",
            "f2.png",
        ] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        let names: Vec<_> = listed(folder.path())
            .unwrap()
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["f1.jpeg", "f9.jpg", "f009b.JPG", "f10.jpg"]);
    }

    #[test]
    fn folders_without_pictures_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = listed(folder.path()).unwrap_err();
        assert!(matches!(error, ClipError::NoPictures(_)), "{error}");
        let error = listed(&folder.path().join("gone")).unwrap_err();
        assert!(matches!(error, ClipError::Missing(_)), "{error}");
    }
}
