//! Who made a bundle: Ed25519 signatures in the form of minisign.
//!
//! That form, because the `minisign` program of every distribution can then sign
//! and verify what this one does, on a machine that never saw it. Both kinds are
//! read: over the file (`Ed`) and over its BLAKE2b digest (`ED`); the latter is
//! written. A secret key is read without a password only; where it must have
//! one, sign with `minisign` itself.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// Largest file of a key or signature; more is another file.
const MAX_BYTES: u64 = 4096;

/// A key or a signature that cannot be used, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not in minisign's form.
    #[error("{what} is not in minisign's form: {why}")]
    Form {
        /// The file, or what it is.
        what: String,
        /// What is missing.
        why: String,
    },
    /// Encrypted, and there is nobody to ask.
    #[error(
        "{0} has a password; sign with `minisign -S -s KEY -m bundle.toml`, or make a key with `edge-agent models keygen`"
    )]
    Encrypted(String),
    /// By somebody else.
    #[error(
        "it is signed with key {found}, which is not trusted here ({trusted}); if you trust the maker, put their public key into a folder of trusted keys (`trusted_keys` under [detector]; without it /etc/ngatu/model-keys)"
    )]
    Untrusted {
        /// The signer's key id.
        found: KeyId,
        /// The ids that are trusted.
        trusted: String,
    },
    /// By the right key, over something else.
    #[error(
        "the signature of key {0} does not fit: the listing was changed after it was signed. Do not install it; get it again from its maker"
    )]
    Wrong(KeyId),
    /// A file cannot be read.
    #[error("{}: {message}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

/// Which key, for people; eight bytes as minisign prints them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A little-endian number, printed as one.
        write!(f, "{:016X}", u64::from_le_bytes(self.0))
    }
}

/// A key that verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name.
    pub id: KeyId,
    key: VerifyingKey,
}

/// A key that signs. Its file is the secret; nothing here prints it.
pub struct SecretKey {
    id: KeyId,
    key: SigningKey,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "secret key {}", self.id)
    }
}

impl PublicKey {
    /// Reads the text of a `.pub` file, or its second line alone.
    pub fn parse(text: &str, what: &str) -> Result<Self, SignatureError> {
        let form = |why: &str| malformed(what, why);
        let bytes = key_bytes(text, what)?;
        let bytes: [u8; 42] = bytes
            .try_into()
            .map_err(|_| form("its key has another length than 42 bytes"))?;
        let (head, key) = bytes.split_at(10);
        if !head.starts_with(b"Ed") {
            return Err(form("it is no Ed25519 key"));
        }
        let key: [u8; 32] = key.try_into().map_err(|_| form("its key is cut"))?;
        let key =
            VerifyingKey::from_bytes(&key).map_err(|_| form("it is no point of the curve"))?;
        if key.is_weak() {
            return Err(form("it is a key that signs everything"));
        }
        Ok(Self {
            id: key_id(&head[2..]),
            key,
        })
    }

    /// The text of a `.pub` file.
    pub fn text(&self) -> String {
        let mut bytes = b"Ed".to_vec();
        bytes.extend(self.id.0);
        bytes.extend(self.key.as_bytes());
        format!(
            "untrusted comment: minisign public key {}\n{}\n",
            self.id,
            BASE64.encode(bytes)
        )
    }

    /// The keys of files, and of the `.pub` files in folders. What does not exist is no fault.
    pub fn trusted(places: &[PathBuf]) -> Result<Vec<Self>, SignatureError> {
        let mut keys = Vec::new();
        for place in places {
            let mut files = if place.is_dir() {
                let io = |error: std::io::Error| SignatureError::Io {
                    path: place.clone(),
                    message: error.to_string(),
                };
                std::fs::read_dir(place)
                    .map_err(io)?
                    .filter_map(|entry| Some(entry.ok()?.path()))
                    .filter(|path| path.extension().is_some_and(|e| e == "pub"))
                    .collect()
            } else if place.exists() {
                vec![place.clone()]
            } else {
                Vec::new()
            };
            files.sort();
            for file in files {
                keys.push(Self::parse(&read(&file)?, &file.display().to_string())?);
            }
        }
        Ok(keys)
    }
}

impl SecretKey {
    /// A new one, of the system's randomness.
    pub fn generate() -> std::io::Result<Self> {
        use std::io::Read as _;
        let mut random = [0; 40];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let (id, seed) = random.split_at(8);
        let mut key = [0; 32];
        key.copy_from_slice(seed);
        Ok(Self {
            id: key_id(id),
            key: SigningKey::from_bytes(&key),
        })
    }

    /// What others verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            id: self.id,
            key: self.key.verifying_key(),
        }
    }

    /// Reads a minisign secret key file without a password (`minisign -G -W`).
    pub fn open(file: &Path) -> Result<Self, SignatureError> {
        Self::parse(&read(file)?, &file.display().to_string())
    }

    fn parse(text: &str, what: &str) -> Result<Self, SignatureError> {
        let form = |why: &str| malformed(what, why);
        let bytes = key_bytes(text, what)?;
        // Algorithm 2, derivation 2, checksum 2, salt 32, limits 16, id 8, key 64, checksum 32.
        if bytes.len() != 158 || !bytes.starts_with(b"Ed") || &bytes[4..6] != b"B2" {
            return Err(form("it is no secret key"));
        }
        if bytes[2..4] != [0, 0] {
            return Err(SignatureError::Encrypted(what.to_owned()));
        }
        // The checksum tells a wrong password; without one minisign leaves it at zero.
        let (id, key) = (&bytes[54..62], &bytes[62..126]);
        let mut pair = [0; 64];
        pair.copy_from_slice(key);
        let key = SigningKey::from_keypair_bytes(&pair)
            .map_err(|_| form("its two halves do not belong together; the file is damaged"))?;
        Ok(Self {
            id: key_id(id),
            key,
        })
    }

    /// The text of its file. Whoever reads it can sign.
    pub fn text(&self) -> String {
        let pair = self.key.to_keypair_bytes();
        let mut bytes = b"Ed\0\0B2".to_vec();
        bytes.extend([0; 48]);
        bytes.extend(self.id.0);
        bytes.extend(pair);
        bytes.extend([0; 32]);
        format!(
            "untrusted comment: minisign secret key {}\n{}\n",
            self.id,
            BASE64.encode(bytes)
        )
    }

    /// The text of a `.minisig` file over `content`. `comment` is signed as well, and is one line.
    pub fn sign(&self, content: &[u8], comment: &str) -> String {
        let signature = self.key.sign(&Blake2b512::digest(content)).to_bytes();
        let mut first = b"ED".to_vec();
        first.extend(self.id.0);
        first.extend(signature);
        let comment = comment.replace(['\n', '\r'], " ");
        let second = self
            .key
            .sign(&[&signature[..], comment.as_bytes()].concat())
            .to_bytes();
        format!(
            "untrusted comment: signature from minisign secret key {}\n{}\ntrusted comment: {comment}\n{}\n",
            self.id,
            BASE64.encode(first),
            BASE64.encode(second)
        )
    }
}

/// What is in the file of a key, below its comment.
fn key_bytes(text: &str, what: &str) -> Result<Vec<u8>, SignatureError> {
    let mut lines = text.lines().map(str::trim);
    let line = lines.find(|line| !line.is_empty() && !line.starts_with("untrusted comment:"));
    let line = line.ok_or_else(|| malformed(what, "there is no key in it"))?;
    let bytes = BASE64.decode(line);
    bytes.map_err(|_| malformed(what, "its key is not base64"))
}

fn malformed(what: &str, why: &str) -> SignatureError {
    SignatureError::Form {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

/// Whose signature `signature` is over `content`, and the comment that is signed with it.
pub fn verify(
    content: &[u8],
    signature: &str,
    trusted: &[PublicKey],
) -> Result<(KeyId, String), SignatureError> {
    let form = |why: &str| SignatureError::Form {
        what: "the signature".to_owned(),
        why: why.to_owned(),
    };
    let mut lines = signature.lines();
    let mut next = |why: &str| lines.next().ok_or_else(|| form(why));
    if !next("it is empty")?.starts_with("untrusted comment:") {
        return Err(form("its first line is no untrusted comment"));
    }
    let first = BASE64
        .decode(next("it has no second line")?.trim())
        .map_err(|_| form("its second line is not base64"))?;
    let comment = next("it has no third line")?
        .strip_prefix("trusted comment: ")
        .ok_or_else(|| form("its third line is no trusted comment"))?;
    let second = BASE64
        .decode(next("it has no fourth line")?.trim())
        .map_err(|_| form("its fourth line is not base64"))?;
    if first.len() != 74 {
        return Err(form("its second line is cut"));
    }
    let id = key_id(&first[2..10]);
    let signed = Signature::from_slice(&first[10..]).map_err(|_| form("it is no signature"))?;
    let global = Signature::from_slice(&second).map_err(|_| form("its fourth line is cut"))?;
    let key = trusted.iter().find(|key| key.id == id).ok_or_else(|| {
        let ids: Vec<String> = trusted.iter().map(|key| key.id.to_string()).collect();
        SignatureError::Untrusted {
            found: id,
            trusted: if ids.is_empty() {
                "no key is".to_owned()
            } else {
                ids.join(", ")
            },
        }
    })?;
    let fits = match &first[..2] {
        b"ED" => key.key.verify_strict(&Blake2b512::digest(content), &signed),
        b"Ed" => key.key.verify_strict(content, &signed),
        _ => return Err(form("it is of an unknown kind")),
    };
    let with_comment = [&first[10..], comment.as_bytes()].concat();
    fits.and_then(|()| key.key.verify_strict(&with_comment, &global))
        .map_err(|_| SignatureError::Wrong(id))?;
    Ok((id, comment.to_owned()))
}

fn key_id(bytes: &[u8]) -> KeyId {
    let mut id = [0; 8];
    id.copy_from_slice(bytes);
    KeyId(id)
}

fn read(file: &Path) -> Result<String, SignatureError> {
    let io = |message: String| SignatureError::Io {
        path: file.to_owned(),
        message,
    };
    let length = file.metadata().map_err(|e| io(e.to_string()))?.len();
    if length > MAX_BYTES {
        return Err(io(format!("{length} bytes are no key")));
    }
    std::fs::read_to_string(file).map_err(|error| io(error.to_string()))
}

#[cfg(test)]
mod tests;
