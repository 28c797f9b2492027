//! How far a replay has come, for whoever waits for it.

use std::io::IsTerminal as _;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on a terminal; nothing in a log or a pipe, or when quiet.
pub(super) struct Progress {
    bar: ProgressBar,
    started: Instant,
}

impl Progress {
    pub(super) fn new(quiet: bool, frames: Option<u64>) -> Self {
        let target = if quiet || !std::io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(frames, target);
        let template = "{bar:32} {pos}/{len} frames  {msg}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            started: Instant::now(),
        }
    }

    pub(super) fn frame(&self, frames: u64, media_s: f64, events: u64) {
        self.bar.set_position(frames);
        if self.bar.is_hidden() {
            return;
        }
        let wall = self.started.elapsed().as_secs_f64().max(1e-3);
        let (fps, speed) = (frames as f64 / wall, media_s / wall);
        self.bar
            .set_message(format!("{fps:.0} fps  ×{speed:.1}  {events} events"));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
