//! The one-pass letterbox against a plain one, pixel by pixel in `f64`.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // pixels of small pictures
#![allow(clippy::similar_names)] // cb and cr are called so

use models::{
    Colour, ColourMatrix, ColourRange, Fit, I420View, Input, Layout, Letterbox, Manifest,
    PictureError,
};
use proptest::prelude::*;
use protocol::NormBox;

fn input(width: u32, height: u32, fit: Fit) -> Input {
    let yolox = include_str!("../catalog/yolox-nano/model.toml");
    let mut input = Manifest::parse(yolox).expect("a good manifest").input;
    (input.width, input.height, input.fit) = (width, height, fit);
    input
}

/// A picture that owns its planes, with strides wider than its rows.
#[derive(Clone, Debug)]
struct Picture {
    width: u32,
    height: u32,
    slack: usize,
    planes: [Vec<u8>; 3],
    matrix: ColourMatrix,
    range: ColourRange,
}

impl Picture {
    /// Of pixels that change gently (`period` pixels from dark to bright), as pictures do.
    fn new(width: u32, height: u32, slack: usize, seed: u32) -> Self {
        let plane = |width: usize, height: usize, salt: u32| {
            let mut bytes = vec![0xEE; (width + slack) * height];
            for (row, line) in bytes.chunks_exact_mut(width + slack).enumerate() {
                for (column, byte) in line[..width].iter_mut().enumerate() {
                    let wave = (column as u32 * 7 + row as u32 * 5 + seed.wrapping_mul(salt)) % 510;
                    *byte = wave.min(510 - wave) as u8;
                }
            }
            bytes
        };
        let (w, h) = (width as usize, height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        Self {
            width,
            height,
            slack,
            planes: [plane(w, h, 3), plane(cw, ch, 17), plane(cw, ch, 71)],
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Limited,
        }
    }

    fn flat(width: u32, height: u32, [y, u, v]: [u8; 3]) -> Self {
        let mut picture = Self::new(width, height, 0, 0);
        for (plane, value) in picture.planes.iter_mut().zip([y, u, v]) {
            plane.fill(value);
        }
        picture
    }

    fn view(&self) -> I420View<'_> {
        let [y, u, v] = &self.planes;
        let chroma_stride = self.width.div_ceil(2) as usize + self.slack;
        I420View {
            width: self.width,
            height: self.height,
            y,
            y_stride: self.width as usize + self.slack,
            u,
            u_stride: chroma_stride,
            v,
            v_stride: chroma_stride,
            matrix: self.matrix,
            range: self.range,
        }
    }

    /// Bilinear sample of a plane at a position in its own pixels.
    fn sample(&self, plane: usize, x: f64, y: f64) -> f64 {
        let halves = u32::from(plane > 0) + 1;
        let (width, height) = (self.width.div_ceil(halves), self.height.div_ceil(halves));
        let stride = width as usize + self.slack;
        let (x, y) = (
            x.clamp(0.0, f64::from(width - 1)),
            y.clamp(0.0, f64::from(height - 1)),
        );
        let at = |x: f64, y: f64| {
            let (x, y) = (x.min(f64::from(width - 1)), y.min(f64::from(height - 1)));
            f64::from(self.planes[plane][y as usize * stride + x as usize])
        };
        let (left, top) = (x.floor(), y.floor());
        let mix = |a: f64, b: f64, t: f64| a * (1.0 - t) + b * t;
        mix(
            mix(at(left, top), at(left + 1.0, top), x - left),
            mix(at(left, top + 1.0), at(left + 1.0, top + 1.0), x - left),
            y - top,
        )
    }

    fn rgb(&self, x: f64, y: f64) -> [f64; 3] {
        let luma = self.sample(0, x, y);
        // Chroma lies in the middle of its four pixels.
        let (half_x, half_y) = (x / 2.0 - 0.25, y / 2.0 - 0.25);
        let (cb, cr) = (
            self.sample(1, half_x, half_y) - 128.0,
            self.sample(2, half_x, half_y) - 128.0,
        );
        let (luma, chroma) = match self.range {
            ColourRange::Limited => ((luma - 16.0) * 255.0 / 219.0, 255.0 / 224.0),
            ColourRange::Full => (luma, 1.0),
        };
        // The textbook's rounded numbers, not the program's formula.
        let [red_cr, green_cb, green_cr, blue_cb] = match self.matrix {
            ColourMatrix::Bt601 => [1.402, -0.344_136, -0.714_136, 1.772],
            ColourMatrix::Bt709 => [1.5748, -0.187_324, -0.468_124, 1.8556],
        };
        [
            luma + red_cr * cr * chroma,
            luma + (green_cb * cb + green_cr * cr) * chroma,
            luma + blue_cb * cb * chroma,
        ]
        .map(|v| v.clamp(0.0, 255.0))
    }
}

/// The tensor, made the plain way. `content` is left, top, width, height in the input.
fn plain(picture: &Picture, input: &Input, content: [u32; 4]) -> Vec<f64> {
    let [left, top, width, height] = content;
    let mut tensor = vec![0.0; input.len()];
    for row in 0..input.height {
        for column in 0..input.width {
            let inside =
                (left..left + width).contains(&column) && (top..top + height).contains(&row);
            let rgb = inside.then(|| {
                let x = (f64::from(column - left) + 0.5) * f64::from(picture.width)
                    / f64::from(width)
                    - 0.5;
                let y = (f64::from(row - top) + 0.5) * f64::from(picture.height)
                    / f64::from(height)
                    - 0.5;
                picture.rgb(x, y)
            });
            for channel in 0..3 {
                let colour = if input.colour == Colour::Rgb {
                    channel
                } else {
                    2 - channel
                };
                let pixel = rgb.map_or(f64::from(input.pad[channel]), |rgb| rgb[colour]);
                let value =
                    (pixel - f64::from(input.mean[channel])) / f64::from(input.std[channel]);
                let (plane, area) = (channel, (input.width * input.height) as usize);
                let place = (row * input.width + column) as usize;
                match input.layout {
                    Layout::Nchw => tensor[plane * area + place] = value,
                    Layout::Nhwc => tensor[3 * place + plane] = value,
                }
            }
        }
    }
    tensor
}

/// Left, top, width and height of the picture in the input, asked of the letterbox itself.
fn content(letterbox: &Letterbox) -> [u32; 4] {
    let [left, top, right, bottom] = letterbox.to_input(&NormBox::from([0.0, 0.0, 1.0, 1.0]));
    [left, top, right - left, bottom - top].map(|v| v as u32)
}

fn fill(picture: &Picture, input: &Input) -> (Letterbox, Vec<f32>) {
    let mut letterbox = Letterbox::new(picture.width, picture.height, input).expect("a good size");
    // Not zeros: what is not written shows.
    let mut tensor = vec![f32::NAN; input.len()];
    letterbox
        .fill(&picture.view(), &mut tensor)
        .expect("a good picture");
    (letterbox, tensor)
}

#[test]
fn pictures_lie_where_the_networks_were_trained_to_see_them() {
    for (picture, size, fit, expected) in [
        (
            (1920, 1080),
            (416, 416),
            Fit::LetterboxTopLeft,
            [0, 0, 416, 234],
        ),
        (
            (1920, 1080),
            (416, 416),
            Fit::LetterboxCentred,
            [0, 91, 416, 234],
        ),
        (
            (768, 576),
            (416, 416),
            Fit::LetterboxTopLeft,
            [0, 0, 416, 312],
        ),
        (
            (1080, 1920),
            (640, 384),
            Fit::LetterboxCentred,
            [212, 0, 216, 384],
        ),
        ((1568, 778), (512, 512), Fit::Stretch, [0, 0, 512, 512]),
        (
            (10_000, 1),
            (416, 416),
            Fit::LetterboxTopLeft,
            [0, 0, 416, 1],
        ),
        ((1, 1), (416, 416), Fit::LetterboxTopLeft, [0, 0, 416, 416]),
    ] {
        let letterbox = Letterbox::new(picture.0, picture.1, &input(size.0, size.1, fit)).unwrap();
        assert_eq!(content(&letterbox), expected, "{picture:?} in {size:?}");
    }
}

#[test]
fn colours_of_a_flat_picture_are_those_of_the_standard() {
    // Y′CbCr of pure colours at 100 %, by BT.601 and BT.709, limited range.
    for (matrix, range, bytes, rgb) in [
        (
            ColourMatrix::Bt601,
            ColourRange::Limited,
            [16, 128, 128],
            [0.0, 0.0, 0.0],
        ),
        (
            ColourMatrix::Bt601,
            ColourRange::Limited,
            [235, 128, 128],
            [255.0, 255.0, 255.0],
        ),
        (
            ColourMatrix::Bt601,
            ColourRange::Limited,
            [81, 90, 240],
            [255.0, 0.0, 0.0],
        ),
        (
            ColourMatrix::Bt601,
            ColourRange::Limited,
            [145, 54, 34],
            [0.0, 255.0, 0.0],
        ),
        (
            ColourMatrix::Bt709,
            ColourRange::Limited,
            [63, 102, 240],
            [255.0, 0.0, 0.0],
        ),
        (
            ColourMatrix::Bt709,
            ColourRange::Limited,
            [32, 240, 118],
            [0.0, 0.0, 255.0],
        ),
        (
            ColourMatrix::Bt601,
            ColourRange::Full,
            [76, 85, 255],
            [255.0, 0.0, 0.0],
        ),
        (
            ColourMatrix::Bt601,
            ColourRange::Full,
            [200, 128, 128],
            [200.0, 200.0, 200.0],
        ),
    ] {
        let mut picture = Picture::flat(32, 32, bytes);
        (picture.matrix, picture.range) = (matrix, range);
        let mut input = input(32, 32, Fit::Stretch);
        (input.layout, input.colour) = (Layout::Nhwc, Colour::Rgb);
        let (_, tensor) = fill(&picture, &input);
        for pixel in tensor.chunks_exact(3) {
            for (found, expected) in pixel.iter().zip(rgb) {
                assert!(
                    (found - expected).abs() <= 3.0,
                    "{bytes:?} {matrix:?} {range:?}: {pixel:?}"
                );
            }
        }
    }
}

#[test]
fn a_picture_that_is_not_what_it_says_is_an_error() {
    let input = input(64, 64, Fit::LetterboxTopLeft);
    let picture = Picture::new(40, 30, 0, 1);
    let mut letterbox = Letterbox::new(40, 30, &input).unwrap();
    let mut tensor = vec![0.0; input.len()];

    let mut short = picture.view();
    short.v = &short.v[1..];
    assert!(matches!(
        letterbox.fill(&short, &mut tensor).unwrap_err(),
        PictureError::Plane { plane: 'v', .. }
    ));
    let mut narrow = picture.view();
    narrow.y_stride = 39;
    assert!(matches!(
        letterbox.fill(&narrow, &mut tensor).unwrap_err(),
        PictureError::Plane { plane: 'y', .. }
    ));
    let mut endless = picture.view();
    endless.u_stride = usize::MAX;
    assert!(matches!(
        letterbox.fill(&endless, &mut tensor).unwrap_err(),
        PictureError::Plane { plane: 'u', .. }
    ));
    let other = Picture::new(42, 30, 0, 1);
    assert!(matches!(
        letterbox.fill(&other.view(), &mut tensor).unwrap_err(),
        PictureError::Planned { width: 42, .. }
    ));
    assert!(matches!(
        letterbox
            .fill(&picture.view(), &mut tensor[1..])
            .unwrap_err(),
        PictureError::Buffer {
            found: 12_287,
            needed: 12_288
        }
    ));
    assert!(Letterbox::new(0, 30, &input).is_err());
    assert!(Letterbox::new(40, u32::MAX, &input).is_err());
}

fn fits() -> impl Strategy<Value = Fit> {
    prop::sample::select(vec![
        Fit::LetterboxTopLeft,
        Fit::LetterboxCentred,
        Fit::Stretch,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_pass_gives_what_the_plain_way_gives(
        (width, height) in (1_u32..90, 1_u32..90),
        (input_width, input_height) in (1_u32..64, 1_u32..64),
        fit in fits(),
        slack in 0_usize..5,
        seed: u32,
        flags in prop::array::uniform4(prop::bool::ANY),
    ) {
        let mut picture = Picture::new(width, height, slack, seed);
        let mut input = input(input_width, input_height, fit);
        let [nhwc, rgb, bt709, full] = flags;
        if nhwc { input.layout = Layout::Nhwc; }
        if rgb { input.colour = Colour::Rgb; }
        if bt709 { picture.matrix = ColourMatrix::Bt709; }
        if full { picture.range = ColourRange::Full; }
        (input.mean, input.std) = ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395]);
        let (letterbox, tensor) = fill(&picture, &input);
        let expected = plain(&picture, &input, content(&letterbox));
        // Two levels of 255: row weights have 8 bits, and chroma counts about double.
        for (found, expected) in tensor.iter().zip(expected) {
            prop_assert!((f64::from(*found) - expected).abs() * 57.0 <= 2.0, "{found} for {expected}");
        }
    }

    #[test]
    fn a_box_there_and_back_is_the_same_box(
        (width, height) in (1_u32..4000, 1_u32..4000),
        (input_width, input_height) in (32_u32..1280, 32_u32..1280),
        fit in fits(),
        [x, y] in prop::array::uniform2(-0.2_f64..0.9),
        [w, h] in prop::array::uniform2(0.21_f64..0.9),
    ) {
        let letterbox = Letterbox::new(width, height, &input(input_width, input_height, fit)).unwrap();
        let bounds = NormBox::from([x, y, w, h]);
        let back = letterbox.to_picture(letterbox.to_input(&bounds)).expect("it touches the picture");
        // The tensor's edges are f32 pixels; the content may be one pixel wide.
        let [left, top, right, bottom] = [back.x - x, back.y - y, back.right() - x - w, back.bottom() - y - h];
        prop_assert!([left, top, right, bottom].iter().all(|v| v.abs() < 1e-3), "{bounds:?} {back:?}");
    }

    #[test]
    fn no_edges_make_a_box_that_is_none(edges in prop::array::uniform4(prop::num::f32::ANY)) {
        let letterbox = Letterbox::new(1920, 1080, &input(416, 416, Fit::LetterboxTopLeft)).unwrap();
        if let Some(bounds) = letterbox.to_picture(edges) {
            prop_assert!(bounds.width > 0.0 && bounds.height > 0.0);
            prop_assert!(bounds.x >= -1.0 && bounds.right() <= 2.0 + 1e-9);
            prop_assert!(bounds.x < 1.0 && bounds.right() > 0.0);
        }
    }
}
