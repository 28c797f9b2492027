//! What the accuracy test and the `ap50` example share: pictures from a pipe,
//! and how well detections match labels.

pub(crate) mod average_precision;

pub(crate) mod y4m;

use std::collections::BTreeMap;
use std::io::Read;

use edge_inference::Detector;
use protocol::Detection;

/// What a detector saw in a clip.
pub(crate) struct Seen {
    /// Of the pictures, in pixels.
    pub(crate) width: u32,
    /// Of the pictures, in pixels.
    pub(crate) height: u32,
    /// By frame number, from 1, as labels count.
    pub(crate) frames: BTreeMap<u64, Vec<Detection>>,
}

/// Looks at every `step`th picture of a y4m stream.
pub(crate) fn detect_all(
    detector: &mut Detector,
    stream: impl Read,
    step: u64,
) -> Result<Seen, Box<dyn std::error::Error>> {
    let mut pictures = y4m::Reader::new(stream)?;
    let (width, height) = pictures.size();
    let mut frames = BTreeMap::new();
    let mut frame = 0;
    while let Some(picture) = pictures.next_picture()? {
        frame += 1;
        if (frame - 1) % step == 0 {
            frames.insert(frame, detector.detect(&picture)?);
        }
    }
    Ok(Seen {
        width,
        height,
        frames,
    })
}
