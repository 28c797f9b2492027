//! Finds every `catalog/<model>/model.toml`, so that adding a model is adding a folder.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, error::Error, fs};

#[allow(clippy::disallowed_methods)] // the bans are for what runs on a box; this runs at compile time
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=catalog");
    let catalog = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("catalog");
    let mut folders: Vec<_> = fs::read_dir(&catalog)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    // The file system's order differs between machines; the program's must not.
    folders.sort();

    let mut code = String::from("&[\n");
    for manifest in folders.iter().map(|folder| folder.join("model.toml")) {
        if !manifest.is_file() {
            return Err(format!(
                "{} is missing: every folder there is a model",
                manifest.display()
            )
            .into());
        }
        println!("cargo::rerun-if-changed={}", manifest.display());
        let name = manifest
            .parent()
            .and_then(Path::file_name)
            .unwrap_or_default();
        // As Rust string literals: a path may hold quotes or backslashes.
        let (name, path) = (name.display().to_string(), manifest.display().to_string());
        writeln!(code, "    ({name:?}, include_str!({path:?})),")?;
    }
    code.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalogue.rs"), code)?;
    Ok(())
}
