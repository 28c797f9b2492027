//! Forty rounds of faults with real programs; the long run is the same program
//! with `--rounds 500`.

#![allow(clippy::unwrap_used)] // this is how a test fails

use std::process::Command;

#[test]
fn forty_rounds_of_faults_lose_nothing() {
    let output = Command::new(env!("CARGO_BIN_EXE_fault-bench"))
        .args(["--rounds", "40", "--parallel", "6", "--minutes", "3"])
        .output()
        .unwrap();
    let (table, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    println!("{said}{table}");
    assert!(
        output.status.success(),
        "something was lost; see above for the seed"
    );
}
