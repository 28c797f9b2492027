//! A painted road seen by a small camera, pixel by pixel from a hash: the same
//! everywhere, without a random number.

use protocol::EventTime;

use crate::SmallPicture;

/// Two by two pixels are one cell.
pub(super) const WIDTH: usize = 320;
pub(super) const HEIGHT: usize = 180;

/// What the camera sees at an instant.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// Exposure: what a luma of the place is multiplied by.
    pub(super) gain: f64,
    /// And what is added.
    pub(super) offset: f64,
    /// Standard deviation of the sensor's noise, per pixel, luma.
    pub(super) noise: f64,
    /// Streaks of rain in the picture.
    pub(super) rain: usize,
    /// Where the camera looks, pixels off.
    pub(super) sway: (f64, f64),
    /// As infrared light shows it: leaves are bright, the sky is black.
    pub(super) infrared: bool,
    /// Things in the picture: left, top, width, height in pixels, and their luma.
    pub(super) things: Vec<([f64; 4], f64)>,
    /// Patches of light on the ground: middle, radius in pixels, and how much brighter.
    pub(super) lights: Vec<([f64; 3], f64)>,
}

pub(super) const fn day() -> View {
    View {
        gain: 1.0,
        offset: 0.0,
        noise: 3.0,
        rain: 0,
        sway: (0.0, 0.0),
        infrared: false,
        things: Vec::new(),
        lights: Vec::new(),
    }
}

pub(super) fn night() -> View {
    View {
        gain: 0.25,
        // Already the mean of 36 pixels of a 1080p picture.
        noise: 2.5,
        ..day()
    }
}

/// 0 to 1, a hash of whole numbers.
pub(super) fn chance(a: u64, b: u64, c: u64) -> f64 {
    let mut x = a
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F))
        .wrapping_add(c.wrapping_mul(0x1656_67B1_9E37_79F9));
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// Luma of the place, unlit by anything else, at a pixel.
fn place(x: i64, y: i64, infrared: bool) -> f64 {
    let key = |v: i64| v.cast_unsigned();
    let texture = 14.0 * chance(key(x.div_euclid(3)), key(y.div_euclid(3)), 1);
    let day = if y < 60 {
        // House fronts with windows, and trees between them.
        let wall = 90.0 + 110.0 * chance(key(x.div_euclid(44)), 0, 2);
        let is_window = x.rem_euclid(14) > 7 && y.rem_euclid(18) > 9;
        if is_window { wall * 0.5 } else { wall }
    } else {
        let is_dash = (x - y / 2).rem_euclid(60) < 4 && y.rem_euclid(30) < 18;
        if is_dash { 200.0 } else { 95.0 }
    };
    if infrared {
        // Nothing like an exposure: each material answers in its own way.
        40.0 + 130.0 * chance(key(x.div_euclid(20)), key(y.div_euclid(15)), 3) + texture
    } else {
        day + texture
    }
}

/// The picture of frame `number`.
pub(super) fn paint(view: &View, number: u64) -> Vec<u8> {
    let mut luma = vec![0.0_f64; WIDTH * HEIGHT];
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (px, py) = (x as f64, y as f64);
            let (sx, sy) = (px + view.sway.0, py + view.sway.1);
            let mut value = blended(sx, sy, view.infrared);
            for ([left, top, width, height], brightness) in &view.things {
                if (*left..left + width).contains(&px) && (*top..top + height).contains(&py) {
                    value = *brightness;
                }
            }
            value = view.gain * value + view.offset;
            for ([cx, cy, radius], more) in &view.lights {
                let far = ((px - cx) * (px - cx) + (py - cy) * (py - cy)) / (radius * radius);
                if far < 1.0 {
                    value += more * (1.0 - far);
                }
            }
            luma[y * WIDTH + x] = value;
        }
    }
    for streak in 0..view.rain {
        let at = |what: u64| chance(number, streak as u64, what);
        let (x, y) = (
            (at(11) * WIDTH as f64) as usize,
            (at(12) * HEIGHT as f64) as usize,
        );
        let length = 8 + (at(13) * 16.0) as usize;
        for step in 0..length.min(HEIGHT - y) {
            luma[(y + step) * WIDTH + x] += 35.0;
        }
    }
    let noisy = luma.iter().enumerate().map(|(pixel, value)| {
        // The sum of four even numbers is near enough to a normal one.
        let sum: f64 = (0..4)
            .map(|k| chance(number, pixel as u64, 20 + k) - 0.5)
            .sum();
        (value + view.noise * sum * 1.732).clamp(0.0, 255.0) as u8
    });
    noisy.collect()
}

/// Between pixels the place is blended, so that a camera may sway by parts of one.
fn blended(x: f64, y: f64, infrared: bool) -> f64 {
    let (fx, fy) = (x - x.floor(), y - y.floor());
    let (x, y) = (x.floor() as i64, y.floor() as i64);
    if fx == 0.0 && fy == 0.0 {
        return place(x, y, infrared);
    }
    let row = |y: i64| place(x, y, infrared) * (1.0 - fx) + place(x + 1, y, infrared) * fx;
    row(y) * (1.0 - fy) + row(y + 1) * fy
}

pub(super) fn small(view: &View, number: u64) -> SmallPicture {
    let luma = paint(view, number);
    SmallPicture::of(&luma, WIDTH, WIDTH, HEIGHT).unwrap()
}

pub(super) fn at(seconds: f64) -> EventTime {
    EventTime::from_micros((seconds * 1e6).round() as i64)
}
