//! `edge-agent redact`: a copy of a case for people outside, in which
//! bystanders are not to be recognised.
//!
//! The case itself is never touched: its files keep their hashes and its
//! signature. The copy is no evidence; `redaction.json` in it names for each
//! file the original's hash, so that whoever doubts the copy can ask for the
//! case and have it verified.

// Without OpenCV the models are asked for all the same, and nothing is covered.
#[cfg_attr(not(feature = "cv"), allow(dead_code))]
mod finder;
#[cfg(feature = "cv")]
mod pictures;
#[cfg(feature = "cv")]
mod places;

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use case_bundle::files::{BundleShelf, read_keys, said};
use case_bundle::manifest::{CaseManifest, CaseMedia, MAX_MEDIA_BYTES, is_plain_name};
use case_bundle::{Fault, MediaSource as _, Trust, aside, say, verify};
use clap::{Args, ValueEnum};
use protocol::evidence::EvidenceRole;
use protocol::{Digest, EventId, ObjectClass};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::config::{AgentConfig, DetectorConfig};

/// Exit code when the command line or the configuration is faulty.
const FAULTY: u8 = 2;
/// `schema` of `redaction.json`.
const SCHEMA: &str = "vn.ngatu.redaction.v1";

/// Whose faces and plates are covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// All but what lies within the accused road user's box, and the accused's
    /// plate; in clips, where that box is not known, everybody.
    Bystanders,
    /// All.
    Everyone,
}

/// What is covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Faces.
    Faces,
    /// Number plates.
    Plates,
}

impl What {
    /// The word of a detector for it.
    fn class(self) -> ObjectClass {
        match self {
            Self::Faces => ObjectClass::Face,
            Self::Plates => ObjectClass::Plate,
        }
    }
}

/// Shown below `--help`.
pub const HELP: &str = "\
\x20 edge-agent redact case.zip --keys keys/ --out copy/
  edge-agent redact case.zip --keys keys/ --out copy/ --cover faces --whom everyone

The copy is a new folder: pictures and clips with faces and plates covered by a mosaic, `original-case.json`
(the signed manifest) and `redaction.json` (which file was made of which original, by which models, how much
was covered). The case is only read. The clip is encoded anew, without sound.

Models find most faces and plates, not all: LOOK AT THE COPY before it leaves the house.

Exit codes: 0 written, 1 failed, 2 faulty command line or keys.";

/// Copy a case with the faces and plates of bystanders covered.
#[derive(Debug, Args)]
pub struct RedactArgs {
    /// The folder, .zip or .tar of a case.
    bundle: PathBuf,
    /// A public key (PEM) or key list (JSON) of the box; a case that is not sound is not copied.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// A folder of such files.
    #[arg(long, value_name = "DIR")]
    keys: Vec<PathBuf>,
    /// Copy without verifying: there is no key at hand.
    #[arg(long, conflicts_with_all = ["key", "keys"])]
    unverified: bool,
    /// A folder to make.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What is covered; both, unless said.
    #[arg(long, value_enum, value_name = "WHAT", value_delimiter = ',')]
    cover: Vec<What>,
    /// Whose.
    #[arg(long, value_enum, default_value = "bystanders")]
    whom: Whom,
    /// Take models, provider and library as this configuration says.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Folders of installed models, instead of the usual ones.
    #[arg(long = "models-dir", value_name = "DIR")]
    models_dirs: Vec<PathBuf>,
}

/// `redaction.json`.
#[derive(Debug, Serialize)]
struct Redaction {
    schema: &'static str,
    notice: &'static str,
    event: EventId,
    /// SHA-256 of the signed manifest, `original-case.json`.
    original_case: Digest,
    /// Whether the case was found sound before it was copied.
    verified: bool,
    whom: Whom,
    cover: Vec<What>,
    models: Vec<finder::ModelUsed>,
    files: Vec<CopiedFile>,
}

/// A file of the copy.
#[derive(Debug, Serialize)]
struct CopiedFile {
    name: String,
    role: EvidenceRole,
    original_sha256: Digest,
    sha256: Digest,
    length: u64,
    /// Pictures looked at.
    pictures: u64,
    /// Places covered, over all of them.
    covered: u64,
}

const NOTICE: &str = "A copy for people outside, in which faces and plates are covered as far as models found them. \
     It is no evidence: that is the case with the hash `original_case`, whose files are named here by their hashes.";

impl RedactArgs {
    /// Does it.
    pub fn run(&self) -> ExitCode {
        let detector = match self.config.as_deref().map(AgentConfig::load) {
            None => DetectorConfig::default(),
            Some(Ok(config)) => config.detector,
            Some(Err(faults)) => {
                aside!("{faults}");
                return ExitCode::from(FAULTY);
            }
        };
        let trust = if self.unverified {
            None
        } else if self.key.is_empty() && self.keys.is_empty() {
            aside!(
                "error: give the box's public key with --key or --keys (`edge-agent keys export` writes it), or --unverified"
            );
            return ExitCode::from(FAULTY);
        } else {
            match read_keys(&self.key, &self.keys) {
                Ok(trust) => Some(trust),
                Err(error) => {
                    aside!("error: {error}");
                    return ExitCode::from(FAULTY);
                }
            }
        };
        match self.copy(detector, trust.as_ref()) {
            Ok(redaction) => {
                self.tell(&redaction);
                ExitCode::SUCCESS
            }
            Err(error) => {
                aside!("error: {}", said::whole(error.chain()));
                ExitCode::FAILURE
            }
        }
    }

    fn copy(&self, mut config: DetectorConfig, trust: Option<&Trust>) -> anyhow::Result<Redaction> {
        if self.out.exists() {
            bail!(
                "{}: it is there already; name a new folder",
                self.out.display()
            );
        }
        let mut bundle = BundleShelf::open(&self.bundle)?;
        let sealed = bundle
            .case()?
            .with_context(|| format!("{}: there is no case.json in it", self.bundle.display()))?;
        let case = self.read(&sealed, trust, &mut bundle)?;
        if !self.models_dirs.is_empty() {
            config.models_dirs.clone_from(&self.models_dirs);
        }
        let mut cover = self.cover.clone();
        if cover.is_empty() {
            cover = vec![What::Faces, What::Plates];
        }
        cover.sort_unstable();
        cover.dedup();
        let finders = finder::Finders::load(&config, &cover)?;
        let mut copyist = Copyist::new(&case, self.whom, finders);
        // Under its name only when it is whole: half a copy might be sent as one.
        let draft = draft_of(&self.out);
        fs::create_dir(&draft).with_context(|| draft.display().to_string())?;
        let draft = Draft(draft);
        let mut files = Vec::new();
        for media in &case.media {
            files.push(copy_file(media, &mut bundle, &mut copyist, &draft.0)?);
        }
        let redaction = Redaction {
            schema: SCHEMA,
            notice: NOTICE,
            event: case.event.id,
            original_case: digest(&sealed),
            verified: trust.is_some(),
            whom: self.whom,
            cover,
            models: copyist.models(),
            files,
        };
        fs::write(draft.0.join("original-case.json"), &sealed)?;
        let mut text = serde_json::to_string_pretty(&redaction)?;
        text.push('\n');
        fs::write(draft.0.join("redaction.json"), text)?;
        fs::rename(&draft.0, &self.out).with_context(|| self.out.display().to_string())?;
        Ok(redaction)
    }

    /// The manifest, found sound where there are keys.
    fn read(
        &self,
        sealed: &[u8],
        trust: Option<&Trust>,
        bundle: &mut BundleShelf,
    ) -> anyhow::Result<CaseManifest> {
        let no_keys = Trust::default();
        let report = verify(sealed, trust.unwrap_or(&no_keys), bundle);
        // Without keys nothing is said of the signature, but everything of the files.
        let is_told = |fault: &&Fault| trust.is_some() || !fault.is_about_missing_keys();
        let faults: Vec<String> = report
            .faults
            .iter()
            .filter(is_told)
            .map(|fault| fault.words().en)
            .collect();
        if !faults.is_empty() {
            bail!(
                "{} is not sound and is not copied: {}; fetch the case again",
                self.bundle.display(),
                faults.join("; ")
            );
        }
        report
            .manifest
            .with_context(|| format!("{}: its manifest cannot be read", self.bundle.display()))
    }

    fn tell(&self, redaction: &Redaction) {
        for file in &redaction.files {
            say!(
                "{}: {} place(s) covered in {} picture(s)",
                self.out.join(&file.name).display(),
                file.covered,
                file.pictures
            );
        }
        if !redaction.verified {
            say!("the case was not verified");
        }
        say!("look at every file before it leaves the house: models do not find everything");
    }
}

/// Copies one file of the case into `folder`.
fn copy_file(
    media: &CaseMedia,
    bundle: &mut BundleShelf,
    copyist: &mut Copyist<'_>,
    folder: &Path,
) -> anyhow::Result<CopiedFile> {
    if !is_plain_name(&media.name) {
        bail!(
            "the case names a file `{}`, which is not allowed",
            media.name.escape_debug()
        );
    }
    let mut bytes = Vec::new();
    bundle
        .open(&media.name)?
        .with_context(|| format!("{}: it is missing in the case", media.name))?
        .take(MAX_MEDIA_BYTES)
        .read_to_end(&mut bytes)?;
    let copy = copyist
        .copy(media, &bytes, folder)
        .with_context(|| media.name.clone())?;
    let copied = fs::read(folder.join(&copy.name))?;
    Ok(CopiedFile {
        role: media.role,
        original_sha256: media.sha256,
        sha256: digest(&copied),
        length: copied.len() as u64,
        pictures: copy.pictures,
        covered: copy.covered,
        name: copy.name,
    })
}

/// What became of one file.
struct Copy {
    name: String,
    pictures: u64,
    covered: u64,
}

#[cfg(feature = "cv")]
use pictures::Copyist;
#[cfg(not(feature = "cv"))]
use without_opencv::Copyist;

#[cfg(not(feature = "cv"))]
mod without_opencv {
    use super::{CaseManifest, CaseMedia, Copy, Path, Whom, bail, finder};

    /// Cannot cover anything.
    pub(super) struct Copyist<'a>(finder::Finders, std::marker::PhantomData<&'a ()>);

    impl<'a> Copyist<'a> {
        pub(super) fn new(_: &'a CaseManifest, _: Whom, finders: finder::Finders) -> Self {
            Self(finders, std::marker::PhantomData)
        }

        pub(super) fn models(&self) -> Vec<finder::ModelUsed> {
            self.0.models()
        }

        #[allow(clippy::unused_self)] // the other one's face
        pub(super) fn copy(&mut self, _: &CaseMedia, _: &[u8], _: &Path) -> anyhow::Result<Copy> {
            bail!("this agent was built without OpenCV (feature `cv`) and cannot cover anything")
        }
    }
}

/// A folder that goes away unless it was given its name.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        if self.0.exists()
            && let Err(error) = fs::remove_dir_all(&self.0)
        {
            tracing::warn!(folder = %self.0.display(), %error, "half a copy is left behind; delete it");
        }
    }
}

fn draft_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn digest(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}
