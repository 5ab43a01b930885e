use anyhow::Result;
use serde_json::Value;
use songrec_core::{
    AudioProperties, Features, Field, Key, Song, SongSummary, Source, SourcedValue,
};
use songrec_library::{Cluster, Library, ShownSong};

use crate::{
    args::ShowArgs,
    commands::history,
    context::Context,
    numbers::{counted, length, size},
    printer::Printer,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: ShowArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    if args.history {
        history::read_changes(context, &library, &args.songs).await?;
        return Ok(ExitStatus::Done);
    }
    let songs = songrec_library::find::songs(&library, &args.songs).await?;
    let clusters = songrec_library::clusters_of(&library, &songs).await?;
    for (number, (song, cluster)) in songs.into_iter().zip(clusters).enumerate() {
        if context.printer.json {
            context.printer.json(&ShownSong::of(&song, cluster.as_ref()))?;
            continue;
        }
        if number > 0 {
            context.printer.line("")?;
        }
        context.printer.table(&describe(&context.printer, &library, &song, cluster.as_ref()))?;
    }
    Ok(ExitStatus::Done)
}

fn describe(printer: &Printer, library: &Library, song: &Song, cluster: Option<&Cluster>) -> Table {
    let summary = SongSummary::of(song);
    let values = song.values();
    let mut table = Table::of([Column::text(""), Column::wrapped("")]);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            table.row([name.to_owned(), value]);
        }
    };
    row("id", Some(song.id.to_string()));
    for (name, field) in TAGS {
        row(name, values.get(&field).and_then(|sourced| shown(song, &field, sourced)));
    }
    for (field, sourced) in &values {
        if let Field::Extra(name) = field {
            row(name, shown(song, field, sourced));
        }
    }
    // Of a song that was imported without its audio neither need be known.
    row("length", Some(summary.duration).filter(|known| *known > 0.0).map(length));
    row("audio", Some(audio(&song.audio)));
    for warning in &song.audio.warnings {
        row("warning", Some(warning.text.clone()));
    }
    if let Some(features) = &song.features {
        for (name, value) in measured(features) {
            row(name, value);
        }
    }
    let awaits_audio = song.awaits_audio();
    for file in &song.files {
        if awaits_audio {
            row("awaits", Some(file.path.clone()));
            continue;
        }
        let path = library.file_path(&file.path);
        let missing = if path.exists() { "" } else { ", not found" };
        row("file", Some(format!("{} ({}{missing})", path.display(), size(file.size))));
    }
    for (model, reference) in &song.embeddings {
        row("embedded by", Some(format!("{model} ({} values)", reference.dimension)));
    }
    row("cluster", cluster.map(|cluster| format!("{}, {}", cluster.id, cluster.name)));
    let edited: Vec<String> = song.edits.iter().map(|(field, _)| field.to_string()).collect();
    row("edited", Some(edited.join(", ")));
    for conflict in &song.conflicts {
        row("overruled", Some(format!("{} = {}", conflict.field, conflict.value)));
    }
    row("added", Some(printer.time(song.added_at)));
    row("changed", Some(printer.time(song.updated_at)));
    table
}

// What is known of the audio; nothing, if that is nothing.
fn audio(audio: &AudioProperties) -> String {
    let codec = match (audio.codec.as_str(), audio.container.as_str()) {
        (codec, "") => codec.to_owned(),
        (codec, container) => format!("{codec} in {container}"),
    };
    let some = |count: u32, text: String| if count > 0 { text } else { String::new() };
    let parts = [
        codec,
        some(audio.sample_rate, format!("{} Hz", audio.sample_rate)),
        some(audio.channels, counted(audio.channels.into(), "channel")),
        audio.bit_depth.map(|bits| format!("{bits} bit")).unwrap_or_default(),
        audio.bitrate.map(|rate| format!("{} kbit/s", rate / 1000)).unwrap_or_default(),
    ];
    let known: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    known.join(", ")
}

/// The fields that have a value, as they are called here.
const TAGS: [(&str, Field); 16] = [
    ("title", Field::Title),
    ("artist", Field::Artist),
    ("album", Field::Album),
    ("album artist", Field::AlbumArtist),
    ("genre", Field::Genre),
    ("year", Field::Year),
    ("track", Field::Track),
    ("disc", Field::Disc),
    ("tempo", Field::Bpm),
    ("key", Field::Key),
    ("mood", Field::Mood),
    ("instrument", Field::Instrument),
    ("loop", Field::Loop),
    ("comment", Field::Comment),
    ("composer", Field::Composer),
    ("label", Field::Label),
];

// A value, and in brackets where it comes from.
fn shown(song: &Song, field: &Field, sourced: &SourcedValue) -> Option<String> {
    let text = || sourced.value.as_str().map(str::to_owned);
    let value = match (field, &sourced.value) {
        (_, Value::Null) => "nothing".to_owned(),
        (_, Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        (Field::Bpm, value) => format!("{:.1} BPM", value.as_f64()?),
        (Field::Key, _) => {
            let key: Key = text()?.parse().ok()?;
            format!("{key} ({})", key.camelot())
        }
        (Field::Loop, value) => if value.as_bool()? { "yes" } else { "no, a one-shot" }.to_owned(),
        (_, value) => text().unwrap_or_else(|| value.to_string()),
    };
    let confidence = match field {
        Field::Bpm => sure(song, |f| f.bpm_confidence),
        Field::Key => sure(song, |f| f.key_confidence),
        Field::Instrument => sure(song, |f| f.instrument_confidence),
        _ => String::new(),
    };
    // How sure it is is known of what was measured alone.
    let confidence = if sourced.source == Source::Measured { confidence } else { String::new() };
    Some(format!("{value}{confidence} [{}]", sourced.source))
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
        ("heard", heard(features)),
        (
            "named",
            features.named_instrument.clone().map(|name| format!("{name}, by the file's name")),
        ),
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

// What is heard, whatever the file is called.
fn heard(features: &Features) -> Option<String> {
    let percent = |probability: f32| format!("{:.0} %", probability * 100.0);
    let instrument = features.heard_instrument.as_ref().zip(features.heard_instrument_probability);
    let instrument = match (instrument, features.vocal_probability) {
        (Some((instrument, sure)), _) => Some(format!("{instrument} ({})", percent(sure))),
        (None, Some(_)) => Some("no one instrument".to_owned()),
        (None, None) => None,
    };
    let voice = features.vocal_probability.map(|voice| match voice {
        voice if voice >= Features::SURE_HEARD => format!("a voice ({})", percent(voice)),
        voice => format!("no voice ({})", percent(1.0 - voice)),
    });
    let repeats = features.loop_probability.map(|repeats| match repeats {
        repeats if repeats >= Features::SURE_HEARD => format!("a loop ({})", percent(repeats)),
        repeats => format!("a one-shot ({})", percent(1.0 - repeats)),
    });
    let parts: Vec<String> = [instrument, voice, repeats].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn silence(features: &Features) -> Option<String> {
    let (start, end) = (features.silence_start_s?, features.silence_end_s?);
    (start + end > 0.1).then(|| format!("{start:.2} s at the start, {end:.2} s at the end"))
}
