//! The songs that a command is about, and how a list of songs looks.

use anyhow::Result;
use songrec_core::{Card, Song};
use songrec_library::Library;
use songrec_storage::SongQuery;

use crate::{
    args::FilterArgs,
    printer::{Printer, Table},
};

/// The songs with these names, and all that pass the filter if one is given.
pub(super) async fn songs(
    library: &Library,
    names: &[String],
    filter: &FilterArgs,
) -> Result<Vec<Song>> {
    let mut songs: Vec<Song> = Vec::new();
    for song in library.songs(names).await? {
        if !songs.iter().any(|known| known.id == song.id) {
            songs.push(song);
        }
    }
    let filter = filter.filter().map_err(wrong_filter)?;
    if filter.is_all() {
        return Ok(songs);
    }
    if !names.is_empty() {
        // Both narrow down: the named songs that pass.
        songs.retain(|song| filter.passes(&Card::of(song)));
        return Ok(songs);
    }
    let mut query = SongQuery { filter, limit: 500, ..SongQuery::default() };
    loop {
        let page =
            library.backend().find_songs(&query).await.map_err(songrec_library::Error::from)?;
        songs.extend(page.items);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(songs),
        }
    }
}

pub(super) fn wrong_filter(error: songrec_core::InvalidFilter) -> songrec_library::Error {
    songrec_library::Error::usage(error)
        .with_hint("a filter is such as `bpm:120..130`, `genre:techno,house`, `key:~8A` or words")
}

/// What a list shows of a song, after its number or id.
pub(super) fn cells(card: &Card) -> [String; 6] {
    [
        card.artist.clone().unwrap_or_default(),
        card.title.clone(),
        card.album.clone().unwrap_or_default(),
        card.genres.join(", "),
        card.bpm.map(|bpm| format!("{bpm:.0}")).unwrap_or_default(),
        card.key.map(|key| key.to_string()).unwrap_or_default(),
    ]
}

/// Prints songs with a heading, or as JSON, one a line.
pub(super) fn print(printer: &Printer, cards: &[Card]) -> Result<()> {
    if printer.json {
        return cards.iter().try_for_each(|card| printer.json(card));
    }
    let mut table = Table::with_numbers_at(&[5, 7]);
    table.row(
        ["id", "artist", "title", "album", "genre", "bpm", "key", "length"].map(str::to_owned),
    );
    for card in cards {
        let cells = cells(card).into_iter();
        table.row(std::iter::once(card.id.short()).chain(cells).chain([length(card.duration)]));
    }
    for (number, line) in table.lines().iter().enumerate() {
        printer.line(if number == 0 { printer.dim(line) } else { line.clone() })?;
    }
    Ok(())
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
