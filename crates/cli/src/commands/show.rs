use anyhow::Result;
use songrec_core::{Card, Features, Song};
use songrec_library::Library;

use crate::{
    args::ShowArgs,
    commands::select::{counted, length, size},
    context::Context,
    printer::Table,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: ShowArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    for (number, song) in library.songs(&args.songs).await?.into_iter().enumerate() {
        if context.printer.json {
            context.printer.json(&song)?;
            continue;
        }
        if number > 0 {
            context.printer.line("")?;
        }
        for line in describe(&library, &song).lines() {
            context.printer.line(line)?;
        }
    }
    Ok(ExitStatus::Done)
}

fn describe(library: &Library, song: &Song) -> Table {
    let card = Card::of(song);
    let mut table = Table::default();
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            table.row([name.to_owned(), value]);
        }
    };
    row("id", Some(song.id.to_string()));
    row("title", Some(card.title));
    row("artist", card.artist);
    row("album", card.album);
    row("genre", Some(card.genres.join(", ")));
    row("year", card.year.map(|year| year.to_string()));
    row("tempo", card.bpm.map(|bpm| format!("{bpm:.1} BPM{}", sure(song, |f| f.bpm_confidence))));
    row(
        "key",
        card.key
            .map(|key| format!("{key} ({}){}", key.camelot(), sure(song, |f| f.key_confidence))),
    );
    row("mood", Some(card.moods.join(", ")));
    row(
        "instrument",
        card.instrument.map(|name| format!("{name}{}", sure(song, |f| f.instrument_confidence))),
    );
    row(
        "loop",
        card.is_loop.map(|is_loop| if is_loop { "yes" } else { "no, a one-shot" }.to_owned()),
    );
    row("length", Some(length(card.duration)));
    let audio = &song.audio;
    let bits = audio.bit_depth.map(|bits| format!(", {bits} bit")).unwrap_or_default();
    let rate = audio.bitrate.map(|rate| format!(", {} kbit/s", rate / 1000)).unwrap_or_default();
    row(
        "audio",
        Some(format!(
            "{} in {}, {} Hz, {}{bits}{rate}",
            audio.codec,
            audio.container,
            audio.sample_rate,
            counted(audio.channels.into(), "channel")
        )),
    );
    if let Some(features) = &song.features {
        for (name, value) in measured(features) {
            row(name, value);
        }
    }
    for file in &song.files {
        let path = library.file_path(&file.path);
        let missing = if path.exists() { "" } else { ", not found" };
        row("file", Some(format!("{} ({}{missing})", path.display(), size(file.size))));
    }
    for (model, reference) in &song.embeddings {
        row("heard by", Some(format!("{model} ({} values)", reference.dimension)));
    }
    let edited: Vec<String> = song.edits.iter().map(|(field, _)| field.to_string()).collect();
    row("edited", Some(edited.join(", ")));
    for conflict in &song.conflicts {
        row("overruled", Some(format!("{} = {}", conflict.field, conflict.value)));
    }
    row("added", Some(song.added_at.to_string()));
    row("changed", Some(song.updated_at.to_string()));
    table
}

fn sure(song: &Song, confidence: impl Fn(&Features) -> Option<f32>) -> String {
    let confidence = song.features.as_ref().and_then(confidence);
    confidence.map(|sure| format!(" ({:.0} % sure)", sure * 100.0)).unwrap_or_default()
}

fn measured(features: &Features) -> Vec<(&'static str, Option<String>)> {
    let with = |value: Option<f32>, unit: &str, digits: usize| {
        value.map(|value| format!("{value:.digits$} {unit}").trim_end().to_owned())
    };
    vec![
        ("loudness", with(features.loudness_lufs, "LUFS", 1)),
        ("peak", with(features.peak_db, "dB", 1)),
        ("dynamic range", with(features.dynamic_range_db, "dB", 1)),
        ("brightness", with(features.spectral_centroid_hz, "Hz (spectral centroid)", 0)),
        ("flatness", with(features.spectral_flatness, "(0 tone, 1 noise)", 3)),
        ("tuning", with(features.tuning_hz, "Hz", 1)),
        ("pitch", with(features.pitch_salience, "(0 unclear, 1 clear)", 2)),
        ("onsets", with(features.onset_rate, "a second", 1)),
        ("silence", silence(features)),
    ]
}

fn silence(features: &Features) -> Option<String> {
    let (start, end) = (features.silence_start_s?, features.silence_end_s?);
    (start + end > 0.1).then(|| format!("{start:.2} s at the start, {end:.2} s at the end"))
}
