//! `verify`: the same command in both programs, so that neither side has to
//! believe the other's.

use std::path::PathBuf;

use crate::{aside, say};
use clap::{Args, ValueEnum};
use protocol::event::Words;
use protocol::{EventId, TimeQuality};
use serde_json::{Value, json};

use super::{BundleShelf, KeyFileError, ShelfError, read_keys, said};
use crate::chain::{ChainReport, Note, verify_chain};
use crate::fault::Fault;
use crate::sealed::Sealed;
use crate::verify::{Report, verify};

/// Exit code when all is as it was signed.
const SOUND: u8 = 0;
/// Exit code for a wrong command line or keys.
const USAGE: u8 = 2;
/// Exit code when the chain is sound and files of its cases are no more.
const NOT_WHOLE: u8 = 3;
/// Exit code when all would be sound, if a case were not of a recording.
const OF_A_RECORDING: u8 = 4;

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
/// Exit codes: 0 sound, 1 not sound, 2 wrong command line or keys, 4 unchanged, but
/// of a recording that somebody replayed, whose times no clock has set
/// (--allow-recordings takes it for sound). With --chain also 3: no case was removed,
/// exchanged or changed, and files are missing only because retention removed them,
/// as whoever handed the cases over says.
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
    /// Take cases of recordings, as `replay --evidence` makes them, for sound.
    /// They prove nothing that a camera saw.
    #[arg(long)]
    allow_recordings: bool,
    /// Language of the sentences.
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    /// Write one JSON object instead of sentences.
    #[arg(long)]
    json: bool,
}

/// Why nothing could be examined.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    #[error(transparent)]
    Bundle(#[from] ShelfError),
}

impl VerifyArgs {
    /// Verifies and prints; the exit code.
    pub fn run(&self) -> u8 {
        let examined = match self.examine() {
            Ok(examined) => examined,
            Err(error) => {
                aside!("error: {error}");
                return USAGE;
            }
        };
        if self.json {
            said::json(&self.as_json(&examined).to_string());
        } else {
            self.print(&examined);
        }
        examined.exit_code()
    }

    fn examine(&self) -> Result<Examined, UsageError> {
        let trust = read_keys(&self.key, &self.keys)?;
        let mut reports = Vec::new();
        for path in &self.bundles {
            let mut bundle = match BundleShelf::open(path) {
                Ok(opened) => opened,
                Err(error @ ShelfError::NotThere { .. }) => return Err(error.into()),
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
        Ok(Examined {
            chain: self.chain.then(|| verify_chain(&reports)),
            reports,
            allows_recordings: self.allow_recordings,
        })
    }

    fn told<'a>(&self, words: &'a Words) -> &'a str {
        match self.lang {
            Language::Vi => &words.vi,
            Language::En => &words.en,
        }
    }

    fn print(&self, examined: &Examined) {
        for (index, (path, report)) in self.bundles.iter().zip(&examined.reports).enumerate() {
            let faults = examined.faults_of(index);
            let words = match (&report.manifest, faults.is_empty()) {
                (Some(manifest), true) => {
                    let event = &manifest.event;
                    let (site, box_id, camera) = (&event.site, &event.box_id, &event.camera);
                    let (number, files) = (manifest.chain.number, manifest.media.len());
                    let (vi, en) = if is_recording(report) {
                        ("TỪ BẢN GHI, KHÔNG BỊ SỬA", "OF A RECORDING, UNCHANGED")
                    } else {
                        ("NGUYÊN VẸN", "SOUND")
                    };
                    Words::new(
                        format!(
                            "{vi}: {} ({}), camera {site}/{box_id}/{camera}, lúc {}; vụ số {number}, {files} tệp, khóa {}",
                            event.title.vi, event.id, event.onset, manifest.key
                        ),
                        format!(
                            "{en}: {} ({}), camera {site}/{box_id}/{camera}, at {}; case number {number}, {files} files, key {}",
                            event.title.en, event.id, event.onset, manifest.key
                        ),
                    )
                }
                _ => Words::new("KHÔNG NGUYÊN VẸN", "NOT SOUND"),
            };
            say!("{}: {}", path.display(), self.told(&words));
            for fault in faults {
                say!("  - {}", self.told(&fault.words()));
            }
            if is_recording(report) {
                say!("  · {}", self.told(&of_a_recording()));
            }
            for note in examined.notes_of(index) {
                say!("  · {}", self.told(&note.words()));
            }
        }
        if examined.chain.is_some() {
            say!("{}", self.told(&examined.chain_words()));
        }
    }

    fn as_json(&self, examined: &Examined) -> Value {
        let bundles: Vec<Value> = self
            .bundles
            .iter()
            .zip(&examined.reports)
            .enumerate()
            .map(|(index, (path, report))| {
                let faults: Vec<Value> = examined
                    .faults_of(index)
                    .into_iter()
                    .map(|fault| with_words(json!(fault), fault.words()))
                    .collect();
                let of_chain = examined.notes_of(index);
                let mut notes: Vec<Value> = of_chain
                    .map(|note| with_words(json!(note), note.words()))
                    .collect();
                let is_recording = is_recording(report);
                if is_recording {
                    let note = json!({ "note": "of_a_recording" });
                    notes.push(with_words(note, of_a_recording()));
                }
                let manifest = report.manifest.as_ref();
                json!({
                    "bundle": path.display().to_string(),
                    "sound": faults.is_empty() && (!is_recording || self.allow_recordings),
                    "recording": is_recording,
                    "clock": manifest.map(|manifest| manifest.clock.quality),
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
        let is_sound = examined.exit_code() == SOUND;
        let mut told = json!({ "sound": is_sound, "bundles": bundles });
        if examined.chain.is_some() {
            told["chain_sound"] = examined.is_chain_sound().into();
        }
        told
    }
}

/// What was found of each bundle, and between them where that was asked.
struct Examined {
    reports: Vec<Report>,
    chain: Option<ChainReport>,
    allows_recordings: bool,
}

impl Examined {
    fn is_sound(&self) -> bool {
        self.is_chain_sound() && self.reports.iter().all(Report::is_sound)
    }

    /// Whether every case is there as it was signed, whatever retention has
    /// left of its files.
    fn is_chain_sound(&self) -> bool {
        let of_cases = self.reports.iter().flat_map(|report| &report.faults);
        let between = self.chain.iter().all(|chain| chain.faults.is_empty());
        between && of_cases.into_iter().all(Fault::is_removal)
    }

    fn exit_code(&self) -> u8 {
        let is_sound = self.is_sound();
        let is_in_place = self.chain.is_some() && self.is_chain_sound();
        if !(is_sound || is_in_place) {
            1
        } else if !self.allows_recordings && self.reports.iter().any(is_recording) {
            OF_A_RECORDING
        } else if is_sound {
            SOUND
        } else {
            NOT_WHOLE
        }
    }

    fn faults_of(&self, index: usize) -> Vec<&Fault> {
        let between = self.chain.iter().flat_map(|chain| &chain.faults);
        let own = between.filter(|(at, _)| *at == index);
        let of_case = self.reports.get(index).into_iter();
        of_case
            .flat_map(|report| &report.faults)
            .chain(own.map(|(_, fault)| fault))
            .collect()
    }

    fn notes_of(&self, index: usize) -> impl Iterator<Item = &Note> {
        let notes = self.chain.iter().flat_map(|chain| &chain.notes);
        notes
            .filter(move |(at, _)| *at == index)
            .map(|(_, note)| note)
    }

    fn chain_words(&self) -> Words {
        let cases = self.reports.len();
        let faults = self.reports.iter().flat_map(|report| &report.faults);
        let removed = faults.filter(|fault| fault.is_removal()).count();
        match (self.is_chain_sound(), removed) {
            (false, _) => Words::new(
                "CHUỖI KHÔNG NGUYÊN VẸN: xem các lỗi ở trên",
                "CHAIN NOT SOUND: see the faults above",
            ),
            (true, 0) => Words::new(
                format!("CHUỖI NGUYÊN VẸN: {cases} vụ liên tiếp, không vụ nào bị bỏ, tráo hay lặp"),
                format!("CHAIN SOUND: {cases} cases in a row, none removed, exchanged or repeated"),
            ),
            (true, _) => Words::new(
                format!(
                    "CHUỖI NGUYÊN VẸN, THIẾU TỆP: {cases} vụ liên tiếp, không vụ nào bị bỏ, tráo hay lặp; {removed} tệp không còn, theo lời bên giao hồ sơ là hết hạn lưu trữ"
                ),
                format!(
                    "CHAIN SOUND, FILES GONE: {cases} cases in a row, none removed, exchanged or repeated; {removed} files are no more, by retention as whoever handed them over says"
                ),
            ),
        }
    }
}

/// Whether somebody replayed a file, with a time of his own choice.
fn is_recording(report: &Report) -> bool {
    let quality = report.manifest.as_ref().map(|it| it.clock.quality);
    quality == Some(TimeQuality::Media)
}

/// What no signature makes good.
fn of_a_recording() -> Words {
    Words::new(
        "của một bản ghi: thời gian là do người phát lại đặt, không phải đồng hồ",
        "of a recording: its times are what whoever replayed it said, no clock's",
    )
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

#[cfg(test)]
mod tests;
