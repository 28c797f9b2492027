//! A decoded picture as every decoder gives it: three planes of bytes.

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
        /// `y`, `u` or `v`.
        plane: char,
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

impl I420View<'_> {
    /// Checks that the planes hold what width, height and strides promise, so
    /// that nothing that reads them needs to check again.
    pub fn check(&self) -> Result<(), PictureError> {
        check_size(self.width, self.height)?;
        let (width, height) = (self.width as usize, self.height as usize);
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        for (plane, bytes, stride, width, height) in [
            ('y', self.y, self.y_stride, width, height),
            ('u', self.u, self.u_stride, half_width, half_height),
            ('v', self.v, self.v_stride, half_width, half_height),
        ] {
            let needed = stride.saturating_mul(height - 1).saturating_add(width);
            if stride < width || bytes.len() < needed {
                return Err(PictureError::Plane {
                    plane,
                    width: self.width,
                    height: self.height,
                    found: bytes.len(),
                    needed: needed.max(width.saturating_mul(height)),
                });
            }
        }
        Ok(())
    }
}
