//! Is this what the box signed, whole and unchanged?
//!
//! Everything that is wrong is told, not only the first: a clerk who mends one
//! thing and is then told the next gives up.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use protocol::units::Seconds;
use protocol::{Digest, EventId};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::canonical::{self, FINGERPRINTS};
use crate::fault::Fault;
use crate::key::KeyId;
use crate::manifest::{
    CASE_FILE, CASE_SCHEMA, CaseManifest, CaseMedia, MAX_MEDIA, MAX_MEDIA_BYTES, is_plain_name,
};
use crate::removal::{self, MAX_REMOVED_BYTES, REMOVED_FILE, Removal};
use crate::ring::{Trust, TrustedKey};
use crate::sealed::Sealed;

/// How far the clock of a box may have been off at a change of keys. A box
/// without a battery starts in the past, and its cases are no forgeries.
pub const CLOCK_TOLERANCE: Seconds = Seconds(24.0 * 3600.0);
/// Bytes hashed at a time.
const BUFFER: usize = 64 * 1024;

/// The files of a bundle besides `case.json`.
pub trait MediaSource {
    /// Every file that is there, also those that do not belong.
    fn names(&mut self) -> Result<Vec<String>, String>;

    /// A file's bytes; `None` when it is not there. Only plain names are asked for.
    fn open<'a>(&'a mut self, name: &str) -> io::Result<Option<Box<dyn Read + 'a>>>;
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What the manifest says, where it could be read. Believe it only when
    /// there are no faults.
    pub manifest: Option<CaseManifest>,
    /// The hash of the sealed manifest.
    pub digest: Digest,
    /// What is wrong.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// Demands that it is the case of this event: a sound bundle of another
    /// event, put in its place, is found out.
    pub fn expect_event(&mut self, expected: EventId) {
        if let Some(manifest) = &self.manifest
            && manifest.event.id != expected
        {
            self.faults.push(Fault::AnotherEvent {
                expected: expected.to_string(),
                found: manifest.event.id.to_string(),
            });
        }
    }
}

/// Checks a sealed manifest against the keys and its media against it.
pub fn verify(file: &[u8], trust: &Trust, media: &mut dyn MediaSource) -> Report {
    let mut faults = Vec::new();
    let manifest = check_manifest(file, trust, &mut faults);
    if let Some(manifest) = &manifest {
        check_media(&manifest.media, media, &mut faults);
    }
    Report {
        manifest,
        digest: Sealed::digest(file),
        faults,
    }
}

fn check_manifest(file: &[u8], trust: &Trust, faults: &mut Vec<Fault>) -> Option<CaseManifest> {
    let sealed = match Sealed::open(file) {
        Ok(sealed) => sealed,
        Err(fault) => {
            faults.push(fault);
            return None;
        }
    };
    let bytes = sealed.manifest;
    let value: Value = match serde_json::from_slice(bytes) {
        Ok(value) => value,
        Err(error) => {
            let at = offset_of(bytes, &error);
            let field = field_at(bytes, at);
            faults.push(Fault::NotJson {
                field,
                at: at as u64,
            });
            return None;
        }
    };
    let canonical = canonical::bytes_of(&value).unwrap_or_default();
    if canonical != bytes {
        let same = canonical.iter().zip(bytes).take_while(|(a, b)| a == b);
        let at = same.count();
        faults.push(Fault::NotCanonical {
            field: field_at(bytes, at),
            at: at as u64,
        });
    }
    let schema = value.get("schema").and_then(Value::as_str);
    let signer = check_signature(&sealed, &value, trust, faults);
    if schema != Some(CASE_SCHEMA) {
        faults.push(Fault::UnknownSchema {
            schema: schema.unwrap_or_default().to_owned(),
        });
        return None;
    }
    let manifest = match serde_json::from_slice::<CaseManifest>(bytes) {
        Ok(manifest) => manifest,
        Err(error) => {
            faults.push(Fault::Unreadable {
                field: field_at(bytes, offset_of(bytes, &error)),
                reason: error.to_string(),
            });
            return None;
        }
    };
    if manifest.chain.number == 0
        || (manifest.chain.number == 1) != manifest.chain.previous.is_none()
    {
        faults.push(Fault::BadLink {
            number: manifest.chain.number,
        });
    }
    if let Some(signer) = signer {
        check_office(&signer, &manifest, faults);
    }
    Some(manifest)
}

/// The key that has signed, where it is one of those given and has.
fn check_signature(
    sealed: &Sealed<'_>,
    value: &Value,
    trust: &Trust,
    faults: &mut Vec<Fault>,
) -> Option<TrustedKey> {
    let key = value.get("key").and_then(KeyId::deserialize_from);
    let signer = key.and_then(|key| trust.find(key));
    let is_signed = signer
        .as_ref()
        .is_some_and(|key| key.public.has_signed(sealed.manifest, &sealed.signature));
    if !is_signed {
        let changed = changed_fields(value);
        let unnamed = changed.is_empty();
        faults.extend(changed.into_iter().map(|field| Fault::Changed { field }));
        match (key, &signer) {
            (Some(key), None) => faults.push(Fault::UnknownKey {
                key,
                given: trust.ids(),
            }),
            (Some(key), Some(_)) if unnamed => faults.push(Fault::Signature { key }),
            (Some(_), Some(_)) => {}
            (None, _) => faults.push(Fault::Unreadable {
                field: "/key".to_owned(),
                reason: "it is no key id".to_owned(),
            }),
        }
    }
    signer.filter(|_| is_signed)
}

/// Whether the key was this box's at that time.
fn check_office(signer: &TrustedKey, manifest: &CaseManifest, faults: &mut Vec<Fault>) {
    let (site, box_id) = (&manifest.event.site, &manifest.event.box_id);
    let case = format!("{site}/{box_id}");
    let mut owners = signer
        .owners
        .iter()
        .map(|(site, id)| format!("{site}/{id}"));
    match (owners.next(), owners.next()) {
        (Some(owner), None) if owner != case => faults.push(Fault::KeyOfAnotherBox {
            key: manifest.key,
            owner,
            case,
        }),
        (Some(one), Some(other)) => faults.push(Fault::KeyOfTwoBoxes {
            key: manifest.key,
            one,
            other,
        }),
        _ => {}
    }
    let is_early = signer
        .from
        .is_some_and(|from| manifest.sealed < from - CLOCK_TOLERANCE);
    let is_late = signer
        .to
        .is_some_and(|to| manifest.sealed > to + CLOCK_TOLERANCE);
    if is_early || is_late {
        faults.push(Fault::KeyNotValidThen {
            key: manifest.key,
            sealed: manifest.sealed,
            from: signer.from,
            to: signer.to,
        });
    }
}

impl KeyId {
    fn deserialize_from(value: &Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }
}

/// Fields that do not agree with their marks.
fn changed_fields(manifest: &Value) -> Vec<String> {
    let Some(Value::Object(told)) = manifest.get(FINGERPRINTS) else {
        return Vec::new();
    };
    let found: BTreeMap<String, String> = canonical::fingerprints(manifest);
    let names: BTreeSet<&String> = found.keys().chain(told.keys()).collect();
    names
        .into_iter()
        .filter(|name| {
            told.get(*name).and_then(Value::as_str) != found.get(*name).map(String::as_str)
        })
        .cloned()
        .collect()
}

fn check_media(listed: &[CaseMedia], media: &mut dyn MediaSource, faults: &mut Vec<Fault>) {
    if listed.len() > MAX_MEDIA {
        faults.push(Fault::TooManyFiles {
            files: listed.len() as u64,
        });
        return;
    }
    let mut known = BTreeSet::new();
    let mut missing = Vec::new();
    for item in listed {
        let file = item.name.clone();
        if !is_plain_name(&file) || file == CASE_FILE || !known.insert(file.clone()) {
            faults.push(Fault::BadName { file });
        } else if item.length > MAX_MEDIA_BYTES {
            faults.push(Fault::TooLong {
                file,
                length: item.length,
            });
        } else if let Err(fault) = check_file(item, media) {
            if matches!(fault, Fault::Missing { .. }) {
                missing.push((faults.len(), item.sha256));
            }
            faults.push(fault);
        }
    }
    if !known.contains(REMOVED_FILE)
        && let Some(removed) = removals(&missing, media)
    {
        known.insert(REMOVED_FILE.to_owned());
        explain(&missing, &removed, faults);
    }
    match media.names() {
        Ok(names) => {
            let mut seen = BTreeSet::new();
            for file in names {
                // A second file of one name would be the one that another program shows.
                if !known.contains(&file) || !seen.insert(file.clone()) {
                    faults.push(Fault::Extra { file });
                }
            }
        }
        Err(reason) => faults.push(Fault::BundleUnreadable { reason }),
    }
}

/// What the bundle says of the files that are missing; `None` when there is no
/// such list, or it says anything else.
fn removals(missing: &[(usize, Digest)], media: &mut dyn MediaSource) -> Option<Vec<Removal>> {
    let file = media.open(REMOVED_FILE).ok()??;
    let mut bytes = Vec::new();
    file.take(MAX_REMOVED_BYTES).read_to_end(&mut bytes).ok()?;
    let missing = missing.iter().map(|(_, sha256)| *sha256).collect();
    removal::read(&bytes, &missing)
}

/// Says of each missing file (the index of its fault, its hash) why it is.
fn explain(missing: &[(usize, Digest)], removed: &[Removal], faults: &mut [Fault]) {
    for (index, sha256) in missing {
        if let Some(gone) = removed.iter().find(|gone| gone.sha256 == *sha256)
            && let Some(fault) = faults.get_mut(*index)
            && let Fault::Missing { file } = fault
        {
            *fault = Fault::Removed {
                file: std::mem::take(file),
                at: gone.at,
                class: gone.class.clone(),
            };
        }
    }
}

fn check_file(item: &CaseMedia, media: &mut dyn MediaSource) -> Result<(), Fault> {
    let file = || item.name.clone();
    let unreadable = |error: io::Error| Fault::FileUnreadable {
        file: item.name.clone(),
        reason: error.to_string(),
    };
    let bytes = media.open(&item.name).map_err(unreadable)?;
    let bytes = bytes.ok_or_else(|| Fault::Missing { file: file() })?;
    // One more than was signed tells a longer file, and an endless one is not read.
    let mut bytes = bytes.take(item.length + 1);
    let (mut hash, mut found) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER];
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&buffer[..read]);
                found += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    if found != item.length {
        return Err(Fault::Length {
            file: file(),
            expected: item.length,
            found,
        });
    }
    let digest = Digest(hash.finalize().into());
    if digest != item.sha256 {
        return Err(Fault::Hash {
            file: file(),
            expected: item.sha256,
            found: digest,
        });
    }
    Ok(())
}

/// Where in `bytes` the parser stopped.
fn offset_of(bytes: &[u8], error: &serde_json::Error) -> usize {
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let before: usize = lines
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (before + error.column().saturating_sub(1)).min(bytes.len())
}

/// JSON pointer, at most two deep, of the field that `at` lies in. A scan, not
/// a parse: it is asked of what cannot be parsed.
fn field_at(bytes: &[u8], at: usize) -> String {
    let mut keys: [&[u8]; 3] = [b"", b"", b""];
    let (mut depth, mut in_text, mut is_escaped) = (0_usize, false, false);
    let (mut begin, mut last): (usize, &[u8]) = (0, b"");
    for (index, byte) in bytes.iter().enumerate().take(at + 1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' if in_text => {
                in_text = false;
                last = &bytes[begin..index];
            }
            b'"' => (in_text, begin) = (true, index + 1),
            _ if in_text => {}
            b'{' | b'[' => {
                depth += 1;
                if let Some(key) = keys.get_mut(depth) {
                    *key = b"";
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b':' => {
                if let Some(key) = keys.get_mut(depth) {
                    *key = last;
                }
            }
            _ => {}
        }
    }
    let named = keys[1..].iter().take(depth).filter(|key| !key.is_empty());
    let path = named.fold(String::new(), |path, key| {
        path + "/" + &String::from_utf8_lossy(key)
    });
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

#[cfg(test)]
pub(crate) mod tests;
