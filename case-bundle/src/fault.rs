//! What can be wrong with a case, each in words for people.

use protocol::event::Words;
use protocol::{Digest, EventTime};
use serde::Serialize;

use crate::key::KeyId;
use crate::manifest::{MAX_CASE_BYTES, MAX_MEDIA, MAX_MEDIA_BYTES};

/// One fault. Texts in it may come from a hostile file; [`Fault::words`]
/// escapes them, so that they cannot paint on a terminal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// There is no `case.json`.
    NoCase,
    /// The sealed manifest is larger than any honest one.
    CaseTooLarge {
        /// Its size, as far as it was read.
        bytes: u64,
    },
    /// The fixed form around manifest and signature is broken.
    NotSealed {
        /// What should be there.
        part: String,
    },
    /// The manifest is no JSON.
    NotJson {
        /// JSON pointer of the field where it breaks.
        field: String,
        /// Offset in the manifest, bytes.
        at: u64,
    },
    /// It is JSON, but not written in the canonical way.
    NotCanonical {
        /// JSON pointer of the field where it departs.
        field: String,
        /// Offset in the manifest, bytes.
        at: u64,
    },
    /// Of a version that this program does not know.
    UnknownSchema {
        /// What it says.
        schema: String,
    },
    /// A field is not what it should be.
    Unreadable {
        /// JSON pointer of it.
        field: String,
        /// Why.
        reason: String,
    },
    /// The verifier was not given this key.
    UnknownKey {
        /// The key that signed, as the manifest says.
        key: KeyId,
        /// Those that were given.
        given: Vec<KeyId>,
    },
    /// A field is not the one that was signed.
    Changed {
        /// JSON pointer of it.
        field: String,
    },
    /// The signature is not by the key over this manifest.
    Signature {
        /// The key.
        key: KeyId,
    },
    /// The key belongs to another box than the event.
    KeyOfAnotherBox {
        /// The key.
        key: KeyId,
        /// Whose it is.
        owner: String,
        /// Whose case it is.
        case: String,
    },
    /// Two boxes' lists claim the key.
    KeyOfTwoBoxes {
        /// The key.
        key: KeyId,
        /// One box.
        one: String,
        /// The other.
        other: String,
    },
    /// The key did not hold office when the case was signed.
    KeyNotValidThen {
        /// The key.
        key: KeyId,
        /// When it was signed.
        sealed: EventTime,
        /// Since when the key signed.
        from: Option<EventTime>,
        /// Until when.
        to: Option<EventTime>,
    },
    /// It is another event's case.
    AnotherEvent {
        /// The event that was asked for.
        expected: String,
        /// Whose it is.
        found: String,
    },
    /// The manifest lists more files than a case may have.
    TooManyFiles {
        /// How many.
        files: u64,
    },
    /// The manifest names a file in a way that could lead elsewhere, or twice.
    BadName {
        /// The name.
        file: String,
    },
    /// The manifest announces a file larger than a case may have.
    TooLong {
        /// The file.
        file: String,
        /// Bytes.
        length: u64,
    },
    /// A file is not there.
    Missing {
        /// The file.
        file: String,
    },
    /// A file is not there, and the bundle says that retention removed it.
    Removed {
        /// The file.
        file: String,
        /// When, as the bundle says.
        at: EventTime,
        /// As what it had been kept, as the bundle says.
        class: String,
    },
    /// A file cannot be read.
    FileUnreadable {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// A file has another length.
    Length {
        /// The file.
        file: String,
        /// By the manifest, bytes.
        expected: u64,
        /// What was read before it was given up.
        found: u64,
    },
    /// A file's bytes are not those that were signed.
    Hash {
        /// The file.
        file: String,
        /// By the manifest.
        expected: Digest,
        /// By the bytes.
        found: Digest,
    },
    /// A file is there that the manifest does not know.
    Extra {
        /// The file.
        file: String,
    },
    /// The bundle itself cannot be listed.
    BundleUnreadable {
        /// Why.
        reason: String,
    },
    /// Cases of the camera are not there.
    Gap {
        /// Number of the case before.
        after: u64,
        /// Number of the case found next.
        found: u64,
    },
    /// A case stands before an earlier one.
    Swapped {
        /// Number of the case before.
        after: u64,
        /// Number of the case found next.
        found: u64,
    },
    /// The same case again.
    Replayed {
        /// Its number.
        number: u64,
    },
    /// Two different cases claim one number.
    Forked {
        /// The number.
        number: u64,
    },
    /// The case does not follow the one before it, though its number does.
    NotTheNext {
        /// Its number.
        number: u64,
    },
    /// The case is of another camera.
    AnotherCamera {
        /// The chain's.
        expected: String,
        /// Its own.
        found: String,
    },
    /// The first of a chain names one before it, or a later one names none.
    BadLink {
        /// Its number.
        number: u64,
    },
}

fn shown(text: &str) -> String {
    let short: String = text.chars().take(120).collect();
    let escaped: String = short
        .chars()
        .flat_map(|c| {
            // Vietnamese stays readable; what moves a cursor or turns text around does not pass.
            let is_plain = c == ' ' || c.is_alphanumeric() || c.is_ascii_graphic();
            let escaped = (!is_plain).then(|| c.escape_unicode());
            is_plain
                .then_some(c)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect();
    escaped
}

fn span(from: Option<EventTime>, to: Option<EventTime>) -> String {
    let end = |time: Option<EventTime>| time.map_or("…".to_owned(), |time| time.to_string());
    format!("{} – {}", end(from), end(to))
}

impl Fault {
    /// Whether it is only that the signer's key was not given.
    pub fn is_about_missing_keys(&self) -> bool {
        matches!(self, Self::UnknownKey { .. })
    }

    /// Whether it is only that retention removed a file, as whoever handed the
    /// case over says.
    pub fn is_removal(&self) -> bool {
        matches!(self, Self::Removed { .. })
    }

    /// What is wrong, in a sentence.
    #[allow(clippy::too_many_lines)] // a table
    pub fn words(&self) -> Words {
        match self {
            Self::NoCase => Words::new(
                "Không có tệp case.json: đây không phải hồ sơ vụ việc",
                "there is no case.json: this is not a case bundle",
            ),
            Self::CaseTooLarge { bytes } => Words::new(
                format!("case.json có {bytes} byte, tối đa {MAX_CASE_BYTES}: từ chối"),
                format!("case.json has {bytes} bytes, at most {MAX_CASE_BYTES} are taken: refused"),
            ),
            Self::NotSealed { part } => Words::new(
                format!("case.json không đúng khuôn: hỏng ở phần `{}`", shown(part)),
                format!(
                    "case.json does not have its form: the part `{}` is damaged",
                    shown(part)
                ),
            ),
            Self::NotJson { field, at } => Words::new(
                format!(
                    "case.json không phải JSON: hỏng ở trường {} (byte {at})",
                    shown(field)
                ),
                format!(
                    "case.json is not JSON: it breaks in field {} (byte {at})",
                    shown(field)
                ),
            ),
            Self::NotCanonical { field, at } => Words::new(
                format!(
                    "case.json không ở dạng chuẩn RFC 8785 từ trường {} (byte {at}): đã bị ghi lại",
                    shown(field)
                ),
                format!(
                    "case.json is not canonical (RFC 8785) from field {} on (byte {at}): somebody wrote it anew",
                    shown(field)
                ),
            ),
            Self::UnknownSchema { schema } => Words::new(
                format!(
                    "Không biết phiên bản hồ sơ `{}`; dùng chương trình mới hơn",
                    shown(schema)
                ),
                format!(
                    "the case is of version `{}`, which this program does not know; use a newer one",
                    shown(schema)
                ),
            ),
            Self::Unreadable { field, reason } => Words::new(
                format!("Trường {} không đọc được: {}", shown(field), shown(reason)),
                format!("field {} cannot be read: {}", shown(field), shown(reason)),
            ),
            Self::UnknownKey { key, given } => {
                let given: Vec<String> = given.iter().map(ToString::to_string).collect();
                let given = given.join(", ");
                Words::new(
                    format!(
                        "Khóa ký {key} không nằm trong các khóa đã cho ({given}); lấy khóa công khai của đúng thiết bị"
                    ),
                    format!(
                        "it is signed with the key {key}, which is none of those given ({given}); get the public key of the box itself"
                    ),
                )
            }
            Self::Changed { field } => Words::new(
                format!("Trường {} đã bị sửa sau khi ký", shown(field)),
                format!("field {} was changed after it was signed", shown(field)),
            ),
            Self::Signature { key } => Words::new(
                format!(
                    "Chữ ký không khớp với khóa {key}: trường /signature đã bị sửa, hoặc người khác ký"
                ),
                format!(
                    "the signature is not by the key {key} over this manifest: /signature was changed, or somebody else signed"
                ),
            ),
            Self::KeyOfAnotherBox { key, owner, case } => Words::new(
                format!(
                    "Khóa {key} là của thiết bị {}, nhưng vụ việc là của {}",
                    shown(owner),
                    shown(case)
                ),
                format!(
                    "the key {key} is of box {}, and the case is of {}",
                    shown(owner),
                    shown(case)
                ),
            ),
            Self::KeyOfTwoBoxes { key, one, other } => Words::new(
                format!(
                    "Khóa {key} nằm trong danh sách của cả {} và {}: một danh sách là giả, hoặc hai thiết bị dùng chung khóa",
                    shown(one),
                    shown(other)
                ),
                format!(
                    "the key {key} stands in the lists of both {} and {}: one of the lists is false, or two boxes share a key",
                    shown(one),
                    shown(other)
                ),
            ),
            Self::KeyNotValidThen {
                key,
                sealed,
                from,
                to,
            } => Words::new(
                format!(
                    "Khóa {key} không có hiệu lực lúc ký {sealed} (hiệu lực {})",
                    span(*from, *to)
                ),
                format!(
                    "the key {key} did not hold office when this was signed at {sealed} (it did {})",
                    span(*from, *to)
                ),
            ),
            Self::AnotherEvent { expected, found } => Words::new(
                format!(
                    "Hồ sơ là của sự kiện {}, không phải {}",
                    shown(found),
                    shown(expected)
                ),
                format!(
                    "this is the case of event {}, not of {}",
                    shown(found),
                    shown(expected)
                ),
            ),
            Self::TooManyFiles { files } => Words::new(
                format!("Hồ sơ khai {files} tệp, tối đa {MAX_MEDIA}: từ chối"),
                format!("the case lists {files} files, at most {MAX_MEDIA} are taken: refused"),
            ),
            Self::BadName { file } => Words::new(
                format!(
                    "Tên tệp `{}` không được phép hoặc bị lặp: từ chối",
                    shown(file)
                ),
                format!(
                    "the case lists a file `{}`, a name that is not allowed or stands there twice: refused",
                    shown(file)
                ),
            ),
            Self::TooLong { file, length } => Words::new(
                format!(
                    "Tệp {} được khai {length} byte, tối đa {MAX_MEDIA_BYTES}: từ chối",
                    shown(file)
                ),
                format!(
                    "file {} is said to have {length} bytes, at most {MAX_MEDIA_BYTES} are taken: refused",
                    shown(file)
                ),
            ),
            Self::Missing { file } => Words::new(
                format!("Thiếu tệp {}", shown(file)),
                format!("file {} is missing", shown(file)),
            ),
            Self::Removed { file, at, class } => Words::new(
                format!(
                    "Tệp {} đã bị xóa theo thời hạn lưu trữ vào {at} (loại `{}`), theo lời bên giao hồ sơ: không còn gì để kiểm tra",
                    shown(file),
                    shown(class)
                ),
                format!(
                    "file {} was removed by retention on {at} (`{}`), as whoever handed the case over says: there is nothing to examine",
                    shown(file),
                    shown(class)
                ),
            ),
            Self::FileUnreadable { file, reason } => Words::new(
                format!("Không đọc được tệp {}: {}", shown(file), shown(reason)),
                format!("file {} cannot be read: {}", shown(file), shown(reason)),
            ),
            Self::Length {
                file,
                expected,
                found,
            } => {
                let (vi, en) = if found > expected {
                    ("dài hơn".to_owned(), "is longer".to_owned())
                } else {
                    (
                        format!("chỉ có {found} byte"),
                        format!("has only {found} bytes"),
                    )
                };
                Words::new(
                    format!("Tệp {} {vi}; đã ký {expected} byte", shown(file)),
                    format!("file {} {en}; {expected} bytes were signed", shown(file)),
                )
            }
            Self::Hash {
                file,
                expected,
                found,
            } => Words::new(
                format!(
                    "Tệp {} đã bị sửa: SHA-256 là {found}, đã ký {expected}",
                    shown(file)
                ),
                format!(
                    "file {} was changed: its SHA-256 is {found}, and {expected} was signed",
                    shown(file)
                ),
            ),
            Self::Extra { file } => Words::new(
                format!("Tệp {} không thuộc hồ sơ", shown(file)),
                format!("file {} does not belong to the case", shown(file)),
            ),
            Self::BundleUnreadable { reason } => Words::new(
                format!(
                    "Không đọc được hồ sơ: {}; tệp bị cắt cụt hoặc không phải hồ sơ, hãy lấy lại từ nơi đã nhận",
                    shown(reason)
                ),
                format!(
                    "the bundle cannot be read: {}; it is cut off or no case, fetch it again where it came from",
                    shown(reason)
                ),
            ),
            Self::Gap { after, found } => Words::new(
                format!("Thiếu vụ việc giữa số {after} và số {found} của camera"),
                format!(
                    "cases of the camera between number {after} and number {found} are missing"
                ),
            ),
            Self::Swapped { after, found } => Words::new(
                format!("Vụ việc số {found} đứng sau số {after}: sai thứ tự"),
                format!("case number {found} stands after number {after}: the order was changed"),
            ),
            Self::Replayed { number } => Words::new(
                format!("Vụ việc số {number} xuất hiện hai lần"),
                format!("case number {number} is there twice"),
            ),
            Self::Forked { number } => Words::new(
                format!(
                    "Hai vụ việc khác nhau cùng mang số {number}: ổ đĩa của thiết bị đã bị sao lại, hoặc khóa bị lộ"
                ),
                format!(
                    "two different cases have the number {number}: the box's disk was restored from a copy, or its key is in other hands"
                ),
            ),
            Self::NotTheNext { number } => Words::new(
                format!(
                    "Vụ việc số {number} không nối tiếp vụ việc trước nó: một trong hai đã bị thay"
                ),
                format!(
                    "case number {number} does not follow the one before it: one of the two was exchanged"
                ),
            ),
            Self::AnotherCamera { expected, found } => Words::new(
                format!(
                    "Vụ việc của camera {}, không phải {}",
                    shown(found),
                    shown(expected)
                ),
                format!(
                    "the case is of camera {}, not of {}",
                    shown(found),
                    shown(expected)
                ),
            ),
            Self::BadLink { number } => Words::new(
                format!("Trường /chain của vụ việc số {number} tự mâu thuẫn"),
                format!("field /chain of case number {number} contradicts itself"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_paint_on_the_terminal() {
        let fault = Fault::Extra {
            file: "\u{1b}[2J\u{202e}gpj.ảnh".to_owned(),
        };
        assert_eq!(
            fault.words().en,
            "file \\u{1b}[2J\\u{202e}gpj.ảnh does not belong to the case"
        );
    }
}
