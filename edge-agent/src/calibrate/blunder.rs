//! Which measurement of a survey is wrong, where one is.
//!
//! Least squares spread one mistake over all points, and the one that is off most is often
//! another: who stands alone at the end of the road draws the plane to himself. So each is left
//! out in turn, and the one without which the others fit is to be measured again.
//!
//! It is named and no more. Who takes out what does not fit, until the rest does, may take out the
//! truth: a survey without it is for the technician to run.

use edge_core::calibration::{Fitted, fit_distances, fit_points};

use super::judge::is_poor;
use super::{Geometry, Survey};

/// What to measure again, of a survey of which `fitted` is poor.
pub(super) fn remedy(survey: &Survey, fitted: &Fitted) -> String {
    let names = survey.names();
    let quoted = |place: usize| format!("`{}`", names.get(place).map_or("?", String::as_str));
    let without: Vec<Option<Fitted>> = (0..names.len())
        .map(|place| fit_without(survey, place))
        .collect();
    // Without which the others fit, and something is left over by which that is known.
    let is_suspect = |fitted: &Fitted| fitted.misfit.is_some() && !is_poor(fitted);
    let suspects: Vec<String> = (without.iter().enumerate())
        .filter(|(_, fitted)| fitted.as_ref().is_some_and(is_suspect))
        .map(|(place, _)| quoted(place))
        .collect();
    match suspects.as_slice() {
        [one] => return format!("without {one} the others fit: measure {one} again"),
        // Of more any may be taken out, which says nothing.
        [_, ..] if 2 * suspects.len() <= names.len() => {
            let all = suspects.join(", ");
            return format!("without any one of {all} the others fit: measure these again");
        }
        _ => {}
    }
    let off = fitted.per_point_sigmas.iter().enumerate();
    let worst = off
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map_or(0, |(place, _)| place);
    let (name, metres) = (quoted(worst), fitted.per_point_m.get(worst));
    let told = format!(
        "measure {name} again first, it is off by {:.2} m",
        metres.copied().unwrap_or_default()
    );
    let can_tell = without.iter().flatten().any(|it| it.misfit.is_some());
    if can_tell {
        told
    } else {
        format!("{told}, and one more: of so few nobody can tell which is wrong")
    }
}

/// The fit of all but the measurement at this place.
fn fit_without(survey: &Survey, place: usize) -> Option<Fitted> {
    let (aspect, lens, sigmas) = (survey.aspect(), survey.lens, survey.sigmas());
    match &survey.geometry {
        Geometry::Points(points) => {
            let others: Vec<_> = others(points, place).map(|it| it.place).collect();
            fit_points(&others, aspect, lens, sigmas)
        }
        Geometry::Distances(distances) => {
            let others: Vec<_> = others(distances, place).map(|it| it.known).collect();
            fit_distances(&others, aspect, lens, sigmas)
        }
    }
    .ok()
}

fn others<T>(all: &[T], place: usize) -> impl Iterator<Item = &T> {
    let all = all.iter().enumerate();
    all.filter(move |(at, _)| *at != place).map(|(_, it)| it)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

    use edge_core::calibration::SurveyedPoint;
    use protocol::Point;

    use super::super::survey::NamedPoint;
    use super::*;

    const WIDTH: f64 = 1920.0;
    const HEIGHT: f64 = 1080.0;
    const PLACES: [[f64; 2]; 7] = [
        [-5.0, 16.0],
        [4.0, 17.0],
        [-6.0, 26.0],
        [5.5, 27.0],
        [-5.0, 45.0],
        [6.0, 42.0],
        [0.5, 33.0],
    ];

    /// As a camera 8 m up shows the first `count` of these, clicked to a pixel; some are said to be
    /// elsewhere than they are.
    fn survey(count: usize, mistakes: &[(usize, [f64; 2])]) -> Survey {
        let (sin, cos) = 0.3_f64.sin_cos();
        let focal = 1.3 * HEIGHT;
        let point = |(at, [x, y]): (usize, [f64; 2])| {
            let noise = if at % 2 == 0 { 0.7 } else { -0.9 };
            let depth = y * cos + 8.0 * sin;
            let image = Point {
                x: 0.5 + (focal * x / depth + noise) / WIDTH,
                y: 0.5 + (focal * (8.0 * cos - y * sin) / depth - noise) / HEIGHT,
            };
            let mistake = mistakes.iter().find(|(wrong, _)| *wrong == at);
            let [off_x, off_y] = mistake.map_or([0.0; 2], |(_, off)| *off);
            let ground = [x + off_x, y + off_y];
            NamedPoint {
                name: format!("peg {at}"),
                place: SurveyedPoint { image, ground },
            }
        };
        let places = PLACES.into_iter().enumerate().take(count);
        Survey {
            file: "s.toml".into(),
            picture: [1920, 1080],
            lens: None,
            click_sigma_px: 2.0,
            ground_sigma_m: 0.05,
            camera_height_m: None,
            geometry: Geometry::Points(places.map(point).collect()),
        }
    }

    /// Of six points with one mistake the one that is off most is another in two of three surveys; it
    /// was measured again, and was right.
    #[test]
    fn the_measurement_without_which_the_others_fit_is_named_and_not_the_one_that_is_off_most() {
        let one = |peg| format!("without `peg {peg}` the others fit: measure `peg {peg}` again");
        for (count, mistakes, worst, expected) in [
            (6, &[(0, [3.0, 0.0])][..], 2, one(0)),
            (6, &[(4, [3.0, 0.0])], 2, one(4)),
            (7, &[(1, [3.0, 0.0])], 3, one(1)),
            (7, &[(3, [0.0, -6.0])], 3, one(3)),
            // Either would do, and one of them it is.
            (
                6,
                &[(0, [0.0, 3.0])],
                2,
                "without any one of `peg 0`, `peg 2` the others fit: measure these again"
                    .to_owned(),
            ),
            // Four fit whatever they are.
            (
                5,
                &[(0, [3.0, 0.0])],
                2,
                "measure `peg 2` again first, it is off by 1.".to_owned(),
            ),
            (
                5,
                &[(0, [3.0, 0.0])],
                2,
                "of so few nobody can tell".to_owned(),
            ),
            // Two mistakes.
            (
                7,
                &[(0, [3.0, 0.0]), (5, [0.0, 4.0])],
                2,
                "measure `peg 2` again first, it is off by".to_owned(),
            ),
        ] {
            let survey = survey(count, mistakes);
            let fitted = super::super::fit(&survey).unwrap();
            assert!(is_poor(&fitted), "{mistakes:?}");
            let off = fitted.per_point_sigmas.iter().enumerate();
            let most = off.max_by(|(_, a), (_, b)| a.total_cmp(b)).unwrap().0;
            assert_eq!(most, worst, "{count} {mistakes:?}");
            let told = remedy(&survey, &fitted);
            assert!(told.contains(&expected), "{count} {mistakes:?}: {told}");
        }
    }
}
