//! Draws a plate into a picture: letters of DejaVu Sans Condensed on a coloured ground,
//! turned, seen from the side, small or blurred, before dark surroundings.

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use models::{ColourMatrix, ColourRange, I420View};

/// Luma, blue and red difference, full range.
pub(crate) type Colour = [f32; 3];

pub(crate) const WHITE: Colour = [215.0, 128.0, 128.0];
pub(crate) const YELLOW: Colour = [190.0, 40.0, 148.0];
pub(crate) const BLUE: Colour = [60.0, 190.0, 100.0];
const BLACK: Colour = [25.0, 128.0, 128.0];
/// Not colourless, as a road by day is not.
const AROUND: Colour = [70.0, 122.0, 131.0];

/// What is drawn and how it is seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawing {
    pub(crate) rows: &'static [&'static str],
    pub(crate) ground: Colour,
    /// Height of a row in the picture, pixels.
    pub(crate) row_px: f32,
    /// Turned clockwise, degrees.
    pub(crate) turned: f32,
    /// How much smaller the right edge is than the left one, as part of it.
    pub(crate) aslant: f32,
    /// Radius of the blur in the picture, pixels.
    pub(crate) blur: usize,
    /// Where the plate's middle is, in fractions of the picture.
    pub(crate) middle: [f32; 2],
}

impl Drawing {
    /// Straight, sharp and large, in the middle.
    pub(crate) const fn of(rows: &'static [&'static str]) -> Self {
        Self {
            rows,
            ground: WHITE,
            row_px: 40.0,
            turned: 0.0,
            aslant: 0.0,
            blur: 0,
            middle: [0.5, 0.55],
        }
    }
}

/// A picture's planes.
pub(crate) struct Picture {
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

pub(crate) const WIDTH: usize = 480;
pub(crate) const HEIGHT: usize = 360;

impl Picture {
    pub(crate) fn view(&self) -> I420View<'_> {
        I420View {
            width: WIDTH as u32,
            height: HEIGHT as u32,
            y: &self.y,
            y_stride: WIDTH,
            u: &self.u,
            u_stride: WIDTH / 2,
            v: &self.v,
            v_stride: WIDTH / 2,
            matrix: ColourMatrix::Bt601,
            range: ColourRange::Full,
        }
    }
}

/// Two plates in one picture: the upper half of one, the lower half of the other.
pub(crate) fn above(upper: &Drawing, lower: &Drawing) -> Picture {
    let (mut both, lower) = (draw(upper), draw(lower));
    for (plane, from) in [
        (&mut both.y, lower.y),
        (&mut both.u, lower.u),
        (&mut both.v, lower.v),
    ] {
        let half = plane.len() / 2;
        plane[half..].copy_from_slice(&from[half..]);
    }
    both
}

/// Pixels of the flat plate per row of it.
const SCALE: f32 = 96.0;

/// The plate alone, flat: how much of each pixel is ink, row by row.
struct Flat {
    width: usize,
    height: usize,
    ink: Vec<f32>,
}

impl Flat {
    fn of(rows: &[&str]) -> Self {
        let font = FontRef::try_from_slice(dejavu::sans_condensed::bold()).expect("a font");
        let font = font.as_scaled(PxScale::from(1.15 * SCALE));
        let length = |row: &str| -> f32 {
            row.chars()
                .map(|c| font.h_advance(font.glyph_id(c)) + 0.06 * SCALE)
                .sum()
        };
        let widest = rows.iter().map(|row| length(row)).fold(0.0, f32::max);
        let width = (widest + 0.5 * SCALE) as usize;
        let height = ((rows.len() as f32 + 0.3) * SCALE) as usize;
        let mut ink = vec![0.0; width * height];
        for (number, row) in rows.iter().enumerate() {
            let mut x = (width as f32 - length(row)) / 2.0;
            // Capitals are 0.73 of the size high.
            let base = (0.15 + number as f32 + 0.92) * SCALE;
            for c in row.chars() {
                let glyph = font
                    .glyph_id(c)
                    .with_scale_and_position(font.scale(), point(x, base));
                x += font.h_advance(glyph.id) + 0.06 * SCALE;
                if let Some(outline) = font.font.outline_glyph(glyph) {
                    let bounds = outline.px_bounds();
                    outline.draw(|dx, dy, covered| {
                        let at = (
                            bounds.min.x as usize + dx as usize,
                            bounds.min.y as usize + dy as usize,
                        );
                        if at.0 < width && at.1 < height {
                            ink[at.1 * width + at.0] = covered;
                        }
                    });
                }
            }
        }
        Self { width, height, ink }
    }
}

/// Draws.
pub(crate) fn draw(drawing: &Drawing) -> Picture {
    let flat = Flat::of(drawing.rows);
    let (sin, cos) = drawing.turned.to_radians().sin_cos();
    let (width, height) = (flat.width as f32, flat.height as f32);
    let colour_at = |x: f32, y: f32| -> Colour {
        let (dx, dy) = (
            x - drawing.middle[0] * WIDTH as f32,
            y - drawing.middle[1] * HEIGHT as f32,
        );
        let scale = SCALE / drawing.row_px;
        let (right, down) = ((dx * cos + dy * sin) * scale, (dy * cos - dx * sin) * scale);
        // From the side: what is further right is smaller.
        let depth = 1.0 - drawing.aslant * right / width;
        let (column, row) = (right / depth + width / 2.0, down / depth + height / 2.0);
        if !(0.0..width).contains(&column) || !(0.0..height).contains(&row) {
            return AROUND;
        }
        let covered = flat.ink[row as usize * flat.width + column as usize];
        // Blue plates are written in white.
        let writing = if drawing.ground[0] < 100.0 {
            WHITE
        } else {
            BLACK
        };
        std::array::from_fn(|i| drawing.ground[i] + (writing[i] - drawing.ground[i]) * covered)
    };
    let mut planes = [
        vec![0.0_f32; WIDTH * HEIGHT],
        vec![0.0; WIDTH * HEIGHT],
        vec![0.0; WIDTH * HEIGHT],
    ];
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            for sample in 0..16 {
                let (i, j) = ((sample % 4) as f32, (sample / 4) as f32);
                let colour = colour_at(x as f32 + (i + 0.5) / 4.0, y as f32 + (j + 0.5) / 4.0);
                for (plane, value) in planes.iter_mut().zip(colour) {
                    plane[y * WIDTH + x] += value / 16.0;
                }
            }
        }
    }
    let [y, u, v] = planes.map(|plane| blurred(&plane, drawing.blur));
    let halved = |plane: &[f32]| {
        let at = |x: usize, y: usize| plane[y * WIDTH + x];
        let rows = (0..HEIGHT).step_by(2);
        let means = rows.flat_map(|y| {
            (0..WIDTH).step_by(2).map(move |x| {
                byte((at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1)) / 4.0)
            })
        });
        means.collect()
    };
    Picture {
        u: halved(&u),
        v: halved(&v),
        y: y.iter().map(|value| byte(*value)).collect(),
    }
}

fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// The mean of a square around each pixel.
fn blurred(plane: &[f32], radius: usize) -> Vec<f32> {
    let mean = |x: usize, y: usize| {
        let (mut sum, mut count) = (0.0, 0.0);
        for row in y.saturating_sub(radius)..=(y + radius).min(HEIGHT - 1) {
            for column in x.saturating_sub(radius)..=(x + radius).min(WIDTH - 1) {
                sum += plane[row * WIDTH + column];
                count += 1.0;
            }
        }
        sum / count
    };
    (0..WIDTH * HEIGHT)
        .map(|at| mean(at % WIDTH, at / WIDTH))
        .collect()
}
