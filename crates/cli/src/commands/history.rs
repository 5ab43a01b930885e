//! `show --history`: the writes that made a song.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::Value;
use songrec_core::{Field, LIFE, Song, SongSummary, Source, Timestamp};
use songrec_library::{ErrorKind, Library, SongHistory, share};

use crate::{
    context::Context,
    numbers::counted,
    table::{Column, Table},
};

/// A song, and when it was deleted if it was.
type ChangesRead = (Song, Option<Timestamp>);

/// Tells what is left of every write of these songs, the earliest first, and
/// how many there were.
pub(super) async fn read_changes(
    context: &Context,
    library: &Library,
    names: &[String],
) -> Result<()> {
    // What is wrong with one name is said before anything is told.
    let mut songs = Vec::new();
    for name in names {
        songs.push(named(library, name).await?);
    }
    for (number, (song, deleted_at)) in songs.into_iter().enumerate() {
        if number > 0 && !context.printer.json {
            context.printer.line("")?;
        }
        print_one(context, &song, deleted_at)?;
    }
    Ok(())
}

async fn named(library: &Library, name: &str) -> Result<ChangesRead> {
    let missing = match songrec_library::find::song(library, name).await {
        Ok(song) => return Ok((song, None)),
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        Err(error) => return Err(error.into()),
    };
    // One that can be restored has a history as well.
    share::deleted_song(library, name).await?.ok_or_else(|| missing.into())
}

fn print_one(context: &Context, song: &Song, deleted_at: Option<Timestamp>) -> Result<()> {
    let history = SongHistory::of(song, deleted_at);
    let reported = history.writes.len() + usize::from(deleted_at.is_some());
    let printer = &context.printer;
    if printer.json {
        return printer.json(&history);
    }
    let title = SongSummary::of(song).title;
    printer.line(printer.bold(&format!("{}  {title}", song.id.short())))?;
    let mut table = Table::headed([Column::text("when"), Column::wrapped("what")]);
    let mut row = |at: Option<Timestamp>, lines: Vec<String>| {
        let at = at.map_or_else(|| "not known".to_owned(), |at| printer.moment(at));
        for (number, text) in lines.into_iter().enumerate() {
            table.row([if number == 0 { at.clone() } else { String::new() }, text]);
        }
    };
    for write in &history.writes {
        row(write.at, lines(&write.values));
    }
    if deleted_at.is_some() {
        row(deleted_at, vec!["deleted".to_owned()]);
    }
    printer.table(&table)?;
    match history.seen.saturating_sub(reported) {
        0 => Ok(()),
        gone => {
            let writes = counted(gone as u64, "write");
            printer.line(format!("and {writes} of which nothing is left"))
        }
    }
}

// What a write did, in words, one for each value that is left of it.
fn lines(values: &[(String, Value)]) -> Vec<String> {
    let lists: BTreeMap<&str, Vec<String>> = elements(values);
    let mut lines = Vec::new();
    let mut is_alive = false;
    for (key, value) in values {
        match key.split_once('.') {
            _ if key == LIFE => is_alive = true,
            // That the song came in, and what was not known of old documents.
            _ if key == "added_at" => lines.push("added to the library".to_owned()),
            _ if key == "sources.unsorted" || key == "tags.from_file_name" => {}
            // One of an import without audio, which nobody has seen.
            Some(("files", path)) if value["size"] == 0 => {
                lines.push(format!("file {path} expected"));
            }
            Some(("files", path)) => lines.push(format!("file {path} added")),
            Some(("edits", field)) if element(field).is_none() => {
                lines.push(match (lists.get(field), value) {
                    (Some(elements), _) => format!("{field} = {}", elements.join(", ")),
                    (None, Value::Null) => format!("{field} cleared"),
                    (None, Value::Array(none)) if none.is_empty() => format!("{field} cleared"),
                    (None, value) => format!("{field} = {}", shown(value)),
                });
            }
            // Said with the list that it is of, if that was written as well.
            Some(("edits", field)) => {
                if let Some((list, one)) = element(field)
                    && !values.iter().any(|(key, _)| key.strip_prefix("edits.") == Some(list))
                {
                    lines.push(format!("{list}: {one} added"));
                }
            }
            _ => lines.push(of_source(key, value)),
        }
    }
    lines.sort_by_key(|text| !text.starts_with("added to"));
    if lines.is_empty() && is_alive {
        lines.push("restored, or an edit taken back".to_owned());
    }
    lines
}

// The elements that a write left of each list that a person edited.
fn elements(values: &[(String, Value)]) -> BTreeMap<&str, Vec<String>> {
    let mut lists: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, _) in values {
        if let Some((list, one)) = key.strip_prefix("edits.").and_then(element) {
            lists.entry(list).or_default().push(one);
        }
    }
    lists
}

// The list and the element that `genre="House"` names.
fn element(field: &str) -> Option<(&str, String)> {
    let (list, element) = field.split_once('=')?;
    let of_list = list.parse::<Field>().is_ok_and(|field| field.is_list());
    let element: Value = serde_json::from_str(element).ok()?;
    of_list.then(|| (list, shown(&element)))
}

// A value that no person said, and in brackets who did.
fn of_source(key: &str, value: &Value) -> String {
    let sources = [
        ("tags.", Source::File),
        ("sources.import.", Source::Import),
        ("sources.folder.", Source::Folder),
        ("sources.file_name.", Source::FileName),
    ];
    let found = sources.iter().find_map(|(begin, source)| Some((key.strip_prefix(begin)?, source)));
    let (name, source) = match found {
        Some((name, source)) => (name, format!(" [{source}]")),
        None => (key, String::new()),
    };
    // As the fields are called, of which a person knows.
    let name = match name {
        "genres" => "genre",
        "moods" => "mood",
        "is_loop" => "loop",
        name => name.strip_prefix("extra.").unwrap_or(name),
    };
    format!("{} = {}{source}", name.replace("\\.", ".").replace("\\\\", "\\"), shown(value))
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(shown).collect::<Vec<_>>().join(", "),
        Value::Null => "nothing".to_owned(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn in_words(values: &[(&str, Value)]) -> Vec<String> {
        let values: Vec<(String, Value)> =
            values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        lines(&values)
    }

    #[test]
    fn a_write_is_told_value_by_value() {
        assert_eq!(
            in_words(&[
                (LIFE, Value::Null),
                ("files./music/a.b.wav", json!({"path": "/music/a.b.wav", "size": 1})),
                ("files.b.wav", json!({"path": "b.wav", "size": 0})),
                ("added_at", json!("2026-01-01T00:00:00Z")),
                ("tags.title", json!("Kick")),
                ("tags.from_file_name", json!(true)),
                ("sources.folder.genres", json!(["techno"])),
                ("sources.import.extra.a\\.b", json!("c")),
            ]),
            [
                "added to the library",
                "file /music/a.b.wav added",
                "file b.wav expected",
                "title = Kick [file]",
                "genre = techno [folder]",
                "a.b = c [import]",
            ]
        );
    }

    #[test]
    fn an_edit_is_told_without_its_author_and_a_list_as_one() {
        assert_eq!(in_words(&[(LIFE, Value::Null), ("edits.title", json!("x"))]), ["title = x"]);
        assert_eq!(in_words(&[("edits.title", Value::Null)]), ["title cleared"]);
        let (list, first, second) =
            ("edits.genre", "edits.genre=\"House\"", "edits.genre=\"Dub = Dub\"");
        assert_eq!(
            in_words(&[(list, json!([])), (first, Value::Null), (second, Value::Null),]),
            ["genre = House, Dub = Dub"]
        );
        assert_eq!(in_words(&[(second, Value::Null)]), ["genre: Dub = Dub added"]);
        assert_eq!(in_words(&[(list, json!([]))]), ["genre cleared"]);
        assert_eq!(in_words(&[("edits.extra.x=y", json!("z"))]), ["extra.x=y = z"]);
        assert_eq!(in_words(&[(LIFE, Value::Null)]), ["restored, or an edit taken back"]);
    }
}
