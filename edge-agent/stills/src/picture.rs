//! A picture in memory: made from a decoded frame or blank, drawn upon, encoded.
//!
//! The bytes are a plain `Vec` that OpenCV borrows while it works, so the
//! annotated clip and the JPEG come from the same buffer and nothing is unsafe.

use opencv::core::{Mat, Vec3b, Vector};
use opencv::imgcodecs;
use opencv::prelude::{MatTraitConst, MatTraitConstManual, VectorToVec};

use crate::overlay::Overlay;
use crate::planes::YuvPlanes;
use crate::{StillError, draw, legend, single_threaded};

/// Longest side of a still, in pixels.
pub const MAX_SIDE: u32 = 16_384;
/// Largest area of a still, in pixels: twice an 8K camera's.
pub const MAX_PIXELS: u64 = 1 << 26;
/// Blue, green and red of the canvas for a camera that has no picture: dark, so that drawings stand out.
pub const BACKDROP: [u8; 3] = [46, 40, 36];

/// Pixels of 8-bit blue, green and red, rows from the top, without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    bgr: Vec<u8>,
}

impl Picture {
    /// From a decoded frame.
    pub fn from_yuv(planes: &YuvPlanes<'_>) -> Result<Self, StillError> {
        let mut picture = Self::allocate(planes.width, planes.height)?;
        planes.check()?;
        planes
            .fill(&mut picture.bgr)
            .map_err(|source| StillError::Planes {
                width: planes.width,
                height: planes.height,
                source,
            })?;
        Ok(picture)
    }

    /// The part of a decoded frame between these edges, as [`part`](Self::part) of the whole of it; only that
    /// part is converted.
    pub fn part_of_yuv(
        planes: &YuvPlanes<'_>,
        left: f64,
        top: f64,
        right: f64,
        bottom: f64,
    ) -> Result<Self, StillError> {
        // Held only if the whole could be.
        Self::size_fits(planes.width, planes.height)?;
        planes.check()?;
        let [x, y, width, height] =
            pixels([left, top, right, bottom], [planes.width, planes.height]);
        let (near, [x_there, y_there]) = planes.around([x, y, width, height]);
        Self::from_yuv(&near)?.cut([x - x_there, y - y_there, width, height])
    }

    /// From a JPEG or PNG file's bytes.
    pub fn from_encoded(bytes: &[u8]) -> Result<Self, StillError> {
        let unreadable = |source| StillError::Unreadable { source };
        single_threaded().map_err(unreadable)?;
        let encoded = Vector::<u8>::from_slice(bytes);
        let mat = imgcodecs::imdecode(&encoded, imgcodecs::IMREAD_COLOR).map_err(unreadable)?;
        let size = mat.size().map_err(unreadable)?;
        let (width, height) = (size.width.unsigned_abs(), size.height.unsigned_abs());
        let mut picture = Self::allocate(width, height)?;
        let pixels = mat.data_typed::<Vec3b>().map_err(unreadable)?;
        for (to, from) in picture.bgr.chunks_exact_mut(3).zip(pixels) {
            to.copy_from_slice(&from.0);
        }
        Ok(picture)
    }

    /// Of one colour (blue, green, red); [`BACKDROP`] suits schematic pictures of simulated cameras.
    pub fn blank(width: u32, height: u32, bgr: [u8; 3]) -> Result<Self, StillError> {
        let mut picture = Self::allocate(width, height)?;
        for pixel in picture.bgr.chunks_exact_mut(3) {
            pixel.copy_from_slice(&bgr);
        }
        Ok(picture)
    }

    fn size_fits(width: u32, height: u32) -> Result<(), StillError> {
        let fits = (1..=MAX_SIDE).contains(&width)
            && (1..=MAX_SIDE).contains(&height)
            && u64::from(width) * u64::from(height) <= MAX_PIXELS;
        fits.then_some(()).ok_or(StillError::Size { width, height })
    }

    fn allocate(width: u32, height: u32) -> Result<Self, StillError> {
        Self::size_fits(width, height)?;
        Ok(Self {
            width,
            height,
            bgr: vec![0; width as usize * height as usize * 3],
        })
    }

    /// The part between these edges, in fractions of the picture; what lies
    /// outside is left off. At least one pixel.
    pub fn part(&self, left: f64, top: f64, right: f64, bottom: f64) -> Result<Self, StillError> {
        self.cut(pixels(
            [left, top, right, bottom],
            [self.width, self.height],
        ))
    }

    /// `width` × `height` pixels from `x`, `y` on, which lie in the picture.
    fn cut(&self, [x, y, width, height]: [u32; 4]) -> Result<Self, StillError> {
        let mut part = Self::allocate(width, height)?;
        let rows = self.bgr.chunks_exact(self.width as usize * 3);
        let across = part.width as usize * 3;
        for (to, from) in part.bgr.chunks_exact_mut(across).zip(rows.skip(y as usize)) {
            to.copy_from_slice(&from[x as usize * 3..][..across]);
        }
        Ok(part)
    }

    /// The whole of it in another size, each pixel the nearest one; as it is where that is its size.
    pub fn resized(self, width: u32, height: u32) -> Result<Self, StillError> {
        if (self.width, self.height) == (width, height) {
            return Ok(self);
        }
        let mut resized = Self::allocate(width, height)?;
        let (from, to) = (self.width as usize * 3, width as usize * 3);
        // The middle of each new pixel.
        let place =
            |n: usize, of: u32, in_all: u32| (2 * n + 1) * in_all as usize / (2 * of as usize);
        for (y, row) in resized.bgr.chunks_exact_mut(to).enumerate() {
            let above = &self.bgr[place(y, height, self.height) * from..][..from];
            for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&above[place(x, width, self.width) * 3..][..3]);
            }
        }
        Ok(resized)
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Blue, green and red of every pixel, rows from the top.
    pub fn bgr(&self) -> &[u8] {
        &self.bgr
    }

    /// The same, to write to.
    pub(crate) fn bgr_mut(&mut self) -> &mut [u8] {
        &mut self.bgr
    }

    /// Draws `overlay` on the picture.
    ///
    /// Whatever lies outside is clipped; a shape with a coordinate that is not
    /// a number is left out, because it has no place.
    pub fn draw(&mut self, overlay: &Overlay) -> Result<(), StillError> {
        single_threaded()
            .and_then(|()| draw::draw(self.width, self.height, &mut self.bgr, overlay))
            .map_err(|source| self.opencv_failed("draw on", source))
    }

    /// Makes the picture higher by a strip with `lines` below it, the first one in
    /// bold; long lines are broken between words. Nothing of the picture is covered.
    ///
    /// Lines for which a picture may not be high enough are left out.
    pub fn add_legend(&mut self, lines: &[String]) -> Result<(), StillError> {
        let highest = u64::from(MAX_SIDE).min(MAX_PIXELS / u64::from(self.width));
        let room = highest.saturating_sub(u64::from(self.height));
        let legend = legend::Legend::new(self.width, self.height, lines, room as f64);
        let added = legend.height();
        if added == 0 {
            return Ok(());
        }
        let top = self.height;
        let width = self.width as usize;
        for _ in 0..width * added as usize {
            self.bgr.extend_from_slice(&draw::INK);
        }
        self.height += added;
        legend.write(self.width, self.height, &mut self.bgr, f64::from(top));
        Ok(())
    }

    /// As a baseline JPEG; `quality` from 1 to 100, values outside are taken as the nearest.
    pub fn jpeg(&self, quality: u8) -> Result<Vec<u8>, StillError> {
        let quality = i32::from(quality.clamp(1, 100));
        self.encoded(".jpg", &[imgcodecs::IMWRITE_JPEG_QUALITY, quality])
    }

    /// As a PNG, which loses nothing.
    pub fn png(&self) -> Result<Vec<u8>, StillError> {
        self.encoded(".png", &[])
    }

    fn encoded(&self, kind: &str, settings: &[i32]) -> Result<Vec<u8>, StillError> {
        single_threaded()
            .and_then(|()| self.encode(kind, settings))
            .map_err(|source| self.opencv_failed("encode", source))
    }

    fn encode(&self, kind: &str, settings: &[i32]) -> opencv::Result<Vec<u8>> {
        let mat = Mat::new_rows_cols_with_bytes::<Vec3b>(
            i32::try_from(self.height)?,
            i32::try_from(self.width)?,
            &self.bgr,
        )?;
        let settings = Vector::from_slice(settings);
        let mut bytes = Vector::new();
        if !imgcodecs::imencode(kind, &mat, &mut bytes, &settings)? {
            return Err(opencv::Error::new(
                opencv::core::StsError,
                "imencode wrote nothing",
            ));
        }
        Ok(bytes.to_vec())
    }

    fn opencv_failed(&self, doing: &'static str, source: opencv::Error) -> StillError {
        StillError::OpenCv {
            doing,
            width: self.width,
            height: self.height,
            source,
        }
    }
}

/// Between these edges (left, top, right, bottom, in fractions of a picture of this size): the first column
/// and row, and how many; at least one.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held within the picture"
)]
fn pixels([left, top, right, bottom]: [f64; 4], [width, height]: [u32; 2]) -> [u32; 4] {
    let edge = |at: f64, side: u32| (at.clamp(0.0, 1.0) * f64::from(side)).round() as u32;
    let (x, y) = (
        edge(left, width).min(width - 1),
        edge(top, height).min(height - 1),
    );
    [
        x,
        y,
        edge(right, width).saturating_sub(x).max(1),
        edge(bottom, height).saturating_sub(y).max(1),
    ]
}
