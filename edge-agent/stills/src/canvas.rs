//! Shapes and letters, blended into the bytes of a picture.
//!
//! Every shape is first drawn as coverage on a mask of its own size (OpenCV,
//! antialiased, a sixteenth of a pixel), then blended: so a zone can be
//! translucent and a path can fade without beads where its segments meet.

use opencv::core::{self, Mat, Scalar, Vector};
use opencv::imgproc;

use crate::clip::{self, Area, Spot};
use crate::text::TextLine;

/// A colour and how much of what lies below it still shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    /// Blue, green and red.
    pub(crate) bgr: [u8; 3],
    /// 0 to 1.
    pub(crate) opacity: f64,
}

impl Paint {
    /// `opacity` is 0 to 1.
    pub(crate) const fn new(bgr: [u8; 3], opacity: f64) -> Self {
        Self { bgr, opacity }
    }
}

/// The picture being drawn upon.
pub(crate) struct Canvas<'a> {
    /// The whole picture, in pixels.
    pub(crate) area: Area,
    width: usize,
    bgr: &'a mut [u8],
}

impl<'a> Canvas<'a> {
    /// `bgr` holds `width` × `height` pixels.
    pub(crate) fn new(width: u32, height: u32, bgr: &'a mut [u8]) -> Self {
        Self {
            area: Area::new(0.0, 0.0, f64::from(width), f64::from(height)),
            width: width as usize,
            bgr,
        }
    }

    /// Fills a polygon.
    pub(crate) fn fill(&mut self, spots: &[Spot], paint: Paint) -> opencv::Result<()> {
        // The cut edges stay outside the picture, where nobody sees them.
        let spots = clip::polygon(spots, &self.area.grown(4.0));
        let Some(mut mask) = self.mask(&spots, 2.0) else {
            return Ok(());
        };
        let outline: Vector<core::Point> = spots.iter().map(|s| mask.fixed(*s)).collect();
        let polygons: Vector<Vector<core::Point>> = Vector::from_iter([outline]);
        imgproc::fill_poly(
            &mut mask.mat()?,
            &polygons,
            Scalar::all(255.0),
            imgproc::LINE_AA,
            Mask::SHIFT,
            core::Point::new(0, 0),
        )?;
        self.blend(&mask, paint);
        Ok(())
    }

    /// Fills an upright rectangle.
    pub(crate) fn fill_area(&mut self, area: &Area, paint: Paint) {
        let Some(mut mask) = self.mask(&area.corners(), 0.0) else {
            return;
        };
        mask.cover.fill(255);
        self.blend(&mask, paint);
    }

    /// Draws along `spots`, joined to the first again when `closed`.
    pub(crate) fn stroke(
        &mut self,
        spots: &[Spot],
        closed: bool,
        thickness: f64,
        paint: Paint,
    ) -> opencv::Result<()> {
        let back = (closed && spots.len() > 2)
            .then(|| Some((*spots.last()?, *spots.first()?)))
            .flatten();
        let segments = spots.windows(2).map(|pair| (pair[0], pair[1])).chain(back);
        self.segments(
            &segments.map(|s| (s, 1.0)).collect::<Vec<_>>(),
            thickness,
            paint,
        )
    }

    /// As [`stroke`](Self::stroke), hardly visible at the first spot.
    pub(crate) fn stroke_fading(
        &mut self,
        spots: &[Spot],
        thickness: f64,
        paint: Paint,
    ) -> opencv::Result<()> {
        let count = spots.len() as f64;
        let segments: Vec<_> = spots
            .windows(2)
            .enumerate()
            .map(|(nth, pair)| ((pair[0], pair[1]), 0.12 + 0.88 * (nth as f64 + 2.0) / count))
            .collect();
        self.segments(&segments, thickness, paint)
    }

    /// Segments with a strength each; where they overlap the later one counts.
    fn segments(
        &mut self,
        segments: &[((Spot, Spot), f64)],
        thickness: f64,
        paint: Paint,
    ) -> opencv::Result<()> {
        let margin = thickness + 2.0;
        let near = self.area.grown(margin);
        let seen: Vec<_> = segments
            .iter()
            .filter_map(|((from, to), strength)| {
                clip::segment(*from, *to, &near).map(|ends| (ends, *strength))
            })
            .collect();
        let ends: Vec<Spot> = seen.iter().flat_map(|((a, b), _)| [*a, *b]).collect();
        let Some(mut mask) = self.mask(&ends, margin) else {
            return Ok(());
        };
        #[allow(clippy::cast_possible_truncation, reason = "a thickness in pixels")]
        let thickness = thickness.round().max(1.0) as i32;
        for ((from, to), strength) in seen {
            let (from, to) = (mask.fixed(from), mask.fixed(to));
            imgproc::line(
                &mut mask.mat()?,
                from,
                to,
                Scalar::all(255.0 * strength),
                thickness,
                imgproc::LINE_AA,
                Mask::SHIFT,
            )?;
        }
        self.blend(&mask, paint);
        Ok(())
    }

    /// Writes a line of text with its top left corner at `left`, `top`.
    pub(crate) fn write(&mut self, line: &TextLine, left: f64, top: f64, bgr: [u8; 3]) {
        let (width, height) = (self.width, self.bgr.len() / 3 / self.width);
        line.draw(left, top, |x, y, coverage| {
            let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
                return;
            };
            if x < width && y < height {
                let at = (y * width + x) * 3;
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "coverage is 0 to 1"
                )]
                let share = (coverage * 256.0) as u32;
                mix(&mut self.bgr[at..at + 3], bgr, share);
            }
        });
    }

    /// An empty mask over the part of the picture within `margin` of `spots`.
    fn mask(&self, spots: &[Spot], margin: f64) -> Option<Mask> {
        let wanted = Area::around(spots)?.grown(margin);
        let left = wanted.left.max(0.0).floor();
        let top = wanted.top.max(0.0).floor();
        let width = wanted.right.min(self.area.right).ceil() - left;
        let height = wanted.bottom.min(self.area.bottom).ceil() - top;
        if !(width >= 1.0 && height >= 1.0) {
            return None;
        }
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "inside the picture, so 0 to MAX_SIDE"
        )]
        let [left, top, width, height] = [left, top, width, height].map(|side| side as usize);
        Some(Mask {
            left,
            top,
            width,
            cover: vec![0; width * height],
        })
    }

    fn blend(&mut self, mask: &Mask, paint: Paint) {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an opacity is 0 to 1"
        )]
        let opacity = (paint.opacity.clamp(0.0, 1.0) * 256.0) as u32;
        let rows = self.bgr.chunks_exact_mut(self.width * 3).skip(mask.top);
        for (row, cover) in rows.zip(mask.cover.chunks_exact(mask.width)) {
            let pixels = row[mask.left * 3..].chunks_exact_mut(3);
            for (pixel, cover) in pixels.zip(cover) {
                if *cover != 0 {
                    // 255 becomes 256, so that full coverage is full.
                    let cover = u32::from(*cover) + u32::from(*cover >> 7);
                    mix(pixel, paint.bgr, (cover * opacity) >> 8);
                }
            }
        }
    }
}

/// Moves a pixel towards a colour by `share` of 256.
#[inline]
fn mix(pixel: &mut [u8], bgr: [u8; 3], share: u32) {
    for (old, new) in pixel.iter_mut().zip(bgr) {
        let sum = u32::from(*old) * (256 - share) + u32::from(new) * share + 128;
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a mean of two bytes is a byte"
        )]
        {
            *old = (sum >> 8) as u8;
        }
    }
}

/// Coverage of a part of the picture, 255 being full.
struct Mask {
    left: usize,
    top: usize,
    width: usize,
    cover: Vec<u8>,
}

impl Mask {
    /// Bits of a pixel's fraction in OpenCV's fixed point.
    const SHIFT: i32 = 4;

    fn mat(&mut self) -> opencv::Result<opencv::boxed_ref::BoxedRefMut<'_, Mat>> {
        Mat::new_rows_cols_with_bytes_mut::<u8>(
            i32::try_from(self.cover.len() / self.width)?,
            i32::try_from(self.width)?,
            &mut self.cover,
        )
    }

    /// Relative to the mask; OpenCV counts from the middle of the first pixel, we from its corner.
    fn fixed(&self, spot: Spot) -> core::Point {
        let place = |at: f64, start: usize| {
            let scale = f64::from(1 << Self::SHIFT);
            #[allow(clippy::cast_possible_truncation, reason = "clipped near the picture")]
            let place = ((at - start as f64 - 0.5) * scale).round() as i32;
            place
        };
        core::Point::new(place(spot.x, self.left), place(spot.y, self.top))
    }
}
