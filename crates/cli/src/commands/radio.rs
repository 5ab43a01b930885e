//! `radio` and `path`: songs that go on from songs, and that lead from one to another.

use std::{io::Write as _, path::Path};

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};
use songrec_core::{SongId, SongSummary};
use songrec_library::{
    BetweenOptions, Error, Example, Library, RadioOptions, between, create_playlist, find, radio,
};

use crate::{
    args::{ListenArgs, PathArgs, RadioArgs, RowArgs},
    commands::{listen::listen, select},
    context::Context,
    numbers::{counted, length},
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

/// Bytes of a file of what was played that are read, at the most: the ids of 200,000 songs.
const LARGEST: u64 = 8 << 20;
/// Of these, so many that were played last are left out.
const REMEMBERED: usize = 20_000;

pub(super) async fn run(context: &Context, args: RadioArgs) -> Result<ExitStatus> {
    let library = open(context, args.playlist.is_some()).await?;
    let played = match &args.history {
        Some(file) => history(context, file)?,
        None => Vec::new(),
    };
    let options = RadioOptions {
        length: args.length,
        minutes: args.minutes,
        variety: args.variety,
        seed: args.seed,
        artist_spacing: args.spacing.artist,
        album_spacing: args.spacing.album,
        filter: args.filter.filter(&context.job, &library, &[]).await?,
        played,
        model: args.model.clone(),
    };
    let examples: Vec<Example> = args.songs.iter().map(Example::like).collect();
    let queue = radio(&library, &examples, &options).await?;
    let songs: Vec<SongSummary> = queue.songs.iter().map(|song| song.summary.clone()).collect();
    let told = Listed {
        songs: &songs,
        beside: Column::number("similarity"),
        cells: queue.songs.iter().map(|song| format!("{:.2}", song.similarity)).collect(),
        duration: queue.duration,
        notes: &queue.notes,
        rows: &args.rows,
        listen: &args.listen,
    };
    let status = tell(context, &library, &queue, &told, args.playlist.as_deref()).await?;
    if let Some(file) = &args.history {
        remember(file, &songs)?;
    }
    Ok(status)
}

pub(super) async fn path(context: &Context, args: PathArgs) -> Result<ExitStatus> {
    let library = open(context, args.playlist.is_some()).await?;
    let options = BetweenOptions {
        length: args.length,
        mix: args.mix,
        filter: args.filter.filter(&context.job, &library, &[]).await?,
        model: args.model.clone(),
    };
    let (a, b) = (find::song(&library, &args.a).await?, find::song(&library, &args.b).await?);
    let way = between(&library, &a, &b, &options).await?;
    let songs: Vec<SongSummary> = way.songs.iter().map(|song| song.summary.clone()).collect();
    let mixes = |mixes: bool| if mixes { String::new() } else { "does not mix".to_owned() };
    let told = Listed {
        songs: &songs,
        beside: Column::text(""),
        cells: way.songs.iter().map(|song| mixes(song.mixes || !args.mix)).collect(),
        duration: way.duration,
        notes: &way.notes,
        rows: &args.rows,
        listen: &args.listen,
    };
    tell(context, &library, &way, &told, args.playlist.as_deref()).await
}

async fn open(context: &Context, changes: bool) -> Result<Library> {
    match changes {
        true => context.library_to_change().await,
        false => context.library_to_read().await,
    }
}

/// What is listed of a radio or a path.
struct Listed<'a> {
    songs: &'a [SongSummary],
    /// What stands beside each.
    beside: Column,
    cells: Vec<String>,
    duration: f64,
    notes: &'a [String],
    rows: &'a RowArgs,
    listen: &'a ListenArgs,
}

async fn tell(
    context: &Context,
    library: &Library,
    document: &impl Serialize,
    told: &Listed<'_>,
    playlist: Option<&str>,
) -> Result<ExitStatus> {
    let printer = &context.printer;
    let mut rows = Rows::of(printer, told.rows, library)?;
    let is_kept = playlist.filter(|_| !told.songs.is_empty());
    let kept = match is_kept {
        Some(name) => Some(create_playlist(library, name, told.songs, None).await?.card()),
        None => None,
    };
    let mut document = serde_json::to_value(document)?;
    if printer.json {
        if let Some(card) = &kept {
            document["playlist"] = json!(card);
        }
        printer.json(&document)?;
    } else if let Some(rows) = &mut rows {
        let songs = document["songs"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let ranked = |mut song: Value| {
            song["rank"] = song["position"].take();
            song
        };
        rows.print(printer, &songs.into_iter().map(ranked).collect::<Vec<_>>())?;
    } else {
        let columns = [Column::number("#"), Column::text("id")].into_iter().chain(select::SONG);
        let mut table = Table::headed(columns.chain([Column::number("length"), told.beside]));
        for ((number, song), beside) in (1..).zip(told.songs).zip(&told.cells) {
            let begin: [String; 2] = [format!("{number}"), song.id.short()];
            let known = if song.duration > 0.0 { length(song.duration) } else { String::new() };
            let cells = begin.into_iter().chain(select::cells(song));
            table.row(cells.chain([known, beside.clone()]));
        }
        printer.table(&table)?;
    }
    for note in told.notes {
        printer.say(note);
    }
    let mut said = counted(told.songs.len() as u64, "song");
    if told.duration > 0.0 {
        said.push_str(&format!(", {}", length(told.duration)));
    }
    if let Some(card) = &kept {
        said.push_str(&format!("; kept as the playlist `{}`", card.name));
    }
    printer.say(said);
    let ids: Vec<SongId> = told.songs.iter().map(|song| song.id).collect();
    listen(context, library, told.listen, &ids).await?;
    Ok(if told.songs.is_empty() { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

// The songs that were played, the last ones first, from a file that may not be there yet.
fn history(context: &Context, file: &Path) -> Result<Vec<SongId>> {
    let size = match file.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        metadata => metadata.map_err(|error| Error::io("read", file, error))?.len(),
    };
    if size > LARGEST {
        return Err(Error::usage(format_args!("`{}` has {size} bytes", file.display()))
            .because(format!("a file of what was played has {LARGEST} at the most"))
            .with_hint("name another file, or take old lines away")
            .into());
    }
    let text = std::fs::read_to_string(file).map_err(|error| Error::io("read", file, error))?;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let played: Vec<SongId> = lines.iter().rev().filter_map(|line| line.parse().ok()).collect();
    if played.len() < lines.len() {
        let odd = counted((lines.len() - played.len()) as u64, "line");
        context.printer.warn(format!("{odd} of `{}` are no ids of songs", file.display()));
    }
    Ok(played.into_iter().take(REMEMBERED).collect())
}

fn remember(file: &Path, songs: &[SongSummary]) -> Result<()> {
    let lines: String = songs.iter().map(|song| format!("{}\n", song.id)).collect();
    let failed = |error| Error::io("write", file, error);
    let mut open = std::fs::OpenOptions::new();
    let mut out = open.append(true).create(true).open(file).map_err(failed)?;
    out.write_all(lines.as_bytes()).map_err(failed)?;
    Ok(())
}
