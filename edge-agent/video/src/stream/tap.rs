//! Where encoded pictures leave for the ring: behind the depayloader, where they
//! still are what the camera sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;

use super::loss::Loss;
use super::notice::{LossReason, Notice};
use super::packets::watch_packets;
use super::rtp_time::RtpTime;
use super::session::{Wiring, handlers, locked, micros, plug};
use super::slot::count;
use crate::elements::make;
use crate::encoded::{Codec, Ring};

/// A stream that is kept and not looked at: `depayloader ! fakesink`.
pub(super) fn attach(
    pipeline: &gst::Pipeline,
    pad: &gst::Pad,
    wiring: &Arc<Wiring>,
) -> Result<(), Loss> {
    let failed = |error: glib::BoolError| Loss::with_detail(LossReason::Failed, error.message);
    let rtp = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let field = rtp.structure(0);
    let encoding = field.and_then(|s| s.get::<String>("encoding-name").ok());
    let encoding = encoding.unwrap_or_default();
    let rate = field.and_then(|s| s.get::<i32>("clock-rate").ok());
    let (depayloader, _, format) = handlers(&encoding)
        .ok_or_else(|| Loss::with_detail(LossReason::Unsupported, format!("RTP {encoding}")))?;
    let depayloader = make(depayloader).map_err(failed)?;
    let filter = byte_stream(&format).map_err(failed)?;
    let sink = make("fakesink").map_err(failed)?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    watch_packets(
        pad,
        wiring,
        &encoding,
        RtpTime::new(rate.unwrap_or_default()),
    );
    keep(&depayloader, &format, wiring);
    let chain = [depayloader, filter, sink];
    plug(pipeline, pad, &chain)
}

/// Behind a depayloader: start codes, and parameter sets where the camera has them.
/// The other form takes them out.
pub(super) fn byte_stream(format: &gst::Caps) -> Result<gst::Element, glib::BoolError> {
    let mut caps = format.clone();
    if codec_of(format) != Some(Codec::Mjpeg) {
        caps.make_mut().set("stream-format", "byte-stream");
    }
    let filter = make("capsfilter")?;
    filter.set_property("caps", caps);
    Ok(filter)
}

fn codec_of(format: &gst::CapsRef) -> Option<Codec> {
    match format.structure(0)?.name().as_str() {
        "video/x-h264" => Some(Codec::H264),
        "video/x-h265" => Some(Codec::H265),
        "image/jpeg" => Some(Codec::Mjpeg),
        _ => None,
    }
}

/// Puts a copy of every picture of a depayloader into the ring, if there is one.
pub(super) fn keep(depayloader: &gst::Element, format: &gst::CapsRef, wiring: &Arc<Wiring>) {
    let (Some(ring), Some(codec), Some(pad)) = (
        wiring.slot.ring.clone(),
        codec_of(format),
        depayloader.static_pad("src"),
    ) else {
        return;
    };
    let wiring = Arc::clone(wiring);
    let is_announced = AtomicBool::new(false);
    pad.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |_, info| {
            match &info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => {
                    wiring.put(&ring, codec, buffer, &is_announced);
                }
                Some(gst::PadProbeData::BufferList(list)) => {
                    for buffer in list.iter() {
                        wiring.put(&ring, codec, buffer, &is_announced);
                    }
                }
                _ => {}
            }
            gst::PadProbeReturn::Ok
        },
    );
}

impl Wiring {
    fn put(&self, ring: &Ring, codec: Codec, buffer: &gst::BufferRef, is_announced: &AtomicBool) {
        let Ok(bytes) = buffer.map_readable() else {
            return;
        };
        let media = buffer.pts().map(micros);
        let stamp = {
            let memory = locked(&self.memory);
            let now = memory.now();
            memory
                .timeline
                .estimate(media.unwrap_or(now.monotonic), now)
        };
        ring.push(codec, &bytes, media, stamp);
        if self.is_watched {
            return;
        }
        // Nobody decodes: that pictures can be kept is all there is to see.
        count(&self.slot.counts.received);
        let Some((width, height)) = ring.size() else {
            return;
        };
        self.progress.mark(&self.progress.picture);
        if !is_announced.swap(true, Ordering::Relaxed) {
            self.slot.notify(Notice::Connected {
                decoder: None,
                codec: codec.name().to_owned(),
                width,
                height,
            });
        }
    }
}
