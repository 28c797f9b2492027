//! Whether a fit may be used, and what it is good for.

#[cfg(feature = "cv")]
use anyhow::bail;
use edge_core::Calibration;
use edge_core::calibration::{Fitted, Ground, SurveyedPoint};
use protocol::Point;

use super::{Expected, Survey, blunder};
use crate::config::CameraConfig;

/// Clicks in a smaller part of the picture fix no plane outside it.
const LEAST_SPREAD: f64 = 0.02;
/// A click that is worth more than this on the road is too near the horizon, m.
const MOST_PER_CLICK_M: f64 = 1.0;
/// A fit so many times worse than promised has a blunder in it.
const MOST_MISFIT: f64 = 3.0;
/// Outside this no camera watches a road: a wrong unit, m.
const USABLE_HEIGHT_M: (f64, f64) = (0.5, 300.0);
/// Above this, points near the horizon are a wrong unit rather than far away, m.
const USUAL_HEIGHT_M: f64 = 60.0;
/// A height that is wrong by more than this means that the survey is wrong.
const MOST_HEIGHT_RATIO: f64 = 4.0 / 3.0;
/// Neither is a plane with this residual usable, m.
const MOST_RESIDUAL_M: f64 = 0.5;

/// Refuses coinciding and collinear points by name, where OpenCV's checks are built in.
#[cfg_attr(not(feature = "cv"), allow(clippy::unnecessary_wraps))]
pub(super) fn check_points(survey: &Survey, points: &[SurveyedPoint]) -> anyhow::Result<()> {
    #[cfg(feature = "cv")]
    {
        let plain: Vec<edge_stills::Survey> = points
            .iter()
            .map(|point| edge_stills::Survey {
                image: point.image,
                ground: point.ground,
            })
            .collect();
        if let Err(error) = edge_stills::estimate_homography(&plain, survey.aspect()) {
            // It counts points from 0; people know them by name.
            let told =
                survey
                    .names()
                    .iter()
                    .enumerate()
                    .fold(error.to_string(), |told, (index, name)| {
                        told.replace(&format!("point[{index}]"), &format!("`{name}`"))
                    });
            bail!("{told}");
        }
    }
    let _ = (points, survey);
    Ok(())
}

/// Everything that speaks against a fit; empty when it may be used.
pub(super) fn objections(survey: &Survey, fitted: &Fitted) -> anyhow::Result<Vec<String>> {
    let ground = Ground::new(&fitted.calibration)?;
    let mut objections = Vec::new();
    let clicks = survey.clicks();
    let spread = hull_area(&clicks);
    let height_m = implied_height_m(&fitted.calibration, survey.aspect());
    let unit = match survey.geometry {
        super::Geometry::Points(_) => "`ground`",
        super::Geometry::Distances(_) => "`metres`",
    };
    let far = too_far(survey, &ground);
    if spread < LEAST_SPREAD {
        objections.push(format!(
            "all clicks lie within {:.1} % of the picture, which says nothing about the rest; \
             survey points over the whole stretch that is to be measured, near and far",
            spread * 100.0
        ));
    } else if let Some(height_m) = height_m.filter(|height_m| {
        !(USABLE_HEIGHT_M.0..=USABLE_HEIGHT_M.1).contains(height_m)
            || (*height_m > USUAL_HEIGHT_M && far.is_some())
    }) {
        objections.push(format!(
            "the camera would be {} m above the road: is {unit} in metres?",
            if height_m < 10.0 {
                format!("{height_m:.2}")
            } else {
                format!("{height_m:.0}")
            }
        ));
    } else if let Some(far) = far {
        objections.push(far);
    }
    if fitted.calibration.is_mirrored() {
        objections.push(crate::scene_setup::MIRRORED.to_owned());
    }
    objections.extend(other_height(survey, &ground));
    if is_poor(fitted) {
        objections.push(format!(
            "the residual is {:.2} m, {:.1} times what click and tape are said to be good for; {}; or say with \
             click_sigma_px and ground_sigma_m what the survey is really good for",
            fitted.calibration.residual_m.0,
            misfit(fitted),
            blunder::remedy(survey, fitted)
        ));
    }
    Ok(objections)
}

/// Whether measurements fit too badly to be used.
pub(super) fn is_poor(fitted: &Fitted) -> bool {
    misfit(fitted) > MOST_MISFIT || fitted.calibration.residual_m.0 > MOST_RESIDUAL_M
}

/// How many times worse than promised they fit; 0 where nothing is left over to tell.
fn misfit(fitted: &Fitted) -> f64 {
    fitted.misfit.unwrap_or(0.0).sqrt()
}

/// A tape or the pole's drawing says how high the camera hangs, and the survey says otherwise.
fn other_height(survey: &Survey, ground: &Ground) -> Option<String> {
    let known_m = survey.camera_height_m?;
    let height_m = edge_core::calibration::Camera::of(ground, survey.aspect())?.height_m;
    let ratio = height_m / known_m;
    (!(1.0 / MOST_HEIGHT_RATIO..=MOST_HEIGHT_RATIO).contains(&ratio)).then(|| {
        format!(
            "the camera would be {height_m:.1} m above the road, and `camera_height_m` says {known_m}: \
             measure the longest distances of the survey again, or correct `camera_height_m`"
        )
    })
}

/// One line about all clicks that are too near the horizon.
fn too_far(survey: &Survey, ground: &Ground) -> Option<String> {
    let click = survey.sigmas().click;
    let mut names = Vec::new();
    let mut most = 0.0_f64;
    for (point, name) in survey.clicks().into_iter().zip(survey.click_names()) {
        let above = Point {
            x: point.x,
            y: (point.y - click).max(0.0),
        };
        let worth = ground
            .to_ground(point)
            .zip(ground.to_ground(above))
            .map_or(f64::INFINITY, |(a, b)| (a - b).length());
        if worth > MOST_PER_CLICK_M {
            names.push(format!("`{name}`"));
            most = most.max(worth);
        }
    }
    let first = names.len().min(3);
    let more = match names.len() - first {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let worth = if most.is_finite() && most < 100.0 {
        format!("{most:.1} m")
    } else {
        "any number of metres".to_owned()
    };
    (first > 0).then(|| {
        format!(
            "so near the horizon that a click wrong by {} px is {worth} on the road: {}{more}; \
             choose nearer points",
            survey.click_sigma_px,
            names[..first].join(", ")
        )
    })
}

/// The camera's height, also where it is absurd because of a wrong unit.
fn implied_height_m(calibration: &Calibration, aspect: f64) -> Option<f64> {
    // A camera is looked for in the usual heights only, so the ground is scaled.
    [1.0, 0.01, 100.0, 1e-4, 1e4].into_iter().find_map(|scale| {
        let mut scaled = *calibration;
        for value in scaled.image_to_ground[..2].iter_mut().flatten() {
            *value *= scale;
        }
        scaled.uncertainty = None;
        let ground = Ground::new(&scaled).ok()?;
        Some(edge_core::calibration::Camera::of(&ground, aspect)?.height_m / scale)
    })
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
