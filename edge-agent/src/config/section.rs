//! One table of the file into one type, with every fault of the table at once.
//!
//! `serde` stops at the first fault; a technician on a ladder should not have to
//! run `check` eleven times. So after each fault its key is taken out and the
//! table is read again.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::faults::ConfigFault;

/// Reads `table` as a `T`. `at` is the table's own dotted key.
///
/// `None` when something needed is missing or wrong; unknown keys are faults
/// but do not hinder the reading.
pub(super) fn read<T: DeserializeOwned>(
    table: &Table,
    at: &str,
    faults: &mut Vec<ConfigFault>,
) -> Option<T> {
    let mut rest = table.clone();
    let mut taken_out: Vec<String> = Vec::new();
    loop {
        let mut unknown = Vec::new();
        let mut track = serde_path_to_error::Track::new();
        let whole = Value::Table(rest.clone());
        let outcome: Result<T, _> = serde_ignored::deserialize(
            serde_path_to_error::Deserializer::new(whole, &mut track),
            |path| unknown.push(indexed(&path.to_string())),
        );
        for key in unknown {
            push(
                faults,
                join(at, &key),
                "no such key here; correct its name or take it out",
            );
        }
        let error = match outcome {
            Ok(section) => return taken_out.is_empty().then_some(section),
            Err(error) => error,
        };
        let path = Some(track.path().to_string())
            .filter(|path| path != ".")
            .unwrap_or_default();
        let message = error.to_string();
        // The lines after the first repeat the key, which we have.
        let message = message.lines().next().unwrap_or_default();
        // serde quotes the value that it does not like.
        let message = match path.rsplit('.').next() {
            Some("password") => {
                "a password is text in quotes; better, give `password_file`".to_owned()
            }
            _ => in_words(message),
        };
        let root = path.split(['.', '[']).next().unwrap_or_default().to_owned();
        // A key that was taken out because it was wrong is not also missing.
        let is_consequence = taken_out
            .iter()
            .any(|key| message == format!("missing field `{key}`"));
        if !is_consequence {
            push(faults, join(at, &path), &message);
        }
        // Nothing to take out: a needed key is missing, and no more can be read.
        rest.remove(&root)?;
        taken_out.push(root);
    }
}

/// What kind of number is wanted, for who does not write Rust.
fn in_words(message: &str) -> String {
    let Some((found, wanted)) = message.rsplit_once(", expected ") else {
        return message.to_owned();
    };
    let wanted = match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i64" => "a whole number",
        "f64" => "a number",
        other => other,
    };
    format!("{found}, expected {wanted}")
}

/// Adds a fault unless an earlier round has found it.
fn push(faults: &mut Vec<ConfigFault>, path: String, message: &str) {
    let fault = ConfigFault {
        line: None,
        path,
        message: message.to_owned(),
    };
    if !faults.contains(&fault) {
        faults.push(fault);
    }
}

/// `a.0.b`, as `serde_ignored` writes it, in the file's own form `a[0].b`.
fn indexed(path: &str) -> String {
    let mut text = String::new();
    for part in path.split('.') {
        if part == "?" {
            continue; // an Option in between
        }
        if part.parse::<usize>().is_ok() {
            text.extend(["[", part, "]"]);
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(part);
        }
    }
    text
}

/// `at` and a key below it.
pub(super) fn join(at: &str, key: &str) -> String {
    match (at, key) {
        ("", key) => key.to_owned(),
        (at, "") => at.to_owned(),
        (at, key) => format!("{at}.{key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Sample {
        name: String,
        count: u32,
        #[serde(default)]
        ratio: f64,
        #[serde(default)]
        list: Vec<Inner>,
        password: Option<String>,
    }

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        x: f64,
    }

    fn faults(text: &str) -> String {
        let table: Table = text.parse().unwrap();
        let mut faults = Vec::new();
        let read: Option<Sample> = read(&table, "top", &mut faults);
        assert_eq!(
            read.is_some(),
            faults.iter().all(|f| f.message.starts_with("no such key"))
        );
        let lines: Vec<String> = faults
            .iter()
            .map(|f| format!("{}: {}\n", f.path, f.message))
            .collect();
        lines.concat()
    }

    #[test]
    fn every_fault_of_a_table_is_reported_once() {
        assert_eq!(faults("name = 'a'\ncount = 1"), "");
        assert_eq!(
            faults("name = 3\ncount = -1\nratio = 'x'\nnmae = 1\nlist = [{x = 1.0, y = 2}]"),
            "\
top.count: invalid value: integer `-1`, expected a whole number, 0 or more
top.list[0].y: no such key here; correct its name or take it out
top.name: invalid type: integer `3`, expected a string
top.nmae: no such key here; correct its name or take it out
top.ratio: invalid type: string \"x\", expected a number
"
        );
    }

    #[test]
    fn a_password_of_the_wrong_type_is_not_repeated() {
        assert_eq!(
            faults("name = 'a'\ncount = 1\npassword = 12345"),
            "top.password: a password is text in quotes; better, give `password_file`\n"
        );
    }
}
