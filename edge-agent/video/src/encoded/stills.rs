//! A few pictures out of many encoded ones, by a decoder that lives as long as
//! that takes.
//!
//! A software decoder: hardware ones have few slots, and those are the live
//! streams'.
//!
//! Stills are shown to people as photographs. So what the decoder made up is no
//! still, and neither is what may refer to that: every picture from there to the
//! next key picture, however small the damage was, for a number plate is small as
//! well. Where the wanted picture is such a one, the nearest sound one stands in.
//!
//! libav says what it made up of H.264. Of H.265 that breaks off it says nothing: the
//! arithmetic decoder reads on behind the end and makes a picture of whatever is there.
//! So H.265 is decoded twice, the second time with other bytes behind each part of a
//! picture. What is whole has said that it ends before it comes to them, and comes out the
//! same.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use protocol::units::Seconds;

use super::unit::{AccessUnit, Codec, NalKind, nal_kind, nal_units};
use crate::decoder::{Selection, make_decoder, said, to_frames};
use crate::elements::make;
use crate::frame::{Frame, Label};
use crate::stream::garbage::GarbageWatch;

/// Pictures could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pictures cannot be decoded for stills: {0}; install gstreamer1.0-libav")]
pub struct DecodeError(String);

/// The pictures of [`decode_at`].
#[derive(Clone, Debug, Default)]
pub struct Stills {
    /// By the number of the wanted picture.
    pub found: BTreeMap<u64, Frame>,
    /// Those that are damaged, with no sound one near them.
    pub damaged: BTreeSet<u64>,
}

/// A decoder that gives nothing for so long hangs.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// Decodes the pictures with these numbers.
///
/// For a damaged one the sound one that is nearest in time stands in, if it is
/// `within` of it: its [`Frame::number`] is another one than was asked for.
///
/// Of each group of pictures only what stands before the last wanted one; where
/// that is damaged, again for what is near it.
///
/// # Errors
/// Nothing at all could be decoded.
pub fn decode_at(
    units: &[AccessUnit],
    wanted: &BTreeSet<u64>,
    within: Seconds,
) -> Result<Stills, DecodeError> {
    let decoded = decode(units, wanted, |unit| wanted.contains(&unit.number));
    let mut found = decoded.kept;
    let absent: Vec<&AccessUnit> = units
        .iter()
        .filter(|unit| wanted.contains(&unit.number) && !found.contains_key(&unit.number))
        .collect();
    if let (true, Some(fault)) = (found.is_empty(), decoded.fault) {
        return Err(fault);
    }
    let off = |a: &AccessUnit, b: &AccessUnit| a.time.since(b.time).0.abs();
    let is_near = |unit: &AccessUnit| absent.iter().any(|it| off(unit, it) <= within.0);
    let sound = decode(units, &BTreeSet::new(), is_near).sound;
    let stand_in = |it: &AccessUnit| {
        let near = units.iter().filter(|unit| sound.contains(&unit.number));
        let nearest = near.min_by(|a, b| off(a, it).total_cmp(&off(b, it)))?;
        (off(nearest, it) <= within.0).then_some(nearest.number)
    };
    let stand_ins: BTreeMap<u64, u64> = absent
        .iter()
        .filter_map(|it| Some((it.number, stand_in(it)?)))
        .collect();
    let numbers: BTreeSet<u64> = stand_ins.values().copied().collect();
    let shown = decode(units, &numbers, |unit| numbers.contains(&unit.number)).kept;
    for (number, stand_in) in stand_ins {
        found.extend(shown.get(&stand_in).map(|frame| (number, frame.clone())));
    }
    let damaged = absent.iter().map(|unit| unit.number);
    let damaged = damaged.filter(|it| !found.contains_key(it)).collect();
    Ok(Stills { found, damaged })
}

/// What came out of decoders.
#[derive(Default)]
struct Decoded {
    /// Sound pictures that were asked for, by number.
    kept: BTreeMap<u64, Frame>,
    /// The numbers of all that are sound.
    sound: BTreeSet<u64>,
    /// What failed first, if anything did.
    fault: Option<DecodeError>,
}

/// Decodes each group up to the last picture that is `needed`, and keeps pictures.
fn decode(
    units: &[AccessUnit],
    keep: &BTreeSet<u64>,
    is_needed: impl Fn(&AccessUnit) -> bool,
) -> Decoded {
    let mut decoded = Decoded::default();
    for group in groups(units) {
        if let Some(last) = group.iter().rposition(&is_needed)
            && let Err(fault) = decode_group(&group[..=last], keep, &mut decoded)
        {
            // A stream that is damaged stops a decoder as well; other groups may be whole.
            decoded.fault.get_or_insert(fault);
        }
    }
    decoded
}

/// What can be decoded by itself: from each key picture to before the next.
fn groups(units: &[AccessUnit]) -> impl Iterator<Item = &[AccessUnit]> {
    units
        .chunk_by(|_, next| !next.is_key)
        .filter(|group| group[0].is_key)
}

/// Times of pictures that the decoder has made up in part, as it gave them out.
type MadeUp = Arc<Mutex<BTreeSet<Option<gst::ClockTime>>>>;

/// Listens to what a decoder says of its pictures, on its own thread.
fn listen(decoder: &gst::Element) -> MadeUp {
    let made_up = MadeUp::default();
    if let Some(input) = decoder.static_pad("sink") {
        // Threads are used again: what was said to one before is not of this stream.
        input.add_probe(gst::PadProbeType::BUFFER, |_, _| {
            said::take();
            gst::PadProbeReturn::Remove
        });
    }
    if let Some(output) = decoder.static_pad("src") {
        let told = Arc::clone(&made_up);
        output.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            if let (Some(_), Some(buffer)) = (said::take(), info.buffer()) {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                told.insert(buffer.pts());
            }
            gst::PadProbeReturn::Ok
        });
    }
    made_up
}

/// Which pictures of a group are as the camera saw them.
struct Soundness<'a> {
    group: &'a [AccessUnit],
    /// What comes out now may refer to what was made up.
    is_spoilt: bool,
    watch: GarbageWatch,
    /// Of each picture whether it has come out, and was sound.
    seen: Vec<Option<bool>>,
    /// What stood in each picture that has come out.
    content: Vec<Option<u64>>,
}

impl<'a> Soundness<'a> {
    fn new(group: &'a [AccessUnit]) -> Self {
        Self {
            group,
            is_spoilt: false,
            watch: GarbageWatch::default(),
            seen: vec![None; group.len()],
            content: vec![None; group.len()],
        }
    }

    /// Looks at the picture at `at`, in the order in which they come out.
    fn look(&mut self, at: usize, is_made_up: bool, frame: &Frame) {
        self.is_spoilt |= is_made_up && !self.is_leading(at);
        let garbage = self.watch.look(frame.time, frame.planes());
        self.seen[at] = Some(!is_made_up && !self.is_spoilt && garbage.is_none());
        self.content[at] = self.has_second_look().then(|| content(frame));
    }

    /// Whether the decoder does not say what it made up.
    fn has_second_look(&self) -> bool {
        let codec = |unit: &AccessUnit| unit.format.codec;
        self.group.first().map(codec) == Some(Codec::H265)
    }

    /// Looks at it once more, decoded with other bytes behind its parts.
    fn look_again(&mut self, at: usize, frame: &Frame) {
        if self.content[at] == Some(content(frame)) {
            self.content[at] = None;
        }
    }

    /// Those of which it is not known that they end as they should are as good as absent.
    fn end_of_second_look(&mut self) {
        for (seen, unproven) in self.seen.iter_mut().zip(&self.content) {
            if unproven.is_some() {
                *seen = None;
            }
        }
    }

    /// What is shown before the key picture may refer to the group before, which this
    /// decoder has not seen. It may not come out at all, and nothing refers to it.
    fn is_leading(&self, at: usize) -> bool {
        self.group[at].media < self.group[0].media
    }

    /// Those that are sound now that all have come out: before the first, in the order
    /// of sending, of which something did not arrive or nothing came out.
    fn of_all(&self) -> impl Iterator<Item = u64> {
        let is_hole = |at: &usize| {
            self.group[*at].is_torn || (self.seen[*at].is_none() && !self.is_leading(*at))
        };
        let end = (0..self.group.len()).find(is_hole);
        let pictures = self.group.iter().zip(&self.seen);
        let before = pictures.take(end.unwrap_or(self.group.len()));
        before
            .filter(|(_, seen)| **seen == Some(true))
            .map(|(unit, _)| unit.number)
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

/// Decodes a group from its key picture.
fn decode_group(
    group: &[AccessUnit],
    keep: &BTreeSet<u64>,
    into: &mut Decoded,
) -> Result<(), DecodeError> {
    let mut soundness = Soundness::new(group);
    let mut kept: BTreeMap<u64, Frame> = BTreeMap::new();
    let as_sent = |unit: &AccessUnit| gst::Buffer::from_slice(Arc::clone(&unit.bytes));
    let mut end = play(group, as_sent, |at, is_made_up, frame| {
        soundness.look(at, is_made_up, &frame);
        if keep.contains(&frame.number) {
            kept.insert(frame.number, frame);
        }
    });
    if soundness.has_second_look() {
        let again = |unit: &AccessUnit| gst::Buffer::from_slice(with_other_ends(&unit.bytes));
        let second = play(group, again, |at, _, frame| {
            soundness.look_again(at, &frame);
        });
        soundness.end_of_second_look();
        end = end.and(second);
    }
    let sound: BTreeSet<u64> = soundness.of_all().collect();
    kept.retain(|number, _| sound.contains(number));
    into.kept.extend(kept);
    into.sound.extend(sound);
    end
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

/// Decodes a group, and shows each picture with its place in the group and whether the
/// decoder has made it up.
fn play(
    group: &[AccessUnit],
    bytes_of: impl Fn(&AccessUnit) -> gst::Buffer,
    mut show: impl FnMut(usize, bool, Frame),
) -> Result<(), DecodeError> {
    let failed = |error: gst::glib::BoolError| DecodeError(error.message.to_string());
    let Some(first) = group.first() else {
        return Ok(());
    };
    let codec = first.format.codec;
    let (caps, parser) = match codec {
        Codec::H264 => ("video/x-h264", Some("h264parse")),
        Codec::H265 => ("video/x-h265", Some("h265parse")),
        Codec::Mjpeg => ("image/jpeg", None),
    };
    let side = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let mut caps = gst::Caps::builder(caps)
        .field("width", side(first.format.width))
        .field("height", side(first.format.height));
    if parser.is_some() {
        caps = caps
            .field("stream-format", "byte-stream")
            .field("alignment", "au");
    }
    let caps = caps.build();
    let source = gst_app::AppSrc::builder()
        .format(gst::Format::Time)
        .caps(&caps)
        .build();
    let sink = gst_app::AppSink::builder().sync(false).build();
    let mut chain: Vec<gst::Element> = vec![source.clone().upcast()];
    if let Some(parser) = parser {
        chain.push(make(parser).map_err(failed)?);
    }
    let decoder = make_decoder(&caps, 1, &Selection::software());
    let decoder = decoder
        .map_err(|none| DecodeError(format!("no software decoder for {}", none.codec)))?
        .element;
    let made_up = listen(&decoder);
    chain.push(decoder);
    chain.extend(to_frames().map_err(failed)?);
    chain.push(sink.clone().upcast());
    let pipeline = gst::Pipeline::new();
    pipeline.add_many(&chain).map_err(failed)?;
    gst::Element::link_many(&chain).map_err(failed)?;
    let _stopped_when_done = Stop(&pipeline);
    pipeline
        .set_state(gst::State::Playing)
        .map_err(|_| DecodeError(format!("the {} decoder does not start", codec.name())))?;
    let earliest = group.iter().map(|unit| unit.media).min().unwrap_or(0);
    let shown = |unit: &AccessUnit| gst::ClockTime::from_useconds(unit.media.abs_diff(earliest));
    let configuration = first.format.in_band();
    for (n, unit) in group.iter().enumerate() {
        let mut buffer = bytes_of(unit);
        // Cameras may say their parameters once, at the beginning of the stream.
        if n == 0 && !configuration.is_empty() {
            let mut whole = gst::Buffer::from_slice(configuration.clone());
            whole.append(buffer);
            buffer = whole;
        }
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(shown(unit));
        }
        if source.push_buffer(buffer).is_err() {
            break;
        }
    }
    // A decoder that has failed takes no end either; the sink tells.
    let _refused = source.end_of_stream();
    let mut is_out = vec![false; group.len()];
    while let Some(sample) = sink.try_pull_sample(PATIENCE) {
        let Some(buffer) = sample.buffer() else {
            continue;
        };
        // Cameras give the same time to two pictures, too.
        let mut pictures = group.iter().zip(&is_out);
        let Some(at) =
            pictures.position(|(unit, is_out)| !is_out && buffer.pts() == Some(shown(unit)))
        else {
            continue;
        };
        let unit = &group[at];
        let label = Label {
            number: unit.number,
            time: unit.time,
            time_quality: unit.time_quality,
            // A still says when it was by itself.
            clock_steps: 0,
        };
        if let Some(frame) = Frame::of_sample(&sample, &label) {
            is_out[at] = true;
            let is_made_up = {
                let made_up = made_up.lock().unwrap_or_else(PoisonError::into_inner);
                made_up.contains(&buffer.pts())
                    || buffer.flags().contains(gst::BufferFlags::CORRUPTED)
            };
            show(at, is_made_up, frame);
        }
    }
    let fault = pipeline
        .bus()
        .and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
    match fault.as_ref().map(|message| message.view()) {
        Some(gst::MessageView::Error(error)) => Err(DecodeError(error.error().to_string())),
        _ => Ok(()),
    }
}

/// Stops a pipeline also when something fails in between.
struct Stop<'a>(&'a gst::Pipeline);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.set_state(gst::State::Null).ok();
    }
}
