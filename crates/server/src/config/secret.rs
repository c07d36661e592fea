//! Secrets that may be in a file.

use std::fs;

/// A secret from its variable or from the first line of its file.
pub(super) fn secret(value: Option<&str>, file: Option<&str>) -> Result<String, String> {
    match (value, file) {
        (Some(value), None) => Ok(value.to_owned()),
        (None, Some(file)) => {
            let text = fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {}", error.kind()))?;
            Ok(text.lines().next().unwrap_or_default().trim().to_owned())
        }
        (Some(_), Some(_)) => Err("must be set once: as a variable or as a file".to_owned()),
        (None, None) => Err("must be set".to_owned()),
    }
}
