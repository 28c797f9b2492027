//! Boxes on painted pictures of which the motion is known.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

use std::sync::LazyLock;

use optical_flow::{Pyramid, moved};
use proptest::prelude::*;
use protocol::NormBox;

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;

/// Brightness of an endless rough wall at a place, 40 to 216: blotches of some twenty pixels, between
/// which it goes over smoothly.
fn wall(x: f64, y: f64, seed: u64) -> f64 {
    let cell = 20.0;
    let (column, line) = ((x / cell).floor(), (y / cell).floor());
    #[allow(clippy::cast_possible_truncation)] // some hundred cells
    let corner = |right: f64, down: f64| {
        let mixed = [column + right, line + down]
            .into_iter()
            .fold(seed, |mixed, part| {
                let mixed =
                    (mixed ^ (part as i64).cast_unsigned()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                mixed ^ (mixed >> 29)
            });
        (mixed % 1000) as f64 / 999.0
    };
    let (across, down) = (x / cell - column, y / cell - line);
    let above = corner(0.0, 0.0) * (1.0 - across) + corner(1.0, 0.0) * across;
    let below = corner(0.0, 1.0) * (1.0 - across) + corner(1.0, 1.0) * across;
    40.0 + 176.0 * (above * (1.0 - down) + below * down)
}

/// A street that stands still, and before it a thing that fills `thing`, grown by `growth`
/// since it was painted with its corner at the origin of its own wall.
fn picture(thing: &NormBox, growth: f64, seed: u64) -> Pyramid {
    let (width, height) = (WIDTH as f64, HEIGHT as f64);
    let (left, top) = (thing.x * width, thing.y * height);
    let (right, bottom) = (left + thing.width * width, top + thing.height * height);
    let mut plane = Vec::with_capacity(WIDTH * HEIGHT);
    for line in 0..HEIGHT {
        for column in 0..WIDTH {
            let (x, y) = (column as f64, line as f64);
            let is_thing = x >= left && x < right && y >= top && y < bottom;
            let brightness = if is_thing {
                wall((x - left) / growth, (y - top) / growth, seed)
            } else {
                wall(x, y, 7)
            };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 40 to 216
            plane.push(brightness as u8);
        }
    }
    let mut pyramid = Pyramid::default();
    assert!(pyramid.read(&plane, WIDTH, WIDTH, HEIGHT));
    pyramid
}

fn car(x: f64, y: f64) -> NormBox {
    NormBox {
        x,
        y,
        width: 0.12,
        height: 0.14,
    }
}

/// Greatest distance of an edge from where it should be, pixels of the picture.
fn apart(a: &NormBox, b: &NormBox) -> f64 {
    let (width, height) = (WIDTH as f64, HEIGHT as f64);
    [
        (a.x - b.x) * width,
        (a.y - b.y) * height,
        (a.x + a.width - b.x - b.width) * width,
        (a.y + a.height - b.y - b.height) * height,
    ]
    .into_iter()
    .fold(0.0, |most, edge| most.max(edge.abs()))
}

#[test]
fn a_box_moves_and_grows_with_what_is_in_it() {
    let before = car(0.4, 0.4);
    let from = picture(&before, 1.0, 1);
    for (dx, dy, growth) in [
        (0.0, 0.0, 1.0),
        (0.002, 0.0, 1.0),
        (0.01, -0.01, 1.0),
        // A twenty-fifth of the picture from one to the next: four times a box length a second at ten
        // pictures a second.
        (0.04, 0.02, 1.0),
        (-0.03, 0.03, 1.04),
        (0.0, 0.004, 0.97),
    ] {
        let after = NormBox {
            x: before.x + dx,
            y: before.y + dy,
            width: before.width * growth,
            height: before.height * growth,
        };
        let found = moved(&from, &picture(&after, growth, 1), &[before])[0];
        let found = found.unwrap_or_else(|| panic!("lost at {dx}, {dy}, {growth}"));
        let far = apart(&found, &after);
        assert!(far < 1.5, "{far} pixels at {dx}, {dy}, {growth}");
    }
}

#[test]
fn each_box_goes_its_own_way() {
    let (left, right) = (car(0.2, 0.4), car(0.6, 0.4));
    let street = picture(&left, 1.0, 1);
    let after = picture(&car(0.22, 0.4), 1.0, 1);
    let found = moved(&street, &after, &[left, right]);
    assert!(apart(&found[0].unwrap(), &car(0.22, 0.4)) < 1.5);
    assert!(apart(&found[1].unwrap(), &right) < 0.2, "what stands stays");
}

#[test]
fn who_is_not_there_any_more_is_lost() {
    let before = car(0.4, 0.4);
    let from = picture(&before, 1.0, 1);
    let another = picture(&before, 1.0, 2);
    assert_eq!(moved(&from, &another, &[before]), [None]);
    let mut dark = Pyramid::default();
    assert!(dark.read(&vec![16; WIDTH * HEIGHT], WIDTH, WIDTH, HEIGHT));
    assert_eq!(moved(&from, &dark, &[before]), [None]);
    assert_eq!(
        moved(&dark, &dark, &[before]),
        [None],
        "without texture nothing is known"
    );
}

#[test]
fn pictures_of_another_size_tell_nothing() {
    let mut small = Pyramid::default();
    assert!(small.read(&vec![16; 320 * 240], 320, 320, 240));
    let large = picture(&car(0.4, 0.4), 1.0, 1);
    assert_eq!(moved(&small, &large, &[car(0.4, 0.4)]), [None]);
    assert_eq!(
        moved(&Pyramid::default(), &Pyramid::default(), &[car(0.4, 0.4)]),
        [None]
    );
}

#[test]
fn planes_that_are_not_as_large_as_said_are_refused_and_leave_nothing() {
    let mut pyramid = Pyramid::default();
    assert!(pyramid.read(&[90; 64 * 64], 64, 64, 64));
    for (bytes, stride, width, height) in [
        (64 * 64 - 1, 64, 64, 64),
        (64 * 64, 63, 64, 64),
        (64 * 64, 64, 16, 64),
        (0, 0, 0, 0),
        (64 * 64, usize::MAX, 64, 64),
        (64, 64, 64, 1),
    ] {
        assert!(
            !pyramid.read(&vec![90; bytes], stride, width, height),
            "{stride} {width}×{height}"
        );
        assert_eq!(pyramid.size(), (0, 0));
    }
    // A stride longer than the row, and a last row without its end.
    assert!(pyramid.read(&vec![90; 80 * 63 + 64], 80, 64, 64));
}

proptest! {
    /// Boxes come from models, which may say anything.
    #[test]
    fn any_box_is_followed_or_lost(
        x in prop_oneof![-3.0..3.0f64, Just(f64::NAN), Just(f64::INFINITY)],
        y in -3.0..3.0f64,
        width in prop_oneof![-1.0..4.0f64, Just(0.0), Just(1e300)],
        height in -1.0..4.0f64,
    ) {
        static STREET: LazyLock<Pyramid> = LazyLock::new(|| picture(&car(0.4, 0.4), 1.0, 1));
        let bounds = NormBox { x, y, width, height };
        for found in moved(&STREET, &STREET, &[bounds]).into_iter().flatten() {
            let edges: [f64; 4] = found.into();
            prop_assert!(edges.iter().all(|edge| edge.is_finite()));
            prop_assert!(apart(&found, &bounds) < 1.0, "a still picture moves nothing: {found:?}");
        }
    }
}
