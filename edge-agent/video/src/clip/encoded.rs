//! The encoded pictures of a clip, as its file has them: what a camera would have
//! sent, for a ring of the kind that cameras fill.
//!
//! Taken behind the demuxer and before any parser, so that every NAL unit stays,
//! SEI included. MP4 and Matroska have lengths before the units and the parameter
//! sets in a header: the lengths become start codes, the parameter sets are told
//! apart ([`EncodedClip::parameters`]), and nothing is added to a picture.
//!
//! Refused here: codecs that no camera of ours sends, and bare streams, which say
//! neither where a picture ends nor when it is shown.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::error::ClipError;
use super::streams::lock;
use super::waiting::{Next, PATIENCE, POLL, error_on, wait};
use crate::decoder::codec_name;
use crate::elements::make;
use crate::encoded::Codec;

/// A clip whose pictures are read without being decoded; dropping it stops that.
#[derive(Debug)]
pub struct EncodedClip {
    path: PathBuf,
    pipeline: gst::Pipeline,
    bus: gst::Bus,
    sink: gst_app::AppSink,
    form: Form,
    /// Read ahead on opening.
    pending: Option<gst::Sample>,
    has_ended: bool,
}

/// What one buffer of the file holds: a picture, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPicture {
    /// Its NAL units behind start codes, or a JPEG.
    pub bytes: Vec<u8>,
    /// When it is shown, on the clock of
    /// [`ClipReader::shown`](super::ClipReader::shown) (µs); absent for what belongs
    /// to the picture before.
    pub media: Option<i64>,
    /// When it is decoded, where the file says, on the same clock (µs).
    pub decoded: Option<i64>,
}

/// How the file writes its pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Form {
    codec: Codec,
    /// Bytes of the length before each NAL unit; absent where start codes are.
    length: Option<usize>,
    parameters: Vec<u8>,
}

/// What opening has found so far.
#[derive(Debug, Default)]
struct Found {
    is_attached: bool,
    /// A video stream that no camera sends.
    other: Option<String>,
    is_complete: bool,
}

/// Pictures that wait for the reader.
const AHEAD: u32 = 4;

impl EncodedClip {
    /// Opens a clip that a [`ClipReader`](super::ClipReader) can read. Needs
    /// [`init`](crate::init) first.
    pub fn open(path: &Path) -> Result<Self, ClipError> {
        let failed = |error: gst::glib::BoolError| ClipError::Pipeline {
            path: path.to_owned(),
            detail: error.message.to_string(),
        };
        let pipeline = gst::Pipeline::new();
        let sink = gst_app::AppSink::builder()
            .sync(false)
            .async_(false)
            .max_buffers(AHEAD)
            .drop(false)
            .build();
        let found = Arc::new(Mutex::new(Found::default()));
        build(&pipeline, path, &sink, &found).map_err(failed)?;
        let opened = Self::first(path, &pipeline, &sink, &found);
        opened.inspect_err(|_| {
            pipeline.set_state(gst::State::Null).ok();
        })
    }

    /// Waits for the first picture.
    fn first(
        path: &Path,
        pipeline: &gst::Pipeline,
        sink: &gst_app::AppSink,
        found: &Mutex<Found>,
    ) -> Result<Self, ClipError> {
        let path = path.to_owned();
        let Some(bus) = pipeline.bus() else {
            let detail = "the pipeline has no bus".to_owned();
            return Err(ClipError::Pipeline { path, detail });
        };
        if pipeline.set_state(gst::State::Playing).is_err() {
            let said = error_on(&bus).map(|(detail, _)| detail);
            let detail = said.unwrap_or_else(|| "the pipeline does not start".to_owned());
            return Err(ClipError::Pipeline { path, detail });
        }
        let began = Instant::now();
        let sample = loop {
            let (is_attached, other, is_complete) = {
                let found = lock(found);
                (found.is_attached, found.other.clone(), found.is_complete)
            };
            if is_attached && let Some(sample) = sink.try_pull_sample(POLL) {
                break sample;
            }
            if is_attached && sink.is_eos() {
                let detail = "the stream is empty".to_owned();
                return Err(ClipError::NoFrames { path, detail });
            }
            if let (Some(codec), false) = (other, is_attached) {
                return Err(ClipError::NotKept { path, codec });
            }
            if is_complete && !lock(found).is_attached {
                return Err(ClipError::NoVideo(path));
            }
            if began.elapsed() > PATIENCE {
                let waited_s = PATIENCE.as_secs();
                return Err(ClipError::Stalled { path, waited_s });
            }
            if !is_attached {
                std::thread::sleep(POLL.into());
            }
        };
        let form = sample.caps().and_then(Form::of);
        let form = form.ok_or_else(|| ClipError::NotKept {
            path: path.clone(),
            codec: "of an unknown form".to_owned(),
        })?;
        if sample.buffer().and_then(gst::BufferRef::pts).is_none() {
            return Err(ClipError::NoTimes(path));
        }
        if is_turned(sink) {
            return Err(ClipError::Turned(path));
        }
        Ok(Self {
            path,
            pipeline: pipeline.clone(),
            bus,
            sink: sink.clone(),
            form,
            pending: Some(sample),
            has_ended: false,
        })
    }

    /// How its pictures are encoded.
    pub fn codec(&self) -> Codec {
        self.form.codec
    }

    /// Parameter sets that the file says once, in its header, as a byte stream; empty
    /// where they are among the pictures.
    pub fn parameters(&self) -> &[u8] {
        &self.form.parameters
    }

    /// The next picture, in the order of the file, which is that of decoding; `None`
    /// at the end, and at a fault, which the [`ClipReader`](super::ClipReader) of the
    /// same file tells.
    pub fn next_picture(&mut self) -> Result<Option<EncodedPicture>, ClipError> {
        while !self.has_ended {
            let next = match self.pending.take() {
                Some(sample) => Next::Sample(sample),
                None => wait(&self.path, &self.sink, &self.bus)?,
            };
            let Next::Sample(sample) = next else {
                self.has_ended = true;
                break;
            };
            if let Some(picture) = self.form.picture(&sample) {
                return Ok(Some(picture));
            }
        }
        Ok(None)
    }
}

impl Drop for EncodedClip {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).ok();
    }
}

/// `filesrc ! parsebin`, which is stopped before the parser of the first video stream.
fn build(
    pipeline: &gst::Pipeline,
    path: &Path,
    sink: &gst_app::AppSink,
    found: &Arc<Mutex<Found>>,
) -> Result<(), gst::glib::BoolError> {
    let source = make("filesrc")?;
    source.set_property("location", path);
    let parsebin = make("parsebin")?;
    pipeline.add_many([&source, &parsebin])?;
    source.link(&parsebin)?;
    parsebin.connect("autoplug-continue", false, |values| {
        let caps = values.get(2).and_then(|caps| caps.get::<gst::Caps>().ok());
        let is_kept = caps.is_some_and(|caps| codec_of(&caps).is_some());
        Some((!is_kept).to_value())
    });
    let all = Arc::clone(found);
    parsebin.connect_no_more_pads(move |_| lock(&all).is_complete = true);
    let (weak, sink, found) = (pipeline.downgrade(), sink.clone(), Arc::clone(found));
    parsebin.connect_pad_added(move |_, pad| {
        if let Some(pipeline) = weak.upgrade()
            && let Err(error) = attach(&pipeline, pad, &sink, &found)
        {
            gst::element_error!(pipeline, gst::CoreError::Failed, ("{}", error.message));
        }
    });
    Ok(())
}

/// Takes the first video stream, and lets every other run dry.
fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    sink: &gst_app::AppSink,
    found: &Mutex<Found>,
) -> Result<(), gst::glib::BoolError> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let mut found = lock(found);
    let is_first = !found.is_attached && found.other.is_none();
    let end: gst::Element = if is_first && codec_of(&caps).is_some() {
        sink.clone().upcast()
    } else {
        let name = caps.structure(0).map(|it| it.name().to_string());
        let is_video = |name: &String| name.starts_with("video/") || name.starts_with("image/");
        if is_first && name.as_ref().is_some_and(is_video) {
            found.other = Some(codec_name(&caps));
        }
        let end = make("fakesink")?;
        end.set_property("async", false);
        end.set_property("sync", false);
        end
    };
    pipeline.add(&end)?;
    end.sync_state_with_parent()?;
    if let Some(input) = end.static_pad("sink")
        && pad.link(&input).is_ok()
    {
        found.is_attached |= end == *sink.upcast_ref::<gst::Element>();
    }
    Ok(())
}

fn codec_of(caps: &gst::CapsRef) -> Option<Codec> {
    match caps.structure(0)?.name().as_str() {
        "video/x-h264" => Some(Codec::H264),
        "video/x-h265" => Some(Codec::H265),
        "image/jpeg" => Some(Codec::Mjpeg),
        _ => None,
    }
}

/// Whether the file says that its pictures are to be turned before they are shown.
fn is_turned(sink: &gst_app::AppSink) -> bool {
    let Some(pad) = sink.static_pad("sink") else {
        return false;
    };
    let mut is_turned = false;
    pad.sticky_events_foreach(|event| {
        if let gst::EventView::Tag(tags) = event.view()
            && let Some(way) = tags.tag().get::<gst::tags::ImageOrientation>()
        {
            is_turned |= way.get() != "rotate-0";
        }
        std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
    });
    is_turned
}

impl Form {
    fn of(caps: &gst::CapsRef) -> Option<Self> {
        let codec = codec_of(caps)?;
        let header = caps
            .structure(0)?
            .get::<gst::Buffer>("codec_data")
            .ok()
            .and_then(|header| Some(header.map_readable().ok()?.to_vec()));
        let (length, parameters) = match (codec, &header) {
            (Codec::H264, Some(header)) => avc_header(header)?,
            (Codec::H265, Some(header)) => hevc_header(header)?,
            _ => (None, Vec::new()),
        };
        Some(Self {
            codec,
            length,
            parameters,
        })
    }

    fn picture(&self, sample: &gst::Sample) -> Option<EncodedPicture> {
        let buffer = sample.buffer()?;
        let bytes = buffer.map_readable().ok()?;
        let bytes = match self.length {
            Some(length) => with_start_codes(&bytes, length),
            None => bytes.to_vec(),
        };
        // Edit lists are taken out, as they are for who decodes.
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>();
        let running = |time: Option<gst::ClockTime>| {
            let time = match segment {
                Some(segment) => segment.to_running_time_full(time?)?,
                None => time?.into(),
            };
            let micros = i64::try_from(time.abs().useconds()).ok()?;
            Some(if time.is_negative() { -micros } else { micros })
        };
        Some(EncodedPicture {
            bytes,
            media: running(buffer.pts()),
            decoded: running(buffer.dts()),
        })
    }
}

const START: [u8; 4] = [0, 0, 0, 1];

/// NAL units with lengths before them, as a byte stream. What a damaged length
/// leaves over is left out.
fn with_start_codes(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 64);
    let mut rest = bytes;
    while let Some((size, after)) = rest.split_at_checked(length) {
        let size = size
            .iter()
            .fold(0_usize, |size, byte| size << 8 | usize::from(*byte));
        let Some((unit, after)) = after.split_at_checked(size) else {
            break;
        };
        if !unit.is_empty() {
            out.extend_from_slice(&START);
            out.extend_from_slice(unit);
        }
        rest = after;
    }
    out
}

/// The length of lengths, and the parameter sets as a byte stream.
type Header = (Option<usize>, Vec<u8>);

/// `avcC`, ISO/IEC 14496-15 § 5.3.3.1.2.
fn avc_header(header: &[u8]) -> Option<Header> {
    let length = usize::from(header.get(4)? & 3) + 1;
    let mut rest = header.get(5..)?;
    let mut sets = Vec::new();
    for mask in [31, 255] {
        // A header may end here: the sets are among the pictures then.
        let Some((count, after)) = rest.split_first() else {
            break;
        };
        rest = after;
        for _ in 0..(count & mask) {
            rest = take_set(rest, &mut sets)?;
        }
    }
    Some((Some(length), sets))
}

/// `hvcC`, ISO/IEC 14496-15 § 8.3.3.1.2.
fn hevc_header(header: &[u8]) -> Option<Header> {
    let length = usize::from(header.get(21)? & 3) + 1;
    let (count, mut rest) = header.get(22..)?.split_first()?;
    let mut sets = Vec::new();
    for _ in 0..*count {
        let (&[_, high, low], after) = rest.split_first_chunk()?;
        rest = after;
        for _ in 0..u16::from_be_bytes([high, low]) {
            rest = take_set(rest, &mut sets)?;
        }
    }
    Some((Some(length), sets))
}

/// One parameter set, its length before it.
fn take_set<'a>(rest: &'a [u8], sets: &mut Vec<u8>) -> Option<&'a [u8]> {
    let (&[high, low], after) = rest.split_first_chunk()?;
    let (set, after) = after.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    sets.extend_from_slice(&START);
    sets.extend_from_slice(set);
    Some(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn measured(units: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for unit in units {
            out.extend_from_slice(&u16::try_from(unit.len()).unwrap().to_be_bytes());
            out.extend_from_slice(unit);
        }
        out
    }

    fn started(units: &[Vec<u8>]) -> Vec<u8> {
        units
            .iter()
            .flat_map(|unit| [&START[..], unit].concat())
            .collect()
    }

    proptest! {
        #[test]
        fn lengths_become_start_codes_and_no_byte_of_a_unit_changes(
            units in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..30), 0..6),
            cut in 0..40_usize,
        ) {
            let bytes = measured(&units);
            prop_assert_eq!(with_start_codes(&bytes, 2), started(&units));
            // A cut one gives a beginning of it.
            let cut = with_start_codes(&bytes[..bytes.len().saturating_sub(cut)], 2);
            prop_assert!(started(&units).starts_with(&cut));
        }

        #[test]
        fn headers_of_any_bytes_are_read_or_refused(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
            sps in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9), 0..3),
            pps in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..9), 0..3),
        ) {
            let _any = (avc_header(&bytes), hevc_header(&bytes));
            let (few, many) = (u8::try_from(sps.len()).unwrap(), u8::try_from(pps.len()).unwrap());
            let avc = [&[1, 66, 0, 30, 0xff, 0xe0 | few][..], &measured(&sps), &[many], &measured(&pps)];
            let sets = [started(&sps), started(&pps)].concat();
            prop_assert_eq!(avc_header(&avc.concat()), Some((Some(4), sets.clone())));
            let hevc = [
                &[0; 21][..], &[1, 2, 33, 0, few], &measured(&sps), &[34, 0, many], &measured(&pps),
            ];
            prop_assert_eq!(hevc_header(&hevc.concat()), Some((Some(2), sets)));
        }
    }
}
