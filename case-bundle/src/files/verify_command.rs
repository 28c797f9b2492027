//! `verify`: the same command in both programs, so that neither side has to
//! believe the other's.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use protocol::EventId;
use protocol::event::Words;
use serde_json::{Value, json};

use super::{BundleShelf, ShelfError, read_keys};
use crate::chain::{ChainReport, verify_chain};
use crate::fault::Fault;
use crate::sealed::Sealed;
use crate::verify::{Report, verify};

/// Which language a person reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Vietnamese.
    Vi,
    /// English.
    #[default]
    En,
}

/// Say whether a case is what its box signed, whole and unchanged. Needs no
/// network and no installation.
///
/// Exit codes: 0 sound, 1 not sound, 2 wrong command line or keys.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Folders, .zip or .tar files of cases.
    #[arg(required = true, value_name = "BUNDLE")]
    bundles: Vec<PathBuf>,
    /// A public key (PEM) or key list (JSON) of the box, as `keys export` writes them.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// A folder of such files.
    #[arg(long, value_name = "DIR")]
    keys: Vec<PathBuf>,
    /// The bundles are consecutive cases of one camera, in this order: also say
    /// whether one was removed, exchanged or repeated.
    #[arg(long)]
    chain: bool,
    /// It must be the case of this event.
    #[arg(long, value_name = "ID")]
    event: Option<EventId>,
    /// Language of the sentences.
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    /// Write one JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

impl VerifyArgs {
    /// Verifies and prints; the exit code.
    pub fn run(&self) -> u8 {
        let trust = match read_keys(&self.key, &self.keys) {
            Ok(trust) => trust,
            Err(error) => return usage(&error),
        };
        let mut reports = Vec::new();
        for path in &self.bundles {
            let mut bundle = match BundleShelf::open(path) {
                Ok(opened) => opened,
                Err(error @ ShelfError::NotThere { .. }) => return usage(&error),
                Err(ShelfError::Damaged { reason, .. }) => {
                    reports.push(unreadable(Fault::BundleUnreadable { reason }));
                    continue;
                }
            };
            reports.push(match bundle.case() {
                Ok(Some(case)) => {
                    let mut report = verify(&case, &trust, &mut bundle);
                    if let Some(event) = self.event {
                        report.expect_event(event);
                    }
                    report
                }
                Ok(None) => unreadable(Fault::NoCase),
                Err(error) => unreadable(Fault::BundleUnreadable {
                    reason: error.to_string(),
                }),
            });
        }
        let chain = if self.chain {
            verify_chain(&reports)
        } else {
            ChainReport::default()
        };
        let is_sound = reports.iter().all(Report::is_sound) && chain.faults.is_empty();
        if self.json {
            println!("{}", self.as_json(&reports, &chain, is_sound));
        } else {
            self.print(&reports, &chain);
        }
        u8::from(!is_sound)
    }

    fn told<'a>(&self, words: &'a Words) -> &'a str {
        match self.lang {
            Language::Vi => &words.vi,
            Language::En => &words.en,
        }
    }

    fn print(&self, reports: &[Report], chain: &ChainReport) {
        for (index, (path, report)) in self.bundles.iter().zip(reports).enumerate() {
            let own = chain.faults.iter().filter(|(at, _)| *at == index);
            let faults: Vec<&Fault> = report.faults.iter().chain(own.map(|(_, f)| f)).collect();
            let words = match (&report.manifest, faults.is_empty()) {
                (Some(manifest), true) => {
                    let event = &manifest.event;
                    let (site, box_id, camera) = (&event.site, &event.box_id, &event.camera);
                    let (number, files) = (manifest.chain.number, manifest.media.len());
                    Words::new(
                        format!(
                            "NGUYÊN VẸN: {} ({}), camera {site}/{box_id}/{camera}, lúc {}; vụ số {number}, {files} tệp, khóa {}",
                            event.title.vi, event.id, event.onset, manifest.key
                        ),
                        format!(
                            "SOUND: {} ({}), camera {site}/{box_id}/{camera}, at {}; case number {number}, {files} files, key {}",
                            event.title.en, event.id, event.onset, manifest.key
                        ),
                    )
                }
                _ => Words::new("KHÔNG NGUYÊN VẸN", "NOT SOUND"),
            };
            println!("{}: {}", path.display(), self.told(&words));
            for fault in faults {
                println!("  - {}", self.told(&fault.words()));
            }
            for (_, note) in chain.notes.iter().filter(|(at, _)| *at == index) {
                println!("  · {}", self.told(&note.words()));
            }
        }
    }

    fn as_json(&self, reports: &[Report], chain: &ChainReport, is_sound: bool) -> Value {
        let bundles: Vec<Value> = self
            .bundles
            .iter()
            .zip(reports)
            .enumerate()
            .map(|(index, (path, report))| {
                let own = chain.faults.iter().filter(|(at, _)| *at == index);
                let faults: Vec<Value> = report
                    .faults
                    .iter()
                    .chain(own.map(|(_, fault)| fault))
                    .map(|fault| with_words(json!(fault), fault.words()))
                    .collect();
                let notes: Vec<Value> = chain
                    .notes
                    .iter()
                    .filter(|(at, _)| *at == index)
                    .map(|(_, note)| with_words(json!(note), note.words()))
                    .collect();
                let manifest = report.manifest.as_ref();
                json!({
                    "bundle": path.display().to_string(),
                    "sound": faults.is_empty(),
                    "sha256": report.digest,
                    "event": manifest.map(|manifest| manifest.event.id),
                    "camera": manifest.map(|manifest| &manifest.event.camera),
                    "key": manifest.map(|manifest| manifest.key),
                    "chain": manifest.map(|manifest| manifest.chain),
                    "faults": faults,
                    "notes": notes,
                })
            })
            .collect();
        json!({ "sound": is_sound, "bundles": bundles })
    }
}

fn with_words(mut value: Value, words: Words) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.insert("vi".to_owned(), words.vi.into());
        fields.insert("en".to_owned(), words.en.into());
    }
    value
}

fn unreadable(fault: Fault) -> Report {
    Report {
        manifest: None,
        digest: Sealed::digest(b""),
        faults: vec![fault],
    }
}

fn usage(error: &dyn std::fmt::Display) -> u8 {
    eprintln!("error: {error}");
    2
}
