//! `edge-agent keys` and `edge-agent bundle`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use case_bundle::files::said;
use case_bundle::{aside, say};
use clap::{Args, Subcommand};
use protocol::EventTime;

use super::export;
use super::keys::{self, KeyStore, Vouched};
use crate::config::AgentConfig;

/// Exit code when the command line or the configuration is faulty.
const FAULTY: u8 = 2;

/// What to do with the box's keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the keys that the box has had, and when each was in use.
    Show {
        /// The box's configuration.
        config: PathBuf,
    },
    /// Change to a new key. Old cases stay verifiable, by the old key's public
    /// half in the list. Stop the agent first, and see that the clock is right.
    Rotate {
        /// The box's configuration.
        config: PathBuf,
        /// The new key (PKCS#8 PEM), where store.signing_key_file names the old one.
        #[arg(long, value_name = "NEW.pem")]
        to: Option<PathBuf>,
        /// The time at which the new key takes over, where this box's clock cannot be
        /// trusted, for example 2026-11-26T08:00:00Z. It cannot be corrected afterwards.
        #[arg(long, value_name = "TIME")]
        at: Option<EventTime>,
        /// Take the time of --at also where cases of the old key or of the new one will
        /// never verify for it, as after a clock that was years ahead.
        #[arg(long, requires = "at")]
        although_cases_will_not_verify: bool,
    },
    /// Write what others need to verify: the public key as PEM, or with --out
    /// the list and every public key. Makes the key of a box that has none.
    Export {
        /// The box's configuration.
        config: PathBuf,
        /// Write the list and every public key into this folder.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// Take the signed case of an event from the box's store.
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// The event's id, or the beginning of it.
    event: String,
    /// The box's configuration.
    #[arg(long)]
    config: PathBuf,
    /// A folder to make, or a file that ends in .zip or .tar.
    #[arg(long, value_name = "DIR|FILE")]
    out: PathBuf,
}

impl KeysCommand {
    /// Does it.
    pub fn run(&self) -> ExitCode {
        let (Self::Show { config } | Self::Rotate { config, .. } | Self::Export { config, .. }) =
            self;
        with(config, |config| {
            let store = KeyStore::of(config);
            match self {
                Self::Show { .. } => match store.ring()? {
                    Some(ring) => said::text(&keys::table(&ring)),
                    None => say!("no key yet; the first start of the agent makes it"),
                },
                Self::Rotate {
                    to,
                    at,
                    although_cases_will_not_verify,
                    ..
                } => {
                    let at = at.map(|at| Vouched {
                        at,
                        although_cases_will_not_verify: *although_cases_will_not_verify,
                    });
                    let ring = store.rotate(to.as_deref(), at, crate::live::now())?;
                    said::text(&keys::table(&ring));
                    if let Some(to) = to
                        .as_ref()
                        .filter(|_| config.store.signing_key_file.is_some())
                    {
                        say!(
                            "now write `signing_key_file = \"{}\"` in [store]",
                            to.display()
                        );
                    }
                    say!("give `edge-agent keys export` to whoever verifies");
                }
                Self::Export { out, .. } => {
                    let (key, ring) = store.open(crate::live::now())?;
                    if let Some(out) = out {
                        for path in keys::export(&ring, out)? {
                            say!("{}", path.display());
                        }
                    } else {
                        // A PEM reader passes over what stands before the first dashes.
                        aside!("key {}", key.public().id());
                        said::text(&key.public().to_pem());
                    }
                }
            }
            Ok(())
        })
    }
}

impl BundleArgs {
    /// Does it.
    pub fn run(&self) -> ExitCode {
        with(&self.config, |config| {
            let case = export::export(&config.store.dir, self.event.trim(), &self.out)?;
            say!(
                "{}: case number {} of camera {}, {} files, key {}",
                self.out.display(),
                case.chain.number,
                case.event.camera,
                case.media.len(),
                case.key
            );
            Ok(())
        })
    }
}

fn with(config: &Path, command: impl FnOnce(&AgentConfig) -> anyhow::Result<()>) -> ExitCode {
    let config = match AgentConfig::load(config) {
        Ok(config) => config,
        Err(faults) => {
            aside!("{faults}");
            return ExitCode::from(FAULTY);
        }
    };
    match command(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            aside!("error: {}", said::whole(error.chain()));
            ExitCode::FAILURE
        }
    }
}
