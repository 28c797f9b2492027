//! The roadside box: from camera to explained events at the centre.
//!
//! The shell around [`edge_core`], which is the brain: here are the command
//! line, the configuration, the threads, and the way of a frame:
//! `edge_video::Frame` → [`perception`] → [`edge_core::Input`] → scene →
//! event → outbox and [`stills`] → uplink.
//!
//! Reading order: [`config`] → [`perception`] → [`scene_setup`] →
//! [`replay`] and [`explain`] → [`live`] → [`case`] → [`calibrate`] →
//! [`check`] → [`cli`].

// `println!` panics where its reader has gone: `case_bundle::say!` and `aside!` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

/// Version and build, as events and cases name the program that judged:
/// `0.1.0+d2f1a0c4b7e9`, or `+dev` where it was not built for release.
pub const VERSION: &str = env!("NGATU_VERSION");

mod annotate;
pub mod between_looks;
pub mod calibrate;
mod cascades;
pub mod case;
pub mod check;
pub mod cli;
mod comparison;
pub mod config;
pub mod controller;
pub mod coverage;
mod draft;
pub mod environment;
pub mod explain;
pub mod live;
pub mod models_command;
pub mod perception;
pub mod picture_gate;
pub mod picture_watch;
pub mod plates_command;
pub mod recording;
pub mod replay;
pub mod rules_command;
pub mod scene_setup;
pub mod stills;
pub mod summary;
pub mod uplink_settings;
