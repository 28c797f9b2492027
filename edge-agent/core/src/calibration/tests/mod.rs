pub(crate) mod plane;

use protocol::Point;

use super::*;
use crate::speed::simulation::{ASPECT, Dice, View, calibration};

const VIEW: View = View {
    height: 8.0,
    pitch: 0.3,
    yaw: 0.0,
    focal: 1.3,
    distance: 26.0,
    gate_m: 20.0,
    fps: 25.0,
    has_model: true,
};
const SIGMAS: Sigmas = Sigmas {
    click: 0.002,
    ground_m: 0.03,
};

/// Places on the road in front of [`VIEW`], m.
const PLACES: [[f64; 2]; 7] = [
    [-5.0, 16.0],
    [4.0, 17.0],
    [-6.0, 26.0],
    [5.5, 27.0],
    [-5.0, 45.0],
    [6.0, 42.0],
    [0.5, 33.0],
];

fn survey(ground: &Ground, noise: Sigmas, dice: &mut Dice) -> Vec<SurveyedPoint> {
    PLACES
        .iter()
        .map(|&[x, y]| {
            let seen = ground.to_image(Vector::new(x, y)).unwrap();
            SurveyedPoint {
                image: Point {
                    x: seen.x + noise.click / ASPECT * dice.normal(),
                    y: seen.y + noise.click * dice.normal(),
                },
                ground: [
                    x + noise.ground_m * dice.normal(),
                    y + noise.ground_m * dice.normal(),
                ],
            }
        })
        .collect()
}

fn point(x: f64, y: f64) -> Point {
    Point { x, y }
}

#[test]
fn exact_points_give_the_homography_back_in_any_frame() {
    let truth = Ground::new(&calibration(&VIEW)).unwrap();
    let exact = Sigmas {
        click: 0.0,
        ground_m: 0.0,
    };
    let mut points = survey(&truth, exact, &mut Dice(1));
    // VN-2000 coordinates of Hanoi.
    for point in &mut points {
        point.ground = [585_000.0 + point.ground[1], 2_325_000.0 - point.ground[0]];
    }
    let fitted = fit_points(&points, ASPECT, None, SIGMAS).unwrap();
    assert!(fitted.calibration.residual_m.0 < 1e-6, "{fitted:?}");
    let ground = Ground::new(&fitted.calibration).unwrap();
    let (a, b) = (point(0.3, 0.9), point(0.6, 0.5));
    let (length, _) = ground.distance(a, b).unwrap();
    let (expected, _) = truth.distance(a, b).unwrap();
    assert!((length - expected).abs() < 1e-5, "{length} {expected}");
}

/// The covariance is what it says: errors of places and of distances, in their
/// expected standard deviations, have mean square 1 over many surveys.
#[test]
fn the_covariance_is_that_of_repeated_surveys() {
    let truth = Ground::new(&calibration(&VIEW)).unwrap();
    let mut dice = Dice(3);
    let (a, b) = (point(0.4, 0.75), point(0.55, 0.4));
    let exact = (truth.to_ground(a).unwrap(), truth.distance(a, b).unwrap().0);
    let (mut place, mut distance, mut independent, rounds) = (0.0, 0.0, 0.0, 400);
    for _ in 0..rounds {
        let points = survey(&truth, SIGMAS, &mut dice);
        let fitted = fit_points(&points, ASPECT, None, SIGMAS).unwrap();
        // As the survey promised, not as it happened to fit.
        let mut calibration = fitted.calibration;
        let growth = fitted.misfit.unwrap().max(1.0);
        let uncertainty = calibration.uncertainty.as_mut().unwrap();
        for value in uncertainty.covariance.iter_mut().flatten() {
            *value /= growth;
        }
        let ground = Ground::new(&calibration).unwrap();
        let (found, covariance) = ground.to_ground_with_covariance(a, [0.0, 0.0]).unwrap();
        place += square((found - exact.0).y) / covariance[1][1];
        let (length, sigma) = ground.distance(a, b).unwrap();
        distance += square((length - exact.1) / sigma);
        let (_, far) = ground.to_ground_with_covariance(b, [0.0, 0.0]).unwrap();
        independent += sigma / (covariance[1][1] + far[1][1]).sqrt();
    }
    let rounds = f64::from(rounds);
    let (place, distance, independent) = (place / rounds, distance / rounds, independent / rounds);
    assert!((0.85..1.15).contains(&place), "{place}");
    assert!((0.85..1.15).contains(&distance), "{distance}");
    // A distance is not as uncertain as if its ends erred independently.
    assert!((0.3..1.1).contains(&independent), "{independent}");
}

#[test]
fn a_point_counts_by_what_its_click_is_worth() {
    let ground = Ground::new(&calibration(&VIEW)).unwrap();
    let sigma = |y: f64| {
        let (_, covariance) = ground
            .to_ground_with_covariance(point(0.5, y), [0.001, 0.001])
            .unwrap();
        covariance[1][1].sqrt()
    };
    assert!(
        sigma(0.35) > 4.0 * sigma(0.8),
        "{} {}",
        sigma(0.35),
        sigma(0.8)
    );
}

#[test]
fn points_in_line_or_across_the_horizon_are_no_survey() {
    let on_line: Vec<SurveyedPoint> = (0..6)
        .map(|n| SurveyedPoint {
            image: point(0.2 + 0.1 * f64::from(n), 0.9 - 0.1 * f64::from(n)),
            ground: [f64::from(n), 2.0 * f64::from(n)],
        })
        .collect();
    let fit = fit_points(&on_line, ASPECT, None, SIGMAS);
    assert_eq!(fit, Err(FitError::Undetermined));
    let truth = Ground::new(&calibration(&VIEW)).unwrap();
    let mut swapped = survey(&truth, SIGMAS, &mut Dice(1))[..4].to_vec();
    (swapped[0].ground, swapped[1].ground) = (swapped[1].ground, swapped[0].ground);
    let fit = fit_points(&swapped, ASPECT, None, SIGMAS);
    assert_eq!(fit, Err(FitError::AcrossHorizon));
    let fit = fit_points(&swapped[..3], ASPECT, None, SIGMAS);
    assert_eq!(fit, Err(FitError::TooFew { has: 3, needed: 4 }));
}

#[test]
fn the_camera_follows_from_the_homography() {
    let exact = calibration(&VIEW);
    for (turn, mirror) in [(0.0, 1.0), (0.7, 1.0), (2.0, -1.0)] {
        let (sin, cos) = (libm::sin(turn), libm::cos(turn));
        let mut turned = exact;
        for column in 0..3 {
            let (x, y) = (
                exact.image_to_ground[0][column],
                exact.image_to_ground[1][column],
            );
            turned.image_to_ground[0][column] = mirror * (cos * x - sin * y);
            turned.image_to_ground[1][column] = sin * x + cos * y;
        }
        let camera = Camera::of(&Ground::new(&turned).unwrap(), ASPECT).unwrap();
        assert!((camera.height_m - 8.0).abs() < 1e-6, "{camera:?}");
        assert!((camera.focal - 1.3).abs() < 1e-6, "{camera:?}");
        assert!(camera.below.length() < 1e-6, "{camera:?}");
        // A lamp post's top is above its foot.
        let place = Ground::new(&turned)
            .unwrap()
            .to_ground(point(0.5, 0.8))
            .unwrap();
        let (foot, top) = (
            camera.project(place, 0.0).unwrap(),
            camera.project(place, 2.0).unwrap(),
        );
        assert!(top.y < foot.y - 0.05 && (top.x - foot.x).abs() < 1e-9);
    }
    let from_above = Calibration::default();
    assert_eq!(Camera::of(&Ground::new(&from_above).unwrap(), ASPECT), None);
}

fn distances(ground: &Ground, noise: Sigmas, dice: &mut Dice) -> Vec<KnownDistance> {
    // Lane width near and far, three dashes, a bus.
    let pairs = [
        ([-1.75, 16.0], [1.75, 16.0]),
        ([-1.75, 36.0], [1.75, 36.0]),
        ([1.75, 18.0], [1.75, 24.0]),
        ([1.75, 24.0], [1.75, 30.0]),
        ([-1.75, 30.0], [-1.75, 42.0]),
        ([5.0, 20.0], [5.0, 32.0]),
    ];
    let mut see = |[x, y]: [f64; 2]| {
        let seen = ground.to_image(Vector::new(x, y)).unwrap();
        point(
            seen.x + noise.click / ASPECT * dice.normal(),
            seen.y + noise.click * dice.normal(),
        )
    };
    pairs
        .iter()
        .map(|&(a, b)| KnownDistance {
            from: see(a),
            to: see(b),
            metres: libm::hypot(a[0] - b[0], a[1] - b[1]),
            sigma_m: 0.02,
        })
        .collect()
}

#[test]
fn distances_alone_give_the_plane_and_say_how_well() {
    let truth = Ground::new(&calibration(&VIEW)).unwrap();
    let (a, b) = (point(0.45, 0.7), point(0.52, 0.42));
    let exact = truth.distance(a, b).unwrap().0;
    let mut dice = Dice(11);
    let (mut squares, mut errors, rounds) = (0.0, 0.0, 60);
    for _ in 0..rounds {
        let known = distances(&truth, SIGMAS, &mut dice);
        let fitted = fit_distances(&known, ASPECT, None, SIGMAS).unwrap();
        let ground = Ground::new(&fitted.calibration).unwrap();
        let (length, sigma) = ground.distance(a, b).unwrap();
        squares += square((length - exact) / sigma);
        errors += square(length / exact - 1.0);
    }
    let (squares, errors) = (
        squares / f64::from(rounds),
        (errors / f64::from(rounds)).sqrt(),
    );
    assert!(errors < 0.02, "{errors}");
    assert!((0.4..1.6).contains(&squares), "{squares}");
}

#[test]
fn old_files_are_read_and_newer_ones_are_not_guessed_at() {
    let old = r#"{"image_to_ground":[[8.0,0.0,-4.0],[0.0,0.0,8.0],[0.0,1.0,-0.2]],"residual_m":0.1,"points":6}"#;
    let read: Calibration = serde_json::from_str(old).unwrap();
    assert_eq!((read.version, read.uncertainty, read.lens), (1, None, None));
    // And they are written as they were, so that their hash stays.
    assert_eq!(serde_json::to_string(&read).unwrap(), old);
    let newer = Calibration { version: 3, ..read };
    let fault = Ground::new(&newer).unwrap_err();
    assert!(fault.message.contains("install a newer program"), "{fault}");
    let truth = Ground::new(&calibration(&VIEW)).unwrap();
    let points = survey(&truth, SIGMAS, &mut Dice(5));
    let fitted = fit_points(&points, ASPECT, None, SIGMAS).unwrap();
    let text = toml::to_string(&fitted.calibration).unwrap();
    assert_eq!(
        toml::from_str::<Calibration>(&text).unwrap(),
        fitted.calibration
    );
    let mut nonsense = fitted.calibration;
    nonsense.uncertainty.as_mut().unwrap().covariance[2][2] = -1.0;
    let fault = Ground::new(&nonsense).unwrap_err();
    assert_eq!(fault.path, "calibration.uncertainty.covariance");
}

#[test]
fn a_lens_is_taken_out_before_the_ground_is_looked_up() {
    let lens = Lens {
        fx: 1.3 / ASPECT,
        fy: 1.3,
        cx: 0.5,
        cy: 0.5,
        k1: -0.25,
        k2: 0.05,
        p1: 0.0005,
        p2: 0.0,
        k3: 0.0,
    };
    let bent = Calibration {
        lens: Some(lens),
        version: VERSION,
        ..calibration(&VIEW)
    };
    let (bent, straight) = (
        Ground::new(&bent).unwrap(),
        Ground::new(&calibration(&VIEW)).unwrap(),
    );
    let place = Vector::new(-6.0, 20.0);
    let seen = bent.to_image(place).unwrap();
    let ideal = straight.to_image(place).unwrap();
    assert!((seen.x - ideal.x).abs() > 0.003, "{seen:?} {ideal:?}");
    assert!((bent.to_ground(seen).unwrap() - place).length() < 1e-4);
}

fn square(value: f64) -> f64 {
    value * value
}
