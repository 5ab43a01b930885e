//! How songs look in lists.

use anyhow::Result;
use songrec_core::{Card, decode_path};

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
pub(super) fn cells(card: &Card) -> [String; 8] {
    let is_sample = card.artist.is_none() && card.album.is_none();
    let instrument = card.instrument.clone().filter(|_| is_sample);
    let folder = card.path.as_deref().filter(|_| is_sample).and_then(|path| {
        let path = decode_path(path);
        Some(path.parent()?.file_name()?.to_string_lossy().into_owned())
    });
    [
        card.artist.clone().unwrap_or_default(),
        card.title.clone(),
        card.album.clone().unwrap_or_default(),
        card.genres.join(", "),
        instrument.unwrap_or_default(),
        folder.unwrap_or_default(),
        card.bpm.map(|bpm| format!("{bpm:.0}")).unwrap_or_default(),
        card.key.map(|key| key.to_string()).unwrap_or_default(),
    ]
}

/// Prints songs with a heading, or as JSON, one a line.
pub(super) fn print(printer: &Printer, cards: &[Card]) -> Result<()> {
    if printer.json {
        return cards.iter().try_for_each(|card| printer.json(card));
    }
    let columns = std::iter::once(Column::text("id")).chain(SONG);
    let mut table = Table::headed(columns.chain([Column::number("length")]));
    for card in cards {
        let cells = cells(card).into_iter();
        table.row(std::iter::once(card.id.short()).chain(cells).chain([length_of(card)]));
    }
    printer.table(&table)
}

// Of a song that was imported without its audio it need not be known.
fn length_of(card: &Card) -> String {
    if card.duration > 0.0 { length(card.duration) } else { String::new() }
}
