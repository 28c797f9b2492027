//! Bundles: a model, its manifest and its self-test in one signed file.
//!
//! A tar, plain or compressed. First in it lies `bundle.toml`, the listing: which
//! model and version, and length and SHA-256 of every other file. Second, if it
//! is signed, `bundle.toml.minisig`. So everything is known, and known to be from
//! somebody trusted, before the first byte of the rest is looked at; and the
//! rest is only what the listing names. Whatever is not a plain file of a plain
//! name, longer than listed, twice there, or not listed, ends the unpacking.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use models::{Manifest, ManifestError, ModelId};
use protocol::Digest;
use serde::{Deserialize, Serialize};

use super::durable;
use super::package;
use super::self_test::SELF_TEST;
use super::signature::{self, KeyId, PublicKey, SecretKey, SignatureError};
use crate::digest::{self, CopyError};
use crate::outside::{self, NotWhole};

/// The listing's name.
pub const LISTING: &str = "bundle.toml";
/// Its signature's name.
pub const SIGNATURE: &str = "bundle.toml.minisig";
/// The manifest's name.
pub const MANIFEST: &str = "model.toml";

/// Longest listing and signature, bytes.
const MAX_LISTING: u64 = 256 * 1024;
/// Most files in a bundle.
const MAX_FILES: usize = 500;
/// All files of a bundle together, bytes: more than any model for a box, less than would fill its disk.
pub(super) const MAX_BYTES: u64 = 1024 * 1024 * 1024;
/// A package with a bundle in it, bytes.
const MAX_PACKAGE: u64 = 2 * MAX_BYTES;
/// Highest version. Who takes a step to the end of all numbers cannot take another.
pub const MAX_VERSION: u64 = u32::MAX as u64;
/// The form of listing that is written here.
const FORMAT: u32 = 1;

/// What a bundle holds: `bundle.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// The form of this file.
    pub format: u32,
    /// Which model.
    pub model: ModelId,
    /// Which version of it; a later one has a higher number.
    pub version: u64,
    /// Every other file.
    pub file: Vec<ListedFile>,
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedFile {
    /// Its place in the bundle, with `/` between folders.
    pub path: String,
    /// Its exact length.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// Who vouches for a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// A trusted key.
    Signed(KeyId),
    /// Nobody; the operator took it on himself.
    Unsigned(String),
}

/// A bundle that is not taken, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The source fails.
    #[error("it cannot be read: {0}; get it again")]
    Read(io::Error),
    /// The store fails.
    #[error("{}: {source}; check permissions and free space", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a bundle.
    #[error(
        "it is no bundle: {0}. A bundle is made with `edge-agent models bundle`; a single model file is installed with `edge-agent models install MODEL --from FILE`"
    )]
    NoBundle(String),
    /// A package that is to hold one.
    #[error("{0}")]
    Package(&'static str),
    /// Something in it that must not be there.
    #[error(
        "{0}; nothing was installed: the bundle is damaged or made to do harm, get it again from its maker"
    )]
    Hostile(String),
    /// Nobody signed it.
    #[error(
        "it is not signed; have its maker sign it, or say `--allow-unsigned` if you know where it comes from"
    )]
    NotSigned,
    /// The signature is not good.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// An older version than this box has had.
    #[error(
        "it is version {version}, this box has had version {highest}: an old version may have faults that were mended since. If it must be, say `--allow-downgrade`, which is written to the journal"
    )]
    Older {
        /// The bundle's.
        version: u64,
        /// The highest that was here.
        highest: u64,
    },
    /// The number is taken by another content.
    #[error(
        "version {0} is installed already, with another content; a version never changes: give the new one a higher number"
    )]
    Taken(u64),
    /// A part of its network lies in another file.
    #[error("its network {0}; {next}", next = outside::NEXT)]
    Outside(NotWhole),
    /// Its manifest cannot be used.
    #[error("its {MANIFEST}: {0}")]
    Manifest(#[from] ManifestError),
}

impl BundleError {
    /// What is wrong, of a version that lies here already: to get it again is said elsewhere.
    pub(super) fn damage(&self) -> String {
        match self {
            Self::Hostile(why) | Self::NoBundle(why) => why.clone(),
            Self::Read(error) => error.to_string(),
            other => other.to_string(),
        }
    }
}

impl Listing {
    fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let no = |why: String| BundleError::NoBundle(format!("{LISTING}: {why}"));
        let text = std::str::from_utf8(bytes).map_err(|_| no("it is no text".to_owned()))?;
        let listing: Self = toml::from_str(text).map_err(|e| no(e.message().to_owned()))?;
        if listing.format != FORMAT {
            return Err(no(format!(
                "it has format {}, this program reads {FORMAT}; update the agent",
                listing.format
            )));
        }
        if listing.version == 0 {
            return Err(no("versions begin with 1".to_owned()));
        }
        if listing.file.len() > MAX_FILES {
            return Err(no(format!("more than {MAX_FILES} files")));
        }
        let hostile = |why: String| Err(BundleError::Hostile(format!("{LISTING}: {why}")));
        let mut total = 0_u64;
        let mut seen = BTreeSet::new();
        for file in &listing.file {
            if !is_plain(&file.path) || [LISTING, SIGNATURE].contains(&file.path.as_str()) {
                return hostile(format!(
                    "`{}` is not a place within it",
                    file.path.escape_debug()
                ));
            }
            if !seen.insert(file.path.as_str()) {
                return hostile(format!("`{}` is listed twice", file.path));
            }
            total = total.saturating_add(file.bytes);
        }
        if total > MAX_BYTES {
            return hostile(format!(
                "its files are {total} bytes; {MAX_BYTES} are the most"
            ));
        }
        if !seen.contains(MANIFEST) {
            return Err(no(format!("it does not list {MANIFEST}")));
        }
        Ok(listing)
    }

    /// Of a bundle that is made or comes in. What lies here by such a number goes on.
    fn refuse_too_high(&self) -> Result<(), BundleError> {
        if self.version <= MAX_VERSION {
            return Ok(());
        }
        Err(BundleError::NoBundle(format!(
            "{LISTING}: version {} is beyond {MAX_VERSION}, the highest that there is; have its maker count on from \
             the last one",
            self.version
        )))
    }

    pub(super) fn of(&self, path: &str) -> Option<&ListedFile> {
        self.file.iter().find(|file| file.path == path)
    }
}

/// A relative place of at most three parts, each of letters, digits, `-`, `_` and inner dots.
pub(super) fn is_plain(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    path.len() <= 99
        && parts.len() <= 3
        && parts.iter().all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c))
        })
}

/// A bundle that has been taken in.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) listing: Listing,
    pub(super) vouched: Vouched,
    pub(super) manifest: Manifest,
    /// SHA-256 of the manifest's text.
    pub(super) text: Digest,
    /// SHA-256 of the listing's text.
    pub(super) listed: Digest,
}

/// A bundle's bytes, decompressed.
pub(super) type Source = Box<dyn Read>;

/// Looks at the first bytes: compressed, or in a package, or neither. `room` makes a
/// file without a name.
pub(super) fn source(
    from: impl Read + 'static,
    room: impl Fn() -> io::Result<File>,
) -> Result<Source, BundleError> {
    let mut from = BufReader::new(from);
    let beginning = io::BufRead::fill_buf(&mut from).map_err(BundleError::Read)?;
    if package::is_zip(beginning) {
        let room_for = || room().map_err(BundleError::Read);
        let (mut whole, mut bundle) = (room_for()?, room_for()?);
        // The index of a zip lies at its end.
        let copied = io::copy(&mut from.take(MAX_PACKAGE + 1), &mut whole);
        if copied.map_err(BundleError::Read)? > MAX_PACKAGE {
            return Err(BundleError::Package("the package is too large"));
        }
        package::extract_bundle(whole, &mut bundle)?;
        return source(bundle, room);
    }
    let is_compressed = beginning.starts_with(&[0x1f, 0x8b]);
    // The archive's own padding is a little more than the files.
    let limit = MAX_BYTES + 64 * 1024 * 1024;
    Ok(if is_compressed {
        Box::new(flate2::bufread::MultiGzDecoder::new(from).take(limit))
    } else {
        Box::new(from.take(limit))
    })
}

/// Unpacks a bundle into the folder that `decide` names once it is known who
/// made what. The folder must exist and be empty; after an error what lies in it
/// is to be thrown away.
pub(super) fn unpack(
    source: Source,
    trusted: &[PublicKey],
    allow_unsigned: bool,
    decide: impl FnOnce(&Listing, &Vouched) -> Result<PathBuf, BundleError>,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Unpacked, BundleError> {
    let mut archive = tar::Archive::new(source);
    // Raw: extensions (long names, links, attributes) show as entries and are
    // refused like all that is no file; the library would follow them.
    let mut entries = archive.entries().map_err(not_tar)?.raw(true);
    let mut next = || entries.next().transpose().map_err(not_tar);
    let mut listing_bytes = match next()? {
        Some(entry) if name_of(&entry).as_deref() == Some(LISTING) => small(entry, LISTING)?,
        _ => {
            let why = format!("{LISTING} does not come first in it");
            return Err(BundleError::NoBundle(why));
        }
    };
    let mut waiting = next()?;
    let mut signature = None;
    if let Some(entry) = waiting.take_if(|entry| name_of(entry).as_deref() == Some(SIGNATURE)) {
        let text = String::from_utf8(small(entry, SIGNATURE)?);
        signature = Some(text.map_err(|_| SignatureError::Form {
            what: SIGNATURE.to_owned(),
            why: "it is no text".to_owned(),
        })?);
        waiting = next()?;
    }
    let vouched = judge(
        &listing_bytes,
        signature.as_deref(),
        trusted,
        allow_unsigned,
    )?;
    let listing = Listing::parse(&listing_bytes)?;
    listing.refuse_too_high()?;
    let folder = decide(&listing, &vouched)?;

    let total: u64 = listing.file.iter().map(|file| file.bytes).sum();
    let mut done = 0;
    let mut missing: BTreeMap<&str, &ListedFile> = listing
        .file
        .iter()
        .map(|file| (file.path.as_str(), file))
        .collect();
    while let Some(mut entry) = waiting {
        let hostile = |why: &str| {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            BundleError::Hostile(format!("`{}` {why}", name.escape_debug()))
        };
        let name = name_of(&entry).ok_or_else(|| hostile("is no plain file"))?;
        let file = missing
            .remove(name.as_str())
            .ok_or_else(|| hostile("is not listed, or is there twice"))?;
        if entry.size() != file.bytes {
            let why = format!("has {} bytes, listed are {}", entry.size(), file.bytes);
            return Err(hostile(&why));
        }
        let found = write_file(
            &mut entry,
            &folder.join(&file.path),
            file.bytes,
            &mut |bytes| {
                progress(done + bytes, Some(total));
            },
        )?;
        if found != (file.sha256, file.bytes) {
            let why = if found.1 < file.bytes {
                format!("`{name}` is cut after {} of {} bytes", found.1, file.bytes)
            } else {
                format!("`{name}` has another SHA-256 than listed")
            };
            return Err(BundleError::Hostile(why));
        }
        done += file.bytes;
        waiting = next()?;
    }
    if let Some(name) = missing.keys().next() {
        return Err(BundleError::Hostile(format!(
            "`{name}` is listed but not in it"
        )));
    }
    if let Some(text) = &signature {
        write_file(
            &mut text.as_bytes(),
            &folder.join(SIGNATURE),
            MAX_LISTING,
            &mut |_| (),
        )?;
    }
    let (manifest, text) = manifest_in(&folder, &listing)?;
    let network = outside::named_in(&folder.join(&manifest.file)).map_err(BundleError::Read)?;
    network.map_or(Ok(()), |fault| Err(BundleError::Outside(fault)))?;
    // Last: a folder with a listing is whole.
    let bytes = std::mem::take(&mut listing_bytes);
    let listed = digest::of_bytes(&bytes);
    write_file(
        &mut &bytes[..],
        &folder.join(LISTING),
        MAX_LISTING,
        &mut |_| (),
    )?;
    Ok(Unpacked {
        listing,
        vouched,
        manifest,
        text,
        listed,
    })
}

/// Who vouches for a listing.
fn judge(
    listing: &[u8],
    signature: Option<&str>,
    trusted: &[PublicKey],
    allow_unsigned: bool,
) -> Result<Vouched, BundleError> {
    let Some(signature) = signature else {
        return if allow_unsigned {
            Ok(Vouched::Unsigned("it is not signed".to_owned()))
        } else {
            Err(BundleError::NotSigned)
        };
    };
    match signature::verify(listing, signature, trusted) {
        Ok((key, _)) => Ok(Vouched::Signed(key)),
        // By a stranger is as good as by nobody; a wrong one by a friend is worse.
        Err(error @ SignatureError::Untrusted { .. }) if allow_unsigned => {
            Ok(Vouched::Unsigned(error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// What lies in a folder that a bundle was unpacked into: read again, judged again.
pub(super) fn look(folder: &Path, trusted: &[PublicKey]) -> Result<Unpacked, BundleError> {
    let (listing, vouched, listed) = read_listing(folder, trusted)?;
    let (manifest, text) = manifest_in(folder, &listing)?;
    Ok(Unpacked {
        listing,
        vouched,
        manifest,
        text,
        listed,
    })
}

/// The listing in such a folder, and who vouches for it.
pub(super) fn listing_in(
    folder: &Path,
    trusted: &[PublicKey],
) -> Result<(Listing, Vouched), BundleError> {
    let (listing, vouched, _) = read_listing(folder, trusted)?;
    Ok((listing, vouched))
}

/// The same, and the SHA-256 of its text.
fn read_listing(
    folder: &Path,
    trusted: &[PublicKey],
) -> Result<(Listing, Vouched, Digest), BundleError> {
    let read = |name: &str| {
        let file = File::open(folder.join(name)).map_err(BundleError::Read)?;
        let mut bytes = Vec::new();
        file.take(MAX_LISTING)
            .read_to_end(&mut bytes)
            .map_err(BundleError::Read)?;
        Ok::<_, BundleError>(bytes)
    };
    let bytes = read(LISTING)?;
    let signature = folder
        .join(SIGNATURE)
        .is_file()
        .then(|| read(SIGNATURE))
        .transpose()?;
    let signature = signature.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let vouched = judge(&bytes, signature.as_deref(), trusted, true)?;
    Ok((Listing::parse(&bytes)?, vouched, digest::of_bytes(&bytes)))
}

/// Every file of an unpacked bundle against its listing; which is damaged, and how.
pub(super) fn check_files(folder: &Path, listing: &Listing) -> Result<(), String> {
    listing
        .file
        .iter()
        .try_for_each(|file| check_file(folder, file))?;
    match unlisted_self_test(folder, listing) {
        Some(_) => Err(format!("{SELF_TEST} is not listed")),
        None => Ok(()),
    }
}

/// A self-test that is not listed: nobody signed it, and it would be read.
pub(super) fn unlisted_self_test(folder: &Path, listing: &Listing) -> Option<PathBuf> {
    let file = folder.join(SELF_TEST);
    let is_there = || fs::symlink_metadata(&file).is_ok();
    (listing.of(SELF_TEST).is_none() && is_there()).then_some(file)
}

/// One of them.
pub(super) fn check_file(folder: &Path, file: &ListedFile) -> Result<(), String> {
    let path = folder.join(&file.path);
    let failed = |why: &dyn std::fmt::Display| Err(format!("{}: {why}", path.display()));
    let length = match path.metadata() {
        Ok(found) if found.is_file() => found.len(),
        Ok(_) => return failed(&"it is no file"),
        Err(error) => return failed(&error),
    };
    if length != file.bytes {
        return failed(&format!("it has {length} bytes, listed are {}", file.bytes));
    }
    match digest::of_file(&path) {
        Ok(found) if found == file.sha256 => Ok(()),
        Ok(_) => failed(&"it has another SHA-256 than listed"),
        Err(error) => failed(&error),
    }
}

/// The manifest, which must be the listing's and describe a listed file, and the SHA-256
/// of its text.
fn manifest_in(folder: &Path, listing: &Listing) -> Result<(Manifest, Digest), BundleError> {
    let hostile = |why: &str| BundleError::Hostile(format!("{MANIFEST}: {why}"));
    let mut bytes = Vec::new();
    File::open(folder.join(MANIFEST))
        .and_then(|file| file.take(MAX_LISTING + 1).read_to_end(&mut bytes))
        .map_err(BundleError::Read)?;
    if bytes.len() as u64 > MAX_LISTING {
        return Err(hostile(&format!("it has more than {MAX_LISTING} bytes")));
    }
    let text = digest::of_bytes(&bytes);
    if listing.of(MANIFEST).map(|file| file.sha256) != Some(text) {
        return Err(hostile("it has another SHA-256 than listed"));
    }
    let manifest =
        Manifest::parse(&String::from_utf8_lossy(&bytes))?.expect_folder(listing.model.as_str())?;
    match listing.of(&manifest.file) {
        Some(file) if file.sha256 == manifest.sha256 => Ok((manifest, text)),
        Some(_) => Err(hostile("its `sha256` is not that of the listed file")),
        None => Err(hostile("its `file` is not listed")),
    }
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` gives it
fn not_tar(error: io::Error) -> BundleError {
    // What the `tar` crate says of a file that is none quotes that file.
    let said = error.to_string();
    let is_quoted = said.len() > 100 || said.chars().any(|c| c.is_control() || c == '\u{fffd}');
    BundleError::NoBundle(if is_quoted {
        "not a whole tar file".to_owned()
    } else {
        format!("not a whole tar file ({said})")
    })
}

fn name_of<R: Read>(entry: &tar::Entry<'_, R>) -> Option<String> {
    let is_file = entry.header().entry_type() == tar::EntryType::Regular;
    let path = String::from_utf8(entry.path_bytes().into_owned()).ok()?;
    is_file.then_some(path)
}

fn small<R: Read>(mut entry: tar::Entry<'_, R>, what: &str) -> Result<Vec<u8>, BundleError> {
    if entry.size() > MAX_LISTING {
        let why = format!("{what} is {} bytes long", entry.size());
        return Err(BundleError::Hostile(why));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(BundleError::Read)?;
    Ok(bytes)
}

/// Writes a file that is on the disk when this returns; never over another.
fn write_file(
    from: &mut dyn Read,
    path: &Path,
    limit: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<(Digest, u64), BundleError> {
    let write = |source| BundleError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        durable::create_folders(folder).map_err(write)?;
    }
    let mut file = File::create_new(path).map_err(write)?;
    durable::give_to_owner_of_folder(&file, path);
    let copied = digest::copy(from, &mut file, limit, progress).map_err(|error| match error {
        CopyError::Read(error) => BundleError::Read(error),
        CopyError::Write(error) => write(error),
        CopyError::TooLong => BundleError::Hostile(format!("more than {limit} bytes")),
    })?;
    file.sync_all().map_err(write)?;
    Ok(copied)
}

/// The network among the files of a bundle in the making, where its manifest names one.
fn network_of(files: &[(String, Vec<u8>)]) -> Option<&[u8]> {
    let of = |name: &str| Some(&files.iter().find(|(path, _)| path == name)?.1[..]);
    let manifest = Manifest::parse(std::str::from_utf8(of(MANIFEST)?).ok()?).ok()?;
    of(&manifest.file)
}

/// Makes a bundle of `files` (place within it and content), in their order.
///
/// The same files and key give the same bytes: no owners, no times.
pub fn pack(
    model: &ModelId,
    version: u64,
    files: &[(String, Vec<u8>)],
    key: Option<&SecretKey>,
    to: impl Write,
) -> Result<Listing, BundleError> {
    let listing = Listing {
        format: FORMAT,
        model: model.clone(),
        version,
        file: files
            .iter()
            .map(|(path, content)| ListedFile {
                path: path.clone(),
                bytes: content.len() as u64,
                sha256: digest::of_bytes(content),
            })
            .collect(),
    };
    let text = toml::to_string(&listing).map_err(|e| BundleError::NoBundle(e.to_string()))?;
    // What nobody could install is not made.
    Listing::parse(text.as_bytes())?.refuse_too_high()?;
    if let Some(fault) = network_of(files).and_then(outside::named) {
        return Err(BundleError::Outside(fault));
    }
    let mut first = vec![(LISTING.to_owned(), text.clone().into_bytes())];
    if let Some(key) = key {
        let comment = format!("model {model} version {version}");
        let signature = key.sign(text.as_bytes(), &comment);
        first.push((SIGNATURE.to_owned(), signature.into_bytes()));
    }
    let mut archive = tar::Builder::new(to);
    for (path, content) in first.iter().chain(files) {
        let mut header = tar::Header::new_ustar();
        let write = |source| BundleError::Write {
            path: path.into(),
            source,
        };
        header.set_path(path).map_err(write)?;
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        archive
            .append(&header, Cursor::new(content))
            .map_err(write)?;
    }
    archive
        .into_inner()
        .and_then(|mut to| to.flush())
        .map_err(|source| BundleError::Write {
            path: PathBuf::from(LISTING),
            source,
        })?;
    Ok(listing)
}
