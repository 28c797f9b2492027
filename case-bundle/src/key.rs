//! A box's key: what it signs with, and by what others know it.

use core::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    KeypairBytes,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::canonical::{from_hex, hex, sha256};

/// The name of a key: the first 16 bytes of the SHA-256 of the public key's 32
/// bytes, as 32 hex digits. Long enough that nobody makes a second key of the
/// same name, short enough to read out on the telephone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        from_hex(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a key id is 32 lower-case hex digits"))
    }
}

/// Why some text is no key.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not a private key of this sort.
    #[error(
        "this is no Ed25519 key in PKCS#8 PEM; make one with `openssl genpkey -algorithm ed25519`"
    )]
    NotPrivate,
    /// Not a public key of this sort.
    #[error("this is no Ed25519 public key in PEM; `edge-agent keys export` writes one")]
    NotPublic,
    /// A point with which anything can be signed.
    #[error("this public key is weak: a signature by it proves nothing; make a new key")]
    Weak,
}

/// A private key. Its bytes are wiped when it is dropped, and it does not print.
#[derive(Clone)]
pub struct BoxKey(SigningKey);

impl fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the private key {}", self.public().id())
    }
}

impl BoxKey {
    /// The key of 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// Reads PKCS#8 PEM (RFC 8410), with or without the public half in it.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = SigningKey::from_pkcs8_pem(text).map_err(|_| KeyError::NotPrivate)?;
        Ok(Self(key))
    }

    /// PKCS#8 PEM, version 1: what every OpenSSL reads.
    pub fn to_pem(&self) -> String {
        let pair = KeypairBytes {
            secret_key: self.0.to_bytes(),
            public_key: None,
        };
        let pem = pair
            .to_pkcs8_pem(LineEnding::LF)
            .expect("32 bytes fit any buffer");
        String::clone(&pem)
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// An Ed25519 signature; the same for the same bytes.
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.0.sign(bytes).to_bytes()
    }
}

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the public key {}", self.id())
    }
}

impl PublicKey {
    /// Checks 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::NotPublic)?;
        Self::strong(key)
    }

    /// Reads SubjectPublicKeyInfo PEM (RFC 8410).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_public_key_pem(text).map_err(|_| KeyError::NotPublic)?;
        Self::strong(key)
    }

    fn strong(key: VerifyingKey) -> Result<Self, KeyError> {
        if key.is_weak() {
            return Err(KeyError::Weak);
        }
        Ok(Self(key))
    }

    /// SubjectPublicKeyInfo PEM, as `openssl pkey -pubin` reads it.
    pub fn to_pem(&self) -> String {
        self.0
            .to_public_key_pem(LineEnding::LF)
            .expect("32 bytes fit any buffer")
    }

    /// The 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 16];
        id.copy_from_slice(&sha256(self.0.as_bytes()).0[..16]);
        KeyId(id)
    }

    /// Whether `signature` over `bytes` is by this key. Strict: a second
    /// signature that would pass by a malleable check is none.
    pub fn has_signed(&self, bytes: &[u8], signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.0.verify_strict(bytes, &signature).is_ok()
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex(self.0.as_bytes()))
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = from_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("a public key is 64 lower-case hex digits"))?;
        Self::from_bytes(&bytes).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_openssl_are_read_and_ours_read_back() {
        // RFC 8410 § 10.3, first example, and § 10.1.
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let key = BoxKey::from_pem(private).unwrap();
        assert_eq!(key.to_pem(), private);
        assert_eq!(key.public().to_pem(), public);
        assert_eq!(PublicKey::from_pem(public).unwrap(), key.public());
        // This text is a promise to every archive: it may never change.
        assert_eq!(key.public().id().to_string().len(), 32);
    }

    #[test]
    fn what_is_no_key_is_refused_and_a_weak_one_as_well() {
        assert_eq!(BoxKey::from_pem("x").unwrap_err(), KeyError::NotPrivate);
        assert_eq!(PublicKey::from_pem("x").unwrap_err(), KeyError::NotPublic);
        // The neutral element: 1 in little-endian.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(PublicKey::from_bytes(&neutral).unwrap_err(), KeyError::Weak);
    }

    #[test]
    fn a_private_key_does_not_print_itself() {
        let key = BoxKey::from_seed(&[7; 32]);
        assert_eq!(
            format!("{key:?}"),
            format!("the private key {}", key.public().id())
        );
    }
}
