//! What is shown of the songs of a map.

use std::{collections::HashSet, sync::Arc};

use songrec_core::{Event, Filter, Job, Key, SongId, SongSummary, Work};
use songrec_storage::{Order, OrderBy, SongQuery};

use super::Map;
use crate::{AnomalyMethod, Library, Property, Result, cluster, decision_scores};

/// Songs of one page.
const PAGE: usize = 1_000;

/// A song of a map: about 200 bytes, because there may be a million of them. Songs
/// share texts that they have in common.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are the usual tags")]
pub struct MapSong {
    pub title: Box<str>,
    pub artist: Option<Arc<str>>,
    pub album: Option<Arc<str>>,
    /// The first one.
    pub genre: Option<Arc<str>>,
    pub instrument: Option<Arc<str>>,
    pub key: Option<Key>,
    pub bpm: Option<f64>,
    /// In seconds.
    pub duration: f64,
    pub path: Option<Box<str>>,
    /// The number of its cluster.
    pub cluster: Option<u32>,
    /// How unlike the others it is: below 0 for anomalies.
    pub anomaly: Option<f64>,
}

/// A map, with what is shown of its songs.
#[derive(Clone, Debug, PartialEq)]
pub struct MapData {
    /// The places.
    pub map: Map,
    /// What the colors mean.
    pub color: Property,
    /// What the library is called.
    pub library: String,
    /// The songs, in the order of the map; nothing for one that was deleted meanwhile.
    pub songs: Vec<Option<MapSong>>,
    /// The clusters: their numbers and names.
    pub clusters: Vec<(u32, String)>,
}

impl MapData {
    /// What is shown of the songs of `map`. Reads a page for each thousand songs that
    /// pass `filter`; clusters cost what [`labels`](crate::labels()) costs, and anomalies
    /// what [`anomalies`](crate::anomalies()) costs. Nothing if it was interrupted.
    ///
    /// # Errors
    ///
    /// Those of the library; and for a property that is not one of
    /// [`Property::COLORS`].
    pub async fn read(
        library: &Library,
        map: Map,
        color: Property,
        filter: &Filter,
        job: &Job,
    ) -> Result<Option<Self>> {
        color.check(&Property::COLORS)?;
        let mut by_id: Vec<u32> = (0..map.songs.len() as u32).collect();
        by_id.sort_unstable_by_key(|number| map.songs[*number as usize]);
        let number_of = |song: &SongId| {
            let at = by_id.binary_search_by_key(song, |number| map.songs[*number as usize]);
            at.ok().map(|at| by_id[at] as usize)
        };
        let mut songs: Vec<Option<MapSong>> = vec![None; map.songs.len()];
        let mut texts = HashSet::new();
        let order = Order { by: OrderBy::Any, descending: false };
        let mut query =
            SongQuery { filter: filter.clone(), order, limit: PAGE, ..SongQuery::default() };
        job.on(Event::started(Work::ReadingSongs, Some(map.songs.len() as u64)));
        loop {
            if job.is_interrupted() {
                return Ok(None);
            }
            let page = library.backend().songs().find_summaries(&query).await?;
            for summary in page.items {
                if let Some(number) = number_of(&summary.id) {
                    songs[number] = Some(song(summary, &mut texts));
                    job.on(Event::Advanced { item: "", bytes: 0 });
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        job.on(Event::Finished);
        let mut data =
            Self { color, library: library.place().to_owned(), songs, clusters: Vec::new(), map };
        if !data.add_clusters(library, job).await? {
            return Ok(None);
        }
        if color == Property::Anomaly && !data.add_anomalies(library, filter, job).await? {
            return Ok(None);
        }
        Ok(Some(data))
    }

    async fn add_clusters(&mut self, library: &Library, job: &Job) -> Result<bool> {
        let Some(clustering) = cluster::clustering(library).await? else { return Ok(true) };
        let Some(labels) = cluster::labels(library, &clustering, job).await? else {
            return Ok(false);
        };
        for (id, song) in self.map.songs.iter().zip(&mut self.songs) {
            if let Some(song) = song {
                song.cluster = labels.of(*id);
            }
        }
        self.clusters =
            clustering.clusters.into_iter().map(|cluster| (cluster.id, cluster.name)).collect();
        Ok(true)
    }

    async fn add_anomalies(
        &mut self,
        library: &Library,
        filter: &Filter,
        job: &Job,
    ) -> Result<bool> {
        let (model, method) = (&self.map.model, AnomalyMethod::Forest);
        let scores = decision_scores(library, model, method, filter, self.map.seed, job).await?;
        let Some(scores) = scores else { return Ok(false) };
        for (id, song) in self.map.songs.iter().zip(&mut self.songs) {
            if let Some(song) = song {
                song.anomaly = scores.get(id).copied();
            }
        }
        Ok(true)
    }
}

// What is shown of a song; `texts` holds those that songs share.
fn song(summary: SongSummary, texts: &mut HashSet<Arc<str>>) -> MapSong {
    let mut shared = |text: Option<String>| {
        let text = text?;
        if let Some(known) = texts.get(text.as_str()) {
            return Some(Arc::clone(known));
        }
        let text: Arc<str> = text.into();
        texts.insert(Arc::clone(&text));
        Some(text)
    };
    MapSong {
        title: summary.title.into(),
        artist: shared(summary.artist),
        album: shared(summary.album),
        genre: shared(summary.genres.into_iter().next()),
        instrument: shared(summary.instrument),
        key: summary.key,
        bpm: summary.bpm,
        duration: summary.duration,
        path: summary.path.map(Into::into),
        cluster: None,
        anomaly: None,
    }
}
