//! One group of pictures in a decoder of its own, as far as it has been fed, and which
//! of its pictures are as the camera saw them.
//!
//! A software decoder: hardware ones have few slots, and those are the live streams'.
//!
//! What a picture shows is shown to people as a photograph, or read as a plate. So what
//! the decoder made up is [`Verdict::Damaged`], and so is what may refer to that: every
//! picture from there to the end of the group, however small the damage was.
//!
//! libav says what it made up of H.264. Of H.265 that breaks off it says nothing: the
//! arithmetic decoder reads on behind the end and makes a picture of whatever is there.
//! So H.265 is decoded twice, the second time with other bytes behind each part of a
//! picture. What is whole has said that it ends before it comes to them, and comes out the
//! same.
//!
//! What nobody refers to and nobody wants to see is not decoded: nothing depends on it.
//!
//! Everything happens on the thread that feeds: when [`Group::feed`] returns, the decoder
//! has done with the picture, and what it had to say has been heard.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use protocol::{EventTime, TimeQuality};

use super::frame_number::FrameNumbers;
use super::origin::is_doubted;
use super::renumbered::{Renumbering, said_to_be_whole};
use super::unit::{AccessUnit, Codec, NalKind, nal_kind, nal_units};
use crate::decoder::{Selection, make_decoder, said, to_frames};
use crate::elements::make;
use crate::frame::{Frame, Label};
use crate::stream::garbage::GarbageWatch;
use crate::stream::reference::ReferenceReader;

/// Pictures could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("kept pictures cannot be decoded: {0}; install gstreamer1.0-libav")]
pub struct DecodeError(String);

/// What is known of a picture of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As the camera saw it.
    Sound,
    /// Made up in part, or it may refer to what was.
    Damaged,
    /// It has not come out yet, or something has not that was sent before it.
    Open,
}

/// A group of pictures, from its key picture to as far as it was fed. That may go on into the
/// next, to those that refer to both.
pub(super) struct Group {
    fed: Vec<Fed>,
    first: Pass,
    /// Where the decoder does not say what it made up.
    second: Option<Pass>,
    watch: GarbageWatch,
    /// Of H.264: which pictures are missing.
    numbers: FrameNumbers,
    renumbering: Renumbering,
    /// Whether what is shown before the key picture may be referred to by what is shown behind
    /// it: of H.264 only the encoder can say that it is not.
    is_doubted: bool,
    references: ReferenceReader,
    /// What comes out now may refer to what was made up.
    is_spoilt: bool,
    /// Nothing more comes out.
    is_over: bool,
}

/// A picture that was given to the decoder.
struct Fed {
    number: u64,
    media: i64,
    time: EventTime,
    time_quality: TimeQuality,
    is_torn: bool,
    /// It did not go into the decoder: nobody refers to it.
    is_left_out: bool,
    /// Once it has come out: whether nothing spoke against it.
    is_good: Option<bool>,
    /// What stood in it, in the first pass and in the second.
    contents: [Option<u64>; 2],
}

impl Group {
    /// A decoder for the group that begins with this key picture, not fed yet.
    pub(super) fn begin(key: &AccessUnit) -> Result<Self, DecodeError> {
        let codec = key.format.codec;
        let is_silent = codec == Codec::H265;
        let mut references = ReferenceReader::of_byte_stream(codec);
        // Cameras may say their parameters once, at the beginning of the stream.
        references.is_needed(&key.format.in_band());
        Ok(Self {
            fed: Vec::new(),
            first: Pass::begin(key)?,
            second: is_silent.then(|| Pass::begin(key)).transpose()?,
            watch: GarbageWatch::default(),
            numbers: FrameNumbers::default(),
            renumbering: Renumbering::default(),
            is_doubted: false,
            references,
            is_spoilt: false,
            is_over: false,
        })
    }

    /// How many pictures it was fed.
    pub(super) fn len(&self) -> usize {
        self.fed.len()
    }

    /// The next picture, in the order of sending. Shows what comes out, by its place.
    /// One that is not `wanted` need not come out itself.
    pub(super) fn feed(
        &mut self,
        unit: &AccessUnit,
        is_wanted: bool,
        show: impl FnMut(usize, Frame),
    ) {
        if self.is_over {
            return;
        }
        let is_key = self.fed.is_empty();
        let is_referred_to = self.references.is_needed(&unit.bytes);
        let is_torn = unit.is_torn | self.misses_one(unit, is_key);
        // It refers to what never came, and what follows may refer to it.
        let leads = self.fed.first().is_some_and(|key| unit.media < key.media);
        let is_torn = is_torn || (leads && is_referred_to && self.is_doubted);
        let is_left_out = !is_wanted && !is_key && !is_referred_to;
        self.fed.push(Fed {
            number: unit.number,
            media: unit.media,
            time: unit.time,
            time_quality: unit.time_quality,
            is_torn,
            is_left_out,
            is_good: None,
            contents: [None; 2],
        });
        if is_left_out {
            return;
        }
        let mut counted = self.renumbering.of_picture(&self.numbers, &unit.bytes);
        if is_key && is_doubted(unit) {
            let key = counted.as_deref().unwrap_or(&unit.bytes);
            counted = Some(said_to_be_whole(key));
        }
        let buffer = counted.map_or_else(
            || gst::Buffer::from_slice(Arc::clone(&unit.bytes)),
            gst::Buffer::from_slice,
        );
        let mut goes_on = self.first.push(buffer, unit);
        if let Some(second) = &mut self.second {
            let buffer = gst::Buffer::from_slice(with_other_ends(&unit.bytes));
            goes_on &= second.push(buffer, unit);
        }
        self.take_out(show);
        self.is_over = !goes_on;
    }

    /// Whether a picture is missing before this one.
    fn misses_one(&mut self, unit: &AccessUnit, is_key: bool) -> bool {
        if unit.format.codec != Codec::H264 {
            return false;
        }
        if is_key {
            let sets = unit.format.sps.iter().chain(&unit.format.pps);
            self.numbers.heed(sets.map(Vec::as_slice), is_key);
        }
        let told = self.numbers.heed(nal_units(&unit.bytes), is_key);
        if is_key {
            self.renumbering = Renumbering::of(&self.numbers, &unit.bytes);
            self.is_doubted = !told.is_sure_beginning;
        } else if told.begins_anew {
            self.renumbering = Renumbering::default();
        }
        told.misses_one
    }

    /// No more pictures: what the decoder still holds comes out.
    ///
    /// # Errors
    /// A decoder failed; what came out before that is what it is.
    pub(super) fn finish(&mut self, show: impl FnMut(usize, Frame)) -> Result<(), DecodeError> {
        self.first.end();
        if let Some(second) = &self.second {
            second.end();
        }
        self.take_out(show);
        self.is_over = true;
        let second = self.second.as_ref().map_or(Ok(()), Pass::fault);
        self.first.fault().and(second)
    }

    /// What is known of the picture at this place.
    pub(super) fn verdict(&self, at: usize) -> Verdict {
        let Some((picture, before)) = self.fed.get(..=at).and_then(<[Fed]>::split_last) else {
            // A decoder that takes no more is fed no more.
            return if self.is_over {
                Verdict::Damaged
            } else {
                Verdict::Open
            };
        };
        if self.is_hole(picture)
            || before.iter().any(|fed| self.is_hole(fed))
            || (self.is_out(picture) && picture.is_good == Some(false))
        {
            return Verdict::Damaged;
        }
        let is_settled = |fed: &Fed| self.is_out(fed) || self.is_leading(fed) || fed.is_left_out;
        if self.is_out(picture) && before.iter().all(is_settled) {
            Verdict::Sound
        } else if self.is_over {
            Verdict::Damaged
        } else {
            Verdict::Open
        }
    }

    /// Whether the picture at this place has come out.
    pub(super) fn has_shown(&self, at: usize) -> bool {
        self.fed
            .get(at)
            .is_some_and(|fed| fed.contents[0].is_some())
    }

    /// The numbers of those that are sound so far.
    pub(super) fn sound(&self) -> impl Iterator<Item = u64> {
        let is_sound = |at: &usize| self.verdict(*at) == Verdict::Sound;
        (0..self.fed.len())
            .filter(is_sound)
            .map(|at| self.fed[at].number)
    }

    fn take_out(&mut self, mut show: impl FnMut(usize, Frame)) {
        while let Some((at, is_made_up, frame)) = self.first.next(&self.fed, 0) {
            let is_leading = self.is_leading(&self.fed[at]);
            self.is_spoilt |= is_made_up && !is_leading;
            let garbage = self.watch.look(frame.time, frame.planes());
            let is_seen_twice = self.second.is_some();
            // Of H.264 nobody says what such a one refers to.
            let is_unknown = is_leading && !is_seen_twice;
            let fed = &mut self.fed[at];
            fed.is_good = Some(!is_made_up && !is_unknown && !self.is_spoilt && garbage.is_none());
            // Where it is not compared with anything, that it came out is all.
            fed.contents[0] = Some(if is_seen_twice { content(&frame) } else { 0 });
            show(at, frame);
        }
        if let Some(second) = &mut self.second {
            while let Some((at, _, frame)) = second.next(&self.fed, 1) {
                self.fed[at].contents[1] = Some(content(&frame));
            }
        }
    }

    /// Whether it has come out wherever it should.
    fn is_out(&self, fed: &Fed) -> bool {
        let [first, second] = fed.contents;
        first.is_some() && (self.second.is_none() || second.is_some())
    }

    /// Whether something of it is not there, so that what comes after refers to nothing.
    fn is_hole(&self, fed: &Fed) -> bool {
        let [first, second] = fed.contents;
        let is_read_on = self.second.is_some() && second.is_some() && first != second;
        let is_absent = self.is_over && !self.is_out(fed) && !fed.is_left_out;
        fed.is_torn || ((is_read_on || is_absent) && !self.is_leading(fed))
    }

    /// What is shown before the key picture may refer to the group before, which this
    /// decoder has not seen. It may not come out at all, and nothing refers to it.
    fn is_leading(&self, fed: &Fed) -> bool {
        fed.media < self.fed[0].media
    }
}

/// A pipeline that decodes what is pushed into it, on the thread that pushes.
struct Pass {
    input: gst::Pad,
    sink: gst_app::AppSink,
    pipeline: gst::Pipeline,
    said: Heard,
    /// Of the key picture (µs).
    begins: i64,
    /// Stands before the first picture.
    configuration: Vec<u8>,
}

/// What the decoder has said of its pictures.
#[derive(Clone, Default)]
struct Heard {
    /// Times of pictures that it has made up in part, as it gave them out.
    made_up: Arc<Mutex<BTreeSet<Option<gst::ClockTime>>>>,
    /// It said that something was made up, and nothing has come out since.
    is_blamed: Arc<AtomicBool>,
}

/// The key picture is shown so long after the pipeline's beginning: others may be shown
/// before it.
const LEAD: i64 = 60_000_000;

impl Pass {
    fn begin(key: &AccessUnit) -> Result<Self, DecodeError> {
        let failed = |error: gst::glib::BoolError| DecodeError(error.message.to_string());
        let codec = key.format.codec;
        let (caps, parser) = match codec {
            Codec::H264 => ("video/x-h264", Some("h264parse")),
            Codec::H265 => ("video/x-h265", Some("h265parse")),
            Codec::Mjpeg => ("image/jpeg", None),
        };
        let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
        let mut caps = gst::Caps::builder(caps)
            .field("width", side(key.format.width))
            .field("height", side(key.format.height));
        if parser.is_some() {
            caps = caps
                .field("stream-format", "byte-stream")
                .field("alignment", "au");
        }
        let caps = caps.build();
        // All on one thread: it must not wait for itself, not even at the end.
        let sink = gst_app::AppSink::builder()
            .sync(false)
            .async_(false)
            .wait_on_eos(false)
            .build();
        let mut chain: Vec<gst::Element> = Vec::new();
        if let Some(parser) = parser {
            chain.push(make(parser).map_err(failed)?);
        }
        // With one thread a picture comes out on the thread that brought it.
        let decoder = make_decoder(&caps, 1, &Selection::software());
        let decoder = decoder
            .map_err(|none| DecodeError(format!("no software decoder for {}", none.codec)))?
            .element;
        let said = Heard::of(&decoder);
        chain.push(decoder);
        chain.extend(to_frames().map_err(failed)?);
        chain.push(sink.clone().upcast());
        let pipeline = gst::Pipeline::new();
        pipeline.add_many(&chain).map_err(failed)?;
        gst::Element::link_many(&chain).map_err(failed)?;
        let input = gst::Pad::builder(gst::PadDirection::Src).build();
        let pass = Self {
            input,
            sink,
            pipeline,
            said,
            begins: key.media,
            configuration: key.format.in_band(),
        };
        let does_not_start = || DecodeError(format!("the {} decoder does not start", codec.name()));
        let entrance = chain.first().and_then(|first| first.static_pad("sink"));
        let entrance = entrance.ok_or_else(does_not_start)?;
        pass.input.set_active(true).map_err(failed)?;
        pass.input.link(&entrance).map_err(|_| does_not_start())?;
        (pass.pipeline.set_state(gst::State::Playing)).map_err(|_| does_not_start())?;
        let time = gst::FormattedSegment::<gst::ClockTime>::new();
        for event in [
            gst::event::StreamStart::new("group"),
            gst::event::Caps::new(&caps),
            gst::event::Segment::new(&time),
        ] {
            pass.input.push_event(event);
        }
        Ok(pass)
    }

    fn shown(&self, media: i64) -> gst::ClockTime {
        let since = media.saturating_sub(self.begins).saturating_add(LEAD);
        gst::ClockTime::from_useconds(u64::try_from(since).unwrap_or(0))
    }

    /// False when the decoder takes no more.
    fn push(&mut self, mut buffer: gst::Buffer, unit: &AccessUnit) -> bool {
        // Cameras may say their parameters once, at the beginning of the stream.
        let configuration = std::mem::take(&mut self.configuration);
        if !configuration.is_empty() {
            let mut whole = gst::Buffer::from_slice(configuration);
            whole.append(buffer);
            buffer = whole;
        }
        let shown = self.shown(unit.media);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(shown);
        }
        // Threads are used again: what was said of another stream is not of this one.
        said::take();
        let taken = self.input.push(buffer);
        self.said.heed_rest();
        taken.is_ok()
    }

    fn end(&self) {
        said::take();
        self.input.push_event(gst::event::Eos::new());
        self.said.heed_rest();
    }

    /// The next picture that has come out: its place, whether it is made up, and it.
    fn next(&self, fed: &[Fed], pass: usize) -> Option<(usize, bool, Frame)> {
        while let Some(sample) = self.sink.try_pull_sample(gst::ClockTime::ZERO) {
            let Some(buffer) = sample.buffer() else {
                continue;
            };
            // Cameras give the same time to two pictures, too.
            let is_it = |fed: &Fed| {
                fed.contents[pass].is_none()
                    && !fed.is_left_out
                    && buffer.pts() == Some(self.shown(fed.media))
            };
            let Some(at) = fed.iter().position(is_it) else {
                continue;
            };
            let unit = &fed[at];
            let label = Label {
                number: unit.number,
                time: unit.time,
                time_quality: unit.time_quality,
                own_time: None,
                // A still says when it was by itself.
                clock_steps: 0,
                connection: 0,
                skipped: 0,
            };
            if let Some(frame) = Frame::of_sample(&sample, &label) {
                let is_made_up = self.said.is_made_up(buffer.pts())
                    || buffer.flags().contains(gst::BufferFlags::CORRUPTED);
                return Some((at, is_made_up, frame));
            }
        }
        None
    }

    fn fault(&self) -> Result<(), DecodeError> {
        let bus = self.pipeline.bus();
        let fault = bus.and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
        match fault.as_ref().map(|message| message.view()) {
            Some(gst::MessageView::Error(error)) => Err(DecodeError(error.error().to_string())),
            _ => Ok(()),
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).ok();
        self.input.set_active(false).ok();
    }
}

impl Heard {
    /// Listens to what a decoder says of its pictures, on the thread that feeds it.
    fn of(decoder: &gst::Element) -> Self {
        let heard = Self::default();
        if let Some(output) = decoder.static_pad("src") {
            let heard = heard.clone();
            output.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                heard.heed_rest();
                let is_made_up = heard.is_blamed.swap(false, Ordering::Relaxed);
                if let (true, Some(buffer)) = (is_made_up, info.buffer()) {
                    heard.made_up().insert(buffer.pts());
                }
                gst::PadProbeReturn::Ok
            });
        }
        heard
    }

    /// What was said of a picture that has not come out, while others wait to.
    fn heed_rest(&self) {
        if said::take().is_some() {
            self.is_blamed.store(true, Ordering::Relaxed);
        }
    }

    fn is_made_up(&self, shown: Option<gst::ClockTime>) -> bool {
        self.made_up().contains(&shown)
    }

    fn made_up(&self) -> MutexGuard<'_, BTreeSet<Option<gst::ClockTime>>> {
        self.made_up.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All that is to be seen of a picture, as a number.
fn content(frame: &Frame) -> u64 {
    let mut hasher = DefaultHasher::new();
    let planes = frame.planes();
    for plane in [planes.y, planes.u, planes.v] {
        let length = plane.width.saturating_sub(1) * plane.step + 1;
        for row in plane.bytes.chunks(plane.stride.max(1)).take(plane.height) {
            hasher.write(&row[..length.min(row.len())]);
        }
    }
    hasher.finish()
}

/// What stands behind each part of a picture: no zeros, which might begin something.
const OTHER_END: [u8; 80] = [0x5A; 80];

/// The same H.265 picture with [`OTHER_END`] behind each of its parts.
fn with_other_ends(bytes: &[u8]) -> Vec<u8> {
    let mut other = Vec::with_capacity(bytes.len() + 256);
    for unit in nal_units(bytes) {
        other.extend([0, 0, 0, 1]);
        other.extend(unit);
        if matches!(nal_kind(Codec::H265, unit), NalKind::Slice { .. }) {
            other.extend(OTHER_END);
        }
    }
    other
}
