use std::error::Error;
use std::process::ExitCode;

/// What a command comes to: the exit code, or a message for the developer.
pub(crate) type Outcome = Result<ExitCode, Box<dyn Error>>;
