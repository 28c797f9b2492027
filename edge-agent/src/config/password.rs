//! A password, said in one of three ways. A file or the environment is better
//! than the configuration itself, which gets copied and sent by mail.

use std::path::Path;

/// The password itself, `None` when none is given, or why it cannot be had.
///
/// Line ends after the password in a file do not count.
pub(super) fn reveal(
    password: Option<&str>,
    file: Option<&Path>,
    variable: Option<&str>,
) -> Result<Option<String>, String> {
    match (password, file, variable) {
        (None, None, None) => Ok(None),
        (Some(password), None, None) => Ok(Some(password.to_owned())),
        (None, Some(file), None) => std::fs::read_to_string(file)
            .map(|text| Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            .map_err(|e| format!("cannot read password_file {}: {e}", file.display())),
        (None, None, Some(name)) => std::env::var(name)
            .map(Some)
            .map_err(|_| format!("environment variable {name} (password_env) is not set")),
        _ => Err("give one of password, password_file and password_env, not several".into()),
    }
}
