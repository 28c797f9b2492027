//! Which stills can be learnt from: whole, decodable, and of a camera.

use std::io::Cursor;
use std::path::Path;

use image::{ImageReader, Limits, RgbImage};
use protocol::Digest;
use sha2::{Digest as _, Sha256};

/// Mean luma (0 to 255) below which a picture counts as taken at night: the
/// number that `edge-agent models evaluate` uses.
pub const NIGHT_LUMA: f64 = 60.0;

/// Larger than any still of a box, bytes.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// Largest side, pixels.
const MAX_SIDE: u32 = 16_384;
/// Largest memory for one picture, bytes.
const MAX_MEMORY: u64 = 512 * 1024 * 1024;

/// Where a box has no frame at hand it draws the scene on ground of this colour
/// (red, green, blue; `edge_stills::BACKDROP`). JPEG moves it by a little.
const BACKDROP: [u8; 3] = [36, 40, 46];
/// No street has more of its pixels in that very colour.
const DRAWN_FROM: f64 = 0.4;

/// What the file itself tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Mean luma (BT.601), 0 to 255.
    pub luma: f64,
}

impl Look {
    /// Whether it was taken at night.
    pub fn is_night(&self) -> bool {
        self.luma < NIGHT_LUMA
    }
}

/// Why a still cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It should be; what is wrong.
    Fault(String),
    /// It has not been uploaded.
    Missing,
    /// It is a drawing of the scene.
    Drawing,
}

impl Unfit {
    /// For the count of what was left out.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Fault(_) => "stills that are damaged",
            Self::Missing => "stills that have not arrived or were deleted",
            Self::Drawing => "stills that are drawings, not pictures",
        }
    }
}

/// Reads a file of the evidence store.
pub(super) fn look(path: &Path, digest: Digest) -> Result<(Look, Vec<u8>), Unfit> {
    let fault = |error: &dyn std::fmt::Display| Unfit::Fault(error.to_string());
    let length = match std::fs::metadata(path) {
        Ok(file) => file.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Unfit::Missing),
        Err(error) => return Err(fault(&error)),
    };
    if length > MAX_FILE {
        return Err(fault(&"it is larger than any still"));
    }
    let bytes = std::fs::read(path).map_err(|error| fault(&error))?;
    if Digest(Sha256::digest(&bytes).into()) != digest {
        return Err(fault(&"its bytes have another SHA-256 than its name"));
    }
    let mut reader = ImageReader::new(Cursor::new(&bytes))
        .with_guessed_format()
        .map_err(|error| fault(&error))?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let picture = reader.decode().map_err(|error| fault(&error))?.into_rgb8();
    if drawn_part(&picture) >= DRAWN_FROM {
        return Err(Unfit::Drawing);
    }
    let look = Look {
        width: picture.width(),
        height: picture.height(),
        luma: mean_luma(&picture),
    };
    Ok((look, bytes))
}

/// Rounded to a tenth: it is published, and need not say more.
fn mean_luma(picture: &RgbImage) -> f64 {
    let sum: u64 = picture
        .pixels()
        .map(|pixel| {
            let [r, g, b] = pixel.0.map(u64::from);
            299 * r + 587 * g + 114 * b
        })
        .sum();
    let count = u64::from(picture.width()) * u64::from(picture.height());
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    let mean = sum as f64 / 1000.0 / count.max(1) as f64;
    (mean * 10.0).round() / 10.0
}

fn drawn_part(picture: &RgbImage) -> f64 {
    let is_ground = |pixel: &image::Rgb<u8>| {
        (pixel.0.iter())
            .zip(BACKDROP)
            .all(|(value, ground)| value.abs_diff(ground) <= 3)
    };
    let ground = picture.pixels().filter(|pixel| is_ground(pixel)).count();
    #[allow(clippy::cast_precision_loss)] // far below 2^53
    let part =
        ground as f64 / f64::from(picture.width().max(1)) / f64::from(picture.height().max(1));
    part
}
