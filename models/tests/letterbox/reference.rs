//! A picture, and the tensor that it makes, made the plain way: pixel by pixel in `f64`.

use models::{
    Colour, ColourMatrix, ColourRange, Crop, I420View, Input, Layout, Letterbox, Nv12View, Shrink,
};
use protocol::NormBox;

/// A picture that owns its planes, with strides wider than its rows.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    slack: usize,
    planes: [Vec<u8>; 3],
    pub(crate) matrix: ColourMatrix,
    pub(crate) range: ColourRange,
}

impl Picture {
    /// Of pixels that change gently (`period` pixels from dark to bright), as pictures do.
    pub(crate) fn new(width: u32, height: u32, slack: usize, seed: u32) -> Self {
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

    pub(crate) fn flat(width: u32, height: u32, [y, u, v]: [u8; 3]) -> Self {
        let mut picture = Self::new(width, height, 0, 0);
        for (plane, value) in picture.planes.iter_mut().zip([y, u, v]) {
            plane.fill(value);
        }
        picture
    }

    pub(crate) fn view(&self) -> I420View<'_> {
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

    pub(crate) fn luma_mut(&mut self) -> &mut [u8] {
        &mut self.planes[0]
    }

    /// The chroma planes interleaved.
    pub(crate) fn interleaved(&self) -> Interleaved<'_> {
        let half = self.width.div_ceil(2) as usize;
        let stride = 2 * half + self.slack;
        let rows = self.height.div_ceil(2) as usize;
        let mut uv = vec![0xEE; stride * rows];
        let [_, u, v] = &self.planes;
        for ((line, u), v) in uv
            .chunks_exact_mut(stride)
            .zip(u.chunks_exact(half + self.slack))
            .zip(v.chunks_exact(half + self.slack))
        {
            for (at, (u, v)) in u.iter().zip(v).take(half).enumerate() {
                (line[2 * at], line[2 * at + 1]) = (*u, *v);
            }
        }
        Interleaved {
            of: self,
            uv,
            stride,
        }
    }

    /// Sum of a plane's pixels, each by the weights of its column and row.
    fn weighted(&self, plane: usize, across: &[(u32, f64)], down: &[(u32, f64)]) -> f64 {
        let halves = u32::from(plane > 0) + 1;
        let stride = self.width.div_ceil(halves) as usize + self.slack;
        let row = |row: u32| -> f64 {
            let line = &self.planes[plane][row as usize * stride..];
            across
                .iter()
                .map(|(column, weight)| f64::from(line[*column as usize]) * weight)
                .sum()
        };
        down.iter().map(|(at, weight)| row(*at) * weight).sum()
    }

    fn rgb(&self, luma: f64, cb: f64, cr: f64) -> [f64; 3] {
        let (cb, cr) = (cb - 128.0, cr - 128.0);
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

/// A picture whose chroma planes are interleaved.
pub(crate) struct Interleaved<'a> {
    of: &'a Picture,
    pub(crate) uv: Vec<u8>,
    stride: usize,
}

impl Interleaved<'_> {
    pub(crate) fn view(&self) -> Nv12View<'_> {
        let whole = self.of.view();
        Nv12View {
            width: whole.width,
            height: whole.height,
            y: whole.y,
            y_stride: whole.y_stride,
            uv: &self.uv,
            uv_stride: self.stride,
            matrix: whole.matrix,
            range: whole.range,
        }
    }
}

/// The source pixels of an axis that make output pixel `index` of `count`, and
/// their weights. `first` and `length` are the crop's, in pixels of luma; a
/// pixel of the plane is `size` of those wide.
fn weights(
    (first, length): (u32, u32),
    size: u32,
    (index, count): (u32, u32),
    shrink: Shrink,
) -> Vec<(u32, f64)> {
    let size = f64::from(size);
    // Edges of the output pixel and of what may be read, in pixels of the plane.
    let scale = f64::from(length) / f64::from(count) / size;
    let start = f64::from(first) / size + f64::from(index) * scale;
    let least = (f64::from(first) / size).floor();
    let end = (f64::from(first + length) / size).ceil();
    if shrink == Shrink::Area && scale > 1.0 {
        return (least as u32..end as u32)
            .filter_map(|pixel| {
                let at = f64::from(pixel);
                let covered = (start + scale).min(at + 1.0) - start.max(at);
                (covered > 0.0).then_some((pixel, covered / scale))
            })
            .collect();
    }
    let middle = (start + scale / 2.0 - 0.5).clamp(least, end - 1.0);
    let next = (middle.floor() + 1.0).min(end - 1.0);
    let part = middle - middle.floor();
    vec![(middle.floor() as u32, 1.0 - part), (next as u32, part)]
}

/// The tensor. `content` is left, top, width, height in the input.
pub(crate) fn plain(picture: &Picture, crop: Crop, input: &Input, content: [u32; 4]) -> Vec<f64> {
    let [left, top, width, height] = content;
    let mut tensor = vec![0.0; input.len()];
    for row in 0..input.height {
        for column in 0..input.width {
            let inside =
                (left..left + width).contains(&column) && (top..top + height).contains(&row);
            let rgb = inside.then(|| {
                let [luma, cb, cr] = [0, 1, 2].map(|plane| {
                    let size = u32::from(plane > 0) + 1;
                    let across = weights(
                        (crop.x, crop.width),
                        size,
                        (column - left, width),
                        input.shrink,
                    );
                    let down = weights(
                        (crop.y, crop.height),
                        size,
                        (row - top, height),
                        input.shrink,
                    );
                    picture.weighted(plane, &across, &down)
                });
                picture.rgb(luma, cb, cr)
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

/// Left, top, width and height of the crop in the input, asked of the letterbox itself.
pub(crate) fn content(picture: &Picture, letterbox: &Letterbox) -> [u32; 4] {
    let crop = letterbox.crop();
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let [left, top, right, bottom] = letterbox.to_input(&NormBox::from([
        f64::from(crop.x) / width,
        f64::from(crop.y) / height,
        f64::from(crop.width) / width,
        f64::from(crop.height) / height,
    ]));
    [left, top, right - left, bottom - top].map(|v| v.round() as u32)
}
