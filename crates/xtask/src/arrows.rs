//! Checks the arrows: which crate depends on which, and that the files of a crate do not import in a circle.

mod circles;
mod imports;
mod module_tree;
mod rules;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use self::circles::circles_of_target;
use self::rules::{CRATES, EXEMPT, OUTSIDE};
use crate::outcome::Outcome;
use crate::workspace;

/// A crate of the workspace and what it names in its manifest.
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
    /// The root files of its library, binaries, tests and build script.
    roots: Vec<PathBuf>,
}

struct Dependency {
    name: String,
    for_tests: bool,
}

/// Prints every dependency that is not allowed and every circle.
pub(crate) fn run() -> Outcome {
    let packages = packages()?;
    let mut violations = violations(&packages);
    for Package { name, roots, .. } in &packages {
        for root in roots {
            violations.extend(circles_of_target(name, root)?);
        }
    }
    for violation in &violations {
        eprintln!("arrows: {violation}");
    }
    if violations.is_empty() {
        println!("arrows: every dependency between the crates is allowed, and no files import in a circle");
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn packages() -> Result<Vec<Package>, Box<dyn Error>> {
    let metadata = workspace::metadata()?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata has no packages")?;
    packages
        .iter()
        .map(|package| read_package(package).ok_or_else(|| "cargo metadata has an unexpected form".into()))
        .collect()
}

fn read_package(package: &Value) -> Option<Package> {
    let dependency = |dependency: &Value| {
        let name = dependency["name"].as_str()?.to_owned();
        Some(Dependency { name, for_tests: dependency["kind"] == "dev" })
    };
    let dependencies = package["dependencies"].as_array()?.iter().map(dependency).collect::<Option<_>>()?;
    let root = |target: &Value| target["src_path"].as_str().map(PathBuf::from);
    let roots = package["targets"].as_array()?.iter().map(root).collect::<Option<_>>()?;
    Some(Package { name: package["name"].as_str()?.to_owned(), dependencies, roots })
}

/// One sentence for each dependency that is not allowed.
fn violations(packages: &[Package]) -> Vec<String> {
    let is_ours = |name: &str| packages.iter().any(|package| package.name == name);
    let mut violations = Vec::new();
    for package in packages.iter().filter(|package| !EXEMPT.contains(&package.name.as_str())) {
        let Some(rule) = CRATES.iter().find(|rule| rule.name == package.name) else {
            violations.push(format!("{} has no rule in arrows/rules.rs that says what it may use", package.name));
            continue;
        };
        for Dependency { name, for_tests } in &package.dependencies {
            let allowed = if is_ours(name) { rule.allows(name, *for_tests) } else { outside_allowed(rule.name, name) };
            if !allowed {
                let tests = if *for_tests { "the tests of " } else { "" };
                violations.push(format!("{tests}{} may not depend on {name}", package.name));
            }
        }
    }
    violations
}

fn outside_allowed(package: &str, dependency: &str) -> bool {
    OUTSIDE.iter().filter(|rule| rule.covers(dependency)).all(|rule| rule.allows(package))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace of all crates, in which one depends on another.
    fn workspace_with(from: &str, to: &str, for_tests: bool) -> Vec<Package> {
        let names = CRATES.iter().map(|rule| rule.name).chain(EXEMPT);
        let package = |name: &str| {
            let dependency = Dependency { name: to.to_owned(), for_tests };
            Package {
                name: name.to_owned(),
                dependencies: (name == from).then_some(dependency).into_iter().collect(),
                roots: Vec::new(),
            }
        };
        names.map(package).collect()
    }

    fn is_allowed(from: &str, to: &str) -> bool {
        violations(&workspace_with(from, to, false)).is_empty()
    }

    fn is_allowed_in_tests(from: &str, to: &str) -> bool {
        violations(&workspace_with(from, to, true)).is_empty()
    }

    #[test]
    fn the_arrows_of_the_design_are_allowed() {
        let arrows = [
            ("encore-seating-plan", "encore-domain"),
            ("encore-app", "encore-seating-plan"),
            ("encore-app", "encore-waiting-room"),
            ("encore-app", "encore-seat-map"),
            ("encore-waiting-room", "encore-domain"),
            ("encore-server", "encore-seat-map"),
            ("encore-redis-store", "encore-domain"),
            ("encore-port-tests", "encore-domain"),
            ("encore-grpc", "encore-app"),
            ("encore-grpc", "encore-proto"),
            ("encore-server", "encore-postgres-store"),
            ("encore-tests", "encore-server"),
        ];
        for (from, to) in arrows {
            assert!(is_allowed(from, to), "{from} → {to}");
        }
    }

    #[test]
    fn every_other_arrow_is_refused() {
        let arrows = [
            ("encore-domain", "encore-app"),
            ("encore-app", "encore-memory-store"),
            ("encore-app", "encore-proto"),
            ("encore-waiting-room", "encore-app"),
            ("encore-waiting-room", "encore-seat-map"),
            ("encore-seat-map", "encore-waiting-room"),
            ("encore-seat-map", "encore-redis-store"),
            ("encore-grpc", "encore-waiting-room"),
            ("encore-redis-store", "encore-postgres-store"),
            ("encore-memory-store", "encore-proto"),
            ("encore-credentials", "encore-app"),
            ("encore-proto", "encore-domain"),
            ("encore-grpc", "encore-postgres-store"),
            ("encore-server", "encore-port-tests"),
            ("encore-xtask", "encore-domain"),
        ];
        for (from, to) in arrows {
            assert!(!is_allowed(from, to), "{from} → {to}");
        }
    }

    #[test]
    fn tests_may_use_suites_but_no_other_technology() {
        assert!(is_allowed_in_tests("encore-app", "encore-port-tests"));
        assert!(is_allowed_in_tests("encore-postgres-store", "encore-port-tests"));
        assert!(!is_allowed("encore-postgres-store", "encore-port-tests"));
        assert!(!is_allowed_in_tests("encore-app", "encore-postgres-store"));
        assert!(!is_allowed_in_tests("encore-redis-store", "encore-postgres-store"));
        assert!(!is_allowed_in_tests("encore-domain", "encore-memory-store"));
    }

    #[test]
    fn a_technology_stays_in_its_crate() {
        for name in ["tokio", "serde", "serde_json", "tonic", "diesel", "redis", "prost-types"] {
            assert!(!is_allowed("encore-domain", name), "{name}");
        }
        assert!(is_allowed("encore-domain", "chrono"));
        assert!(is_allowed("encore-postgres-store", "diesel-async"));
        assert!(!is_allowed("encore-server", "diesel_migrations"));
        assert!(is_allowed("encore-redis-store", "bb8-redis"));
        assert!(!is_allowed("encore-app", "redis"));
        assert!(!is_allowed("encore-postgres-store", "tonic-types"));
        assert!(!is_allowed("encore-memory-store", "prost"));
        assert!(is_allowed("encore-grpc", "tonic-web"));
        assert!(is_allowed("encore-tests", "redis"), "end-to-end tests flush Redis");
    }

    #[test]
    fn a_crate_without_a_rule_is_a_violation() {
        let package = Package { name: "encore-event-bus".into(), dependencies: Vec::new(), roots: Vec::new() };
        assert_eq!(
            violations(&[package]),
            ["encore-event-bus has no rule in arrows/rules.rs that says what it may use"]
        );
    }

    #[test]
    fn this_workspace_keeps_its_rules() {
        let packages = packages().expect("the workspace's metadata");
        assert_eq!(violations(&packages), Vec::<String>::new());
        assert_eq!(packages.len(), CRATES.len() + EXEMPT.len(), "no rule is left over");
    }
}
