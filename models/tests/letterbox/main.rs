//! The one-pass letterbox against a plain one, pixel by pixel in `f64`.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // pixels of small pictures
#![allow(clippy::similar_names)] // cb and cr are called so

mod reference;

use models::{
    Colour, ColourMatrix, ColourRange, Crop, ElementType, Fit, Input, Layout, Letterbox, Manifest,
    Padding, PictureError, PictureView, Shrink,
};
use proptest::prelude::*;
use protocol::NormBox;

use reference::{Picture, content, plain};

fn input(width: u32, height: u32, fit: Fit) -> Input {
    let yolox = include_str!("../../catalog/yolox-nano/model.toml");
    let mut input = Manifest::parse(yolox).expect("a good manifest").input;
    (input.width, input.height, input.fit) = (width, height, fit);
    input
}

/// The whole of a picture.
fn fill(picture: &Picture, input: &Input) -> Vec<f32> {
    let mut letterbox = Letterbox::new(picture.width, picture.height, input).expect("a good size");
    fill_from(&mut letterbox, &picture.view(), input)
}

fn fill_from<'a>(
    letterbox: &mut Letterbox,
    picture: impl Into<PictureView<'a>>,
    input: &Input,
) -> Vec<f32> {
    // Not zeros: what is not written shows.
    let mut tensor = vec![f32::NAN; input.len()];
    letterbox
        .fill(picture, &mut tensor)
        .expect("a good picture");
    tensor
}

/// A tensor is filled again and again, with pictures of several shapes: each fill must leave what a
/// fill of a new tensor would.
#[test]
fn an_input_that_is_filled_again_is_as_one_that_is_filled_the_first_time() {
    for (layout, fit) in [
        (Layout::Nchw, Fit::LetterboxTopLeft),
        (Layout::Nchw, Fit::LetterboxCentred),
        (Layout::Nhwc, Fit::LetterboxCentred),
    ] {
        let mut input = input(64, 64, fit);
        input.layout = layout;
        let mut tensor = vec![f32::NAN; input.len()];
        let mut padding = Padding::default();
        for (number, (width, height)) in
            [(40, 30), (40, 30), (30, 40), (64, 64), (40, 30), (80, 60)]
                .into_iter()
                .enumerate()
        {
            let picture = Picture::new(width, height, 0, u32::try_from(number).unwrap());
            let mut letterbox = Letterbox::new(width, height, &input).unwrap();
            letterbox
                .fill_within(&picture.view(), &mut tensor, &mut padding)
                .unwrap();
            let anew = fill(&picture, &input);
            assert_eq!(tensor, anew, "{layout:?}, {fit:?}, picture {number}");
        }
    }
}

#[test]
fn what_surrounds_a_picture_is_written_once() {
    let input = input(64, 64, Fit::LetterboxTopLeft);
    let picture = Picture::new(40, 30, 0, 1);
    let mut letterbox = Letterbox::new(40, 30, &input).unwrap();
    let (mut tensor, mut padding) = (vec![f32::NAN; input.len()], Padding::default());
    for marked in [f32::NAN, -7.0] {
        // The last number lies in the padding.
        *tensor.last_mut().unwrap() = marked;
        letterbox
            .fill_within(&picture.view(), &mut tensor, &mut padding)
            .unwrap();
    }
    assert_eq!(tensor.last(), Some(&-7.0));
    // An error writes nothing, and what is known stays known.
    let known = padding;
    let other = Picture::new(42, 30, 0, 1);
    letterbox
        .fill_within(&other.view(), &mut tensor, &mut padding)
        .unwrap_err();
    assert_eq!(padding, known);
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
        let [left, top, right, bottom] = letterbox.to_input(&NormBox::from([0.0, 0.0, 1.0, 1.0]));
        let content = [left, top, right - left, bottom - top].map(|v| v as u32);
        assert_eq!(content, expected, "{picture:?} in {size:?}");
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
        let tensor = fill(&picture, &input);
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
        PictureError::Plane { plane: "v", .. }
    ));
    let mut narrow = picture.view();
    narrow.y_stride = 39;
    assert!(matches!(
        letterbox.fill(&narrow, &mut tensor).unwrap_err(),
        PictureError::Plane { plane: "y", .. }
    ));
    let mut endless = picture.view();
    endless.u_stride = usize::MAX;
    assert!(matches!(
        letterbox.fill(&endless, &mut tensor).unwrap_err(),
        PictureError::Plane { plane: "u", .. }
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
    let interleaved = picture.interleaved();
    let mut short = interleaved.view();
    short.uv = &short.uv[1..];
    assert_eq!(
        letterbox.fill(&short, &mut tensor).unwrap_err().to_string(),
        "plane uv of a 40×30 picture has 599 bytes, fewer than 600; the decoder gave a broken frame"
    );
    let mut bytes = vec![0_u8; input.len()];
    assert_eq!(
        letterbox
            .fill(&picture.view(), &mut bytes)
            .unwrap_err()
            .to_string(),
        "the input tensor is of uint8, the model takes float32; correct `input.element` in its manifest"
    );
    for (x, y, width, height) in [
        (0, 0, 0, 30),
        (0, 0, 41, 30),
        (1, 0, 40, 30),
        (0, 30, 1, 1),
        (u32::MAX, 0, 2, 2),
    ] {
        let crop = Crop {
            x,
            y,
            width,
            height,
        };
        let error = Letterbox::of_crop((40, 30), crop, &input).unwrap_err();
        assert!(matches!(error, PictureError::Crop { .. }), "{error}");
        assert!(letterbox.aim((40, 30), crop).is_err());
    }
    // What failed has changed nothing.
    assert!(letterbox.fill(&picture.view(), &mut tensor).is_ok());
    assert!(Letterbox::new(0, 30, &input).is_err());
    assert!(Letterbox::new(40, u32::MAX, &input).is_err());
}

/// A crop by four parts of 1.
fn crop_of(width: u32, height: u32, [x, y, w, h]: [f64; 4]) -> Crop {
    let span = |length: u32, at: f64, part: f64| {
        let first = (f64::from(length) * at) as u32;
        (first, 1 + (f64::from(length - first - 1) * part) as u32)
    };
    let ((x, width), (y, height)) = (span(width, x, w), span(height, y, h));
    Crop {
        x,
        y,
        width,
        height,
    }
}

/// A small picture and a part of it, half the time all of it.
fn pictures() -> impl Strategy<Value = (Picture, Crop)> {
    let parts = prop_oneof![
        Just([0.0, 0.0, 1.0, 1.0]),
        prop::array::uniform4(0.0_f64..1.0)
    ];
    let coding = (
        0_usize..5,
        prop::num::u32::ANY,
        prop::bool::ANY,
        prop::bool::ANY,
    );
    (1_u32..200, 1_u32..200, coding, parts).prop_map(|(width, height, coding, parts)| {
        let (slack, seed, bt709, full) = coding;
        let mut picture = Picture::new(width, height, slack, seed);
        if bt709 {
            picture.matrix = ColourMatrix::Bt709;
        }
        if full {
            picture.range = ColourRange::Full;
        }
        (picture, crop_of(width, height, parts))
    })
}

fn fits() -> impl Strategy<Value = Fit> {
    prop::sample::select(vec![
        Fit::LetterboxTopLeft,
        Fit::LetterboxCentred,
        Fit::Stretch,
    ])
}

#[test]
fn a_crop_around_a_box_holds_every_pixel_that_the_box_touches() {
    for (bounds, expected) in [
        ([0.0, 0.0, 1.0, 1.0], Some([0, 0, 100, 50])),
        ([0.101, 0.5, 0.1, 0.2], Some([10, 25, 11, 10])),
        ([-0.5, -0.5, 0.6, 3.0], Some([0, 0, 10, 50])),
        ([0.5, 0.5, 1e-9, 1e-9], Some([50, 25, 1, 1])),
        ([1.0, 0.0, 0.5, 1.0], None),
        ([0.5, 0.5, -0.1, 0.1], None),
        ([f64::NAN, 0.5, 0.1, 0.1], None),
        ([0.5, 0.5, f64::INFINITY, 0.1], Some([50, 25, 50, 5])),
    ] {
        let crop = Crop::around(&NormBox::from(bounds), 100, 50);
        let crop = crop.map(|c| [c.x, c.y, c.width, c.height]);
        assert_eq!(crop, expected, "{bounds:?}");
    }
}

#[test]
fn averaging_sees_what_skipping_misses() {
    // Stripes one pixel wide: the average is grey, a sample is black or white.
    let mut picture = Picture::flat(400, 400, [16, 128, 128]);
    for (at, byte) in picture.luma_mut().iter_mut().enumerate() {
        *byte = if at % 400 % 4 == 0 { 235 } else { 16 };
    }
    let mut input = input(100, 100, Fit::Stretch);
    let spread = |tensor: &[f32]| {
        tensor.iter().copied().fold(0.0, f32::max) - tensor.iter().copied().fold(255.0, f32::min)
    };
    assert_eq!(fill(&picture, &input)[0], 0.0, "the stripe is skipped");
    input.shrink = Shrink::Area;
    let tensor = fill(&picture, &input);
    assert!(
        (tensor[0] - 63.75).abs() < 1.0 && spread(&tensor) < 0.1,
        "{}",
        tensor[0]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn one_pass_gives_what_the_plain_way_gives(
        (picture, crop) in pictures(),
        (input_width, input_height) in (1_u32..64, 1_u32..64),
        fit in fits(),
        flags in prop::array::uniform4(prop::bool::ANY),
    ) {
        let mut input = input(input_width, input_height, fit);
        let [nhwc, rgb, area, again] = flags;
        if nhwc { input.layout = Layout::Nhwc; }
        if rgb { input.colour = Colour::Rgb; }
        if area { input.shrink = Shrink::Area; }
        (input.mean, input.std) = ([103.53, 116.28, 123.675], [57.375, 57.12, 58.395]);
        let size = (picture.width, picture.height);
        let mut letterbox = if again {
            // A plan that was another's before.
            let mut letterbox = Letterbox::new(31, 77, &input).unwrap();
            letterbox.aim(size, crop).unwrap();
            letterbox
        } else {
            Letterbox::of_crop(size, crop, &input).unwrap()
        };
        let tensor = fill_from(&mut letterbox, &picture.view(), &input);
        let expected = plain(&picture, crop, &input, content(&picture, &letterbox));
        // Two levels of 255: row weights have 8 bits, and chroma counts about double.
        for (found, expected) in tensor.iter().zip(&expected) {
            prop_assert!((f64::from(*found) - expected).abs() * 57.0 <= 2.0, "{found} for {expected}");
        }

        // Interleaved chroma is the same picture, bit by bit.
        let interleaved = picture.interleaved();
        prop_assert_eq!(&fill_from(&mut letterbox, &interleaved.view(), &input), &tensor);
    }

    #[test]
    fn bytes_are_the_nearest_to_the_floats(
        (picture, crop) in pictures(),
        nhwc: bool,
        fit in fits(),
    ) {
        let mut input = input(40, 24, fit);
        if nhwc { input.layout = Layout::Nhwc; }
        let size = (picture.width, picture.height);
        let floats = fill_from(&mut Letterbox::of_crop(size, crop, &input).unwrap(), &picture.view(), &input);
        input.element = ElementType::U8;
        let mut bytes = vec![0xEE_u8; input.len()];
        Letterbox::of_crop(size, crop, &input).unwrap().fill(&picture.view(), &mut bytes).unwrap();
        for (byte, float) in bytes.iter().zip(floats) {
            prop_assert!((f32::from(*byte) - float).abs() <= 0.5, "{byte} for {float}");
        }
    }

    #[test]
    fn a_crop_is_a_picture_of_its_own(
        (picture, crop) in pictures(),
        area: bool,
        fit in fits(),
    ) {
        // On even pixels, where the chroma of a crop begins with a pixel of its own.
        let even = |at: u32, length: u32, most: u32| {
            let at = at / 2 * 2;
            (at, if at + length == most { length } else { 2 * length.div_ceil(2) }.min(most - at))
        };
        let ((x, width), (y, height)) = (even(crop.x, crop.width, picture.width), even(crop.y, crop.height, picture.height));
        let mut input = input(40, 24, fit);
        if area { input.shrink = Shrink::Area; }
        let mut from_whole = Letterbox::of_crop((picture.width, picture.height), Crop { x, y, width, height }, &input).unwrap();
        let whole = picture.view();
        let part = models::I420View {
            width,
            height,
            y: &whole.y[y as usize * whole.y_stride + x as usize..],
            u: &whole.u[y as usize / 2 * whole.u_stride + x as usize / 2..],
            v: &whole.v[y as usize / 2 * whole.v_stride + x as usize / 2..],
            ..whole
        };
        let mut from_part = Letterbox::new(width, height, &input).unwrap();
        prop_assert_eq!(
            fill_from(&mut from_whole, &whole, &input),
            fill_from(&mut from_part, &part, &input)
        );
    }

    #[test]
    fn a_box_there_and_back_is_the_same_box(
        (width, height) in (1_u32..4000, 1_u32..4000),
        (input_width, input_height) in (32_u32..1280, 32_u32..1280),
        fit in fits(),
        parts in prop::array::uniform4(0.0_f64..1.0),
        [x, y] in prop::array::uniform2(-0.2_f64..0.9),
        [w, h] in prop::array::uniform2(0.21_f64..0.9),
    ) {
        let crop = crop_of(width, height, parts);
        let input = input(input_width, input_height, fit);
        let letterbox = Letterbox::of_crop((width, height), crop, &input).unwrap();
        // In fractions of the picture, around the crop.
        let (across, down) = (f64::from(crop.width) / f64::from(width), f64::from(crop.height) / f64::from(height));
        let (x, y) = (f64::from(crop.x) / f64::from(width) + x * across, f64::from(crop.y) / f64::from(height) + y * down);
        let (w, h) = (w * across, h * down);
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
