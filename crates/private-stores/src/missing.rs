use std::fmt;

use crate::{localstripe, postgres, redis};

/// A server program that a private store needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Program {
    /// `postgres` and `initdb`.
    Postgres,
    /// `redis-server` or `valkey-server`.
    Redis,
    /// The Python package `localstripe`.
    Localstripe,
}

/// The programs that the private stores of these variables need and that are not installed, each once.
pub fn missing_programs(variables: &[&str]) -> Vec<Program> {
    let mut missing = Vec::new();
    for variable in variables {
        let program = Program::of(variable);
        if !program.is_installed() && !missing.contains(&program) {
            missing.push(program);
        }
    }
    missing
}

impl Program {
    fn of(variable: &str) -> Self {
        match variable {
            postgres::URL_VARIABLE => Self::Postgres,
            localstripe::URL_VARIABLE => Self::Localstripe,
            _ => Self::Redis,
        }
    }

    fn is_installed(self) -> bool {
        match self {
            Self::Postgres => postgres::binaries().is_some(),
            Self::Redis => redis::binary().is_some(),
            Self::Localstripe => localstripe::python().is_some(),
        }
    }
}

/// The program's name for people.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => postgres::NAME,
            Self::Redis => redis::NAME,
            Self::Localstripe => localstripe::NAME,
        })
    }
}
