use std::io::Write as _;

use uuid::Uuid;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;
use crate::manifest::ChainLink;
use crate::verify::tests::{bundle, trust};
use crate::verify::verify;

const STILL: &str = "01-still_clean.jpg";
const STILL_BEFORE: &str = "00-still_clean.jpg";
const FORGED: &[u8] = b"\xff\xd8 forged";

/// A .zip of a sound case, after the files of `first`.
fn zip_of(first: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ZipWriter::new(io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let files = bundle(ChainLink::genesis(Uuid::from_u128(1)));
    let own = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), &bytes[..]));
    for (name, bytes) in first.iter().copied().chain(own) {
        archive.start_file(name, stored).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// `bytes` with `new` in place of each `old`, which is as long.
fn exchanged(bytes: &[u8], old: &str, new: &str) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(old.as_bytes()))
        .collect();
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new.as_bytes());
    }
    bytes
}

/// Opens an archive and verifies the case in it: the refusal, or the faults.
fn told(archive: &[u8]) -> Result<Vec<String>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("case.zip");
    fs::write(&path, archive).unwrap();
    let mut shelf = match BundleShelf::open(&path) {
        Ok(shelf) => shelf,
        Err(ShelfError::Damaged { reason, .. }) => return Err(reason),
        Err(error) => panic!("{error}"),
    };
    let case = shelf.case().unwrap().unwrap_or_default();
    let report = verify(&case, &trust(), &mut shelf);
    Ok(report.faults.iter().map(|fault| fault.words().en).collect())
}

#[test]
fn a_zip_of_a_case_is_sound() {
    assert_eq!(told(&zip_of(&[])), Ok(Vec::new()));
}

/// The list at the end of a .zip was read as a map from names: of two files
/// with one name the honest second was verified, and a program that unpacks
/// from the front showed the forged first.
#[test]
fn two_files_of_one_name_in_a_zip_are_refused() {
    let other = "01-still_cleam.jpg";
    let two = exchanged(&zip_of(&[(other, FORGED)]), other, STILL);
    let refusal = told(&two).unwrap_err();
    assert!(refusal.contains("have one name"), "{refusal}");
}

#[test]
fn a_zip_whose_list_and_headers_differ_is_refused() {
    let honest = zip_of(&[]);
    // The header before the file, not its entry in the list.
    let other = "03-still_clean.jpg";
    let at = honest.len() - honest.len() / 3;
    let mut renamed = exchanged(&honest[..at], STILL, other);
    renamed.extend_from_slice(&honest[at..]);
    assert_ne!(renamed, honest);
    let refusal = told(&renamed).unwrap_err();
    assert!(refusal.contains("programs differ"), "{refusal}");
}

/// A program that goes through the file from the front shows what the list at
/// the end is silent about.
#[test]
fn a_file_that_the_list_of_a_zip_hides_is_refused() {
    let honest = zip_of(&[]);
    let with_forged = zip_of(&[(STILL_BEFORE, FORGED)]);
    // A whole archive before, after and in the comment of the honest one.
    let before = [&with_forged[..], &honest[..]].concat();
    let after = [&honest[..], &with_forged[..]].concat();
    let mut comment = honest.clone();
    let end = comment.len();
    let length = u16::try_from(with_forged.len()).unwrap();
    comment[end - 2..].copy_from_slice(&length.to_le_bytes());
    comment.extend_from_slice(&with_forged);
    for (name, archive) in [("before", before), ("after", after), ("comment", comment)] {
        match told(&archive) {
            Err(_) => {}
            Ok(faults) => assert!(!faults.is_empty(), "{name}"),
        }
    }
    let noted = [&honest[..end - 2], &[4, 0], b"seen"].concat();
    let refusal = told(&noted).unwrap_err();
    assert!(refusal.contains("after its list"), "{refusal}");
}
