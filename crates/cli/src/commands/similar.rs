use anyhow::Result;
use songrec_library::{Explanation, Similar, SimilarOptions};

use crate::{
    args::SimilarArgs,
    commands::select::{cells, wrong_filter},
    context::Context,
    printer::Table,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: SimilarArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let mut exclude = Vec::new();
    for name in &args.exclude {
        exclude.push(library.song(name).await?.id);
    }
    let options = SimilarOptions {
        model: args.model,
        k: args.k.unwrap_or_else(|| library.config().count("search.results")),
        offset: args.offset,
        threshold: args.threshold,
        metric: args.metric,
        filter: args.filter.filter().map_err(wrong_filter)?,
        exclude,
        max_per_artist: args.max_per_artist,
        max_per_album: args.max_per_album,
        include_self: args.include_self,
        all_copies: args.all_copies,
        explain: args.explain,
    };
    let similar = library.similar(&args.song, &options).await?;
    if context.printer.json {
        context.printer.json(&similar)?;
    } else {
        print(context, &similar)?;
    }
    Ok(if similar.results.is_empty() { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

/// Prints similar songs for people.
pub(super) fn print(context: &Context, similar: &Similar) -> Result<()> {
    let printer = &context.printer;
    let artist = similar.query.artist.as_deref().map(|artist| format!("{artist} - "));
    let name = format!("{}{}", artist.unwrap_or_default(), similar.query.title);
    printer.say(format!("similar to {name}, by `{}`:", similar.model));
    let mut table = Table::with_numbers_at(&[0, 1, 7]);
    table.row(
        ["#", "similarity", "id", "artist", "title", "album", "genre", "bpm", "key"]
            .map(str::to_owned),
    );
    for song in &similar.results {
        let numbers =
            [song.rank.to_string(), format!("{:.3}", song.similarity), song.card.id.short()];
        table.row(numbers.into_iter().chain(cells(&song.card)));
    }
    let lines = table.lines();
    let explanations = similar.results.iter().map(|song| song.explanation.as_ref());
    for (line, explanation) in lines.iter().zip(std::iter::once(None).chain(explanations)) {
        let is_heading = std::ptr::eq(line, &lines[0]);
        if !is_heading || lines.len() > 1 {
            printer.line(if is_heading { printer.dim(line) } else { line.clone() })?;
        }
        if let Some(explanation) = explanation {
            reasons(context, explanation)?;
        }
    }
    if let Some(shortfall) = &similar.shortfall {
        printer.say(shortfall);
    }
    Ok(())
}

/// Prints why, one reason a line.
pub(super) fn reasons(context: &Context, explanation: &Explanation) -> Result<()> {
    for reason in &explanation.reasons {
        context.printer.line(format!(
            "      {:>3.0} %  {}: {}",
            reason.score * 100.0,
            reason.label,
            reason.description
        ))?;
    }
    if let Some(note) = &explanation.note {
        context.printer.line(format!("      {note}"))?;
    }
    Ok(())
}
