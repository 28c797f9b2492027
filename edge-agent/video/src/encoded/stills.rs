//! A few pictures out of many encoded ones, by a decoder that lives as long as
//! that takes.
//!
//! A software decoder: hardware ones have few slots, and those are the live
//! streams'.

use std::collections::BTreeSet;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use super::unit::{AccessUnit, Codec};
use crate::decoder::to_i420;
use crate::elements::make;
use crate::frame::{Frame, Label};

/// Pictures could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("pictures cannot be decoded for stills: {0}; install gstreamer1.0-libav")]
pub struct DecodeError(String);

/// A decoder that gives nothing for so long hangs.
const PATIENCE: gst::ClockTime = gst::ClockTime::from_seconds(10);

/// Decodes the pictures with these numbers, in their order; what the decoder
/// calls corrupt is left out.
///
/// Of each group of pictures only what stands before the last wanted one, and
/// some more, in which a picture that is shown later may be.
pub fn decode_at(
    units: &[AccessUnit],
    wanted: &BTreeSet<u64>,
) -> Result<Vec<(u64, Frame)>, DecodeError> {
    let mut found = Vec::new();
    let mut rest = units;
    while let Some(begin) = rest.iter().position(|unit| unit.is_key) {
        rest = &rest[begin..];
        let next = rest.iter().skip(1).position(|unit| unit.is_key);
        let (group, after) = rest.split_at(next.map_or(rest.len(), |at| at + 1));
        if let Some(last) = group.iter().rposition(|unit| wanted.contains(&unit.number)) {
            decode_group(&group[..=last], wanted, &mut found)?;
        }
        rest = after;
    }
    Ok(found)
}

fn decoder_of(codec: Codec) -> Result<gst::Element, DecodeError> {
    let names: &[&str] = match codec {
        Codec::H264 => &["avdec_h264", "openh264dec"],
        Codec::H265 => &["avdec_h265", "libde265dec"],
        Codec::Mjpeg => &["jpegdec", "avdec_mjpeg"],
    };
    let decoder = names
        .iter()
        .find_map(|name| make(name).ok())
        .ok_or_else(|| DecodeError(format!("no software decoder for {}", codec.name())))?;
    let is_int = |p: &gst::glib::ParamSpec| p.value_type() == i32::static_type();
    if decoder
        .find_property("max-threads")
        .is_some_and(|p| is_int(&p))
    {
        decoder.set_property("max-threads", 1_i32);
    }
    Ok(decoder)
}

/// Decodes a group from its key picture; the last is a wanted one.
fn decode_group(
    group: &[AccessUnit],
    wanted: &BTreeSet<u64>,
    found: &mut Vec<(u64, Frame)>,
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
    let source = gst_app::AppSrc::builder()
        .format(gst::Format::Time)
        .caps(&caps.build())
        .build();
    let sink = gst_app::AppSink::builder().sync(false).build();
    let mut chain: Vec<gst::Element> = vec![source.clone().upcast()];
    if let Some(parser) = parser {
        chain.push(make(parser).map_err(failed)?);
    }
    chain.push(decoder_of(codec)?);
    chain.extend(to_i420().map_err(failed)?);
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
        // Cameras may say their parameters once, at the beginning of the stream.
        let bytes = if n == 0 && !configuration.is_empty() {
            gst::Buffer::from_slice([&configuration[..], &unit.bytes].concat())
        } else {
            gst::Buffer::from_slice(std::sync::Arc::clone(&unit.bytes))
        };
        let mut buffer = bytes;
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(shown(unit));
        }
        if source.push_buffer(buffer).is_err() {
            break;
        }
    }
    // A decoder that has failed takes no end either; the sink tells.
    let _refused = source.end_of_stream();
    while let Some(sample) = sink.try_pull_sample(PATIENCE) {
        let Some(buffer) = sample.buffer() else {
            continue;
        };
        let is_shown = |unit: &&AccessUnit| buffer.pts() == Some(shown(unit));
        let Some(unit) = group.iter().find(is_shown) else {
            continue;
        };
        if !wanted.contains(&unit.number) || buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            continue;
        }
        let label = Label {
            number: unit.number,
            time: unit.time,
            time_quality: unit.time_quality,
        };
        found.extend(Frame::of_sample(&sample, &label).map(|frame| (unit.number, frame)));
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
