//! Puts the [`diet`](super::diet), and what is skipped when decoding is behind, into a
//! pipeline: between queue and decoder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use gstreamer as gst;
use gstreamer::prelude::*;

use super::backlog::Backlog;
use super::diet::{Diet, Intake, Served, Unit};
use super::reference::ReferenceReader;
use super::session::{Wiring, locked, micros};

/// What goes into one decoder.
pub(super) type Feeding = Arc<Mutex<Intake<gst::Buffer>>>;

/// Decides of every picture that leaves `queue` whether `decoder` gets it.
pub(super) fn feed(
    queue: &gst::Element,
    decoder: &gst::Element,
    wiring: &Arc<Wiring>,
    of: &Feeding,
    backlog: Arc<Mutex<Backlog>>,
) {
    let (Some(output), Some(input)) = (queue.static_pad("src"), decoder.static_pad("sink")) else {
        return;
    };
    let input = input.downgrade();
    let (wiring, intake) = (Arc::clone(wiring), Arc::clone(of));
    let slot = Arc::clone(&wiring.slot);
    let is_told = AtomicBool::new(false);
    let is_thin = AtomicBool::new(false);
    let form: Mutex<Option<(gst::Caps, ReferenceReader)>> = Mutex::new(None);
    output.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let (Some(buffer), Some(input)) = (info.buffer(), input.upgrade()) else {
            return gst::PadProbeReturn::Ok;
        };
        let is_key = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        // Without a time it belongs to the picture before.
        let previous = slot.last_media.load(Ordering::Relaxed);
        let media = buffer.pts().map_or(previous, micros);
        if locked(&backlog).skips_late(is_key, Instant::now()) {
            wiring.skip(media);
            return gst::PadProbeReturn::Drop;
        }
        let unit = Unit {
            media,
            is_key,
            is_needed: is_needed(&form, pad, buffer),
            bytes: buffer.size(),
        };
        slot.last_media.store(unit.media, Ordering::Relaxed);
        let served = {
            let mut intake = locked(&intake);
            let before = intake.left_out();
            let served = intake.serve(unit, slot.diet(), || buffer.to_owned());
            let left_out = intake.left_out();
            slot.count_left_out(before, left_out);
            if left_out.idle > before.idle {
                // Those that had been kept, of which the last is enough to know by.
                locked(&wiring.rhythm).rest(previous);
            }
            slot.is_asleep.store(intake.is_asleep(), Ordering::Relaxed);
            // Whoever asked for it shall know that it saves nothing; once.
            if slot.diet() == Diet::KeyFrames
                && let Some(obstacle) = intake.obstacle()
                && !is_told.swap(true, Ordering::Relaxed)
            {
                tracing::info!(camera = %slot.name, "idle, but every picture is decoded: {obstacle}");
            }
            served
        };
        match served {
            Served::Decoded => {
                if !unit.is_needed {
                    is_thin.store(false, Ordering::Relaxed);
                }
                gst::PadProbeReturn::Ok
            }
            Served::DecodedAfter(kept) => {
                for buffer in kept {
                    // What is wrong will be found again with the picture at hand.
                    if input.chain(buffer).is_err() {
                        break;
                    }
                }
                gst::PadProbeReturn::Ok
            }
            Served::LeftOut => {
                if !is_thin.swap(true, Ordering::Relaxed) {
                    locked(&wiring.rhythm).thin_out(media);
                }
                if buffer.flags().contains(gst::BufferFlags::DISCONT) {
                    locked(&wiring.screen).tear();
                }
                gst::PadProbeReturn::Drop
            }
            Served::Kept => gst::PadProbeReturn::Drop,
        }
    });
}

fn is_needed(
    form: &Mutex<Option<(gst::Caps, ReferenceReader)>>,
    pad: &gst::Pad,
    buffer: &gst::BufferRef,
) -> bool {
    let Some(caps) = pad.current_caps() else {
        return true;
    };
    let Ok(bytes) = buffer.map_readable() else {
        return true;
    };
    let mut form = locked(form);
    match form.as_mut() {
        Some((known, reader)) if *known == caps => reader.is_needed(&bytes),
        _ => {
            let mut reader = ReferenceReader::of_caps(&caps);
            let is_needed = reader.is_needed(&bytes);
            *form = Some((caps, reader));
            is_needed
        }
    }
}
