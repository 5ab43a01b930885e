use std::path::Path;

use super::*;

fn sources(root: &Path) -> Sources {
    Sources {
        directories: Directories::below(root),
        working_folder: root.to_owned(),
        variables: BTreeMap::new(),
        file: None,
        no_files: false,
        flags: Vec::new(),
        host: String::new(),
    }
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn the_nearer_source_wins() {
    let root = tempfile::tempdir().unwrap();
    let mut sources = sources(root.path());
    let results = |sources: &Sources| {
        let config = Config::load(sources.clone()).unwrap();
        (config.get(keys::SEARCH_RESULTS), config.origin(keys::SEARCH_RESULTS).unwrap().to_string())
    };
    assert_eq!(results(&sources), (10, "default".into()));
    write(&sources.directories.config, "[search]\nresults = 1");
    assert_eq!(results(&sources).0, 1);
    write(&root.path().join(".songrec.toml"), "[search]\nresults = 2");
    assert_eq!(results(&sources).0, 2);
    write(&root.path().join(".env"), "SONGREC_RESULTS=3\n");
    assert_eq!(results(&sources).0, 3);
    sources.variables.insert("SONGREC_RESULTS".into(), "4".into());
    assert_eq!(results(&sources), (4, "SONGREC_RESULTS in the environment".into()));
    sources.flags.push((keys::SEARCH_RESULTS.setting(), "5".into(), "--results"));
    assert_eq!(results(&sources), (5, "--results on the command line".into()));
}

#[test]
fn the_home_is_known_wherever_a_path_is_read() {
    let root = tempfile::tempdir().unwrap();
    let mut sources = sources(root.path());
    let home = etcetera::home_dir().unwrap().join("music").display().to_string();
    let library = |sources: &Sources| {
        Config::load(sources.clone()).unwrap().get(keys::LIBRARY).unwrap().display().to_string()
    };
    write(&sources.directories.config, "library = \"~/music\"");
    assert_eq!(library(&sources), home);
    write(&sources.directories.config, "");
    write(&root.path().join(".env"), "SONGREC_LIBRARY=~/music\n");
    assert_eq!(library(&sources), home);
    sources.variables.insert("SONGREC_LIBRARY".into(), "~/music".into());
    assert_eq!(library(&sources), home);
    sources.flags.push((keys::LIBRARY.setting(), "~/music".into(), "--library"));
    assert_eq!(library(&sources), home);
    sources.flags.push((keys::LIBRARY.setting(), "~other".into(), "--library"));
    assert_eq!(library(&sources), "~other", "a folder may be called so");
}

#[test]
fn what_is_no_setting_is_refused_with_the_one_that_was_meant() {
    let root = tempfile::tempdir().unwrap();
    let sources = sources(root.path());
    write(&sources.directories.config, "[search]\nresult = 1");

    let error = Config::load(sources).unwrap_err();

    assert!(error.to_string().contains("`search.result`"), "{error}");
    assert!(error.to_string().contains("line 2"), "{error}");
    assert_eq!(error.hint(), Some(&"did you mean `search.results`?".into()));
}

#[test]
fn the_setting_that_was_meant_is_found_in_spite_of_a_slip() {
    for (slip, meant) in [
        ("search.result", Some("search.results")),
        ("serch.model", Some("search.model")),
        ("scan.model", Some("scan.models")),
        ("scan.max-memory", Some("scan.max_memory")),
        ("blobs.end_point", None),
        ("colour", None),
    ] {
        assert_eq!(super::settings::nearest_key(slip), meant, "{slip}");
    }
}

#[test]
fn a_wrong_value_is_refused_with_its_origin() {
    let root = tempfile::tempdir().unwrap();
    for (text, line) in [
        ("threads = \"many\"", 1),
        ("threads = []", 1),
        ("\n\nlibrary = [\"a\", \"b\"]", 3),
        ("[scan]\nmax_memory = \"big\"", 2),
        ("# Ours\n[scan]\n\ngenre_from_folder = 1", 4),
        ("scan.exclude = \"x\"\nsearch.results = -1", 2),
    ] {
        let sources = sources(root.path());
        write(&sources.directories.config, text);

        let error = Config::load(sources).unwrap_err();

        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains(&format!("config.toml, line {line},")), "{text}: {why}");
    }
}

#[test]
fn paths_in_a_file_are_meant_from_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let sources = sources(root.path());
    write(
        &sources.directories.config,
        "library = \"songs\"\n[libraries.disk]\nkind = \"local\"\npath = \"/mnt/disk\"",
    );

    let config = Config::load(sources).unwrap();

    assert_eq!(config.get(keys::LIBRARY), Some(root.path().join("config/songs")));
    assert_eq!(config.library("disk").unwrap().path, Some("/mnt/disk".into()));
}

#[test]
fn a_model_is_a_table_that_says_where_it_is() {
    let root = tempfile::tempdir().unwrap();
    let mut sources = sources(root.path());
    write(
        &sources.directories.config,
        "[models.clap]\nkind = \"onnx\"\nfolder = \"clap\"\nengine = \"ort\"\n\
         [models.w2v]\nkind = \"http\"\ndimension = 768\ntoken_variable = \"W2V\"",
    );
    sources.variables.insert("W2V".into(), "hush".into());

    let config = Config::load(sources.clone()).unwrap();

    let tables: Vec<_> = config.models().collect();
    let ("clap", ModelTable::Onnx(clap)) = tables[0] else { panic!("{tables:?}") };
    assert_eq!(clap.folder, Some(root.path().join("config/clap")));
    assert!(matches!(tables[1], ("w2v", ModelTable::Http(_))), "{tables:?}");
    assert!(!format!("{config:?}").contains("hush"));
    assert!(config.show().iter().any(|shown| shown.key == "models.w2v"));

    write(&sources.directories.config, "[models.w2v]\nkind = \"http\"\nurl = 3");
    assert!(Config::load(sources.clone()).unwrap_err().to_string().contains("[models.w2v]"));
    write(&sources.directories.config, "");
    for project in [
        "[models.w2v]\nkind = \"http\"\ndimension = 7\ntoken_variable = \"HOME\"",
        "[libraries.far]\nkind = \"astra\"\ntoken_variable = \"HOME\"",
        "[models.clap]\nkind = \"onnx\"\nlibrary = \"./onnxruntime.so\"",
    ] {
        write(&root.path().join(".songrec.toml"), project);
        let error = Config::load(sources.clone()).unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.contains("a project's file may not name a"), "{why}");
    }
}

#[test]
fn sizes_have_units() {
    assert_eq!(parse_bytes("500M"), Some(500 << 20));
    assert_eq!(parse_bytes("1.5 GiB"), Some(3 << 29));
    assert_eq!(parse_bytes("12"), Some(12));
    assert_eq!(parse_bytes("x"), None);
    assert_eq!(parse_bytes("-1"), None);
}

#[test]
fn a_wrong_table_is_refused_with_its_line() {
    let root = tempfile::tempdir().unwrap();
    let sources = sources(root.path());
    for (text, line) in [
        ("\n[models.w2v]\nkind = \"http\"", 2),
        ("[models.w2v]\nkind = \"http\"\ndimension = 2\nurll = \"x\"", 4),
        ("[libraries.far]\nkind = \"local\"", 1),
        ("[libraries.far]\nkind = \"astra\"\nkeyspaces = \"a\"", 3),
    ] {
        write(&sources.directories.config, text);

        let error = Config::load(sources.clone()).unwrap_err().to_string();

        assert!(error.contains(&format!("line {line}, is wrong")), "{text}: {error}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_line_and_without_what_it_says() {
    let root = tempfile::tempdir().unwrap();
    let sources = sources(root.path());
    write(&sources.directories.config, "threads = 2\n[astra]\ntoken = AstraCS:hush");

    let error = Config::load(sources).unwrap_err();

    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains("line 3"), "{error}");
    assert!(!error.to_string().contains("hush") && !why.contains("hush"), "{error}: {why}");
}
