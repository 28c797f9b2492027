//! A case as it stands in court: what happened, which files show it, who says
//! so, and that no case before it is missing.
//!
//! A [`CaseManifest`] is written as canonical JSON (RFC 8785), signed with the
//! box's Ed25519 key (RFC 8032) and carries the SHA-256 of the same camera's
//! manifest before it. [`verify()`] needs the file, the media and public keys,
//! and nobody's word: no network, no clock, no database. It never panics and
//! never reads more than a manifest honestly can announce, because what it
//! reads may have been made by whoever has an interest in the outcome.
//!
//! Pure, like `protocol`: values in, values out. Only the feature `files`
//! touches a disk; it is what the two programs share.
//!
//! Reading order: [`manifest`] and [`removal`] → [`sealed`] → [`key`] and [`ring`] →
//! [`fault`] → [`mod@verify`] → [`chain`] → `files`.

#![warn(clippy::print_stdout, clippy::print_stderr)] // `files::said` prints

mod canonical;
pub mod chain;
pub mod fault;
#[cfg(feature = "files")]
pub mod files;
pub mod key;
pub mod manifest;
pub mod removal;
pub mod ring;
pub mod sealed;
pub mod verify;

pub use chain::verify_chain;
pub use fault::Fault;
pub use key::{BoxKey, KeyId, PublicKey};
pub use manifest::{CaseManifest, CaseMedia, ChainLink, Clock};
pub use removal::Removal;
pub use ring::{KeyRing, Trust};
pub use sealed::Sealed;
pub use verify::{MediaSource, Report, verify};
