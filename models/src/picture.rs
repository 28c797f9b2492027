//! A decoded picture as decoders give it: planes of bytes, chroma apart (I420,
//! of software decoders) or interleaved (NV12, of most hardware).

use protocol::NormBox;

use crate::manifest::ElementType;

/// Which numbers turn Y′CbCr into R′G′B′.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourMatrix {
    /// ITU-R BT.601: standard definition, and most cameras that do not say.
    #[default]
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
}

/// Which bytes mean black and white.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourRange {
    /// 16 to 235 (chroma 16 to 240), as video is.
    #[default]
    Limited,
    /// 0 to 255, as JPEG is.
    Full,
}

/// A borrowed picture in planar YUV 4:2:0.
///
/// The chroma planes have half the width and height, rounded up. A stride is
/// the distance in bytes from one row to the next; it may exceed the width.
#[derive(Clone, Copy, Debug)]
pub struct I420View<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Luma.
    pub y: &'a [u8],
    /// Bytes per row of `y`.
    pub y_stride: usize,
    /// Blue difference.
    pub u: &'a [u8],
    /// Bytes per row of `u`.
    pub u_stride: usize,
    /// Red difference.
    pub v: &'a [u8],
    /// Bytes per row of `v`.
    pub v_stride: usize,
    /// How colours were coded.
    pub matrix: ColourMatrix,
    /// How black and white were coded.
    pub range: ColourRange,
}

/// A borrowed picture in YUV 4:2:0 whose chroma is interleaved.
///
/// The chroma plane has half the height, rounded up; its rows hold blue and red
/// difference by turns, half the width, rounded up, of each.
#[derive(Clone, Copy, Debug)]
pub struct Nv12View<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Luma.
    pub y: &'a [u8],
    /// Bytes per row of `y`.
    pub y_stride: usize,
    /// Blue and red difference by turns.
    pub uv: &'a [u8],
    /// Bytes per row of `uv`.
    pub uv_stride: usize,
    /// How colours were coded.
    pub matrix: ColourMatrix,
    /// How black and white were coded.
    pub range: ColourRange,
}

/// A borrowed picture in either form.
#[derive(Clone, Copy, Debug)]
pub enum PictureView<'a> {
    /// Three planes.
    I420(I420View<'a>),
    /// Two planes.
    Nv12(Nv12View<'a>),
}

impl<'a> From<&I420View<'a>> for PictureView<'a> {
    fn from(picture: &I420View<'a>) -> Self {
        Self::I420(*picture)
    }
}

impl<'a> From<&Nv12View<'a>> for PictureView<'a> {
    fn from(picture: &Nv12View<'a>) -> Self {
        Self::Nv12(*picture)
    }
}

impl<'a> From<&PictureView<'a>> for PictureView<'a> {
    fn from(picture: &PictureView<'a>) -> Self {
        *picture
    }
}

/// A borrowed plane of samples.
#[derive(Clone, Copy, Debug)]
pub struct PlaneView<'a> {
    /// From the first sample on.
    pub bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
    /// Bytes from one sample to the next: 2 where others lie between them.
    pub step: usize,
}

impl PlaneView<'_> {
    /// A sample of a plane that was checked.
    pub fn at(&self, x: usize, y: usize) -> u8 {
        self.bytes[y * self.stride + x * self.step]
    }
}

/// A rectangle of a picture, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crop {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Crop {
    /// All of a picture.
    pub const fn whole(width: u32, height: u32) -> Self {
        Self {
            x: 0,
            y: 0,
            width,
            height,
        }
    }

    /// The pixels of a picture of `width` × `height` that a box touches; `None`
    /// when it lies outside or is no box.
    pub fn around(bounds: &NormBox, width: u32, height: u32) -> Option<Self> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // held to 0 … length
        let span = |from: f64, to: f64, length: u32| {
            let pixels = f64::from(length);
            let first = libm::floor(from * pixels).clamp(0.0, pixels);
            let end = libm::ceil(to * pixels).clamp(0.0, pixels);
            // NaN fails.
            (end > first).then_some((first as u32, (end - first) as u32))
        };
        let (x, width) = span(bounds.x, bounds.right(), width)?;
        let (y, height) = span(bounds.y, bounds.bottom(), height)?;
        Some(Self {
            x,
            y,
            width,
            height,
        })
    }

    pub(crate) fn check(&self, width: u32, height: u32) -> Result<(), PictureError> {
        let fits = |at: u32, length: u32, most: u32| {
            length > 0 && at.checked_add(length).is_some_and(|end| end <= most)
        };
        if fits(self.x, self.width, width) && fits(self.y, self.height, height) {
            Ok(())
        } else {
            Err(PictureError::Crop {
                crop: *self,
                width,
                height,
            })
        }
    }
}

/// A picture that cannot be read. A fault of the decoder or of its caller, never of the scene.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// No pixels, or too many to count.
    #[error(
        "a picture of {width}×{height} pixels cannot be analysed; check the camera's stream settings"
    )]
    Size {
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// A plane ends before its last row does.
    #[error(
        "plane {plane} of a {width}×{height} picture has {found} bytes, fewer than {needed}; the decoder gave a broken frame"
    )]
    Plane {
        /// `y`, `u`, `v` or `uv`.
        plane: &'static str,
        /// Pixels of the picture.
        width: u32,
        /// Pixels of the picture.
        height: u32,
        /// Bytes there.
        found: usize,
        /// Bytes that stride and height ask for.
        needed: usize,
    },
    /// Planned for one size, given another.
    #[error(
        "the letterbox is planned for {planned_width}×{planned_height}, the picture has {width}×{height}; plan anew when the picture changes"
    )]
    Planned {
        /// Pixels.
        planned_width: u32,
        /// Pixels.
        planned_height: u32,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// A crop that is not in the picture.
    #[error("{crop:?} does not lie in a picture of {width}×{height} pixels")]
    Crop {
        /// The crop.
        crop: Crop,
        /// Pixels.
        width: u32,
        /// Pixels.
        height: u32,
    },
    /// The buffer has numbers of another kind than the model takes.
    #[error(
        "the input tensor is of {found}, the model takes {needed}; correct `input.element` in its manifest"
    )]
    Element {
        /// What the buffer holds.
        found: ElementType,
        /// What the manifest says.
        needed: ElementType,
    },
    /// The buffer for the tensor has the wrong length.
    #[error("the input tensor holds {found} numbers, the model takes {needed}")]
    Buffer {
        /// Numbers there.
        found: usize,
        /// Numbers needed.
        needed: usize,
    },
}

/// Largest side of a picture, in pixels: twice that of 8K.
pub const MAX_SIDE: u32 = 16_384;

pub(crate) fn check_size(width: u32, height: u32) -> Result<(), PictureError> {
    if (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height) {
        Ok(())
    } else {
        Err(PictureError::Size { width, height })
    }
}

impl<'a> PictureView<'a> {
    /// Width in pixels.
    pub const fn width(&self) -> u32 {
        match self {
            Self::I420(picture) => picture.width,
            Self::Nv12(picture) => picture.width,
        }
    }

    /// Height in pixels.
    pub const fn height(&self) -> u32 {
        match self {
            Self::I420(picture) => picture.height,
            Self::Nv12(picture) => picture.height,
        }
    }

    /// Luma.
    pub const fn luma(&self) -> PlaneView<'a> {
        let (bytes, stride) = match self {
            Self::I420(picture) => (picture.y, picture.y_stride),
            Self::Nv12(picture) => (picture.y, picture.y_stride),
        };
        PlaneView {
            bytes,
            stride,
            step: 1,
        }
    }

    /// Blue and red difference, of half the width and height, rounded up.
    pub fn chroma(&self) -> [PlaneView<'a>; 2] {
        let plane = |bytes, stride, step| PlaneView {
            bytes,
            stride,
            step,
        };
        match self {
            Self::I420(picture) => [
                plane(picture.u, picture.u_stride, 1),
                plane(picture.v, picture.v_stride, 1),
            ],
            Self::Nv12(picture) => {
                let red = picture.uv.get(1..).unwrap_or_default();
                [picture.uv, red].map(|bytes| plane(bytes, picture.uv_stride, 2))
            }
        }
    }

    /// How colours were coded.
    pub const fn coding(&self) -> (ColourMatrix, ColourRange) {
        match self {
            Self::I420(picture) => (picture.matrix, picture.range),
            Self::Nv12(picture) => (picture.matrix, picture.range),
        }
    }

    /// Checks that the planes hold what width, height and strides promise, so
    /// that nothing that reads them needs to check again.
    pub fn check(&self) -> Result<(), PictureError> {
        match self {
            Self::I420(picture) => picture.check(),
            Self::Nv12(picture) => picture.check(),
        }
    }
}

impl Nv12View<'_> {
    /// Checks that the planes hold what width, height and strides promise.
    pub fn check(&self) -> Result<(), PictureError> {
        check_size(self.width, self.height)?;
        let (width, height) = (self.width as usize, self.height as usize);
        check_planes(
            (self.width, self.height),
            &[
                ("y", self.y, self.y_stride, width, height),
                (
                    "uv",
                    self.uv,
                    self.uv_stride,
                    2 * width.div_ceil(2),
                    height.div_ceil(2),
                ),
            ],
        )
    }
}

impl I420View<'_> {
    /// Checks that the planes hold what width, height and strides promise, so
    /// that nothing that reads them needs to check again.
    pub fn check(&self) -> Result<(), PictureError> {
        check_size(self.width, self.height)?;
        let (width, height) = (self.width as usize, self.height as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        check_planes(
            (self.width, self.height),
            &[
                ("y", self.y, self.y_stride, width, height),
                ("u", self.u, self.u_stride, half_width, half_height),
                ("v", self.v, self.v_stride, half_width, half_height),
            ],
        )
    }
}

/// Name, bytes, stride, bytes per row and rows of a plane.
type Plane<'a> = (&'static str, &'a [u8], usize, usize, usize);

fn check_planes(picture: (u32, u32), planes: &[Plane<'_>]) -> Result<(), PictureError> {
    for (plane, bytes, stride, width, height) in planes {
        let needed = stride.saturating_mul(height - 1).saturating_add(*width);
        if stride < width || bytes.len() < needed {
            return Err(PictureError::Plane {
                plane,
                width: picture.0,
                height: picture.1,
                found: bytes.len(),
                needed: needed.max(width.saturating_mul(*height)),
            });
        }
    }
    Ok(())
}
