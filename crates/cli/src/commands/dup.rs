use anyhow::Result;
use serde_json::{Value, json};
use songrec_library::{
    DuplicateFile, Duplicates, Error, Library, NearDuplicate, NearDuplicateOptions,
};

use crate::{
    args::DupArgs,
    commands::select,
    context::Context,
    numbers::{counted, size},
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: DupArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let rows = Rows::of(&context.printer, &args.rows, &library)?;
    let mut listed = Vec::new();
    if args.near {
        return near(context, &library, &args, rows).await;
    }
    let filter = args.filter.filter(&context.job, &library, &args.words).await?;
    let printer = &context.printer;
    let mut printed = Ok(());
    let (mut wasted, mut group) = (0, 0);
    let found = songrec_library::duplicates(&library, &filter, |duplicates| {
        wasted += duplicates.wasted;
        group += 1;
        if printed.is_err() {
            return;
        }
        printed = if printer.json {
            printer.json(&duplicates)
        } else if rows.is_some() {
            listed.extend(copies(&duplicates, group));
            Ok(())
        } else {
            let heading =
                format!("{}  {}", duplicates.summary.id.short(), duplicates.summary.title);
            printer.line(printer.bold(&heading)).and_then(|()| {
                duplicates.files.iter().try_for_each(|file| {
                    let kind = if file.identical { "" } else { "  (other tags)" };
                    let path = library.file_path(&file.path);
                    printer.line(format!("    {}  {}{kind}", path.display(), size(file.size)))
                })
            })
        };
    })
    .await?;
    printed?;
    // In one table: columns are as wide as all of them need.
    if let Some(mut rows) = rows {
        rows.print(printer, &listed)?;
    }
    if found == 0 {
        printer.nothing("no recording is there twice")?;
        return Ok(ExitStatus::FoundNothing);
    }
    let recordings = counted(found, "recording");
    printer.say(format!("{recordings} there more than once, {} in copies", size(wasted)));
    Ok(ExitStatus::Done)
}

// The files of a recording, each with the fields of the song.
fn copies(duplicates: &Duplicates, group: u64) -> Vec<Value> {
    let file = |file: &DuplicateFile| {
        let mut document = json!(duplicates.summary);
        document["group"] = json!(group);
        document["path"] = json!(file.path);
        document["size"] = json!(file.size);
        document["identical"] = json!(file.identical);
        document
    };
    duplicates.files.iter().map(file).collect()
}

async fn near(
    context: &Context,
    library: &Library,
    args: &DupArgs,
    rows: Option<Rows<'_>>,
) -> Result<ExitStatus> {
    let threshold = args.threshold;
    if !threshold.is_finite() {
        return Err(Error::usage(format_args!("`{threshold}` is not a similarity"))
            .with_hint("1 is the same; 0.99 finds good re-encodings, 0.95 most of them")
            .into());
    }
    let options = NearDuplicateOptions {
        model: select::model(library, args.model.as_deref()).await?,
        threshold,
        filter: args.filter.filter(&context.job, library, &args.words).await?,
        any_length: args.any_length,
    };
    let found = songrec_library::near_duplicates(library, &options, &context.job).await?;
    let printer = &context.printer;
    let Some(groups) = found else {
        printer.nothing("interrupted before all songs were compared")?;
        return Ok(ExitStatus::Interrupted);
    };
    let mut songs = 0;
    let mut listed = Vec::new();
    for (group, number) in groups.iter().zip(1..) {
        songs += group.songs.len() as u64;
        if printer.json {
            printer.json(group)?;
            continue;
        }
        if rows.is_some() {
            let song = |song: &NearDuplicate| {
                let mut document = json!(song);
                document["group"] = json!(number);
                document
            };
            listed.extend(group.songs.iter().map(song));
            continue;
        }
        let heading =
            format!("{}, {:.3}", counted(group.songs.len() as u64, "song"), group.similarity);
        printer.line(printer.bold(&heading))?;
        let mut table = Table::of([
            Column::number(""),
            Column::text(""),
            Column::cut("", 1),
            Column::number(""),
            Column::wrapped(""),
        ]);
        for song in &group.songs {
            let summary = &song.summary;
            let place = summary.path.as_ref().map(|path| library.file_path(path));
            table.row([
                format!("    {:.3}", song.similarity),
                summary.id.short(),
                summary.title.clone(),
                format!("{:.1} s", summary.duration),
                place.map(|path| path.display().to_string()).unwrap_or_default(),
            ]);
        }
        printer.table(&table)?;
    }
    if let Some(mut rows) = rows {
        rows.print(printer, &listed)?;
    }
    if groups.is_empty() {
        printer.nothing(&format!("no two songs are {threshold} similar"))?;
        return Ok(ExitStatus::FoundNothing);
    }
    let groups = counted(groups.len() as u64, "group");
    printer.say(format!("{groups} of {}", counted(songs, "song")));
    Ok(ExitStatus::Done)
}
