//! Detections from pictures, through ONNX Runtime; the store of installed models.
//!
//! [`Runtime`] finds and loads the shared library once per process.
//! [`ModelStore`] knows which models are described and which lie on this
//! machine, and takes new ones in after checking them. [`Network`] is one
//! model at work: decoded pictures or parts of them in, its head's answers out;
//! [`Detector`] is one that finds road users.
//!
//! What a network's pixels and numbers mean is not here but in the crate
//! `models`, which needs no runtime.
//!
//! This crate refuses to run a file whose SHA-256 is not its manifest's, and to
//! guess: a runtime or a model that is named but is not there is an error, not
//! a reason to take another.

// What the tests in this folder share with those beside it names the crate from outside.
#[cfg(test)]
extern crate self as edge_inference;

#[cfg(test)]
#[allow(dead_code, clippy::unwrap_used)] // the tests beside it use more of it
#[path = "../tests/support/onnx.rs"]
mod onnx;

#[cfg(test)]
#[allow(dead_code, clippy::unwrap_used)] // the tests beside it use more of it
#[path = "../tests/support/small.rs"]
mod small;

mod digest;

mod places;

mod runtime;

pub mod provider;

mod session;

mod engines;

mod outside;

pub mod still;

mod store;

pub mod agreement;

pub mod evaluate;

mod error;

mod network;

mod graph;

mod free;

mod detector;

pub use agreement::{Agreement, ClassAgreement};
pub use detector::Detector;
pub use error::DetectorError;
pub use free::FreeNetwork;
pub use network::{Answered, Look, Network};
pub use outside::NotWhole;
pub use provider::{Devices, Placement, Probe, Provider, ProviderChoice, ProviderOptions, probe};
pub use runtime::{Runtime, RuntimeError, TELLS_NOBODY};
pub use session::{DetectorSettings, Refusal, TOLERANCE, TOLERANCES};
pub use still::Still;
pub use store::bundle::{self, BundleError, Listing, Vouched};
pub use store::signature::{self, KeyId, PublicKey, SecretKey, SignatureError};
pub use store::{
    ATTEMPTS, Action, AtWork, AtWorkMark, BundleTerms, Candidate, Examinee, Expected,
    ExpectedLabel, ExpectedText, FailedGround, FailedModel, Fault, Ground, GroundLedger,
    HEALTHY_AFTER, Installed, InstalledVersion, JournalEntry, ManifestFault, ModelState,
    ModelStore, OnTrial, SELF_TEST, SecondLedger, SecondTrial, SelfTest, SelfTestFault, StandIn,
    StartFault, Started, StoreError, TestPicture, TrialLedger, Verification, sees_road_users,
};
