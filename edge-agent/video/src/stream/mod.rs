//! A camera over RTSP: connects, watches, comes back.
//!
//! One thread per camera supervises; GStreamer's own threads receive and
//! decode. A fault of a camera is a [`Notice`] with what to do, never an error
//! that ends the program. Frames go into a one-slot box: whoever is slow gets
//! the newest, and what it missed is counted by reason.
//!
//! Reading order: [`settings`] → [`notice`] → `rtp_time` → `trust` → `order` → `opening` → [`clock`] → [`pace`] →
//! [`stillness`] → [`garbage`] → `judge` → [`backlog`] → [`reference`] → [`diet`] →
//! `feeding` → [`ledger`] → `slot` → `codec_change` → `packets` → `session` (one connection) →
//! `delivery` → `decoders` → `supervisor` (all connections).

pub mod backlog;
mod backoff;
pub mod clock;
mod codec_change;
mod decoders;
mod delivery;
pub mod diet;
mod feeding;
pub mod garbage;
mod hang_up;
pub(crate) mod judge;
pub mod ledger;
mod loss;
pub mod notice;
mod opening;
mod order;
pub mod pace;
mod packets;
mod probe;
pub mod reference;
mod rtp_time;
mod sending_order;
mod session;
pub mod settings;
mod slot;
pub mod stillness;
mod supervisor;
mod tap;
mod trust;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::decoder::DecoderInUse;
use crate::encoded::Ring;
use crate::frame::Frame;
use diet::Diet;
use slot::Slot;

pub use notice::{GarbageCounters, LossReason, Notice, StreamCounters};
pub use probe::{Probe, probe};
pub use settings::{RtspSettings, Transport};

/// A camera that is being watched.
#[derive(Debug)]
pub struct CameraStream {
    slot: Arc<Slot>,
    notices: Receiver<Notice>,
    /// Dropped to tell the supervisor to stop.
    running: Option<Sender<()>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// A server that hangs cannot hold a shutdown longer than this.
const STOP_LIMIT: Duration = Duration::from_secs(3);

impl CameraStream {
    /// Starts watching; returns at once. Needs [`init`](crate::init) first.
    ///
    /// `wake` gets a message after each new frame and each notice, if there is
    /// room in it: one channel may serve many cameras.
    pub fn start(name: &str, settings: RtspSettings, wake: Sender<()>) -> Self {
        let (running, stop) = bounded(0);
        let (finished, done) = bounded::<()>(0);
        let (slot, notices) = Slot::new(name, settings.keep, wake);
        let slot = Arc::new(slot);
        let supervised = Arc::clone(&slot);
        let spawned = std::thread::Builder::new()
            .name(format!("camera-{name}"))
            .spawn(move || {
                supervisor::run(&supervised, &settings, &stop);
                drop(finished);
            });
        let thread = match spawned {
            Ok(thread) => Some(thread),
            Err(error) => {
                slot.notify(Notice::Lost {
                    reason: LossReason::Failed,
                    message: format!(
                        "camera {name}: no thread for it ({error}); watch fewer cameras on this box"
                    ),
                    retry_in: Duration::MAX,
                });
                None
            }
        };
        Self {
            slot,
            notices,
            running: Some(running),
            done,
            thread,
        }
    }

    /// Whether its thread has ended by itself, which only a fault of ours can do: then no
    /// picture will come any more.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// The newest frame not yet taken.
    pub fn take_newest(&self) -> Option<Frame> {
        self.slot.take()
    }

    /// The last seconds as the camera sent them, where they are kept.
    pub fn ring(&self) -> Option<&Arc<Ring>> {
        self.slot.ring.as_ref()
    }

    /// By how much the camera's clock differs from this box's, while it is believed.
    pub fn clock_disagreement(&self) -> Option<Duration> {
        let micros = self.slot.clock_disagreement.load(Ordering::Relaxed);
        u64::try_from(micros).ok().map(Duration::from_micros)
    }

    /// What happened to the stream. The oldest are dropped when nobody reads.
    pub fn notices(&self) -> &Receiver<Notice> {
        &self.notices
    }

    /// What decodes, or did last; none until the camera has said what it sends.
    pub fn decoder(&self) -> Option<DecoderInUse> {
        session::locked(&self.slot.decoder).clone()
    }

    /// Which pictures are to be decoded, from now on. Key pictures only is a wish:
    /// see [`diet`]. Whatever was kept for it is decoded with the next picture.
    pub fn set_diet(&self, diet: Diet) {
        self.slot.set_diet(diet);
    }

    /// Whether only key pictures are being decoded.
    pub fn is_asleep(&self) -> bool {
        self.slot.is_asleep.load(Ordering::Relaxed)
    }

    /// Counts since the start.
    pub fn counters(&self) -> StreamCounters {
        self.slot.counters()
    }

    /// Hangs up and waits until the connection is gone, for 3 s at most.
    pub fn stop(mut self) {
        self.hang_up();
    }

    fn hang_up(&mut self) {
        self.slot.is_stopping.store(true, Ordering::Relaxed);
        self.running = None;
        let Some(thread) = self.thread.take() else {
            return;
        };
        // Closed, not sent to: the supervisor's end is what we wait for.
        let ended = self.done.recv_timeout(STOP_LIMIT);
        if ended == Err(crossbeam_channel::RecvTimeoutError::Timeout) {
            tracing::warn!(
                camera = %self.slot.name,
                "the connection does not close; leaving it to end by itself"
            );
        } else if thread.join().is_err() {
            tracing::error!(camera = %self.slot.name, "the supervisor panicked");
        }
    }
}

impl Drop for CameraStream {
    fn drop(&mut self) {
        self.hang_up();
    }
}
