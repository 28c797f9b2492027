//! What systemd is told: that the box watches, that it goes on, that it ends.
//!
//! A device or a driver that hangs holds the thread that looks, and with it every camera;
//! no thread of the program can end another. So the thread that looks feeds systemd's
//! watchdog itself, once each time round, and only while every scene goes on as well.
//! Whoever hangs is not fed, and systemd ends the program and starts it anew. Cameras that
//! are away are no reason not to feed: then nothing hangs.
//!
//! Without systemd (`NOTIFY_SOCKET`) all of it does nothing. The words are those of
//! sd_notify(3), which are a datagram to a socket.

use std::cell::Cell;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::CameraState;

/// systemd, if it started this program.
pub(super) struct Supervisor {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// It ends the program after so long without a word.
    patience: Option<Duration>,
    fed: Cell<Option<Instant>>,
    is_ready: Cell<bool>,
}

impl Supervisor {
    /// By the environment of this process.
    pub(super) fn of_environment() -> Self {
        let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_for_us =
            number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let patience = number("WATCHDOG_USEC").filter(|patience| is_for_us && *patience > 0);
        Self {
            to: std::env::var_os("NOTIFY_SOCKET").and_then(|name| reach(&name)),
            patience: patience.map(Duration::from_micros),
            fed: Cell::new(None),
            is_ready: Cell::new(false),
        }
    }

    /// Everything has started; `status` says what is watched with what.
    pub(super) fn ready(&self, status: &str) {
        if !self.is_ready.replace(true) {
            self.say(&format!("READY=1\nSTATUS={}", one_line(status)));
        }
    }

    /// What `systemctl status` shows.
    pub(super) fn status(&self, status: &str) {
        self.say(&format!("STATUS={}", one_line(status)));
    }

    /// It ends on purpose.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=stopping");
    }

    /// The thread that looks has come round once more. Four words for each that systemd
    /// waits for, so that one late look is no reason to end.
    pub(super) fn goes_on(&self, scenes: &[Arc<CameraState>]) {
        let Some(patience) = self.patience else {
            return;
        };
        let is_fresh = |fed: Instant| fed.elapsed() < patience / 4;
        if self.fed.get().is_some_and(is_fresh) {
            return;
        }
        let stuck = scenes
            .iter()
            .find(|scene| scene.pulse().is_stuck(patience / 2));
        if let Some(stuck) = stuck {
            tracing::error!(
                camera = %stuck.camera(),
                "the camera's scene hangs; systemd is not told that the box is well, and starts it anew"
            );
        } else {
            self.say("WATCHDOG=1");
        }
        self.fed.set(Some(Instant::now()));
    }

    fn say(&self, words: &str) {
        if let Some((socket, to)) = &self.to
            && let Err(error) = socket.send_to_addr(words.as_bytes(), to)
        {
            tracing::warn!(%error, "systemd (NOTIFY_SOCKET) cannot be told: {words}");
        }
    }
}

/// A path, or with `@` a name without one.
fn reach(name: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(name),
    };
    match address.and_then(|address| Ok((UnixDatagram::unbound()?, address))) {
        Ok(reached) => Some(reached),
        Err(error) => {
            tracing::warn!(socket = ?name, %error, "systemd (NOTIFY_SOCKET) cannot be told how the box is");
            None
        }
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', " ")
}

/// When a thread was last known to go on.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    /// ms after it began.
    last: AtomicU64,
}

/// In the place of a time: there is no such thread, or it has ended, which is told elsewhere.
const NO_THREAD: u64 = u64::MAX;

impl Default for Pulse {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            last: AtomicU64::new(NO_THREAD),
        }
    }
}

impl Pulse {
    /// The thread goes on.
    pub(super) fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// The thread has ended.
    pub(super) fn end(&self) {
        self.last.store(NO_THREAD, Ordering::Relaxed);
    }

    fn is_stuck(&self, after: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        last != NO_THREAD && u128::from(self.now().saturating_sub(last)) > after.as_millis()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(NO_THREAD - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_has_ended_or_never_was_does_not_hang() {
        let pulse = Pulse::default();
        assert!(!pulse.is_stuck(Duration::ZERO));
        pulse.beat();
        assert!(!pulse.is_stuck(Duration::from_hours(1)));
        let hung = Pulse {
            began: Instant::now().checked_sub(Duration::from_mins(2)).unwrap(),
            last: AtomicU64::new(0),
        };
        assert!(hung.is_stuck(Duration::from_mins(1)));
        hung.end();
        assert!(!hung.is_stuck(Duration::from_mins(1)));
    }
}
