//! Which program judged must be answerable years later: released programs carry the commit
//! that they were built of.

use std::path::Path;
use std::process::Command;

/// Folders of this workspace that the program is made of.
const SOURCES: [&str; 5] = [
    ".",
    "../protocol",
    "../case-bundle",
    "../models",
    "../Cargo.lock",
];

fn main() {
    println!("cargo::rerun-if-env-changed=NGATU_BUILD");
    let named = std::env::var("NGATU_BUILD")
        .ok()
        .filter(|name| !name.is_empty());
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let build = named.unwrap_or_else(|| {
        if is_release {
            commit().unwrap_or_else(|| "unknown".to_owned())
        } else {
            // Not the commit: each one would compile the program anew.
            println!("cargo::rerun-if-changed=build.rs");
            "dev".to_owned()
        }
    });
    println!(
        "cargo::rustc-env=NGATU_VERSION={}+{build}",
        env!("CARGO_PKG_VERSION")
    );
}

/// Twelve digits of the commit; `.dirty` behind it when something was changed since.
fn commit() -> Option<String> {
    let sources = SOURCES.iter().map(|path| (*path).to_owned());
    // Written with each commit and each checkout.
    let head = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    for path in sources.chain(head).filter(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let status = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let dirty = if status.is_empty() { "" } else { ".dirty" };
    Some(format!("{commit}{dirty}"))
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
