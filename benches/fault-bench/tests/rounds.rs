//! Faults with real programs, in short; the long runs are the same program with
//! larger numbers.

#![allow(clippy::unwrap_used)] // this is how a test fails

use std::process::Command;

/// Runs the bench, which must find nothing wrong; its table.
fn clean(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_fault-bench"))
        .args(arguments)
        .output()
        .unwrap();
    let (table, said) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr),
    );
    println!("{said}{table}");
    assert!(
        output.status.success(),
        "something is wrong; see above for what, and for the seed"
    );
    table
}

/// Always the same faults at the same installations; what runs beside this test
/// is chance enough.
#[test]
fn forty_rounds_of_faults_lose_nothing() {
    let table = clean(&[
        "--rounds",
        "40",
        "--parallel",
        "6",
        "--minutes",
        "3",
        "--seed",
        "40",
    ]);
    assert!(table.contains("and 0 void ones"));
}

/// Not a matter of time: half of the evidence is held back until the events are there.
#[test]
fn events_pass_the_evidence_that_fills_the_line() {
    let table = clean(&["--priority", "1"]);
    assert_eq!(table.matches("| yes |").count(), 3);
}

/// Hundreds instead of the thousands of `--absence 5000`, and the source is over
/// before anything is judged.
#[test]
fn a_day_without_a_network_and_a_sleep_lose_nothing() {
    let table = clean(&["--absence", "200"]);
    assert_eq!(table.matches("| broker gone for a day |").count(), 2);
}
