//! Where the run is: a bar on a terminal, a line for each step elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// On standard error; standard output is for the result.
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len}  {elapsed}  {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(std::time::Duration::from_millis(500));
        Self { bar, is_terminal }
    }

    /// So many steps more are coming.
    pub(crate) fn expect(&self, steps: u64) {
        self.bar.inc_length(steps);
    }

    /// A step begins.
    pub(crate) fn step(&self, what: &str) {
        self.bar.inc(1);
        self.bar.set_message(what.to_owned());
        if !self.is_terminal {
            eprintln!("bench-edge: {what}");
        }
    }

    /// A word that stays.
    pub(crate) fn say(&self, what: &str) {
        if self.is_terminal {
            self.bar.println(what);
        } else {
            eprintln!("bench-edge: {what}");
        }
    }

    /// A part of the result, on standard output.
    pub(crate) fn result(&self, what: &str) {
        self.bar.suspend(|| println!("{what}"));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
