use encore_private_stores::{DATABASE_URL, REDIS_URL};

use crate::install;
use crate::outcome::Outcome;
use crate::workspace::{self, Profile};

const BINARY: &str = "encore-rehearse";

/// Builds the server and the rehearsal in release mode. This process then becomes the rehearsal.
pub(crate) fn run(args: &[String]) -> Outcome {
    if is_local(args) {
        install::programs_for(&[DATABASE_URL, REDIS_URL])?;
    }
    Err(workspace::build_and_become(Profile::Release, BINARY, args))
}

/// Whether the rehearsal starts private stores. They are not those that the environment names.
fn is_local(args: &[String]) -> bool {
    args.iter().any(|arg| arg == "--local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_local_rehearsal_needs_stores() {
        let is_local = |line: &str| is_local(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert!(is_local("hold --local --instances 2"));
        assert!(!is_local("hold --embedded"));
        assert!(!is_local("hold --address http://localhost:50051"));
    }
}
