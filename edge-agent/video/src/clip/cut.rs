//! Whether a file ends before its own end: cut off in copying, or by a recorder that lost its power.
//!
//! Demuxers go on with what there is, mend its index, and say nothing. The file itself tells: AVI, MP4
//! and Matroska begin with how long their outermost parts are. Transport streams and bare ones
//! announce nothing, so of them nobody can tell.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// More outermost parts than a recording of a day has.
const MOST_PARTS: usize = 1 << 20;
/// Parts with which an MP4 begins.
const MP4: [&[u8; 4]; 7] = [
    b"ftyp", b"styp", b"moov", b"mdat", b"wide", b"free", b"skip",
];
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];

/// Whether the parts of a file are longer than it is. One that cannot be read is another's to tell.
pub(super) fn is_cut(path: &Path) -> bool {
    // What is read of a pipe is gone.
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
        && File::open(path)
            .and_then(|mut file| Ok((file.metadata()?.len(), announced(&mut file)?)))
            .is_ok_and(|(length, announced)| announced.is_some_and(|end| end > length))
}

/// Where a file would end by its own word; none where it says nothing that can be understood.
fn announced(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let Some(head) = read_at(file, 0)? else {
        return Ok(None);
    };
    if head.starts_with(b"RIFF") && head[8..].starts_with(b"AVI ") {
        return parts(file, riff);
    }
    if MP4.iter().any(|kind| head[4..].starts_with(*kind)) {
        return parts(file, mp4);
    }
    if head.starts_with(&EBML) {
        return matroska(file);
    }
    Ok(None)
}

/// From one part to the next, to the end of the last.
fn parts(
    file: &mut (impl Read + Seek),
    length: fn(&[u8; 16]) -> Option<u64>,
) -> io::Result<Option<u64>> {
    let mut at = 0_u64;
    for _ in 0..MOST_PARTS {
        // At the end, beyond it, or at what is no part any more.
        let Some(next) = read_at(file, at)?.as_ref().and_then(length) else {
            return Ok((at > 0).then_some(at));
        };
        at = at.saturating_add(next);
    }
    Ok(None)
}

/// A large AVI has several of them.
fn riff(head: &[u8; 16]) -> Option<u64> {
    let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    // A recorder that lost its power has not yet written how long it is.
    head.starts_with(b"RIFF")
        .then_some(length + 8)
        .filter(|_| length > 0)
}

fn mp4(head: &[u8; 16]) -> Option<u64> {
    let [a, b, c, d, kind @ ..] = head;
    if !kind[..4].iter().all(u8::is_ascii_graphic) {
        return None;
    }
    match u32::from_be_bytes([*a, *b, *c, *d]) {
        1 => {
            let long = kind.last_chunk::<8>()?;
            Some(u64::from_be_bytes(*long)).filter(|length| *length >= 16)
        }
        // 0: to the end of the file, wherever that is.
        length => Some(u64::from(length)).filter(|length| *length >= 8),
    }
}

/// The head, and the one segment behind it.
fn matroska(file: &mut (impl Read + Seek)) -> io::Result<Option<u64>> {
    let Some((length, digits)) = number_at(file, 4)? else {
        return Ok(None);
    };
    let at = (4 + digits).saturating_add(length);
    let is_segment = read_at(file, at)?.is_some_and(|head| head.starts_with(&SEGMENT));
    if !is_segment {
        return Ok(None);
    }
    let at = at + 4;
    let segment = number_at(file, at)?;
    Ok(segment.map(|(length, digits)| (at + digits).saturating_add(length)))
}

/// A length as Matroska writes it, and in how many bytes; none where it is left open.
fn number_at(file: &mut (impl Read + Seek), at: u64) -> io::Result<Option<(u64, u64)>> {
    let Some(bytes) = read_at(file, at)? else {
        return Ok(None);
    };
    let more = bytes[0].leading_zeros();
    if more >= 8 {
        return Ok(None);
    }
    let written = u64::from_be_bytes([
        bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7],
    ]);
    let bits = 7 * (more + 1);
    let all = (1_u64 << bits) - 1;
    let value = (written >> (8 * (7 - more))) & all;
    Ok((value != all).then_some((value, u64::from(more) + 1)))
}

/// Sixteen bytes, with nothing behind the last of the file; none where there are not even eight.
fn read_at(file: &mut (impl Read + Seek), at: u64) -> io::Result<Option<[u8; 16]>> {
    file.seek(SeekFrom::Start(at))?;
    let mut found = Vec::with_capacity(16);
    file.take(16).read_to_end(&mut found)?;
    let mut bytes = [0; 16];
    bytes[..found.len()].copy_from_slice(&found);
    Ok((found.len() >= 8).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn end(bytes: &[u8]) -> Option<u64> {
        announced(&mut Cursor::new(bytes)).unwrap()
    }

    fn boxed(kind: [u8; 4], length: u32, content: usize) -> Vec<u8> {
        let head = [&length.to_be_bytes()[..], &kind].concat();
        [head, vec![0xff; content]].concat()
    }

    #[test]
    fn a_file_says_itself_where_it_ends() {
        let ftyp = boxed(*b"ftyp", 16, 8);
        let long = [&ftyp[..], &[0, 0, 0, 1], b"mdat", &[0, 0, 0, 2, 0, 0, 0, 0]].concat();
        let avi = |length: u32, more: &[u8]| {
            [&b"RIFF"[..], &length.to_le_bytes(), b"AVI LIST", more].concat()
        };
        let second = [&b"RIFF"[..], &100_u32.to_le_bytes(), b"AVIX"].concat();
        let segment =
            |length: &[u8]| [&EBML[..], &[0x82, 0, 0], &SEGMENT, length, &[0; 20]].concat();
        for (name, bytes, announced) in [
            (
                "whole",
                [&ftyp[..], &boxed(*b"mdat", 16, 8)].concat(),
                Some(32),
            ),
            (
                "cut",
                [&ftyp[..], &boxed(*b"mdat", 1000, 8)].concat(),
                Some(1016),
            ),
            (
                "some bytes more",
                [&ftyp[..], &[0, 0, 3]].concat(),
                Some(16),
            ),
            ("long", long, Some(16 + (2 << 32))),
            (
                "to the end",
                [&ftyp[..], &boxed(*b"mdat", 0, 8)].concat(),
                Some(16),
            ),
            ("filled up", [&ftyp[..], &[0; 64]].concat(), Some(16)),
            ("avi", avi(8, &[]), Some(16)),
            ("avi, cut", avi(50, &[]), Some(58)),
            ("avi, never ended", avi(0, &[1; 40]), None),
            ("avi in two parts", avi(8, &second), Some(124)),
            ("matroska", segment(&[0x01, 0, 0, 0, 0, 0, 0, 20]), Some(39)),
            ("matroska, cut", segment(&[0x50, 0]), Some(13 + 4096)),
            (
                "matroska, live",
                segment(&[0x01, 255, 255, 255, 255, 255, 255, 255]),
                None,
            ),
            ("transport stream", vec![0x47; 188], None),
            ("nothing", Vec::new(), None),
        ] {
            assert_eq!(end(&bytes), announced, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic_or_go_on_for_ever(
            begin in proptest::sample::select(vec![
                b"RIFF\x04\0\0\0AVI ".to_vec(),
                b"\0\0\0\x08ftyp".to_vec(),
                EBML.to_vec(),
            ]),
            rest in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            end(&[begin, rest].concat());
        }
    }
}
