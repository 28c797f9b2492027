//! Classifiers and lines of text, on tensors small enough to read here.

use models::heads::{self, Head, Label};
use protocol::ObjectClass;

use crate::support::{CLASSIFIER, CTC, THREE_CLASSES, Tensor, manifest, views};

fn output(shape: &[i64], data: &[f32]) -> Tensor {
    Tensor {
        name: "output".to_owned(),
        shape: shape.to_vec(),
        data: data.to_vec(),
    }
}

#[track_caller]
fn labels(head: &str, data: [f32; 3]) -> (Vec<(usize, f64)>, usize) {
    let manifest = manifest(head, THREE_CLASSES);
    let answers = heads::labels(&manifest, &views(&[output(&[1, 3], &data)])).expect("shapes fit");
    let rounded = |label: &Label| (label.number, (label.score * 1000.0).round() / 1000.0);
    (answers.found.iter().map(rounded).collect(), answers.broken)
}

#[test]
fn of_classes_that_exclude_each_other_the_best_is_the_answer() {
    // exp(2) / (exp(0) + exp(2) + exp(1)) = 0.665.
    assert_eq!(labels(CLASSIFIER, [0.0, 2.0, 1.0]), (vec![(1, 0.665)], 0));
    // All alike is 1/3 each, and the first of equals.
    assert_eq!(labels(CLASSIFIER, [5.0, 5.0, 5.0]), (vec![(0, 0.333)], 0));
    let done = CLASSIFIER.replace("softmax", "none");
    assert_eq!(labels(&done, [0.1, 0.2, 0.7]), (vec![(2, 0.7)], 0));
    // The one that is no number might have been the best.
    assert_eq!(labels(&done, [0.1, f32::NAN, 0.7]), (vec![], 1));
}

#[test]
fn of_classes_that_stand_for_themselves_all_that_count_are_answers() {
    let several = CLASSIFIER.replace("softmax", "sigmoid") + "\nseveral = true";
    assert_eq!(
        labels(&several, [0.0, 2.0, -3.0]),
        (vec![(1, 0.881), (0, 0.5)], 0)
    );
    assert_eq!(
        labels(&several, [f32::INFINITY, 2.0, f32::NAN]),
        (vec![(1, 0.881)], 2)
    );
}

#[test]
fn a_label_has_the_manifests_word() {
    let manifest = manifest(CLASSIFIER, "count = 3\nhelmet = [0]\nno_helmet = [2]");
    let seen = |data: &[f32]| {
        let answers = heads::labels(&manifest, &views(&[output(&[1, 3], data)])).unwrap();
        answers.found[0].class
    };
    assert_eq!(seen(&[9.0, 0.0, 0.0]), Some(ObjectClass::Helmet));
    assert_eq!(seen(&[0.0, 9.0, 0.0]), None);
    assert_eq!(seen(&[0.0, 0.0, 9.0]), Some(ObjectClass::NoHelmet));
}

/// One digit or blank (`_`) per column, the digit at 0.9 and its successor at 0.1.
#[track_caller]
fn read(columns: &str, change: impl FnOnce(&mut Vec<f32>)) -> heads::TextLine {
    read_only(columns, |_| true, change)
}

#[track_caller]
fn read_only(
    columns: &str,
    keep: impl Fn(&str) -> bool,
    change: impl FnOnce(&mut Vec<f32>),
) -> heads::TextLine {
    let manifest = manifest(CTC, "");
    let Head::Ctc(head) = &manifest.head else {
        panic!("{:?}", manifest.head)
    };
    let mut data = vec![0.0; 8 * 11];
    for (row, column) in data.chunks_exact_mut(11).zip(columns.chars()) {
        let number = column.to_digit(10).map_or(0, |digit| digit as usize + 1);
        row[number] = 0.9;
        row[if number == 10 { 1 } else { number + 1 }] = 0.1;
    }
    change(&mut data);
    let alphabet = head.alphabet(None).expect("it is written").only(keep);
    heads::text(&manifest, &alphabet, &views(&[output(&[1, 8, 11], &data)])).expect("shapes fit")
}

#[test]
fn columns_in_a_row_are_one_symbol_and_a_blank_parts_equals() {
    for (columns, text) in [
        ("________", ""),
        ("_1122_33", "123"),
        ("1_1_1111", "111"),
        ("11111111", "1"),
        ("2_9__999", "299"),
        ("01010101", "01010101"),
    ] {
        assert_eq!(read(columns, |_| ()).text(), text, "{columns}");
    }
}

#[test]
fn every_symbol_has_its_own_confidence_place_and_runner_up() {
    let line = read("_1_2____", |data| {
        (data[3 * 11 + 3], data[3 * 11 + 4]) = (0.6, 0.4);
    });
    assert_eq!(line.text(), "12");
    let [one, two] = &line.symbols[..] else {
        panic!("{line:?}")
    };
    assert!((one.confidence - 0.9).abs() < 1e-6 && (two.confidence - 0.6).abs() < 1e-6);
    assert!((line.confidence() - 0.75).abs() < 1e-6);
    assert_eq!((one.position, two.position), (1.5 / 8.0, 3.5 / 8.0));
    let (text, confidence) = one.runner_up.clone().unwrap();
    assert!(text == "2" && (confidence - 0.1).abs() < 1e-6);
}

#[test]
fn a_symbol_that_cannot_be_there_gives_way_to_the_best_that_can() {
    // 5 may not be read; its successor is next, with its own probability.
    let line = read_only("_1_5__5_", |symbol| symbol != "5", |_| ());
    assert_eq!(line.text(), "166");
    assert!((line.symbols[1].confidence - 0.1).abs() < 1e-6);
    let is_named = |name: &str| {
        let mut others = line.symbols.iter().filter_map(|s| s.runner_up.as_ref());
        others.any(|(other, _)| other == name)
    };
    assert!(is_named("2") && !is_named("5"));
    // One sign over two columns is one, also where its second column would rather be a 9.
    let rather_9 = |data: &mut Vec<f32>| {
        (data[4 * 11 + 6], data[4 * 11 + 10]) = (0.7, 0.2);
    };
    let line = read_only("_1_55_5_", |symbol| symbol != "5", rather_9);
    assert_eq!(line.text(), "166");
    // Where nothing may be read, nothing is.
    assert_eq!(read_only("_1_5__5_", |_| false, |_| ()).text(), "");
}

#[test]
fn a_symbol_that_the_blank_hardly_outdid_is_told() {
    // In the fourth column, of a blank, number 6 is a 5.
    let at = |blank: f32, five: f32| {
        move |data: &mut Vec<f32>| {
            let row = &mut data[3 * 11..4 * 11];
            row.fill(0.0);
            (row[0], row[6], row[7]) = (blank, five, 1.0 - blank - five);
        }
    };
    for (columns, blank, five, told) in [
        ("_1__2___", 0.55, 0.45, "5"),
        ("_1__2___", 0.7, 0.25, "5"),
        ("_1__2___", 0.85, 0.15, ""),
        // It fades out over the neighbours of one that was read.
        ("_15__2__", 0.55, 0.45, ""),
        ("_1__52__", 0.55, 0.45, ""),
    ] {
        let line = read(columns, at(blank, five));
        let passed: String = line.passed_over.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(passed, told, "{columns} {blank}");
    }
}

#[test]
fn a_line_with_a_broken_column_is_not_read_at_all() {
    // "123" without its 2 would be another plate.
    let line = read("_1_2_3__", |data| data[3 * 11 + 7] = f32::NAN);
    assert_eq!(line.symbols, []);
    assert_eq!(line.broken, 1);
}

#[test]
fn a_line_of_which_the_network_is_not_sure_is_not_read() {
    let line = read("_1_2____", |data| {
        for value in data.iter_mut() {
            *value = *value * 0.1 + 0.9 / 11.0;
        }
    });
    assert_eq!((line.text().as_str(), line.broken), ("", 0));
}
