//! Lights in a lamp region: where along it, how strong, of which hue, and
//! whether they end at its sides as a lamp does.

use crate::patch::Patch;

/// Colour as strong as this, relative to the light's brightness, is a hue and not noise.
const COLOURED: f64 = 0.25;
/// Part of a light that must be coloured: the halo of an overexposed lamp is small.
const COLOURED_PART: f64 = 0.08;
/// Part of a light that has clipped when it is overexposed.
const OVEREXPOSED: f64 = 0.3;
/// How much of the colour must point the same way.
const ONE_HUE: f64 = 0.6;
/// A lamp's light falls off towards the sides; beyond this ratio of side to
/// middle it is a surface.
const FLAT: f64 = 0.92;
/// Up to this ratio it surely is a lamp.
const ROUND: f64 = 0.75;
/// Longest light, in distances between lamps. More is a surface, or bloom that
/// has swallowed the neighbours.
const LONGEST: f64 = 1.7;
/// Shortest light, likewise: lenses take two thirds of the distance, and half
/// of one still shows when the camera shakes.
const SHORTEST: f64 = 0.33;

/// Degrees between the hues of a light's two ends beyond which it is two lamps that
/// have run together, as a lit one and its neighbour in the sun. Red and amber are
/// about 30 apart, and one lamp has one colour.
const TWO_HUES: f64 = 10.0;

/// Something bright.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // four measurements, each of its own
pub(crate) struct Light {
    /// Its middle along the region, 0 to 1.
    pub(crate) place: f64,
    /// How much brighter than its surroundings, a fraction of full scale.
    pub(crate) strength: f64,
    /// In degrees, 0 to 360; `None` where it has no colour, or several.
    pub(crate) hue: Option<f64>,
    /// How much of it is coloured and how deeply, 0 to 1.
    pub(crate) saturation: f64,
    /// Whether much of it has clipped, so that red may look yellow.
    pub(crate) is_overexposed: bool,
    /// Brightness at the darker side of the region as a part of that in the middle.
    flatness: f64,
    is_too_long: bool,
    is_too_short: bool,
    /// Its ends differ in hue.
    is_two: bool,
    /// It is a narrow strip at an end of the region.
    is_at_end: bool,
}

impl Light {
    /// Whether it goes on beyond the region, so that it is no lamp.
    pub(crate) fn is_flat(&self) -> bool {
        self.flatness > FLAT || self.is_too_long
    }

    /// Whether it is more than one lamp, so that neither its place nor its hue is any lamp's.
    pub(crate) fn is_two(&self) -> bool {
        self.is_two
    }

    /// Whether it is the edge of something, as the sun draws on a visor, and not a disc.
    pub(crate) fn is_streak(&self) -> bool {
        self.is_too_short
    }

    /// Whether it is street or sky that seeps in past the end of the housing.
    pub(crate) fn is_seam(&self) -> bool {
        self.flatness > FLAT && self.is_at_end
    }

    /// 1 for a lamp, falling to 0 for what may be a surface.
    pub(crate) fn roundness(&self) -> f64 {
        ((FLAT + 0.03 - self.flatness) / (FLAT + 0.03 - ROUND)).clamp(0.0, 1.0)
    }
}

/// Lights that are at least `least` brighter than the housing, in order.
/// `spacing` is the distance between lamps as a part of the region.
pub(crate) fn find(patch: &Patch, spacing: f64, least: f64) -> Vec<Light> {
    let profile = profile(patch, spacing);
    let peak = profile.iter().copied().fold(0.0, f64::max);
    if peak < least {
        return Vec::new();
    }
    let mut lights = Vec::new();
    let mut begun = None;
    for (row, value) in profile.iter().chain(&[0.0]).enumerate() {
        match (begun, *value >= peak / 2.0) {
            (None, true) => begun = Some(row),
            (Some(from), false) => {
                lights.push(measure(patch, &profile, (from, row), spacing));
                begun = None;
            }
            _ => {}
        }
    }
    lights
}

/// How bright each row is: the mean of its brightest third, for an arrow fills
/// less of it than a disc, smoothed over a sixth of a lamp.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a few rows
fn profile(patch: &Patch, spacing: f64) -> Vec<f64> {
    let raw: Vec<f64> = patch
        .rows
        .iter()
        .map(|row| {
            let mut values: Vec<f64> = row.iter().map(|sample| sample.value).collect();
            values.sort_by(|a, b| b.total_cmp(a));
            values.truncate(values.len().div_ceil(3));
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (mean - patch.housing).max(0.0)
        })
        .collect();
    let reach = (raw.len() as f64 * spacing / 12.0).round() as usize;
    (0..raw.len())
        .map(|row| {
            let window = &raw[row.saturating_sub(reach)..(row + reach + 1).min(raw.len())];
            window.iter().sum::<f64>() / window.len() as f64
        })
        .collect()
}

fn measure(patch: &Patch, profile: &[f64], (from, to): (usize, usize), spacing: f64) -> Light {
    let rows = profile.len() as f64;
    let weight: f64 = profile[from..to].iter().sum();
    let moment: f64 = (from..to)
        .map(|row| profile[row] * (row as f64 + 0.5))
        .sum();
    let strength = profile[from..to].iter().copied().fold(0.0, f64::max);
    let length = (to - from) as f64 / rows;
    let (hue, saturation, is_overexposed) = colour(patch, (from, to), strength);
    Light {
        place: moment / weight / rows,
        strength,
        hue,
        saturation,
        is_overexposed,
        flatness: flatness(patch, (from, to)),
        is_at_end: (from == 0 || to == profile.len()) && length < spacing / 2.0,
        is_too_short: length < SHORTEST * spacing,
        // What overexposes bends the hue of its halo.
        is_two: !is_overexposed && has_two_hues(patch, (from, to), strength),
        is_too_long: spacing < 1.0 && length > LONGEST * spacing,
    }
}

/// The hue of what is coloured in and around a light, how coloured it is, and
/// whether much of it has clipped. What has not clipped is asked first: the halo of an
/// overexposed red lamp is red still when its core is yellow.
fn colour(patch: &Patch, (from, to): (usize, usize), strength: f64) -> (Option<f64>, f64, bool) {
    let margin = (to - from) / 4;
    let rows = &patch.rows[from.saturating_sub(margin)..(to + margin).min(patch.rows.len())];
    let (mut all, mut clipped) = (0.0, 0.0);
    let (mut halo, mut whole) = (Tint::default(), Tint::default());
    for sample in rows.iter().flatten() {
        let above = sample.value - patch.housing;
        if above < 0.15 * strength {
            continue;
        }
        all += above;
        if sample.is_clipped {
            clipped += above;
        }
        let chroma = length(sample.chroma);
        if chroma < COLOURED * sample.value {
            continue;
        }
        whole.add(above, chroma, sample.chroma);
        if !sample.is_clipped {
            halo.add(above, chroma, sample.chroma);
        }
    }
    let hue = halo.hue(all).or_else(|| whole.hue(all));
    let saturation = if all > 0.0 { whole.coloured / all } else { 0.0 };
    (hue, saturation, clipped > OVEREXPOSED * all)
}

fn has_two_hues(patch: &Patch, (from, to): (usize, usize), strength: f64) -> bool {
    let middle = usize::midpoint(from, to);
    let hue = |rows| colour(patch, rows, strength).0;
    let (Some(first), Some(last)) = (hue((from, middle)), hue((middle, to))) else {
        return false;
    };
    let apart = (first - last).abs();
    apart.min(360.0 - apart) > TWO_HUES
}

/// Colour that adds up.
#[derive(Clone, Copy, Debug, Default)]
struct Tint {
    coloured: f64,
    sum: [f64; 2],
}

impl Tint {
    fn add(&mut self, above: f64, chroma: f64, vector: [f64; 2]) {
        self.coloured += above * chroma;
        for (total, part) in self.sum.iter_mut().zip(vector) {
            *total += above * part;
        }
    }

    /// In degrees, if enough of `all` is coloured and most of that alike.
    fn hue(&self, all: f64) -> Option<f64> {
        let is_coloured = self.coloured >= COLOURED_PART * COLOURED * all && self.coloured > 0.0;
        if !is_coloured || length(self.sum) < ONE_HUE * self.coloured {
            return None;
        }
        let degrees = libm::atan2(self.sum[1], self.sum[0]).to_degrees();
        Some(if degrees < 0.0 {
            degrees + 360.0
        } else {
            degrees
        })
    }
}

fn length([a, b]: [f64; 2]) -> f64 {
    (a * a + b * b).sqrt()
}

/// Brightness at the darker side as a part of that in the middle, over the
/// rows of a light. Shaken sideways, a lamp still leaves one side dark.
fn flatness(patch: &Patch, (from, to): (usize, usize)) -> f64 {
    let mean = |is_in: &dyn Fn(usize, usize) -> bool| {
        let (mut sum, mut count) = (0.0, 0.0);
        for row in &patch.rows[from..to] {
            for (column, sample) in row.iter().enumerate() {
                if is_in(column, row.len()) {
                    sum += (sample.grey - patch.grey_housing).max(0.0);
                    count += 1.0;
                }
            }
        }
        sum / f64::max(count, 1.0)
    };
    let middle = mean(&|column, columns| 3 * column >= columns && 3 * (column + 1) <= 2 * columns);
    let side = |columns: usize| columns.div_ceil(20);
    let first = mean(&|column, columns| column < side(columns));
    let last = mean(&|column, columns| column >= columns - side(columns));
    if middle > 0.0 {
        first.min(last) / middle
    } else {
        1.0
    }
}
