//! A camera over RTSP: connects, watches, comes back.
//!
//! One thread per camera supervises; GStreamer's own threads receive and
//! decode. A fault of a camera is a [`Notice`] with what to do, never an error
//! that ends the program. Frames go into a one-slot box: whoever is slow gets
//! the newest, and what it missed is counted by reason.
//!
//! Reading order: [`settings`] → [`notice`] → `rtp_time` → `trust` → `order` → `opening` → `least_delay` → [`clock`] → [`pace`] →
//! [`stillness`] → [`garbage`] → `rhythm` → [`lack`] → `record` → `judge` → [`backlog`] → [`mod@reference`] → [`diet`] →
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
mod gap_end;
pub mod garbage;
mod hang_up;
pub(crate) mod judge;
pub mod lack;
mod least_delay;
pub mod ledger;
mod loss;
pub mod notice;
mod opening;
mod order;
pub mod pace;
mod packets;
mod probe;
mod record;
pub mod reference;
pub(crate) mod rhythm;
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
use std::time::{Duration, Instant};

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
    /// Sent to tells the supervisor to stop.
    running: Sender<()>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl CameraStream {
    /// A server that hangs cannot hold a shutdown longer than this.
    pub const STOP_LIMIT: Duration = Duration::from_secs(3);

    /// Starts watching; returns at once. Needs [`init`](crate::init) first.
    ///
    /// `wake` gets a message after each new frame and each notice, if there is
    /// room in it: one channel may serve many cameras.
    pub fn start(name: &str, settings: RtspSettings, wake: Sender<()>) -> Self {
        let (running, stop) = bounded(1);
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
            running,
            done,
            thread,
        }
    }

    /// Whether its thread has ended by itself, which only a fault of ours can do: then no
    /// picture will come any more.
    pub fn has_ended(&self) -> bool {
        let is_told_to = self.slot.is_stopping.load(Ordering::Relaxed);
        !is_told_to && self.thread.as_ref().is_some_and(JoinHandle::is_finished)
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

    /// Has it hang up, and does not wait for that: many streams let go at once.
    pub fn ask_to_stop(&self) {
        self.slot.is_stopping.store(true, Ordering::Relaxed);
        // Full: it was told before.
        self.running.try_send(()).ok();
    }

    /// Hangs up and waits until the connection is gone, for [`STOP_LIMIT`](Self::STOP_LIMIT) at most.
    pub fn stop(self) {
        self.stop_until(Instant::now() + Self::STOP_LIMIT);
    }

    /// The same, and waits until then at most.
    pub fn stop_until(mut self, until: Instant) {
        self.hang_up(until);
    }

    fn hang_up(&mut self, until: Instant) {
        self.ask_to_stop();
        let Some(thread) = self.thread.take() else {
            return;
        };
        // Closed, not sent to: the supervisor's end is what we wait for.
        let ended = self.done.recv_deadline(until);
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
        self.hang_up(Instant::now() + Self::STOP_LIMIT);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use super::*;

    /// A stream whose supervisor does not end before there is a word.
    fn stuck(word: Receiver<()>) -> CameraStream {
        let (wake, _) = bounded(1);
        let (slot, notices) = Slot::new("gate", None, wake);
        let (running, stop) = bounded(1);
        let (finished, done) = bounded::<()>(0);
        let thread = std::thread::spawn(move || {
            word.recv().ok();
            drop((finished, stop));
        });
        CameraStream {
            slot: Arc::new(slot),
            notices,
            running,
            done,
            thread: Some(thread),
        }
    }

    /// A driver that hangs held up each stream for three seconds, one after the other: with
    /// eight cameras of two streams systemd killed the program, and cases were not signed.
    #[test]
    fn streams_that_hang_have_one_limit_together() {
        let (word, heard) = bounded(0);
        let streams: Vec<CameraStream> = (0..16).map(|_| stuck(heard.clone())).collect();
        for stream in &streams {
            stream.ask_to_stop();
        }
        let limit = CameraStream::STOP_LIMIT / 3;
        let begun = Instant::now();
        for stream in streams {
            stream.stop_until(begun + limit);
        }
        let took = begun.elapsed();
        assert!(took >= limit && took < 4 * limit, "{took:?}");
        drop(word);
    }

    /// Between two attempts it waits for minutes, and must hear all the same.
    #[test]
    fn a_stream_that_waits_to_connect_again_ends_as_soon_as_it_is_asked_to() {
        crate::init().unwrap();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        let wait = Duration::from_mins(10);
        let settings = RtspSettings {
            retry_first: wait,
            retry_most: wait,
            retry_refused: wait,
            ..RtspSettings::new(&format!("rtsp://{address}/gate"))
        };
        let (wake, _woken) = bounded(1);
        let stream = CameraStream::start("gate", settings, wake);
        let is_lost = |notice: &Notice| matches!(notice, Notice::Lost { .. });
        let deadline = Instant::now() + wait / 10;
        while !is_lost(&stream.notices().recv_deadline(deadline).unwrap()) {}
        stream.ask_to_stop();
        assert_eq!(
            stream.done.recv_deadline(deadline),
            Err(crossbeam_channel::RecvTimeoutError::Disconnected)
        );
        // Which is no fault of ours.
        assert!(!stream.has_ended());
    }
}
