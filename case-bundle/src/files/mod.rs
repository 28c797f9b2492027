//! Bundles on a disk: a folder, a `.zip` or a `.tar`; the command `verify` that both
//! programs have, and how both print.

mod keys;
pub mod said;
mod shelf;
mod verify_command;
mod write;

pub use keys::{KeyFileError, read_keys};
pub use shelf::{BundleShelf, ShelfError};
pub use verify_command::{Language, VerifyArgs};
pub use write::{WriteError, write_bundle, write_rest};
