//! What GStreamer's threads and the supervisor hand to the reader: the newest
//! frame, notices and counts.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use protocol::TimeQuality;

use super::diet::{Counts as LeftOut, Diet};
use super::garbage::Garbage;
use super::notice::{GarbageCounters, Notice, StreamCounters};
use crate::decoder::DecoderInUse;
use crate::encoded::{Ring, RingLimits};
use crate::frame::Frame;

/// Notices kept for a reader that is busy.
const NOTICES: usize = 256;

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    /// The last seconds as they came, where they are kept.
    pub(super) ring: Option<Arc<Ring>>,
    /// By how much camera and box disagree about the time (µs); -1: unknown.
    pub(super) clock_disagreement: AtomicI64,
    newest: Mutex<Option<Frame>>,
    notices: Sender<Notice>,
    /// To drop the oldest when nobody reads.
    unread: Receiver<Notice>,
    wake: Sender<()>,
    pub(super) counts: Counts,
    /// What decodes, or did last.
    pub(super) decoder: Mutex<Option<DecoderInUse>>,
    pub(super) is_stopping: AtomicBool,
    /// Only key pictures are wanted.
    is_idle: AtomicBool,
    /// Only key pictures are being decoded.
    pub(super) is_asleep: AtomicBool,
    /// Media time of the last encoded picture (µs).
    pub(super) last_media: AtomicI64,
}

/// [`StreamCounters`] as the threads count them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) received: AtomicU64,
    pub(super) analysed: AtomicU64,
    pub(super) dropped_overwritten: AtomicU64,
    pub(super) dropped_rate: AtomicU64,
    pub(super) dropped_corrupt: AtomicU64,
    pub(super) dropped_backlog: AtomicU64,
    pub(super) dropped_undated: AtomicU64,
    pub(super) decode_errors: AtomicU64,
    pub(super) left_out_unreferenced: AtomicU64,
    pub(super) left_out_idle: AtomicU64,
    pub(super) packet_gaps: AtomicU64,
    pub(super) holes: AtomicU64,
    pub(super) times_wrong: AtomicU64,
    pub(super) reconnects: AtomicU64,
    pub(super) decoders_rejected: AtomicU64,
    /// By [`Garbage`], in its order.
    pub(super) garbage: [AtomicU64; 4],
}

/// Adds one.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Slot {
    pub(super) fn new(
        name: &str,
        keep: Option<RingLimits>,
        wake: Sender<()>,
    ) -> (Self, Receiver<Notice>) {
        let (notices, unread) = bounded(NOTICES);
        let slot = Self {
            name: name.to_owned(),
            ring: keep.map(|limits| Arc::new(Ring::new(limits))),
            clock_disagreement: AtomicI64::new(-1),
            newest: Mutex::new(None),
            notices,
            unread: unread.clone(),
            wake,
            counts: Counts::default(),
            decoder: Mutex::default(),
            is_stopping: AtomicBool::new(false),
            is_idle: AtomicBool::new(false),
            is_asleep: AtomicBool::new(false),
            last_media: AtomicI64::new(0),
        };
        (slot, unread)
    }

    /// Which encoded pictures are wanted.
    pub(super) fn diet(&self) -> Diet {
        if self.is_idle.load(Ordering::Relaxed) {
            Diet::KeyFrames
        } else {
            Diet::All
        }
    }

    pub(super) fn set_diet(&self, diet: Diet) {
        self.is_idle
            .store(diet == Diet::KeyFrames, Ordering::Relaxed);
    }

    /// Adds what one connection has left out since `before`.
    pub(super) fn count_left_out(&self, before: LeftOut, now: LeftOut) {
        let add = |to: &AtomicU64, now: u64, before: u64| {
            to.fetch_add(now.saturating_sub(before), Ordering::Relaxed);
        };
        let counts = &self.counts;
        add(
            &counts.left_out_unreferenced,
            now.unreferenced,
            before.unreferenced,
        );
        add(&counts.left_out_idle, now.idle, before.idle);
    }

    /// Puts a frame in; one that was still there has been overwritten.
    pub(super) fn put(&self, frame: Frame) {
        // The old frame is freed after the lock is: unmapping is not ours to wait for.
        let old = self.newest().replace(frame);
        if old.is_some() {
            count(&self.counts.dropped_overwritten);
        }
        self.wake();
    }

    pub(super) fn take(&self) -> Option<Frame> {
        let frame = self.newest().take();
        if frame.is_some() {
            count(&self.counts.analysed);
        }
        frame
    }

    pub(super) fn notify(&self, notice: Notice) {
        self.log(&notice);
        let mut notice = notice;
        // The newest word counts; a reader that is 256 behind reads the status anyway.
        while let Err(full) = self.notices.try_send(notice) {
            notice = full.into_inner();
            self.unread.try_recv().ok();
        }
        self.wake();
    }

    /// The only place where a stream's fortunes are logged.
    fn log(&self, notice: &Notice) {
        let camera = self.name.as_str();
        match notice {
            Notice::Lost {
                reason,
                message,
                retry_in,
            } => tracing::warn!(
                camera,
                reason = reason.as_str(),
                retry_s = retry_in.as_secs_f64(),
                "{message}"
            ),
            Notice::Connecting { attempt } => tracing::debug!(camera, attempt, "connecting"),
            Notice::Connected {
                codec,
                decoder,
                width,
                height,
            } => {
                let decoder = decoder.as_ref().map(|it| it.name.as_str());
                tracing::info!(camera, codec, decoder, width, height, "connected");
            }
            Notice::Frozen { since } => {
                tracing::warn!(camera, %since, "the picture does not change; check the camera");
            }
            Notice::Thawed => tracing::info!(camera, "the picture changes again"),
            Notice::ClockStep { from, to } => {
                tracing::warn!(camera, %from, %to, "the clock of the pictures stepped; check NTP");
            }
            Notice::DecoderRejected { decoder, reason } => {
                tracing::warn!(camera, decoder, reason, "the decoder is not used any more");
            }
            Notice::Garbage { what } => tracing::warn!(
                camera,
                "the stream itself gives {what}; check the camera's encoder and the network"
            ),
            Notice::GarbageOver => tracing::info!(camera, "the pictures are good again"),
            Notice::TimeQualityChanged(TimeQuality::Unknown) => tracing::warn!(
                camera,
                "the times of the pictures are wrong again and again: no speed that is \
                 measured by them is to be relied on; check its NTP settings and its firmware"
            ),
            Notice::TimeQualityChanged(quality) => {
                tracing::info!(camera, ?quality, "clock of the pictures");
            }
            Notice::PictureChanged { width, height } => {
                tracing::info!(camera, width, height, "the picture has another size");
            }
        }
    }

    pub(super) fn counters(&self) -> StreamCounters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        StreamCounters {
            received: read(&counts.received),
            analysed: read(&counts.analysed),
            dropped_overwritten: read(&counts.dropped_overwritten),
            dropped_rate: read(&counts.dropped_rate),
            dropped_corrupt: read(&counts.dropped_corrupt),
            dropped_backlog: read(&counts.dropped_backlog),
            dropped_undated: read(&counts.dropped_undated),
            decode_errors: read(&counts.decode_errors),
            left_out_unreferenced: read(&counts.left_out_unreferenced),
            left_out_idle: read(&counts.left_out_idle),
            packet_gaps: read(&counts.packet_gaps),
            holes: read(&counts.holes),
            times_wrong: read(&counts.times_wrong),
            reconnects: read(&counts.reconnects),
            decoders_rejected: read(&counts.decoders_rejected),
            garbage: GarbageCounters {
                green: read(&counts.garbage[Garbage::Green as usize]),
                grey: read(&counts.garbage[Garbage::Grey as usize]),
                chroma: read(&counts.garbage[Garbage::Chroma as usize]),
                torn: read(&counts.garbage[Garbage::Torn as usize]),
            },
        }
    }

    fn wake(&self) {
        // Full: the reader has been woken already. Gone: nobody to wake.
        self.wake.try_send(()).ok();
    }

    fn newest(&self) -> MutexGuard<'_, Option<Frame>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_sleeps_finds_the_newest_notices() {
        let (wake, _woken) = bounded(1);
        let (slot, notices) = Slot::new("gate", None, wake);
        for attempt in 0..NOTICES as u64 + 10 {
            slot.notify(Notice::Connecting { attempt });
        }
        let read: Vec<Notice> = notices.try_iter().collect();
        assert_eq!(read.len(), NOTICES);
        assert_eq!(read[0], Notice::Connecting { attempt: 10 });
    }
}
