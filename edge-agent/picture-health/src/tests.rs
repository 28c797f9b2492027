//! A painted road, and what happens to its camera.

use super::*;
use edge_core::Condition;
use protocol::EventTime;
use protocol::units::Seconds;

const SIZE: (usize, usize) = (320, 180);
/// Seconds between looks.
const STEP_S: f64 = 2.0;

/// What the camera is shown at an instant.
#[derive(Clone, Copy, Debug)]
struct View {
    /// Where the camera looks, pixels off its first direction.
    pan: (f64, f64),
    /// Light on the scene, 0 to 1.
    light: f64,
    /// Blur, pixels on each side.
    blur: usize,
    /// Part of the width that something grey covers.
    covered: f64,
    /// Sensor noise, luma.
    noise: f64,
    /// Cars on the road.
    cars: usize,
    /// Another place altogether.
    elsewhere: bool,
    /// Part of the picture that glares.
    glare: f64,
    /// Fog, 0 to 1: how much of the contrast is gone.
    fog: f64,
}

const DAY: View = View {
    pan: (0.0, 0.0),
    light: 0.6,
    blur: 0,
    covered: 0.0,
    noise: 3.0,
    cars: 4,
    elsewhere: false,
    glare: 0.0,
    fog: 0.0,
};

const NIGHT: View = View {
    light: 0.22,
    noise: 8.0,
    ..DAY
};

/// The same everywhere: a hash of whole numbers, 0 to 1.
fn chance(a: i64, b: i64, seed: i64) -> f64 {
    let mut x =
        (a.wrapping_mul(374_761_393)) ^ (b.wrapping_mul(668_265_263)) ^ (seed * 1_274_126_177);
    x = (x ^ (x >> 13)).wrapping_mul(1_274_126_177);
    x ^= x >> 16;
    (x & 0xffff) as f64 / 65_535.0
}

/// Brightness of the place at a point, 0 to 1: houses, windows, a road with dashes.
fn place(x: f64, y: f64, seed: i64) -> f64 {
    let (xi, yi) = (x.floor() as i64, y.floor() as i64);
    let texture = 0.06 * chance(xi / 2, yi / 2, seed + 9);
    if y < 150.0 {
        // House fronts of uneven width, with windows.
        let house = xi.div_euclid(70);
        let wall = 0.35 + 0.4 * chance(house, 0, seed);
        let window = xi.rem_euclid(23) > 12 && yi.rem_euclid(31) > 17;
        let lit = 0.2 + 0.5 * chance(xi.div_euclid(23), yi.div_euclid(31), seed + 1);
        texture + if window { wall * lit } else { wall }
    } else {
        let dash = (xi - 320 - (yi - 150) / 2).rem_euclid(150) < 6 && yi.rem_euclid(50) < 30;
        let kerb = yi < 158;
        let patch = 0.1 * chance(xi.div_euclid(37), yi.div_euclid(19), seed + 2);
        texture + patch + if dash || kerb { 0.8 } else { 0.3 }
    }
}

/// What the camera delivers, `t` seconds after its start.
fn paint(view: &View, t: f64) -> Vec<u8> {
    let (width, height) = SIZE;
    let painted_by = if view.elsewhere { 77 } else { 0 };
    let frame = (t * 10.0).round() as i64;
    let mut picture = vec![0.0_f64; width * height];
    for y in 0..height {
        for x in 0..width {
            let (px, py) = (x as f64, y as f64);
            // The place is painted on 640 × 360.
            let (sx, sy) = (2.0 * (px + view.pan.0), 2.0 * (py + view.pan.1));
            let (across, down) = (2.0 * px, 2.0 * py);
            let mut value = if view.elsewhere {
                place(sy * 1.7 + 90.0, sx * 0.5, painted_by)
            } else {
                place(sx, sy, painted_by)
            };
            for car in 0..view.cars {
                let speed = 40.0 + 30.0 * car as f64;
                let cx = (t * speed + 200.0 * car as f64).rem_euclid(900.0) - 100.0;
                let cy = 190.0 + 40.0 * car as f64;
                if (across - cx).abs() < 40.0 && (down - cy).abs() < 16.0 {
                    value = 0.15 + 0.7 * chance(car as i64, 0, 5);
                }
            }
            value = view.fog.mul_add(0.6 - value, value);
            value *= view.light;
            if px < view.covered * width as f64 {
                value = 0.4;
            }
            let (gx, gy) = (px / width as f64 - 0.5, py / height as f64 - 0.5);
            if gx * gx + gy * gy < view.glare / 3.0 {
                value = 1.0;
            }
            picture[y * width + x] = value;
        }
    }
    for _ in 0..2 {
        picture = blurred(&picture, view.blur);
    }
    picture
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let noise = view.noise * (chance(index as i64, frame, 3) - 0.5) * 2.0;
            (16.0 + 219.0 * value + noise).clamp(0.0, 255.0) as u8
        })
        .collect()
}

/// Means over a square, side 2r + 1.
fn blurred(picture: &[f64], r: usize) -> Vec<f64> {
    if r == 0 {
        return picture.to_vec();
    }
    let (width, height) = SIZE;
    let pass = |from: &[f64], along: usize, across: usize, length: usize, count: usize| {
        let mut to = vec![0.0; from.len()];
        for line in 0..count {
            for at in 0..length {
                let (first, last) = (at.saturating_sub(r), (at + r).min(length - 1));
                let sum: f64 = (first..=last)
                    .map(|i| from[line * across + i * along])
                    .sum();
                to[line * across + at * along] = sum / (last - first + 1) as f64;
            }
        }
        to
    };
    let rows = pass(picture, 1, width, width, height);
    pass(&rows, width, 1, height, width)
}

/// Plays views one after the other, each for so many seconds, one look after the other.
fn played(story: &[(View, f64)]) -> Vec<(f64, Condition)> {
    shown(&mut Watch::new(Settings::default()), 0.0, story)
}

/// Shows views to a watch from an instant on, s.
fn shown(watch: &mut Watch, from: f64, story: &[(View, f64)]) -> Vec<(f64, Condition)> {
    let (mut said, mut t) = (Vec::new(), from);
    for (view, length) in story {
        let end = t + length;
        while t < end {
            let picture = paint(view, t);
            let thumbnail = Thumbnail::of(&picture, SIZE.0, SIZE.0, SIZE.1).unwrap();
            if let Some(health) = watch.look(&thumbnail, EventTime::EPOCH + Seconds(t)) {
                assert!(health.since <= health.time);
                let holds = health
                    .value
                    .zip(health.threshold)
                    .is_none_or(|(value, threshold)| match health.condition {
                        Condition::Blocked | Condition::Moved => value >= threshold,
                        _ => value <= threshold,
                    });
                assert!(holds, "{health:?}");
                said.push((t, health.condition));
            }
            t += STEP_S;
        }
    }
    said
}

/// After a minute and a half of `usual`, `then` for over a minute, and back: what is said and how late.
fn check(usual: View, then: View, expected: Condition) {
    let said = played(&[(usual, 90.0), (then, 70.0), (usual, 40.0)]);
    let words: Vec<Condition> = said.iter().map(|(_, condition)| *condition).collect();
    if expected.is_well() {
        assert_eq!(said, [], "{then:?}");
        return;
    }
    assert_eq!(words, [expected, Condition::Well], "{then:?}: {said:?}");
    assert!(said[0].0 - 90.0 <= 60.0, "found late: {said:?}");
    assert!(said[1].0 - 160.0 <= 40.0, "over late: {said:?}");
}

#[test]
fn a_covered_camera_is_blocked_also_by_something_of_another_brightness() {
    for (usual, covered) in [(DAY, 1.0), (DAY, 0.85), (NIGHT, 0.9)] {
        check(usual, View { covered, ..usual }, Condition::Blocked);
    }
    check(
        DAY,
        View {
            covered: 0.4,
            ..DAY
        },
        Condition::Well,
    );
}

#[test]
fn a_camera_that_looks_elsewhere_has_moved() {
    for pan in [(8.0, 0.0), (0.0, 7.0), (-15.0, 10.0), (25.0, -10.0)] {
        check(DAY, View { pan, ..DAY }, Condition::Moved);
        check(NIGHT, View { pan, ..NIGHT }, Condition::Moved);
    }
    check(
        DAY,
        View {
            elsewhere: true,
            ..DAY
        },
        Condition::Moved,
    );
    // Less than a hundredth of the picture is wind.
    check(
        DAY,
        View {
            pan: (1.0, 0.5),
            ..DAY
        },
        Condition::Well,
    );
}

#[test]
fn a_blurred_picture_is_defocused() {
    for blur in [2, 4] {
        check(DAY, View { blur, ..DAY }, Condition::Defocused);
    }
    check(DAY, View { noise: 9.0, ..DAY }, Condition::Well);
}

#[test]
fn a_black_picture_is_dark_and_a_dim_one_with_lamps_is_not() {
    check(DAY, View { light: 0.02, ..DAY }, Condition::Dark);
    check(DAY, NIGHT, Condition::Well);
}

#[test]
fn what_is_over_within_a_quarter_of_a_minute_is_never_said() {
    for brief in [
        View {
            covered: 1.0,
            ..DAY
        },
        View { blur: 4, ..DAY },
        View {
            pan: (20.0, 0.0),
            ..DAY
        },
        View { light: 0.0, ..DAY },
        View { glare: 0.8, ..DAY },
    ] {
        let said = played(&[
            (DAY, 90.0),
            (brief, 10.0),
            (DAY, 60.0),
            (brief, 10.0),
            (DAY, 60.0),
        ]);
        assert_eq!(said, [], "{brief:?}");
    }
}

#[test]
fn nights_headlights_rain_and_the_switch_to_infrared_are_well() {
    let infrared = View {
        light: 0.45,
        noise: 6.0,
        fog: 0.35,
        ..DAY
    };
    for story in [
        // Dusk in steps, a night, a switch to infrared and back.
        vec![
            (DAY, 90.0),
            (View { light: 0.4, ..DAY }, 60.0),
            (View { light: 0.3, ..DAY }, 60.0),
            (NIGHT, 120.0),
            (infrared, 120.0),
            (NIGHT, 30.0),
            (infrared, 90.0),
            (DAY, 60.0),
        ],
        // Headlights that come and go.
        (0..20)
            .map(|i| {
                (
                    View {
                        glare: if i % 2 == 0 { 0.25 } else { 0.0 },
                        ..NIGHT
                    },
                    7.0,
                )
            })
            .collect(),
        // Rain: noise, and half of the contrast.
        vec![
            (DAY, 120.0),
            (
                View {
                    fog: 0.5,
                    noise: 14.0,
                    ..DAY
                },
                120.0,
            ),
            (DAY, 60.0),
        ],
        // A noisy hour that ends: what was learnt of noise is no sharpness.
        vec![
            (DAY, 90.0),
            (View { noise: 25.0, ..DAY }, 90.0),
            (DAY, 90.0),
        ],
        // Traffic by the dozen, and an empty road.
        vec![
            (View { cars: 0, ..DAY }, 90.0),
            (View { cars: 9, ..DAY }, 90.0),
            (View { cars: 1, ..DAY }, 60.0),
        ],
    ] {
        assert_eq!(played(&story), [], "{story:?}");
    }
}

#[test]
fn a_camera_that_starts_blocked_is_said_to_be() {
    let said = played(&[
        (
            View {
                covered: 1.0,
                ..DAY
            },
            60.0,
        ),
        (DAY, 60.0),
    ]);
    let words: Vec<Condition> = said.iter().map(|(_, condition)| *condition).collect();
    assert_eq!(words, [Condition::Blocked, Condition::Well], "{said:?}");
}

#[test]
fn a_hole_in_the_stream_is_no_time_in_which_looks_agreed() {
    let mut watch = Watch::new(Settings::default());
    let black = vec![0; SIZE.0 * SIZE.1];
    let thumbnail = Thumbnail::of(&black, SIZE.0, SIZE.0, SIZE.1).unwrap();
    for t in [0.0, 1.0, 2.0, 60.0, 61.0, 62.0, 120.0, 121.0] {
        let said = watch.look(&thumbnail, EventTime::EPOCH + Seconds(t));
        assert_eq!(said, None, "{t}");
    }
}

#[test]
fn a_plane_that_is_not_as_large_as_it_says_is_no_thumbnail() {
    let plane = vec![0_u8; 640 * 360];
    assert!(Thumbnail::of(&plane, 640, 640, 360).is_some());
    for (stride, width, height) in [
        (640, 640, 361),
        (600, 640, 300),
        (640, 100, 360),
        (640, 640, 0),
        (usize::MAX, 640, 360),
    ] {
        assert_eq!(Thumbnail::of(&plane, stride, width, height), None);
    }
}

/// What a watch says of `view` that was off for `off_s` after it had seen the road by day.
fn after_a_rest(off_s: f64, view: View) -> Vec<Condition> {
    let mut watch = Watch::new(Settings::default());
    shown(&mut watch, 0.0, &[(DAY, 120.0)]);
    // As a file would keep it.
    let text = serde_json::to_string(&watch.memory().unwrap()).unwrap();
    assert!(text.len() < 200_000, "{} bytes", text.len());
    let memory: Memory = serde_json::from_str(&text).unwrap();
    assert!(memory.is_of_use());
    let mut watch = Watch::remembering(Settings::default(), &memory).unwrap();
    let said = shown(&mut watch, 120.0 + off_s, &[(view, 90.0)]);
    said.into_iter().map(|(_, condition)| condition).collect()
}

#[test]
fn a_camera_that_was_turned_while_the_box_was_off_has_moved() {
    let turned = View {
        pan: (22.0, 0.0),
        ..DAY
    };
    let elsewhere = View {
        elsewhere: true,
        ..DAY
    };
    let (night, month) = (8.0 * 3_600.0, 31.0 * 86_400.0);
    assert_eq!(after_a_rest(night, DAY), []);
    assert_eq!(after_a_rest(night, turned), [Condition::Moved]);
    assert_eq!(after_a_rest(night, elsewhere), [Condition::Moved]);
    assert_eq!(after_a_rest(month, turned), [], "too long ago to say");
    assert_eq!(after_a_rest(-night, turned), [], "the clock was set back");
}

#[test]
fn a_memory_that_was_damaged_is_refused_in_words() {
    let mut watch = Watch::new(Settings::default());
    assert_eq!(watch.memory(), None);
    shown(&mut watch, 0.0, &[(DAY, 4.0)]);
    let memory = watch.memory().unwrap();
    assert!(!memory.is_of_use(), "four seconds are not enough");
    shown(&mut watch, 4.0, &[(DAY, 90.0)]);
    let sound = serde_json::to_value(watch.memory().unwrap()).unwrap();
    for (pointer, wrong, said) in [
        ("/known_light", serde_json::json!(9), "light 9"),
        ("/lights/0/quarter", serde_json::json!(4), "no light 4"),
        ("/lights/0/cells", serde_json::json!([1.0]), "another size"),
        ("/lights/0/edges", serde_json::json!([]), "another size"),
        (
            "/lights/0/mean",
            serde_json::json!(1e39),
            "a number that is none",
        ),
    ] {
        let mut memory = sound.clone();
        *memory.pointer_mut(pointer).unwrap() = wrong;
        let memory: Memory = serde_json::from_value(memory).unwrap();
        let refused = Watch::remembering(Settings::default(), &memory).unwrap_err();
        assert!(refused.contains(said), "{pointer}: {refused}");
    }
}
