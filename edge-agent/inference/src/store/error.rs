//! What goes wrong with models, and what to do about it.

use std::path::PathBuf;

use models::{ManifestError, ModelId};

use super::VARIABLE;
use super::bundle::BundleError;
use crate::outside::{self, NotWhole};
use crate::places;

/// What goes wrong with models, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A name that nobody described.
    #[error(
        "there is no model called {model}; known are {known}. For one of your own, write <models folder>/{model}/model.toml"
    )]
    Unknown {
        /// The name.
        model: ModelId,
        /// The names that there are.
        known: String,
    },
    /// Described, but not on this machine.
    #[error("model {model} is not installed (looked in {} for `{model}/{file}`). {}", places::listed(searched), obtain.trim())]
    Missing {
        /// Which.
        model: ModelId,
        /// The file that its manifest names.
        file: String,
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
        /// The manifest's word on how to get it.
        obtain: String,
    },
    /// A `model.toml` in a store that cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestFault),
    /// A file that is not the one the manifest describes.
    #[error("model {model}: {what} {why}; {next}")]
    Differs {
        /// Which.
        model: ModelId,
        /// The file or the address.
        what: String,
        /// In what it differs.
        why: String,
        /// What to do.
        next: String,
    },
    /// A network of which a part lies in another file.
    #[error("model {model}: {what} {fault}; {}", outside::NEXT)]
    Outside {
        /// Which.
        model: ModelId,
        /// The file or the address.
        what: String,
        /// In which.
        fault: NotWhole,
    },
    /// No detector at all.
    #[error(
        "no detector is installed (looked in {}){refused}; run `make setup`, or `edge-agent models list` to see how to get one",
        places::listed(searched)
    )]
    NoDetector {
        /// The folders that were looked into.
        searched: Vec<PathBuf>,
        /// Those that lie there but are refused, with the reason, each after "; ".
        refused: String,
    },
    /// The source of an installation cannot be read.
    #[error("model {model}: cannot get {from}: {message}; {next}")]
    Source {
        /// Which.
        model: ModelId,
        /// File or address.
        from: String,
        /// What went wrong.
        message: String,
        /// What to do.
        next: String,
    },
    /// A bundle that is not taken.
    #[error("bundle {from}: {error}")]
    Bundle {
        /// File, address or folder.
        from: String,
        /// Why, and what to do.
        error: BundleError,
    },
    /// The source of a bundle cannot be read.
    #[error("cannot get {from}: {message}; {next}")]
    Fetch {
        /// File or address.
        from: String,
        /// What went wrong.
        message: String,
        /// What to do.
        next: String,
    },
    /// A version that is not as its maker signed it any more.
    #[error("model {model}: version {version} is damaged: {damage}; {MEND}")]
    Damaged {
        /// Which model.
        model: ModelId,
        /// Which version.
        version: u64,
        /// What is wrong.
        damage: String,
    },
    /// Nobody vouches for it, and somebody must.
    #[error(
        "model {model}: no key that is trusted here has signed it, and `only_signed` under [detector] asks for that; install a bundle that is signed with one of `trusted_keys`, or take `only_signed` out"
    )]
    NotSigned {
        /// Which model.
        model: ModelId,
    },
    /// A version that is not here.
    #[error(
        "model {model} has no version {version} here; there are {there}. Install its bundle, or see `edge-agent models list`"
    )]
    NoVersion {
        /// Which model.
        model: ModelId,
        /// The version.
        version: u64,
        /// Those that there are.
        there: String,
    },
    /// It cannot be read which model was chosen.
    #[error(
        "{}: {message}; which model was chosen is not known, so the last good one goes on: say `edge-agent models use MODEL` again",
        file.display()
    )]
    Choice {
        /// Where it was written down.
        file: PathBuf,
        /// Why it cannot be read.
        message: String,
    },
    /// Another account has chosen, and its word comes first.
    #[error(
        "model {model} is not in use: {} comes first, and this account cannot write it; say it as the account of the agent (docs/models.md, Bundles)",
        file.display()
    )]
    ChosenBefore {
        /// Which.
        model: ModelId,
        /// Where another was chosen.
        file: PathBuf,
    },
    /// It has versions, and a loose file would not be used.
    #[error(
        "model {model} is installed in versions; a loose file would not be used. Make a bundle of it with `edge-agent models bundle` and install that, or give the model another name"
    )]
    HasVersions {
        /// Which.
        model: ModelId,
    },
    /// It was tried and does not work.
    #[error("model {model} does not start: {reason}")]
    DoesNotStart {
        /// Which.
        model: ModelId,
        /// Why.
        reason: String,
    },
    /// A folder or file of the store cannot be read or written.
    #[error("{}: {source}; check its owner, permissions and free space, or set {VARIABLE} to a folder of yours", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another program writes there and does not end.
    #[error("{}: {message}", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
        /// Since when, and what to do.
        message: String,
    },
    /// The store has no folders.
    #[error("no folder for models is known; set {VARIABLE}")]
    NoFolder,
}

/// A `model.toml` in a store that cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct ManifestFault {
    /// The manifest, or the folder of the version.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What may be wrong with the description of a model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The manifest itself; for one that cannot be read, in words.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// What was installed is not as it was signed, or is gone.
    #[error("{0}; {MEND}")]
    Damaged(String),
}

/// What to do about a damaged version.
pub(super) const MEND: &str = "install its bundle again (`edge-agent models install BUNDLE` mends it) or go to another version (`edge-agent models use MODEL@VERSION`)";
