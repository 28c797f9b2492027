//! The faults of real cameras, to be switched on from outside.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clip::Clip;

/// What goes wrong, and when, counted from the first picture each client gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// Send nothing more, but keep the connection open.
    pub stall_after: Option<Duration>,
    /// Send the same picture again and again.
    pub freeze_after: Option<Duration>,
    /// End the stream properly (RTCP BYE).
    pub end_after: Option<Duration>,
    /// Begin with the pictures of so long before at once, as cameras do that send the last
    /// key picture and all since, and relays that keep them for who comes.
    pub begins_with: Option<Duration>,
    /// Show what the first clip shows at this time of the clock, as if it had been played round and
    /// round since 1970, from the next key picture on: what is in a picture says when it was taken.
    pub by_the_clock: bool,
    /// RTP timestamp and sequence number to begin with; random when left out, as
    /// the standard wants it. High ones wrap around soon.
    pub rtp_begins: Option<(u32, u16)>,
}

/// How encoded pictures are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A bit here and there is another one.
    FlippedBits,
    /// The second half is missing.
    Truncated,
    /// Units of types that there are not, and with lengths beyond their end.
    OddUnits,
    /// H.264 parameters that promise a picture of 65,520 × 65,520.
    HugePicture,
}

/// How the times of pictures are wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrongTimes {
    /// Each third picture has the time of the one before.
    Repeated,
    /// Now and then two pictures have each other's time.
    Swapped,
    /// Pictures are stamped when they are sent, not when they were taken.
    WhenSent,
    /// The clock that pictures are stamped by is set back by so many milliseconds
    /// after two seconds (51 pictures), once in each connection.
    SetBack(u32),
}

/// Faults of one mount, now; all clients see a change at once.
#[derive(Debug, Default)]
pub struct Behaviour {
    stalled: AtomicBool,
    frozen: AtomicBool,
    ended: AtomicBool,
    corrupt_every: AtomicU64,
    clock_error_ms: AtomicI64,
    rtp_shift: AtomicU32,
    packets_to_lose: AtomicU32,
    damage: Mutex<Option<(u64, Damage)>>,
    wrong_times: Mutex<Option<WrongTimes>>,
    retuned: Mutex<Option<Clip>>,
    /// How often.
    retunes: AtomicU64,
}

impl Behaviour {
    /// Stops or resumes sending while staying connected.
    pub fn stall(&self, on: bool) {
        self.stalled.store(on, Ordering::Relaxed);
    }

    /// Repeats the last key picture, or goes on with the clip.
    pub fn freeze(&self, on: bool) {
        self.frozen.store(on, Ordering::Relaxed);
    }

    /// Ends every running stream, and every new one as soon as it starts.
    pub fn end(&self, on: bool) {
        self.ended.store(on, Ordering::Relaxed);
    }

    /// Scrambles every `n`th picture that is not a key picture; 0 scrambles none.
    pub fn corrupt_every(&self, n: u64) {
        self.corrupt_every.store(n, Ordering::Relaxed);
    }

    /// Damages every `n`th picture, key pictures as well; `None` damages none.
    pub fn damage_every(&self, n: u64, damage: Option<Damage>) {
        *locked(&self.damage) = damage.map(|damage| (n, damage));
    }

    /// Stamps pictures wrongly, or rightly again.
    pub fn wrong_times(&self, wrong: Option<WrongTimes>) {
        *locked(&self.wrong_times) = wrong;
    }

    /// Lets the camera's clock, as its RTCP sender reports tell it, be wrong by this much (ms).
    pub fn clock_error_ms(&self, error: i64) {
        self.clock_error_ms.store(error, Ordering::Relaxed);
    }

    /// Adds so many ticks to the RTP timestamps, from the next packet on.
    pub fn shift_rtp_times(&self, ticks: u32) {
        self.rtp_shift.store(ticks, Ordering::Relaxed);
    }

    /// Loses the next so many RTP packets on the way; the numbers of the others go on.
    pub fn lose_packets(&self, count: u32) {
        self.packets_to_lose.store(count, Ordering::Relaxed);
    }

    /// Whether this packet is to be lost.
    pub(crate) fn loses_packet(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        let left = &self.packets_to_lose;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .is_ok()
    }

    pub(crate) fn rtp_shift(&self) -> u32 {
        self.rtp_shift.load(Ordering::Relaxed)
    }

    /// Somebody has changed the encoder's settings: from now on this is sent, also in
    /// sessions that were told of another codec.
    pub(crate) fn retune(&self, clip: Clip) {
        *locked(&self.retuned) = Some(clip);
        self.retunes.fetch_add(1, Ordering::Release);
    }

    /// How often the encoder's settings were changed.
    pub(crate) fn retunes(&self) -> u64 {
        self.retunes.load(Ordering::Acquire)
    }

    pub(crate) fn retuned(&self) -> Option<Clip> {
        locked(&self.retuned).clone()
    }

    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.load(Ordering::Relaxed)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    pub(crate) fn is_corrupt(&self, picture: u64) -> bool {
        match self.corrupt_every.load(Ordering::Relaxed) {
            0 => false,
            n => picture.is_multiple_of(n),
        }
    }

    pub(crate) fn damage(&self, picture: u64) -> Option<Damage> {
        let (n, damage) = (*locked(&self.damage))?;
        picture.is_multiple_of(n.max(1)).then_some(damage)
    }

    pub(crate) fn times(&self) -> Option<WrongTimes> {
        *locked(&self.wrong_times)
    }

    pub(crate) fn clock_error(&self) -> i64 {
        self.clock_error_ms.load(Ordering::Relaxed)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
