//! Writes pictures to an H.264 MP4: what `replay --annotate` shows.

use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use protocol::EventTime;

use super::error::ClipError;

/// A clip being written. It appears under its name on [`finish`](Self::finish);
/// dropped before, it leaves nothing.
#[derive(Debug)]
pub struct ClipWriter {
    path: PathBuf,
    draft: PathBuf,
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    width: u32,
    height: u32,
    nominal: gst::ClockTime,
    start: Option<EventTime>,
    last: Option<gst::ClockTime>,
    is_finished: bool,
}

/// Software encoders, best first, with settings for a clip that people look at once.
const ENCODERS: &[(&str, &[(&str, &str)])] = &[
    (
        "x264enc",
        &[
            ("speed-preset", "veryfast"),
            ("pass", "qual"),
            ("quantizer", "23"),
            ("key-int-max", "50"),
            // Reordering would need an edit list, and clips the last picture.
            ("bframes", "0"),
        ],
    ),
    ("openh264enc", &[("bitrate", "4000000"), ("gop-size", "50")]),
    ("avenc_libx264", &[]),
    ("vah264enc", &[]),
    ("v4l2h264enc", &[]),
];

/// The muxer writes its index last; a slow disk may take a while.
const CLOSE_LIMIT: gst::ClockTime = gst::ClockTime::from_seconds(60);

impl ClipWriter {
    /// Starts a clip of pictures of this size. H.264 has even sizes only: the
    /// last odd row or column is left off. `fps` is nominal; true times come with the pictures.
    pub fn create(path: &Path, width: u32, height: u32, fps: f64) -> Result<Self, ClipError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".part");
        let draft = PathBuf::from(draft);
        let failed = |detail: String| ClipError::NotWritten {
            path: path.to_owned(),
            detail,
        };
        if width < 2 || height < 2 || i32::try_from(width.max(height)).is_err() {
            return Err(failed(format!("{width}×{height} is no size for a clip")));
        }
        let encoder = encoder()?;
        let fps = if fps.is_finite() && fps > 0.0 {
            fps
        } else {
            25.0
        };
        let pipeline = gst::Pipeline::new();
        let source = gst_app::AppSrc::builder()
            .format(gst::Format::Time)
            .caps(&format(width & !1, height & !1, fps))
            .max_bytes(u64::from(width) * u64::from(height) * 3 * 4)
            .build();
        source.set_property("block", true);
        let built = (|| -> Result<(), gst::glib::BoolError> {
            let make = crate::elements::make;
            let filter = make("capsfilter")?;
            // What every browser plays.
            filter.set_property(
                "caps",
                gst::Caps::builder("video/x-raw")
                    .field("format", "I420")
                    .build(),
            );
            let file = make("filesink")?;
            file.set_property("location", &draft);
            let chain = [
                source.clone().upcast(),
                make("videoconvert")?,
                filter,
                encoder,
                make("h264parse")?,
                make("mp4mux")?,
                file,
            ];
            pipeline.add_many(&chain)?;
            gst::Element::link_many(&chain)
        })();
        built.map_err(|error| failed(error.message.to_string()))?;
        // The system's words ("permission denied") are better than the sink's.
        std::fs::File::create(&draft).map_err(|error| failed(error.to_string()))?;
        // From here on, dropping the writer removes the draft.
        let writer = Self {
            path: path.to_owned(),
            draft,
            pipeline,
            source,
            width,
            height,
            nominal: gst::ClockTime::from_seconds_f64(1.0 / fps),
            start: None,
            last: None,
            is_finished: false,
        };
        match writer.pipeline.set_state(gst::State::Playing) {
            Ok(_) => Ok(writer),
            Err(_) => Err(writer.failed()),
        }
    }

    /// Adds a picture, rows of `width` × 3 bytes without gaps.
    ///
    /// A time that does not increase comes one nominal frame after the last.
    pub fn push_bgr(&mut self, bgr: &[u8], at: EventTime) -> Result<(), ClipError> {
        let row = self.width as usize * 3;
        if bgr.len() != row * self.height as usize {
            return Err(ClipError::WrongPicture {
                path: self.path.clone(),
                bytes: bgr.len(),
                width: self.width,
                height: self.height,
            });
        }
        // GStreamer's rows of BGR start at multiples of four.
        let used = (self.width & !1) as usize * 3;
        let stride = used.next_multiple_of(4);
        let mut bytes = Vec::with_capacity(stride * self.height as usize);
        for row in bgr.chunks_exact(row).take((self.height & !1) as usize) {
            bytes.extend_from_slice(&row[..used]);
            bytes.resize(bytes.len().next_multiple_of(stride), 0);
        }
        let start = *self.start.get_or_insert(at);
        let since = u64::try_from(at.as_micros().saturating_sub(start.as_micros())).ok();
        let own = since.map(gst::ClockTime::from_useconds);
        let time = match (own, self.last) {
            (Some(own), Some(last)) if own > last => own,
            (_, Some(last)) => last + self.nominal,
            (_, None) => gst::ClockTime::ZERO,
        };
        self.last = Some(time);
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time);
            buffer.set_duration(self.nominal);
        }
        self.source
            .push_buffer(buffer)
            .map(|_| ())
            .map_err(|_| self.failed())
    }

    /// Writes what is left and the index; then the clip is there under its name.
    pub fn finish(mut self) -> Result<PathBuf, ClipError> {
        self.source.end_of_stream().map_err(|_| self.failed())?;
        let message = self.pipeline.bus().and_then(|bus| {
            bus.timed_pop_filtered(
                CLOSE_LIMIT,
                &[gst::MessageType::Eos, gst::MessageType::Error],
            )
        });
        match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Eos(_)) => {}
            Some(gst::MessageView::Error(error)) => {
                return Err(self.not_written(error.error().message()));
            }
            _ => return Err(self.not_written("the encoder does not end")),
        }
        self.pipeline.set_state(gst::State::Null).ok();
        std::fs::rename(&self.draft, &self.path)
            .map_err(|error| self.not_written(&error.to_string()))?;
        self.is_finished = true;
        Ok(self.path.clone())
    }

    fn not_written(&self, detail: &str) -> ClipError {
        ClipError::NotWritten {
            path: self.path.clone(),
            detail: detail.trim_end_matches('.').to_owned(),
        }
    }

    /// The pipeline takes no more; the bus knows why, for example a full disk.
    fn failed(&self) -> ClipError {
        let message = self
            .pipeline
            .bus()
            .and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
        match message.as_ref().map(|m| m.view()) {
            Some(gst::MessageView::Error(error)) => self.not_written(error.error().message()),
            _ => self.not_written("the encoder takes no more pictures"),
        }
    }
}

impl Drop for ClipWriter {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).ok();
        if !self.is_finished
            && let Err(error) = std::fs::remove_file(&self.draft)
        {
            tracing::warn!(file = %self.draft.display(), %error, "half a clip left behind");
        }
    }
}

fn format(width: u32, height: u32, fps: f64) -> gst::Caps {
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    gst::Caps::builder("video/x-raw")
        .field("format", "BGR")
        .field("width", side(width))
        .field("height", side(height))
        .field(
            "framerate",
            gst::Fraction::approximate_f64(fps).unwrap_or_else(|| gst::Fraction::new(25, 1)),
        )
        .build()
}

fn encoder() -> Result<gst::Element, ClipError> {
    for (name, settings) in ENCODERS {
        let Ok(encoder) = gst::ElementFactory::make(name).build() else {
            continue;
        };
        for (property, value) in *settings {
            if encoder.find_property(property).is_some() {
                encoder.set_property_from_str(property, value);
            }
        }
        // A hardware encoder without its device fails here.
        let is_ready = encoder.set_state(gst::State::Ready).is_ok();
        encoder.set_state(gst::State::Null).ok();
        if is_ready {
            return Ok(encoder);
        }
    }
    Err(ClipError::NoEncoder)
}
