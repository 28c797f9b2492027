//! The signed case on the box: with which key, by which program, and how one is
//! taken from the store. What a case *is* stands in [`case_bundle`].

pub mod commands;
pub mod export;
pub mod keys;
pub mod redact;
mod signer;

pub(crate) use signer::hash_of;
pub use signer::{Case, Signer};
