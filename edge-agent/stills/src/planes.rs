//! From a decoder's I420 or NV12 planes to BGR.
//!
//! OpenCV's own `COLOR_YUV2BGR_I420` knows only BT.601 in limited range and
//! even sizes, while most cameras above 720 lines send BT.709; a signal lamp
//! must not change its hue on the evidence. The `yuv` crate knows every combination,
//! interpolates chroma to full size and takes a sixth of the time of OpenCV's `resize`,
//! `merge` and `transform` (benches/RESULTS.md, *Stills*).

use std::borrow::Cow;

use yuv::{YuvError, YuvPlanarImage, YuvRange, YuvStandardMatrix};

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
    pub(crate) fn fill(&self, bgr: &mut [u8]) -> Result<(), YuvError> {
        let [u, v] = [(self.u, self.u_stride), (self.v, self.v_stride)]
            .map(|(data, stride)| self.planar(data, stride));
        let image = YuvPlanarImage {
            y_plane: self.y,
            y_stride: narrow(self.y_stride),
            u_plane: &u.0,
            u_stride: narrow(u.1),
            v_plane: &v.0,
            v_stride: narrow(v.1),
            width: self.width,
            height: self.height,
        };
        let range = if self.full_range {
            YuvRange::Full
        } else {
            YuvRange::Limited
        };
        let matrix = if self.bt709 {
            YuvStandardMatrix::Bt709
        } else {
            YuvStandardMatrix::Bt601
        };
        yuv::yuv420_to_bgr_bilinear(&image, bgr, 3 * self.width, range, matrix)
    }

    /// The pixels from `x`, `y` on, `width` × `height` of them, with those around that their chroma is
    /// interpolated from; and which pixel is its first. The planes have been checked.
    pub(crate) fn around(&self, [x, y, width, height]: [u32; 4]) -> (Self, [u32; 2]) {
        // A sample of chroma to each side, and from one on that both pixels of a pair share.
        let from = |at: u32| at.saturating_sub(2) & !1;
        let to = |at: u32, side: u32| (at + 2).next_multiple_of(2).min(side);
        let (left, top) = (from(x), from(y));
        let near = |data, stride: usize, step: usize, half: u32| {
            let [x, y] = [left, top].map(|at| (at / half) as usize);
            behind(data, y * stride + x * step)
        };
        let part = Self {
            width: to(x + width, self.width) - left,
            height: to(y + height, self.height) - top,
            y: near(self.y, self.y_stride, 1, 1),
            u: near(self.u, self.u_stride, self.chroma_step, 2),
            v: near(self.v, self.v_stride, self.chroma_step, 2),
            ..*self
        };
        (part, [left, top])
    }

    /// Chroma as a plane of its own, with its stride.
    fn planar<'a>(&self, data: &'a [u8], stride: usize) -> (Cow<'a, [u8]>, usize) {
        if self.chroma_step == 1 {
            return (Cow::Borrowed(data), stride);
        }
        let [width, height] = self.chroma();
        let rows = data.chunks(stride).take(height);
        let samples = rows.flat_map(|row| row.iter().step_by(self.chroma_step).take(width));
        (Cow::Owned(samples.copied().collect()), width)
    }
}

fn behind(data: &[u8], start: usize) -> &[u8] {
    data.get(start..).unwrap_or_default()
}

/// A stride that does not fit is of no picture that can be held, and is refused as that.
fn narrow(stride: usize) -> u32 {
    u32::try_from(stride).unwrap_or(u32::MAX)
}
