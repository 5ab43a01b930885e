use anyhow::Result;
use songrec_core::{SongId, decode_path};
use songrec_library::{
    Error, Example, Explanation, Found, Part, Passages, Similar, SimilarOptions, SimilarSong,
    UNLIKE, keys, read_npy,
};

use crate::{
    args::SimilarArgs,
    commands::{
        listen, playlist_file,
        select::{SONG, cells},
    },
    context::Context,
    hints,
    numbers::counted,
    printer::Printer,
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: SimilarArgs) -> Result<ExitStatus> {
    let examples = examples(&args)?;
    let library = context.library_to_read().await?;
    let excluded = songrec_library::find::songs(&library, &args.exclude).await?;
    let options = SimilarOptions {
        model: args.model.clone(),
        blend: args.blend.clone(),
        k: args.k.unwrap_or_else(|| library.config().get(keys::SEARCH_RESULTS)),
        offset: args.offset,
        threshold: args.threshold,
        metric: args.metric,
        filter: args.filter.filter(&context.job, &library, &[]).await?,
        exclude: excluded.iter().map(|song| song.id).collect(),
        max_per_artist: args.max_per_artist,
        max_per_album: args.max_per_album,
        include_self: args.include_self,
        all_copies: args.all_copies,
        explain: args.explain,
    };
    let mut found = match args.songs.as_slice() {
        [song] if args.passages => {
            Found::Passages(songrec_library::passages(&library, song, &options).await?)
        }
        [song]
            if args.minus.is_empty()
                && args.vectors.is_empty()
                && args.m3u.is_none()
                && Part::split(song).1.is_some() =>
        {
            songrec_library::passages_or_songs(&library, song, &options).await?
        }
        several if args.passages => {
            return Err(Error::usage(format_args!("{} songs have no passages", several.len()))
                .with_hint("name one song, or a part of one")
                .into());
        }
        _ => Found::Songs(songrec_library::similar_to(&library, &examples, &options).await?),
    };
    if let (Some(file), Found::Songs(similar)) = (&args.m3u, &found) {
        let songs: Vec<_> = similar.results.iter().map(|song| song.summary.clone()).collect();
        let name = format!("similar to {}", asked(similar));
        playlist_file::write_songs(context, &library, file, args.force, (&name, &songs)).await?;
    }
    let none = match &mut found {
        Found::Passages(passages) => {
            print_passages(context, passages, Rows::of(&context.printer, &args.rows, &library)?)?;
            passages.results.is_empty()
        }
        Found::Songs(similar) => {
            print(context, similar, Rows::of(&context.printer, &args.rows, &library)?)?;
            similar.results.is_empty()
        }
    };
    let ids: Vec<SongId> = match &found {
        Found::Passages(passages) => passages.results.iter().map(|one| one.summary.id).collect(),
        Found::Songs(similar) => similar.results.iter().map(|one| one.summary.id).collect(),
    };
    listen::listen(context, &library, &args.listen, &ids).await?;
    Ok(if none { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

fn print_passages(
    context: &Context,
    passages: &mut Passages,
    rows: Option<Rows<'_>>,
) -> Result<()> {
    hints::put_in_words(&mut passages.shortfall);
    let printer = &context.printer;
    if printer.json {
        return printer.json(passages);
    }
    printer.say(format!("passages similar to {}, by `{}`:", passages.query.title, passages.model));
    match rows {
        Some(mut rows) => rows.print(printer, &passages.results)?,
        None => print_passages_table(printer, passages)?,
    }
    if let Some(shortfall) = &passages.shortfall {
        printer.say(shortfall.to_string());
    }
    Ok(())
}

fn print_passages_table(printer: &Printer, passages: &Passages) -> Result<()> {
    let place = [
        Column::number("#"),
        Column::number("similarity"),
        Column::text("id"),
        Column::text("part"),
    ];
    let mut table = Table::headed(place.into_iter().chain(SONG));
    for passage in &passages.results {
        let place = [
            passage.rank.to_string(),
            format!("{:.3}", passage.similarity),
            passage.summary.id.short(),
            passage.part.to_string(),
        ];
        table.row(place.into_iter().chain(cells(&passage.summary)));
    }
    printer.table(&table)
}

// The songs to be like and unlike, with their weights.
fn examples(args: &SimilarArgs) -> Result<Vec<Example>> {
    let mut examples: Vec<Example> = args.songs.iter().map(|song| like(song)).collect();
    for file in &args.vectors {
        examples.push(Example::vector(read_npy(file)?));
    }
    examples.extend(args.minus.iter().map(|song| Example { weight: UNLIKE, ..like(song) }));
    if args.weights.len() > examples.len() {
        return Err(Error::usage(format_args!(
            "there are {} weights for {}",
            args.weights.len(),
            counted(examples.len() as u64, "song")
        ))
        .with_hint("give one weight a song, in their order")
        .into());
    }
    for (example, weight) in examples.iter_mut().zip(&args.weights) {
        if !weight.is_finite() || *weight <= 0.0 {
            return Err(Error::usage(format_args!("`{weight}` is not a weight"))
                .with_hint("a weight is above 0; `--minus SONG` names what to be unlike")
                .into());
        }
        example.weight = weight.copysign(example.weight);
    }
    Ok(examples)
}

// A name with a separator that is a folder's means the folder; words may be the same as
// the name of one that happens to lie here.
fn like(name: &str) -> Example {
    let path = decode_path(name);
    let is_path = path.components().count() > 1
        || name.ends_with(std::path::is_separator)
        || matches!(name, "." | "..");
    match is_path && path.is_dir() {
        true => Example::folder(path),
        false => Example::like(name),
    }
}

/// Prints similar songs.
pub(super) fn print(
    context: &Context,
    similar: &mut Similar,
    rows: Option<Rows<'_>>,
) -> Result<()> {
    hints::put_in_words(&mut similar.shortfall);
    for note in &mut similar.notes {
        *note = hints::in_words(note).into();
    }
    let printer = &context.printer;
    if printer.json {
        return printer.json(similar);
    }
    printer.say(format!("similar to {}, by {}:", asked(similar), models(similar)));
    match rows {
        Some(mut rows) => rows.print(printer, &similar.results)?,
        None => print_table(context, similar)?,
    }
    for note in &similar.notes {
        printer.say(note.to_string());
    }
    if let Some(shortfall) = &similar.shortfall {
        printer.say(shortfall.to_string());
    }
    Ok(())
}

fn print_table(context: &Context, similar: &Similar) -> Result<()> {
    let place = [Column::number("#"), Column::number("similarity"), Column::text("id")];
    let mut table = Table::headed(place.into_iter().chain(SONG));
    for song in &similar.results {
        let numbers =
            [song.rank.to_string(), format!("{:.3}", song.similarity), song.summary.id.short()];
        table.row(numbers.into_iter().chain(cells(&song.summary)));
    }
    context.printer.table_with(&table, |row| why(context, &similar.results[row]))
}

// What was asked about, in words.
fn asked(similar: &Similar) -> String {
    let name = |query: &songrec_library::Query| {
        let artist = query.artist.as_deref().map(|artist| format!("{artist} - "));
        format!("{}{}", artist.unwrap_or_default(), query.title)
    };
    let named = |sign: f64| {
        let songs = similar.queries.iter().filter(move |one| one.weight * sign > 0.0);
        songs.map(|one| name(&one.query)).collect::<Vec<_>>().join(" and ")
    };
    match (named(1.0), named(-1.0)) {
        (like, _) if like.is_empty() => name(&similar.query),
        (like, unlike) if unlike.is_empty() => like,
        (like, unlike) => format!("{like}, unlike {unlike}"),
    }
}

fn models(similar: &Similar) -> String {
    if similar.blend.is_empty() {
        return format!("`{}`", similar.model);
    }
    let parts = similar.blend.iter().map(|part| format!("{:.2} `{}`", part.weight, part.model));
    parts.collect::<Vec<_>>().join(" + ")
}

// Why a song is where it is, if that was asked for.
fn why(context: &Context, song: &SimilarSong) -> Result<()> {
    let Some(explanation) = &song.explanation else { return Ok(()) };
    for part in &song.parts {
        context.printer.line(match part.similarity {
            Some(similarity) => {
                format!("      {:.2} x {similarity:>6.3}  by `{}`", part.weight, part.model)
            }
            None => format!("      not embedded by `{}`", part.model),
        })?;
    }
    if let Some(beside) = &song.beside {
        context.printer.line(format!("      beside {beside}:"))?;
    }
    reasons(context, explanation)
}

/// Prints why, one reason a line.
pub(super) fn reasons(context: &Context, explanation: &Explanation) -> Result<()> {
    for reason in &explanation.reasons {
        let lead = format!("      {:>3.0} %  ", reason.score * 100.0);
        context.printer.paragraph(&lead, &format!("{}: {}", reason.label, reason.description))?;
    }
    if let Some(verdict) = &explanation.verdict {
        context.printer.line(format!("  {verdict}"))?;
    }
    if let Some(note) = &explanation.note {
        context.printer.paragraph("      ", note)?;
    }
    Ok(())
}
