//! A tilted piece of a picture, straightened.
//!
//! Where it is made larger, luma goes through a cubic (Catmull–Rom): small
//! plates keep their edges. Where it is made smaller, all that a point covers
//! is averaged, or thin strokes would come and go.

use models::{ColourMatrix, ColourRange, PictureView};

use crate::quad::{Map, Quad};

/// Most samples per point and direction; beyond that, averages differ no more.
const MOST_SAMPLES: usize = 8;

/// Luma and chroma of one point, on the scale of full range: luma 0 to 255,
/// chroma −128 to 127.
pub(crate) type Ycc = [f32; 3];

/// A picture to be sampled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    y: Plane<'a>,
    u: Plane<'a>,
    v: Plane<'a>,
    matrix: ColourMatrix,
    range: ColourRange,
}

/// One of its planes; `step` bytes from one sample to the next.
#[derive(Clone, Copy, Debug)]
struct Plane<'a> {
    bytes: &'a [u8],
    stride: usize,
    step: usize,
    width: usize,
    height: usize,
}

impl Plane<'_> {
    /// The sample nearest to a place, by whole numbers.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    fn texel(&self, x: f64, y: f64) -> f32 {
        let x = x.clamp(0.0, (self.width - 1) as f64) as usize;
        let y = y.clamp(0.0, (self.height - 1) as f64) as usize;
        let byte = self.bytes.get(y * self.stride + x * self.step);
        byte.map_or(0.0, |byte| f32::from(*byte))
    }

    #[allow(clippy::cast_possible_truncation)]
    fn linear(&self, x: f64, y: f64) -> f32 {
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = ((x - left) as f32, (y - top) as f32);
        let row = |y: f64| {
            let (a, b) = (self.texel(left, y), self.texel(left + 1.0, y));
            a + (b - a) * fx
        };
        let (a, b) = (row(top), row(top + 1.0));
        a + (b - a) * fy
    }

    #[allow(clippy::cast_possible_truncation)]
    fn cubic(&self, x: f64, y: f64) -> f32 {
        let (x, y) = (x - 0.5, y - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let (wx, wy) = (weights((x - left) as f32), weights((y - top) as f32));
        let mut sum = 0.0;
        for (dy, wy) in (-1..).map(f64::from).zip(wy) {
            let mut row = 0.0;
            for (dx, wx) in (-1..).map(f64::from).zip(wx) {
                row += wx * self.texel(left + dx, top + dy);
            }
            sum += wy * row;
        }
        sum
    }
}

/// Catmull–Rom.
fn weights(t: f32) -> [f32; 4] {
    [
        ((2.0 - t) * t - 1.0) * t / 2.0,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0,
        (t - 1.0) * t * t / 2.0,
    ]
}

impl<'a> Source<'a> {
    /// The picture's planes; they must have been checked.
    pub(crate) fn new(picture: &PictureView<'a>) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let luma = |bytes, stride| Plane {
            bytes,
            stride,
            step: 1,
            width,
            height,
        };
        let chroma = |bytes, stride, step| Plane {
            bytes,
            stride,
            step,
            width: half_width,
            height: half_height,
        };
        match *picture {
            PictureView::I420(p) => Self {
                y: luma(p.y, p.y_stride),
                u: chroma(p.u, p.u_stride, 1),
                v: chroma(p.v, p.v_stride, 1),
                matrix: p.matrix,
                range: p.range,
            },
            PictureView::Nv12(p) => Self {
                y: luma(p.y, p.y_stride),
                u: chroma(p.uv, p.uv_stride, 2),
                v: chroma(p.uv.get(1..).unwrap_or_default(), p.uv_stride, 2),
                matrix: p.matrix,
                range: p.range,
            },
        }
    }

    /// Calls `take` with every point of a piece, straightened to `width` ×
    /// `height`, row by row. Does nothing for a piece without an area.
    pub(crate) fn each(
        &self,
        quad: &Quad,
        (width, height): (usize, usize),
        mut take: impl FnMut(usize, usize, Ycc),
    ) {
        let Some(map) = quad.map() else {
            return;
        };
        let samples = |from: f64, to: usize| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
            let count = (from / to.max(1) as f64)
                .ceil()
                .clamp(1.0, MOST_SAMPLES as f64) as usize;
            count
        };
        let counts = (samples(quad.width(), width), samples(quad.height(), height));
        let is_enlarged = counts == (1, 1);
        for row in 0..height {
            for column in 0..width {
                let mut sum = [0.0_f32; 3];
                for j in 0..counts.1 {
                    for i in 0..counts.0 {
                        let part = |at: usize, i: usize, count: usize, length: usize| {
                            (at as f64 + (i as f64 + 0.5) / count as f64) / length as f64
                        };
                        let u = part(column, i, counts.0, width);
                        let v = part(row, j, counts.1, height);
                        let one = self.at(&map, (u, v), is_enlarged);
                        for (sum, one) in sum.iter_mut().zip(one) {
                            *sum += one;
                        }
                    }
                }
                let count = (counts.0 * counts.1) as f32;
                take(column, row, self.levels(sum.map(|sum| sum / count)));
            }
        }
    }

    fn at(&self, map: &Map, (u, v): (f64, f64), is_enlarged: bool) -> Ycc {
        let [x, y] = map.at(u, v);
        let luma = if is_enlarged {
            self.y.cubic(x, y)
        } else {
            self.y.linear(x, y)
        };
        let (x, y) = (x / 2.0, y / 2.0);
        [luma, self.u.linear(x, y), self.v.linear(x, y)]
    }

    /// To full range.
    fn levels(&self, [y, u, v]: Ycc) -> Ycc {
        match self.range {
            ColourRange::Full => [y, u - 128.0, v - 128.0],
            ColourRange::Limited => [
                (y - 16.0) * (255.0 / 219.0),
                (u - 128.0) * (255.0 / 224.0),
                (v - 128.0) * (255.0 / 224.0),
            ],
        }
    }

    /// Red, green and blue, 0 to 255.
    pub(crate) fn rgb(&self, [y, u, v]: Ycc) -> [f32; 3] {
        // Kr and Kb of ITU-R BT.601 and BT.709.
        let (kr, kb) = match self.matrix {
            ColourMatrix::Bt601 => (0.299, 0.114),
            ColourMatrix::Bt709 => (0.2126, 0.0722),
        };
        let red = y + 2.0 * (1.0 - kr) * v;
        let blue = y + 2.0 * (1.0 - kb) * u;
        let green = (y - kr * red - kb * blue) / (1.0 - kr - kb);
        [red, green, blue].map(|c| c.clamp(0.0, 255.0))
    }

    /// Luma of a piece, straightened, 0 to 255, into `out`.
    pub(crate) fn luma(&self, quad: &Quad, size: (usize, usize), out: &mut Vec<f32>) {
        out.clear();
        out.resize(size.0 * size.1, 0.0);
        self.each(quad, size, |x, y, [luma, ..]| {
            out[y * size.0 + x] = luma.clamp(0.0, 255.0);
        });
    }
}

#[cfg(test)]
mod tests {
    use models::{I420View, Nv12View};
    use protocol::NormBox;

    use super::*;

    /// Luma rises by 4 from column to column; one colour.
    fn ramp() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let row = (0..48).map(|at| 20 + 4 * at);
        let y = std::iter::repeat_n(row, 32).flatten().collect();
        (y, vec![100; 24 * 16], vec![160; 24 * 16])
    }

    fn pieces(picture: &PictureView<'_>, quad: &Quad, size: (usize, usize)) -> Vec<Ycc> {
        let mut points = Vec::new();
        Source::new(picture).each(quad, size, |_, _, point| points.push(point));
        points
    }

    #[test]
    fn interleaved_and_planar_chroma_give_the_same_points() {
        let (y, u, v) = ramp();
        let uv: Vec<u8> = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
        let (matrix, range) = (ColourMatrix::Bt601, ColourRange::Limited);
        let (width, height) = (48, 32);
        let planar = I420View {
            width,
            height,
            y: &y,
            y_stride: 48,
            u: &u,
            u_stride: 24,
            v: &v,
            v_stride: 24,
            matrix,
            range,
        };
        let interleaved = Nv12View {
            width,
            height,
            y: &y,
            y_stride: 48,
            uv: &uv,
            uv_stride: 48,
            matrix,
            range,
        };
        let quad = Quad([[5.0, 3.0], [40.0, 8.0], [38.0, 28.0], [4.0, 22.0]]);
        let one = pieces(&PictureView::I420(planar), &quad, (30, 20));
        assert_eq!(
            one,
            pieces(&PictureView::Nv12(interleaved), &quad, (30, 20))
        );
        assert_eq!(one.len(), 600);
    }

    #[test]
    fn straight_lines_stay_straight_when_enlarged_and_when_averaged() {
        let (y, u, v) = ramp();
        let picture = PictureView::I420(I420View {
            width: 48,
            height: 32,
            y: &y,
            y_stride: 48,
            u: &u,
            u_stride: 24,
            v: &v,
            v_stride: 24,
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Full,
        });
        let quad = Quad::upright(&NormBox::from([0.25, 0.25, 0.5, 0.5]), (48, 32));
        for columns in [6, 24, 96] {
            let points = pieces(&picture, &quad, (columns, 4));
            for (at, [luma, u, v]) in points[..columns].iter().enumerate() {
                // The middle of a pixel in column c has 20 + 4·c.
                let place = 12.0 + (at as f32 + 0.5) / columns as f32 * 24.0 - 0.5;
                assert!((luma - (20.0 + 4.0 * place)).abs() < 0.01, "{columns} {at}");
                assert_eq!((*u, *v), (-28.0, 32.0));
            }
        }
    }

    #[test]
    fn grey_is_grey_in_either_matrix() {
        let (y, u, v) = ramp();
        for matrix in [ColourMatrix::Bt601, ColourMatrix::Bt709] {
            let source = Source::new(&PictureView::I420(I420View {
                width: 48,
                height: 32,
                y: &y,
                y_stride: 48,
                u: &u,
                u_stride: 24,
                v: &v,
                v_stride: 24,
                matrix,
                range: ColourRange::Full,
            }));
            let [red, green, blue] = source.rgb([90.0, 0.0, 0.0]);
            for channel in [red, green, blue] {
                assert!((channel - 90.0).abs() < 1e-3);
            }
            assert!(source.rgb([90.0, 0.0, 60.0])[0] > 150.0);
        }
    }
}
