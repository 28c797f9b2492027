//! What the packets of a stream tell before they are put together: when they came,
//! which are missing, and whether they are still of the codec that was announced.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::codec_change::CodecWatch;
use super::gap_end::begins_picture;
use super::loss::Loss;
use super::notice::LossReason;
use super::rtp_time::{RtpTime, TimesRestarted, timestamp};
use super::session::{Wiring, locked, micros};
use super::slot::count;

/// From 1900 (NTP) to 1970, in seconds.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// Media time, times of arrival, and the camera's clock once its first sender report came.
///
/// Read here and not at the sink: each packet has the meta after the first
/// report, whatever decoder or converter loses it later.
pub(super) fn watch_packets(
    pad: &gst::Pad,
    wiring: &Arc<Wiring>,
    encoding: &str,
    rtp_time: RtpTime,
) {
    let wiring = Arc::clone(wiring);
    let rtp_time = Mutex::new(rtp_time);
    let codec = Mutex::new(CodecWatch::new(encoding));
    let previous = AtomicI64::new(i64::MIN);
    // Of others libav says what a picture lacks.
    let is_silent = encoding == "H265";
    // Whether the packet is passed on.
    let on_packet = move |buffer: &mut gst::BufferRef| {
        let is_first = wiring.progress.packet_age().is_none();
        wiring.progress.mark(&wiring.progress.packet);
        let is_behind_gap = !is_first && buffer.flags().contains(gst::BufferFlags::DISCONT);
        if is_behind_gap {
            count(&wiring.slot.counts.packet_gaps);
            wiring.progress.mark(&wiring.progress.gap);
            if let Some(ring) = &wiring.slot.ring {
                ring.tear();
            }
        }
        let Some(first) = buffer.pts() else {
            return true;
        };
        // A packet without a header is the depayloader's to refuse.
        let read = buffer.map_readable().map(|bytes| {
            let begins = is_silent && is_behind_gap && begins_picture(&bytes);
            (timestamp(&bytes), locked(&codec).look(&bytes), begins)
        });
        let (written, other, begins) = read.unwrap_or_default();
        if let Some(other) = other {
            let loss = Loss::with_detail(LossReason::CodecChanged, format!("now {}", other.name()));
            locked(&wiring.progress.fault).get_or_insert(loss);
            return false;
        }
        let media: Result<_, TimesRestarted> = written.map_or(Ok((first, false)), |written| {
            let first = i64::try_from(first.nseconds()).unwrap_or(i64::MAX);
            let arrived = wiring.progress.age_of_connection();
            let media = locked(&rtp_time).media(written, first, arrived)?;
            let time = gst::ClockTime::from_nseconds(media.nanos.unsigned_abs());
            Ok((time, media.is_set_back))
        });
        let Ok((media, is_set_back)) = media else {
            // Everything downstream counts on one clock: another connection has another.
            let loss = Loss::new(LossReason::TimesRestarted);
            locked(&wiring.progress.fault).get_or_insert(loss);
            return false;
        };
        buffer.set_pts(media);
        let media = micros(media);
        if is_silent && is_behind_gap {
            let before = previous.load(Ordering::Relaxed);
            let mut screen = locked(&wiring.screen);
            screen.is_hurt_itself(before);
            if begins && media != before {
                screen.is_whole_behind_gap(media);
            }
        }
        // One picture is many packets; the first is the least delayed.
        if previous.swap(media, Ordering::Relaxed) == media {
            return true;
        }
        let mut memory = locked(&wiring.memory);
        let now = memory.now();
        if is_set_back {
            memory.timeline.set_back(media);
        }
        let is_known_now = memory.timeline.packet(media, reported(buffer), now);
        if is_known_now && let Some(ring) = &wiring.slot.ring {
            ring.date(media, memory.timeline.estimate(media, now));
        }
        let disagreement = memory.timeline.disagreement().unwrap_or(-1);
        let told = &wiring.slot.clock_disagreement;
        told.store(disagreement, Ordering::Relaxed);
        true
    };
    pad.add_probe(
        gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST,
        move |_, info| {
            let is_passed = match &mut info.data {
                Some(gst::PadProbeData::Buffer(buffer)) => on_packet(buffer.make_mut()),
                Some(gst::PadProbeData::BufferList(list)) => {
                    list.make_mut().foreach_mut(|mut buffer, _| {
                        let is_passed = on_packet(buffer.make_mut());
                        ControlFlow::Continue(is_passed.then_some(buffer))
                    });
                    true
                }
                _ => true,
            };
            if is_passed {
                gst::PadProbeReturn::Ok
            } else {
                gst::PadProbeReturn::Drop
            }
        },
    );
}

/// The camera's UTC for a packet (µs).
fn reported(buffer: &gst::BufferRef) -> Option<i64> {
    buffer
        .iter_meta::<gst::ReferenceTimestampMeta>()
        .find(|meta| {
            meta.reference()
                .structure(0)
                .is_some_and(|s| s.name() == "timestamp/x-ntp")
        })
        .map(|meta| micros(meta.timestamp()) - micros(gst::ClockTime::from_seconds(NTP_TO_UNIX)))
}
