//! GStreamer's start, and the elements without which nothing works.

use gstreamer as gst;

/// GStreamer does not start, or a part of it is not installed.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum VideoError {
    /// The library itself.
    #[error("GStreamer does not start: {0}; reinstall libgstreamer1.0-0 and its plugins")]
    Start(String),
    /// Elements, with the Debian packages that bring them.
    #[error("GStreamer lacks {elements}; install {packages}")]
    Missing {
        /// All missing elements, separated by commas.
        elements: String,
        /// For `apt-get install`, separated by spaces.
        packages: String,
    },
}

const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";

/// What live streams and clips both stand on. Decoders are not here: which one
/// is used depends on the machine, and a missing one is reported with its codec.
const NEEDED: &[(&str, &str)] = &[
    ("filesrc", "libgstreamer1.0-0"),
    ("queue", "libgstreamer1.0-0"),
    ("capsfilter", "libgstreamer1.0-0"),
    ("fakesink", "libgstreamer1.0-0"),
    ("appsink", BASE),
    ("appsrc", BASE),
    ("videoconvert", BASE),
    ("parsebin", BASE),
    ("rtspsrc", GOOD),
    ("rtpbin", GOOD),
    ("udpsrc", GOOD),
    ("rtph264depay", GOOD),
    ("rtph265depay", GOOD),
    ("rtpjpegdepay", GOOD),
    ("h264parse", BAD),
    ("h265parse", BAD),
];

/// Starts GStreamer and checks that all needed elements are there; safe to call again.
pub fn init() -> Result<(), VideoError> {
    gst::init().map_err(|error| VideoError::Start(error.to_string()))?;
    crate::decoder::said::listen();
    missing(NEEDED)
}

fn missing(needed: &[(&str, &str)]) -> Result<(), VideoError> {
    let gone: Vec<_> = needed
        .iter()
        .filter(|(element, _)| gst::ElementFactory::find(element).is_none())
        .collect();
    if gone.is_empty() {
        return Ok(());
    }
    let elements: Vec<&str> = gone.iter().map(|(element, _)| *element).collect();
    let mut packages: Vec<&str> = gone.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    Err(VideoError::Missing {
        elements: elements.join(", "),
        packages: packages.join(" "),
    })
}

/// Creates an element that [`init`] has seen, or says that it is gone.
pub(crate) fn make(factory: &str) -> Result<gst::Element, gst::glib::BoolError> {
    gst::ElementFactory::make(factory).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_elements_are_named_at_once_with_their_packages() {
        init().unwrap();
        let error = missing(&[
            ("queue", "libgstreamer1.0-0"),
            ("nosuchdepay", GOOD),
            ("nosuchparse", BAD),
            ("nosuchpay", GOOD),
        ])
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "GStreamer lacks nosuchdepay, nosuchparse, nosuchpay; \
             install gstreamer1.0-plugins-bad gstreamer1.0-plugins-good"
        );
    }
}
