//! A few pictures that are known to the last block, encoded, to prove decoders by.
//!
//! Blocks of 16 × 16 pixels, each of one colour, move one block to the left with
//! each picture: key picture, then pictures that refer to the ones before. What
//! must come out is a formula, not a file. 256 × 144, because hardware refuses
//! smaller ones (NVDEC takes no H.265 below 144).

use gstreamer_video::{VideoFrame, VideoFrameExt, video_frame::Readable};
use models::PlaneView;

use crate::frame::chroma;

pub(super) const WIDTH: usize = 256;
pub(super) const HEIGHT: usize = 144;
/// Pictures in each sample of a video codec.
pub(super) const PICTURES: usize = 4;
const BLOCK: usize = 16;
/// Encoding and, for JPEG, arithmetic that each decoder does its own way. Wrong
/// pictures are off by tens.
const TOLERANCE: u8 = 6;

/// An encoded sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// What the file begins with, as caps of GStreamer.
    pub(super) caps: &'static str,
    /// What stands before a decoder.
    pub(super) parser: &'static str,
    pub(super) bytes: &'static [u8],
    pub(super) pictures: usize,
}

/// The sample of a codec by the name of its caps; none where we have none.
pub(super) fn of(codec: &str) -> Option<Sample> {
    match codec {
        "video/x-h264" => Some(Sample {
            caps: "video/x-h264,stream-format=byte-stream,framerate=25/1",
            parser: "h264parse",
            bytes: include_bytes!("sample.h264"),
            pictures: PICTURES,
        }),
        "video/x-h265" => Some(Sample {
            caps: "video/x-h265,stream-format=byte-stream,framerate=25/1",
            parser: "h265parse",
            bytes: include_bytes!("sample.h265"),
            pictures: PICTURES,
        }),
        "image/jpeg" => Some(Sample {
            caps: "image/jpeg,framerate=25/1",
            parser: "jpegparse",
            bytes: include_bytes!("sample.jpg"),
            pictures: 1,
        }),
        _ => None,
    }
}

/// Level of plane 0 (Y), 1 (U) or 2 (V) in a block of picture `n`.
pub(super) fn level(plane: usize, n: usize, column: usize, row: usize) -> u8 {
    let column = column + n;
    let (of, step, from) = match plane {
        0 => ((column * 4 + row * 7) % 9, 18, 48),
        1 => ((column * 5 + row * 3) % 7, 14, 86),
        _ => ((column * 2 + row * 5) % 5, 18, 92),
    };
    u8::try_from(from + of * step).unwrap_or(u8::MAX)
}

/// Whether picture `n` is the one that was encoded.
pub(super) fn is_right(n: usize, picture: &VideoFrame<Readable>) -> bool {
    if (picture.width() as usize, picture.height() as usize) != (WIDTH, HEIGHT) {
        return false;
    }
    (0..3).all(|plane| {
        let scale = if plane == 0 { 1 } else { 2 };
        let block = BLOCK / scale;
        let Some(PlaneView {
            bytes,
            stride,
            step,
        }) = plane_of(picture, plane)
        else {
            return false;
        };
        let rows = bytes.chunks(stride.max(1)).take(HEIGHT / scale).enumerate();
        let mut read = 0;
        let all_right = rows.flat_map(|(y, row)| {
            let pixels = row.iter().step_by(step).take(WIDTH / scale).enumerate();
            pixels.map(move |(x, found)| (x, y, *found))
        });
        let all_right = all_right.inspect(|_| read += 1).all(|(x, y, found)| {
            found.abs_diff(level(plane, n, x / block, y / block)) <= TOLERANCE
        });
        all_right && read == WIDTH * HEIGHT / (scale * scale)
    })
}

/// Plane 0 (Y), 1 (U) or 2 (V).
fn plane_of(picture: &VideoFrame<Readable>, plane: usize) -> Option<PlaneView<'_>> {
    match plane {
        0 => Some(PlaneView {
            bytes: picture.plane_data(0).ok()?,
            stride: usize::try_from(*picture.plane_stride().first()?).ok()?,
            step: 1,
        }),
        _ => Some(chroma(picture)?[plane - 1]),
    }
}

#[cfg(test)]
mod tests {
    use gstreamer as gst;
    use gstreamer::prelude::*;
    use gstreamer_app as gst_app;

    use super::*;

    /// The sample's pictures before they are encoded.
    fn picture(n: usize) -> gst::Buffer {
        let mut bytes = Vec::new();
        for plane in 0..3 {
            let scale = if plane == 0 { 1 } else { 2 };
            for y in 0..HEIGHT / scale {
                let block = BLOCK / scale;
                bytes.extend((0..WIDTH / scale).map(|x| level(plane, n, x / block, y / block)));
            }
        }
        let mut buffer = gst::Buffer::from_mut_slice(bytes);
        let at = gst::ClockTime::from_mseconds(40 * n as u64);
        buffer.get_mut().unwrap().set_pts(at);
        buffer
    }

    /// Encodes the sample; what encoders write about themselves is left out.
    fn encode(encoder: &str, pictures: usize) -> Vec<u8> {
        let pipeline = gst::parse::launch(&format!(
            "appsrc name=source format=time caps=video/x-raw,format=I420,width={WIDTH},\
             height={HEIGHT},framerate=25/1 ! {encoder} ! appsink name=sink sync=false"
        ))
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
        let source = pipeline.by_name("source").unwrap();
        let source = source.downcast::<gst_app::AppSrc>().unwrap();
        let sink = pipeline.by_name("sink").unwrap();
        let sink = sink.downcast::<gst_app::AppSink>().unwrap();
        pipeline.set_state(gst::State::Playing).unwrap();
        for n in 0..pictures {
            source.push_buffer(picture(n)).unwrap();
        }
        source.end_of_stream().unwrap();
        let mut bytes = Vec::new();
        while let Ok(sample) = sink.pull_sample() {
            bytes.extend_from_slice(&sample.buffer().unwrap().map_readable().unwrap());
        }
        pipeline.set_state(gst::State::Null).unwrap();
        bytes
    }

    /// Units of a byte stream, with their start codes, but not those of one type.
    fn without(bytes: &[u8], is_unwanted: impl Fn(u8) -> bool) -> Vec<u8> {
        let starts: Vec<usize> = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, w)| w[..3] == [0, 0, 1])
            .map(|(at, _)| at)
            .collect();
        let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
        let mut kept = Vec::new();
        for (start, end) in starts.iter().zip(ends) {
            // A zero before the next start code belongs to that.
            let unit = &bytes[*start..end];
            let unit = match unit.strip_suffix(&[0]) {
                Some(shorter) if end != bytes.len() => shorter,
                _ => unit,
            };
            if !is_unwanted(unit[3]) {
                kept.extend_from_slice(&[0]);
                kept.extend_from_slice(unit);
            }
        }
        kept
    }

    /// The samples as they stand beside this file, made anew with `UPDATE_SAMPLES=1`.
    #[test]
    fn samples_are_there_and_small() {
        crate::init().unwrap();
        if std::env::var_os("UPDATE_SAMPLES").is_some() {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/decoder/");
            let h264 = encode(
                "x264enc pass=quant quantizer=12 bframes=0 key-int-max=99 sliced-threads=false \
                 speed-preset=slow option-string=deblock=-6,-6 ! \
                 video/x-h264,profile=high,stream-format=byte-stream",
                PICTURES,
            );
            let h264 = without(&h264, |header| [6, 9].contains(&(header & 31)));
            std::fs::write(format!("{folder}sample.h264"), h264).unwrap();
            let h265 = encode(
                "x265enc key-int-max=99 speed-preset=slow \
                 option-string=bframes=0:repeat-headers=1:qp=12:info=0:wpp=0:pools=none ! \
                 video/x-h265,stream-format=byte-stream",
                PICTURES,
            );
            let h265 = without(&h265, |header| [35, 39, 40].contains(&(header >> 1)));
            std::fs::write(format!("{folder}sample.h265"), h265).unwrap();
            std::fs::write(
                format!("{folder}sample.jpg"),
                encode("jpegenc quality=95", 1),
            )
            .unwrap();
        }
        for codec in ["video/x-h264", "video/x-h265", "image/jpeg"] {
            let length = of(codec).unwrap().bytes.len();
            assert!((100..8_000).contains(&length), "{codec}: {length}");
        }
    }
}
