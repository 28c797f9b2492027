//! Whether a fit may be used, and what it is good for.

use anyhow::bail;
use edge_core::Calibration;
use edge_core::calibration::{Fitted, Ground, SurveyedPoint};
use protocol::Point;

use super::{Expected, Survey};
use crate::config::CameraConfig;

/// Clicks in a smaller part of the picture fix no plane outside it.
const LEAST_SPREAD: f64 = 0.02;
/// A click that is worth more than this on the road is too near the horizon, m.
const MOST_PER_CLICK_M: f64 = 1.0;
/// A fit so many times worse than promised has a blunder in it.
const MOST_MISFIT: f64 = 3.0;
/// Neither is a plane with this residual usable, m.
const MOST_RESIDUAL_M: f64 = 0.5;

/// Refuses coinciding and collinear points by name, where OpenCV's checks are built in.
pub(super) fn check_points(points: &[SurveyedPoint], aspect: f64) -> anyhow::Result<()> {
    #[cfg(feature = "cv")]
    {
        let survey: Vec<edge_stills::Survey> = points
            .iter()
            .map(|point| edge_stills::Survey {
                image: point.image,
                ground: point.ground,
            })
            .collect();
        if let Err(error) = edge_stills::estimate_homography(&survey, aspect) {
            bail!("{error} (points are counted from 0)");
        }
    }
    let _ = (points, aspect);
    Ok(())
}

/// Everything that speaks against a fit; empty when it may be used.
pub(super) fn objections(survey: &Survey, fitted: &Fitted) -> anyhow::Result<Vec<String>> {
    let ground = Ground::new(&fitted.calibration)?;
    let mut objections = Vec::new();
    let clicks = survey.clicks();
    let spread = hull_area(&clicks);
    if spread < LEAST_SPREAD {
        objections.push(format!(
            "all clicks lie within {:.1} % of the picture, which says nothing about the rest; \
             survey points over the whole stretch that is to be measured, near and far",
            spread * 100.0
        ));
    }
    let click = survey.sigmas().click;
    for (index, point) in clicks.iter().enumerate() {
        let above = Point {
            x: point.x,
            y: (point.y - click).max(0.0),
        };
        let worth = ground
            .to_ground(*point)
            .zip(ground.to_ground(above))
            .map_or(f64::INFINITY, |(a, b)| (a - b).length());
        if worth > MOST_PER_CLICK_M {
            objections.push(format!(
                "click {} ({:.0}, {:.0}) is so near the horizon that an error of {} px is {worth:.1} m on the \
                 road; choose a nearer point",
                index + 1,
                point.x * f64::from(survey.picture[0]),
                point.y * f64::from(survey.picture[1]),
                survey.click_sigma_px,
            ));
        }
    }
    let worst = fitted
        .per_point_sigmas
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map_or(0, |(index, _)| index);
    let name = survey.names().get(worst).cloned().unwrap_or_default();
    let misfit = fitted.misfit.unwrap_or(0.0).sqrt();
    let residual = fitted.calibration.residual_m.0;
    if misfit > MOST_MISFIT || residual > MOST_RESIDUAL_M {
        objections.push(format!(
            "the residual is {residual:.2} m, {misfit:.1} times what click and tape are said to be good for; \
             measure `{name}` again first, it is off by {:.2} m; or say with click_sigma_px and \
             ground_sigma_m what the survey is really good for",
            fitted.per_point_m.get(worst).copied().unwrap_or_default()
        ));
    }
    Ok(objections)
}

/// What positions and speeds are good for at a camera's zones and gates.
pub(super) fn expectations(
    calibration: &Calibration,
    camera: &CameraConfig,
    aspect: f64,
) -> anyhow::Result<Vec<Expected>> {
    let ground = Ground::new(calibration)?;
    // A detector's lower edge jitters by a few pixels of 1080.
    let jitter = [0.002 / aspect, 0.002];
    let mut expected = Vec::new();
    for zone in &camera.scene.zones {
        let places: Vec<_> = zone
            .points
            .iter()
            .filter_map(|point| Some((*point, ground.to_ground_with_covariance(*point, jitter)?)))
            .collect();
        if places.len() < zone.points.len() {
            expected.push(Expected {
                place: zone.id.to_string(),
                position_m: None,
                speed_part: None,
                words: "reaches above the horizon; nothing can be measured there".to_owned(),
            });
            continue;
        }
        let position = places
            .iter()
            .map(|(_, (_, c))| (c[0][0] + c[1][1]).sqrt())
            .fold(0.0, f64::max);
        let longest = places
            .iter()
            .flat_map(|(a, _)| places.iter().map(move |(b, _)| (*a, *b)))
            .filter_map(|(a, b)| ground.distance(a, b))
            .max_by(|a, b| a.0.total_cmp(&b.0));
        let speed_part = longest
            .filter(|(length, _)| *length > 0.0)
            .map(|(length, sigma)| 2.0 * sigma / length);
        let words = format!(
            "positions within {position:.2} m; speeds within {} over its length of {:.0} m",
            speed_part.map_or("?".to_owned(), |part| format!("{:.1} %", part * 100.0)),
            longest.map_or(0.0, |(length, _)| length)
        );
        expected.push(Expected {
            place: zone.id.to_string(),
            position_m: Some(position),
            speed_part,
            words,
        });
    }
    for (rule, outlook) in camera.scene.outlooks(Some(calibration), aspect)? {
        expected.push(Expected {
            place: rule.to_string(),
            position_m: None,
            speed_part: None,
            words: outlook.unwrap_or_else(|doubt| doubt),
        });
    }
    Ok(expected)
}

/// Area of the convex hull, as a part of the picture.
fn hull_area(points: &[Point]) -> f64 {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    let turn = |a: Point, b: Point, c: Point| (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut chain: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..]
                && turn(a, b, point) <= 0.0
            {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop();
        chain
    };
    let mut hull = half(&mut sorted.iter().copied());
    hull.extend(half(&mut sorted.iter().rev().copied()));
    edge_core::geometry::polygon_area(&hull)
}
