//! How songs look in lists.

use anyhow::Result;
use songrec_core::{Card, decode_path};

use crate::{
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

/// A duration for people.
pub(crate) fn length(seconds: f64) -> String {
    let whole = seconds.max(0.0);
    match whole {
        short if short < 10.0 => format!("{short:.2} s"),
        long if long < 3600.0 => format!("{}:{:02}", long as u64 / 60, long as u64 % 60),
        hours => {
            let seconds = hours as u64;
            format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
    }
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `one song`, `2 songs`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_sizes_are_for_people() {
        assert_eq!(length(0.5), "0.50 s");
        assert_eq!(length(75.9), "1:15");
        assert_eq!(length(3723.0), "1:02:03");
        assert_eq!(size(12), "12 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(counted(1, "song"), "1 song");
        assert_eq!(counted(0, "song"), "0 songs");
    }
}
