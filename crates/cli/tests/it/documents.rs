//! `--json` prints documents, whatever the command: a program need not know
//! which commands have nothing to say.

use serde_json::Value;

use crate::world::World;

#[test]
fn every_command_prints_documents_and_nothing_else() {
    let world = World::with(&["kick", "snare"]);
    let ids = world.ids();
    let (one, two) = (ids[0].as_str(), ids[1].as_str());
    for arguments in [
        &["exit-codes"][..],
        &["man"],
        &["man", "--dir", "pages"],
        &["completions", "bash"],
        &["schema"],
        &["schema", "similar"],
        &["version"],
        &["config", "show"],
        &["config", "path"],
        &["cache", "info"],
        &["cache", "prune"],
        &["cache", "clear"],
        &["doctor"],
        &["ls"],
        &["ls", "--count"],
        &["ls", "-f", "title:nosuchsong"],
        &["show", one],
        &["show", "--history", one],
        &["similar", one],
        &["explain", one, two],
        &["search", "nosuchsong"],
        &["stats"],
        &["dup"],
        &["dup", "--near"],
        &["edit", one, "--set", "mood=calm", "--dry-run"],
        &["edit", one, "--set", "mood=calm"],
        &["verify"],
        &["gc", "--dry-run"],
        &["gc"],
        &["model", "list"],
        &["model", "verify"],
        &["model", "info", "dsp45@1"],
        &["conflicts"],
        &["conflicts", "show", one],
        &["conflicts", "resolve", one],
        &["conflicts", "resolve", one, "title"],
        &["trash"],
        &["machines", "--storage-backend", "local"],
        &["export", "out"],
        &["import", "out"],
        &["get", one, "got.wav"],
        &["embed", "got.wav"],
        &["relocate", "nowhere", "elsewhere"],
        &["scan", "music"],
        &["scan", "--missing"],
        &["scan", "--failed"],
        &["rm", one, "--dry-run"],
        &["rm", one],
        &["rm", one],
        &["rm", one, "--delete-audio", "--dry-run"],
        &["trash", "restore", one],
        &["trash", "restore", one],
    ] {
        let run = world.run(&[arguments, &["--json"]].concat());

        assert!(!run.stdout.is_empty(), "{arguments:?}: {run:?}");
        for line in run.stdout.lines() {
            let document = serde_json::from_str::<Value>(line);
            assert!(document.is_ok_and(|one| one.is_object()), "{arguments:?}: {line}");
        }
    }
}

#[test]
fn what_is_text_elsewhere_is_text_in_a_document() {
    let world = World::bare();

    let codes = world.json_lines(&["exit-codes"]);
    let script = world.json(&["completions", "fish"]);
    let page = world.json(&["man"]);

    assert_eq!(codes.len(), 13);
    assert_eq!((&codes[0]["code"], &codes[0]["meaning"]), (&0.into(), &"done".into()));
    assert_eq!(codes[12]["code"], 130);
    let typed = world.run(&["completions", "fish"]).ok().stdout;
    assert_eq!(script["script"].as_str().unwrap(), typed.trim_end());
    assert_eq!(script["shell"], "fish");
    assert!(page["page"].as_str().unwrap().contains(".TH songrec"), "{page}");
}
