//! Encoded pictures into a fragmented MP4 (ISO/IEC 14496-12), one fragment per
//! group of pictures, without touching a bit of them.
//!
//! Every NAL unit goes in as it came, parameter sets and SEI too, with its
//! length before it in place of the start code (14496-15, `avc3` and `hev1`:
//! parameter sets may be among the pictures). JPEGs go in whole.
//! Times are the camera's RTP clock, 90 kHz. RTP does not say in which order
//! pictures are decoded other than by sending them so; the n-th decoding time
//! is the n-th earliest of the times of showing, and a signed offset leads from
//! one to the other. Each fragment tells in a `prft` box which UTC its first
//! picture has.

use std::sync::Arc;

use super::parameters::Format;
use super::unit::{AccessUnit, Codec, nal_units};

/// Media type of what [`write()`] gives.
pub const MEDIA_TYPE: &str = "video/mp4";

/// No clip can be made of these pictures.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mp4Error {
    /// There are none.
    #[error("no pictures for a clip")]
    Empty,
    /// The first cannot be decoded by itself.
    #[error("the first picture of a clip is no key picture")]
    NoKey,
    /// They are not one unbroken run.
    #[error("pictures of two connections, or of two formats, in one clip")]
    Broken,
    /// A box would be longer than its length can say.
    #[error("a clip of more than 4 GiB; make it shorter")]
    TooLong,
}

/// Ticks per second, as most cameras' RTP has.
const TIMESCALE: u32 = 90_000;
/// A single picture is shown so long, and the last of a clip that has no other.
const ONE_PICTURE: u64 = TIMESCALE as u64 / 25;
/// From 1904, where MP4 counts from, to 1970, s.
const MP4_EPOCH: u64 = 2_082_844_800;
/// From 1900, where NTP counts from, to 1970, s.
const NTP_EPOCH: u64 = 2_208_988_800;

/// One picture in its place.
struct Sample<'a> {
    unit: &'a AccessUnit,
    decode: u64,
    duration: u64,
    /// From decoding to showing; signed.
    offset: i64,
}

/// The clip of these pictures, which are one run from a key picture on.
pub fn write(units: &[AccessUnit]) -> Result<Vec<u8>, Mp4Error> {
    let first = units.first().ok_or(Mp4Error::Empty)?;
    if !first.is_key {
        return Err(Mp4Error::NoKey);
    }
    if units.iter().any(|unit| unit.run != first.run) {
        return Err(Mp4Error::Broken);
    }
    let samples = timed(units);
    let length: u64 = samples.iter().map(|sample| sample.duration).sum();
    let mut out =
        Vec::with_capacity(units.iter().map(|u| u.bytes.len() + 64).sum::<usize>() + 2048);
    boxed(&mut out, *b"ftyp", |b| {
        b.extend_from_slice(b"iso6");
        b.extend_from_slice(&0_u32.to_be_bytes());
        b.extend_from_slice(b"iso6mp41");
    })?;
    let created = seconds_of(first).saturating_add(MP4_EPOCH);
    moov(&mut out, &first.format, length, created)?;
    let mut rest = &samples[..];
    let mut sequence = 1;
    while let [begin, after @ ..] = rest {
        let group = 1 + after
            .iter()
            .take_while(|sample| !sample.unit.is_key)
            .count();
        prft(&mut out, begin)?;
        fragment(&mut out, sequence, &rest[..group])?;
        rest = &rest[group..];
        sequence += 1;
    }
    Ok(out)
}

/// When each is decoded and shown, from the earliest shown on.
fn timed(units: &[AccessUnit]) -> Vec<Sample<'_>> {
    let earliest = units.iter().map(|unit| unit.media).min().unwrap_or(0);
    let shown: Vec<u64> = units
        .iter()
        .map(|unit| ticks(unit.media.abs_diff(earliest)))
        .collect();
    let mut decoded = shown.clone();
    decoded.sort_unstable();
    // No two at once, however odd the camera's clock.
    for at in 1..decoded.len() {
        decoded[at] = decoded[at].max(decoded[at - 1] + 1);
    }
    let usual = {
        let mut steps: Vec<u64> = decoded.windows(2).map(|pair| pair[1] - pair[0]).collect();
        steps.sort_unstable();
        steps.get(steps.len() / 2).copied().unwrap_or(ONE_PICTURE)
    };
    units
        .iter()
        .enumerate()
        .map(|(n, unit)| Sample {
            unit,
            decode: decoded[n],
            duration: decoded.get(n + 1).map_or(usual, |next| next - decoded[n]),
            offset: shown[n].cast_signed() - decoded[n].cast_signed(),
        })
        .collect()
}

fn ticks(micros: u64) -> u64 {
    // Rounded, so that what was 90 kHz comes out as it was.
    (micros.saturating_mul(9) + 50) / 100
}

fn seconds_of(unit: &AccessUnit) -> u64 {
    u64::try_from(unit.time.as_micros() / 1_000_000).unwrap_or(0)
}

/// A box: its length, its name, and what `fill` writes.
fn boxed(
    out: &mut Vec<u8>,
    name: [u8; 4],
    fill: impl FnOnce(&mut Vec<u8>),
) -> Result<(), Mp4Error> {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&name);
    fill(out);
    let length = u32::try_from(out.len() - at).map_err(|_| Mp4Error::TooLong)?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// A box that holds boxes.
fn nest(
    out: &mut Vec<u8>,
    name: [u8; 4],
    fill: impl FnOnce(&mut Vec<u8>) -> Result<(), Mp4Error>,
) -> Result<(), Mp4Error> {
    let mut result = Ok(());
    boxed(out, name, |out| result = fill(out))?;
    result
}

/// The fields of a box one after the other, big-endian.
macro_rules! put {
    ($out:expr, $($value:expr),+ $(,)?) => {{
        $($out.extend_from_slice(&$value.to_be_bytes());)+
    }};
}

/// A picture is shown as it is: no turn, no mirror.
fn unity(out: &mut Vec<u8>) {
    put!(
        out,
        0x1_0000_u32,
        0_u32,
        0_u32,
        0_u32,
        0x1_0000_u32,
        0_u32,
        0_u32,
        0_u32,
        0x4000_0000_u32
    );
}

fn moov(
    out: &mut Vec<u8>,
    format: &Arc<Format>,
    length: u64,
    created: u64,
) -> Result<(), Mp4Error> {
    let (width, height) = (format.width, format.height);
    nest(out, *b"moov", |out| {
        boxed(out, *b"mvhd", |b| {
            put!(b, 0x0100_0000_u32, created, created, TIMESCALE, length);
            put!(b, 0x1_0000_u32, 0x100_u16, 0_u16, 0_u64);
            unity(b);
            put!(b, 0_u64, 0_u64, 0_u64, 2_u32);
        })?;
        nest(out, *b"trak", |out| {
            boxed(out, *b"tkhd", |b| {
                put!(b, 0x0100_0003_u32, created, created, 1_u32, 0_u32, length);
                put!(b, 0_u64, 0_u64);
                unity(b);
                put!(b, width << 16, height << 16);
            })?;
            nest(out, *b"mdia", |out| {
                boxed(out, *b"mdhd", |b| {
                    put!(b, 0x0100_0000_u32, created, created, TIMESCALE, length);
                    // "und", as ISO 639-2 packs it.
                    put!(b, 0x55c4_u16, 0_u16);
                })?;
                boxed(out, *b"hdlr", |b| {
                    put!(b, 0_u32, 0_u32);
                    b.extend_from_slice(b"vide");
                    b.extend_from_slice(&[0; 12]);
                    b.extend_from_slice(b"video\0");
                })?;
                nest(out, *b"minf", |out| {
                    boxed(out, *b"vmhd", |b| put!(b, 1_u32, 0_u64))?;
                    nest(out, *b"dinf", |out| {
                        nest(out, *b"dref", |out| {
                            put!(out, 0_u32, 1_u32);
                            boxed(out, *b"url ", |b| put!(b, 1_u32))
                        })
                    })?;
                    nest(out, *b"stbl", |out| {
                        nest(out, *b"stsd", |out| {
                            put!(out, 0_u32, 1_u32);
                            sample_entry(out, format)
                        })?;
                        // The samples are in the fragments.
                        for (name, empty) in
                            [(b"stts", 2_usize), (b"stsc", 2), (b"stsz", 3), (b"stco", 2)]
                        {
                            boxed(out, *name, |b| b.resize(b.len() + 4 * empty, 0))?;
                        }
                        Ok(())
                    })
                })
            })
        })?;
        nest(out, *b"mvex", |out| {
            boxed(out, *b"mehd", |b| put!(b, 0x0100_0000_u32, length))?;
            boxed(out, *b"trex", |b| {
                put!(b, 0_u32, 1_u32, 1_u32, 0_u64, 0_u32);
            })
        })
    })
}

fn sample_entry(out: &mut Vec<u8>, format: &Format) -> Result<(), Mp4Error> {
    let name = match format.codec {
        Codec::H264 => *b"avc3",
        Codec::H265 => *b"hev1",
        Codec::Mjpeg => *b"mp4v",
    };
    let side = |pixels: u32| u16::try_from(pixels).unwrap_or(u16::MAX);
    nest(out, name, |out| {
        out.extend_from_slice(&[0; 6]);
        put!(out, 1_u16, 0_u32, 0_u64, 0_u32);
        put!(out, side(format.width), side(format.height));
        put!(out, 0x48_0000_u32, 0x48_0000_u32, 0_u32, 1_u16);
        out.extend_from_slice(&[0; 32]);
        put!(out, 24_u16, -1_i16);
        match format.codec {
            Codec::H264 => boxed(out, *b"avcC", |b| avc_record(b, format)),
            Codec::H265 => boxed(out, *b"hvcC", |b| hevc_record(b, format)),
            Codec::Mjpeg => boxed(out, *b"esds", |b| {
                // Object type 0x6C: ISO/IEC 10918-1 (mp4ra.org).
                put!(b, 0_u32);
                b.extend_from_slice(&[0x03, 21, 0, 1, 0, 0x04, 13, 0x6c, 0x11, 0, 0, 0]);
                put!(b, 0_u32, 0_u32);
                b.extend_from_slice(&[0x06, 1, 0x02]);
            }),
        }
    })
}

fn sets(out: &mut Vec<u8>, sets: &[Vec<u8>]) {
    for set in sets {
        put!(out, u16::try_from(set.len()).unwrap_or(u16::MAX));
        out.extend_from_slice(&set[..set.len().min(usize::from(u16::MAX))]);
    }
}

fn few(count: usize) -> u8 {
    u8::try_from(count).unwrap_or(u8::MAX)
}

/// `AVCDecoderConfigurationRecord` (14496-15 § 5.3.3.1).
fn avc_record(out: &mut Vec<u8>, format: &Format) {
    let sps = format.sps.first().map_or(&[][..], |sps| &sps[..]);
    let byte = |at: usize| sps.get(at).copied().unwrap_or(0);
    out.extend_from_slice(&[1, byte(1), byte(2), byte(3), 0xff]);
    out.push(0xe0 | few(format.sps.len()));
    sets(out, &format.sps);
    out.push(few(format.pps.len()));
    sets(out, &format.pps);
    if [100, 110, 122, 144].contains(&byte(1)) {
        let depth = |bits: u32| few(bits.saturating_sub(8) as usize) & 7;
        out.extend_from_slice(&[
            0xfc | few(format.chroma as usize) & 3,
            0xf8 | depth(format.luma_bits),
            0xf8 | depth(format.chroma_bits),
            0,
        ]);
    }
}

/// `HEVCDecoderConfigurationRecord` (14496-15 § 8.3.3.1).
fn hevc_record(out: &mut Vec<u8>, format: &Format) {
    let mut plain = super::bits::Bits::of_nal(format.sps.first().map_or(&[], |sps| &sps[..]), 2);
    let mut byte = || few(plain.bits(8).unwrap_or(0) as usize);
    let layers = byte() >> 1 & 7;
    out.push(1);
    // Profile, tier, compatibility, constraints, level: as in the parameter set.
    out.extend((0..12).map(|_| byte()));
    let depth = |bits: u32| few(bits.saturating_sub(8) as usize) & 7;
    out.extend_from_slice(&[0xf0, 0, 0xfc, 0xfc | few(format.chroma as usize) & 3]);
    out.extend_from_slice(&[
        0xf8 | depth(format.luma_bits),
        0xf8 | depth(format.chroma_bits),
    ]);
    out.extend_from_slice(&[0, 0, (layers + 1) << 3 | 3, 3]);
    for (kind, list) in [(32, &format.vps), (33, &format.sps), (34, &format.pps)] {
        out.push(kind);
        put!(out, u16::from(few(list.len())));
        sets(out, list);
    }
}

/// Which UTC the fragment's first picture has (14496-12 § 8.16.5).
fn prft(out: &mut Vec<u8>, first: &Sample<'_>) -> Result<(), Mp4Error> {
    let micros = u64::try_from(first.unit.time.as_micros()).unwrap_or(0);
    let seconds = micros / 1_000_000 + NTP_EPOCH;
    let fraction = ((micros % 1_000_000) << 32) / 1_000_000;
    // 24: the time is when the picture was captured.
    boxed(out, *b"prft", |b| {
        put!(b, 0x0100_0018_u32, 1_u32, seconds << 32 | fraction);
        put!(b, first.decode.saturating_add_signed(first.offset));
    })
}

fn fragment(out: &mut Vec<u8>, sequence: u32, samples: &[Sample<'_>]) -> Result<(), Mp4Error> {
    let moof = out.len();
    let mut offset_at = 0;
    nest(out, *b"moof", |out| {
        boxed(out, *b"mfhd", |b| put!(b, 0_u32, sequence))?;
        nest(out, *b"traf", |out| {
            // 0x02_0000: offsets count from this moof.
            boxed(out, *b"tfhd", |b| put!(b, 0x02_0000_u32, 1_u32))?;
            let begin = samples.first().map_or(0, |sample| sample.decode);
            boxed(out, *b"tfdt", |b| put!(b, 0x0100_0000_u32, begin))?;
            boxed(out, *b"trun", |b| {
                let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
                put!(b, 0x0100_0f01_u32, count);
                offset_at = b.len();
                put!(b, 0_u32);
                for sample in samples {
                    // Depends on others, or on none (14496-12 § 8.8.3.1).
                    let flags: u32 = if sample.unit.is_key {
                        0x0200_0000
                    } else {
                        0x0101_0000
                    };
                    let short = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
                    put!(b, short(sample.duration), short(size(sample.unit)), flags);
                    put!(b, i32::try_from(sample.offset).unwrap_or(i32::MAX));
                }
            })
        })
    })?;
    let data = u32::try_from(out.len() - moof + 8).map_err(|_| Mp4Error::TooLong)?;
    out[offset_at..offset_at + 4].copy_from_slice(&data.to_be_bytes());
    boxed(out, *b"mdat", |b| {
        for sample in samples {
            if sample.unit.format.codec == Codec::Mjpeg {
                b.extend_from_slice(&sample.unit.bytes);
                continue;
            }
            for unit in nal_units(&sample.unit.bytes) {
                put!(b, u32::try_from(unit.len()).unwrap_or(u32::MAX));
                b.extend_from_slice(unit);
            }
        }
    })
}

/// Bytes of a picture in the file.
fn size(unit: &AccessUnit) -> u64 {
    if unit.format.codec == Codec::Mjpeg {
        return unit.bytes.len() as u64;
    }
    nal_units(&unit.bytes).map(|nal| nal.len() as u64 + 4).sum()
}
