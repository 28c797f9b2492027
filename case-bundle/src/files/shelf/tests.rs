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

/// A header and its file, padded.
fn tar_entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_cksum();
    let mut entry = [&header.as_bytes()[..], bytes].concat();
    entry.resize(entry.len().next_multiple_of(512), 0);
    entry
}

/// A .tar of a sound case, after the entries of `first`, without its end.
fn tar_of(first: &[Vec<u8>]) -> Vec<u8> {
    let files = bundle(ChainLink::genesis(Uuid::from_u128(1)));
    let own = files
        .iter()
        .map(|(name, bytes)| tar_entry(name, b'0', bytes));
    first
        .iter()
        .cloned()
        .chain(own)
        .collect::<Vec<_>>()
        .concat()
}

/// A record of a PAX header.
fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = (1..99).find(|length: &usize| length.to_string().len() + rest.len() == *length);
    format!("{}{rest}", length.unwrap()).into_bytes()
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

/// The end of a .tar is two blocks of zeros, and programs write more.
const END: [u8; 1024] = [0; 1024];

#[test]
fn a_tar_of_a_case_is_sound_whoever_packed_it() {
    let plain = tar_of(&[]);
    let dated = tar_of(&[tar_entry("x", b'x', &pax("mtime", "1795000000.25"))]);
    let folder = tar_of(&[tar_entry("./", b'5', b"")]);
    for (what, archive) in [("plain", &plain), ("dated", &dated), ("folder", &folder)] {
        for zeros in [0, 512, 1024, 10_240] {
            let archive = [archive, &vec![0; zeros][..]].concat();
            assert_eq!(told(&archive), Ok(Vec::new()), "{what} {zeros}");
        }
    }
}

/// A .tar was verified as one program read it: a second archive behind its end, and
/// headers that rename a file or make it longer, were shown by others.
#[test]
fn a_tar_in_which_programs_find_different_files_is_refused() {
    let honest = tar_of(&[]);
    let forged = tar_entry(STILL_BEFORE, b'0', FORGED);
    let check = |what: &str, archive: &[u8], words: &str| {
        let refusal = told(archive).expect_err(what);
        assert!(refusal.contains(words), "{what}: {refusal}");
    };
    let behind = [&honest[..], &END, &forged, &END].concat();
    check("a second archive", &behind, "behind its end");
    let lone = [&honest[..], &END[..512], &forged, &END].concat();
    check("a lone block of zeros", &lone, "behind its end");
    let junk = [&honest[..], &END, b"PK"].concat();
    check("two bytes", &junk, "behind its end");
    for (key, value) in [
        ("path", STILL_BEFORE),
        ("size", "4"),
        ("linkpath", "x"),
        ("GNU.sparse.major", "1"),
        ("hdrcharset", "BINARY"),
    ] {
        for kind in [b'x', b'g'] {
            let archive = tar_of(&[tar_entry("x", kind, &pax(key, value))]);
            check(key, &archive, key);
        }
    }
    let renamed = tar_of(&[tar_entry("././@LongLink", b'L', b"other.jpg\0")]);
    check("a long name", &renamed, "GNU tar");
    let link = tar_of(&[tar_entry("x", b'2', b"....")]);
    check("a link with bytes", &link, "no file has a length");
    let mut prefixed = tar_entry("02-x.jpg", b'0', b"x");
    prefixed[345..348].copy_from_slice(b"dir");
    let mut sized = tar_entry("02-x.jpg", b'0', b"x");
    sized[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    for (what, mut entry, words) in [
        ("a prefix", prefixed, "two parts"),
        ("a binary length", sized, "another form"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes().copy_from_slice(&entry[..512]);
        header.set_cksum();
        entry[..512].copy_from_slice(header.as_bytes());
        check(what, &tar_of(&[entry]), words);
    }
    // Two files of one name are found in the case itself.
    let twice = tar_of(&[tar_entry(STILL, b'0', FORGED)]);
    assert_eq!(told(&twice).map(|faults| faults.is_empty()), Ok(false));
}
