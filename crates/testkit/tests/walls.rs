//! The walls inside the crates, read from their sources: modules that stand
//! beside each other do not need each other in a circle, and the methods of a
//! type are in few files.
//!
//! Every path in the code that names a module of the crate is an edge: `use`,
//! types, calls, and what macros are given. A re-exported name is that of the
//! module that it comes from. Tests inside the crates do not count.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, File, Item, ItemImpl, ItemMod, Macro, Type, UseTree, Visibility,
    visit::{self, Visit},
};

/// How many files the methods of one type may be in.
const FILES_OF_A_TYPE: usize = 3;

/// A module by its path from the root of the crate.
type Module = Vec<String>;

/// The sources of one crate.
struct Crate {
    name: String,
    files: BTreeMap<Module, File>,
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let mut found = Vec::new();
        files_below(&folder.join("src"), &Module::new(), &mut found);
        let mut files: BTreeMap<Module, File> = found
            .into_iter()
            .map(|(module, path)| {
                let text = std::fs::read_to_string(&path).unwrap();
                let parsed = syn::parse_file(&text);
                (module, parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
            })
            .collect();
        let tests: Vec<Module> = files
            .iter()
            .flat_map(|(module, file)| file.items.iter().map(move |item| (module, item)))
            .filter_map(|(module, item)| match item {
                Item::Mod(inner) if is_test(&inner.attrs) => Some(below(module, &inner.ident)),
                _ => None,
            })
            .collect();
        files.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
        Self { name: folder.file_name().unwrap().to_string_lossy().into_owned(), files }
    }

    /// The names that modules hand on, and the whole paths that they stand for.
    fn handed_on(&self) -> BTreeMap<(Module, String), Module> {
        let mut names = BTreeMap::new();
        for (module, file) in &self.files {
            for item in &file.items {
                let Item::Use(found) = item else { continue };
                if matches!(found.vis, Visibility::Inherited) {
                    continue;
                }
                for (path, name) in paths_of(&found.tree) {
                    if let Some(path) = self.whole(module, &path) {
                        names.insert((module.clone(), name), path);
                    }
                }
            }
        }
        names
    }

    /// A path of this crate from its root on; nothing if it is of another one.
    fn whole(&self, module: &Module, path: &[String]) -> Option<Module> {
        let mut place = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                place.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|first| first == "super") {
                    place.pop()?;
                    rest = &rest[1..];
                }
            }
            child => {
                place.push(child.to_owned());
                if !self.files.contains_key(&place) {
                    return None;
                }
                rest = &path[1..];
            }
        }
        place.extend(rest.iter().cloned());
        Some(place)
    }

    /// Who names whom.
    fn edges(&self) -> BTreeSet<(Module, Module)> {
        let handed_on = self.handed_on();
        let mut edges = BTreeSet::new();
        for (module, file) in &self.files {
            let mut names = Names::default();
            names.visit_file(file);
            for path in &names.paths {
                let Some(path) = self.whole(module, path) else { continue };
                let target = self.module_of(path, &handed_on);
                if target != *module {
                    edges.insert((module.clone(), target));
                }
            }
        }
        edges
    }

    // The module in which what a path names is.
    fn module_of(&self, path: Module, handed_on: &BTreeMap<(Module, String), Module>) -> Module {
        let mut path = path;
        for _ in 0..8 {
            let known = (0..=path.len()).rev().find(|end| self.files.contains_key(&path[..*end]));
            let end = known.unwrap_or_default();
            let module = path[..end].to_vec();
            let Some(name) = path.get(end) else { return module };
            match handed_on.get(&(module.clone(), name.clone())) {
                Some(origin) => path = [origin.as_slice(), &path[end + 1..]].concat(),
                None => return module,
            }
        }
        path
    }

    /// The circles among modules that stand beside each other, what is below
    /// each of them included.
    fn circles(&self) -> BTreeSet<BTreeSet<String>> {
        let edges = self.edges();
        let parents: BTreeSet<&[String]> = self
            .files
            .keys()
            .filter_map(|module| module.split_last().map(|(_, parent)| parent))
            .collect();
        let mut circles = BTreeSet::new();
        for parent in parents {
            let depth = parent.len();
            let mut graph: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
            for (from, to) in &edges {
                let both = from.starts_with(parent) && to.starts_with(parent);
                let (Some(one), Some(two)) = (from.get(depth), to.get(depth)) else { continue };
                if both && one != two {
                    graph.entry(one).or_default().insert(two);
                }
            }
            let reached: BTreeMap<&str, BTreeSet<&str>> =
                graph.keys().map(|start| (*start, reachable(&graph, start))).collect();
            for start in graph.keys() {
                let circle: BTreeSet<String> = reached[start]
                    .iter()
                    .filter(|other| reached.get(*other).is_some_and(|of| of.contains(start)))
                    .map(|name| [parent, &[(*name).to_owned()]].concat().join("::"))
                    .collect();
                if circle.len() > 1 {
                    circles.insert(circle);
                }
            }
        }
        circles
    }

    /// Who in a circle names whom.
    fn within(&self, circle: &BTreeSet<String>) -> Vec<String> {
        let member = |module: &str| {
            circle
                .iter()
                .find(|one| module == *one || module.starts_with(&format!("{one}::")))
                .cloned()
        };
        let edges = self.edges().into_iter().map(|(from, to)| (from.join("::"), to.join("::")));
        edges
            .filter(|(from, to)| match (member(from), member(to)) {
                (Some(one), Some(two)) => one != two,
                _ => false,
            })
            .map(|(from, to)| format!("  {from} names {to}"))
            .collect()
    }

    /// Types whose methods are in more files than [`FILES_OF_A_TYPE`].
    fn spread_types(&self) -> BTreeMap<String, usize> {
        let mut homes: BTreeMap<String, BTreeSet<&Module>> = BTreeMap::new();
        for (module, file) in &self.files {
            let mut methods = Methods::default();
            methods.visit_file(file);
            for name in methods.types {
                homes.entry(name).or_default().insert(module);
            }
        }
        let counts = homes.into_iter().map(|(name, homes)| (name, homes.len()));
        counts.filter(|(_, files)| *files > FILES_OF_A_TYPE).collect()
    }
}

fn reachable<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = graph.get(start).into_iter().flatten().copied().collect();
    while let Some(next) = open.pop() {
        if let Some((name, more)) = graph.get_key_value(next)
            && found.insert(*name)
        {
            open.extend(more);
        }
    }
    found
}

fn below(module: &[String], name: &impl ToString) -> Module {
    [module, &[name.to_string()]].concat()
}

fn files_below(folder: &Path, module: &Module, found: &mut Vec<(Module, PathBuf)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            // Each of these is a program of its own.
            if stem != "bin" {
                files_below(&path, &below(module, &stem), found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_folder = stem == "mod" || module.is_empty() && (stem == "lib" || stem == "main");
            let of = if is_folder { module.clone() } else { below(module, &stem) };
            found.push((of, path));
        }
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// The paths that a `use` names, each with the name that it gives.
fn paths_of(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => {
            let begin = path.ident.to_string();
            let rest = paths_of(&path.tree).into_iter().map(|(rest, name)| {
                let own = if name == "self" { begin.clone() } else { name };
                ([vec![begin.clone()], rest].concat(), own)
            });
            rest.collect()
        }
        UseTree::Name(name) if name.ident == "self" => vec![(Vec::new(), "self".to_owned())],
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(rename) => {
            vec![(vec![rename.ident.to_string()], rename.rename.to_string())]
        }
        UseTree::Glob(_) => vec![(Vec::new(), "*".to_owned())],
        UseTree::Group(group) => group.items.iter().flat_map(paths_of).collect(),
    }
}

/// All paths in a file.
#[derive(Default)]
struct Names {
    paths: BTreeSet<Vec<String>>,
}

impl Names {
    // The paths among the words that a macro is given.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.paths.insert(std::mem::take(&mut path));
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(sign) if sign.as_char() == ':' => colons += 1,
                other => {
                    self.paths.insert(std::mem::take(&mut path));
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.add_tokens(group.stream());
                    }
                }
            }
        }
        self.paths.insert(path);
    }
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.paths.extend(paths_of(&item.tree).into_iter().map(|(path, _)| path));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.insert(path.segments.iter().map(|one| one.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, of: &'ast Macro) {
        self.add_tokens(of.tokens.clone());
    }
}

/// The types that a file has methods of.
#[derive(Default)]
struct Methods {
    types: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Methods {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if let (None, Type::Path(path)) = (&item.trait_, item.self_ty.as_ref()) {
            self.types.extend(path.path.segments.last().map(|last| last.ident.to_string()));
        }
    }
}

fn crates() -> Vec<Crate> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("Cargo.toml").exists())
        .collect();
    folders.sort();
    folders.iter().map(|folder| Crate::read(folder)).collect()
}

#[test]
fn modules_beside_each_other_are_in_no_circle() {
    let (mut edges, mut found) = (0, BTreeMap::new());
    for one in crates() {
        edges += one.edges().len();
        for circle in one.circles() {
            let members: Vec<&str> = circle.iter().map(String::as_str).collect();
            found.insert(format!("{}: {}", one.name, members.join(", ")), one.within(&circle));
        }
    }
    assert!(edges > 500, "only {edges} edges were seen");
    let circles: Vec<String> =
        found.iter().map(|(circle, edges)| format!("{circle}\n{}", edges.join("\n"))).collect();
    assert!(circles.is_empty(), "modules name each other in a circle:\n{}", circles.join("\n"));
}

#[test]
fn the_methods_of_a_type_are_in_few_files() {
    let wrong: Vec<String> = crates()
        .iter()
        .flat_map(|one| {
            one.spread_types().into_iter().map(|(name, files)| {
                format!("{}: methods of `{name}` are in {files} files", one.name)
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
