//! From planes to pixels, and pixels to a JPEG that others can read.

use edge_stills::{
    BACKDROP, Emphasis, MAX_SIDE, Overlay, OverlayBox, Picture, StillError, YuvPlanes,
};
use opencv::core::Vector;
use opencv::imgcodecs;
use opencv::prelude::{MatTraitConst, MatTraitConstManual};

/// One colour as (Y, U, V), padded with rubbish that must not show.
struct Frame {
    width: u32,
    height: u32,
    pad: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Frame {
    fn flat(width: u32, height: u32, pad: usize, yuv: [u8; 3]) -> Self {
        let plane = |width: usize, height: usize, value: u8| {
            let mut rows = Vec::new();
            for _ in 0..height {
                rows.extend(vec![value; width]);
                rows.extend(vec![77; pad]);
            }
            // Decoders often end the last row without padding.
            rows.truncate(rows.len() - pad);
            rows
        };
        let (w, h) = (width as usize, height as usize);
        Self {
            width,
            height,
            pad,
            y: plane(w, h, yuv[0]),
            u: plane(w.div_ceil(2), h.div_ceil(2), yuv[1]),
            v: plane(w.div_ceil(2), h.div_ceil(2), yuv[2]),
        }
    }

    /// Anything, so long as no two rows and no two planes are alike.
    fn varied(width: u32, height: u32, pad: usize) -> Self {
        let mut frame = Self::flat(width, height, pad, [0; 3]);
        let all = [&mut frame.y, &mut frame.u, &mut frame.v];
        for (seed, plane) in all.into_iter().enumerate() {
            for (at, sample) in plane.iter_mut().enumerate() {
                *sample =
                    u8::try_from((at * at * 7 + at * 31 + seed * 83) % 251).unwrap_or_default();
            }
        }
        frame
    }

    /// U and V by turns, in one plane.
    fn chroma_by_turns(&self) -> Vec<u8> {
        let pairs = self.u.iter().zip(&self.v);
        pairs.flat_map(|(u, v)| [*u, *v]).collect()
    }

    fn planes(&self, bt709: bool, full_range: bool) -> YuvPlanes<'_> {
        let half = self.width.div_ceil(2) as usize + self.pad;
        YuvPlanes {
            width: self.width,
            height: self.height,
            y: &self.y,
            y_stride: self.width as usize + self.pad,
            u: &self.u,
            u_stride: half,
            v: &self.v,
            v_stride: half,
            chroma_step: 1,
            bt709,
            full_range,
        }
    }
}

/// The same picture with its chroma in one plane, `uv`.
fn by_turns<'a>(planar: &YuvPlanes<'a>, uv: &'a [u8]) -> YuvPlanes<'a> {
    YuvPlanes {
        u: uv,
        u_stride: 2 * planar.u_stride,
        v: &uv[1..],
        v_stride: 2 * planar.v_stride,
        chroma_step: 2,
        ..*planar
    }
}

fn near(pixel: &[u8], expected: [u8; 3], within: u8) -> bool {
    pixel
        .iter()
        .zip(expected)
        .all(|(a, b)| a.abs_diff(b) <= within)
}

#[test]
fn every_matrix_and_range_gives_the_colour_that_was_filmed() {
    // Red, green, blue and white as each standard encodes them.
    let red = [0, 0, 255];
    let (green, blue, white) = ([0, 255, 0], [255, 0, 0], [255, 255, 255]);
    let cases = [
        (false, false, [81, 90, 240], red),
        (false, false, [145, 54, 34], green),
        (false, false, [41, 240, 110], blue),
        (true, false, [63, 102, 240], red),
        (true, false, [173, 42, 26], green),
        (true, false, [32, 240, 118], blue),
        (false, true, [76, 85, 255], red),
        (true, true, [54, 99, 255], red),
        (true, false, [235, 128, 128], white),
        (false, true, [255, 128, 128], white),
        (true, false, [16, 128, 128], [0, 0, 0]),
        // Below black and above white: not wrapped round.
        (true, false, [0, 128, 128], [0, 0, 0]),
        (true, false, [255, 128, 128], white),
    ];
    for (bt709, full_range, yuv, bgr) in cases {
        for (width, height, pad) in [
            (16, 8, 0),
            (15, 7, 0),
            (33, 9, 31),
            (1, 1, 5),
            (2, 1, 0),
            (1, 3, 0),
        ] {
            let frame = Frame::flat(width, height, pad, yuv);
            let picture = Picture::from_yuv(&frame.planes(bt709, full_range)).unwrap();
            assert_eq!((picture.width(), picture.height()), (width, height));
            assert_eq!(picture.bgr().len(), (width * height * 3) as usize);
            for pixel in picture.bgr().chunks_exact(3) {
                assert!(
                    near(pixel, bgr, 3),
                    "{yuv:?} bt709 {bt709} full {full_range} {width}x{height}: {pixel:?}, not {bgr:?}"
                );
            }
        }
    }
}

#[test]
fn rows_and_columns_stay_where_they_are() {
    let mut frame = Frame::flat(7, 5, 3, [16, 128, 128]);
    frame.y[3 * 10 + 2] = 235;
    let picture = Picture::from_yuv(&frame.planes(false, false)).unwrap();
    let bright: Vec<usize> = picture
        .bgr()
        .chunks_exact(3)
        .enumerate()
        .filter_map(|(at, pixel)| (pixel[0] > 128).then_some(at))
        .collect();
    assert_eq!(bright, [3 * 7 + 2]);
}

#[test]
fn a_part_is_converted_as_it_is_in_the_whole() {
    for (width, height, pad) in [(64, 36, 0), (101, 67, 11), (33, 9, 4), (1, 1, 0), (2, 3, 1)] {
        let frame = Frame::varied(width, height, pad);
        let uv = frame.chroma_by_turns();
        let planar = frame.planes(true, false);
        let by_turns = by_turns(&planar, &uv);
        for planes in [planar, by_turns] {
            let whole = Picture::from_yuv(&planes).unwrap();
            for [left, top, right, bottom] in [
                [0.0, 0.0, 1.0, 1.0],
                [0.3, 0.2, 0.6, 0.9],
                [0.31, 0.47, 0.33, 0.5],
                [0.9, 0.95, 1.7, 2.0],
                [-1.0, -1.0, 0.11, 0.14],
                [0.5, 0.5, 0.2, 0.2],
                [f64::NAN, 0.0, 1.0, f64::NAN],
            ] {
                let part = Picture::part_of_yuv(&planes, left, top, right, bottom).unwrap();
                let cut = whole.part(left, top, right, bottom).unwrap();
                assert_eq!(part, cut, "{width}x{height}, {left} {top} {right} {bottom}");
            }
        }
    }
}

#[test]
fn chroma_that_lies_by_turns_gives_the_same_still() {
    for (width, height, pad) in [(64, 36, 0), (101, 67, 11), (33, 9, 4), (1, 1, 0), (2, 3, 1)] {
        let frame = Frame::varied(width, height, pad);
        let uv = frame.chroma_by_turns();
        let planar = frame.planes(true, false);
        let by_turns = by_turns(&planar, &uv);
        let stills = [planar, by_turns].map(|planes| {
            let mut picture = Picture::from_yuv(&planes).unwrap();
            let clean = picture.bgr().to_vec();
            let overlay = Overlay {
                boxes: vec![OverlayBox {
                    bounds: [0.2, 0.2, 0.5, 0.5].into(),
                    label: "xe máy".into(),
                    emphasis: Emphasis::Accused,
                }],
                ..Overlay::default()
            };
            picture.draw(&overlay).unwrap();
            (clean, picture.jpeg(90).unwrap())
        });
        assert!(stills[0] == stills[1], "{width}×{height} + {pad}");
        let short = YuvPlanes {
            v: &uv[1..uv.len() - 1],
            ..by_turns
        };
        let refused = Picture::from_yuv(&short).unwrap_err();
        assert!(
            matches!(refused, StillError::PlaneTooShort { plane: 'V', .. }),
            "{refused}"
        );
    }
}

#[test]
fn planes_that_do_not_hold_the_picture_are_refused() {
    let frame = Frame::flat(16, 8, 0, [81, 90, 240]);
    let short = YuvPlanes {
        v: &frame.v[..31],
        ..frame.planes(false, false)
    };
    let refused = Picture::from_yuv(&short).unwrap_err();
    assert!(
        matches!(
            refused,
            StillError::PlaneTooShort {
                plane: 'V',
                needs: 32,
                has: 31
            }
        ),
        "{refused}"
    );
    let narrow = YuvPlanes {
        y_stride: 15,
        ..frame.planes(false, false)
    };
    let refused = Picture::from_yuv(&narrow).unwrap_err();
    assert!(
        matches!(refused, StillError::Stride { plane: 'Y', .. }),
        "{refused}"
    );
    let wild = YuvPlanes {
        u_stride: usize::MAX,
        ..frame.planes(false, false)
    };
    let refused = Picture::from_yuv(&wild).unwrap_err();
    assert!(
        matches!(refused, StillError::PlaneTooShort { plane: 'U', .. }),
        "{refused}"
    );
    for (width, height) in [
        (0, 8),
        (16, 0),
        (MAX_SIDE + 1, 1),
        (MAX_SIDE, MAX_SIDE),
        (u32::MAX, u32::MAX),
    ] {
        let planes = YuvPlanes {
            width,
            height,
            ..frame.planes(false, false)
        };
        for refused in [
            Picture::from_yuv(&planes).unwrap_err(),
            Picture::blank(width, height, BACKDROP).unwrap_err(),
        ] {
            assert!(matches!(refused, StillError::Size { .. }), "{refused}");
        }
    }
}

#[test]
fn a_jpeg_reads_back_with_its_size_and_colours() {
    let frame = Frame::flat(101, 67, 11, [63, 102, 240]);
    for picture in [
        Picture::from_yuv(&frame.planes(true, false)).unwrap(),
        Picture::blank(101, 67, BACKDROP).unwrap(),
        Picture::blank(1, 1, [9, 200, 90]).unwrap(),
    ] {
        let mut sizes = Vec::new();
        for quality in [0, 60, 85, 100, 255] {
            let bytes = picture.jpeg(quality).unwrap();
            sizes.push(bytes.len());
            if quality < 60 {
                continue;
            }
            let read =
                imgcodecs::imdecode(&Vector::from_slice(&bytes), imgcodecs::IMREAD_COLOR).unwrap();
            assert_eq!(
                (read.cols(), read.rows()),
                (
                    i32::try_from(picture.width()).unwrap(),
                    i32::try_from(picture.height()).unwrap()
                )
            );
            let colour = [picture.bgr()[0], picture.bgr()[1], picture.bgr()[2]];
            for pixel in read.data_bytes().unwrap().chunks_exact(3) {
                assert!(near(pixel, colour, 6), "{pixel:?} is not {colour:?}");
            }
        }
        // 255 is 100.
        assert_eq!(sizes[3], sizes[4]);
    }
}

#[test]
fn a_picture_of_another_size_shows_the_same() {
    let mut frame = Frame::flat(64, 32, 0, [16, 128, 128]);
    for row in frame.y.chunks_exact_mut(64) {
        row[32..].fill(235);
    }
    let picture = Picture::from_yuv(&frame.planes(false, false)).unwrap();
    for (width, height) in [(32, 16), (128, 96), (63, 31)] {
        let other = picture.clone().resized(width, height).unwrap();
        assert_eq!((other.width(), other.height()), (width, height));
        let across = width as usize * 3;
        assert_eq!(other.bgr().len(), across * height as usize);
        for row in other.bgr().chunks_exact(across) {
            let (dark, bright) = row.split_at(width as usize / 2 * 3);
            assert!(dark.iter().all(|value| *value < 10), "{width}");
            assert!(bright[3..].iter().all(|value| *value > 240), "{width}");
        }
    }
    assert_eq!(picture.clone().resized(64, 32).unwrap(), picture);
}
