//! Signal heads drawn as light falls on a sensor: by day and night, with bloom
//! and glare, shaken, and hidden.

use edge_core::{Lamp, LampColour, LampLayout};
use models::{ColourMatrix, ColourRange, I420View, Nv12View};
use protocol::NormBox;

use LampColour::{Amber, Green, Red};

use crate::{LampReading, read};

pub(super) type Rgb = [f64; 3];

pub(super) const RED: Rgb = [1.0, 0.10, 0.08];
const AMBER: Rgb = [1.0, 0.55, 0.05];
const GREEN: Rgb = [0.05, 0.95, 0.60];

/// The light that falls on the camera.
#[derive(Clone, Copy, Debug)]
pub(super) struct Light {
    /// Street, housing, unlit lens: brightness from 0 to 1.
    pub(super) street: f64,
    pub(super) housing: f64,
    pub(super) lens: f64,
    /// A lit lamp; above 1 it overexposes.
    pub(super) lamp: f64,
    /// How far its halo reaches, in lamp radii; 0: none.
    pub(super) halo: f64,
    /// Sunlight on the glass, from 0 to 1.
    pub(super) veil: f64,
}

pub(super) const DAY: Light = Light {
    street: 0.5,
    housing: 0.12,
    lens: 0.22,
    lamp: 0.95,
    halo: 0.0,
    veil: 0.0,
};
pub(super) const NIGHT: Light = Light {
    street: 0.03,
    housing: 0.01,
    lens: 0.01,
    lamp: 6.0,
    halo: 0.45,
    veil: 0.0,
};
pub(super) const GLARE: Light = Light { veil: 0.4, ..DAY };
pub(super) const DIM: Light = Light { lamp: 0.55, ..DAY };

/// A head of which some lamps are lit, and how it is looked at.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) light: Light,
    pub(super) lamps: Vec<LampColour>,
    pub(super) lit: Vec<LampColour>,
    pub(super) horizontal: bool,
    /// Pixels from lamp to lamp.
    pub(super) pitch: usize,
    /// By how much of the region the picture is shaken, along and across.
    pub(super) shake: (f64, f64),
    /// Whether lit lamps are arrows instead of discs.
    pub(super) arrow: bool,
    /// What stands before it: from where to where along the region, in which colour.
    pub(super) hidden: Option<(f64, f64, Rgb)>,
    pub(super) noise: f64,
    pub(super) matrix: ColourMatrix,
}

pub(super) fn head(light: Light, lit: &[LampColour]) -> Head {
    Head {
        light,
        lamps: vec![Red, Amber, Green],
        lit: lit.to_vec(),
        horizontal: false,
        pitch: 20,
        shake: (0.0, 0.0),
        arrow: false,
        hidden: None,
        noise: 0.01,
        matrix: ColourMatrix::Bt709,
    }
}

fn colour(lamp: LampColour) -> Rgb {
    match lamp {
        Red => RED,
        Amber => AMBER,
        Green => GREEN,
    }
}

impl Head {
    /// What the sensor gets at a place along and across the head, in lamp distances.
    fn at(&self, along: f64, across: f64) -> Rgb {
        let light = self.light;
        let long = self.lamps.len() as f64;
        if let Some((from, to, paint)) = self.hidden
            && (from..to).contains(&(along / long))
        {
            return paint;
        }
        let inside = (0.0..long).contains(&along) && (0.0..1.0).contains(&across);
        let base = if inside { light.housing } else { light.street };
        let mut rgb = [base; 3];
        for (index, lamp) in self.lamps.iter().enumerate() {
            let (u, v) = (along - index as f64 - 0.5, across - 0.5);
            let from_middle = (u * u + v * v).sqrt() / 0.38;
            let is_lit = self.lit.contains(lamp);
            let tint = colour(*lamp);
            if is_lit && self.arrow {
                let is_shaft = u.abs() < 0.09 && v.abs() < 0.32;
                let is_tip = (0.05..0.33).contains(&v) && u.abs() < 0.33 - v;
                if is_shaft || is_tip {
                    rgb = tint.map(|c| c * light.lamp);
                }
            } else if from_middle < 1.0 {
                let level = if is_lit { light.lamp } else { light.lens };
                rgb = tint.map(|c| c * level + 0.3 * light.lens);
            } else if is_lit && light.halo > 0.0 {
                let halo = 0.5 * light.lamp * libm::exp(-(from_middle - 1.0) / light.halo);
                for (sum, c) in rgb.iter_mut().zip(tint) {
                    *sum += c * halo;
                }
            }
        }
        rgb.map(|c| c * (1.0 - light.veil) + light.veil)
    }

    pub(super) fn read(&self) -> LampReading {
        let margin = self.pitch;
        let long = self.pitch * self.lamps.len();
        let (width, height) = if self.horizontal {
            (long + 2 * margin, self.pitch + 2 * margin)
        } else {
            (self.pitch + 2 * margin, long + 2 * margin)
        };
        let (kr, kb) = match self.matrix {
            ColourMatrix::Bt601 => (0.299, 0.114),
            ColourMatrix::Bt709 => (0.2126, 0.0722),
        };
        let pitch = self.pitch as f64;
        let mut noise = 12345_u32;
        let mut planes = [
            vec![],
            vec![0_u8; width.div_ceil(2) * height.div_ceil(2)],
            vec![],
        ];
        planes[2] = planes[1].clone();
        for y in 0..height {
            for x in 0..width {
                // Four rays for each pixel.
                let mut rgb = [0.0; 3];
                for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let px = (x as f64 + dx - margin as f64) / pitch;
                    let py = (y as f64 + dy - margin as f64) / pitch;
                    let (along, across) = if self.horizontal { (px, py) } else { (py, px) };
                    let long = self.lamps.len() as f64;
                    let ray = self.at(along - self.shake.0 * long, across - self.shake.1);
                    for (sum, c) in rgb.iter_mut().zip(ray) {
                        *sum += c.min(1.0) / 4.0;
                    }
                }
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let grain = (f64::from(noise >> 8) / f64::from(1 << 24) - 0.5) * 3.4 * self.noise;
                let luma = kr * rgb[0] + (1.0 - kr - kb) * rgb[1] + kb * rgb[2];
                planes[0].push(byte(16.0 + 219.0 * (luma + grain)));
                let at = y / 2 * width.div_ceil(2) + x / 2;
                planes[1][at] = byte(128.0 + 224.0 * (rgb[2] - luma) / (2.0 * (1.0 - kb)));
                planes[2][at] = byte(128.0 + 224.0 * (rgb[0] - luma) / (2.0 * (1.0 - kr)));
            }
        }
        let picture = I420View {
            width: u32::try_from(width).unwrap(),
            height: u32::try_from(height).unwrap(),
            y: &planes[0],
            y_stride: width,
            u: &planes[1],
            u_stride: width.div_ceil(2),
            v: &planes[2],
            v_stride: width.div_ceil(2),
            matrix: self.matrix,
            range: ColourRange::Limited,
        };
        let (w, h) = (width as f64, height as f64);
        let (m, long) = (margin as f64, long as f64);
        let region: NormBox = if self.horizontal {
            [m / w, m / h, long / w, pitch / h].into()
        } else {
            [m / w, m / h, pitch / w, long / h].into()
        };
        let lamp = Lamp {
            region,
            layout: if self.horizontal {
                LampLayout::Horizontal
            } else {
                LampLayout::Vertical
            },
            lamps: self.lamps.clone(),
        };
        let reading = read(&picture, &lamp);
        assert_eq!(reading, read(&by_turns(&picture).view(), &lamp));
        reading
    }
}

/// A picture as hardware decoders give it, with rows that are padded.
struct ByTurns<'p> {
    of: I420View<'p>,
    uv: Vec<u8>,
    uv_stride: usize,
}

fn by_turns<'p>(of: &I420View<'p>) -> ByTurns<'p> {
    let half = of.width.div_ceil(2) as usize;
    let uv_stride = 2 * half + 6;
    let rows = of.u.chunks(of.u_stride).zip(of.v.chunks(of.v_stride));
    let uv = rows.flat_map(|(u, v)| {
        let pairs = u[..half].iter().zip(v).flat_map(|(u, v)| [*u, *v]);
        pairs.chain([99; 6])
    });
    ByTurns {
        of: *of,
        uv: uv.collect(),
        uv_stride,
    }
}

impl ByTurns<'_> {
    fn view(&self) -> Nv12View<'_> {
        Nv12View {
            width: self.of.width,
            height: self.of.height,
            y: self.of.y,
            y_stride: self.of.y_stride,
            uv: &self.uv,
            uv_stride: self.uv_stride,
            matrix: self.of.matrix,
            range: self.of.range,
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `as` saturates
fn byte(value: f64) -> u8 {
    value.round() as u8
}
