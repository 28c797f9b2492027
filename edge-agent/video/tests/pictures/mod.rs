//! Streams as real encoders make them, picture by picture, and what is read of them.

#![allow(dead_code)] // each test program uses a part

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use edge_video::encoded::Codec;
use edge_video::{ClipPicture, ClipReader, Frame};
use gstreamer as gst;
use gstreamer::prelude::*;
use protocol::EventTime;

/// What is encoded, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoding<'a> {
    pub(crate) codec: Codec,
    /// How `videotestsrc` is set.
    pub(crate) source: &'a str,
    /// How x264enc, or x265enc, is set.
    pub(crate) encoder: &'a str,
}

/// A picture as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) bytes: Vec<u8>,
    /// When it is shown, µs.
    pub(crate) shown: u64,
}

impl Encoding<'_> {
    /// Writes a clip of those pictures that are kept, by their place in the order of sending and
    /// what is sent of them; all of them, in that order.
    pub(crate) fn write(
        &self,
        muxer: &str,
        path: &Path,
        is_kept: impl Fn(usize, &[u8]) -> bool + Send + Sync + 'static,
    ) -> Vec<Sent> {
        edge_video::init().unwrap();
        let (encoder, format, parser) = match self.codec {
            Codec::H265 => ("x265enc speed-preset=fast", "video/x-h265", "h265parse"),
            _ => (
                "x264enc threads=1 pass=quant speed-preset=fast",
                "video/x-h264,profile=high",
                "h264parse",
            ),
        };
        let line = format!(
            "videotestsrc {} ! video/x-raw,format=I420,width=160,height=128,framerate=25/1 ! \
             {encoder} {} ! {format},stream-format=byte-stream,alignment=au ! \
             identity name=line ! {parser} ! {muxer} ! filesink name=file",
            self.source, self.encoder
        );
        let pipeline = gst::parse::launch(&line).unwrap();
        let pipeline = pipeline.downcast::<gst::Pipeline>().unwrap();
        let file = pipeline.by_name("file").unwrap();
        file.set_property("location", path);
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let pad = pipeline.by_name("line").unwrap().static_pad("src").unwrap();
        let seen = Arc::clone(&sent);
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let buffer = info.buffer().unwrap();
            let bytes = buffer.map_readable().unwrap().to_vec();
            let shown = buffer.pts().unwrap().useconds();
            let mut seen = seen.lock().unwrap();
            let is_kept = is_kept(seen.len(), &bytes);
            seen.push(Sent { bytes, shown });
            if is_kept {
                gst::PadProbeReturn::Ok
            } else {
                gst::PadProbeReturn::Drop
            }
        });
        pipeline.set_state(gst::State::Playing).unwrap();
        let ends = [gst::MessageType::Eos, gst::MessageType::Error];
        let bus = pipeline.bus().unwrap();
        let message = bus.timed_pop_filtered(gst::ClockTime::from_seconds(60), &ends);
        pipeline.set_state(gst::State::Null).unwrap();
        assert_eq!(message.unwrap().type_(), gst::MessageType::Eos, "{line}");
        std::mem::take(&mut *sent.lock().unwrap())
    }
}

/// The luma of each picture by the time at which it is shown (ms), of the sound ones and of
/// the others.
pub(crate) fn read(path: &Path) -> [BTreeMap<i64, Vec<u8>>; 2] {
    edge_video::init().unwrap();
    let mut reader = ClipReader::open(path, EventTime::EPOCH).unwrap();
    let mut read = [BTreeMap::new(), BTreeMap::new()];
    while let Some(picture) = reader.next_picture().unwrap() {
        let is_damaged = matches!(picture, ClipPicture::Damaged(_));
        let shown = reader.shown().unwrap() / 1_000;
        let frame = picture.into_frame();
        read[usize::from(is_damaged)].insert(shown, luma(&frame));
    }
    read
}

pub(crate) fn luma(frame: &Frame) -> Vec<u8> {
    let rows = frame.y().chunks(frame.y_stride());
    let width = frame.width as usize;
    rows.take(frame.height as usize)
        .flat_map(|row| row[..width].to_vec())
        .collect()
}
