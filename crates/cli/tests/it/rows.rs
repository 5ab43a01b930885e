//! How lists of songs are printed when they are not to be tables.

use std::fs;

use crate::world::World;

#[test]
fn a_list_has_the_columns_that_were_asked_for() {
    let world = World::with(&["kick", "snare", "pad"]);
    let titles: Vec<String> = world
        .json_lines(&["ls"])
        .iter()
        .map(|song| song["title"].as_str().unwrap().to_owned())
        .collect();

    let table = world.run(&["ls", "--columns", "title,key,size"]).ok();
    let lines: Vec<&str> = table.stdout.lines().collect();
    assert!(lines[0].starts_with("title") && lines[0].ends_with("size"), "{table:?}");
    assert!(!lines[0].contains("artist"), "{table:?}");
    assert!(lines[1..].iter().zip(&titles).all(|(line, title)| line.starts_with(title.as_str())));

    let tabs = world.run(&["ls", "--tsv", "--columns", "path,title"]).ok();
    let rows: Vec<Vec<&str>> = tabs.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["path", "title"]);
    assert_eq!(rows[1..].iter().map(|row| row[1]).collect::<Vec<_>>(), titles);
    assert!(rows[1..].iter().all(|row| std::path::Path::new(row[0]).is_file()), "{rows:?}");
    let usual = world.run(&["search", "kick", "--tsv"]).ok();
    assert!(usual.stdout.starts_with("id\tartist\ttitle\t"), "{usual:?}");

    let lines = world.run(&["similar", &titles[0], "--format", "{rank}: {title}"]).ok();
    assert!(lines.stdout.starts_with("1: "), "{lines:?}");
    assert_eq!(lines.stdout.lines().count(), 2);
    let lines = world.run(&["radio", &titles[0], "--format", r"{title}\t{duration}"]).ok();
    assert!(lines.stdout.lines().all(|line| line.split('\t').count() == 2), "{lines:?}");
    let lines = world.run(&["radio", &titles[0], "--format", "{rank} {similarity}"]).ok();
    assert!(lines.stdout.starts_with("1 0."), "{lines:?}");
    let lines = world.run(&["path", &titles[0], &titles[1], "--columns", "title"]).ok();
    assert!(lines.stdout.contains(&titles[1]), "{lines:?}");
    world.run(&["playlist", "new", "mine", &titles[2], &titles[0]]).ok();
    let lines = world.run(&["playlist", "show", "mine", "--format", "{rank} {title}"]).ok();
    assert_eq!(lines.stdout, format!("1 {}\n2 {}\n", titles[2], titles[0]));
}

#[test]
fn what_no_song_has_is_refused_with_what_songs_have() {
    let world = World::with(&["kick"]);

    for (arguments, why) in [
        (&["ls", "--columns", "titel"][..], "there are rank, similarity"),
        (&["ls", "--format", "{titel}"], "`titel` is no field of a song"),
        (&["ls", "--format", "title"], "it names no field"),
        (&["ls", "--format", "{id}", "--tsv"], "cannot be used with"),
        (&["ls", "--json", "--tsv"], "JSON has every field"),
    ] {
        let run = world.run(arguments);
        assert!(run.code == 2 && run.stderr.contains(why), "{arguments:?}: {run:?}");
    }
}

#[test]
fn every_list_has_columns_templates_and_tabs() {
    let world = World::with(&["kick", "snare", "pad"]);
    let kick = world.ids()[0].clone();
    let copy = fs::read_dir(world.path("music")).unwrap().next().unwrap().unwrap().path();
    let ending = copy.extension().unwrap().to_str().unwrap().to_owned();
    fs::copy(&copy, world.path(&format!("music/copy.{ending}"))).unwrap();
    world.run(&["scan", "music"]).ok();
    let part = format!("{kick}@0:00-0:00.2");
    world.run(&["patterns", "add", &part, "--type", "hit", "--meta", "bar=7"]).ok();
    fs::write(world.path("low.scd"), "SynthDef(\\low, { |freq=55| Out.ar(0, Saw.ar(freq)) }).add;")
        .unwrap();
    world.run(&["synths", "add", "low.scd"]).ok();
    world.run(&["playlist", "new", "drums", "-f", "instrument:kick"]).ok();
    world.run(&["cluster", "-k", "2"]).ok();
    world.run(&["rm", &world.ids()[2], "--yes"]).ok();

    for (list, columns, line) in [
        (&["patterns", "ls"][..], "kind,start,end,metadata", "hit 0.0 0.2 {\"bar\":7}"),
        (&["patterns", "query", "--type", "hit"], "kind,confidence", "hit 1.0000"),
        (&["patterns", "similar", &kick], "rank,kind", "1 hit"),
        (&["synths", "ls"], "name,controls,channels", "low freq 1"),
        (&["synths", "search", "low"], "name,gate", "low false"),
        (&["playlist", "ls"], "name,rule", "drums instrument:kick"),
        (&["cluster", "ls"], "cluster_id,named_by_hand", "0 false"),
        (&["cluster", "show", "0"], "title", ""),
        (&["trash"], "title,song", ""),
        (&["trash", "list"], "song,title", ""),
        (&["dup"], "group,identical", "1 true"),
        (&["dup", "--near", "--threshold", "-1", "--any-length"], "group,title", ""),
        (&["model", "list"], "name,kind", "timbre@7 built_in"),
    ] {
        let tabs = world.run(&[list, &["--tsv", "--columns", columns]].concat()).ok();
        let (heading, rest) = tabs.stdout.split_once('\n').unwrap();
        assert_eq!(heading, columns.replace(',', "\t"), "{list:?}");
        let first = rest.lines().next().unwrap_or_else(|| panic!("{list:?} is empty: {tabs:?}"));
        assert_eq!(first.split('\t').count(), columns.split(',').count(), "{tabs:?}");
        if !line.is_empty() {
            assert_eq!(first.replace('\t', " "), line, "{list:?}");
        }

        let template = columns.split(',').map(|name| format!("{{{name}}}")).collect::<Vec<_>>();
        let lines = world.run(&[list, &["--format", &template.join(r"\t")]].concat()).ok();
        assert_eq!(lines.stdout, rest, "{list:?}");

        let table = world.run(&[list, &["--columns", columns]].concat()).ok();
        let count = rest.lines().count();
        assert_eq!(table.stdout.lines().count(), count + 1, "one heading: {list:?} {table:?}");
        let wrong = world.run(&[list, &["--columns", "nothing"]].concat());
        assert!(wrong.code == 2 && wrong.stderr.contains("`nothing` is no field of"), "{wrong:?}");
        let both = world.run(&[list, &["--tsv", "--json"]].concat());
        assert_eq!(both.code, 2, "{list:?}: {both:?}");
    }
    // Groups are rows of one table.
    let ids = world.ids();
    for id in &ids {
        let path = world.json(&["show", id])["files"][0]["path"].as_str().unwrap().to_owned();
        let ending = path.rsplit('.').next().unwrap();
        fs::copy(&path, world.path(&format!("music/{id}.{ending}"))).unwrap();
    }
    world.run(&["scan", "music"]).ok();
    let table = world.run(&["dup", "--columns", "group,id"]).ok();
    let headings = table.stdout.lines().filter(|line| line.starts_with("group")).count();
    assert!(headings == 1 && table.stdout.lines().count() > 2 * ids.len(), "{table:?}");
    // Among so few songs none is unlike the others.
    let outliers = world.run(&["anomalies", "--tsv", "--columns", "title,score"]);
    assert_eq!(outliers.stdout, "title\tscore\n", "{outliers:?}");
    // Of what is not there, there are no rows.
    for list in ["conflicts", "machines"] {
        let help = world.run(&[list, "--help"]).ok();
        assert!(help.stdout.contains("--columns") && help.stdout.contains("--tsv"), "{help:?}");
    }
}

#[test]
fn a_tag_cannot_make_another_column_or_line() {
    let world = World::with(&["kick"]);
    let id = world.ids()[0].clone();
    world.run(&["edit", &id, "--set", "title=a\tb\nc"]);

    let tabs = world.run(&["ls", "--tsv", "--columns", "title,id"]).ok();

    let rows: Vec<Vec<&str>> = tabs.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert!(rows.len() == 2 && rows[1].len() == 2 && rows[1][1] == id, "{rows:?}");
}
