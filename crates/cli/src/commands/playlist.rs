//! `playlist`: lists of songs, and files of them.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};
use songrec_core::{SongId, SongSummary};
use songrec_library::{
    Error, ErrorKind, ImportOptions, KeptPlaylist, Library, PathOptions, PlaylistCard,
    PlaylistChange, PlaylistRule, PlaylistSong, PlaylistSongs, change_playlist, create_playlist,
    delete_playlist, find, import_playlist, playlist_file, playlist_named, playlist_songs,
    playlists,
};

use crate::{
    args::{
        EditPlaylistArgs, ExportPlaylistArgs, Listed, ListenArgs, NewPlaylistArgs, PlaylistArgs,
        PlaylistCommand, RowArgs, RuleArgs,
    },
    commands::{listen, playlist_file},
    context::Context,
    numbers::{counted, length},
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

/// Songs that are told one by one where some could not be taken along; `--json` lists
/// all.
const TOLD: usize = 10;

pub(super) async fn run(context: &Context, args: PlaylistArgs) -> Result<ExitStatus> {
    match args.command.unwrap_or(PlaylistCommand::Ls { rows: RowArgs::default() }) {
        PlaylistCommand::Ls { rows } => list(context, &rows).await,
        PlaylistCommand::Show { playlist, limit, rows, listen } => {
            show(context, &playlist, limit, &rows, &listen).await
        }
        PlaylistCommand::New(args) => new(context, &args).await,
        PlaylistCommand::Add { playlist, songs, at, filter } => {
            let library = context.library_to_change().await?;
            let kept = playlist_named(&library, &playlist).await?;
            let selection = filter.selection(&context.job, &library, &[]).await?;
            let found = match selection.is_all() {
                // A song that is named twice is added twice.
                true => find::songs(&library, &songs).await?,
                false => find::select(&library, &songs, &selection).await?,
            };
            let songs: Vec<SongSummary> = found.iter().map(SongSummary::of).collect();
            if songs.is_empty() {
                context.printer.nothing("no song passes; nothing was added")?;
                return Ok(ExitStatus::FoundNothing);
            }
            let added = counted(songs.len() as u64, "song");
            let change = PlaylistChange::Add { songs, at: at.map(|at| at - 1) };
            change_one(context, &library, &kept, &[change], &format!("added {added}")).await
        }
        PlaylistCommand::Rm { playlist, songs, at } => {
            let library = context.library_to_change().await?;
            let kept = playlist_named(&library, &playlist).await?;
            let keys = keys(context, &library, &kept, &songs, &at).await?;
            let removed = counted(keys.len() as u64, "song");
            let change = PlaylistChange::Remove(keys);
            change_one(context, &library, &kept, &[change], &format!("removed {removed}")).await
        }
        PlaylistCommand::Move { playlist, from, to } => {
            let library = context.library_to_change().await?;
            let kept = playlist_named(&library, &playlist).await?;
            let keys = keys(context, &library, &kept, &[], &[from]).await?;
            let change = PlaylistChange::Move { keys, to: to - 1 };
            change_one(context, &library, &kept, &[change], "moved 1 song").await
        }
        PlaylistCommand::Edit(args) => edit(context, &args).await,
        PlaylistCommand::Delete { playlist } => delete(context, &playlist).await,
        PlaylistCommand::Export(args) => export(context, &args).await,
        PlaylistCommand::Import { file, name, maps, dry_run } => {
            import(context, &file, &ImportOptions { name, maps, dry_run, sent: None }).await
        }
    }
}

async fn list(context: &Context, rows: &RowArgs<impl Listed>) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let rows = Rows::of(&context.printer, rows, &library)?;
    let mut documents = Vec::new();
    let list = playlists(&library).await?;
    let printer = &context.printer;
    let mut table = Table::headed([
        Column::text("id"),
        Column::cut("name", 3),
        Column::number("songs"),
        Column::cut("rule", 2),
        Column::text("changed"),
        Column::cut("", 2),
    ]);
    for card in list.playlists.iter().map(KeptPlaylist::card) {
        if printer.json {
            printer.json(&card)?;
            continue;
        }
        if rows.is_some() {
            let mut document = json!(card);
            document["rule"] = json!(card.rule.as_ref().map(in_words));
            documents.push(document);
            continue;
        }
        table.row([
            card.id.clone(),
            card.name.clone(),
            card.songs.map(|songs| songs.to_string()).unwrap_or_default(),
            card.rule.as_ref().map(in_words).unwrap_or_default(),
            printer.time(card.updated_at),
            card.beside.map(|id| format!("another version of {id}")).unwrap_or_default(),
        ]);
    }
    match rows {
        Some(mut rows) => rows.print(printer, &documents)?,
        None => printer.table(&table)?,
    }
    for one in &list.unreadable {
        printer.warn(&one.why);
    }
    match (list.playlists.is_empty(), list.unreadable.is_empty()) {
        (_, false) => Ok(ExitStatus::SomeFailed),
        (false, true) => Ok(ExitStatus::Done),
        (true, true) => {
            let why = "this library has no playlists; `songrec playlist new NAME` makes one";
            printer.nothing(why)?;
            Ok(ExitStatus::FoundNothing)
        }
    }
}

// What a rule says, as a person types it.
fn in_words(rule: &PlaylistRule) -> String {
    let mut words = rule.filter.clone();
    words.extend(rule.like.iter().map(|seed| format!("like \"{}\"", seed.title)));
    words.extend(rule.length.map(|length| format!("{length} songs")));
    words.join(" ")
}

async fn show(
    context: &Context,
    name: &str,
    limit: usize,
    rows: &RowArgs,
    listen: &ListenArgs,
) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let rows = Rows::of(&context.printer, rows, &library)?;
    let kept = playlist_named(&library, name).await?;
    let mut shown = playlist_songs(&library, &kept, &context.job).await?;
    let all = shown.entries.len();
    shown.entries.truncate(limit);
    let printer = &context.printer;
    if printer.json {
        printer.json(&shown)?;
    } else if let Some(mut rows) = rows {
        let entries: Vec<Value> = shown.entries.iter().map(row).collect();
        rows.print(printer, &entries)?;
    } else {
        let mut table = Table::headed([
            Column::number("#"),
            Column::text("id"),
            Column::cut("artist", 3),
            Column::cut("title", 4),
            Column::cut("album", 2),
            Column::number("bpm"),
            Column::text("key"),
            Column::number("length"),
            Column::text(""),
        ]);
        shown.entries.iter().for_each(|entry| table.row(cells(entry)));
        printer.table(&table)?;
    }
    say(context, &shown, all);
    let ids: Vec<SongId> = shown.entries.iter().map(|entry| entry.song).collect();
    listen::listen(context, &library, listen, &ids).await?;
    Ok(if all == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

// An entry with the fields of its song; of one that is gone, what is still known.
fn row(entry: &PlaylistSong) -> Value {
    let mut row = match &entry.card {
        Some(card) => json!(card),
        None => json!({ "id": entry.song, "title": entry.title, "artist": entry.artist }),
    };
    row["rank"] = json!(entry.position);
    row
}

fn cells(entry: &PlaylistSong) -> [String; 9] {
    let card = entry.card.as_ref();
    let of = |part: fn(&SongSummary) -> Option<String>| card.and_then(part).unwrap_or_default();
    [
        entry.position.to_string(),
        entry.song.short(),
        entry.artist.clone().unwrap_or_default(),
        entry.title.clone(),
        of(|card| card.album.clone()),
        of(|card| Some(format!("{:.0}", card.bpm?))),
        of(|card| Some(card.key?.to_string())),
        of(|card| (card.duration > 0.0).then(|| length(card.duration))),
        if entry.missing { "not in the library".to_owned() } else { String::new() },
    ]
}

fn say(context: &Context, shown: &PlaylistSongs, all: usize) {
    let printer = &context.printer;
    for note in &shown.notes {
        printer.say(note);
    }
    let mut said = format!("`{}`: {}", shown.card.name, counted(all as u64, "song"));
    if shown.duration > 0.0 {
        said.push_str(&format!(", {}", length(shown.duration)));
    }
    if shown.missing > 0 {
        let missing = counted(shown.missing as u64, "song");
        said.push_str(&format!("; {missing} not in the library any more"));
    }
    if let Some(rule) = &shown.card.rule {
        said.push_str(&format!("; by its rule: {}", in_words(rule)));
    }
    printer.say(said);
    if all > shown.entries.len() {
        printer.say(format!("`--limit {all}` shows all of them"));
    }
}

async fn new(context: &Context, args: &NewPlaylistArgs) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let rule = rule(context, &library, &args.rule, None).await?;
    let songs: Vec<SongSummary> =
        find::songs(&library, &args.songs).await?.iter().map(SongSummary::of).collect();
    let kept = create_playlist(&library, &args.name, &songs, rule).await?;
    let card = kept.card();
    made(context, &card)?;
    let what = card.songs.map_or("a rule".to_owned(), |songs| counted(songs as u64, "song"));
    context.printer.say(format!("made the playlist `{}` with {what}", card.name));
    Ok(ExitStatus::Done)
}

// The rule that options make, and what they leave as it was; nothing if there are none.
async fn rule(
    context: &Context,
    library: &Library,
    args: &RuleArgs,
    old: Option<&PlaylistRule>,
) -> Result<Option<PlaylistRule>> {
    // Names of groups are looked up, so that one that is wrong is said now.
    let filter = args.filter.filter(&context.job, library, &[]).await?;
    if filter.is_all() && args.like.is_empty() && args.length.is_none() {
        return Ok(None);
    }
    let like: Vec<SongSummary> =
        find::songs(library, &args.like).await?.iter().map(SongSummary::of).collect();
    let given = PlaylistRule::new(filter, &like, args.length);
    let Some(old) = old else { return Ok(Some(given)) };
    let PlaylistRule { filter, like, length, .. } = given;
    let mut rule = old.clone();
    if !filter.is_empty() {
        rule.filter = filter;
    }
    if !like.is_empty() {
        rule.like = like;
    }
    rule.length = length.or(old.length);
    Ok(Some(rule))
}

async fn edit(context: &Context, args: &EditPlaylistArgs) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let kept = playlist_named(&library, &args.playlist).await?;
    let mut changes: Vec<PlaylistChange> =
        args.name.iter().map(|name| PlaylistChange::Name(name.clone())).collect();
    let rule = rule(context, &library, &args.rule, kept.playlist.rule()).await?;
    changes.extend(rule.map(PlaylistChange::Rule));
    if changes.is_empty() {
        return Err(Error::usage("there is nothing to change")
            .with_hint("`--name NAME`, or a rule: `-f FILTER`, `--like SONG`, `--length N`")
            .into());
    }
    change_one(context, &library, &kept, &changes, "changed").await
}

async fn change_one(
    context: &Context,
    library: &Library,
    kept: &KeptPlaylist,
    changes: &[PlaylistChange],
    said: &str,
) -> Result<ExitStatus> {
    let changed = change_playlist(library, &kept.id, changes, None).await?;
    let card = changed.card();
    made(context, &card)?;
    let songs = card.songs.map(|songs| format!(": {}", counted(songs as u64, "song")));
    context.printer.say(format!("{said}, `{}`{}", card.name, songs.unwrap_or_default()));
    Ok(ExitStatus::Done)
}

fn made(context: &Context, card: &PlaylistCard) -> Result<()> {
    match context.printer.json {
        true => context.printer.json(card),
        false => context.printer.line(&card.id),
    }
}

// The keys of the entries at places, or of songs, each once.
async fn keys(
    context: &Context,
    library: &Library,
    kept: &KeptPlaylist,
    songs: &[String],
    places: &[usize],
) -> Result<Vec<String>> {
    let entries = kept.playlist.entries();
    let mut keys: Vec<String> = Vec::new();
    for place in places {
        let entry = entries.get(place - 1).ok_or_else(|| {
            Error::not_found(format_args!("`{}` has no place {place}", kept.playlist.name()))
                .with_hint(format!("it has {}", counted(entries.len() as u64, "song")))
        })?;
        keys.push(entry.key.clone());
    }
    if !songs.is_empty() {
        let shown = playlist_songs(library, kept, &context.job).await?;
        for name in songs {
            let mut found = shown.keys_of(name);
            if found.is_empty() {
                let song = find::song(library, name).await?;
                found = shown.keys_of(&song.id.to_string());
            }
            if found.is_empty() {
                let name = format_args!("`{name}` is not in `{}`", kept.playlist.name());
                return Err(Error::not_found(name)
                    .with_hint("`songrec playlist show` lists its songs; `--at N` names a place")
                    .into());
            }
            keys.extend(found.into_iter().filter(|key| !keys.contains(key)).collect::<Vec<_>>());
        }
    }
    Ok(keys)
}

async fn delete(context: &Context, name: &str) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let (id, called) = match playlist_named(&library, name).await {
        Ok(kept) => (kept.id, kept.playlist.name().to_owned()),
        // What cannot be read can be deleted all the same, by its id.
        Err(error) if error.kind() == ErrorKind::Corrupt => (name.to_owned(), name.to_owned()),
        Err(error) => return Err(error.into()),
    };
    delete_playlist(&library, &id, None).await?;
    if context.printer.json {
        context.printer.json(&json!({ "removed": true, "id": id }))?;
    }
    context.printer.say(format!("deleted the playlist `{called}`; its songs are as they were"));
    Ok(ExitStatus::Done)
}

async fn export(context: &Context, args: &ExportPlaylistArgs) -> Result<ExitStatus> {
    let format = playlist_file::format_of(&args.file)?;
    let library = context.library_with(context.config([])?).await?;
    let kept = playlist_named(&library, &args.playlist).await?;
    let relative_to = args.relative_to.as_deref().map(std::path::absolute).transpose();
    let relative_to = relative_to.map_err(Error::usage)?;
    // Paths of songs are those that links lead to.
    let relative_to = relative_to.map(|folder| folder.canonicalize().unwrap_or(folder));
    let paths =
        PathOptions { relative_to, maps: args.maps.clone(), forward_slash: args.forward_slash };
    let file = playlist_file(&library, &kept, format, &paths, &context.job).await?;
    playlist_file::write(&args.file, &file.bytes, args.force)?;
    let printer = &context.printer;
    let exported = &file.exported;
    if printer.json {
        printer.json(exported)?;
    }
    for one in exported.left_out.iter().take(TOLD) {
        playlist_file::warn_of(context, one);
    }
    if exported.left_out.len() > TOLD {
        let more = (exported.left_out.len() - TOLD) as u64;
        printer.warn(format!("{} more left out; `--json` lists them", counted(more, "song")));
    }
    let written = counted(exported.songs as u64, "song");
    printer.say(format!("wrote {written} to `{}`", args.file.display()));
    Ok(match (exported.left_out.is_empty(), exported.songs) {
        (true, 0) => ExitStatus::FoundNothing,
        (true, _) => ExitStatus::Done,
        (false, _) => ExitStatus::SomeFailed,
    })
}

async fn import(context: &Context, file: &Path, options: &ImportOptions) -> Result<ExitStatus> {
    let changes = !options.dry_run;
    let library = context.library_to_change_with(context.config([])?, changes).await?;
    let imported = import_playlist(&library, file, options, &context.job).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&imported)?;
    } else if let Some(card) = &imported.playlist {
        printer.line(&card.id)?;
    }
    for one in imported.unmatched.iter().take(TOLD) {
        let called = one.location.as_ref().or(one.title.as_ref());
        let called = called.map(|called| format!(", `{called}`")).unwrap_or_default();
        printer.warn(format!("left out {}{called}: {}", one.position, one.why));
    }
    if imported.unmatched.len() > TOLD {
        let more = (imported.unmatched.len() - TOLD) as u64;
        printer.warn(format!("{} more left out; `--json` lists them", counted(more, "song")));
    }
    let (matched, all) = (imported.matched, imported.matched + imported.unmatched.len());
    printer.say(match &imported.playlist {
        Some(card) => format!("made the playlist `{}` of {matched} of {all} songs", card.name),
        None => format!("{matched} of {all} songs are in the library; no playlist was made"),
    });
    Ok(match (matched, imported.unmatched.is_empty()) {
        (0, _) => ExitStatus::FoundNothing,
        (_, true) => ExitStatus::Done,
        (_, false) => ExitStatus::SomeFailed,
    })
}
