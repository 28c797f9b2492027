//! What a fit is good for, from the survey alone.

use edge_core::calibration::{Fitted, Ground};
use edge_core::geometry::Vector;
use protocol::Point;

use super::{Expected, Geometry, Survey};

/// Worse than this and nobody can be measured, 95 %, m.
const USELESS_POSITION_M: f64 = 5.0;
/// The same of speeds, as a part.
const USELESS_SPEED: f64 = 0.2;
/// Worth a word, 95 %, m.
const POOR_POSITION_M: f64 = 0.5;
/// The same of speeds.
const POOR_SPEED: f64 = 0.05;
/// The way over which a speed is taken, m.
const WAY_M: u32 = 20;
/// Distances within this angle of each other have one direction: the cosine of 25°.
const ONE_DIRECTION: f64 = 0.906;

/// Errors to be expected, from the calibration alone: jitter of boxes aside.
pub(super) struct Outlook {
    /// Of a position at the worst of the surveyed points, one standard deviation, m.
    position_m: f64,
    /// 95 % of speeds are within this part; `None` where no way lies in the picture.
    speed_part: Option<f64>,
    /// Over a way of this length, m.
    way_m: f64,
}

impl Outlook {
    pub(super) fn of(survey: &Survey, fitted: &Fitted) -> anyhow::Result<Self> {
        let ground = Ground::new(&fitted.calibration)?;
        let clicks = survey.clicks();
        let position_m = clicks
            .iter()
            .map(|click| {
                ground
                    .to_ground_with_covariance(*click, [0.0; 2])
                    .map_or(f64::INFINITY, |(_, c)| (c[0][0] + c[1][1]).sqrt())
            })
            .fold(0.0, f64::max);
        let way = way(&ground, &clicks);
        Ok(Self {
            position_m,
            speed_part: way.map(|(length, sigma)| 2.0 * sigma / length),
            way_m: way.map_or(0.0, |(length, _)| length),
        })
    }

    /// 95 % of positions are within this. Two of these standard deviations
    /// hold at least 95 %, whatever the ellipse's shape.
    fn position_95_m(&self) -> f64 {
        2.0 * self.position_m
    }

    fn words(&self) -> String {
        let position = self.position_95_m();
        let speed = self.speed_part.map_or_else(
            || "no way along the road lies in the picture".to_owned(),
            |part| {
                format!(
                    "speeds within {:.1} % over {:.0} m along the road through their middle",
                    part * 100.0,
                    self.way_m
                )
            },
        );
        format!("positions within {position:.2} m, {speed} (95 %, jitter of boxes aside)")
    }

    /// For the file and the technician.
    pub(super) fn expected(&self) -> Expected {
        Expected {
            place: "surveyed points".to_owned(),
            position_m: Some(self.position_m),
            speed_part: self.speed_part,
            words: self.words(),
        }
    }

    /// Where it can be used, but is poor.
    pub(super) fn note(&self) -> Option<String> {
        let is_poor = self.position_95_m() > POOR_POSITION_M
            || self.speed_part.is_none_or(|part| part > POOR_SPEED);
        is_poor.then(|| {
            format!(
                "note: this calibration is poor: {}; measure more, near and far, on both sides, or with less error",
                self.words()
            )
        })
    }

    /// Where it is of no use.
    pub(super) fn objection(
        &self,
        survey: &Survey,
        fitted: &Fitted,
    ) -> anyhow::Result<Option<String>> {
        let is_usable = self.position_95_m() <= USELESS_POSITION_M
            && self.speed_part.is_some_and(|part| part <= USELESS_SPEED);
        if is_usable {
            return Ok(None);
        }
        let ground = Ground::new(&fitted.calibration)?;
        let remedy = match one_direction(survey, &ground) {
            Some(way) if way.x.abs() > way.y.abs() => {
                "degenerate layout: nothing was measured along the road; measure a dashed-line pitch or a vehicle of known length"
            }
            Some(_) => {
                "degenerate layout: nothing was measured across the road; measure lane widths, near and far"
            }
            None => {
                "measure more, over the whole stretch, near and far, on both sides, or with less error"
            }
        };
        Ok(Some(format!(
            "it would be of no use: {}; {remedy}",
            self.words()
        )))
    }
}

/// Length and standard deviation of a way through the middle of the clicks in
/// the direction in which they extend most on the road; shortened until it
/// lies in the picture.
fn way(ground: &Ground, clicks: &[Point]) -> Option<(f64, f64)> {
    let places: Vec<Vector> = clicks.iter().filter_map(|c| ground.to_ground(*c)).collect();
    let count = places.len().max(1) as f64;
    let middle = places.iter().fold(Vector::new(0.0, 0.0), |sum, p| sum + *p) * (1.0 / count);
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for place in &places {
        let off = *place - middle;
        xx += off.x * off.x;
        xy += off.x * off.y;
        yy += off.y * off.y;
    }
    let angle = 0.5 * (2.0 * xy).atan2(xx - yy);
    let along = Vector::new(angle.cos(), angle.sin());
    let seen = |place: Vector| {
        ground
            .to_image(place)
            .filter(|p| (0.0..=1.0).contains(&p.x) && (0.0..=1.0).contains(&p.y))
    };
    (1..=WAY_M).rev().find_map(|metres| {
        let half = along * (f64::from(metres) / 2.0);
        ground.distance(seen(middle - half)?, seen(middle + half)?)
    })
}

/// The direction of all distances on the road, where they have one.
fn one_direction(survey: &Survey, ground: &Ground) -> Option<Vector> {
    let Geometry::Distances(distances) = &survey.geometry else {
        return None;
    };
    let ways: Vec<Vector> = distances
        .iter()
        .filter_map(|d| (ground.to_ground(d.known.to)? - ground.to_ground(d.known.from)?).unit())
        .collect();
    let first = *ways.first()?;
    ways.iter()
        .all(|way| (way.x * first.x + way.y * first.y).abs() > ONE_DIRECTION)
        .then_some(first)
}
