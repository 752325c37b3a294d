//! No two files import each other, directly or around a corner: every file can be read, tested and moved with what lies below it.
//!
//! The sources are parsed; a path that starts at `crate`, `self` or `super` is followed to the file that defines it, through
//! re-exports. Re-exports themselves (`pub use`), module declarations and tests do not count as imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Item, ItemUse, UseTree, Visibility};

type ModulePath = Vec<String>;

/// A file that is a module, as far as imports are concerned.
#[derive(Default)]
struct Module {
    /// Names that it defines or declares.
    own: BTreeSet<String>,
    /// Names that it passes on, and the paths they stand for.
    re_exports: BTreeMap<String, ModulePath>,
    /// Every path it mentions.
    mentions: Vec<ModulePath>,
    /// Names that its imports bring, so that `use super::flow; flow::X` is seen once, at the import.
    file: PathBuf,
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|condition| condition.is_ident("test"))
    })
}

/// `a::{b, c::d}` as `a::b` and `a::c::d`, with the names they get.
fn flatten(tree: &UseTree, prefix: &mut ModulePath, found: &mut Vec<(String, ModulePath)>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, found);
            prefix.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            found.push((prefix.last().cloned().unwrap_or_default(), prefix.clone()));
        }
        UseTree::Name(name) => {
            let mut path = prefix.clone();
            path.push(name.ident.to_string());
            found.push((name.ident.to_string(), path));
        }
        UseTree::Rename(rename) => {
            let mut path = prefix.clone();
            path.push(rename.ident.to_string());
            found.push((rename.rename.to_string(), path));
        }
        UseTree::Glob(_) => found.push(("*".to_owned(), prefix.clone())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, found)),
    }
}

struct Mentions<'m>(&'m mut Module);

impl<'ast> Visit<'ast> for Mentions<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes: &[syn::Attribute] = match item {
            Item::Mod(item) => &item.attrs,
            Item::Fn(item) => &item.attrs,
            Item::Use(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            _ => &[],
        };
        if !is_test(attributes) {
            syn::visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut found = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut found);
        for (name, path) in found {
            if matches!(item.vis, Visibility::Inherited) {
                self.0.mentions.push(path);
            } else {
                self.0.re_exports.insert(name, path);
            }
        }
    }

    /// `pub(super)` mentions the parent and imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.mentions.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }
}

fn name_of(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Mod(item) => &item.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        _ => return None,
    };
    Some(name.to_string())
}

/// The modules of a crate by path; the root is the empty path.
fn modules(root: &Path) -> BTreeMap<ModulePath, Module> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let file = entry.unwrap().path();
            if file.is_dir() {
                folders.push(file);
            } else if file.extension().is_some_and(|extension| extension == "rs") {
                let inside = file.strip_prefix(root).unwrap().with_extension("");
                let mut path: ModulePath = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
                if path.last().is_some_and(|last| last == "mod") || path == ["lib"] {
                    path.pop();
                }
                let mut module = Module { file: file.clone(), ..Module::default() };
                let text = syn::parse_file(&std::fs::read_to_string(&file).unwrap()).unwrap();
                module.own = text.items.iter().filter_map(name_of).collect();
                Mentions(&mut module).visit_file(&text);
                found.insert(path, module);
            }
        }
    }
    assert!(found.len() > 5, "the sources were found");
    found
}

/// The module that a path leads to, seen from another; none: it leads out of the crate.
fn target(modules: &BTreeMap<ModulePath, Module>, from: &ModulePath, path: &[String], depth: u8) -> Option<ModulePath> {
    let mut at = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        _ if depth > 0 => from.clone(),
        _ => return None,
    };
    let named = matches!(path[0].as_str(), "crate" | "self" | "super");
    let mut rest = if named { &path[1..] } else { path };
    while let Some(name) = rest.first() {
        if name == "super" {
            at.pop()?;
            rest = &rest[1..];
            continue;
        }
        let mut deeper = at.clone();
        deeper.push(name.clone());
        let module = modules.get(&at)?;
        if modules.contains_key(&deeper) {
            at = deeper;
            rest = &rest[1..];
        } else if module.own.contains(name) || depth > 8 {
            return Some(at);
        } else if let Some(passed_on) = module.re_exports.get(name) {
            return target(modules, &at, passed_on, depth + 1);
        } else {
            // A name that a glob brings, or a macro's: taken for the module's own.
            return modules.contains_key(&at).then_some(at);
        }
    }
    Some(at)
}

/// Groups of modules that reach each other (Tarjan's algorithm finds the same; the crate is small).
fn cycles(imports: &BTreeMap<ModulePath, BTreeSet<ModulePath>>) -> Vec<Vec<ModulePath>> {
    let reach = |start: &ModulePath| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(module) = open.pop() {
            for next in imports.get(module).into_iter().flatten() {
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&ModulePath, BTreeSet<&ModulePath>> =
        imports.keys().map(|module| (module, reach(module))).collect();
    let mut found: Vec<Vec<ModulePath>> = Vec::new();
    for (module, others) in &reached {
        if !others.contains(module) || found.iter().any(|group| group.contains(module)) {
            continue;
        }
        let group = others.iter().filter(|other| reached.get(**other).is_some_and(|back| back.contains(module)));
        found.push(group.map(|other| (*other).clone()).collect());
    }
    found
}

#[test]
fn no_files_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut problems = Vec::new();
    for folder in ["src", "crates/signpost-core/src", "crates/secureauth-standin/src"] {
        let modules = modules(&root.join(folder));
        let mut imports: BTreeMap<ModulePath, BTreeSet<ModulePath>> = BTreeMap::new();
        for (path, module) in &modules {
            let others = module.mentions.iter().filter_map(|mention| target(&modules, path, mention, 0));
            imports.insert(path.clone(), others.filter(|other| other != path).collect());
        }
        for group in cycles(&imports) {
            let mut lines = vec![format!("{folder}: {} files import each other:", group.len())];
            for module in &group {
                let to = imports[module].iter().filter(|other| group.contains(other)).map(|other| other.join("::"));
                let file = modules[module].file.strip_prefix(root).unwrap().display();
                lines.push(format!("  {file} -> {}", to.collect::<Vec<_>>().join(", ")));
            }
            problems.push(lines.join("\n"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
