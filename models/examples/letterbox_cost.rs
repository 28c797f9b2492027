//! What the letterbox costs per picture, for benches/RESULTS.md.
//!
//! ```text
//! cargo run --release -p models --example letterbox_cost
//! ```
//!
//! In one run, the least of many turns each: the one pass from I420 and from
//! NV12, bilinear and averaging, to floats and to bytes; a copy of the picture's
//! planes, below which nothing that reads them all can be; and what one would
//! write with good crates instead: `yuv` and `fast_image_resize`, either colours
//! first and then size, or size first and then colours.

#![allow(clippy::disallowed_types)] // a measurement has a clock; the crate itself does not
#![allow(clippy::cast_possible_truncation)] // a byte of a pattern

use std::hint::black_box;
use std::time::Instant;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use models::letterbox::Element;
use models::{
    ColourMatrix, ColourRange, ElementType, I420View, Input, Letterbox, Manifest, Nv12View,
    PictureView, Shrink,
};
use yuv::{YuvPlanarImage, YuvRange, YuvStandardMatrix};

fn main() {
    println!(
        "least ms of 300 turns; x: times a copy of the planes\n\
         {:>22} {:>6} {:>14} {:>14} {:>14} {:>14} {:>14} {:>14}",
        "", "copy", "I420", "NV12", "area", "bytes", "colour, size", "size, colour"
    );
    for (width, height) in [(768_u32, 576_u32), (1280, 720), (1920, 1080), (3840, 2160)] {
        for (across, down) in [(416, 416), (640, 384)] {
            measure(&Planes::new(width, height), across, down);
        }
    }
}

struct Planes {
    width: u32,
    height: u32,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
    uv: Vec<u8>,
}

impl Planes {
    fn new(width: u32, height: u32) -> Self {
        let plane = |length: u32, salt: u32| -> Vec<u8> {
            (0..length).map(|i| ((i + salt) * 31 % 251) as u8).collect()
        };
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        let (u, v) = (plane(chroma, 7), plane(chroma, 91));
        Self {
            width,
            height,
            y: plane(width * height, 0),
            uv: u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect(),
            u,
            v,
        }
    }

    fn i420(&self) -> I420View<'_> {
        let half = self.width.div_ceil(2) as usize;
        I420View {
            width: self.width,
            height: self.height,
            y: &self.y,
            y_stride: self.width as usize,
            u: &self.u,
            u_stride: half,
            v: &self.v,
            v_stride: half,
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Limited,
        }
    }

    fn nv12(&self) -> Nv12View<'_> {
        Nv12View {
            width: self.width,
            height: self.height,
            y: &self.y,
            y_stride: self.width as usize,
            uv: &self.uv,
            uv_stride: 2 * self.width.div_ceil(2) as usize,
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Limited,
        }
    }
}

/// The least of many: what the code costs, not what else the machine did.
fn least(mut turn: impl FnMut()) -> f64 {
    let seconds = |_| {
        let started = Instant::now();
        turn();
        started.elapsed().as_secs_f64()
    };
    (0..300).map(seconds).fold(f64::INFINITY, f64::min) * 1000.0
}

fn one_pass<'a, P, E: Element>(letterbox: &mut Letterbox, picture: &'a P, tensor: &mut [E]) -> f64
where
    PictureView<'a>: From<&'a P>,
{
    least(|| {
        letterbox
            .fill(picture, black_box(&mut *tensor))
            .expect("it fits");
    })
}

fn measure(planes: &Planes, across: u32, down: u32) {
    let yolox = include_str!("../catalog/yolox-nano/model.toml");
    let mut input = Manifest::parse(yolox).expect("a good manifest").input;
    (input.width, input.height) = (across, down);
    let (i420, nv12) = (planes.i420(), planes.nv12());
    let plan = |input: &Input| {
        Letterbox::new(planes.width, planes.height, input).expect("a picture has a size")
    };
    let mut tensor = vec![0.0_f32; input.len()];

    let mut copy = vec![0_u8; planes.y.len() + planes.uv.len()];
    let copied = least(|| {
        copy[..planes.y.len()].copy_from_slice(black_box(&planes.y));
        copy[planes.y.len()..].copy_from_slice(black_box(&planes.uv));
        black_box(&mut copy);
    });
    let mut letterbox = plan(&input);
    let from_i420 = one_pass(&mut letterbox, &i420, &mut tensor);
    let from_nv12 = one_pass(&mut letterbox, &nv12, &mut tensor);
    input.shrink = Shrink::Area;
    let mut letterbox = plan(&input);
    let area = one_pass(&mut letterbox, &i420, &mut tensor);
    (input.shrink, input.element) = (Shrink::Bilinear, ElementType::U8);
    let (mut letterbox, mut bytes) = (plan(&input), vec![0_u8; input.len()]);
    let to_bytes = one_pass(&mut letterbox, &i420, &mut bytes);

    // The peers keep their buffers, too, and need not pad.
    let size = content(planes, across, down);
    let mut peer = Peer::new(planes, size);
    let colour_first = least(|| peer.colours_then_size(planes, black_box(&mut tensor), across));
    let size_first = least(|| peer.size_then_colours(planes, black_box(&mut tensor), across));

    let figure = |ms: f64| format!("{ms:7.3} {:5.1}x", ms / copied);
    println!(
        "{:>22} {copied:6.3} {:>14} {:>14} {:>14} {:>14} {:>14} {:>14}",
        format!("{}×{} → {across}×{down}", planes.width, planes.height),
        figure(from_i420),
        figure(from_nv12),
        figure(area),
        figure(to_bytes),
        figure(colour_first),
        figure(size_first),
    );
}

/// Size of the picture in the input.
fn content(planes: &Planes, across: u32, down: u32) -> (u32, u32) {
    if across * planes.height <= down * planes.width {
        (across, planes.height * across / planes.width)
    } else {
        (planes.width * down / planes.height, down)
    }
}

/// Two steps with a picture in between.
struct Peer {
    resizer: Resizer,
    options: ResizeOptions,
    full: Vec<u8>,
    small: Image<'static>,
    parts: [Image<'static>; 3],
    rgb: Vec<u8>,
}

impl Peer {
    fn new(planes: &Planes, (width, height): (u32, u32)) -> Self {
        let options =
            ResizeOptions::new().resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear));
        Self {
            resizer: Resizer::new(),
            options,
            full: vec![0; 3 * planes.y.len()],
            small: Image::new(width, height, PixelType::U8x3),
            parts: [(); 3].map(|()| Image::new(width, height, PixelType::U8)),
            rgb: vec![0; 3 * (width * height) as usize],
        }
    }

    fn colours_then_size(&mut self, planes: &Planes, tensor: &mut [f32], across: u32) {
        let half = planes.width.div_ceil(2);
        let picture = YuvPlanarImage {
            y_plane: &planes.y,
            y_stride: planes.width,
            u_plane: &planes.u,
            u_stride: half,
            v_plane: &planes.v,
            v_stride: half,
            width: planes.width,
            height: planes.height,
        };
        yuv::yuv420_to_bgr(
            &picture,
            &mut self.full,
            3 * planes.width,
            YuvRange::Limited,
            YuvStandardMatrix::Bt601,
        )
        .expect("a good picture");
        let full = ImageRef::new(planes.width, planes.height, &self.full, PixelType::U8x3)
            .expect("a good size");
        self.resizer
            .resize(&full, &mut self.small, &self.options)
            .expect("both have three channels");
        spread(self.small.buffer(), self.small.width(), tensor, across);
    }

    fn size_then_colours(&mut self, planes: &Planes, tensor: &mut [f32], across: u32) {
        let (half_width, half_height) = (planes.width.div_ceil(2), planes.height.div_ceil(2));
        for (small, (bytes, width, height)) in self.parts.iter_mut().zip([
            (&planes.y, planes.width, planes.height),
            (&planes.u, half_width, half_height),
            (&planes.v, half_width, half_height),
        ]) {
            let plane = ImageRef::new(width, height, bytes, PixelType::U8).expect("a good size");
            self.resizer
                .resize(&plane, small, &self.options)
                .expect("both have one channel");
        }
        let (width, height) = (self.parts[0].width(), self.parts[0].height());
        let [y, u, v] = &self.parts;
        let picture = YuvPlanarImage {
            y_plane: y.buffer(),
            y_stride: width,
            u_plane: u.buffer(),
            u_stride: width,
            v_plane: v.buffer(),
            v_stride: width,
            width,
            height,
        };
        yuv::yuv444_to_bgr(
            &picture,
            &mut self.rgb,
            3 * width,
            YuvRange::Limited,
            YuvStandardMatrix::Bt601,
        )
        .expect("a good picture");
        spread(&self.rgb, width, tensor, across);
    }
}

/// From interleaved bytes to planes of floats, as YOLOX takes them.
fn spread(pixels: &[u8], width: u32, tensor: &mut [f32], across: u32) {
    let plane_length = tensor.len() / 3;
    let (blue, rest) = tensor.split_at_mut(plane_length);
    let (green, red) = rest.split_at_mut(plane_length);
    let rows = pixels.chunks_exact(3 * width as usize);
    for (number, line) in rows.enumerate() {
        let start = number * across as usize;
        let line = line.as_chunks::<3>().0;
        let out = start..start + line.len();
        for (((b, g), r), pixel) in (blue[out.clone()].iter_mut())
            .zip(&mut green[out.clone()])
            .zip(&mut red[out])
            .zip(line)
        {
            (*b, *g, *r) = (
                f32::from(pixel[0]),
                f32::from(pixel[1]),
                f32::from(pixel[2]),
            );
        }
    }
}
