//! One picture with its time, cheap to pass around.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;
use models::{ColourMatrix, ColourRange, I420View, Nv12View, PictureView, PlaneView};
use protocol::{EventTime, TimeQuality};

use crate::stream::garbage::{Plane, Planes};
use crate::stream::lack::Lack;

/// A decoded picture in I420 or NV12, mapped for reading; a clone shares the pixels.
///
/// Holding a frame may hold a buffer of the decoder: keep a handful, not a second's worth.
#[derive(Clone)]
pub struct Frame {
    /// Which picture of the source, from 0. A camera's dropped frames are
    /// counted as well, and a reconnect goes on counting.
    pub number: u64,
    /// When it was seen.
    pub time: EventTime,
    /// Which clock said so.
    pub time_quality: TimeQuality,
    /// The same by the camera's own clock, of a live stream and where that is known: to
    /// find the picture of the same moment in another stream of the camera.
    pub own_time: Option<OwnTime>,
    /// How often the source's clock had leapt by then. Where it differs between two
    /// pictures, the time between them is not known, whatever was dropped in between.
    pub clock_steps: u32,
    /// Over which connection it came: a later one has a higher number. Of two that differ,
    /// the time between them was not watched, however soon the second followed.
    pub connection: u64,
    /// How many encoded pictures had been skipped before it, because decoding could not
    /// keep up.
    pub skipped: u64,
    /// For how long pictures were not whole, or missing though nobody left them out (lost,
    /// swallowed by the decoder, or never sent), since the source began. Where it differs between
    /// two pictures, so much of the time between them is not known.
    pub lack: Lack,
    /// Stored pixels across; may be odd.
    pub width: u32,
    /// Stored pixels down; may be odd.
    pub height: u32,
    /// Width by height as it is meant to be shown: pixels are not always square.
    pub aspect: f64,
    held: Arc<Held>,
}

/// When a picture was taken by the camera's own clock, right or wrong: as all its streams
/// tell it, so that pictures of them that are of one moment have the same. It is never
/// slewed, and so not what is told to anybody ([`Frame::time`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnTime {
    /// By that clock.
    pub time: EventTime,
    /// By how much that clock is ahead of this box's by the arrival of packets (µs).
    pub ahead_us: i64,
}

impl OwnTime {
    /// Streams of one camera by one clock differ in that by their way only: the encoder's
    /// time, and the network's (µs).
    const APART: u64 = 500_000;

    /// From another moment to this one, s; absent where the two are not by one clock.
    pub fn since(self, other: Self) -> Option<f64> {
        let is_one_clock = self.ahead_us.abs_diff(other.ahead_us) <= Self::APART;
        is_one_clock.then(|| self.time.since(other.time).0)
    }
}

type Mapped = gst_video::VideoFrame<gst_video::video_frame::Readable>;

/// The pixels, and what counts them as long as they are a decoder's.
struct Held {
    picture: Mapped,
    _loan: Option<Loans>,
}

/// Counts which buffers of a decoder are held by frames.
///
/// A hardware decoder may have no more than its pool, some beyond those that it refers
/// to itself. When all are held it stands still, and would be taken for broken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loans(Arc<()>);

impl Loans {
    /// The reader's newest, the one before the model, and one on the way.
    const MOST: usize = 3;

    fn are_all_out(&self) -> bool {
        Arc::strong_count(&self.0) > Self::MOST
    }
}

/// What a sample is besides its pixels.
pub(crate) struct Label {
    pub number: u64,
    pub time: EventTime,
    pub time_quality: TimeQuality,
    pub own_time: Option<OwnTime>,
    pub clock_steps: u32,
    pub connection: u64,
    /// How many encoded pictures had been skipped before it, because decoding could not
    /// keep up.
    pub skipped: u64,
}

impl Frame {
    /// Maps a sample; `None` when it is neither I420 nor NV12 after all.
    pub(crate) fn of_sample(sample: &gst::Sample, label: &Label) -> Option<Self> {
        Self::map(sample, label, None)
    }

    /// The same of a decoder that has few buffers: copied once too many of them are held.
    pub(crate) fn lent(sample: &gst::Sample, label: &Label, loans: &Loans) -> Option<Self> {
        Self::map(sample, label, Some(loans))
    }

    fn map(sample: &gst::Sample, label: &Label, loans: Option<&Loans>) -> Option<Self> {
        let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
        if !FORMATS.contains(&info.format()) {
            return None;
        }
        let buffer = sample.buffer_owned()?;
        let picture = Mapped::from_buffer_readable(buffer, &info).ok()?;
        let held = match loans {
            Some(loans) if loans.are_all_out() => Held {
                picture: copied(&picture, &info)?,
                _loan: None,
            },
            loans => Held {
                picture,
                _loan: loans.cloned(),
            },
        };
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
            own_time: label.own_time,
            clock_steps: label.clock_steps,
            connection: label.connection,
            skipped: label.skipped,
            lack: Lack::default(),
            width,
            height,
            aspect: f64::from(width) * pixel_aspect / f64::from(height.max(1)),
            held: Arc::new(held),
        })
    }

    /// Luma, [`height`](Self::height) rows of [`y_stride`](Self::y_stride) bytes.
    pub fn y(&self) -> &[u8] {
        self.plane(0)
    }

    /// Blue and red difference, at half size rounded up.
    pub fn chroma(&self) -> [PlaneView<'_>; 2] {
        chroma(&self.held.picture).expect(MAPPED)
    }

    /// Bytes from one row of luma to the next.
    pub fn y_stride(&self) -> usize {
        self.stride(0)
    }

    /// All three planes.
    pub fn planes(&self) -> Planes<'_> {
        let (width, height) = (self.width as usize, self.height as usize);
        let [u, v] = self.chroma();
        let [y, u, v] = [(self.view().luma(), 1), (u, 2), (v, 2)].map(
            |(
                PlaneView {
                    bytes,
                    stride,
                    step,
                },
                scale,
            )| Plane {
                bytes,
                stride,
                step,
                width: width.div_ceil(scale),
                height: height.div_ceil(scale),
            },
        );
        Planes { y, u, v }
    }

    /// The planes and their colours, as the models crate reads them.
    pub fn view(&self) -> PictureView<'_> {
        let (width, height) = (self.width, self.height);
        let (y, y_stride) = (self.y(), self.y_stride());
        let matrix = if self.is_bt709() {
            ColourMatrix::Bt709
        } else {
            ColourMatrix::Bt601
        };
        let range = if self.is_full_range() {
            ColourRange::Full
        } else {
            ColourRange::Limited
        };
        let [u, v] = self.chroma();
        if self.held.picture.format() == gst_video::VideoFormat::Nv12 {
            PictureView::Nv12(Nv12View {
                width,
                height,
                y,
                y_stride,
                uv: u.bytes,
                uv_stride: u.stride,
                matrix,
                range,
            })
        } else {
            PictureView::I420(I420View {
                width,
                height,
                y,
                y_stride,
                u: u.bytes,
                u_stride: u.stride,
                v: v.bytes,
                v_stride: v.stride,
                matrix,
                range,
            })
        }
    }

    /// Whether colours are after BT.709, otherwise after BT.601.
    ///
    /// A stream that does not say is taken as BT.709 from 720 lines up, which
    /// is what encoders mean.
    pub fn is_bt709(&self) -> bool {
        match self.held.picture.info().colorimetry().matrix() {
            gst_video::VideoColorMatrix::Bt601 | gst_video::VideoColorMatrix::Fcc => false,
            gst_video::VideoColorMatrix::Unknown => self.height > 576,
            _ => true,
        }
    }

    /// Whether luma uses 0–255, otherwise 16–235.
    pub fn is_full_range(&self) -> bool {
        self.held.picture.info().colorimetry().range() == gst_video::VideoColorRange::Range0_255
    }

    /// Whether its even and odd rows were taken one after the other: what moves is combed.
    pub fn is_interlaced(&self) -> bool {
        let mode = self.held.picture.info().interlace_mode();
        mode != gst_video::VideoInterlaceMode::Progressive
    }

    fn plane(&self, index: u32) -> &[u8] {
        self.held.picture.plane_data(index).expect(MAPPED)
    }

    fn stride(&self, index: usize) -> usize {
        usize::try_from(self.held.picture.plane_stride()[index])
            .expect("decoders in use give planes from the top down")
    }
}

/// What is taken from decoders as it is: software gives the first, hardware the second.
pub(crate) const FORMATS: [gst_video::VideoFormat; 2] =
    [gst_video::VideoFormat::I420, gst_video::VideoFormat::Nv12];
const MAPPED: &str = "the format was checked on mapping, and both have their planes";

/// Blue and red difference of a picture in one of [`FORMATS`].
pub(crate) fn chroma(picture: &Mapped) -> Option<[PlaneView<'_>; 2]> {
    let plane = |index: u32, step| {
        let stride = *picture.plane_stride().get(index as usize)?;
        Some(PlaneView {
            bytes: picture.plane_data(index).ok()?,
            stride: usize::try_from(stride).ok()?,
            step,
        })
    };
    if picture.format() == gst_video::VideoFormat::Nv12 {
        let blue = plane(1, 2)?;
        let red = PlaneView {
            bytes: blue.bytes.get(1..)?,
            ..blue
        };
        Some([blue, red])
    } else {
        Some([plane(1, 1)?, plane(2, 1)?])
    }
}

/// The same pixels in memory of our own.
fn copied(picture: &Mapped, info: &gst_video::VideoInfo) -> Option<Mapped> {
    let buffer = gst::Buffer::with_size(info.size()).ok()?;
    let mut copy = gst_video::VideoFrame::from_buffer_writable(buffer, info).ok()?;
    picture.copy(&mut copy).ok()?;
    Mapped::from_buffer_readable(copy.into_buffer(), info).ok()
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

#[cfg(test)]
mod tests {
    use models::{Colour, ElementType, Fit, Input, Layout, Letterbox, Shrink};

    use super::*;

    const LABEL: Label = Label {
        number: 0,
        time: EventTime::EPOCH,
        time_quality: TimeQuality::Media,
        own_time: None,
        clock_steps: 0,
        connection: 0,
        skipped: 0,
    };

    /// A picture of noise as software gives it, as hardware does, and as hardware
    /// does that pads its rows.
    fn noise(width: u32, height: u32) -> [gst::Sample; 3] {
        crate::init().unwrap();
        let info = gst_video::VideoInfo::builder(gst_video::VideoFormat::I420, width, height);
        let info = info.fps(gst::Fraction::new(25, 1)).build().unwrap();
        let mut random = fastrand::Rng::with_seed(u64::from(width));
        let bytes: Vec<u8> = (0..info.size()).map(|_| random.u8(16..=235)).collect();
        let caps = info.to_caps().unwrap();
        let buffer = gst::Buffer::from_mut_slice(bytes);
        let planar = gst::Sample::builder().caps(&caps).buffer(&buffer).build();
        let mut by_turns = info.to_caps().unwrap();
        by_turns.make_mut().set("format", "NV12");
        let within = gst::ClockTime::from_seconds(60);
        let by_turns = gst_video::convert_sample(&planar, &by_turns, Some(within)).unwrap();
        let padded = padded(&by_turns);
        [planar, by_turns, padded]
    }

    /// The same picture with longer rows, and rubbish at their ends.
    fn padded(sample: &gst::Sample) -> gst::Sample {
        let info = gst_video::VideoInfo::from_caps(sample.caps().unwrap()).unwrap();
        let (width, height) = (info.width() as usize, info.height() as usize);
        let rows = height.div_ceil(2);
        let [luma, colours] = [width + 37, 2 * width.div_ceil(2) + 22];
        let tight = Mapped::from_buffer_readable(sample.buffer_owned().unwrap(), &info).unwrap();
        let mut bytes = vec![0xA5; luma * height + colours * rows];
        let (above, below) = bytes.split_at_mut(luma * height);
        for (n, to, stride, length) in [
            (0, above, luma, width),
            (1, below, colours, 2 * width.div_ceil(2)),
        ] {
            let from = tight.plane_data(n).unwrap();
            let step = usize::try_from(tight.plane_stride()[n as usize]).unwrap();
            for (to, from) in to.chunks_mut(stride).zip(from.chunks(step)) {
                to[..length].copy_from_slice(&from[..length]);
            }
        }
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        gst_video::VideoMeta::add_full(
            buffer.get_mut().unwrap(),
            gst_video::VideoFrameFlags::empty(),
            info.format(),
            info.width(),
            info.height(),
            &[0, luma * height],
            &[luma, colours].map(|stride| i32::try_from(stride).unwrap()),
        )
        .unwrap();
        let caps = sample.caps_owned().unwrap();
        let built = gst::Sample::builder().caps(&caps);
        built.buffer(&buffer).build()
    }

    /// Luma, blue and red without what lies between.
    fn samples(frame: &Frame) -> Vec<u8> {
        let [blue, red] = frame.chroma();
        let planes = [(frame.view().luma(), 1), (blue, 2), (red, 2)].map(|(plane, scale)| {
            let (across, down) = (frame.width.div_ceil(scale), frame.height.div_ceil(scale));
            let row = |y| (0..across as usize).map(move |x| plane.at(x, y));
            (0..down as usize).flat_map(row).collect::<Vec<u8>>()
        });
        planes.concat()
    }

    fn tensor(frame: &Frame, shrink: Shrink) -> Vec<f32> {
        let input = Input {
            tensor: "images".to_owned(),
            width: 64,
            height: 48,
            dynamic: false,
            element: ElementType::F32,
            layout: Layout::Nchw,
            colour: Colour::Rgb,
            mean: [0.0; 3],
            std: [1.0; 3],
            fit: Fit::LetterboxTopLeft,
            shrink,
            pad: [114.0; 3],
        };
        let mut letterbox = Letterbox::new(frame.width, frame.height, &input).unwrap();
        let mut tensor = vec![0.0_f32; input.len()];
        letterbox.fill(frame.view(), &mut tensor).unwrap();
        tensor
    }

    #[test]
    fn what_hardware_gives_is_the_same_picture_to_everybody() {
        let garbage = |frame: &Frame| {
            crate::stream::garbage::GarbageWatch::default().look(frame.time, frame.planes())
        };
        for (width, height) in [(320, 240), (321, 179), (66, 35), (1921, 1081)] {
            let [planar, others @ ..] = noise(width, height);
            let planar = Frame::of_sample(&planar, &LABEL).unwrap();
            assert!(matches!(planar.view(), PictureView::I420(_)));
            for (other, how) in others.iter().zip(["tight", "padded"]) {
                let other = Frame::of_sample(other, &LABEL).unwrap();
                let what = format!("{width}×{height} {how}");
                assert!(matches!(other.view(), PictureView::Nv12(_)), "{what}");
                other.view().check().unwrap();
                assert!(samples(&planar) == samples(&other), "{what}");
                for shrink in [Shrink::Bilinear, Shrink::Area] {
                    let (one, two) = (tensor(&planar, shrink), tensor(&other, shrink));
                    assert!(one == two, "{what} {shrink:?}");
                }
                assert_eq!(garbage(&planar), garbage(&other), "{what}");
            }
        }
    }

    /// Readers that hold pictures for long must not take a decoder's last buffer.
    #[test]
    fn a_decoder_with_few_buffers_gets_them_back_however_many_pictures_are_held() {
        let [_, _, shown] = noise(66, 36);
        let caps = shown.caps_owned().unwrap();
        let size = gst_video::VideoInfo::from_caps(&caps).unwrap().size();
        let pool = gst::BufferPool::new();
        let mut config = pool.config();
        let few = u32::try_from(Loans::MOST).unwrap() + 1;
        config.set_params(Some(&caps), u32::try_from(size).unwrap(), 0, few);
        pool.set_config(config).unwrap();
        pool.set_active(true).unwrap();
        let at_once =
            gst::BufferPoolAcquireParams::with_flags(gst::BufferPoolAcquireFlags::DONTWAIT);
        let loans = Loans::default();
        let mut held = Vec::new();
        for n in 0..20_u8 {
            let mut buffer = pool.acquire_buffer(Some(&at_once)).expect("a free buffer");
            buffer.make_mut().map_writable().unwrap().fill(100 + n);
            let sample = gst::Sample::builder().caps(&caps).buffer(&buffer).build();
            drop(buffer);
            held.push(Frame::lent(&sample, &LABEL, &loans).unwrap());
        }
        for (frame, level) in held.iter().zip(100..) {
            assert!(samples(frame).iter().all(|it| *it == level), "{frame:?}");
        }
        // What was lent and given back is lent again.
        held.clear();
        assert!(!loans.are_all_out());
        pool.set_active(false).unwrap();
    }
}
