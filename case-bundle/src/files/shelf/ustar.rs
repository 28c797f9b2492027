//! The files of a .tar, if every program finds the same ones in it.
//!
//! The form has grown extensions by which a later header renames a file, makes it
//! longer or full of holes, and programs differ in which of them they know. A case
//! needs none: names are short, files plain. Nothing is read but headers.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::{Entry, MAX_ENTRIES};

/// Bytes of a header, and what everything is rounded up to.
const BLOCK: u64 = 512;
/// Zeros behind the end; programs write as many as 10 kB.
const MOST_ZEROS: u64 = 1 << 20;
/// A list of extensions that is longer says more than times and owners.
const MOST_EXTENSIONS: u64 = 64 << 10;
/// What a PAX header may say: nothing by which another file would be found.
const HARMLESS: [&str; 8] = [
    "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment",
];

/// The entries of a .tar; empty where it is none. The refusal says what to do.
pub(super) fn entries(file: &File) -> Result<Vec<Entry>, String> {
    let mut archive = tar::Archive::new(file);
    let mut entries = Vec::new();
    let mut end = 0;
    let mut headers = 0;
    let failed = |error: io::Error| error.to_string();
    // By seeking: what is between two headers is not read here.
    let all = archive.entries_with_seek().map_err(failed)?.raw(true);
    for entry in all {
        let mut entry = entry.map_err(failed)?;
        headers += 1;
        if headers > MAX_ENTRIES {
            return Err("it has too many entries".to_owned());
        }
        let header = entry.header().as_bytes();
        one_reading(header)?;
        let (begin, length) = (entry.raw_file_position(), entry.size());
        end = length
            .checked_next_multiple_of(BLOCK)
            .and_then(|blocks| begin.checked_add(blocks))
            .ok_or("a file in it has an impossible length")?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let kind = entry.header().entry_type();
        if kind.is_pax_local_extensions() || kind.is_pax_global_extensions() {
            if length > MOST_EXTENSIONS {
                return Err(extended("a long list of extensions"));
            }
            let mut records = Vec::new();
            entry.read_to_end(&mut records).map_err(failed)?;
            harmless(&records)?;
            continue;
        }
        if kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_gnu_sparse() {
            return Err(extended("an extension of GNU tar"));
        }
        if !kind.is_file() && length > 0 {
            return Err(
                "something that is no file has a length, and programs differ in whether it counts"
                    .to_owned(),
            );
        }
        if kind.is_dir() && name.is_empty() {
            continue;
        }
        let place = kind.is_file().then_some((begin, length));
        entries.push(Entry { name, place });
    }
    nothing_behind(file, end).map_err(failed)?;
    Ok(entries)
}

/// Demands of a header that all programs read the same from it.
fn one_reading(header: &[u8; 512]) -> Result<(), String> {
    // Old programs take these bytes for times, others for the beginning of the name.
    if header[345..500].iter().any(|byte| *byte != 0) {
        return Err(extended("a name in two parts"));
    }
    let size = header[124..136].trim_ascii();
    let digits = size.split(|byte| *byte == 0).next().unwrap_or_default();
    let rest = &size[digits.len()..];
    let is_plain = digits.iter().all(|byte| (b'0'..=b'7').contains(byte));
    if !is_plain || rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return Err(extended("a length in another form"));
    }
    Ok(())
}

/// Demands of a PAX header that it says nothing of which file it is, and how long.
fn harmless(records: &[u8]) -> Result<(), String> {
    for record in tar::PaxExtensions::new(records) {
        let record = record.map_err(|error| error.to_string())?;
        let key = String::from_utf8_lossy(record.key_bytes());
        if !HARMLESS.contains(&key.as_ref()) {
            return Err(extended(&format!("the extension {key}")));
        }
    }
    Ok(())
}

fn extended(what: &str) -> String {
    format!(
        "it has {what}, and programs differ in what they find in it: pack it with `tar --format=ustar`, \
         each file by its own short name"
    )
}

/// Demands that the archive ends where it seems to: some programs go on behind the end.
fn nothing_behind(mut file: &File, end: u64) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.min(length)))?;
    let mut rest = Vec::new();
    file.take(MOST_ZEROS + 1).read_to_end(&mut rest)?;
    if rest.len() as u64 > MOST_ZEROS || rest.iter().any(|byte| *byte != 0) {
        return Err(io::Error::other(
            "something stands behind its end, which some programs show and others do not",
        ));
    }
    Ok(())
}
