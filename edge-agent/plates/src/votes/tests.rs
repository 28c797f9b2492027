use proptest::prelude::*;
use protocol::ObjectClass;

use super::*;
use crate::PlateColour;
use crate::reading::read;
use crate::rows::{Glyph, Rows};

const BIKE: Circumstances = Circumstances {
    vehicle: Some(ObjectClass::Motorcycle),
    colour: None,
};

/// Characters before a `~` were read with little confidence.
fn look(text: &str) -> Rows {
    let glyphs = |row: &str| {
        let marks = row.chars().skip(1).chain([' ']);
        row.chars()
            .zip(marks)
            .filter(|(c, _)| *c != '~')
            .map(|(c, mark)| Glyph {
                symbol: c,
                confidence: if mark == '~' { 0.4 } else { 0.95 },
                runner_up: None,
            })
            .collect()
    };
    match text.split_once('/') {
        Some((upper, lower)) => Rows::two(glyphs(upper), glyphs(lower)),
        None => Rows::one(glyphs(text)),
    }
}

fn ballot(looks: &[&str]) -> Ballot {
    let grammar = Grammar::vietnam();
    let mut ballot = Ballot::default();
    for text in looks {
        match read(&grammar, &look(text), BIKE) {
            Ok(reading) => ballot.add(&grammar, &reading),
            Err(_) => ballot.add_refused(),
        }
    }
    ballot
}

fn verdict(looks: &[&str]) -> Verdict {
    ballot(looks).verdict(&Grammar::vietnam(), BIKE, Quorum::default())
}

#[test]
fn a_plate_is_stated_when_enough_looks_agree_on_every_character() {
    let good = "29-B1/123.45";
    let cases: [(&[&str], &str, Option<Unstated>); 10] = [
        (&[good, good, good], "29-B1 123.45", None),
        (&[good, "29-B1/I23.45", good], "29-B1 123.45", None),
        (&[good, "nonsense", good, good, ""], "29-B1 123.45", None),
        (
            &[good, good, good, good, "29-B1/723.45"],
            "29-B1 123.45",
            None,
        ),
        (
            &[good, good, good, "29-B1/723.45"],
            "29-B1 ?23.45",
            Some(Unstated::SymbolsDisagree(1)),
        ),
        (
            &[good, "29-B1/723.45", "29-B1/423.45"],
            "29-B1 ?23.45",
            Some(Unstated::SymbolsDisagree(1)),
        ),
        (
            &[good, good],
            "??-?? ???.??",
            Some(Unstated::TooFewLooks { have: 2, need: 3 }),
        ),
        (
            &[good, good, good, "29-B1/1234", "29-B1/1245"],
            "??-?? ???.??",
            Some(Unstated::LengthsDisagree),
        ),
        (
            &["29-MD/123.45"; 5],
            "29-M? 123.45",
            Some(Unstated::SymbolsDisagree(1)),
        ),
        (&["", "nonsense"], "", Some(Unstated::NoReading)),
    ];
    for (looks, shown, unstated) in cases {
        let verdict = verdict(looks);
        assert_eq!(
            (&*verdict.display, &verdict.unstated),
            (shown, &unstated),
            "{looks:?}"
        );
        assert_eq!(verdict.of, looks.len() as u64);
        assert_eq!(verdict.stated().is_some(), unstated.is_none());
    }
}

#[test]
fn each_character_tells_how_many_looks_read_it_how_surely_and_against_what() {
    let verdict = verdict(&[
        "29-B1/123.45",
        "29-B1/123.45",
        "29-B1/12B.45",
        "29-B1/123.45",
        "29-B1/123.45",
    ]);
    let disputed = verdict.places[6];
    assert_eq!(
        (disputed.symbol, disputed.leading, disputed.looks),
        (Some('3'), '3', 4)
    );
    assert!((disputed.confidence - 0.95).abs() < 1e-6);
    // A corrected B is worth less than an 8 that was read: 0.95/e against 4 · 0.95.
    assert!((disputed.share - 4.0 / (4.0 + libm::exp(-1.0))).abs() < 1e-5);
    assert_eq!((verdict.places[0].share, verdict.corrected), (1.0, 1));
    assert_eq!(disputed.corrected, 0);
    let mended = self::verdict(&["29-B1/123.45", "29-B1/I23.45", "29-B1/123.45"]).places[4];
    assert_eq!(
        (mended.symbol, mended.looks, mended.corrected),
        (Some('1'), 3, 1)
    );
}

#[test]
fn doubts_of_the_recogniser_are_votes_against_it() {
    let grammar = Grammar::vietnam();
    let mut rows = look("30A-123.45");
    let six = rows.upper.iter_mut().find(|g| g.symbol == '3').unwrap();
    (six.confidence, six.runner_up) = (0.55, Some(('8', 0.44)));
    let known = Circumstances::default();
    let reading = read(&grammar, &rows, known).unwrap();
    let mut ballot = Ballot::default();
    for _ in 0..20 {
        ballot.add(&grammar, &reading);
    }
    let verdict = ballot.verdict(&grammar, known, Quorum::default());
    assert_eq!(verdict.text, "?0A12345");
}

#[test]
fn looks_in_one_blur_that_err_alike_state_nothing() {
    // An H that is smeared to a B, in every look, with no second choice near it.
    let grammar = Grammar::vietnam();
    let mut rows = look("29-B1/123.45");
    let smeared = rows.upper.iter_mut().find(|g| g.symbol == 'B').unwrap();
    (smeared.confidence, smeared.runner_up) = (0.28, Some(('H', 0.06)));
    let reading = read(&grammar, &rows, BIKE).unwrap();
    let mut ballot = Ballot::default();
    (0..9).for_each(|_| ballot.add(&grammar, &reading));
    let verdict = ballot.verdict(&grammar, BIKE, Quorum::default());
    assert_eq!(
        (&*verdict.text, verdict.unstated),
        ("29?112345", Some(Unstated::SymbolsDisagree(1)))
    );
}

#[test]
fn looks_that_may_as_well_be_another_plate_are_no_quorum() {
    // Each look says the same, with another plate five times less likely beside it.
    let grammar = Grammar::vietnam();
    let sure = read(&grammar, &look("29-B1/123.45"), BIKE).unwrap();
    let mut doubtful = sure.clone();
    let mut rival = doubtful.candidates[0].clone();
    rival.symbols[8].symbol = '6';
    rival.cost += libm::log(5.0);
    doubtful.candidates.insert(1, rival);
    assert!(sure.decided().is_some() && doubtful.decided().is_none());
    let unstated = |sures: usize| {
        let mut ballot = Ballot::default();
        (0..9).for_each(|_| ballot.add(&grammar, &doubtful));
        (0..sures).for_each(|_| ballot.add(&grammar, &sure));
        ballot.verdict(&grammar, BIKE, Quorum::default()).unstated
    };
    let doubt = |have| Some(Unstated::Doubtful { have, need: 3 });
    assert_eq!([0, 2, 3].map(unstated), [doubt(0), doubt(2), None]);
}

#[test]
fn what_looks_agree_on_place_by_place_must_be_a_plate() {
    // No look has the province code 13, their votes would.
    let known = Circumstances::default();
    let grammar = Grammar::vietnam();
    let mut ballot = Ballot::default();
    for text in ["12A12345", "33A12345"] {
        let mut rows = look(text);
        let (weak, strong) = if text.starts_with('1') {
            (1, 0)
        } else {
            (0, 1)
        };
        rows.upper[weak].confidence = 0.05;
        rows.upper[strong].confidence = 1.0;
        let reading = read(&grammar, &rows, known).unwrap();
        for _ in 0..4 {
            ballot.add(&grammar, &reading);
        }
    }
    let verdict = ballot.verdict(&grammar, known, Quorum::default());
    assert_eq!(
        (&*verdict.text, verdict.unstated),
        ("??A12345", Some(Unstated::SymbolsDisagree(2)))
    );
}

#[test]
fn a_form_that_nobody_looked_up_is_left_to_a_person() {
    let grammar = Grammar::vietnam();
    let anything = Circumstances::default();
    let red = Circumstances {
        colour: Some(PlateColour::Red),
        ..anything
    };
    let cases = [("T-29-123.45", anything), ("AB-12-34", red)];
    for (text, known) in cases {
        let reading = read(&grammar, &look(text), known).unwrap();
        let mut ballot = Ballot::default();
        (0..5).for_each(|_| ballot.add(&grammar, &reading));
        let verdict = ballot.verdict(&grammar, known, Quorum::default());
        assert_eq!(
            (&*verdict.display, verdict.unstated),
            (text, Some(Unstated::UnverifiedForm))
        );
    }
}

#[test]
fn what_all_looks_only_guess_is_not_stated() {
    // 4 for A loses a stroke; 0 for O does not.
    for (text, stated) in [
        ("29-B1/123.45", "29B112345"),
        ("29-B1/1230S", "29B112305"),
        ("29-B1/123A5", "29B1123?5"),
        ("29-B1/12305", "29B112305"),
    ] {
        assert_eq!(verdict(&[text; 5]).text, stated);
    }
    let mut rows = look("29-B1/123.45");
    rows.upper[0].confidence = 0.1;
    let grammar = Grammar::vietnam();
    let reading = read(&grammar, &rows, BIKE).unwrap();
    let mut ballot = Ballot::default();
    (0..9).for_each(|_| ballot.add(&grammar, &reading));
    let verdict = ballot.verdict(&grammar, BIKE, Quorum::default());
    assert_eq!(verdict.text, "?9B112345");
}

#[test]
fn a_six_that_each_look_reads_as_a_small_letter_is_nobody_elses_eight() {
    for (read_as, states) in [('b', '6'), ('g', '9'), ('q', '9')] {
        let verdict = votes(&[(read_as, 0.9); 3]);
        assert_eq!(verdict.stated(), Some(&*format!("29B1{states}2345")));
        assert_eq!(verdict.places[4].corrected, 3);
    }
}

#[test]
fn memory_does_not_grow_with_looks() {
    let mut sizes = Vec::new();
    let mut all = Ballot::default();
    let grammar = Grammar::vietnam();
    for round in 0..3 {
        for n in 0..3000_u32 {
            let number = (n * 7919 + round) % 99_999 + 1;
            let text = format!("29-B{}/{number:05}", n % 9 + 1);
            all.add(&grammar, &read(&grammar, &look(&text), BIKE).unwrap());
        }
        sizes.push(
            all.groups
                .values()
                .flat_map(|g| &g.places)
                .map(BTreeMap::len)
                .sum::<usize>(),
        );
    }
    assert_eq!(sizes[0], sizes[2]);
    assert!(all.groups.values().all(|g| g.decided.len() <= MOST_TEXTS));
}

/// Looks at one motorcycle's plate that differ in a digit and in how sure they are of it.
fn votes(looks: &[(char, f64)]) -> Verdict {
    let grammar = Grammar::vietnam();
    let mut ballot = Ballot::default();
    for (digit, confidence) in looks {
        let mut rows = look("29-B1/123.45");
        let place = &mut rows.lower.as_mut().unwrap()[0];
        (place.symbol, place.confidence) = (*digit, *confidence);
        ballot.add(&grammar, &read(&grammar, &rows, BIKE).unwrap());
    }
    ballot.verdict(&grammar, BIKE, Quorum::default())
}

#[test]
fn three_sure_looks_do_not_outvote_four_unsure_ones() {
    let sure = [('8', 0.95); 3];
    let open = Some(Unstated::SymbolsDisagree(1));
    let split = votes(&[&sure[..], &[('3', 0.17); 4]].concat());
    assert!(split.places[4].share > 0.8, "{split:?}");
    assert_eq!(split.unstated, open);
    // One in five may err, however sure.
    let most = [('8', 0.95); 4];
    assert_eq!(votes(&[&most[..], &[('3', 0.3)]].concat()).unstated, None);
    assert_eq!(votes(&[&sure[..], &[('3', 0.1)]].concat()).unstated, open);
}

#[test]
fn decided_looks_of_one_plate_decide_no_other() {
    let grammar = Grammar::vietnam();
    let mut ballot = Ballot::default();
    let mut add = |text: &str, is_doubtful: bool, times: usize| {
        let rows = Rows {
            is_doubtful,
            ..look(text)
        };
        let reading = read(&grammar, &rows, BIKE).unwrap();
        (0..times).for_each(|_| ballot.add(&grammar, &reading));
    };
    add("29-B1/123.45", true, 27);
    add("29-B1/123.46", false, 3);
    let verdict = ballot.verdict(&grammar, BIKE, Quorum::default());
    let doubt = Unstated::Doubtful { have: 0, need: 3 };
    assert_eq!(
        (&*verdict.text, verdict.unstated),
        ("29B112345", Some(doubt))
    );
}

proptest! {
    /// However sure they are, and whatever the others read.
    #[test]
    fn no_minority_of_looks_states_a_plate(
        looks in prop::collection::vec(("[0-9]", 0.0..=1.0_f64), 1..24),
    ) {
        let looks: Vec<(char, f64)> = looks
            .iter()
            .map(|(digit, confidence)| (digit.chars().next().unwrap(), *confidence))
            .collect();
        let verdict = votes(&looks);
        if let Some(text) = verdict.stated() {
            let digit = text.chars().nth(4).unwrap();
            let of_it = looks.iter().filter(|(other, _)| *other == digit).count();
            prop_assert!(of_it >= 3 && 5 * of_it >= 4 * looks.len(), "{} of {}", of_it, looks.len());
        }
    }

    #[test]
    fn the_order_of_looks_changes_nothing(
        looks in prop::collection::vec("29-?(B|8|B~|b)[1Ii27]~?/?([0-9BSZGOIbs]~?){3}\\.?[0-9]{1,2}", 1..12).prop_shuffle(),
        seed in any::<u64>(),
    ) {
        let texts: Vec<&str> = looks.iter().map(String::as_str).collect();
        let mut other = texts.clone();
        let places = other.len() as u64;
        for i in 0..other.len() {
            let j = usize::try_from(seed.rotate_left(u32::try_from(i).unwrap() * 5) % places).unwrap();
            other.swap(i, j);
        }
        prop_assert_eq!(ballot(&texts), ballot(&other));
        prop_assert_eq!(verdict(&texts), verdict(&other));
    }

    #[test]
    fn what_is_stated_is_a_plate_that_the_vehicle_may_carry(
        looks in prop::collection::vec("(29|33|8O)-?([B8MD]|B~|b)[1Ii27DS]~?/?[0-9BSZGOIbgq]{5}", 1..12),
    ) {
        let texts: Vec<&str> = looks.iter().map(String::as_str).collect();
        let verdict = verdict(&texts);
        if let Some(plate) = verdict.stated() {
            let grammar = Grammar::vietnam();
            prop_assert!(grammar.forms_of(plate).any(|form| BIKE.allow(form)));
            let agreed = 0.8 * verdict.looks as f64;
            prop_assert!(verdict.places.iter().all(|p| p.looks >= 3 && p.share >= 0.8));
            prop_assert!(verdict.places.iter().all(|p| p.looks as f64 >= agreed));
        }
    }
}
