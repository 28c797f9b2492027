use proptest::prelude::*;

use super::*;

const SURE: f64 = 0.95;

fn glyphs(text: &str, confidence: f64) -> Vec<Glyph> {
    text.chars()
        .map(|symbol| Glyph {
            symbol,
            confidence,
            runner_up: None,
        })
        .collect()
}

fn rows(text: &str) -> Rows {
    match text.split_once('/') {
        Some((upper, lower)) => Rows::two(glyphs(upper, SURE), glyphs(lower, SURE)),
        None => Rows::one(glyphs(text, SURE)),
    }
}

fn on(vehicle: ObjectClass) -> Circumstances {
    Circumstances {
        vehicle: Some(vehicle),
        colour: None,
    }
}

fn line(result: &Result<Reading, Refusal>) -> String {
    match result {
        Err(refusal) => format!("refused: {refusal}"),
        Ok(reading) => {
            let best = reading.best().unwrap();
            let doubt = reading.decided().map_or("undecided ", |_| "");
            let changes = best.corrections.iter();
            let changes = changes.map(|c| format!(" {}:{}→{}", c.position, c.read, c.taken));
            format!("{doubt}{}{}", best.text, changes.collect::<String>())
        }
    }
}

/// `/` parts two rows.
#[test]
fn a_look_is_read_as_the_grammar_allows() {
    use ObjectClass as C;
    let cases = [
        // As they are.
        ("30A-123.45", C::Car, "30A12345"),
        ("30A/123.45", C::Car, "30A12345"),
        ("29-B1/123.45", C::Motorcycle, "29B112345"),
        ("29-AA/012.34", C::Motorcycle, "29AA01234"),
        ("80-011-NG-01", C::Car, "80011NG01"),
        ("TM-12-34", C::Truck, "TM1234"),
        // Digits read as letters, and back.
        ("3OA-123.45", C::Car, "30A12345 1:O→0"),
        ("30A-I2B.45", C::Car, "30A12845 3:I→1 5:B→8"),
        ("308-123.45", C::Car, "30B12345 2:8→B"),
        ("30G-1Z3.4S", C::Car, "30G12345 4:Z→2 7:S→5"),
        ("29-81/123.45", C::Motorcycle, "29B112345 2:8→B"),
        // 0 in a series: D has its shape, O is in no series.
        ("300-123.45", C::Car, "30D12345 2:0→D"),
        ("30O-123.45", C::Car, "30D12345 2:O→D"),
        // Small letters have shapes of their own; where a letter has room they are that letter.
        ("30A-12b.45", C::Car, "30A12645 5:b→6"),
        ("30A-12ｂ.45", C::Car, "30A12645 5:b→6"),
        ("30A-12g.45", C::Car, "30A12945 5:g→9"),
        ("30A-12q.45", C::Car, "30A12945 5:q→9"),
        ("30A-l2o.45", C::Car, "30A12045 3:l→1 5:o→0"),
        ("30b-123.45", C::Car, "30B12345"),
        ("29-b1/123.45", C::Motorcycle, "29B112345"),
        (
            "30A-12d.45",
            C::Car,
            "refused: the characters fit no plate, corrected ones neither",
        ),
        // The stroke of Đ: only the vehicle or the length can tell.
        ("29-MD1/123.45", C::Motorcycle, "29MĐ112345 3:D→Đ"),
        ("29TD-123.45", C::Car, "29TĐ12345 3:D→Đ"),
        ("29-MD/123.45", C::Motorcycle, "undecided 29MD12345"),
        // Shorter, the same character may be a 0 as well.
        ("14TD-0001", C::Car, "undecided 14TĐ0001 3:D→Đ"),
        // What only looks like a plate.
        (
            "13A-123.45",
            C::Car,
            "refused: the characters fit no plate, corrected ones neither",
        ),
        (
            "30A-000.00",
            C::Car,
            "refused: the characters fit no plate, corrected ones neither",
        ),
        (
            "3OA-IZ3.45",
            C::Car,
            "refused: the characters fit no plate, corrected ones neither",
        ),
        (
            "29-B1/123.45",
            C::Car,
            "refused: a plate of this form is not on such a vehicle or not of this colour",
        ),
        (
            "30A/12",
            C::Motorcycle,
            "refused: no plate has 5 characters in such rows",
        ),
        (
            "30A-1*3.45",
            C::Car,
            "refused: the characters fit no plate, corrected ones neither",
        ),
        (
            "CẤM ĐỖ XE 24/24",
            C::Car,
            "refused: the characters fit no plate, corrected ones neither",
        ),
        ("", C::Car, "refused: nothing was read"),
        ("/", C::Car, "refused: nothing was read"),
        ("*30A-123.45|", C::Car, "30A12345"),
    ];
    let grammar = Grammar::vietnam();
    for (text, class, said) in cases {
        assert_eq!(
            line(&read(&grammar, &rows(text), on(class))),
            said,
            "{text}"
        );
    }
}

#[test]
fn the_rows_tell_a_car_from_an_older_motorcycle() {
    let grammar = Grammar::vietnam();
    for (text, pattern) in [("29B/11234", "pps|-###.##"), ("29-B1/1234", "pp-s+| ####")] {
        let reading = read(&grammar, &rows(text), Circumstances::default()).unwrap();
        let best = reading.decided().unwrap();
        let patterns: Vec<&str> = best
            .forms
            .iter()
            .map(|f| &*grammar.forms()[*f].pattern)
            .collect();
        assert_eq!(patterns, [pattern]);
        assert_eq!(best.province(), Some("Hà Nội"));
    }
}

#[test]
fn a_blue_plate_has_only_blue_series_and_red_ones_are_the_armys() {
    let grammar = Grammar::vietnam();
    let coloured = |text: &str, colour| {
        let known = Circumstances {
            vehicle: None,
            colour: Some(colour),
        };
        line(&read(&grammar, &rows(text), known))
    };
    assert_eq!(coloured("30A-123.45", PlateColour::Blue), "30A12345");
    assert!(coloured("30Y-123.45", PlateColour::Blue).starts_with("refused: a plate of this form"));
    assert_eq!(coloured("AB-12-34", PlateColour::Red), "AB1234");
    assert!(coloured("30A-123.45", PlateColour::Red).starts_with("refused: a plate of this form"));
}

#[test]
fn the_second_choice_of_the_recogniser_counts_where_the_first_has_no_room() {
    let grammar = Grammar::vietnam();
    let mut look = glyphs("30W12345", SURE);
    assert!(read(&grammar, &Rows::one(look.clone()), on(ObjectClass::Car)).is_err());
    look[2].confidence = 0.5;
    look[2].runner_up = Some(('v', 0.4));
    let reading = read(&grammar, &Rows::one(look.clone()), on(ObjectClass::Car)).unwrap();
    let best = reading.decided().unwrap();
    assert_eq!((&*best.text, best.symbols[2].confidence), ("30V12345", 0.4));
    assert_eq!(best.corrections[0].cause, Cause::RunnerUp);
    assert!((best.cost - libm::log(0.5 / 0.4)).abs() < 1e-12);
    // Where the first has room, the second is no reason to change anything.
    look[2] = look[0];
    look[2].symbol = 'B';
    look[2].runner_up = Some(('8', 0.4));
    let reading = read(&grammar, &Rows::one(look), on(ObjectClass::Car)).unwrap();
    assert!(reading.best().unwrap().corrections.is_empty());
}

/// A 6 that was read as `b` became a B, and that an 8: another owner's plate.
#[test]
fn a_small_letter_that_may_be_a_capital_is_decided_for_neither_shape() {
    let grammar = Grammar::vietnam();
    for (read_as, other, texts) in [
        ('b', 'B', ["30A12645", "30A12845"]),
        ('g', 'G', ["30A12945", "30A12645"]),
        ('B', 'b', ["30A12845", "30A12645"]),
    ] {
        let mut look = glyphs("30A12345", SURE);
        (look[5].symbol, look[5].confidence) = (read_as, 0.6);
        look[5].runner_up = Some((other, 0.3));
        let reading = read(&grammar, &Rows::one(look), on(ObjectClass::Car)).unwrap();
        let found: Vec<&str> = reading.candidates.iter().map(|c| &*c.text).collect();
        assert_eq!(found, texts, "{read_as}");
        assert_eq!(reading.decided(), None);
    }
}

#[test]
fn two_forms_with_room_for_both_are_decided_by_how_sure_the_recogniser_is() {
    let grammar = Grammar::vietnam();
    for (confidence, is_decided) in [(0.95, true), (0.85, true), (0.7, false), (0.5, false)] {
        let mut upper = glyphs("29A5", SURE);
        upper[3].confidence = confidence;
        let look = Rows::two(upper, glyphs("12345", SURE));
        let reading = read(&grammar, &look, on(ObjectClass::Motorcycle)).unwrap();
        let texts: Vec<&str> = reading.candidates.iter().map(|c| &*c.text).collect();
        assert_eq!(texts, ["29A512345", "29AS12345"]);
        assert_eq!(reading.decided().is_some(), is_decided, "{confidence}");
    }
}

#[test]
fn no_number_as_confidence_is_none() {
    let grammar = Grammar::vietnam();
    for strange in [f64::NAN, f64::INFINITY, -1.0] {
        let mut look = glyphs("3OA12345", strange);
        look[2].runner_up = Some(('4', strange));
        let reading = read(&grammar, &Rows::one(look), on(ObjectClass::Car)).unwrap();
        let best = reading.best().unwrap();
        assert!(
            best.cost.is_finite()
                && best
                    .symbols
                    .iter()
                    .all(|s| (0.0..=1.0).contains(&s.confidence))
        );
    }
}

/// A valid plate of a form, in normal form; `None` for the few texts that are none.
fn plate_of(form: &Form, seed: &[u32]) -> Option<String> {
    let pick = |letters: &str, n: u32| letters.chars().nth(n as usize % letters.len());
    let text: Option<String> = (form.slots.iter().zip(seed))
        .map(|(slot, n)| match slot {
            Slot::Province | Slot::Digit => pick("0123456789", *n),
            Slot::OneToNine => pick("123456789", *n),
            Slot::Series => pick(crate::grammar::SERIES, *n),
            Slot::Letter => pick("ABCDEFGHIJKLMNOPQRSTUVWXYZ", *n),
            Slot::Fixed(letter) => Some(*letter),
        })
        .collect();
    text.filter(|text| form.fits(text))
}

/// All characters that one is taken for.
fn taken_for(symbol: char) -> Vec<char> {
    let both = CONFUSABLE.iter().flat_map(|(a, b, _)| [(*a, *b), (*b, *a)]);
    both.filter(|(a, _)| *a == symbol).map(|(_, b)| b).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_clean_plate_is_read_as_it_is(form in 0..60_usize, seed in prop::collection::vec(0..1000_u32, 12)) {
        let grammar = Grammar::vietnam();
        let form = &grammar.forms()[form % grammar.forms().len()];
        if let Some(plate) = plate_of(form, &seed) {
            let reading = read(&grammar, &Rows::one(glyphs(&plate, SURE)), Circumstances::default()).unwrap();
            let best = reading.best().unwrap();
            prop_assert_eq!(&best.text, &plate);
            prop_assert!(best.corrections.is_empty());
        }
    }

    /// One character taken for one that it looks like: the plate is mended, or
    /// refused, or the change is there to be seen. What reads as a valid plate
    /// as it stands (`29-AS` as `29-A5`) has the true one beside it.
    #[test]
    fn a_single_confusion_is_mended_or_refused_or_plain_to_see(
        form in 0..60_usize,
        seed in prop::collection::vec(0..1000_u32, 12),
        place in 0..12_usize,
        which in 0..8_usize,
        vehicle in prop::option::of(prop::sample::select(vec![ObjectClass::Car, ObjectClass::Motorcycle])),
    ) {
        let grammar = Grammar::vietnam();
        let form = &grammar.forms()[form % grammar.forms().len()];
        let known = Circumstances { vehicle, colour: None };
        let plate = plate_of(form, &seed).filter(|_| known.allow(form));
        if let Some(plate) = plate {
            let mut symbols: Vec<char> = plate.chars().collect();
            let place = place % symbols.len();
            let others = taken_for(symbols[place]);
            if others.is_empty() {
                return Ok(());
            }
            symbols[place] = others[which % others.len()];
            let wrong: String = symbols.iter().collect();
            let look = Rows::one(glyphs(&wrong, SURE));
            if let Ok(reading) = read(&grammar, &look, known) {
                let best = reading.best().unwrap();
                let is_logged = !best.corrections.is_empty();
                let is_beside = reading.candidates.iter().any(|c| c.text == plate);
                // A letter of a series taken for another of it (O and D on red) cannot be seen.
                let same_slot = form.fits(&wrong);
                if let Some(decided) = reading.decided() {
                    prop_assert!(decided.text == plate || decided.corrections.is_empty(), "{plate} {wrong} {reading:?}");
                }
                prop_assert!(best.text == plate || is_logged || is_beside || same_slot, "{plate} {wrong} {reading:?}");
                for candidate in &reading.candidates {
                    let changed: Vec<usize> = candidate.text.chars().zip(wrong.chars()).enumerate()
                        .filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect();
                    let logged: Vec<usize> = candidate.corrections.iter().map(|c| c.position).collect();
                    prop_assert_eq!(changed, logged);
                }
            }
        }
    }

    #[test]
    fn any_text_gives_plates_of_the_grammar_or_a_reason(
        upper in any::<String>(), lower in prop::option::of("[0-9A-ZĐ.\\-| ]{0,10}"),
        confidence in any::<f64>(), runner_up in any::<Option<(char, f64)>>(),
    ) {
        let grammar = Grammar::vietnam();
        let mut upper = glyphs(&upper, confidence);
        for glyph in &mut upper {
            glyph.runner_up = runner_up;
        }
        let rows = Rows { upper, lower: lower.map(|text| glyphs(&text, confidence)), is_doubtful: false };
        if let Ok(reading) = read(&grammar, &rows, Circumstances::default()) {
            prop_assert!((1..=MOST_CANDIDATES).contains(&reading.candidates.len()));
            for candidate in &reading.candidates {
                prop_assert!(candidate.corrections.len() <= most_corrections(candidate.symbols.len()) && candidate.cost.is_finite());
                prop_assert!(candidate.forms.iter().all(|f| grammar.forms()[*f].fits(&candidate.text)));
            }
        }
    }
}
