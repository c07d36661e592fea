//! Finds out which file imports from which: every path is followed, through re-exports, to the file that defines the item.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::module_tree::{Definition, ModuleTree, PathUse};

/// For each file the files that it imports from, with the first line that does so.
pub(super) type Imports = BTreeMap<PathBuf, BTreeMap<PathBuf, usize>>;

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(usize),
    /// An item that is defined in this file.
    Item(usize),
}

/// The look-ups that are under way, by module and name: imports may refer to each other in a circle.
type UnderWay = Vec<(usize, String)>;

/// Which file imports from which. A declaration `mod child;` is no import, and neither is a `use` of a module alone: what
/// counts is the item that is then named through it. What a module uses of the modules within it does not count either: a
/// module and its parts are read together, from the outside in.
pub(super) fn imports(tree: &ModuleTree) -> Imports {
    let mut imports = Imports::new();
    for (at, module) in tree.modules.iter().enumerate() {
        let mut add = |target: usize, line: usize| {
            if target != module.file && !tree.contains(module.file, target) {
                let targets = imports.entry(tree.files[module.file].clone()).or_default();
                let first = targets.entry(tree.files[target].clone()).or_insert(line);
                *first = line.min(*first);
            }
        };
        for PathUse { segments, line } in module.imports.iter().chain(&module.paths) {
            for target in tree.resolve(at, segments, &mut Vec::new()) {
                if let Target::Item(file) = target {
                    add(file, *line);
                }
            }
        }
        for PathUse { segments, line } in &module.globs {
            for target in tree.resolve(at, segments, &mut Vec::new()) {
                match target {
                    Target::Item(file) => add(file, *line),
                    Target::Module(module) => add(tree.modules[module].file, *line),
                }
            }
        }
        for PathUse { segments, line } in &module.macro_calls {
            if let [name] = &segments[..]
                && let Some(file) = tree.macros.get(name)
            {
                add(*file, *line);
            }
        }
    }
    imports
}

impl ModuleTree {
    /// Whether a file's module is within the module of another file.
    fn contains(&self, outer: usize, inner: usize) -> bool {
        let mut module = self.modules.iter().find(|module| module.file == inner);
        while let Some(parent) = module.and_then(|module| module.parent) {
            module = self.modules.get(parent);
            if self.modules[parent].file == outer {
                return true;
            }
        }
        false
    }

    /// Follows a path that stands in a module. What leads out of the crate leads nowhere.
    fn resolve(&self, module: usize, path: &[String], under_way: &mut UnderWay) -> BTreeSet<Target> {
        let Some((first, rest)) = path.split_first() else { return BTreeSet::new() };
        let mut targets = match first.as_str() {
            "crate" => BTreeSet::from([Target::Module(0)]),
            "self" => BTreeSet::from([Target::Module(module)]),
            "super" => self.parent(module).into_iter().collect(),
            name => self.look_up(module, name, under_way),
        };
        for segment in rest {
            let modules: Vec<usize> = targets.iter().filter_map(Target::module).collect();
            if modules.is_empty() {
                // What follows an item is associated with it.
                break;
            }
            targets = modules.into_iter().flat_map(|module| self.step(module, segment, under_way)).collect();
        }
        targets
    }

    fn step(&self, module: usize, segment: &str, under_way: &mut UnderWay) -> BTreeSet<Target> {
        if segment == "super" {
            return self.parent(module).into_iter().collect();
        }
        let found = self.look_up(module, segment, under_way);
        if !found.is_empty() {
            return found;
        }
        // An exported macro, or what a macro has made.
        let exported = self.macros.get(segment).filter(|_| module == 0).copied();
        BTreeSet::from([Target::Item(exported.unwrap_or(self.modules[module].file))])
    }

    fn parent(&self, module: usize) -> Option<Target> {
        self.modules[module].parent.map(Target::Module)
    }

    fn look_up(&self, module: usize, name: &str, under_way: &mut UnderWay) -> BTreeSet<Target> {
        let look_up = (module, name.to_owned());
        if under_way.contains(&look_up) {
            // Of a name that imports itself, `use redis::redis`, the module is meant.
            return self.modules[module].names.get(name).into_iter().flatten().filter_map(Definition::module).collect();
        }
        under_way.push(look_up);
        let mut found = BTreeSet::new();
        for definition in self.modules[module].names.get(name).into_iter().flatten() {
            match definition {
                Definition::Module(child) => _ = found.insert(Target::Module(*child)),
                Definition::Item => _ = found.insert(Target::Item(self.modules[module].file)),
                Definition::Import(path) => found.extend(self.resolve(module, path, under_way)),
            }
        }
        if found.is_empty() {
            for glob in &self.modules[module].globs {
                let modules = self.resolve(module, &glob.segments, under_way);
                found.extend(
                    modules.iter().filter_map(Target::module).flat_map(|module| self.look_up(module, name, under_way)),
                );
            }
        }
        under_way.pop();
        found
    }
}

impl Target {
    fn module(&self) -> Option<usize> {
        match self {
            Self::Module(module) => Some(*module),
            Self::Item(_) => None,
        }
    }
}

impl Definition {
    fn module(&self) -> Option<Target> {
        match self {
            Self::Module(module) => Some(Target::Module(*module)),
            Self::Item | Self::Import(_) => None,
        }
    }
}
