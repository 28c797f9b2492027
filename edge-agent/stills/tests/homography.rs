//! What a survey must give, and which surveys are refused.

use edge_stills::{CalibrationError, Side, Survey, estimate_homography};
use proptest::prelude::*;
use protocol::Point;

const ASPECT: f64 = 16.0 / 9.0;

/// A pinhole camera on a pole over a flat road.
#[derive(Clone, Copy, Debug)]
struct PoleCamera {
    height_m: f64,
    /// Below the horizontal, radians.
    pitch: f64,
    roll: f64,
    /// Focal length in picture heights.
    focal: f64,
    /// Where the origin of the survey's frame is; UTM makes it large.
    origin: [f64; 2],
    /// Of the survey's frame against the camera's, radians.
    heading: f64,
}

impl PoleCamera {
    /// Where a place on the ground, relative to the foot of the pole, shows; nothing when out of the picture.
    fn see(&self, right: f64, ahead: f64) -> Option<Survey> {
        let (sin, cos) = self.pitch.sin_cos();
        let down = ahead * -sin + self.height_m * cos;
        let depth = ahead * cos + self.height_m * sin;
        if depth < 0.5 {
            return None;
        }
        let (u, v) = (self.focal * right / depth, self.focal * down / depth);
        let (sin, cos) = self.roll.sin_cos();
        let image = Point {
            x: 0.5 + (u * cos - v * sin) / ASPECT,
            y: 0.5 + u * sin + v * cos,
        };
        let (sin, cos) = self.heading.sin_cos();
        let ground = [
            self.origin[0] + right * cos - ahead * sin,
            self.origin[1] + right * sin + ahead * cos,
        ];
        let seen = (0.0..=1.0).contains(&image.x) && (0.0..=1.0).contains(&image.y);
        seen.then_some(Survey { image, ground })
    }

    /// Places all over the road ahead, no three of them in a row.
    fn road(&self) -> Vec<Survey> {
        (0..60)
            .flat_map(|row| (-4..=4).map(move |column| (f64::from(row), f64::from(column))))
            .filter_map(|(row, column)| {
                let right = 2.0 * column + 0.7 * (1.7 * row + 0.9 * column).sin();
                self.see(right, 4.0 + row + 0.4 * (2.3 * row + column).cos())
            })
            .collect()
    }

    /// `count` points of them, each as far from the others in the picture as can be.
    fn survey(&self, count: usize) -> Vec<Survey> {
        let road = self.road();
        let apart = |a: &Survey, b: &Survey| {
            ((a.image.x - b.image.x) * ASPECT).hypot(a.image.y - b.image.y)
        };
        let mut survey: Vec<Survey> = road.first().copied().into_iter().collect();
        while !survey.is_empty() && survey.len() < count {
            let alone = |p: &Survey| survey.iter().map(|q| apart(p, q)).fold(f64::MAX, f64::min);
            let next = road.iter().max_by(|a, b| alone(a).total_cmp(&alone(b)));
            survey.extend(next.copied());
        }
        survey
    }
}

fn cameras() -> impl Strategy<Value = PoleCamera> {
    (
        4.0..14.0_f64,
        0.15..0.9_f64,
        -0.06..0.06_f64,
        0.5..1.6_f64,
        prop_oneof![Just([0.0, 0.0]), Just([586_432.0, 2_325_118.0])],
        0.0..6.2_f64,
    )
        .prop_map(
            |(height_m, pitch, roll, focal, origin, heading)| PoleCamera {
                height_m,
                pitch,
                roll,
                focal,
                origin,
                heading,
            },
        )
}

fn usual_camera() -> PoleCamera {
    PoleCamera {
        height_m: 7.0,
        pitch: 0.35,
        roll: 0.01,
        focal: 0.9,
        origin: [586_432.0, 2_325_118.0],
        heading: 0.7,
    }
}

/// The corners of a stretch of road, in order.
fn corners() -> Vec<Survey> {
    [(-4.0, 8.0), (4.0, 8.0), (4.0, 25.0), (-4.0, 25.0)]
        .into_iter()
        .filter_map(|(right, ahead)| usual_camera().see(right, ahead))
        .collect()
}

fn miss(homography: &edge_stills::Homography, point: &Survey) -> f64 {
    let [x, y] = homography
        .to_ground(point.image)
        .expect("a point on the road is below the horizon");
    (x - point.ground[0]).hypot(y - point.ground[1])
}

proptest! {
    #[test]
    fn a_pole_camera_is_recovered_from_exact_points(camera in cameras(), count in 4_usize..12) {
        let survey = camera.survey(count);
        prop_assume!(survey.len() >= 4);
        let homography = match estimate_homography(&survey, ASPECT) {
            Ok(homography) => homography,
            // A tele lens along the road may see four points in a narrow strip.
            Err(CalibrationError::Collinear { .. } | CalibrationError::SamePlace { .. }) => return Err(TestCaseError::reject("narrow")),
            Err(error) => panic!("{camera:?}: {error}"),
        };
        prop_assert!(homography.residual_m.0 < 1e-6, "{:?}", homography.residual_m);
        for point in camera.road() {
            prop_assert!(miss(&homography, &point) < 1e-6, "{point:?}: {}", miss(&homography, &point));
        }
    }

    #[test]
    fn the_residual_tells_how_well_the_points_were_measured(
        camera in cameras(),
        noise in prop::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 12),
        sloppiness_m in 0.01..0.5_f64,
    ) {
        let mut survey = camera.survey(12);
        prop_assume!(survey.len() == 12);
        for (point, (dx, dy)) in survey.iter_mut().zip(&noise) {
            point.ground[0] += dx * sloppiness_m;
            point.ground[1] += dy * sloppiness_m;
        }
        let Ok(homography) = estimate_homography(&survey, ASPECT) else {
            return Err(TestCaseError::reject("narrow"));
        };
        // The true plane misses by this much, and the fit is the best plane.
        let true_rms = (noise.iter().map(|(x, y)| x * x + y * y).sum::<f64>() / 12.0).sqrt() * sloppiness_m;
        prop_assert!(homography.residual_m.0 <= true_rms * (1.0 + 1e-6));
        let squares: f64 = homography.per_point_m.iter().map(|m| m * m).sum();
        prop_assert!((homography.residual_m.0 - (squares / 12.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn points_along_one_kerb_are_refused(
        camera in cameras(),
        count in 4_usize..9,
        offset in -3.0..3.0_f64,
        stray in any::<bool>(),
    ) {
        let mut survey: Vec<Survey> = (0..40)
            .filter_map(|n| camera.see(offset, 3.0 + 1.5 * f64::from(n)))
            .take(count - usize::from(stray))
            .collect();
        prop_assume!(survey.len() == count - usize::from(stray));
        // One point beside the line does not help.
        survey.extend(stray.then(|| Survey { image: Point { x: 0.97, y: 0.98 }, ground: [camera.origin[0] + 70.0, camera.origin[1] - 50.0] }));
        let refused = matches!(
            estimate_homography(&survey, ASPECT),
            Err(CalibrationError::Collinear { .. } | CalibrationError::SamePlace { side: Side::Picture, .. })
        );
        prop_assert!(refused);
    }

    #[test]
    fn no_input_panics_or_yields_a_matrix_of_nonsense(
        points in prop::collection::vec((wild(), wild(), wild(), wild()), 0..8),
        aspect in wild(),
    ) {
        let survey: Vec<Survey> = points
            .into_iter()
            .map(|(x, y, gx, gy)| Survey { image: Point { x, y }, ground: [gx, gy] })
            .collect();
        match estimate_homography(&survey, aspect) {
            Ok(homography) => {
                prop_assert!(homography.matrix.iter().flatten().all(|v| v.is_finite()));
                prop_assert!(homography.residual_m.0.is_finite());
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

/// Mostly plausible, sometimes not a number.
fn wild() -> impl Strategy<Value = f64> {
    prop_oneof![8 => 0.0..1.0_f64, 2 => -1e3..1e3_f64, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

#[test]
fn the_third_coordinate_is_positive_in_front_of_the_camera_and_one_in_the_middle() {
    let survey = usual_camera().survey(6);
    let homography = estimate_homography(&survey, ASPECT).unwrap();
    let third = |x: f64, y: f64| {
        let [a, b, c] = homography.matrix[2];
        a * x + b * y + c
    };
    let middle = |axis: fn(&Survey) -> f64| survey.iter().map(axis).sum::<f64>() / 6.0;
    assert!((third(middle(|p| p.image.x), middle(|p| p.image.y)) - 1.0).abs() < 1e-9);
    assert!(third(0.5, 0.0) < third(0.5, 1.0));
    // Pitched 20° down with a wide lens this camera sees the horizon and above it the sky.
    assert_eq!(homography.to_ground(Point { x: 0.5, y: 0.0 }), None);
}

#[test]
fn four_points_leave_no_residual_which_proves_nothing() {
    let mut survey = usual_camera().survey(4);
    survey[2].ground[0] += 1.5;
    let homography = estimate_homography(&survey, ASPECT).unwrap();
    assert!(homography.residual_m.0 < 1e-6);
}

#[test]
fn a_frame_that_lists_northing_first_is_recognised_as_mirrored() {
    let mut survey = corners();
    assert_eq!(survey.len(), 4);
    assert!(!estimate_homography(&survey, ASPECT).unwrap().is_mirrored());
    for point in &mut survey {
        point.ground.reverse();
    }
    assert!(estimate_homography(&survey, ASPECT).unwrap().is_mirrored());
}

/// A mistake made in a survey.
type Change<'a> = &'a dyn Fn(&mut Vec<Survey>);

#[test]
fn every_refusal_names_the_points_and_the_next_step() {
    let good = usual_camera().survey(5);
    let with = |change: Change<'_>| {
        let mut survey = good.clone();
        change(&mut survey);
        estimate_homography(&survey, ASPECT)
            .unwrap_err()
            .to_string()
    };
    let cases: [(Change<'_>, &[&str]); 8] = [
        (&|s| s.truncate(3), &["3 surveyed points", "measure 1 more"]),
        (&|s| s.clear(), &["0 surveyed points", "measure 4 more"]),
        (
            &|s| s[1].image = Point { x: 640.0, y: 360.0 },
            &["point[1]", "not pixels"],
        ),
        (
            &|s| s[2].image.y = f64::NAN,
            &["point[2]", "in the picture"],
        ),
        (&|s| s[3].ground[0] = f64::INFINITY, &["point[3]", "metres"]),
        (
            &|s| s[4].image = s[0].image,
            &["point[0] and point[4]", "in the picture"],
        ),
        (
            &|s| s[4].ground = s[2].ground,
            &["point[2] and point[4]", "on the ground"],
        ),
        (
            &|s| {
                *s = corners();
                (s[0].ground, s[1].ground) = (s[1].ground, s[0].ground);
            },
            &["behind the camera", "swapped"],
        ),
    ];
    for (change, expected) in cases {
        let message = with(change);
        for part in expected {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
        assert!(!message.ends_with('.'), "{message}");
    }
    let aspect = estimate_homography(&good, 0.0).unwrap_err();
    assert!(
        matches!(aspect, CalibrationError::Aspect { .. }),
        "{aspect}"
    );
}
