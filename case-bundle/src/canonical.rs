//! The one way to write a value (RFC 8785), and short marks of its parts.

use std::collections::BTreeMap;

use protocol::Digest;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Where the marks themselves stand in a manifest.
pub(crate) const FINGERPRINTS: &str = "fingerprints";
/// Hex digits of a mark. They say *where* something was changed; that nothing
/// was changed is the signature's word alone.
const MARK: usize = 16;

pub(crate) fn bytes_of(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    serde_json_canonicalizer::to_vec(value)
}

pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of lower-case hex of exactly this length.
pub(crate) fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        // Upper case would be a second way to write the same.
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = digit(pair[0])? * 16 + digit(pair[1])?;
    }
    Some(bytes)
}

/// A mark of every field of a manifest, and of every part of its objects and
/// lists, by JSON pointer (RFC 6901).
pub(crate) fn fingerprints(manifest: &Value) -> BTreeMap<String, String> {
    let mut marks = BTreeMap::new();
    let Value::Object(fields) = manifest else {
        return marks;
    };
    for (name, value) in fields.iter().filter(|(name, _)| *name != FINGERPRINTS) {
        match value {
            Value::Object(parts) => {
                for (part, value) in parts {
                    marks.insert(format!("/{}/{}", escaped(name), escaped(part)), mark(value));
                }
            }
            Value::Array(parts) => {
                for (index, value) in parts.iter().enumerate() {
                    marks.insert(format!("/{}/{index}", escaped(name)), mark(value));
                }
            }
            value => {
                marks.insert(format!("/{}", escaped(name)), mark(value));
            }
        }
    }
    marks
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn mark(value: &Value) -> String {
    let digest = bytes_of(value).map_or(Digest([0; 32]), |bytes| sha256(&bytes));
    digest.to_string().chars().take(MARK).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_form_is_that_of_the_standard() {
        // RFC 8785 § 3.2.2 and § 3.2.3: numbers, control characters, UTF-16 order of names.
        let value: Value = serde_json::from_str(
            r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
                "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#,
        )
        .unwrap();
        assert_eq!(
            String::from_utf8(bytes_of(&value).unwrap()).unwrap(),
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        let names = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        assert_eq!(
            String::from_utf8(bytes_of(&names).unwrap()).unwrap(),
            "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
        );
    }

    #[test]
    fn marks_reach_two_levels_and_leave_themselves_out() {
        let manifest =
            json!({"a": 1, "b": {"c/d": 2, "e": {"f": 3}}, "g": [4], "fingerprints": {"/a": "x"}});
        let marks = fingerprints(&manifest);
        let names: Vec<&str> = marks.keys().map(String::as_str).collect();
        assert_eq!(names, ["/a", "/b/c~1d", "/b/e", "/g/0"]);
    }

    #[test]
    fn hex_has_one_form() {
        assert_eq!(from_hex::<2>("0aff"), Some([10, 255]));
        for bad in ["0aFF", "0af", "0aff0", "0agg", "éaf"] {
            assert_eq!(from_hex::<2>(bad), None, "{bad}");
        }
    }
}
