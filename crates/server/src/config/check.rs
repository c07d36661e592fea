//! The check of a configuration: it collects every violation.

use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::time::Duration;

use thiserror::Error;

/// Every violation of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid configuration:")?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

/// Collects violations.
#[derive(Default)]
pub(super) struct Check(pub(super) Vec<String>);

impl Check {
    pub(super) fn read<T>(&mut self, name: &str, parsed: Result<T, impl fmt::Display>) -> Option<T> {
        parsed.map_err(|error| self.0.push(format!("{name}: {error}"))).ok()
    }

    pub(super) fn number(&mut self, name: &str, text: &str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let number = text.parse::<u32>().ok().filter(|number| bounds.contains(number));
        let rule = || format!("must be a whole number from {} to {}", bounds.start(), bounds.end());
        self.read(name, number.ok_or_else(rule))
    }

    pub(super) fn seconds(&mut self, name: &str, text: &str, bounds: RangeInclusive<u32>) -> Option<Duration> {
        self.number(name, text, bounds).map(|seconds| Duration::from_secs(seconds.into()))
    }

    pub(super) fn url(&mut self, name: &str, url: &str, schemes: &[&str]) -> Option<String> {
        let known = schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        self.read(
            name,
            if known { Ok(url.to_owned()) } else { Err(format!("must begin with {}", schemes.join(" or "))) },
        )
    }

    /// A secret: the value of its variable, or what the file that `NAME_FILE` names contains, without the line break at its end. None if
    /// neither is set.
    pub(super) fn secret(
        &mut self,
        name: &str,
        value: Option<&str>,
        file: Option<&str>,
    ) -> Result<Option<String>, Recorded> {
        let Some(file) = file else { return Ok(value.map(str::to_owned)) };
        let name = format!("{name}_FILE");
        let content = match value {
            Some(_) => Err("must not be set beside the variable for the value itself".to_owned()),
            None => fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}")),
        };
        let content = self.read(&name, content).ok_or(Recorded)?;
        Ok(Some(content.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// A secret that must be set.
    pub(super) fn required_secret(&mut self, name: &str, value: Option<&str>, file: Option<&str>) -> Option<String> {
        let secret = self.secret(name, value, file).ok()?;
        self.read(name, secret.ok_or("must be set"))
    }
}

/// A violation was recorded.
pub(super) struct Recorded;
