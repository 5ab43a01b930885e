//! `previews`: tracks of music services, and what they offer to hear of them.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::json;
use songrec_core::SongId;
use songrec_library::{
    Config, DownloadedPreviews, ErrorKind, Library, PreviewItem, PreviewOptions, PreviewOutcome,
    PreviewTrack, PreviewWords, Previews, download_previews, known_previews,
};

use crate::{
    args::{DownloadPreviewsArgs, FromServiceArgs, Listed, PreviewsArgs, PreviewsCommand, RowArgs},
    context::Context,
    hints,
    numbers::{counted, size},
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: PreviewsArgs) -> Result<ExitStatus> {
    match args.command {
        PreviewsCommand::Search { words, from, rows } => {
            search(context, &words, &from, &rows).await
        }
        PreviewsCommand::Download(args) => download(context, args).await,
    }
}

fn service(config: &Config, from: &FromServiceArgs) -> Result<Previews> {
    Ok(Previews::open(config, from.service.as_deref())?)
}

async fn search(
    context: &Context,
    words: &[String],
    from: &FromServiceArgs,
    rows: &RowArgs<impl Listed>,
) -> Result<ExitStatus> {
    let rows = Rows::of(&context.printer, rows, None)?;
    let config = context.config([])?;
    let previews = service(&config, from)?;
    let wanted = PreviewWords::Words(words.join(" "), from.limit);
    let tracks = previews.find(&wanted, &context.job).await?;
    let printer = &context.printer;
    if tracks.is_empty() {
        printer.nothing(&format!("`{}` has no track with these words", previews.service()))?;
        return Ok(ExitStatus::FoundNothing);
    }
    let known = match library(context).await? {
        Some(library) => known_previews(&library, &tracks).await?,
        None => BTreeMap::new(),
    };
    let document = |track: &PreviewTrack| {
        let mut document = json!(track);
        document["song"] = json!(known.get(&track.id));
        document
    };
    if printer.json {
        tracks.iter().try_for_each(|track| printer.json(&document(track)))?;
        return Ok(ExitStatus::Done);
    }
    match rows {
        Some(mut rows) => rows.print(printer, &tracks.iter().map(document).collect::<Vec<_>>())?,
        None => printer.table(&table(&tracks, &known))?,
    }
    if !known.is_empty() {
        let songs = counted(known.len() as u64, "track");
        printer.say(format!("{songs} in the library already"));
    }
    Ok(ExitStatus::Done)
}

// The library, where there is one: a service can be searched without.
async fn library(context: &Context) -> Result<Option<Library>> {
    match context.library_to_read().await {
        Ok(library) => Ok(Some(library)),
        Err(error) if ExitStatus::of(&error) == ExitStatus::of_kind(ErrorKind::NoLibrary) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn table(tracks: &[PreviewTrack], known: &BTreeMap<String, SongId>) -> Table {
    let mut table = Table::headed([
        Column::text("id"),
        Column::cut("title", 4),
        Column::cut("artist", 3),
        Column::cut("album", 3),
        Column::text("released"),
        Column::text("song"),
        Column::text("note"),
    ]);
    for track in tracks {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        table.row([
            track.id.clone(),
            track.title.clone(),
            text(&track.artist),
            text(&track.album),
            text(&track.released),
            known.get(&track.id).map(SongId::short).unwrap_or_default(),
            if track.preview_url.is_none() { "no preview".to_owned() } else { String::new() },
        ]);
    }
    table
}

async fn download(context: &Context, args: DownloadPreviewsArgs) -> Result<ExitStatus> {
    let config = context.config([])?;
    let previews = service(&config, &args.from)?;
    let changes = args.scan && !args.dry_run;
    let library = context.library_to_change_with(config, changes).await?;
    let options = PreviewOptions {
        folder: args.to,
        scan: args.scan,
        dry_run: args.dry_run,
        examiner: std::env::current_exe().ok(),
    };
    let wanted = PreviewWords::of(&args.wanted, args.from.limit);
    let mut done = download_previews(&library, &previews, &wanted, &options, &context.job).await?;
    for item in &mut done.items {
        hints::put_in_words(&mut item.hint);
        tell(context, item)?;
    }
    let printer = &context.printer;
    for id in &done.missing {
        if printer.json {
            printer.json(&json!({ "type": "missing", "service": done.service, "id": id }))?;
        } else {
            printer.warn(format!("`{}` has no track `{id}`", done.service));
        }
    }
    if printer.json {
        let mut summary = json!(done);
        summary["type"] = json!("summary");
        summary["dry_run"] = json!(args.dry_run);
        printer.json(&summary)?;
    } else {
        summarize(context, &done, &args.wanted, args.dry_run);
    }
    Ok(status(&done))
}

fn tell(context: &Context, item: &PreviewItem) -> Result<()> {
    let printer = &context.printer;
    if printer.json {
        return printer.json(item);
    }
    let title = match &item.track.artist {
        Some(artist) => format!("{artist} - {}", item.track.title),
        None => item.track.title.clone(),
    };
    let named = format!("`{title}` ({})", item.track.id);
    if let Some(reason) = &item.reason {
        printer.warn(format!("{named}: {reason}"));
    }
    match item.outcome {
        PreviewOutcome::Downloaded | PreviewOutcome::There => {
            let path = item.path.as_deref().unwrap_or_default();
            printer.line(songrec_core::decode_path(path).display().to_string())?;
        }
        PreviewOutcome::Wanted => printer.say(format!("would be downloaded: {named}")),
        PreviewOutcome::Known => {
            let song = item.song.map(|song| song.short()).unwrap_or_default();
            printer.say(format!("known already: {named}, song {song}"));
        }
        PreviewOutcome::Failed => {}
    }
    Ok(())
}

fn summarize(context: &Context, done: &DownloadedPreviews, wanted: &[String], dry_run: bool) {
    let printer = &context.printer;
    if done.items.is_empty() && done.left == 0 {
        printer.say(format!("`{}` has no track with `{}`", done.service, wanted.join(" ")));
        return;
    }
    let parts = [
        (done.known, "in the library already"),
        (done.there, "in the folder already"),
        (done.failed, "could not be had"),
        (done.left, "not tried"),
    ];
    let mut said = counted(done.downloaded, "preview");
    if !dry_run {
        said.push_str(&format!(" downloaded ({})", size(done.bytes)));
    }
    for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
        said.push_str(&format!(", {count} {what}"));
    }
    printer.say(if dry_run { format!("would be: {said}") } else { said });
    if let Some(scan) = &done.scan {
        let mut said = format!("taken in: {}", counted(scan.added, "new song"));
        let parts = [(scan.there, "there already"), (scan.left_out, "left out")];
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            said.push_str(&format!(", {count} {what}"));
        }
        printer.say(said);
    }
    if done.interrupted {
        printer.say("interrupted; what came whole is kept: run the same command to go on");
    } else if done.left > 0 {
        printer.say("the service does not answer any more; run the same command later to go on");
    }
}

fn status(done: &DownloadedPreviews) -> ExitStatus {
    let not_taken_in = done.items.iter().any(|item| item.reason.is_some());
    if done.interrupted {
        ExitStatus::Interrupted
    } else if not_taken_in || !done.missing.is_empty() || done.left > 0 {
        ExitStatus::SomeFailed
    } else if done.items.is_empty() {
        ExitStatus::FoundNothing
    } else {
        ExitStatus::Done
    }
}
