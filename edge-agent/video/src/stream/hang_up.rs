//! Hanging up within a limit.
//!
//! Stopping a pipeline joins its threads. One that is stuck in a driver never comes
//! back, and neither did the supervisor that waited for it: no loss was told, no other
//! decoder was tried, and the camera said "watching" without a picture. So a connection
//! is let go of on a thread of its own, which is left behind when it takes too long.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, bounded};

use super::session::Session;
use super::slot::Slot;

/// How long that may take. A camera that does not answer the good-bye takes two seconds.
const LIMIT: Duration = Duration::from_secs(10);

/// Hangs up; false when the connection did not let go and is left to itself.
pub(super) fn hang_up(session: Session, slot: &Slot) -> bool {
    session.progress.is_over.store(true, Ordering::Relaxed);
    let is_gone = let_go(session, LIMIT);
    if !is_gone {
        tracing::error!(
            camera = %slot.name,
            "a thread of the connection hangs, in a decoder's driver as a rule; it is left behind. If \
             it happens again, update the driver or choose another decoder"
        );
    }
    is_gone
}

/// Drops `held` on a thread of its own; false when that has not ended within `limit`.
fn let_go<T: Send + 'static>(held: T, limit: Duration) -> bool {
    let (running, ended) = bounded::<()>(0);
    let spawned = std::thread::Builder::new()
        .name("hang-up".to_owned())
        .spawn(move || {
            drop(held);
            drop(running);
        });
    match spawned {
        Ok(thread) => {
            let is_late = ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if !is_late && thread.join().is_err() {
                tracing::error!("hanging up panicked");
            }
            !is_late
        }
        // No thread to be had: what it was to drop has been dropped here.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::Receiver;

    /// Its end waits for a word, as a thread that is stuck in a driver.
    struct Stuck(Receiver<()>);

    impl Drop for Stuck {
        fn drop(&mut self) {
            self.0.recv().ok();
        }
    }

    #[test]
    fn what_does_not_let_go_is_left_behind_and_what_does_is_waited_for() {
        let (word, stuck) = bounded(0);
        assert!(!let_go(Stuck(stuck), Duration::from_millis(20)));
        drop(word);
        let (word, free) = bounded(1);
        word.send(()).unwrap();
        assert!(let_go(Stuck(free), Duration::from_mins(2)));
    }
}
