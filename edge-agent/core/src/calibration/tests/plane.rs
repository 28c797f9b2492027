use proptest::prelude::*;

use super::super::*;

/// A camera on a pole 8 m above the origin that looks along y, pitched
/// down so that the horizon is at 0.2 of the picture.
pub(crate) fn pole_camera() -> Calibration {
    // y_image = 0.2 + 8/Y and x_image = 0.5 + X/Y: so Y = 8/(y−0.2), X = (x−0.5)·Y.
    Calibration {
        image_to_ground: [[8.0, 0.0, -4.0], [0.0, 0.0, 8.0], [0.0, 1.0, -0.2]],
        residual_m: Metres(0.1),
        points: 6,
        ..Calibration::default()
    }
}

#[test]
fn the_horizon_and_the_sky_are_nowhere_on_the_ground() {
    let ground = Ground::new(&pole_camera()).unwrap();
    assert_eq!(ground.to_ground(Point { x: 0.5, y: 0.2 }), None);
    assert_eq!(ground.to_ground(Point { x: 0.5, y: 0.1 }), None);
    let near = ground.to_ground(Point { x: 0.5, y: 1.0 }).unwrap();
    assert!((near.y - 10.0).abs() < 1e-9 && near.x.abs() < 1e-9);
}

#[test]
fn a_matrix_of_either_sign_means_the_same() {
    let positive = pole_camera();
    let mut negative = positive;
    for value in negative.image_to_ground.iter_mut().flatten() {
        *value *= -3.0;
    }
    let p = Point { x: 0.3, y: 0.7 };
    let (a, b) = (
        Ground::new(&positive).unwrap().to_ground(p).unwrap(),
        Ground::new(&negative).unwrap().to_ground(p).unwrap(),
    );
    assert!((a - b).length() < 1e-9);
}

#[test]
fn a_calibration_that_leads_nowhere_is_refused_with_what_to_do() {
    for matrix in [
        [[0.0; 3]; 3],
        [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
        [[1.0, 0.0, f64::NAN], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, -1.0]],
    ] {
        let calibration = Calibration {
            image_to_ground: matrix,
            points: 4,
            ..Calibration::default()
        };
        let fault = Ground::new(&calibration).unwrap_err();
        assert_eq!(fault.path, "calibration.image_to_ground");
        assert!(
            fault.message.contains("calibrate the camera again"),
            "{fault}"
        );
    }
}

proptest! {
    #[test]
    fn there_and_back_is_the_same_point(x in 0.0..1.0_f64, y in 0.25..1.0_f64) {
        let ground = Ground::new(&pole_camera()).unwrap();
        let place = ground.to_ground(Point { x, y }).unwrap();
        let back = ground.to_image(place).unwrap();
        prop_assert!((back.x - x).abs() < 1e-9 && (back.y - y).abs() < 1e-9);
    }
}
