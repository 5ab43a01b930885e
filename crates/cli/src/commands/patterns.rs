//! `patterns`: regions of songs that persons and programs named.

mod intake;

use std::path::Path;

use anyhow::Result;
use serde_json::json;
use songrec_core::{SegmentId, SongId};
use songrec_library::{
    Error, Library, NewPattern, Part, PatternChange, PatternQuery, PatternSubject, ShownPattern,
    SimilarPatternsOptions, edit_pattern, find, find_patterns, keys, pattern, pattern_id,
    pattern_ids, read_npy, remove_patterns, similar_patterns, write_npy,
};

use self::intake::{Intake, from_lines};
use crate::{
    args::{
        AddPatternsArgs, CriteriaArgs, EditPatternArgs, Listed, PatternsArgs, PatternsCommand,
        QueryPatternsArgs, RowArgs, SimilarPatternsArgs,
    },
    commands::select,
    context::Context,
    hints,
    numbers::counted,
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

/// How many are listed where it is not said, as `ls` has it in its help.
const LISTED: usize = 1000;
/// Digits of an id that lists show at a terminal.
const SHOWN_DIGITS: usize = 8;

pub(super) async fn run(context: &Context, args: PatternsArgs) -> Result<ExitStatus> {
    let ls = PatternsCommand::Ls { songs: Vec::new(), limit: LISTED, rows: RowArgs::default() };
    match args.command.unwrap_or(ls) {
        PatternsCommand::Ls { songs, limit, rows } => {
            let library = context.library_to_read().await?;
            let songs = ids(&library, &songs).await?;
            let query = PatternQuery { songs, limit, ..PatternQuery::default() };
            list(context, &library, &query, &rows, false).await
        }
        PatternsCommand::Show { pattern, npy } => show(context, &pattern, npy.as_deref()).await,
        PatternsCommand::Add(args) => add(context, *args).await,
        PatternsCommand::Edit(args) => edit(context, *args).await,
        PatternsCommand::Rm { patterns } => remove(context, &patterns).await,
        PatternsCommand::Query(args) => query(context, args).await,
        PatternsCommand::Similar(args) => similar(context, args).await,
    }
}

async fn ids(library: &Library, names: &[String]) -> Result<Vec<SongId>> {
    let songs = find::songs(library, names).await?;
    Ok(songs.into_iter().map(|song| song.id).collect())
}

// Which patterns count, in any order and number.
fn among(songs: Vec<SongId>, criteria: CriteriaArgs) -> PatternQuery {
    let frequencies = match (criteria.low, criteria.high) {
        (None, None) => None,
        (low, high) => Some((low.unwrap_or(0.0), high.unwrap_or(f32::MAX))),
    };
    PatternQuery {
        songs,
        kinds: criteria.kinds,
        time: criteria.time.map(|Part { start, end }| (start, end)),
        frequencies,
        min_confidence: criteria.confidence,
        sources: criteria.sources,
        ..PatternQuery::default()
    }
}

async fn query(context: &Context, args: QueryPatternsArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let songs = ids(&library, &args.songs).await?;
    let query = PatternQuery {
        model: select::model(&library, args.model.as_deref()).await?,
        order: args.sort.into(),
        descending: args.reverse,
        offset: args.offset,
        limit: args.limit,
        ..among(songs, args.criteria)
    };
    list(context, &library, &query, &args.rows, args.features && context.printer.json).await
}

async fn list(
    context: &Context,
    library: &Library,
    query: &PatternQuery,
    rows: &RowArgs<impl Listed>,
    features: bool,
) -> Result<ExitStatus> {
    let rows = Rows::of(&context.printer, rows, library)?;
    let found = find_patterns(library, query, features).await?;
    let printer = &context.printer;
    let mut table = Table::headed(PATTERN);
    for pattern in &found {
        match printer.json {
            true => printer.json(pattern)?,
            false => table.row(cells(context, pattern)),
        }
    }
    match rows {
        Some(mut rows) => rows.print(printer, &found)?,
        None => printer.table(&table)?,
    }
    if found.is_empty() {
        let all = PatternQuery { limit: query.limit, ..PatternQuery::default() };
        printer.nothing(match *query == all {
            true => "this library has no patterns; `songrec patterns add` makes one",
            false => "no pattern is as it was asked for",
        })?;
        return Ok(ExitStatus::FoundNothing);
    }
    Ok(ExitStatus::Done)
}

/// The columns of a pattern.
const PATTERN: [Column; 9] = [
    Column::text("id"),
    Column::cut("title", 4),
    Column::text("part"),
    Column::cut("kind", 3),
    Column::number("sure"),
    Column::number("low"),
    Column::number("high"),
    Column::cut("source", 2),
    Column::text("features"),
];

// At a terminal there is no room for whole ids; programs compare them.
fn cells(context: &Context, pattern: &ShownPattern) -> [String; 9] {
    let is_read = context.printer.is_terminal();
    let hertz = |value: Option<f32>| value.map(|hertz| format!("{hertz:.0}")).unwrap_or_default();
    [
        if is_read { pattern.id.short() } else { pattern.id.to_string() },
        pattern.title.clone(),
        pattern.part.to_string(),
        pattern.kind.clone(),
        format!("{:.2}", pattern.confidence),
        hertz(pattern.low),
        hertz(pattern.high),
        pattern.source.clone().unwrap_or_default(),
        pattern.model.to_string(),
    ]
}

async fn show(context: &Context, name: &str, npy: Option<&Path>) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let id = pattern_id(&library, name).await?;
    let kept = pattern(&library, id).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&kept)?;
    } else {
        printer.table(&facts(&kept.shown))?;
        for other in &kept.others {
            printer.line("")?;
            printer.line(printer.dim("what it is as well, as another library has it:"))?;
            printer.table(&facts(other))?;
        }
        if !kept.others.is_empty() {
            printer.say(
                "it was changed in two libraries at the same time; `songrec patterns edit` decides",
            );
        }
    }
    if let Some(path) = npy {
        let values = kept.shown.features.clone().unwrap_or_default();
        let vector = songrec_core::Vector::new(values).map_err(Error::usage)?;
        write_npy(path, &[&vector], false).map_err(|error| Error::io("write", path, error))?;
        printer.say(format!("wrote its features to `{}`", path.display()));
    }
    Ok(ExitStatus::Done)
}

fn facts(pattern: &ShownPattern) -> Table {
    let mut table = Table::of([Column::text(""), Column::wrapped("")]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("id", pattern.id.to_string());
    row("kind", pattern.kind.clone());
    let artist = pattern.artist.as_ref().map(|artist| format!("{artist} - ")).unwrap_or_default();
    row("song", format!("{artist}{} ({})", pattern.title, pattern.song));
    row("part", pattern.part.to_string());
    if let (Some(low), Some(high)) = (pattern.low, pattern.high) {
        row("frequencies", format!("{low} Hz to {high} Hz"));
    }
    row("confidence", pattern.confidence.to_string());
    if let Some(source) = &pattern.source {
        row("source", source.clone());
    }
    for (name, value) in &pattern.metadata {
        row(&format!("meta {name}"), value.to_string());
    }
    row("features", format!("{} numbers of `{}`", pattern.dimension, pattern.model));
    row("made", pattern.created_at.to_string());
    row("changed", pattern.changed_at.to_string());
    table
}

async fn add(context: &Context, args: AddPatternsArgs) -> Result<ExitStatus> {
    if let Some(from) = &args.from {
        let library = context.library_to_change().await?;
        return from_lines(context, &library, from).await;
    }
    let new = drafts(&args)?;
    let library = context.library_to_change().await?;
    let mut intake = Intake::new(context, &library);
    if let [only] = new.as_slice() {
        // What is wrong with the only one is the error of the command.
        let mut outcomes = intake.patterns.add(std::slice::from_ref(only)).await?;
        let added = outcomes.pop().transpose()?;
        intake.tell(added.into_iter().map(|one| (None, Ok(one))))?;
    } else {
        let outcomes = intake.patterns.add(&new).await?;
        intake.tell(outcomes.into_iter().map(|outcome| (None, outcome)))?;
    }
    intake.end(false)
}

fn drafts(args: &AddPatternsArgs) -> Result<Vec<NewPattern>> {
    if args.parts.len() > 1 && (args.features.is_some() || args.id.is_some()) {
        return Err(Error::usage("features and an id are of one part")
            .with_hint("name one part, or send several with `--from FILE`")
            .into());
    }
    let features = args.features.as_deref().map(read_npy).transpose()?;
    let draft = |text: &String| {
        let (song, part) = Part::split(text);
        let part = part.ok_or_else(|| {
            Error::usage(format_args!("`{text}` names no part of a song"))
                .with_hint("a part is such as `song.flac@0:12-0:15`")
        })?;
        Ok(NewPattern {
            id: args.id,
            low: args.low,
            high: args.high,
            confidence: Some(args.confidence),
            features: features.as_ref().map(|vector| vector.values().to_vec()),
            model: args.model.clone(),
            metric: args.metric,
            source: args.source.clone(),
            metadata: args.metadata.iter().cloned().collect(),
            ..NewPattern::new(song, part.start, part.end, args.kind.clone().unwrap_or_default())
        })
    };
    args.parts.iter().map(draft).collect()
}

async fn edit(context: &Context, args: EditPatternArgs) -> Result<ExitStatus> {
    let set = args.metadata.into_iter().map(|(name, value)| (name, Some(value)));
    let unset = args.no_metadata.into_iter().map(|name| (name, None));
    let change = PatternChange {
        kind: args.kind,
        start: args.at.map(|part| part.start),
        end: args.at.map(|part| part.end),
        low: args.low,
        high: args.high,
        all_frequencies: args.all_frequencies,
        confidence: args.confidence,
        source: args.source,
        metadata: set.chain(unset).collect(),
        features: args.features.as_deref().map(read_npy).transpose()?,
        model: args.model,
        keep_features: args.keep_features,
    };
    if change == PatternChange::default() {
        return Err(Error::usage("there is nothing to change")
            .with_hint("`--at FROM-TO`, `--type KIND`, `--confidence X`, `--meta NAME=VALUE`, …")
            .into());
    }
    let library = context.library_to_change().await?;
    let id = pattern_id(&library, &args.pattern).await?;
    let kept = edit_pattern(&library, id, &change).await?;
    match context.printer.json {
        true => context.printer.json(&kept)?,
        false => context.printer.table(&facts(&kept.shown))?,
    }
    Ok(ExitStatus::Done)
}

async fn remove(context: &Context, names: &[String]) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let mut ids: Vec<SegmentId> = Vec::with_capacity(names.len());
    for name in names {
        ids.push(pattern_id(&library, name).await?);
    }
    let there = remove_patterns(&library, &ids).await?;
    let missing: Vec<SegmentId> =
        ids.iter().zip(&there).filter(|(_, there)| !**there).map(|(id, _)| *id).collect();
    if missing.len() == ids.len() {
        let named = ids.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        return Err(Error::not_found(format_args!("there is no pattern {named}"))
            .with_hint("`songrec patterns ls` lists them")
            .into());
    }
    let removed = ids.len() - missing.len();
    let printer = &context.printer;
    if printer.json {
        printer.json(&json!({ "removed": removed, "missing": missing }))?;
    }
    for id in &missing {
        printer.warn(format!("there is no pattern `{id}`"));
    }
    printer.say(format!("deleted {}", counted(removed as u64, "pattern")));
    Ok(if missing.is_empty() { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

async fn similar(context: &Context, args: SimilarPatternsArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let rows = Rows::of(&context.printer, &args.rows, &library)?;
    let config = library.config();
    let options = SimilarPatternsOptions {
        model: args.model,
        k: args.k.unwrap_or_else(|| config.get(keys::PATTERNS_RESULTS)),
        offset: args.offset,
        threshold: args.threshold.or_else(|| config.get(keys::PATTERNS_THRESHOLD)),
        metric: args.metric,
        among: among(ids(&library, &args.songs).await?, args.criteria),
    };
    let subject = match (&args.what, &args.features) {
        (Some(what), _) => subject(&library, what).await?,
        (None, Some(file)) => PatternSubject::Vector(read_npy(file)?),
        (None, None) => return Err(Error::usage("there is nothing to be similar to").into()),
    };
    let mut found = similar_patterns(&library, &subject, &options).await?;
    hints::put_in_words(&mut found.shortfall);
    let printer = &context.printer;
    if printer.json {
        printer.json(&found)?;
    } else if let Some(mut rows) = rows {
        rows.print(printer, &found.results)?;
        found.shortfall.iter().for_each(|shortfall| printer.say(shortfall.to_string()));
    } else {
        printer.say(format!("similar to {}, by `{}`:", found.query, found.model));
        let place = [Column::number("#"), Column::number("similarity")];
        let mut table = Table::headed(place.into_iter().chain(PATTERN));
        for result in &found.results {
            let place = [result.rank.to_string(), format!("{:.3}", result.similarity)];
            table.row(place.into_iter().chain(cells(context, &result.pattern)));
        }
        printer.table(&table)?;
        if let Some(shortfall) = &found.shortfall {
            printer.say(shortfall.to_string());
        }
    }
    Ok(if found.results.is_empty() { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

/// What `what` names: a pattern by its id, or else a song, a file or a part of one.
pub(super) async fn subject(library: &Library, what: &str) -> Result<PatternSubject, Error> {
    let song = || PatternSubject::Song(what.to_owned());
    let Ok(id) = what.parse::<SegmentId>() else {
        // What lists show of an id, and no word that happens to have these letters.
        if what.len() < SHOWN_DIGITS || Path::new(what).exists() {
            return Ok(song());
        }
        return Ok(match pattern_ids(library, what).await?.as_slice() {
            [id] => PatternSubject::Pattern(*id),
            _ => song(),
        });
    };
    // Songs and patterns have ids of one form.
    let of_song = SongId::from_bytes(*id.as_bytes());
    let is_song = !find::summaries(library, &[of_song]).await?.is_empty();
    Ok(if is_song { song() } else { PatternSubject::Pattern(id) })
}
