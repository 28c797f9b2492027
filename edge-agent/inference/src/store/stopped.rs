//! A stop that is asked for while a model is being loaded.
//!
//! To load one may take minutes, where an engine is made for it, and cannot be broken off: who has asked
//! the program to stop ends it then, by a second Ctrl-C, or as systemd does. That is no fault of the model.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Does `load`, and `note` as soon as `stop` is set meanwhile. What was loaded, and whether that was noted.
pub(super) fn noting<T>(
    stop: &AtomicBool,
    note: impl FnOnce() + Send,
    load: impl FnOnce() -> T,
) -> (T, bool) {
    let is_loaded = AtomicBool::new(false);
    let watch = || {
        while !is_loaded.load(Ordering::Relaxed) {
            if stop.load(Ordering::Relaxed) {
                note();
                return true;
            }
            thread::park_timeout(LOOK_EVERY);
        }
        false
    };
    thread::scope(|scope| {
        let watch = thread::Builder::new()
            .name("loading".to_owned())
            .spawn_scoped(scope, watch);
        let watch = match watch {
            Ok(watch) => watch,
            Err(error) => {
                tracing::warn!(%error, "a stop while a model is loaded may count as a failed start of it");
                return (load(), false);
            }
        };
        let ends = Ends(&is_loaded, watch.thread());
        let loaded = load();
        drop(ends);
        (loaded, watch.join().unwrap_or(false))
    })
}

/// Ends the watch, also where the loading ends by a panic.
struct Ends<'a>(&'a AtomicBool, &'a Thread);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.unpark();
    }
}
