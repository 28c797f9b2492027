use super::*;

/// Made by the program `minisign` 0.11: `-G -W`, then `-S` and `-S -l` of a file
/// that holds the word `listing`. The secret key was made for this test.
mod of_minisign {
    pub(super) const PUBLIC: &str = "\
untrusted comment: minisign public key 2E1E046246C26C11
RWQRbMJGYgQeLg8E5dBRN4UubHhyYcO49R9TDb5VlrHH0CNciOXpReuu
";
    pub(super) const SECRET: &str = "\
untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEWzCRmIEHi4PKFOXBSdZ2+xZVBqMGcH+ATwkADP4Nsb0Ksk5+zn/4w8E5dBRN4UubHhyYcO49R9TDb5VlrHH0CNciOXpReuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";
    pub(super) const OVER_DIGEST: &str = "\
untrusted comment: signature from minisign secret key
RUQRbMJGYgQeLgG51iy/3EzwkWsHOk6JmW3SwTLaqUnHn+f42XeYaHYMTbuegrNNYJ7XwMAokVcWrpZSIq+Km82SGlWBbSd1wgs=
trusted comment: model m version 3
lQHjbyhSrxgk1zV+sP/0QJWY8CSEX706ibYiSEgz5eYueR1XKpMZ2+Xr4R/xtrYsuYLJksUQqrScIFYLwPcYAQ==
";
    pub(super) const OVER_FILE: &str = "\
untrusted comment: signature from minisign secret key
RWQRbMJGYgQeLjKRHmeSF+6Mv4pkqMfFgR4rlyNi45V+I4EBTSgbZeB5WBHu6kgE/PdDN/zt5UHT2GyvcGGgVZUSQpL/qdYAXAU=
trusted comment: model m version 3
zGVONy6l++F0C9ckR+auTpnM34/LQYmuZzoD2qYKe3MNcbb8ERsOqujygRge6HhdaHVptzGglEp+y/Qt2W6wAQ==
";
}

#[test]
fn what_minisign_signed_is_verified_and_its_key_signs() {
    let trusted = [PublicKey::parse(of_minisign::PUBLIC, "k.pub").unwrap()];
    assert_eq!(trusted[0].id.to_string(), "2E1E046246C26C11");
    for signature in [of_minisign::OVER_DIGEST, of_minisign::OVER_FILE] {
        let (_, comment) = verify(b"listing", signature, &trusted).unwrap();
        assert_eq!(comment, "model m version 3");
        assert!(verify(b"other", signature, &trusted).is_err());
    }
    let secret = SecretKey::parse(of_minisign::SECRET, "k.key").unwrap();
    assert_eq!(secret.public(), trusted[0]);
    // Ed25519 has one signature for a key and a message.
    let ours = secret.sign(b"listing", "model m version 3");
    let theirs = of_minisign::OVER_DIGEST;
    assert_eq!(ours.lines().nth(1), theirs.lines().nth(1));
    assert_eq!(ours.lines().nth(3), theirs.lines().nth(3));
}

#[test]
fn what_is_signed_is_verified_and_nothing_else() {
    let secret = SecretKey::generate().unwrap();
    let trusted = [secret.public()];
    let signature = secret.sign(b"listing", "model m version 3");
    let (id, comment) = verify(b"listing", &signature, &trusted).unwrap();
    assert_eq!((id, comment.as_str()), (trusted[0].id, "model m version 3"));

    assert_eq!(
        verify(b"listinG", &signature, &trusted),
        Err(SignatureError::Wrong(id))
    );
    let other_comment = signature.replace("version 3", "version 4");
    assert_eq!(
        verify(b"listing", &other_comment, &trusted),
        Err(SignatureError::Wrong(id))
    );
    let stranger = [SecretKey::generate().unwrap().public()];
    let message = verify(b"listing", &signature, &stranger).unwrap_err();
    assert!(
        message.to_string().contains("not trusted here"),
        "{message}"
    );
    let nobody = verify(b"listing", &signature, &[]).unwrap_err().to_string();
    assert!(nobody.contains("no key is"), "{nobody}");
}

#[test]
fn keys_go_through_their_files_and_damage_is_seen() {
    let secret = SecretKey::generate().unwrap();
    let again = SecretKey::parse(&secret.text(), "key").unwrap();
    assert_eq!(again.public(), secret.public());
    let public = PublicKey::parse(&secret.public().text(), "key").unwrap();
    assert_eq!(public, secret.public());
    assert!(!format!("{secret:?}").contains(secret.text().lines().nth(1).unwrap()));

    let line = secret.text().lines().nth(1).unwrap().to_owned();
    let mut bytes = BASE64.decode(&line).unwrap();
    bytes[70] ^= 1;
    let damaged = SecretKey::parse(&BASE64.encode(&bytes), "key").unwrap_err();
    assert!(damaged.to_string().contains("damaged"), "{damaged}");
    bytes[2] = b'S';
    let encrypted = SecretKey::parse(&BASE64.encode(&bytes), "key").unwrap_err();
    assert!(encrypted.to_string().contains("minisign -S"), "{encrypted}");
}

#[test]
fn nonsense_is_an_error_and_no_panic() {
    let secret = SecretKey::generate().unwrap();
    let trusted = [secret.public()];
    let good = secret.sign(b"x", "c");
    for text in ["", "a", "a\nb\nc\nd", "untrusted comment: \n\n\n\n"] {
        assert!(verify(b"x", text, &trusted).is_err(), "{text:?}");
        assert!(PublicKey::parse(text, "k").is_err(), "{text:?}");
        assert!(SecretKey::parse(text, "k").is_err(), "{text:?}");
    }
    // Every prefix, and every line cut short.
    for end in (0..good.len() - 1).filter(|end| good.is_char_boundary(*end)) {
        let is_only_newline = good[end..].trim().is_empty();
        assert!(is_only_newline || verify(b"x", &good[..end], &trusted).is_err());
    }
    // The point of order one, for which any signature would fit.
    let mut weak = b"Ed00000000".to_vec();
    weak.extend([1]);
    weak.extend([0; 31]);
    let message = PublicKey::parse(&BASE64.encode(weak), "k")
        .unwrap_err()
        .to_string();
    assert!(message.contains("signs everything"), "{message}");
}
