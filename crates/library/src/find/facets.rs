//! Which values songs have that filters can name.

use std::collections::HashMap;

use serde::Serialize;
use songrec_core::{FIELDS, Filter, Job, SongSummary};
use songrec_storage::{Order, OrderBy, SongQuery};

use crate::{Library, Result, cluster};

/// Songs of one page.
const PAGE: usize = 1_000;

/// What filters can ask for.
#[derive(Clone, Debug, Serialize)]
pub struct Facets {
    /// Every key that filters know, such as `bpm`.
    pub keys: Vec<Facet>,
    /// How many songs were looked at.
    pub songs: u64,
}

/// One key of filters.
#[derive(Clone, Debug, Serialize)]
pub struct Facet {
    /// The key, such as `genre`.
    pub key: &'static str,
    /// The values that most songs have, these first; nothing for keys that take a range
    /// or words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<FacetValue>>,
    /// How many other values there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<usize>,
}

/// A value that songs have.
#[derive(Clone, Debug, Serialize)]
pub struct FacetValue {
    /// The value.
    pub value: String,
    /// How many songs have it.
    pub count: u64,
}

#[derive(Debug, Default)]
struct Counted(HashMap<String, u64>);

impl Counted {
    fn add(&mut self, value: &str) {
        match self.0.get_mut(value) {
            Some(count) => *count += 1,
            None => _ = self.0.insert(value.to_owned(), 1),
        }
    }

    fn facet(self, key: &'static str, most: usize) -> Facet {
        let mut values: Vec<FacetValue> =
            self.0.into_iter().map(|(value, count)| FacetValue { value, count }).collect();
        values.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        let more = values.len().saturating_sub(most);
        values.truncate(most);
        Facet { key, values: Some(values), more: (more > 0).then_some(more) }
    }
}

/// The keys of filters, each with at most `most` of the values that songs have which pass
/// `filter`. Reads a page for each thousand songs; clusters cost what
/// [`labels`](crate::labels()) costs. Nothing if it was interrupted.
///
/// # Errors
///
/// Those of the library.
pub async fn facets(
    library: &Library,
    filter: &Filter,
    most: usize,
    job: &Job,
) -> Result<Option<Facets>> {
    let mut counted: HashMap<&'static str, Counted> = HashMap::new();
    let mut songs = 0;
    let order = Order { by: OrderBy::Any, descending: false };
    let mut query =
        SongQuery { filter: filter.clone(), order, limit: PAGE, ..SongQuery::default() };
    loop {
        if job.is_interrupted() {
            return Ok(None);
        }
        let page = library.backend().songs().find_summaries(&query).await?;
        for summary in &page.items {
            songs += 1;
            count(&mut counted, summary);
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    let mut clusters = None;
    if let Some(clustering) = cluster::clustering(library).await? {
        let Some(labels) = cluster::labels(library, &clustering, job).await? else {
            return Ok(None);
        };
        let named = clustering.clusters.iter();
        let named = named.map(|cluster| (cluster.name.clone(), labels.size_of(cluster.id)));
        clusters = Some(Counted(named.collect()));
    }
    let keys = FIELDS.into_iter().filter(|key| *key != "text").map(|key| match key {
        "cluster" => clusters.take().unwrap_or_default().facet(key, most),
        "genre" | "artist" | "album" | "instrument" | "key" | "mood" | "warning" => {
            counted.remove(key).unwrap_or_default().facet(key, most)
        }
        key => Facet { key, values: None, more: None },
    });
    Ok(Some(Facets { keys: keys.collect(), songs }))
}

fn count(counted: &mut HashMap<&'static str, Counted>, summary: &SongSummary) {
    let mut add = |key, value: &str| counted.entry(key).or_default().add(value);
    summary.genres.iter().for_each(|genre| add("genre", genre));
    summary.moods.iter().for_each(|mood| add("mood", mood));
    summary.warnings.iter().for_each(|warning| add("warning", warning));
    summary.artist.iter().for_each(|artist| add("artist", artist));
    summary.album.iter().for_each(|album| add("album", album));
    summary.instrument.iter().for_each(|instrument| add("instrument", instrument));
    if let Some(key) = summary.key {
        add("key", &key.to_string());
    }
}
