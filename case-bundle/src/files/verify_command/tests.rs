use std::fs;
use std::path::Path;

use clap::Parser;
use protocol::EventTime;
use uuid::Uuid;

use super::*;
use crate::files::write_rest;
use crate::manifest::{CASE_FILE, CaseManifest, ChainLink};
use crate::removal::Removal;
use crate::verify::tests::{Files, bundle, key, manifest};

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    verify: VerifyArgs,
}

/// Writes a case as the centre hands it over, without its last still when
/// that `is_gone`, and with the word for it when that `is_told`.
fn write(files: &Files, out: &Path, (is_gone, is_told): (bool, bool)) {
    let case = &files[CASE_FILE];
    let sealed = Sealed::open(case).unwrap();
    let manifest: CaseManifest = serde_json::from_slice(sealed.manifest).unwrap();
    let parts = out.with_extension("parts");
    fs::create_dir(&parts).unwrap();
    let mut media = Vec::new();
    for item in &manifest.media {
        let path = parts.join(&item.name);
        fs::write(&path, &files[&item.name]).unwrap();
        media.push((item.name.clone(), path));
    }
    let mut removed = Vec::new();
    if is_gone {
        media.pop();
    }
    if is_told {
        removed.push(Removal {
            sha256: manifest.media.last().unwrap().sha256,
            at: EventTime::from_micros(1_800_000_000_000_000),
            class: "dismissed".to_owned(),
            days: 30.5,
        });
    }
    write_rest(out, case, &media, &removed).unwrap();
}

/// Four cases in a row of which retention has removed a file of the second
/// (`2-silent.zip` is the same without a word), in a folder with the box's key.
struct Cases(tempfile::TempDir);

impl Cases {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("box.pem"), key().public().to_pem()).unwrap();
        let mut link = ChainLink::genesis(Uuid::from_u128(1));
        for (number, suffix) in (1..).zip(["zip", "tar", "zip", "tar"]) {
            let files = bundle(link);
            let out = dir.path().join(format!("{number}.{suffix}"));
            let is_old = number == 2;
            write(&files, &out, (is_old, is_old));
            if is_old {
                write(&files, &dir.path().join("2-silent.zip"), (true, false));
            }
            link = link.next(Sealed::digest(&files[CASE_FILE]));
        }
        Self(dir)
    }

    fn command(&self, words: &[&str]) -> VerifyArgs {
        let key = self.0.path().join("box.pem");
        let line = ["verify", "--key", key.to_str().unwrap()];
        let words = words.iter().map(|word| {
            let path = self.0.path().join(word);
            if path.exists() {
                path.to_str().unwrap().to_owned()
            } else {
                (*word).to_owned()
            }
        });
        let line = line.iter().map(ToString::to_string).chain(words);
        Command::try_parse_from(line).unwrap().verify
    }

    fn code(&self, words: &[&str]) -> u8 {
        self.command(words).run()
    }
}

/// After the first dismissed alert whose time was over, no chain of the camera
/// passed again, and that no case was removed could not be shown.
#[test]
fn a_chain_whose_files_retention_removed_is_told_apart_from_a_broken_one() {
    let cases = Cases::new();
    assert_eq!(cases.code(&["1.zip"]), 0);
    assert_eq!(cases.code(&["2.tar"]), 1, "one case alone is not whole");
    assert_eq!(cases.code(&["--chain", "3.zip", "4.tar"]), 0);
    let whole = ["--chain", "1.zip", "2.tar", "3.zip", "4.tar"];
    assert_eq!(cases.code(&whole), 3);
    assert_eq!(cases.code(&["--chain", "1.zip", "2.tar", "4.tar"]), 1);
    assert_eq!(cases.code(&["--chain", "1.zip", "3.zip", "2.tar"]), 1);
    // A file that is gone without a word is a fault in the chain, too.
    assert_eq!(
        cases.code(&["--chain", "1.zip", "2-silent.zip", "3.zip"]),
        1
    );
}

#[test]
fn a_program_reads_whether_the_chain_is_sound() {
    let cases = Cases::new();
    let told = |words: &[&str]| {
        let command = cases.command(words);
        let value = command.as_json(&command.examine().unwrap());
        (value["sound"].clone(), value["chain_sound"].clone())
    };
    assert_eq!(told(&["1.zip", "2.tar"]), (false.into(), Value::Null));
    assert_eq!(
        told(&["--chain", "1.zip", "2.tar"]),
        (false.into(), true.into())
    );
    assert_eq!(
        told(&["--chain", "3.zip", "4.tar"]),
        (true.into(), true.into())
    );
    assert_eq!(
        told(&["--chain", "1.zip", "3.zip"]),
        (false.into(), false.into())
    );
}

/// A replay signs with the box's own key, for an event id and a time of anybody's
/// choice: a staged clip was `"sound": true` with exit code 0.
#[test]
fn a_case_of_a_recording_is_not_taken_for_a_cameras_case() {
    let cases = Cases::new();
    let mut of_a_clip = manifest(ChainLink::genesis(Uuid::from_u128(2)), &[]);
    of_a_clip.clock.quality = TimeQuality::Media;
    let case = Sealed::seal(&of_a_clip, &key()).unwrap();
    write_rest(&cases.0.path().join("clip.zip"), &case, &[], &[]).unwrap();
    let allowed = "--allow-recordings";
    assert_eq!(cases.code(&["clip.zip"]), 4);
    assert_eq!(cases.code(&["--chain", "clip.zip"]), 4);
    assert_eq!(cases.code(&["1.zip", "clip.zip"]), 4);
    assert_eq!(cases.code(&[allowed, "1.zip", "clip.zip"]), 0);
    // What is changed is worse.
    assert_eq!(cases.code(&["clip.zip", "2-silent.zip"]), 1);
    let told = |words: &[&str]| {
        let command = cases.command(words);
        let told = command.as_json(&command.examine().unwrap());
        let case = &told["bundles"][0];
        let note = case["notes"][0]["note"].clone();
        (
            told["sound"].clone(),
            case["sound"].clone(),
            case["recording"].clone(),
            note,
        )
    };
    let note: Value = "of_a_recording".into();
    let (yes, no): (Value, Value) = (true.into(), false.into());
    let forbidden = (no.clone(), no.clone(), yes.clone(), note.clone());
    assert_eq!(told(&["clip.zip"]), forbidden);
    assert_eq!(
        told(&["clip.zip", allowed]),
        (yes.clone(), yes.clone(), yes.clone(), note)
    );
    assert_eq!(told(&["1.zip"]), (yes.clone(), yes, no, Value::Null));
}
