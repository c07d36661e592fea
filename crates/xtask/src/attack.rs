use encore_private_stores::{DATABASE_URL, REDIS_URL};

use crate::install;
use crate::outcome::Outcome;
use crate::workspace::{self, Profile};

const BINARY: &str = "encore-attack";
const DEBUG: &str = "--debug";

/// Builds the server and the attacks. This process then becomes the attacks.
pub(crate) fn run(args: &[String]) -> Outcome {
    let is_debug = args.iter().any(|arg| arg == DEBUG);
    let args: Vec<String> = args.iter().filter(|arg| *arg != DEBUG).cloned().collect();
    if args.iter().any(|arg| arg == "--local") {
        install::programs_for(&[DATABASE_URL, REDIS_URL])?;
    }
    let profile = if is_debug { Profile::Debug } else { Profile::Release };
    Err(workspace::build_and_become(profile, BINARY, &args))
}
