//! From a decoder's I420 or NV12 planes to BGR.
//!
//! OpenCV's own `COLOR_YUV2BGR_I420` knows only BT.601 in limited range and
//! even sizes, while most cameras above 720 lines send BT.709; a signal lamp
//! must not change its hue on the evidence. So chroma is interpolated to full
//! size and one 3×4 matrix does the rest, for every combination.

use std::borrow::Cow;

use opencv::core::{self, Mat, Size, Vec3b, Vector};
use opencv::imgproc;
use opencv::prelude::MatTraitConst;

use crate::StillError;

/// A borrowed picture as decoders give it: full-size luma, chroma of half size in both directions, rounded up.
#[derive(Clone, Copy, Debug)]
pub struct YuvPlanes<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Luma.
    pub y: &'a [u8],
    /// Bytes from one row of luma to the next.
    pub y_stride: usize,
    /// Blue difference.
    pub u: &'a [u8],
    /// Bytes from one row of `u` to the next.
    pub u_stride: usize,
    /// Red difference.
    pub v: &'a [u8],
    /// Bytes from one row of `v` to the next.
    pub v_stride: usize,
    /// Bytes from one sample of chroma to the next: 1 in I420; 2 in NV12, where `v` begins one byte after `u`.
    pub chroma_step: usize,
    /// BT.709 (high definition); otherwise BT.601.
    pub bt709: bool,
    /// 0–255 (as in MJPEG); otherwise 16–235.
    pub full_range: bool,
}

impl YuvPlanes<'_> {
    /// Refuses planes that are smaller than the picture.
    pub(crate) fn check(&self) -> Result<(), StillError> {
        let [across, down] = self.chroma();
        // From the first sample to the last, without what lies behind that.
        let chroma = [(across - 1) * self.chroma_step + 1, down];
        for (plane, data, stride, [width, height]) in [
            ('Y', self.y, self.y_stride, self.luma()),
            ('U', self.u, self.u_stride, chroma),
            ('V', self.v, self.v_stride, chroma),
        ] {
            if stride < width {
                return Err(StillError::Stride {
                    plane,
                    stride,
                    width,
                });
            }
            // The last row may end with its pixels, without padding.
            let needs = stride.saturating_mul(height - 1).saturating_add(width);
            if data.len() < needs {
                return Err(StillError::PlaneTooShort {
                    plane,
                    needs,
                    has: data.len(),
                });
            }
        }
        Ok(())
    }

    fn luma(&self) -> [usize; 2] {
        [self.width as usize, self.height as usize]
    }

    fn chroma(&self) -> [usize; 2] {
        self.luma().map(|side| side.div_ceil(2))
    }

    /// Fills `bgr`, which holds three bytes per pixel. The planes have been checked.
    pub(crate) fn fill(&self, bgr: &mut [u8]) -> opencv::Result<()> {
        let full = Size::new(i32::try_from(self.width)?, i32::try_from(self.height)?);
        let luma = tight(self.y, (self.y_stride, 1), self.luma());
        let mut channels = Vector::<Mat>::new();
        channels.push(mat(&luma, self.luma())?.try_clone()?);
        for (data, stride) in [(self.u, self.u_stride), (self.v, self.v_stride)] {
            let chroma = tight(data, (stride, self.chroma_step), self.chroma());
            let mut wide = Mat::default();
            imgproc::resize(
                &mat(&chroma, self.chroma())?,
                &mut wide,
                full,
                0.0,
                0.0,
                imgproc::INTER_LINEAR,
            )?;
            channels.push(wide);
        }
        let mut yuv = Mat::default();
        core::merge(&channels, &mut yuv)?;
        let matrix = self.matrix();
        let matrix = Mat::new_rows_cols_with_data(3, 4, &matrix)?;
        let mut out = Mat::new_rows_cols_with_bytes_mut::<Vec3b>(full.height, full.width, bgr)?;
        core::transform(&yuv, &mut out, &matrix)
    }

    /// Rows for blue, green and red over (Y, U, V, 1).
    fn matrix(&self) -> [f32; 12] {
        let (kr, kb) = if self.bt709 {
            (0.2126, 0.0722)
        } else {
            (0.299, 0.114)
        };
        let kg = 1.0 - kr - kb;
        let (black, gain, chroma_gain) = if self.full_range {
            (0.0, 1.0, 1.0)
        } else {
            (16.0, 255.0 / 219.0, 255.0 / 224.0)
        };
        let blue_u = 2.0 * (1.0 - kb) * chroma_gain;
        let red_v = 2.0 * (1.0 - kr) * chroma_gain;
        let row = |u: f32, v: f32| [gain, u, v, -black * gain - 128.0 * (u + v)];
        let rows = [
            row(blue_u, 0.0),
            row(-blue_u * kb / kg, -red_v * kr / kg),
            row(0.0, red_v),
        ];
        let mut matrix = [0.0; 12];
        matrix.copy_from_slice(rows.as_flattened());
        matrix
    }
}

fn mat(
    data: &[u8],
    [width, height]: [usize; 2],
) -> opencv::Result<opencv::boxed_ref::BoxedRef<'_, Mat>> {
    Mat::new_rows_cols_with_bytes::<u8>(i32::try_from(height)?, i32::try_from(width)?, data)
}

/// The plane without the padding at the ends of its rows, and without what lies between samples.
fn tight(
    data: &[u8],
    (stride, step): (usize, usize),
    [width, height]: [usize; 2],
) -> Cow<'_, [u8]> {
    if (stride, step) == (width, 1) {
        return Cow::Borrowed(&data[..width * height]);
    }
    Cow::Owned(
        data.chunks(stride)
            .take(height)
            .flat_map(|row| row.iter().step_by(step).take(width))
            .copied()
            .collect(),
    )
}
