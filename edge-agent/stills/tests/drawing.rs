//! What shows on a still, where, and what can never happen to one.

use edge_stills::{BACKDROP, Emphasis, Overlay, OverlayBox, Picture};
use proptest::prelude::*;
use protocol::{NormBox, Point};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;

fn drawn(overlay: &Overlay) -> Picture {
    let mut picture = Picture::blank(WIDTH, HEIGHT, BACKDROP).expect("a usual size");
    picture.draw(overlay).expect("a sound overlay");
    picture
}

fn pixel(picture: &Picture, x: f64, y: f64) -> [u8; 3] {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a place in a small picture"
    )]
    let at = ((y * f64::from(picture.height())) as usize * picture.width() as usize
        + (x * f64::from(picture.width())) as usize)
        * 3;
    picture.bgr()[at..at + 3]
        .try_into()
        .expect("three bytes are three")
}

/// Share of pixels in (left, top, right, bottom) that differ from the blank canvas.
fn touched(picture: &Picture, [left, top, right, bottom]: [f64; 4]) -> f64 {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let (mut all, mut changed) = (0.0, 0.0);
    for (at, pixel) in picture.bgr().chunks_exact(3).enumerate() {
        let x = (at % picture.width() as usize) as f64 / width;
        let y = (at / picture.width() as usize) as f64 / height;
        if (left..right).contains(&x) && (top..bottom).contains(&y) {
            all += 1.0;
            changed += f64::from(u8::from(pixel != BACKDROP));
        }
    }
    changed / all
}

const ALL: [f64; 4] = [0.0, 0.0, 1.0, 1.0];

fn square(x: f64, y: f64, side: f64) -> Vec<Point> {
    vec![
        Point { x, y },
        Point { x: x + side, y },
        Point {
            x: x + side,
            y: y + side,
        },
        Point { x, y: y + side },
    ]
}

fn user(bounds: [f64; 4], label: &str, emphasis: Emphasis) -> OverlayBox {
    OverlayBox {
        bounds: NormBox::from(bounds),
        label: label.into(),
        emphasis,
    }
}

#[test]
fn nothing_to_draw_changes_nothing() {
    assert_eq!(touched(&drawn(&Overlay::default()), ALL), 0.0);
    let empty = Overlay {
        zones: vec![
            (Vec::new(), "x".into(), Emphasis::Zone),
            (
                square(0.2, 0.2, 0.1)[..2].to_vec(),
                "x".into(),
                Emphasis::Zone,
            ),
        ],
        paths: vec![(Vec::new(), Emphasis::Accused)],
        caption: vec![String::new(), "  ".into()],
        ..Overlay::default()
    };
    assert_eq!(touched(&drawn(&empty), ALL), 0.0);
}

#[test]
fn a_zone_is_tinted_inside_and_leaves_the_rest_alone() {
    let overlay = Overlay {
        zones: vec![(square(0.3, 0.3, 0.4), String::new(), Emphasis::Zone)],
        ..Overlay::default()
    };
    let picture = drawn(&overlay);
    let inside = pixel(&picture, 0.5, 0.5);
    let tint = Emphasis::Zone.bgr();
    for channel in 0..3 {
        // Between the road and the colour, nearer to the road: it must still show.
        let (road, tint, seen) = (
            f64::from(BACKDROP[channel]),
            f64::from(tint[channel]),
            f64::from(inside[channel]),
        );
        let share = (seen - road) / (tint - road);
        assert!((0.08..0.4).contains(&share), "channel {channel}: {share}");
    }
    assert_eq!(pixel(&picture, 0.1, 0.1), BACKDROP);
    assert_eq!(pixel(&picture, 0.9, 0.9), BACKDROP);
}

#[test]
fn boxes_are_outlines_in_the_colour_of_their_emphasis() {
    for emphasis in [Emphasis::Accused, Emphasis::Context, Emphasis::Zone] {
        let picture = drawn(&Overlay {
            boxes: vec![user([0.25, 0.25, 0.5, 0.5], "", emphasis)],
            ..Overlay::default()
        });
        assert_eq!(
            pixel(&picture, 0.5, 0.5),
            BACKDROP,
            "the evidence inside stays clean"
        );
        // An antialiased line of one pixel does not quite reach its colour.
        let edge = (0..6).any(|dy| {
            let seen = pixel(&picture, 0.5, 0.25 + f64::from(dy - 3) / f64::from(HEIGHT));
            seen.iter()
                .zip(emphasis.bgr())
                .all(|(a, b)| a.abs_diff(b) < 48)
        });
        assert!(edge, "{emphasis:?}");
    }
}

#[test]
fn the_accused_is_on_top_whatever_the_order() {
    let accused = user([0.3, 0.3, 0.2, 0.2], "a", Emphasis::Accused);
    let context = user([0.3, 0.3, 0.2, 0.2], "b", Emphasis::Context);
    let draw = |boxes| {
        drawn(&Overlay {
            boxes,
            ..Overlay::default()
        })
    };
    let one = draw(vec![accused.clone(), context.clone()]);
    let other = draw(vec![context, accused]);
    assert!((0..6).any(
        |dx| pixel(&one, 0.3 + f64::from(dx - 3) / f64::from(WIDTH), 0.4)
            == Emphasis::Accused.bgr()
    ));
    assert_eq!(one, other);
}

#[test]
fn labels_stay_inside_the_picture_and_off_each_other() {
    // A box in the corner: its label cannot be above it nor to the left.
    let corner = drawn(&Overlay {
        boxes: vec![user([-0.02, -0.02, 0.1, 0.2], "xe máy", Emphasis::Accused)],
        ..Overlay::default()
    });
    let plate = corner
        .bgr()
        .chunks_exact(3)
        .filter(|p| *p != BACKDROP)
        .count();
    let bare = drawn(&Overlay {
        boxes: vec![user([-0.02, -0.02, 0.1, 0.2], "", Emphasis::Accused)],
        ..Overlay::default()
    });
    let outline = bare
        .bgr()
        .chunks_exact(3)
        .filter(|p| *p != BACKDROP)
        .count();
    assert!(plate > outline + 500, "{plate} {outline}");

    // Two road users side by side: covering one label with the other would lose a name.
    let pair = drawn(&Overlay {
        boxes: vec![
            user([0.4, 0.4, 0.03, 0.1], "người đi bộ", Emphasis::Context),
            user([0.44, 0.4, 0.03, 0.1], "người đi bộ", Emphasis::Context),
        ],
        ..Overlay::default()
    });
    let single = drawn(&Overlay {
        boxes: vec![user(
            [0.4, 0.4, 0.03, 0.1],
            "người đi bộ",
            Emphasis::Context,
        )],
        ..Overlay::default()
    });
    let ink = |picture: &Picture| {
        picture
            .bgr()
            .chunks_exact(3)
            .filter(|p| p.iter().all(|c| *c < 26))
            .count()
    };
    assert!(
        ink(&pair) * 10 >= ink(&single) * 19,
        "{} {}",
        ink(&pair),
        ink(&single)
    );
}

#[test]
fn a_path_fades_towards_its_past() {
    let path = (0..40)
        .map(|n| Point {
            x: 0.1 + 0.02 * f64::from(n),
            y: 0.5,
        })
        .collect();
    let picture = drawn(&Overlay {
        paths: vec![(path, Emphasis::Accused)],
        ..Overlay::default()
    });
    // Red of vermilion against the backdrop's.
    let red = |x: f64| {
        (-1..=1)
            .map(|dy| pixel(&picture, x, 0.5 + f64::from(dy) / f64::from(HEIGHT))[2])
            .max()
            .unwrap()
    };
    let along = [0.12, 0.3, 0.5, 0.7, 0.87].map(red);
    assert!(along.windows(2).all(|pair| pair[0] < pair[1]), "{along:?}");
    assert!(along[0] > BACKDROP[2] && along[4] > 190, "{along:?}");
}

#[test]
fn the_arrow_of_a_line_points_towards_the_side_that_was_named() {
    let ends = [Point { x: 0.2, y: 0.5 }, Point { x: 0.8, y: 0.5 }];
    for ends in [ends, [ends[1], ends[0]]] {
        for up in [true, false] {
            let mut overlay = Overlay::default();
            let towards = Point {
                x: 0.6,
                y: if up { 0.1 } else { 0.9 },
            };
            overlay.add_line(ends, towards, String::new(), Emphasis::Zone);
            let picture = drawn(&overlay);
            let above = touched(&picture, [0.4, 0.42, 0.6, 0.47]);
            let below = touched(&picture, [0.4, 0.53, 0.6, 0.58]);
            assert!(
                if up {
                    above > 0.0 && below == 0.0
                } else {
                    below > 0.0 && above == 0.0
                },
                "{up} {above} {below}"
            );
        }
    }
}

#[test]
fn caption_and_banner_keep_to_their_places() {
    let picture = drawn(&Overlay {
        caption: vec!["Đi ngược chiều".into(), "2026-11-22 08:15:30 +07:00".into()],
        ..Overlay::default()
    });
    assert!(touched(&picture, [0.0, 0.9, 0.2, 1.0]) > 0.95);
    assert_eq!(touched(&picture, [0.0, 0.0, 1.0, 0.7]), 0.0);
    assert_eq!(touched(&picture, [0.7, 0.0, 1.0, 1.0]), 0.0);

    let picture = drawn(&Overlay {
        banner: Some("MÔ PHỎNG · SIMULATION".into()),
        ..Overlay::default()
    });
    assert_eq!(touched(&picture, [0.0, 0.0, 1.0, 0.07]), 1.0);
    assert_eq!(touched(&picture, [0.0, 0.2, 1.0, 1.0]), 0.0);
}

#[test]
fn a_caption_of_any_length_leaves_half_of_the_picture_free() {
    let picture = drawn(&Overlay {
        caption: vec!["rất dài ".repeat(400); 400],
        ..Overlay::default()
    });
    assert_eq!(touched(&picture, [0.0, 0.0, 1.0, 0.4]), 0.0);
    assert!(touched(&picture, [0.0, 0.7, 1.0, 1.0]) > 0.9);
}

#[test]
fn a_legend_stands_below_the_picture_and_covers_nothing_of_it() {
    let before = drawn(&Overlay {
        boxes: vec![user([0.3, 0.8, 0.2, 0.2], "xe máy", Emphasis::Accused)],
        ..Overlay::default()
    });
    let mut after = before.clone();
    after.add_legend(&[]).unwrap();
    assert_eq!(after, before);
    let with = |lines: &[String]| {
        let mut picture = before.clone();
        picture.add_legend(lines).unwrap();
        assert_eq!(picture.width(), WIDTH);
        assert!(picture.bgr().starts_with(before.bgr()));
        let pixels = (picture.width() * picture.height() * 3) as usize;
        assert_eq!(picture.bgr().len(), pixels);
        picture
    };
    let one = with(&["Đi ngược chiều".into()]);
    let below = &one.bgr()[before.bgr().len()..];
    assert!(below.chunks_exact(3).any(|p| p.iter().all(|c| *c > 200)));
    // A long line is broken, not cut.
    let three = with(&["rất dài ".repeat(25)]);
    assert!(
        three.height() - HEIGHT > 2 * (one.height() - HEIGHT) - 20,
        "{}",
        three.height()
    );
    // However much there is to say, the picture can be encoded.
    let endless = with(&vec!["dài ".repeat(400); 2000]);
    assert!(endless.height() <= edge_stills::MAX_SIDE);
}

#[test]
fn letters_with_marks_are_not_letters_without() {
    let write = |text: &str| {
        drawn(&Overlay {
            caption: vec![text.into()],
            ..Overlay::default()
        })
    };
    for (marked, plain) in [
        ("Đường Nguyễn Huệ", "Duong Nguyen Hue"),
        ("đèn đỏ", "den do"),
        ("ặ", "ă"),
    ] {
        assert_ne!(write(marked), write(plain), "{marked}");
    }
}

#[test]
fn a_zone_reaching_far_outside_covers_the_picture() {
    for far in [3.0, 1e9, 8e307] {
        let picture = drawn(&Overlay {
            zones: vec![(
                square(-far, -far, 2.0 * far),
                String::new(),
                Emphasis::Accused,
            )],
            ..Overlay::default()
        });
        assert_eq!(touched(&picture, ALL), 1.0, "{far}");
    }
}

#[test]
fn a_shape_without_a_place_is_left_out_and_the_others_stay() {
    let picture = drawn(&Overlay {
        zones: vec![(
            vec![
                Point {
                    x: f64::NAN,
                    y: 0.1,
                },
                Point { x: 0.2, y: 0.1 },
                Point { x: 0.2, y: 0.3 },
            ],
            "z".into(),
            Emphasis::Zone,
        )],
        lines: vec![(
            Point {
                x: f64::INFINITY,
                y: 0.0,
            },
            Point { x: 0.1, y: 0.1 },
            "l".into(),
            Emphasis::Zone,
        )],
        boxes: vec![
            user([f64::NAN, 0.1, 0.1, 0.1], "nan", Emphasis::Accused),
            user([0.8, 0.8, 0.1, 0.1], "", Emphasis::Accused),
        ],
        ..Overlay::default()
    });
    assert_eq!(touched(&picture, [0.0, 0.0, 0.75, 0.75]), 0.0);
    assert!(touched(&picture, [0.78, 0.78, 0.92, 0.92]) > 0.05);
}

fn wild() -> impl Strategy<Value = f64> {
    prop_oneof![6 => -0.5..1.5_f64, 1 => -1e4..1e4_f64, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

fn wild_point() -> impl Strategy<Value = Point> {
    (wild(), wild()).prop_map(|(x, y)| Point { x, y })
}

fn wild_emphasis() -> impl Strategy<Value = Emphasis> {
    prop_oneof![
        Just(Emphasis::Accused),
        Just(Emphasis::Context),
        Just(Emphasis::Zone)
    ]
}

fn wild_overlay() -> impl Strategy<Value = Overlay> {
    let points = || prop::collection::vec(wild_point(), 0..7);
    (
        prop::collection::vec((points(), any::<String>(), wild_emphasis()), 0..3),
        prop::collection::vec(
            (wild_point(), wild_point(), any::<String>(), wild_emphasis()),
            0..3,
        ),
        prop::collection::vec(
            (
                [wild(), wild(), wild(), wild()],
                any::<String>(),
                wild_emphasis(),
            )
                .prop_map(|(bounds, label, emphasis)| OverlayBox {
                    bounds: NormBox::from(bounds),
                    label,
                    emphasis,
                }),
            0..4,
        ),
        prop::collection::vec((points(), wild_emphasis()), 0..3),
        prop::collection::vec(any::<String>(), 0..4),
        prop::option::of(any::<String>()),
    )
        .prop_map(|(zones, lines, boxes, paths, caption, banner)| Overlay {
            grid: Vec::new(),
            zones,
            lines,
            boxes,
            paths,
            caption,
            banner,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn hostile_coordinates_and_labels_never_fail(
        overlay in wild_overlay(),
        (width, height) in prop_oneof![Just((1, 1)), Just((3, 200)), Just((200, 2)), Just((160, 120))],
    ) {
        let mut picture = Picture::blank(width, height, BACKDROP).unwrap();
        picture.draw(&overlay).unwrap();
        let mut higher = picture.clone();
        higher.add_legend(&overlay.caption).unwrap();
        prop_assert_eq!(picture.bgr().len(), (width * height * 3) as usize);
        // The same overlay gives the same picture: a still is evidence.
        let mut again = Picture::blank(width, height, BACKDROP).unwrap();
        again.draw(&overlay).unwrap();
        prop_assert_eq!(picture, again);
    }
}
