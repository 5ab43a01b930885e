use std::collections::BTreeMap;

use anyhow::Result;
use songrec_library::find;

use crate::{
    args::StatsArgs,
    context::Context,
    numbers::{counted, length, size},
    status::ExitStatus,
    table::{Column, JOINED, Table},
};

/// How many of a long list are shown to people.
const TOP: usize = 12;

pub(super) async fn run(context: &Context, args: StatsArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let filter = args.filter.filter(&context.job, &library, &args.words).await?;
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
    row("codecs", top(&stats.codecs));
    if stats.without_audio > 0 {
        row("without audio", stats.without_audio.to_string());
    }
    if !stats.warnings.is_empty() {
        row("warnings", top(&stats.warnings));
    }
    for model in &stats.models {
        // One whose vectors were all removed is still known.
        let songs = match model.songs {
            0 => "no vectors".to_owned(),
            count => counted(count, "song"),
        };
        let (name, values, metric) = (&model.name, model.dimension, model.metric);
        row("model", format!("{name}: {songs}, {values} values, {metric}"));
    }
    if stats.without_embedding > 0 {
        row("no embedding", stats.without_embedding.to_string());
    }
    let sound = &stats.sound;
    if sound.silent_start + sound.silent_end > 0 {
        row(
            "silence",
            format!(
                "{} begin and {} end with half a second of it or more{}",
                sound.silent_start,
                sound.silent_end,
                of_some(sound.songs, stats.total_songs)
            ),
        );
    }
    if sound.near_duplicates > 0 {
        let near = sound.near_duplicates;
        let of = of_some(sound.compared, stats.total_songs);
        row(
            "near copies",
            format!("{near} sound almost as another song{of}; `songrec dup --near` lists them"),
        );
    }
    context.printer.table(&table)?;
    bars(context, "lengths", &LENGTHS, &stats.lengths)?;
    bars(context, "tempos, in BPM", &TEMPOS, &stats.tempos)?;
    let keys: BTreeMap<&str, u64> =
        stats.keys.iter().map(|(key, count)| (key.as_str(), *count)).collect();
    let mut by_count: Vec<&str> = keys.keys().copied().collect();
    by_count.sort_by_key(|key| std::cmp::Reverse(keys[key]));
    bars(context, "keys", &by_count, &keys)?;
    let heading = format!("loudness, in LUFS{}", of_some(sound.songs, stats.total_songs));
    bars(context, &heading, &LOUDNESS, &sound.loudness)?;
    Ok(ExitStatus::Done)
}

const LENGTHS: [&str; 6] =
    ["<0.5 s", "0.5 to 5 s", "5 to 30 s", "30 s to 2 min", "2 to 10 min", ">10 min"];
const TEMPOS: [&str; 5] = ["<100", "100-120", "120-140", "140-160", "160+"];
const LOUDNESS: [&str; 7] =
    ["<-36", "-36 to -30", "-30 to -24", "-24 to -18", "-18 to -12", "-12 to -6", ">-6"];
/// Letters of the longest bar.
const BAR: u64 = 40;

fn of_some(looked_at: u64, all: u64) -> String {
    if looked_at < all { format!(" (of {looked_at} looked at)") } else { String::new() }
}

// Counts in this order, each with a bar; nothing if there are none.
fn bars(
    context: &Context,
    heading: &str,
    order: &[&str],
    counts: &BTreeMap<&str, u64>,
) -> Result<()> {
    let Some(most) = counts.values().max().copied().filter(|most| *most > 0) else {
        return Ok(());
    };
    let printer = &context.printer;
    printer.line("")?;
    printer.line(printer.bold(heading))?;
    let mut table = Table::of([Column::text(""), Column::number(""), Column::cut("", 1)]);
    for name in order {
        let Some(count) = counts.get(name) else { continue };
        // Something is never nothing.
        let length = (count * BAR).div_ceil(most);
        table.row([format!("    {name}"), count.to_string(), "█".repeat(length as usize)]);
    }
    printer.table(&table)
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
