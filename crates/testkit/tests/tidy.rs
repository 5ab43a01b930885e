//! The workspace keeps the shape that `ARCHITECTURE.md` says it has: who may
//! know whom, where the heavy dependencies live, how files are named.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What each crate may know of ours. Everything points down: a crate that
/// needs another one above it is in the wrong place, or the code is.
const MAY_KNOW: [(&str, &[&str]); 17] = [
    ("core", &[]),
    ("index", &[]),
    ("emulator", &[]),
    ("storage", &["core"]),
    ("cache", &["core", "storage"]),
    ("audio", &["core"]),
    ("formats", &["core"]),
    ("models", &["core", "audio"]),
    ("testkit", &["core", "storage"]),
    ("analysis", &["core", "index"]),
    ("local", &["core", "storage", "index"]),
    ("astra", &["core", "storage"]),
    ("sync", &["core", "storage"]),
    (
        "library",
        &[
            "core", "storage", "cache", "audio", "models", "analysis", "local", "astra", "index",
            "sync", "formats",
        ],
    ),
    ("server", &["library", "core"]),
    ("cli", &["library", "server", "emulator", "core"]),
    (
        "bench",
        &[
            "core", "storage", "index", "audio", "models", "analysis", "local", "astra", "sync",
            "library", "server", "emulator", "testkit",
        ],
    ),
];

/// What tests of a crate may know beyond what the crate itself may.
const TESTS_MAY_KNOW: &[&str] = &["testkit", "emulator"];

/// What tests of one crate may know besides, and why.
const TESTS_OF_ONE_MAY_KNOW: [(&str, &[&str]); 2] = [
    // It does not know which backends it makes agree; its tests have to.
    ("sync", &["local", "astra"]),
    // They make documents as other versions wrote them.
    ("cli", &["storage"]),
];

/// A dependency that is large, or that only one crate should speak to, and
/// the crates it lives in.
const LIVES_IN: [(&str, &[&str]); 17] = [
    ("rusqlite", &["local", "emulator", "sync", "formats"]),
    ("zstd", &["formats"]),
    ("reqwest", &["astra", "models"]),
    ("rustls", &["astra", "models"]),
    ("object_store", &["astra"]),
    ("axum", &["emulator", "server"]),
    ("clap", &["cli"]),
    ("indicatif", &["cli"]),
    ("anyhow", &["cli"]),
    ("symphonia", &["audio"]),
    ("rubato", &["audio"]),
    ("realfft", &["audio"]),
    ("ort", &["models"]),
    ("rten", &["models"]),
    ("tokenizers", &["models"]),
    ("dotenvy", &["library"]),
    ("notify", &["library"]),
];

/// Names of files that say nothing about what is in them.
const NO_NAMES: [&str; 5] = ["utils.rs", "common.rs", "types.rs", "helpers.rs", "prelude.rs"];

struct Package {
    // The folder, which is the name without `songrec-`.
    name: String,
    folder: PathBuf,
    dependencies: BTreeSet<String>,
    dev_dependencies: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages: Vec<_> = metadata["packages"].as_array().unwrap().iter().map(package).collect();
    assert!(packages.len() > 5, "where is everybody?");
    packages
}

fn package(of: &Value) -> Package {
    let manifest = Path::new(of["manifest_path"].as_str().unwrap());
    let name = of["name"].as_str().unwrap();
    let mut package = Package {
        name: name.strip_prefix("songrec-").unwrap_or(name).to_owned(),
        folder: manifest.parent().unwrap().to_owned(),
        dependencies: BTreeSet::new(),
        dev_dependencies: BTreeSet::new(),
    };
    for dependency in of["dependencies"].as_array().unwrap() {
        let name = dependency["name"].as_str().unwrap().to_owned();
        match dependency["kind"].as_str() {
            Some("dev") => package.dev_dependencies.insert(name),
            _ => package.dependencies.insert(name),
        };
    }
    package
}

fn may_know(name: &str) -> &'static [&'static str] {
    MAY_KNOW
        .iter()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("`{name}` is new: say in `MAY_KNOW` what it may know"))
        .1
}

#[test]
fn no_dependency_points_up() {
    for package in packages() {
        let allowed = may_know(&package.name);
        for ours in package.dependencies.iter().filter_map(|name| name.strip_prefix("songrec-")) {
            assert!(
                allowed.contains(&ours),
                "`{}` must not know `{ours}`, only {allowed:?}",
                package.name
            );
        }
        for ours in package.dev_dependencies.iter().filter_map(|name| name.strip_prefix("songrec-"))
        {
            let of_this = TESTS_OF_ONE_MAY_KNOW
                .iter()
                .any(|(name, known)| package.name == *name && known.contains(&ours));
            assert!(
                allowed.contains(&ours) || TESTS_MAY_KNOW.contains(&ours) || of_this,
                "tests of `{}` must not know `{ours}`",
                package.name
            );
        }
    }
}

/// The table above would allow a cycle if it had one.
#[test]
fn what_crates_may_know_has_no_cycle() {
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        MAY_KNOW.iter().map(|(name, known)| (*name, known.iter().copied().collect())).collect();
    while !left.is_empty() {
        let free: Vec<&str> =
            left.iter().filter(|(_, known)| known.is_empty()).map(|(name, _)| *name).collect();
        assert!(!free.is_empty(), "these know each other: {left:?}");
        left.retain(|name, _| !free.contains(name));
        for known in left.values_mut() {
            known.retain(|name| !free.contains(name));
        }
    }
}

#[test]
fn a_heavy_dependency_lives_in_one_place() {
    // Benchmarks are nobody's dependency, and measure what is heavy beside what is ours.
    for package in packages().iter().filter(|package| package.name != "bench") {
        for (heavy, homes) in LIVES_IN {
            assert!(
                !package.dependencies.contains(heavy) || homes.contains(&package.name.as_str()),
                "`{heavy}` lives in {homes:?}, not in `{}`",
                package.name
            );
        }
    }
}

#[test]
fn a_crate_is_named_after_its_folder() {
    for package in packages() {
        assert!(package.folder.ends_with(&package.name), "{} is odd", package.folder.display());
    }
}

#[test]
fn a_crate_begins_with_what_it_is() {
    for package in packages() {
        let source = package.folder.join("src");
        let roots = ["lib.rs", "main.rs"].map(|root| source.join(root));
        let roots: Vec<_> = roots.iter().filter(|root| root.exists()).collect();
        assert!(!roots.is_empty(), "`{}` has no root", package.name);
        for root in roots {
            let text = std::fs::read_to_string(root).unwrap();
            let first = text.lines().next().unwrap_or_default();
            assert!(
                first.strip_prefix("//! ").is_some_and(|sentence| sentence.len() > 10),
                "the first line of {} does not say what the crate is",
                root.display()
            );
        }
    }
}

#[test]
fn every_file_is_named_after_what_is_in_it() {
    let mut folders: Vec<PathBuf> =
        packages().iter().map(|package| package.folder.join("src")).collect();
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            seen += usize::from(name.ends_with(".rs"));
            assert!(!NO_NAMES.contains(&name.as_str()), "{} says nothing", path.display());
        }
    }
    assert!(seen > 50, "only {seen} files were looked at");
}

/// What reaches a terminal goes through one file, which shows what a terminal
/// would obey.
#[test]
fn one_file_writes_to_the_terminal() {
    const WRITERS: [&str; 6] =
        ["io::stdout", "io::stderr", "stdout()", "stderr()", "print!(", "println!("];
    const MAY_WRITE: &str = "cli/src/terminal.rs";
    // The bar writes by itself what is cleaned before it gets it.
    const MAY_DRAW: &str = "cli/src/progress.rs";
    let mut wrote = false;
    for package in packages().iter().filter(|package| package.name != "bench") {
        for path in sources(&package.folder.join("src")) {
            let text = std::fs::read_to_string(&path).unwrap();
            let code: Vec<&str> =
                text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            // The name itself, not the end of another one.
            let is_word =
                |before: &str| !before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let writes = code.iter().any(|line| {
                let found =
                    |writer: &&str| line.match_indices(*writer).any(|(at, _)| is_word(&line[..at]));
                WRITERS.iter().any(found)
            });
            let draws = code.iter().any(|line| line.contains("ProgressBar::"));
            wrote |= writes && path.ends_with(MAY_WRITE);
            assert!(!writes || path.ends_with(MAY_WRITE), "{} writes by itself", path.display());
            assert!(!draws || path.ends_with(MAY_DRAW), "{} draws by itself", path.display());
        }
    }
    assert!(wrote, "who writes to the terminal?");
}

/// Texts below `cli` that may say what is typed at a command line, and why.
const MAY_SPEAK_OF_COMMANDS: [(&str, &str); 5] = [
    ("# Which library `songrec sync` makes", "a file that `clone` writes, for people"),
    ("put models here with `songrec model add`", "its hints are words alone"),
    ("see `songrec model list`, and add one with `songrec model add`", "its hints are words alone"),
    ("`songrec model list` says which models read", "its hints are words alone"),
    ("`songrec doctor` says how the server is", "its hints are words alone"),
];

/// What a person can do is worded by each program: below `cli` a hint names a
/// `Remedy`, and not a command or a flag that only a terminal has.
#[test]
fn no_text_below_the_programs_names_a_command() {
    const PROGRAMS: [&str; 5] = ["cli", "server", "emulator", "testkit", "bench"];
    let mut excused = BTreeSet::new();
    let mut seen = 0;
    for package in packages().iter().filter(|package| !PROGRAMS.contains(&&*package.name)) {
        for path in sources(&package.folder.join("src")) {
            let text = std::fs::read_to_string(&path).unwrap();
            let is_test = path.ends_with("tests.rs");
            for literal in literals(&text).into_iter().filter(|_| !is_test) {
                seen += 1;
                if !speaks_of_commands(&literal) {
                    continue;
                }
                let excuse = MAY_SPEAK_OF_COMMANDS.iter().find(|(text, _)| literal.contains(text));
                excused.extend(excuse.map(|(text, _)| *text));
                let path = path.display();
                assert!(excuse.is_some(), "{path} speaks of commands: use a `Remedy`: {literal}");
            }
        }
    }
    assert!(seen > 1_000, "only {seen} texts were looked at");
    let named = MAY_SPEAK_OF_COMMANDS.map(|(text, _)| text);
    assert_eq!(excused, named.into_iter().collect(), "who is excused says nothing any more");
}

fn speaks_of_commands(text: &str) -> bool {
    let mut flags = text.match_indices("--").map(|(at, _)| {
        let is_first = at == 0 || text[..at].ends_with(['`', ' ', '\n']);
        is_first && text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase())
    });
    text.contains("`songrec ") || flags.any(|is_flag| is_flag)
}

// The texts in Rust code, without those of its tests, which come last.
fn literals(code: &str) -> Vec<String> {
    let code = code.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find(['"', '/', '\'', 'r']) {
        let (before, here) = rest.split_at(at);
        let is_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        rest = if here.starts_with("//") {
            here.split_once('\n').map_or("", |(_, rest)| rest)
        } else if let Some(raw) = raw(here).filter(|_| !is_word) {
            found.push(raw.0.to_owned());
            raw.1
        } else if let Some(text) = here.strip_prefix('"') {
            let end = end_of_text(text);
            // A line that goes on below goes on where the next one begins.
            let lines = text[..end].split("\\\n").map(str::trim_start);
            found.push(lines.collect::<String>());
            text.get(end + 1..).unwrap_or_default()
        } else {
            after_character(here)
        };
    }
    found
}

// The text and what comes after it, of `r"…"` and `r#"…"#`.
fn raw(code: &str) -> Option<(&str, &str)> {
    let code = code.strip_prefix('r')?;
    let hashes = code.len() - code.trim_start_matches('#').len();
    let text = code[hashes..].strip_prefix('"')?;
    text.split_once(&format!("\"{}", "#".repeat(hashes)))
}

fn end_of_text(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    end.unwrap_or(text.len())
}

// What comes after `'"'`, `'\\'` and the like; of a lifetime, after its quote.
fn after_character(code: &str) -> &str {
    let mut characters = code.chars();
    let first = characters.next();
    match (first, characters.next(), characters.next(), characters.next()) {
        (Some('\''), Some('\\'), Some(_), Some('\'')) => &code[4..],
        (Some('\''), Some(one), Some('\''), _) => &code[2 + one.len_utf8()..],
        _ => &code[1..],
    }
}

#[test]
fn texts_are_found_in_code() {
    let code = r##"
        // not "this"
        let a: &'static str = "one \"two\" \
            three"; let quote = '"'; let b = r#"four "five""#; let c = '\''; f("six");
        #[cfg(test)] mod tests { "seven" }
    "##;

    assert_eq!(literals(code), ["one \\\"two\\\" three", "four \"five\"", "six"]);
    assert!(speaks_of_commands("try `--model x`") && speaks_of_commands("run `songrec scan`"));
    assert!(!speaks_of_commands("a songrec -- newer"));
}

/// The Python module is a workspace of its own, of which `packages` knows nothing: it is
/// built on the library as the command line is, from the versions that are tested here.
#[test]
fn the_python_module_is_built_from_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let manifest = read("python/Cargo.toml");
    let known: Vec<&str> =
        manifest.lines().filter_map(|line| Some(line.split_once(" = { path")?.0)).collect();
    assert_eq!(known, ["songrec-core", "songrec-library"]);

    let (ours, theirs) = (read("Cargo.lock"), read("python/Cargo.lock"));
    let (ours, theirs) = (locked(&ours), locked(&theirs));
    assert!(theirs.len() > 100 && theirs.contains_key("pyo3"), "only {}", theirs.len());
    for (name, versions) in theirs {
        let allowed = ours.get(name).is_none_or(|ours| versions.is_subset(ours));
        assert!(
            allowed || name == "songrec-python",
            "python/Cargo.lock has another `{name}`: run `just python-lock`"
        );
    }
}

// The versions of each package in a lock file.
fn locked(lock: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut named = "";
    for line in lock.lines() {
        if let Some(name) = line.strip_prefix("name = ") {
            named = name.trim_matches('"');
        } else if let Some(version) = line.strip_prefix("version = \"") {
            found.entry(named).or_default().insert(version.trim_end_matches('"'));
        }
    }
    found
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        match entry.unwrap().path() {
            path if path.is_dir() => found.extend(sources(&path)),
            path if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            _ => {}
        }
    }
    found
}
