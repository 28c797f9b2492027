//! A signed manifest as a file:
//! `{"manifest":` canonical manifest `,"signature":"` 128 hex digits `"}`.
//!
//! The form is fixed byte for byte, so that the signed bytes are a slice of the
//! file, found without a parser, and every bit of the file is guarded.

use protocol::Digest;
use serde_json::Value;

use crate::canonical::{self, FINGERPRINTS, from_hex, hex};
use crate::fault::Fault;
use crate::key::BoxKey;
use crate::manifest::{CaseManifest, MAX_CASE_BYTES};

const HEAD: &[u8] = b"{\"manifest\":";
const MIDDLE: &[u8] = b",\"signature\":\"";
const TAIL: &[u8] = b"\"}";
const SIGNATURE_HEX: usize = 128;

/// How a sealed manifest begins; tells it from other files.
pub const SEALED_HEAD: &[u8] = HEAD;

/// A sealed manifest, taken apart, nothing checked but its form.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    /// What is signed.
    pub manifest: &'a [u8],
    /// By what.
    pub signature: [u8; 64],
}

/// Why a manifest cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It cannot be written and read back.
    #[error(
        "the case cannot be written as JSON: {0}; a number in it is not finite, report the rule that made it"
    )]
    Unwritable(#[from] serde_json::Error),
    /// It is larger than any reader would take.
    #[error(
        "the case has {0} bytes and may have {MAX_CASE_BYTES}; shorten the rule's paths or facts"
    )]
    TooLarge(usize),
}

impl<'a> Sealed<'a> {
    /// Signs `manifest` with `key`, whose id and whose marks it writes in; the
    /// file's bytes.
    pub fn seal(manifest: &CaseManifest, key: &BoxKey) -> Result<Vec<u8>, SealError> {
        let mut manifest = manifest.clone();
        manifest.key = key.public().id();
        manifest.fingerprints.clear();
        let mut value = serde_json::to_value(&manifest)?;
        let marks = serde_json::to_value(canonical::fingerprints(&value))?;
        if let Value::Object(fields) = &mut value {
            fields.insert(FINGERPRINTS.to_owned(), marks);
        }
        let signed = canonical::bytes_of(&value)?;
        // A number that is not finite is written as null, which nobody could verify later.
        serde_json::from_slice::<CaseManifest>(&signed)?;
        let mut file = Vec::with_capacity(signed.len() + 256);
        file.extend_from_slice(HEAD);
        file.extend_from_slice(&signed);
        file.extend_from_slice(MIDDLE);
        file.extend_from_slice(hex(&key.sign(&signed)).as_bytes());
        file.extend_from_slice(TAIL);
        if file.len() > MAX_CASE_BYTES {
            return Err(SealError::TooLarge(file.len()));
        }
        Ok(file)
    }

    /// Takes a file apart.
    pub fn open(file: &'a [u8]) -> Result<Self, Fault> {
        if file.len() > MAX_CASE_BYTES {
            return Err(Fault::CaseTooLarge {
                bytes: file.len() as u64,
            });
        }
        let form = |part: &str| Fault::NotSealed {
            part: part.to_owned(),
        };
        let rest = file
            .strip_prefix(HEAD)
            .ok_or_else(|| form("{\"manifest\":"))?;
        let rest = rest.strip_suffix(TAIL).ok_or_else(|| form("\"}"))?;
        let cut = rest
            .len()
            .checked_sub(SIGNATURE_HEX)
            .ok_or_else(|| form("signature"))?;
        let (rest, signature) = rest.split_at(cut);
        let signature = core::str::from_utf8(signature)
            .ok()
            .and_then(from_hex)
            .ok_or_else(|| form("signature"))?;
        let manifest = rest
            .strip_suffix(MIDDLE)
            .ok_or_else(|| form(",\"signature\":"))?;
        Ok(Self {
            manifest,
            signature,
        })
    }

    /// The hash by which the next manifest of the camera names this file.
    pub fn digest(file: &[u8]) -> Digest {
        canonical::sha256(file)
    }
}
