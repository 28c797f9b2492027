//! The bans of this crate's `clippy.toml` bite, with their reasons.
//!
//! A ban that was misspelt is silent for ever, so a tiny crate that does what
//! is banned is given to clippy.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)] // a test writes its files and starts clippy

use std::path::Path;
use std::process::Command;

const FORBIDDEN: &str = r#"//! Does what a pure crate must not.
use std::collections::HashMap;
/// Reads the clock, a file and the environment, in an order that changes.
pub fn forbidden() -> f64 {
    let now = std::time::SystemTime::now();
    let _: HashMap<u8, std::time::SystemTime> = HashMap::from([(1, now)]);
    let _ = std::fs::read("/etc/hostname");
    std::thread::spawn(|| ());
    2.0_f64.powf(0.5).sin()
}
"#;

const MANIFEST: &str = r#"
[package]
name = "forbidden"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
[workspace]
"#;

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    // The outer cargo's settings are not the tiny crate's.
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CARGO_") || n == "RUSTFLAGS") {
        if name != "CARGO_HOME" {
            cargo.env_remove(name);
        }
    }
    cargo.current_dir(folder);
    cargo.env("CARGO_TARGET_DIR", folder.join("target"));
    cargo
}

#[test]
fn clippy_refuses_clocks_files_threads_and_unordered_maps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let installed = cargo(path).args(["clippy", "--version"]).output();
    assert!(
        installed.is_ok_and(|output| output.status.success()),
        "clippy is not installed; `rustup component add clippy` adds it"
    );
    std::fs::write(path.join("Cargo.toml"), MANIFEST).unwrap();
    std::fs::write(path.join("lib.rs"), FORBIDDEN).unwrap();
    std::fs::write(path.join("clippy.toml"), include_str!("../clippy.toml")).unwrap();
    let output = cargo(path)
        .args(["clippy", "--offline", "--quiet", "--", "-D", "warnings"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "clippy let it pass: {said}");
    for (what, reason) in [
        ("std::time::SystemTime", "take EventTime from the input"),
        ("std::collections::HashMap", "use BTreeMap"),
        ("std::fs::read", "the shell reads them"),
        ("std::thread::spawn", "replay must equal live"),
        ("f64::powf", "use libm"),
        ("f64::sin", "use libm"),
    ] {
        assert!(
            said.contains(what) && said.contains(reason),
            "{what}: {said}"
        );
    }
}
