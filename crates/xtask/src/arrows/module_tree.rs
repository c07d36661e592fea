//! The modules of one compilation target: their files, the names that they define, and the paths that they use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, ItemUse, Lit, Macro, Meta, Token, UseTree};

/// Reads a source file; `None` if there is none at this path.
pub(super) type ReadSource<'r> = &'r dyn Fn(&Path) -> Option<String>;

/// All modules of a target. Modules and files are known by their index; module 0 is the root.
#[derive(Default)]
pub(super) struct ModuleTree {
    pub(super) files: Vec<PathBuf>,
    pub(super) modules: Vec<Module>,
    /// The file that defines a macro. A macro is named without a path wherever it is in textual scope.
    pub(super) macros: BTreeMap<String, usize>,
}

/// One module, in a file of its own or inline in its parent's.
#[derive(Default)]
pub(super) struct Module {
    pub(super) file: usize,
    pub(super) parent: Option<usize>,
    pub(super) names: BTreeMap<String, Vec<Definition>>,
    /// The modules and enums whose names are imported by `*`.
    pub(super) globs: Vec<PathUse>,
    pub(super) imports: Vec<PathUse>,
    /// The paths in types, expressions, patterns and macros.
    pub(super) paths: Vec<PathUse>,
    /// The macros that are called by their name alone.
    pub(super) macro_calls: Vec<PathUse>,
}

/// What a name in a module stands for. Types, values and macros may share a name.
pub(super) enum Definition {
    Module(usize),
    Item,
    Import(Vec<String>),
}

/// A path and the line on which it stands.
pub(super) struct PathUse {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

impl ModuleTree {
    /// Reads the target whose root is this file, without what is compiled for tests only.
    pub(super) fn read(root: &Path, source: ReadSource<'_>) -> Result<Self, String> {
        let mut tree = Self::default();
        tree.add_file(root, root.parent().unwrap_or(root), None, source)?;
        Ok(tree)
    }

    /// Adds the module in a file. Its children's files are in `folder`.
    fn add_file(
        &mut self,
        path: &Path,
        folder: &Path,
        parent: Option<usize>,
        source: ReadSource<'_>,
    ) -> Result<usize, String> {
        let text = source(path).ok_or_else(|| format!("{} cannot be read", path.display()))?;
        let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        self.files.push(path.to_owned());
        self.add_module(self.files.len() - 1, folder, parent, &parsed.items, source)
    }

    fn add_module(
        &mut self,
        file: usize,
        folder: &Path,
        parent: Option<usize>,
        items: &[Item],
        source: ReadSource<'_>,
    ) -> Result<usize, String> {
        let at = self.modules.len();
        self.modules.push(Module { file, parent, ..Module::default() });
        for item in items {
            let (attributes, name) = attributes_and_name(item);
            if attributes.iter().any(is_for_tests) {
                continue;
            }
            if let Item::Mod(child) = item {
                let definition = Definition::Module(self.add_child(at, folder, child, source)?);
                self.modules[at].define(&child.ident, definition);
                continue;
            }
            if let Some(name) = name {
                self.modules[at].define(name, Definition::Item);
                if matches!(item, Item::Macro(_)) {
                    self.macros.insert(name.to_string(), file);
                }
            }
            self.modules[at].visit_item(item);
        }
        Ok(at)
    }

    fn add_child(
        &mut self,
        parent: usize,
        folder: &Path,
        child: &ItemMod,
        source: ReadSource<'_>,
    ) -> Result<usize, String> {
        let name = child.ident.to_string();
        let own_folder = folder.join(&name);
        let parent_file = self.modules[parent].file;
        if let Some((_, items)) = &child.content {
            return self.add_module(parent_file, &own_folder, Some(parent), items, source);
        }
        if let Some(path) = child.attrs.iter().find_map(path_attribute) {
            let path = self.files[parent_file].parent().unwrap_or(folder).join(path);
            let folder = path.parent().unwrap_or(folder).to_owned();
            return self.add_file(&path, &folder, Some(parent), source);
        }
        let beside = folder.join(format!("{name}.rs"));
        let path = if source(&beside).is_some() { beside } else { own_folder.join("mod.rs") };
        self.add_file(&path, &own_folder, Some(parent), source)
    }
}

impl Module {
    fn define(&mut self, name: &Ident, definition: Definition) {
        self.names.entry(name.to_string()).or_default().push(definition);
    }

    fn import(&mut self, prefix: &[String], tree: &UseTree) {
        let joined = |name: &Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(&joined(&path.ident), &path.tree),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(prefix, tree)),
            UseTree::Glob(glob) => {
                self.globs.push(PathUse::new(prefix.to_vec(), glob.star_token.spans[0]));
            }
            UseTree::Name(name) if name.ident == "self" => {
                if let Some(last) = prefix.last() {
                    self.import_as(last.clone(), prefix.to_vec(), name.ident.span());
                }
            }
            UseTree::Name(name) => self.import_as(name.ident.to_string(), joined(&name.ident), name.ident.span()),
            UseTree::Rename(rename) if rename.ident == "self" => {
                self.import_as(rename.rename.to_string(), prefix.to_vec(), rename.rename.span());
            }
            UseTree::Rename(rename) => {
                self.import_as(rename.rename.to_string(), joined(&rename.ident), rename.ident.span());
            }
        }
    }

    fn import_as(&mut self, name: String, segments: Vec<String>, at: Span) {
        self.names.entry(name).or_default().push(Definition::Import(segments.clone()));
        self.imports.push(PathUse::new(segments, at));
    }

    /// Finds the paths in a macro's tokens. What a macro's definition names without `$crate` is looked up where it is called.
    fn scan(&mut self, tokens: TokenStream, in_definition: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Group(group) => self.scan(group.stream(), in_definition),
                TokenTree::Ident(first) => {
                    let before = |back: usize| at.checked_sub(back).and_then(|before| tokens.get(before));
                    let from_crate = is_punctuation(before(2), '$');
                    // What follows another `::` or a dot belongs to something that is no path of ours.
                    let is_inner = is_punctuation(before(2), ':') && is_punctuation(before(3), ':')
                        || is_punctuation(before(2), '.');
                    let mut segments = vec![first.to_string()];
                    while is_punctuation(tokens.get(at), ':')
                        && is_punctuation(tokens.get(at + 1), ':')
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 2)
                    {
                        segments.push(next.to_string());
                        at += 3;
                    }
                    if is_inner || in_definition && !from_crate {
                        continue;
                    }
                    let used = PathUse::new(segments, first.span());
                    if used.segments.len() > 1 {
                        self.paths.push(used);
                    } else if is_punctuation(tokens.get(at), '!') {
                        self.macro_calls.push(used);
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
}

impl Visit<'_> for Module {
    fn visit_item_use(&mut self, item: &ItemUse) {
        if item.leading_colon.is_none() && !item.attrs.iter().any(is_for_tests) {
            self.import(&[], &item.tree);
        }
    }

    fn visit_path(&mut self, path: &syn::Path) {
        if path.leading_colon.is_none()
            && let Some(first) = path.segments.first()
        {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.paths.push(PathUse::new(segments, first.ident.span()));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &Macro) {
        if let Some(name) = call.path.get_ident() {
            self.macro_calls.push(PathUse::new(vec![name.to_string()], name.span()));
        } else {
            self.visit_path(&call.path);
        }
        self.scan(call.tokens.clone(), call.path.is_ident("macro_rules"));
    }
}

impl PathUse {
    fn new(segments: Vec<String>, at: Span) -> Self {
        Self { segments, line: at.start().line }
    }
}

fn is_punctuation(token: Option<&TokenTree>, wanted: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punctuation)) if punctuation.as_char() == wanted)
}

/// Whether this is `#[cfg(test)]`, or `#[cfg(all(test, …))]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    let Ok(condition) = attribute.parse_args::<Meta>() else { return false };
    attribute.path().is_ident("cfg") && requires_test(&condition)
}

fn requires_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|conditions| conditions.iter().any(requires_test)),
        Meta::List(_) | Meta::NameValue(_) => false,
    }
}

/// The value of `#[path = "…"]`.
fn path_attribute(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(ExprLit { lit: Lit::Str(path), .. }) = &pair.value else { return None };
    pair.path.is_ident("path").then(|| path.value())
}

/// The attributes of an item and the name that it defines, if it defines one.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is not exhaustive, and other items define no names")]
fn attributes_and_name(item: &Item) -> (&[Attribute], Option<&Ident>) {
    match item {
        Item::Const(item) => (&item.attrs, Some(&item.ident)),
        Item::Enum(item) => (&item.attrs, Some(&item.ident)),
        Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
        Item::Impl(item) => (&item.attrs, None),
        Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
        Item::Mod(item) => (&item.attrs, Some(&item.ident)),
        Item::Static(item) => (&item.attrs, Some(&item.ident)),
        Item::Struct(item) => (&item.attrs, Some(&item.ident)),
        Item::Trait(item) => (&item.attrs, Some(&item.ident)),
        Item::Type(item) => (&item.attrs, Some(&item.ident)),
        Item::Union(item) => (&item.attrs, Some(&item.ident)),
        Item::Use(item) => (&item.attrs, None),
        _ => (&[], None),
    }
}
