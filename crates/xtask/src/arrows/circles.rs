//! Refuses circles of imports between the files of a crate.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use super::imports::{Imports, imports};
use super::module_tree::{ModuleTree, ReadSource};
use crate::workspace;

/// A sentence for each group of files of a target that import each other. Paths are relative to the workspace.
pub(super) fn circles_of_target(package: &str, root: &Path) -> Result<Vec<String>, String> {
    let top = workspace::root();
    let root = root.strip_prefix(&top).unwrap_or(root);
    circles(package, root, &|path| fs::read_to_string(top.join(path)).ok())
}

fn circles(package: &str, root: &Path, source: ReadSource<'_>) -> Result<Vec<String>, String> {
    let imports = imports(&ModuleTree::read(root, source)?);
    Ok(groups(&imports).iter().map(|group| sentence(package, group, &imports)).collect())
}

/// The strongly connected components of more than one file, in the order of their first files.
fn groups(imports: &Imports) -> Vec<BTreeSet<&PathBuf>> {
    let reachable: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
        imports.keys().map(|file| (file, reachable_from(file, imports))).collect();
    let mut groups: Vec<BTreeSet<&PathBuf>> = Vec::new();
    for (file, targets) in &reachable {
        if !targets.contains(file) || groups.iter().any(|group| group.contains(file)) {
            continue;
        }
        let reaches_back = |target: &&PathBuf| reachable.get(target).is_some_and(|targets| targets.contains(file));
        groups.push(targets.iter().copied().filter(reaches_back).collect());
    }
    groups
}

fn reachable_from<'i>(file: &PathBuf, imports: &'i Imports) -> BTreeSet<&'i PathBuf> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for target in imports.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(target) {
                open.push(target);
            }
        }
    }
    reached
}

fn sentence(package: &str, group: &BTreeSet<&PathBuf>, imports: &Imports) -> String {
    let path = shortest_circle(group, imports);
    let steps = path.iter().zip(path.iter().cycle().skip(1));
    let steps = steps.map(|(from, to)| format!("{}:{}", from.display(), imports[*from][*to]));
    let first = path.first().map(|file| file.display().to_string()).unwrap_or_default();
    let circle = steps.chain([first]).collect::<Vec<_>>().join(" → ");
    let others = group.iter().filter(|file| !path.contains(file));
    let others = others.map(|file| file.display().to_string()).collect::<Vec<_>>();
    if others.is_empty() {
        format!("{package}: files import in a circle: {circle}")
    } else {
        let others = others.join(", ");
        format!("{package}: files import in a circle: {circle}; also in this group: {others}")
    }
}

/// The shortest circle through the group's first file.
fn shortest_circle<'g>(group: &BTreeSet<&'g PathBuf>, imports: &'g Imports) -> Vec<&'g PathBuf> {
    let Some(first) = group.first() else { return Vec::new() };
    let mut came_from: BTreeMap<&PathBuf, &PathBuf> = BTreeMap::new();
    let mut open = VecDeque::from([*first]);
    while let Some(file) = open.pop_front() {
        for target in imports.get(file).into_iter().flat_map(BTreeMap::keys).filter(|target| group.contains(target)) {
            if target == *first {
                let mut path = vec![file];
                while let Some(before) = path.last().and_then(|file| came_from.get(file)) {
                    path.push(before);
                }
                path.reverse();
                return path;
            }
            if !came_from.contains_key(target) {
                came_from.insert(target, file);
                open.push_back(target);
            }
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The circles of a crate with these files, whose root is `src/lib.rs`.
    fn circles_in(files: &[(&str, &str)]) -> Vec<String> {
        let source = |path: &Path| {
            let file = files.iter().find(|(name, _)| Path::new(name) == path);
            file.map(|(_, text)| (*text).to_owned())
        };
        circles("app", Path::new("src/lib.rs"), &source).expect("a module tree")
    }

    fn are_free_of_circles(files: &[(&str, &str)]) -> bool {
        circles_in(files).is_empty()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let circles = circles_in(&[
            ("src/lib.rs", "mod queue;\nmod seats;"),
            ("src/queue.rs", "\nuse crate::seats::Seats;\npub struct Queue(Seats);"),
            ("src/seats.rs", "pub struct Seats;\nfn of(queue: &super::queue::Queue) {}"),
        ]);
        let circle = "src/queue.rs:2 → src/seats.rs:2 → src/queue.rs";
        assert_eq!(circles, [format!("app: files import in a circle: {circle}")]);
    }

    #[test]
    fn a_group_is_reported_once_by_its_shortest_circle() {
        let circles = circles_in(&[
            ("src/lib.rs", "mod a; mod b; mod c; mod d;"),
            ("src/a.rs", "use crate::b::B; pub struct A;"),
            ("src/b.rs", "use crate::{a::A, c::C}; pub struct B;"),
            ("src/c.rs", "use crate::b::B; pub struct C;"),
            ("src/d.rs", "use crate::c::C;"),
        ]);
        let circle = "src/a.rs:1 → src/b.rs:1 → src/a.rs; also in this group: src/c.rs";
        assert_eq!(circles, [format!("app: files import in a circle: {circle}")]);
    }

    #[test]
    fn a_longer_circle_is_found_through_folders() {
        let circles = circles_in(&[
            ("src/lib.rs", "pub mod queue;"),
            ("src/queue/mod.rs", "mod admission; pub mod wait; mod lane;"),
            ("src/queue/admission.rs", "use super::lane::Lane;"),
            ("src/queue/wait.rs", "use super::admission::Terms;"),
            ("src/queue/lane.rs", "use crate::queue::wait; fn wait() -> wait::Wait { wait::Wait }"),
        ]);
        let circle = "src/queue/admission.rs:1 → src/queue/lane.rs:1 → src/queue/wait.rs:1 → src/queue/admission.rs";
        assert_eq!(circles, [format!("app: files import in a circle: {circle}")]);
    }

    #[test]
    fn a_parent_and_its_children_are_no_circle_by_themselves() {
        let parent = |uses: &'static str| {
            circles_in(&[
                ("src/lib.rs", "mod queue; mod seats;"),
                ("src/queue.rs", uses),
                ("src/queue/lane.rs", "use super::Limit; pub struct Lane(Limit);"),
                ("src/seats.rs", "use crate::queue::Limit; pub struct Seats(Limit);"),
            ])
        };
        assert_eq!(parent("mod lane; pub struct Limit; pub use lane::Lane;"), Vec::<String>::new());
        assert_eq!(parent("mod lane; pub struct Limit; fn lane() { lane::Lane::new(); }"), Vec::<String>::new());
        assert_eq!(parent("mod lane; pub struct Limit; pub use self::lane::*;"), Vec::<String>::new());
        assert_eq!(parent("mod lane; pub struct Limit; use crate::seats::Seats;").len(), 1);
    }

    #[test]
    fn what_a_parent_re_exports_is_imported_from_the_file_that_defines_it() {
        assert!(are_free_of_circles(&[
            ("src/lib.rs", "pub mod queue; pub use queue::{Lane, Wait};"),
            ("src/queue/mod.rs", "mod lane; mod wait; pub use lane::*; pub use wait::Wait as Wait;"),
            ("src/queue/lane.rs", "pub struct Lane;"),
            ("src/queue/wait.rs", "use super::Lane; use crate::Lane as Same; pub struct Wait(crate::queue::Lane);"),
        ]));
    }

    #[test]
    fn a_re_export_does_not_hide_a_circle_between_siblings() {
        let circles = circles_in(&[
            ("src/lib.rs", "pub mod queue;"),
            ("src/queue/mod.rs", "mod lane; mod wait; pub use lane::*; pub use wait::Wait;"),
            ("src/queue/lane.rs", "pub struct Lane(super::Wait);"),
            ("src/queue/wait.rs", "use super::Lane; pub struct Wait;"),
        ]);
        assert_eq!(circles.len(), 1, "{circles:?}");
    }

    #[test]
    fn paths_in_macros_count() {
        let circles = circles_in(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b; pub fn a() { println!(\"{}\", b::b()); }"),
            ("src/b.rs", "pub fn b() { assert!([crate::a::a()].is_empty()); }"),
        ]);
        assert_eq!(circles.len(), 1, "{circles:?}");
    }

    #[test]
    fn a_macro_that_is_called_by_its_name_alone_counts() {
        let circles = circles_in(&[
            ("src/lib.rs", "#[macro_use] mod a; mod b;"),
            ("src/a.rs", "macro_rules! twice { ($it:expr) => { ($it, $crate::b::b($it)) } }"),
            ("src/b.rs", "pub fn b(n: u8) { twice!(n); }"),
        ]);
        assert_eq!(circles.len(), 1, "{circles:?}");
    }

    #[test]
    fn an_item_that_shares_its_name_with_its_module_is_found() {
        let circles = circles_in(&[
            ("src/lib.rs", "mod baselines;"),
            ("src/baselines/mod.rs", "mod redis; mod report; pub use redis::redis; pub struct Baseline;"),
            ("src/baselines/redis.rs", "pub fn redis() {}"),
            ("src/baselines/report.rs", "use super::redis; fn report() { redis(); }"),
        ]);
        assert_eq!(circles, Vec::<String>::new());
    }

    #[test]
    fn tests_other_crates_and_local_names_do_not_count() {
        assert!(are_free_of_circles(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "use crate::b::B; use std::fmt; pub struct A; impl A { fn b(b: B) { fmt::b(b) } }"),
            (
                "src/b.rs",
                "use outside::a::A; pub struct B; #[cfg(test)] use crate::a::A as X; \
                 #[cfg(all(test, unix))] mod tests { use crate::a::A; } fn b(a: u8) { let A = a; ::a::a(); }",
            ),
        ]));
    }

    #[test]
    fn an_inline_module_belongs_to_its_file() {
        let circles = circles_in(&[
            ("src/lib.rs", "mod a; mod b;"),
            ("src/a.rs", "pub mod inner { use super::super::b::B; pub struct A; }"),
            ("src/b.rs", "use crate::a::inner::A; pub struct B;"),
        ]);
        assert_eq!(circles.len(), 1, "{circles:?}");
    }

    #[test]
    fn a_file_that_is_missing_is_an_error() {
        let read = |path: &Path| (path == Path::new("src/lib.rs")).then(|| "mod away;".to_owned());
        let error = circles("app", Path::new("src/lib.rs"), &read).expect_err("no file");
        assert_eq!(error, "src/away/mod.rs cannot be read");
    }
}
