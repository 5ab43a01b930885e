//! How lists of songs are printed when they are not to be tables.

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
fn a_tag_cannot_make_another_column_or_line() {
    let world = World::with(&["kick"]);
    let id = world.ids()[0].clone();
    world.run(&["edit", &id, "--set", "title=a\tb\nc"]);

    let tabs = world.run(&["ls", "--tsv", "--columns", "title,id"]).ok();

    let rows: Vec<Vec<&str>> = tabs.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert!(rows.len() == 2 && rows[1].len() == 2 && rows[1][1] == id, "{rows:?}");
}
