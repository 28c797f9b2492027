//! A picture file (JPEG, PNG) as a camera would have given it: planes of luma and chroma.
//!
//! Self-tests and evaluations must go the way of a camera's frame, or they would
//! judge another letterbox than the one at work. Chroma is halved both ways, as
//! in every camera's stream; for most JPEGs that loses nothing.

use std::io::{BufReader, Cursor};
use std::path::Path;

use image::{GenericImageView as _, ImageFormat, ImageReader, Limits, RgbImage};
use models::{ColourMatrix, ColourRange, Crop, I420View, PictureView};

/// Largest side; larger is no camera's picture, or a bomb.
const MAX_SIDE: u32 = 16_384;
/// Largest memory for one picture, bytes.
const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// A picture that cannot be read, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("picture {what}: {message}; give JPEG or PNG")]
pub struct StillError {
    what: String,
    message: String,
}

/// A decoded picture: full range, BT.601, as in JPEG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    width: u32,
    height: u32,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl Still {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, StillError> {
        Original::open(path).map(|original| original.still())
    }

    /// Reads the bytes of a file; `what` is for messages.
    pub fn read(bytes: &[u8], what: &str) -> Result<Self, StillError> {
        Original::read(bytes, what).map(|original| original.still())
    }

    /// Of rows of red, green, blue.
    fn of_rgb(width: u32, height: u32, rgb: &[u8]) -> Self {
        let (columns, rows) = (width as usize, height as usize);
        let (half_columns, half_rows) = (columns.div_ceil(2), rows.div_ceil(2));
        let mut lumas = Vec::with_capacity(columns * rows);
        // Sums over the up to four pixels of each chroma sample.
        let mut sums = vec![[0.0_f32, 0.0, 0.0]; half_columns * half_rows];
        for (at, pixel) in rgb.chunks_exact(3).enumerate() {
            let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(f32::from);
            let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
            lumas.push(to_byte(luma));
            let sum = &mut sums[(at / columns / 2) * half_columns + (at % columns) / 2];
            sum[0] += (blue - luma) / 1.772;
            sum[1] += (red - luma) / 1.402;
            sum[2] += 1.0;
        }
        let chroma = |which: usize| -> Vec<u8> {
            let mean = |sum: &[f32; 3]| to_byte(128.0 + sum[which] / sum[2]);
            sums.iter().map(mean).collect()
        };
        Self {
            width,
            height,
            u: chroma(0),
            v: chroma(1),
            y: lumas,
        }
    }

    /// Width and height, pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// As detectors read it.
    pub fn view(&self) -> I420View<'_> {
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
            range: ColourRange::Full,
        }
    }
}

/// A decoded picture in the colours of its file, to cut parts out of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    picture: RgbImage,
    what: String,
}

impl Original {
    /// Reads a file.
    pub fn open(path: &Path) -> Result<Self, StillError> {
        let what = path.display().to_string();
        match std::fs::File::open(path) {
            Ok(file) => Self::decode(BufReader::new(file), &what),
            Err(error) => Err(failed(&what, &error)),
        }
    }

    /// Reads the bytes of a file; `what` is for messages.
    pub fn read(bytes: &[u8], what: &str) -> Result<Self, StillError> {
        Self::decode(Cursor::new(bytes), what)
    }

    fn decode(from: impl std::io::BufRead + std::io::Seek, what: &str) -> Result<Self, StillError> {
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_SIDE);
        limits.max_image_height = Some(MAX_SIDE);
        limits.max_alloc = Some(MAX_BYTES);
        let mut reader = ImageReader::new(from)
            .with_guessed_format()
            .map_err(|error| failed(what, &error))?;
        reader.limits(limits);
        let picture = reader.decode().map_err(|error| failed(what, &error))?;
        Ok(Self {
            picture: picture.into_rgb8(),
            what: what.to_owned(),
        })
    }

    /// As a camera would have given it.
    pub fn still(&self) -> Still {
        let (width, height) = self.picture.dimensions();
        Still::of_rgb(width, height, self.picture.as_raw())
    }

    /// These pixels of it as a PNG, which loses nothing. A crop that does not lie in it is an error.
    pub fn png(&self, crop: &Crop) -> Result<Vec<u8>, StillError> {
        let part = self
            .picture
            .try_view(crop.x, crop.y, crop.width, crop.height);
        let part = part.map_err(|error| failed(&self.what, &error))?;
        let mut bytes = Cursor::new(Vec::new());
        part.to_image()
            .write_to(&mut bytes, ImageFormat::Png)
            .map_err(|error| failed(&self.what, &error))?;
        Ok(bytes.into_inner())
    }
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> StillError {
    StillError {
        what: what.to_owned(),
        message: error.to_string(),
    }
}

/// Mean luma of a picture on the scale of full range, 0 to 255.
pub fn mean_luma<'p>(picture: impl Into<PictureView<'p>>) -> f64 {
    let picture = picture.into();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let luma = picture.luma();
    let mut sum = 0_u64;
    for row in luma.bytes.chunks(luma.stride.max(1)).take(height) {
        sum += row.iter().take(width).map(|v| u64::from(*v)).sum::<u64>();
    }
    let mean = sum as f64 / (width * height).max(1) as f64;
    match picture.coding().1 {
        ColourRange::Full => mean,
        ColourRange::Limited => ((mean - 16.0) * 255.0 / 219.0).clamp(0.0, 255.0),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
fn to_byte(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
        let picture = image::RgbImage::from_pixel(width, height, image::Rgb(colour));
        let mut bytes = Vec::new();
        picture
            .write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png)
            .unwrap();
        bytes
    }

    #[test]
    fn colours_become_planes_also_of_odd_sizes() {
        for (colour, expected) in [
            ([0, 0, 0], (0, 128, 128)),
            ([255, 255, 255], (255, 128, 128)),
            ([255, 0, 0], (76, 85, 255)),
            ([0, 0, 255], (29, 255, 107)),
        ] {
            let still = Still::read(&png(5, 3, colour), "a.png").unwrap();
            assert_eq!((still.y.len(), still.u.len()), (15, 6));
            assert_eq!(
                (still.y[14], still.u[5], still.v[5]),
                expected,
                "{colour:?}"
            );
        }
        let grey = Still::read(&png(8, 8, [100, 100, 100]), "a.png").unwrap();
        assert_eq!(mean_luma(&grey.view()), 100.0);
    }

    #[test]
    fn what_is_cut_out_has_the_luma_of_its_place_and_nothing_beyond() {
        let byte = |number: u32| u8::try_from(number % 256).unwrap();
        let colours = |x, y| image::Rgb([byte(x * 37), byte(y * 91), 9]);
        let picture = RgbImage::from_fn(31, 23, colours);
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
        let original = Original::decode(Cursor::new(bytes.into_inner()), "a.png").unwrap();
        let whole = original.still();
        let crop = Crop {
            x: 5,
            y: 3,
            width: 11,
            height: 7,
        };
        let part = Still::read(&original.png(&crop).unwrap(), "part.png").unwrap();
        assert_eq!(part.size(), (11, 7));
        for row in 0..7 {
            let at = (3 + row) * 31 + 5;
            assert_eq!(part.y[row * 11..][..11], whole.y[at..][..11]);
        }
        let beyond = Crop { width: 27, ..crop };
        let message = original.png(&beyond).unwrap_err().to_string();
        assert!(message.contains("picture a.png: "), "{message}");
    }

    #[test]
    fn what_is_no_picture_is_named() {
        for bytes in [&b""[..], b"hello", &png(8, 8, [1, 2, 3])[..40]] {
            let message = Still::read(bytes, "x.jpg").unwrap_err().to_string();
            assert!(message.contains("picture x.jpg: ") && message.contains("give JPEG"));
        }
    }
}
