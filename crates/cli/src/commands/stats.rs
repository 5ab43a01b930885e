use std::collections::BTreeMap;

use anyhow::Result;
use songrec_library::find;

use crate::{
    args::StatsArgs,
    context::Context,
    numbers::{length, size},
    status::ExitStatus,
    table::{Column, JOINED, Table},
};

/// How many of a long list are shown to people.
const TOP: usize = 12;

pub(super) async fn run(context: &Context, args: StatsArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let filter = args.filter.filter(&args.words)?;
    let stats = find::stats(&library, &filter).await?;
    if context.printer.json {
        context.printer.json(&stats)?;
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::of([Column::text(""), Column::wrapped("")]);
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("songs", stats.total_songs.to_string());
    row("artists", stats.artists.to_string());
    row("albums", stats.albums.to_string());
    row("length", length(stats.total_duration));
    row("audio", size(stats.total_size));
    row("loops", format!("{} and {} one-shots", stats.loops, stats.one_shots));
    row("genres", top(&stats.genres));
    row("instruments", top(&stats.instruments));
    row("tempos", top(&stats.tempos.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()));
    row("keys", top(&stats.keys));
    row("codecs", top(&stats.codecs));
    if stats.without_audio > 0 {
        row("without audio", stats.without_audio.to_string());
    }
    if !stats.warnings.is_empty() {
        row("warnings", top(&stats.warnings));
    }
    for model in &stats.models {
        row(
            "model",
            format!(
                "{}: {} songs, {} values, {}",
                model.name, model.songs, model.dimension, model.metric
            ),
        );
    }
    context.printer.table(&table)?;
    Ok(ExitStatus::Done)
}

fn top(counts: &BTreeMap<String, u64>) -> String {
    let mut sorted: Vec<(&String, &u64)> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let more = sorted.len().saturating_sub(TOP);
    let mut shown: Vec<String> =
        sorted.iter().take(TOP).map(|(name, count)| format!("{name}{JOINED}{count}")).collect();
    if shown.is_empty() {
        return "-".to_owned();
    }
    if more > 0 {
        shown.push(format!("and {more} more"));
    }
    shown.join(", ")
}
