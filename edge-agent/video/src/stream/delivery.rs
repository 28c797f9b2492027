//! From the decoder to the reader: what comes out is counted, judged, timed, and
//! dropped by reason or handed on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use gstreamer as gst;
use gstreamer::prelude::*;

use super::clock::Stamp;
use super::feeding::Feeding;
use super::garbage::Garbage;
use super::judge::Verdict;
use super::ledger::Ledger;
use super::loss::Loss;
use super::notice::{LossReason, Notice};
use super::rhythm::Step;
use super::session::{Memory, Wiring, locked, micros};
use super::slot::count;
use super::stillness::{Change, Luma};
use crate::decoder::screen::{Flaw, forget};
use crate::decoder::{DecoderInUse, Family};
use crate::frame::{Frame, Label, Loans};

/// What is told of a connection with its first good picture.
pub(super) struct Introduction {
    pub(super) codec: String,
    pub(super) decoder: DecoderInUse,
    pub(super) is_made: AtomicBool,
    pub(super) loans: Loans,
    /// Which connection it is.
    pub(super) number: u64,
}

/// Packets lost so long ago excuse damaged pictures: longer than most cameras take
/// to the next key picture.
pub(super) const EXCUSED: std::time::Duration = std::time::Duration::from_secs(10);

/// Counts what goes in and comes out, and drops what need not be converted.
pub(super) fn watch_decoder(decoder: &gst::Element, wiring: &Arc<Wiring>, feeding: Feeding) {
    let (Some(input), Some(output)) = (decoder.static_pad("sink"), decoder.static_pad("src"))
    else {
        return;
    };
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let before = (Arc::clone(wiring), Arc::clone(&ledger));
    input.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        let (wiring, ledger) = &before;
        if let Some(buffer) = info.buffer_mut() {
            let begins = locked(&wiring.screen).fed(pad, buffer);
            if begins {
                forget(pad);
            }
        }
        let lost = locked(ledger).encoded();
        wiring.count_lost(lost);
        gst::PadProbeReturn::Ok
    });
    let wiring = Arc::clone(wiring);
    output.add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
        locked(&feeding).came_out();
        wiring.progress.answer();
        match info.buffer() {
            Some(buffer) if !wiring.keeps(pad, buffer, &ledger) => gst::PadProbeReturn::Drop,
            _ => gst::PadProbeReturn::Ok,
        }
    });
}

impl Wiring {
    fn count_lost(&self, pictures: u64) {
        let errors = &self.slot.counts.decode_errors;
        errors.fetch_add(pictures, Ordering::Relaxed);
    }

    /// Counts a decoded picture that comes out of `pad`; whether it goes on to the reader.
    fn keeps(&self, pad: &gst::Pad, buffer: &gst::BufferRef, ledger: &Mutex<Ledger>) -> bool {
        let counts = &self.slot.counts;
        let media = buffer.pts().map(micros);
        let lost = locked(ledger).decoded();
        self.count_lost(lost);
        // A grey picture with moving shreds is worse than none.
        let flaw = locked(&self.screen).look(pad, buffer);
        if let (Some(Flaw::Skipped), Some(media)) = (flaw, media) {
            // As if it had been left out as well.
            count(&counts.dropped_backlog);
            locked(&self.rhythm).skip(media);
            self.progress.mark(&self.progress.picture);
            return false;
        }
        count(&counts.received);
        let step = media.map(|media| self.step(media)).unwrap_or_default();
        if matches!(flaw, Some(Flaw::Spoilt | Flaw::Damaged)) {
            locked(&self.memory).lacking.damaged(step.own_us);
        }
        match flaw {
            Some(Flaw::Early) => {
                count(&counts.dropped_undated);
                self.progress.mark(&self.progress.picture);
                return false;
            }
            Some(Flaw::Spoilt | Flaw::Skipped) => {
                count(&counts.dropped_corrupt);
                self.progress.mark(&self.progress.picture);
                return false;
            }
            Some(Flaw::Damaged) => {
                count(&counts.decode_errors);
                count(&counts.dropped_corrupt);
                let verdict = locked(&self.judge).flagged(media, self.is_excused());
                self.heed(verdict, "damaged pictures");
                return false;
            }
            None => {}
        }
        self.progress.mark(&self.progress.picture);
        let is_wanted = media.is_none_or(|media| locked(&self.memory).pace.keeps(media));
        if !is_wanted {
            count(&counts.dropped_rate);
        }
        is_wanted
    }

    /// The encoded picture of this media time is not decoded, because decoding is behind.
    pub(super) fn skip(&self, media: i64) {
        count(&self.slot.counts.dropped_backlog);
        locked(&self.rhythm).skip(media);
        locked(&self.screen).skip(media);
    }

    /// Counts whether pictures are missing before the one of this media time, which comes out.
    fn step(&self, media: i64) -> Step {
        let step = locked(&self.rhythm).step(media);
        if step.missing_us > 0 {
            count(&self.slot.counts.holes);
            locked(&self.memory).lacking.missing(step.missing_us);
        }
        step
    }

    /// Whether damage is the network's.
    fn is_excused(&self) -> bool {
        let gap = self.progress.age(&self.progress.gap);
        gap.is_some_and(|age| age < EXCUSED)
    }

    /// Acts on what the judge said; whether the picture is good.
    fn heed(&self, verdict: Verdict, what: &'static str) -> bool {
        match verdict {
            Verdict::Good => return true,
            Verdict::Recovered => {
                self.slot.notify(Notice::GarbageOver);
                return true;
            }
            Verdict::Bad => {}
            Verdict::ChangeDecoder => {
                let loss = Loss::with_detail(LossReason::Garbage, what);
                locked(&self.progress.fault).get_or_insert(loss);
            }
            Verdict::BlameStream => self.slot.notify(Notice::Garbage { what }),
        }
        false
    }

    /// Tells what has become of the clock with this picture.
    fn tell_times(&self, memory: &mut Memory, stamp: Stamp) {
        if let Some(from) = stamp.step_from {
            memory.stillness.step();
            self.slot.notify(Notice::ClockStep {
                from,
                to: stamp.time,
            });
        }
        if memory.quality.replace(stamp.quality) != Some(stamp.quality) {
            self.slot.notify(Notice::TimeQualityChanged(stamp.quality));
        }
    }

    /// A picture that shall be looked at.
    pub(super) fn deliver(&self, sample: &gst::Sample, introduction: &Introduction) {
        if self.progress.is_over.load(Ordering::Relaxed) {
            return;
        }
        let mut memory = locked(&self.memory);
        let now = memory.now();
        let media = sample
            .buffer()
            .and_then(gst::BufferRef::pts)
            .map_or(now.monotonic, micros);
        if !memory.timeline.knows(media) {
            count(&self.slot.counts.dropped_undated);
            return;
        }
        let stamp = memory.timeline.stamp(media, now);
        if stamp.is_wrong {
            count(&self.slot.counts.times_wrong);
        }
        if stamp.step_from.is_some() {
            memory.clock_steps = memory.clock_steps.wrapping_add(1);
        }
        if let Some(ring) = &self.slot.ring {
            ring.stamp(media, stamp.time, stamp.quality);
        }
        let counts = &self.slot.counts;
        // Not the count: what is skipped while a picture is in the queue, or in the decoder,
        // comes after it.
        let skipped = self.skipped_before + locked(&self.rhythm).skipped();
        let number = counts.received.load(Ordering::Relaxed).saturating_sub(1)
            + skipped
            + counts.left_out_unreferenced.load(Ordering::Relaxed)
            + counts.left_out_idle.load(Ordering::Relaxed);
        let label = Label {
            number,
            time: stamp.time,
            time_quality: stamp.quality,
            own_time: memory.timeline.own(media),
            clock_steps: memory.clock_steps,
            connection: introduction.number,
            skipped,
        };
        let frame = match introduction.decoder.family {
            Family::Software => Frame::of_sample(sample, &label),
            _ => Frame::lent(sample, &label, &introduction.loans),
        };
        let Some(mut frame) = frame else {
            count(&counts.decode_errors);
            count(&counts.dropped_corrupt);
            memory.lacking.garbage(media);
            return;
        };
        let (garbage, verdict) =
            locked(&self.judge).look(frame.time, Some(media), frame.planes(), self.is_excused());
        if !self.heed(verdict, garbage.map_or("", Garbage::words)) {
            count(&counts.dropped_corrupt);
            memory.lacking.garbage(media);
            if let Some(garbage) = garbage {
                count(&counts.garbage[garbage as usize]);
            }
            self.tell_times(&mut memory, stamp);
            return;
        }
        let wanted_us = memory.pace.interval();
        frame.lack = memory.lacking.sound(media, wanted_us);
        let size = (frame.width, frame.height);
        let is_resized = memory.size.replace(size).is_some_and(|old| old != size);
        if !introduction.is_made.swap(true, Ordering::Relaxed) {
            self.slot.notify(Notice::Connected {
                codec: introduction.codec.clone(),
                decoder: Some(introduction.decoder.clone()),
                width: frame.width,
                height: frame.height,
            });
            if frame.is_interlaced() {
                tracing::warn!(
                    camera = %self.slot.name,
                    "the camera sends interlaced pictures: what moves is combed, on stills too; \
                     set the camera, or the encoder behind it, to progressive"
                );
            }
        }
        if is_resized {
            self.slot.notify(Notice::PictureChanged {
                width: frame.width,
                height: frame.height,
            });
        }
        self.tell_times(&mut memory, stamp);
        let luma = Luma {
            bytes: frame.y(),
            stride: frame.y_stride(),
            width: frame.width as usize,
            height: frame.height as usize,
        };
        match memory.stillness.look(frame.time, luma) {
            Some(Change::Frozen(since)) => self.slot.notify(Notice::Frozen { since }),
            Some(Change::Thawed) => self.slot.notify(Notice::Thawed),
            None => {}
        }
        drop(memory);
        self.slot.put(frame);
    }
}
