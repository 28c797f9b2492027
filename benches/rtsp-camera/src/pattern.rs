//! Clips of a moving test picture, made on the spot for tests.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use gstreamer as gst;
use gstreamer::prelude::*;

use crate::clip::ClipCodec;

/// How groups of pictures begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Groups {
    /// With a picture before which everything is forgotten.
    #[default]
    Closed,
    /// With one that is whole; what is shown before it may refer to the group before.
    /// H.264 and H.265, with B pictures.
    Open,
    /// Nothing but the first picture is whole: a part of each is. H.264.
    Refreshed,
}

/// What to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestPattern {
    /// How to encode it.
    pub codec: ClipCodec,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Pictures per second.
    pub fps: u32,
    /// How many pictures.
    pub pictures: u32,
    /// Whether the picture moves; one that does not is what a frozen camera sends.
    pub is_moving: bool,
    /// Whether there is a sound track as well.
    pub has_sound: bool,
    /// Most B pictures in a row, H.264 and H.265: these are sent in another
    /// order than they are shown in.
    pub b_pictures: u32,
    /// Pictures from one key picture to the next; those of a second when left out.
    pub key_distance: Option<u32>,
    /// How the groups begin.
    pub groups: Groups,
}

impl Default for TestPattern {
    fn default() -> Self {
        Self {
            codec: ClipCodec::H264,
            width: 320,
            height: 240,
            fps: 25,
            pictures: 50,
            is_moving: true,
            has_sound: false,
            b_pictures: 0,
            key_distance: None,
            groups: Groups::Closed,
        }
    }
}

impl TestPattern {
    /// Writes the clip; the container follows from the extension (mp4, mkv,
    /// avi, ts; h264, h265 and mjpeg for the bare stream).
    ///
    /// A key picture per second unless told otherwise, one slice per picture: as cameras send it.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        gst::init()?;
        let Self {
            width,
            height,
            fps,
            pictures,
            b_pictures,
            ..
        } = *self;
        let keys = self.key_distance.unwrap_or(fps);
        let (h264, h265) = match self.groups {
            Groups::Closed => ("", ""),
            Groups::Open => ("option-string=open-gop=1", ":open-gop=1"),
            Groups::Refreshed => ("intra-refresh=true", ""),
        };
        let speed = if self.is_moving { 4 } else { 0 };
        let encoder = match self.codec {
            ClipCodec::H264 => format!(
                "x264enc speed-preset=ultrafast key-int-max={keys} bframes={b_pictures} b-adapt=false sliced-threads=false \
                 bitrate=1000 {h264} ! h264parse"
            ),
            ClipCodec::H265 => format!(
                "x265enc speed-preset=ultrafast key-int-max={keys} bitrate=1000 \
                 option-string=bframes={b_pictures}:b-adapt=0:repeat-headers=1{h265} ! h265parse"
            ),
            ClipCodec::Mjpeg => "jpegenc".to_owned(),
        };
        let extension = path
            .extension()
            .and_then(|e| e.to_str())
            .unwrap_or_default();
        let muxer = match extension {
            "mp4" => "mp4mux name=mux",
            "mkv" => "matroskamux name=mux",
            "avi" => "avimux name=mux",
            "ts" => "mpegtsmux name=mux",
            // Without a muxer the stream must be told to keep its start codes.
            "h264" => "video/x-h264,stream-format=byte-stream",
            "h265" => "video/x-h265,stream-format=byte-stream",
            "mjpeg" => "identity",
            _ => bail!("{}: no container known for this extension", path.display()),
        };
        let sound = if self.has_sound {
            format!(
                "audiotestsrc num-buffers={} samplesperbuffer=441 ! \
                 audio/x-raw,rate=44100,channels=1 ! audioconvert ! avenc_aac ! aacparse ! mux.",
                100 * pictures / fps.max(1)
            )
        } else {
            String::new()
        };
        // Only numbers and constants above: nothing foreign enters this text.
        let pipeline = gst::parse::launch(&format!(
            "videotestsrc num-buffers={pictures} pattern=smpte horizontal-speed={speed} ! \
             video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 ! \
             {encoder} ! {muxer} ! filesink name=file {sound}"
        ))?
        .downcast::<gst::Pipeline>()
        .map_err(|_| anyhow::anyhow!("a launch line with two elements is a pipeline"))?;
        pipeline
            .by_name("file")
            .context("the file sink has a name")?
            .set_property("location", path);
        run(&pipeline).with_context(|| format!("writing {}", path.display()))
    }
}

fn run(pipeline: &gst::Pipeline) -> anyhow::Result<()> {
    let bus = pipeline.bus().context("a pipeline has a bus")?;
    pipeline.set_state(gst::State::Playing)?;
    let limit = gst::ClockTime::try_from(Duration::from_mins(1))?;
    let message = bus.timed_pop_filtered(limit, &[gst::MessageType::Eos, gst::MessageType::Error]);
    pipeline.set_state(gst::State::Null)?;
    match message.as_ref().map(|m| m.view()) {
        Some(gst::MessageView::Eos(_)) => Ok(()),
        Some(gst::MessageView::Error(error)) => bail!("{}", error.error()),
        _ => bail!("not done within a minute"),
    }
}
