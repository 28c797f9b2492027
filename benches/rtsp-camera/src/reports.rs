//! RTCP sender reports: often enough for tests, and wrong when the test says so.

use std::sync::Arc;

use gstreamer as gst;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_rtsp_server::RTSPMedia;
use gstreamer_rtsp_server::prelude::*;

use crate::behaviour::Behaviour;

/// Packet type of a sender report (RFC 3550 § 6.4.1).
const SENDER_REPORT: u8 = 200;

/// Sets the interval of the reports, and puts the clock error into them.
pub(crate) fn arrange(media: &RTSPMedia, interval: std::time::Duration, faults: &Arc<Behaviour>) {
    // The media's bin sits in a pipeline beside the RTP session manager.
    let Some(pipeline) = media
        .element()
        .parent()
        .and_then(|parent| parent.downcast::<gst::Bin>().ok())
    else {
        return;
    };
    for element in pipeline.iterate_elements().into_iter().flatten() {
        if element.factory().is_none_or(|f| f.name() != "rtpbin") {
            continue;
        }
        let session =
            element.emit_by_name::<Option<glib::Object>>("get-internal-session", &[&0_u32]);
        if let Some(session) = session {
            let nanos = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
            session.set_property("rtcp-min-interval", nanos);
        }
        for pad in element.src_pads() {
            if pad.name().starts_with("send_rtcp_src") {
                let faults = Arc::clone(faults);
                pad.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
                    if let Some(buffer) = info.buffer_mut() {
                        shift(buffer, faults.clock_error());
                    }
                    gst::PadProbeReturn::Ok
                });
            }
        }
    }
}

/// Moves the NTP time of a sender report, if that is what the packet starts with.
fn shift(buffer: &mut gst::Buffer, error_ms: i64) {
    if error_ms == 0 {
        return;
    }
    let Ok(mut bytes) = buffer.make_mut().map_writable() else {
        return;
    };
    if bytes.len() < 16 || bytes[1] != SENDER_REPORT {
        return;
    }
    let mut field = [0; 8];
    field.copy_from_slice(&bytes[8..16]);
    // 32 bits of seconds, 32 bits of fraction; it wraps in 2036 by design.
    let error = (i128::from(error_ms) << 32) / 1000;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // wrapping is meant
    let moved = (i128::from(u64::from_be_bytes(field)) + error) as u64;
    bytes[8..16].copy_from_slice(&moved.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(seconds: u32) -> gst::Buffer {
        let mut bytes = vec![0x80, SENDER_REPORT, 0, 6, 1, 2, 3, 4];
        bytes.extend(seconds.to_be_bytes());
        bytes.extend([0x80, 0, 0, 0]); // half a second
        bytes.resize(28, 0);
        gst::Buffer::from_mut_slice(bytes)
    }

    fn ntp(buffer: &gst::Buffer) -> (u32, u32) {
        let bytes = buffer.map_readable().unwrap();
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        (word(8), word(12))
    }

    #[test]
    fn the_error_is_added_in_both_directions_with_the_carry() {
        gst::init().unwrap();
        for (error_ms, expected) in [
            (0, (1000, 0x8000_0000)),
            (2000, (1002, 0x8000_0000)),
            (750, (1001, 0x4000_0000)),
            (-500, (1000, 0)),
            (-1500, (999, 0)),
        ] {
            let mut buffer = report(1000);
            shift(&mut buffer, error_ms);
            assert_eq!(ntp(&buffer), expected, "{error_ms} ms");
        }
    }

    #[test]
    fn other_packets_stay_as_they_are() {
        gst::init().unwrap();
        for bytes in [vec![0x80, 201, 0, 1, 0, 0, 0, 0], vec![]] {
            let mut buffer = gst::Buffer::from_mut_slice(bytes.clone());
            shift(&mut buffer, 5000);
            assert_eq!(buffer.map_readable().unwrap().as_slice(), bytes);
        }
    }
}
