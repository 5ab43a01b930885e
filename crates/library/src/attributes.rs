//! What is known of songs beside their vectors, in little memory.

use std::collections::HashMap;

use songrec_core::{Event, Filter, Job, Key, SongId, SongSummary, Work};
use songrec_storage::SongQuery;

use crate::{Library, Result};

/// Songs of one page.
const PAGE: usize = 1_000;

/// A text by its number.
pub(crate) type Text = u32;

/// What is known of many songs: about 100 bytes for each.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    songs: HashMap<SongId, SongAttributes>,
    texts: Vec<String>,
    numbers: HashMap<String, Text>,
}

/// What is known of one song.
#[derive(Clone, Debug, Default)]
pub(crate) struct SongAttributes {
    pub(crate) genres: Vec<Text>,
    pub(crate) moods: Vec<Text>,
    pub(crate) instrument: Option<Text>,
    pub(crate) artist: Option<Text>,
    pub(crate) album: Option<Text>,
    /// The folder of its first file.
    pub(crate) folder: Option<Text>,
    pub(crate) key: Option<Key>,
    pub(crate) bpm: Option<f32>,
    pub(crate) duration: f32,
    pub(crate) is_loop: Option<bool>,
}

impl Attributes {
    /// What is known of the songs that pass `filter`: a page of a thousand songs at a
    /// time. Nothing if it was interrupted.
    pub(crate) async fn read(
        library: &Library,
        filter: &Filter,
        job: &Job,
    ) -> Result<Option<Self>> {
        let mut attributes = Self::default();
        let total = library.backend().songs().count(filter).await?;
        job.on(Event::started(Work::ReadingSongs, Some(total)));
        let mut query = SongQuery { filter: filter.clone(), limit: PAGE, ..SongQuery::default() };
        loop {
            if job.is_interrupted() {
                return Ok(None);
            }
            let page = library.backend().songs().find_summaries(&query).await?;
            for summary in page.items {
                job.on(Event::Advanced { item: "", bytes: 0 });
                attributes.add(summary);
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        job.on(Event::Finished);
        Ok(Some(attributes))
    }

    pub(crate) fn add(&mut self, summary: SongSummary) {
        let folder = summary
            .path
            .as_deref()
            .and_then(|path| path.rsplit_once('/'))
            .map(|(folder, _)| folder);
        let song = SongAttributes {
            genres: summary.genres.iter().map(|text| self.number(text)).collect(),
            moods: summary.moods.iter().map(|text| self.number(text)).collect(),
            instrument: summary.instrument.as_deref().map(|text| self.number(text)),
            artist: summary.artist.as_deref().map(|text| self.number(text)),
            album: summary.album.as_deref().map(|text| self.number(text)),
            folder: folder.map(|text| self.number(text)),
            key: summary.key,
            bpm: summary.bpm.map(|bpm| bpm as f32),
            duration: summary.duration as f32,
            is_loop: summary.is_loop,
        };
        self.songs.insert(summary.id, song);
    }

    fn number(&mut self, text: &str) -> Text {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as Text;
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }

    /// What is known of a song.
    pub(crate) fn of(&self, song: SongId) -> Option<&SongAttributes> {
        self.songs.get(&song)
    }

    /// A text.
    pub(crate) fn text(&self, number: Text) -> &str {
        &self.texts[number as usize]
    }
}
