use models::heads::Symbol;

use super::*;

fn glyphs(text: &str) -> Vec<Glyph> {
    text.chars()
        .map(|symbol| Glyph {
            symbol,
            confidence: 0.9,
            runner_up: None,
        })
        .collect()
}

/// A patch of `width` by `height` whose middle is at (x, y), turned by `degrees`, in a square picture.
fn patch(text: &str, [x, y, width, height]: [f64; 4], degrees: f64) -> Patch {
    let (sin, cos) = (
        libm::sin(degrees.to_radians()),
        libm::cos(degrees.to_radians()),
    );
    // The whole plate turns around the picture's middle.
    let turn = |dx: f64, dy: f64| {
        let (px, py) = (x + dx * width / 2.0 - 0.5, y + dy * height / 2.0 - 0.5);
        Point::from([0.5 + px * cos - py * sin, 0.5 + px * sin + py * cos])
    };
    Patch {
        glyphs: glyphs(text),
        is_doubtful: false,
        corners: [
            turn(-1.0, -1.0),
            turn(1.0, -1.0),
            turn(1.0, 1.0),
            turn(-1.0, 1.0),
        ],
    }
}

fn text(line: &[Glyph]) -> String {
    line.iter().map(|g| g.symbol).collect()
}

#[test]
fn pieces_are_joined_by_where_they_are_however_the_plate_hangs() {
    let upper = ("29-B1", [0.5, 0.4, 0.3, 0.15]);
    let left = ("123", [0.4, 0.6, 0.2, 0.15]);
    let right = ("45", [0.6, 0.61, 0.14, 0.15]);
    for degrees in [-30.0, -10.0, 0.0, 10.0, 30.0] {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]] {
            let all = [upper, left, right].map(|(t, place)| patch(t, place, degrees));
            let shuffled: Vec<Patch> = order.iter().map(|i| all[*i].clone()).collect();
            let rows = Rows::join(&shuffled, 1.0).unwrap();
            assert_eq!(text(&rows.upper), "29-B1");
            assert_eq!(text(&rows.lower.unwrap()), "12345", "{degrees}");
        }
    }
}

#[test]
fn small_print_is_no_row_and_three_rows_are_no_plate() {
    let one = patch("30A12345", [0.5, 0.5, 0.6, 0.12], 0.0);
    let dealer = patch("HONDA HA NOI", [0.5, 0.65, 0.4, 0.03], 0.0);
    let rows = Rows::join(&[dealer, one.clone()], 1.0).unwrap();
    assert_eq!(
        (text(&rows.upper), rows.lower),
        ("30A12345".to_owned(), None)
    );
    let three = [0.2, 0.5, 0.8].map(|y| patch("30A", [0.5, y, 0.3, 0.12], 0.0));
    assert_eq!(Rows::join(&three, 1.0), Err(Refusal::TooManyRows));
}

#[test]
fn places_that_are_no_numbers_join_nothing() {
    let mut broken = patch("30A12345", [0.5, 0.5, 0.6, 0.12], 0.0);
    broken.corners[0].x = f64::NAN;
    assert_eq!(Rows::join(&[broken], 1.0), Err(Refusal::NoText));
    assert_eq!(Rows::join(&[], 1.0), Err(Refusal::NoText));
    let point = patch("30A12345", [0.5, 0.5, 0.0, 0.0], 0.0);
    assert_eq!(Rows::join(&[point], 1.0), Err(Refusal::NoText));
}

#[test]
fn a_networks_line_becomes_characters_with_their_rivals() {
    let symbol = |text: &str, runner_up: Option<(&str, f64)>| Symbol {
        text: text.to_owned(),
        confidence: 0.8,
        runner_up: runner_up.map(|(t, p)| (t.to_owned(), p)),
        position: 0.5,
    };
    let line = TextLine {
        symbols: vec![
            symbol("8", Some(("B", 0.1))),
            symbol("fi", None),
            symbol("", None),
        ],
        broken: 0,
        passed_over: vec![symbol(".", None)],
    };
    assert!(!may_have_more(&line), "a dot");
    let more = TextLine {
        passed_over: vec![symbol("5", None)],
        ..line.clone()
    };
    assert!(may_have_more(&more));
    let read = Glyph::of_line(&line);
    assert_eq!(text(&read), "8fi");
    assert_eq!(read[0].runner_up, Some(('B', 0.1)));
}
