//! How songs look in lists.

use anyhow::Result;
use songrec_core::{ModelName, SongSummary, decode_path};
use songrec_library::{Library, find_model};

use crate::{
    numbers::length,
    printer::Printer,
    table::{Column, Table},
};

/// The columns that show a song, after its number or id.
pub(super) const SONG: [Column; 8] = [
    Column::cut("artist", 3),
    Column::cut("title", 4),
    Column::cut("album", 2),
    Column::cut("genre", 2),
    Column::cut("instrument", 2),
    Column::cut("folder", 2),
    Column::number("bpm"),
    Column::text("key"),
];

/// What stands in [these](SONG) columns. What nobody has released is a sample,
/// which is known by its instrument and its folder.
pub(super) fn cells(summary: &SongSummary) -> [String; 8] {
    let is_sample = summary.artist.is_none() && summary.album.is_none();
    let instrument = summary.instrument.clone().filter(|_| is_sample);
    let folder = summary.path.as_deref().filter(|_| is_sample).and_then(|path| {
        let path = decode_path(path);
        Some(path.parent()?.file_name()?.to_string_lossy().into_owned())
    });
    [
        summary.artist.clone().unwrap_or_default(),
        summary.title.clone(),
        summary.album.clone().unwrap_or_default(),
        summary.genres.join(", "),
        instrument.unwrap_or_default(),
        folder.unwrap_or_default(),
        summary.bpm.map(|bpm| format!("{bpm:.0}")).unwrap_or_default(),
        summary.key.map(|key| key.to_string()).unwrap_or_default(),
    ]
}

/// The whole name of the model of `library` that `name` means, with or without its
/// revision; nothing if none is named.
pub(super) async fn model(library: &Library, name: Option<&str>) -> Result<Option<ModelName>> {
    match name {
        Some(name) => Ok(Some(find_model(library, name).await?.name)),
        None => Ok(None),
    }
}

/// Prints songs with a heading, or as JSON, one a line.
pub(super) fn print(printer: &Printer, summaries: &[SongSummary]) -> Result<()> {
    if printer.json {
        return summaries.iter().try_for_each(|summary| printer.json(summary));
    }
    let columns = std::iter::once(Column::text("id")).chain(SONG);
    let mut table = Table::headed(columns.chain([Column::number("length")]));
    for summary in summaries {
        let cells = cells(summary).into_iter();
        table.row(std::iter::once(summary.id.short()).chain(cells).chain([length_of(summary)]));
    }
    printer.table(&table)
}

// Of a song that was imported without its audio it need not be known.
fn length_of(summary: &SongSummary) -> String {
    if summary.duration > 0.0 { length(summary.duration) } else { String::new() }
}
