//! One picture with its time, cheap to pass around.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use models::{ColourMatrix, ColourRange, I420View};
use protocol::{EventTime, TimeQuality};

use crate::stream::garbage::{Plane, Planes};

/// A decoded picture in I420, mapped for reading; a clone shares the pixels.
///
/// Holding a frame holds a buffer of the decoder: keep a handful, not a second's worth.
#[derive(Clone)]
pub struct Frame {
    /// Which picture of the source, from 0. A camera's dropped frames are
    /// counted as well, and a reconnect goes on counting.
    pub number: u64,
    /// When it was seen.
    pub time: EventTime,
    /// Which clock said so.
    pub time_quality: TimeQuality,
    /// Stored pixels across; may be odd.
    pub width: u32,
    /// Stored pixels down; may be odd.
    pub height: u32,
    /// Width by height as it is meant to be shown: pixels are not always square.
    pub aspect: f64,
    picture: Arc<gst_video::VideoFrame<gst_video::video_frame::Readable>>,
}

/// What a sample is besides its pixels.
pub(crate) struct Label {
    pub number: u64,
    pub time: EventTime,
    pub time_quality: TimeQuality,
}

impl Frame {
    /// Maps a sample; `None` when it is not an I420 picture after all.
    pub(crate) fn of_sample(sample: &gst::Sample, label: &Label) -> Option<Self> {
        let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
        if info.format() != gst_video::VideoFormat::I420 {
            return None;
        }
        let buffer = sample.buffer_owned()?;
        let picture = gst_video::VideoFrame::from_buffer_readable(buffer, &info).ok()?;
        let (width, height) = (info.width(), info.height());
        let pixel = info.par();
        let pixel_aspect = if pixel.numer() > 0 && pixel.denom() > 0 {
            f64::from(pixel.numer()) / f64::from(pixel.denom())
        } else {
            1.0
        };
        Some(Self {
            number: label.number,
            time: label.time,
            time_quality: label.time_quality,
            width,
            height,
            aspect: f64::from(width) * pixel_aspect / f64::from(height.max(1)),
            picture: Arc::new(picture),
        })
    }

    /// Luma, [`height`](Self::height) rows of [`y_stride`](Self::y_stride) bytes.
    pub fn y(&self) -> &[u8] {
        self.plane(0)
    }

    /// Blue difference, at half size rounded up.
    pub fn u(&self) -> &[u8] {
        self.plane(1)
    }

    /// Red difference, at half size rounded up.
    pub fn v(&self) -> &[u8] {
        self.plane(2)
    }

    /// Bytes from one row of luma to the next.
    pub fn y_stride(&self) -> usize {
        self.stride(0)
    }

    /// Bytes from one row of blue difference to the next.
    pub fn u_stride(&self) -> usize {
        self.stride(1)
    }

    /// Bytes from one row of red difference to the next.
    pub fn v_stride(&self) -> usize {
        self.stride(2)
    }

    /// All three planes.
    pub fn planes(&self) -> Planes<'_> {
        let (width, height) = (self.width as usize, self.height as usize);
        let plane = |bytes, stride, scale: usize| Plane {
            bytes,
            stride,
            width: width.div_ceil(scale),
            height: height.div_ceil(scale),
        };
        Planes {
            y: plane(self.y(), self.y_stride(), 1),
            u: plane(self.u(), self.u_stride(), 2),
            v: plane(self.v(), self.v_stride(), 2),
        }
    }

    /// The planes and their colours, as the models crate reads them.
    pub fn view(&self) -> I420View<'_> {
        I420View {
            width: self.width,
            height: self.height,
            y: self.y(),
            y_stride: self.y_stride(),
            u: self.u(),
            u_stride: self.u_stride(),
            v: self.v(),
            v_stride: self.v_stride(),
            matrix: if self.is_bt709() {
                ColourMatrix::Bt709
            } else {
                ColourMatrix::Bt601
            },
            range: if self.is_full_range() {
                ColourRange::Full
            } else {
                ColourRange::Limited
            },
        }
    }

    /// Whether colours are after BT.709, otherwise after BT.601.
    ///
    /// A stream that does not say is taken as BT.709 from 720 lines up, which
    /// is what encoders mean.
    pub fn is_bt709(&self) -> bool {
        match self.picture.info().colorimetry().matrix() {
            gst_video::VideoColorMatrix::Bt601 | gst_video::VideoColorMatrix::Fcc => false,
            gst_video::VideoColorMatrix::Unknown => self.height > 576,
            _ => true,
        }
    }

    /// Whether luma uses 0–255, otherwise 16–235.
    pub fn is_full_range(&self) -> bool {
        self.picture.info().colorimetry().range() == gst_video::VideoColorRange::Range0_255
    }

    fn plane(&self, index: u32) -> &[u8] {
        self.picture
            .plane_data(index)
            .expect("I420 has three planes, and the format was checked on mapping")
    }

    fn stride(&self, index: usize) -> usize {
        usize::try_from(self.picture.plane_stride()[index])
            .expect("decoders in use give planes from the top down")
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame")
            .field("number", &self.number)
            .field("time", &self.time)
            .field("time_quality", &self.time_quality)
            .field("width", &self.width)
            .field("height", &self.height)
            .field("aspect", &self.aspect)
            .finish_non_exhaustive()
    }
}
