#![allow(clippy::needless_raw_string_hashes)] // as `UPDATE_EXPECT` writes them

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::manifest::{CASE_FILE, ChainLink};
use crate::sealed::Sealed;
use crate::verify::tests::{bundle, examine, trust};

/// `lengths` of chains that one camera's box has had, one after the other.
fn camera(lengths: &[usize]) -> Vec<Report> {
    let mut reports = Vec::new();
    for (chain, length) in lengths.iter().enumerate() {
        let mut link = ChainLink::genesis(Uuid::from_u128(chain as u128 + 1));
        for _ in 0..*length {
            let files = bundle(link);
            link = link.next(Sealed::digest(&files[CASE_FILE]));
            reports.push(examine(files, &trust()));
        }
    }
    assert!(reports.iter().all(Report::is_sound));
    reports
}

#[allow(clippy::needless_pass_by_value)] // as everywhere with `expect!`
fn check(order: &[usize], expected: Expect) {
    let cases = camera(&[4, 2]);
    let given: Vec<Report> = order.iter().map(|index| cases[*index].clone()).collect();
    let report = verify_chain(&given);
    let faults = report
        .faults
        .iter()
        .map(|(i, f)| format!("{i}: {}\n", f.words().en));
    let notes = report
        .notes
        .iter()
        .map(|(i, n)| format!("{i} note: {}\n", n.words().en));
    expected.assert_eq(&faults.chain(notes).collect::<String>());
}

#[test]
fn what_was_removed_swapped_or_repeated_shows() {
    check(&[0, 1, 2, 3], expect![""]);
    check(
        &[0, 2, 3],
        expect![[r#"
        1: cases of the camera between number 1 and number 3 are missing
    "#]],
    );
    check(
        &[0, 2, 1, 3],
        expect![[r#"
        1: cases of the camera between number 1 and number 3 are missing
        2: case number 2 stands after number 3: the order was changed
        3: cases of the camera between number 2 and number 4 are missing
    "#]],
    );
    check(
        &[0, 1, 1, 2],
        expect![[r#"
        2: case number 2 is there twice
    "#]],
    );
    check(
        &[2, 3],
        expect![[r#"
        0 note: the chain begins with case number 3; those before it are not examined
    "#]],
    );
    check(
        &[0, 1, 2, 3, 4, 5],
        expect![[r#"
        4 note: after case number 4 the box began a new chain (a new disk?); whether cases are missing here cannot be told
    "#]],
    );
    check(
        &[0, 1, 2, 3, 5],
        expect![[r#"
        4: cases of the camera between number 0 and number 2 are missing
    "#]],
    );
    check(
        &[4, 5, 0, 1],
        expect![[r#"
        2 note: after case number 2 the box began a new chain (a new disk?); whether cases are missing here cannot be told
    "#]],
    );
    check(
        &[0, 4, 1],
        expect![[r#"
        2: case number 2 stands after number 1: the order was changed
        1 note: after case number 1 the box began a new chain (a new disk?); whether cases are missing here cannot be told
    "#]],
    );
}

#[test]
fn another_case_of_the_same_number_is_a_fork_and_does_not_fit_its_neighbours() {
    let cases = camera(&[3]);
    let mut other = cases[1].clone();
    other.digest = Digest([7; 32]);
    let told = |given: &[Report]| verify_chain(given).faults;
    assert_eq!(
        told(&[cases[0].clone(), other.clone(), cases[2].clone()]),
        [(2, Fault::NotTheNext { number: 3 })]
    );
    assert_eq!(
        told(&[cases[0].clone(), cases[1].clone(), other]),
        [(2, Fault::Forked { number: 2 })]
    );
}

proptest! {
    #[test]
    fn any_case_removed_from_the_middle_and_any_two_swapped_show(length in 3_usize..7, a: prop::sample::Index, b: prop::sample::Index) {
        let cases = camera(&[length]);
        let mut removed = cases.clone();
        removed.remove(1 + a.index(length - 2));
        prop_assert!(!verify_chain(&removed).faults.is_empty());
        let (a, b) = (a.index(length), b.index(length));
        let mut swapped = cases.clone();
        swapped.swap(a, b);
        prop_assert_eq!(verify_chain(&swapped).faults.is_empty(), a == b);
    }
}
