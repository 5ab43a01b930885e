//! Which library a command means, and libraries that may only be read.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::world::{Run, World, examples, tone};

// A machine with the libraries `a`, the usual one, and `b`, each with a song.
fn two_libraries() -> World {
    let world = World::bare();
    for (name, kind) in [("a", "kick"), ("b", "snare")] {
        let audio = &examples(kind)[0];
        world.run(&["init", name]).ok();
        world.run(&["--library", name, "scan", audio.to_str().unwrap()]).ok();
    }
    world
}

fn run_in(world: &World, folder: &str, arguments: &[&str]) -> Run {
    let mut command = world.command(arguments);
    command.current_dir(world.path(folder));
    Run::of(command.output().unwrap())
}

fn shown(world: &World, folder: &str, key: &str) -> (String, String) {
    let run = run_in(world, folder, &["config", "show", "--json"]).ok();
    let lines = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let row = lines.into_iter().find(|row| row["key"] == key).unwrap();
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    (text("value"), text("origin"))
}

#[test]
fn the_library_that_one_stands_in_comes_before_the_configured_one() {
    let world = two_libraries();
    let root = world.path("").canonicalize().unwrap();
    fs::create_dir_all(world.path("b/deeper")).unwrap();

    let of_b = run_in(&world, "b", &["ls", "--json"]).ok();
    let deeper = run_in(&world, "b/deeper", &["ls", "--json"]).ok();
    let elsewhere = world.run(&["ls", "--json"]).ok();
    let edited = run_in(
        &world,
        "b/deeper",
        &["edit", "--filter", "duration:>0", "--set", "title=B", "--yes"],
    )
    .ok();
    let in_a =
        run_in(&world, "a", &["edit", "--filter", "duration:>0", "--set", "title=A", "--yes"]).ok();
    let by_flag =
        run_in(&world, "b", &["--library", "../a", "edit", "A", "--set", "title=AA"]).ok();
    let mut by_variable = world.command(&["edit", "AA", "--set", "title=A"]);
    let by_variable =
        by_variable.current_dir(world.path("b")).env("SONGREC_LIBRARY", "../a").output();
    let by_variable = Run::of(by_variable.unwrap()).ok();

    assert_eq!(of_b.stdout, deeper.stdout);
    assert_ne!(of_b.stdout, elsewhere.stdout);
    assert!(!of_b.stderr.contains("using"), "a command that reads says nothing: {of_b:?}");
    let b = root.join("b");
    assert!(
        edited.stderr.contains(&format!("using `{}` (where you are)", b.display())),
        "{edited:?}"
    );
    assert!(edited.stderr.contains("config.toml, line 1"), "{edited:?}");
    assert_eq!(edited.stderr.matches("using").count(), 1, "once: {edited:?}");
    assert!(!in_a.stderr.contains("using"), "both ways it is the same: {in_a:?}");
    assert!(!by_flag.stderr.contains("using"), "a flag says it: {by_flag:?}");
    assert!(by_variable.stderr.contains("SONGREC_LIBRARY in the environment"), "{by_variable:?}");
    let (value, from) = shown(&world, "b/deeper", "library");
    assert_eq!(value, b.display().to_string());
    assert!(from.contains("the working folder is in") && from.contains("config.toml"), "{from}");
    assert!(shown(&world, "", "library").1.contains("config.toml, line 1"));
    let titles: Vec<String> = ["a", "b"]
        .map(|name| world.json(&["--library", name, "ls"])["title"].as_str().unwrap().to_owned())
        .into();
    assert_eq!(titles, ["A", "B"]);
}

#[test]
fn a_folder_that_a_flag_names_is_used_whatever_kind_is_configured() {
    let world = two_libraries();
    fs::write(world.path("config/songrec/config.toml"), "storage_backend = \"astra\"\n").unwrap();

    let named = world.run(&["--library", "a", "ls", "--count"]);
    let around = run_in(&world, "b", &["ls", "--count"]);

    assert_eq!((named.code, named.stdout.as_str()), (0, "1\n"), "{named:?}");
    assert_eq!((around.code, around.stdout.as_str()), (0, "1\n"), "{around:?}");
    assert_eq!(shown(&world, "b", "storage_backend").0, "local");
    assert_eq!(shown(&world, "", "storage_backend").0, "astra");
}

#[test]
fn init_says_which_library_is_used_where() {
    let world = World::bare();

    let first = world.run(&["init", "a"]).ok();
    let second = world.run(&["init", "b"]).ok();
    fs::remove_dir_all(world.path("a")).unwrap();
    let third = world.run(&["init", "c"]).ok();

    assert!(first.stderr.contains("it is now the usual one"), "{first:?}");
    assert!(second.stderr.contains("commands in this folder use it; elsewhere `"), "{second:?}");
    assert!(second.stderr.contains("config.toml, line 1"), "{second:?}");
    assert!(third.stderr.contains("where there is no library"), "{third:?}");

    let with_default = World::new();
    let other = with_default.run(&["init", "other"]).ok();
    let config = with_default.path("config/songrec/config.toml");
    assert!(!config.exists(), "the usual one stays: {other:?}");
    assert!(other.stderr.contains("unless `--library` names another"), "{other:?}");
}

#[cfg(unix)]
#[test]
fn the_folder_of_a_library_may_have_any_bytes() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let world = World::bare();
    let name = world.path("").join(OsStr::from_bytes(b"m\xfcsic"));
    fs::write(world.path("music/tone.wav"), tone(440.0, 0.5)).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        Run::of(command.arg("--library").arg(&name).output().unwrap())
    };

    run(&["init"]).ok();
    run(&["scan", "music"]).ok();
    let listed = run(&["ls", "--count"]).ok();
    let mut by_variable = world.command(&["ls", "--count"]);
    let by_variable = Run::of(by_variable.env("SONGREC_LIBRARY", &name).output().unwrap()).ok();
    let mut clone = world.command(&["clone", "local"]);
    let copy = world.path("").join(OsStr::from_bytes(b"c\xf6py"));
    Run::of(clone.arg(&copy).env("SONGREC_LIBRARY", &name).output().unwrap()).ok();

    assert!(name.join("songrec.json").is_file());
    assert_eq!((listed.stdout.as_str(), by_variable.stdout.as_str()), ("1\n", "1\n"));
    assert!(copy.join("songrec.json").is_file());
}

/// Another user of the machine, who may read everything and write nothing but
/// what is in a home of his own.
struct Reader {
    command: Vec<String>,
    library: PathBuf,
    home: PathBuf,
}

impl Reader {
    // Nothing where this machine does not let one arrange it.
    #[cfg(unix)]
    #[expect(clippy::print_stderr, reason = "a test that was not done is told")]
    fn of(world: &World) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let library = world.path("data/songrec/library");
        let home = world.path("reader");
        fs::create_dir_all(&home).unwrap();
        let binary = env!("CARGO_BIN_EXE_songrec");
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| {
            use std::os::unix::fs::MetadataExt;
            own.uid() == 0
        });
        let command = if is_root {
            mode(&world.path(""), 0o755);
            mode(&home, 0o777);
            let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary];
            words.map(str::to_owned).to_vec()
        } else {
            for path in below(&library) {
                mode(&path, if path.is_dir() { 0o555 } else { 0o444 });
            }
            vec![binary.to_owned()]
        };
        let reader = Self { command, library, home };
        let can_run = reader.command(&["version"]).output().is_ok_and(|run| run.status.success());
        if !can_run {
            eprintln!("not tested: `setpriv` cannot run songrec as another user here");
        }
        can_run.then_some(reader)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.command[0]);
        command
            .args(&self.command[1..])
            .args(arguments)
            .current_dir(&self.home)
            .env_clear()
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", &self.home)
            .env("SONGREC_LIBRARY", &self.library)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }
}

#[cfg(unix)]
impl Drop for Reader {
    fn drop(&mut self) {
        use std::os::unix::fs::PermissionsExt;
        for path in below(&self.library) {
            if path.is_dir() {
                let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o755));
            }
        }
    }
}

// A folder and everything in it, folders before what is in them.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut at = 0;
    while at < found.len() {
        let entries = fs::read_dir(&found[at]).into_iter().flatten();
        found.extend(entries.map(|entry| entry.unwrap().path()));
        at += 1;
    }
    found
}

// What a library is made of, to see that nobody changed it.
fn state(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut all: Vec<_> = below(folder)
        .into_iter()
        .map(|path| (path.clone(), path.is_file().then(|| fs::read(&path).unwrap())))
        .collect();
    all.sort();
    all
}

// What only reads gives the same for its owner and for somebody who may only
// read it.
fn reads_the_same(world: &World, reader: &Reader) {
    let ids = world.ids();
    let library = reader.library.display().to_string();
    let before = state(&reader.library);
    for arguments in [
        vec!["ls"],
        vec!["ls", "--count"],
        vec!["show", &ids[0]],
        vec!["similar", &ids[0]],
        vec!["similar", &ids[0], "--model", "dsp45@1"],
        vec!["search", "kick"],
        vec!["explain", &ids[0], &ids[1]],
        vec!["stats"],
        vec!["dup"],
        vec!["dup", "--near"],
        vec!["verify"],
        vec!["verify", "--read-data"],
        vec!["trash"],
        vec!["conflicts"],
    ] {
        let arguments = [arguments, vec!["--json"]].concat();
        let (own, other) = (world.run(&arguments), reader.run(&arguments));
        assert_eq!(
            (other.code, &other.stdout),
            (own.code, &own.stdout),
            "{arguments:?}: {other:?}"
        );
        assert!(!other.stderr.contains("warning"), "{arguments:?}: {other:?}");
    }
    reader.run(&["export", "out"]).ok();
    reader.run(&["get", &ids[0], "got.wav"]).ok();
    reader.run(&["migrate", "--from", "local", "--to", "./moved"]).ok();
    reader.run(&["clone", &library, "cloned"]).ok();
    for copy in ["moved", "cloned"] {
        let copied = reader.run(&["--library", copy, "ls", "--count"]).ok();
        assert_eq!(copied.stdout, format!("{}\n", ids.len()), "{copy}");
    }
    for arguments in [
        vec!["edit", &ids[0], "--set", "title=x"],
        vec!["rm", &ids[0]],
        vec!["scan", "/dev/null"],
        vec!["import", "out"],
        vec!["gc"],
        vec!["verify", "--repair"],
        vec!["sync", "local", "./moved"],
    ] {
        let run = reader.run(&arguments);
        assert_eq!(run.code, 6, "{arguments:?}: {run:?}");
        assert!(run.stderr.contains("may only be read by this user"), "{arguments:?}: {run:?}");
        assert!(run.stderr.contains("`songrec clone`"), "{arguments:?}: {run:?}");
    }
    assert!(state(&reader.library) == before, "somebody who may only read changed something");
}

#[cfg(unix)]
#[test]
fn a_library_that_may_only_be_read_can_be_read() {
    let world = World::with(&["kick", "snare", "pad"]);
    let ids = world.ids();
    world.run(&["rm", &ids[2]]).ok();
    let Some(reader) = Reader::of(&world) else { return };

    reads_the_same(&world, &reader);

    assert!(!reader.home.join(".cache/songrec/libraries").exists(), "nothing had to be made");
}

#[cfg(unix)]
#[test]
fn a_library_without_what_is_derived_can_be_read_by_somebody_else() {
    let world = World::with(&["kick", "snare", "pad"]);
    let library = world.path("data/songrec/library");
    let kept = world.path("kept");
    let keep = |there: bool| {
        for name in ["catalog.sqlite", "index"] {
            let (here, away) = (library.join(name), kept.join(name));
            let (from, to) = if there { (away, here) } else { (here, away) };
            fs::create_dir_all(&kept).unwrap();
            fs::rename(from, to).unwrap();
        }
    };
    let ids = world.ids();
    let own = world.run(&["similar", &ids[0], "--json"]).ok();
    keep(false);
    let Some(reader) = Reader::of(&world) else { return };

    let other = reader.run(&["similar", &ids[0], "--json"]).ok();
    let again = reader.run(&["ls", "--count"]).ok();

    assert_eq!((&other.stdout, again.stdout.as_str()), (&own.stdout, "3\n"));
    let spare = reader.home.join(".cache/songrec/libraries");
    assert_eq!(fs::read_dir(&spare).unwrap().count(), 1);

    // The cache's commands know it.
    let info = || -> serde_json::Value {
        serde_json::from_str(&reader.run(&["cache", "info", "--json"]).ok().stdout).unwrap()
    };
    let listed = info();
    let listed = &listed["libraries"][0];
    assert_eq!(listed["library"], reader.library.to_str().unwrap());
    assert!(listed["bytes"].as_u64().unwrap() > 0 && listed["opened_at"].is_string());
    let seen = reader.run(&["cache", "info"]).ok().stdout;
    assert!(seen.contains(&format!("{}: ", reader.library.display())), "{seen}");
    reader.run(&["cache", "clear"]).ok();
    assert_eq!(fs::read_dir(&spare).unwrap().count(), 0);
    assert_eq!(info()["libraries"], serde_json::json!([]));
    assert_eq!(reader.run(&["ls", "--count"]).ok().stdout, "3\n");
    assert_eq!(fs::read_dir(&spare).unwrap().count(), 1);
    reader.run(&["cache", "prune", "0"]).ok();
    assert_eq!(fs::read_dir(&spare).unwrap().count(), 0);
    drop(reader);
}
