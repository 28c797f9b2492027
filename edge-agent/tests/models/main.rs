//! Models at work in the real program: on trial, killed, given up, in the shadow; installed, chosen
//! and rolled back on the command line.

#![allow(clippy::unwrap_used)] // also in what the tests share

#[path = "../support/mod.rs"]
mod support;

mod roadside;

mod trials;

mod shadow;

mod providers;

mod bundles;

mod in_use;

mod rollback;
