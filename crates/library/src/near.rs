//! Recordings that sound almost the same: re-encodings, edits, remasters.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use serde::Serialize;
use songrec_core::{Filter, Job, ModelName, SongId, SongSummary};
use songrec_storage::{NearestQuery, StorageBackendExt};

use crate::{Library, Result, TIMBRE, points::points};

/// The lowest similarity of near duplicates if nobody says another one. By
/// `dsp45@1`, five encodings of 0.3 s of one sound have 0.96 and more; different
/// sounds of one kind, such as two snares, may have as much, so what is found is
/// worth a look before it is deleted.
pub const NEAR: f64 = 0.95;

/// How much longer one of two encodings of a recording may be than the other,
/// as a part of it, unless any length counts: remasters begin and end
/// elsewhere.
const LONGER: f64 = 0.1;
/// The same in seconds, for short sounds: encoders add some thousand samples of
/// silence.
const PADDED: f64 = 0.07;

/// Neighbors of each song that are looked at. Larger groups are found all the
/// same, because every song of them brings its own.
const NEIGHBORS: usize = 16;
/// Songs of which what is shown is read at once.
const READ: usize = 500;
/// Searches in a library that is far away, at once.
const SEARCHES: usize = 8;

/// Which near duplicates are looked for.
#[derive(Clone, Debug)]
pub struct NearDuplicateOptions {
    /// The model to compare by; if none is given, the configured one, or `dsp45@1`.
    pub model: Option<ModelName>,
    /// The lowest similarity that counts.
    pub threshold: f64,
    /// Which songs are compared with each other.
    pub filter: Filter,
    /// Whether songs of different lengths count, such as edits, too.
    pub any_length: bool,
}

/// Songs that are almost the same, the most alike first.
#[derive(Clone, Debug, Serialize)]
pub struct NearDuplicates {
    /// How similar the least similar of them is to any other of them.
    pub similarity: f64,
    /// The songs.
    pub songs: Vec<NearDuplicate>,
}

/// One of several songs that are almost the same.
#[derive(Clone, Debug, Serialize)]
pub struct NearDuplicate {
    /// How similar it is to the nearest of the others.
    pub similarity: f64,
    /// The song.
    #[serde(flatten)]
    pub summary: SongSummary,
}

/// The model by which near duplicates are found if nobody says another one. That of
/// searches hears what kind of a sound it is: two kicks of two makers are as near by it
/// as two encodings of one. The measured values tell them apart.
async fn near_model(library: &Library) -> Result<ModelName> {
    let usual = library.search_model().await?;
    if usual.as_str() != TIMBRE || library.is_model_chosen() {
        return Ok(usual);
    }
    let known = library.backend.embeddings().models().await?;
    let measured = known.into_iter().find(|spec| spec.name.as_str() == "dsp45@1");
    Ok(measured.map_or(usual, |spec| spec.name))
}

/// Every song compared with every other: groups of those that are almost
/// the same, and almost equally long, the most alike first. In a group each
/// song is near to another one, but the first need not be near to the last.
///
/// Costs what [`points`] and [`Points::neighbors_of_all`] cost; what is shown
/// of the songs that are found takes one request more for each hundred of
/// them.
///
/// [`Points::neighbors_of_all`]: crate::Points::neighbors_of_all
///
/// Nothing if it was interrupted.
///
/// # Errors
///
/// When no song was embedded by the model, or the library cannot be read.
pub async fn near_duplicates(
    library: &Library,
    options: &NearDuplicateOptions,
    job: &Job,
) -> Result<Option<Vec<NearDuplicates>>> {
    let model = match &options.model {
        Some(model) => model.clone(),
        None => near_model(library).await?,
    };
    let Some(points) = points(library, Some(&model), &options.filter, job).await? else {
        return Ok(None);
    };
    let groups = Arc::new(Mutex::new(Groups::default()));
    let told = Arc::clone(&groups);
    let on_found = move |song, neighbors: Vec<(SongId, f64)>| {
        let mut groups = told.lock().unwrap_or_else(PoisonError::into_inner);
        for (neighbor, similarity) in neighbors {
            groups.join(song, neighbor, similarity);
        }
    };
    let all = points.neighbors_of_all(NEIGHBORS, Some(options.threshold), on_found, job).await?;
    if !all {
        return Ok(None);
    }
    let groups = std::mem::take(&mut *groups.lock().unwrap_or_else(PoisonError::into_inner));
    let mut found = Vec::new();
    let mut groups = groups.finish().into_iter().peekable();
    while groups.peek().is_some() {
        let (mut some, mut songs) = (Vec::new(), 0);
        while songs < READ
            && let Some(group) = groups.next()
        {
            songs += group.songs.len();
            some.push(group);
        }
        found.extend(with_summaries(library, some, options.any_length).await?);
    }
    found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
    Ok(Some(found))
}

/// How many of these songs sound almost the same as another one of the library, by the
/// model that searches use. A search for each of them; none where no model embedded them.
pub(crate) async fn with_near_duplicates(library: &Library, songs: &[SongId]) -> Result<u64> {
    let model = near_model(library).await?;
    let models = library.backend().embeddings().models().await?;
    if models.iter().all(|spec| spec.name != model) {
        return Ok(0);
    }
    // What comes over a network is waited for, and what is here takes a core.
    let at_once = if library.is_remote() { SEARCHES } else { 1 };
    let mut count = 0;
    for ids in songs.chunks(READ) {
        let read = library.each_song(ids).await?;
        let songs = read.into_iter().flatten().flatten().filter(|song| !song.is_silent());
        let lengths: HashMap<SongId, f64> =
            songs.map(|song| (song.id, SongSummary::of(&song).duration)).collect();
        let stored = library.backend().embeddings().get(&model, ids).await?;
        let mut searches = Vec::new();
        for (id, stored) in ids.iter().zip(stored) {
            let (Some(stored), Some(length)) = (stored, lengths.get(id)) else { continue };
            let mut query = NearestQuery::new(model.clone(), stored.embedding.vector, 3);
            query.threshold = Some(NEAR);
            query.exclude.push(*id);
            searches.push(has_equally_long(library, query, *length).boxed());
        }
        let mut searches = stream::iter(searches).buffer_unordered(at_once);
        while let Some(is_near) = searches.try_next().await? {
            count += u64::from(is_near);
        }
    }
    Ok(count)
}

async fn has_equally_long(library: &Library, query: NearestQuery, length: f64) -> Result<bool> {
    let found = library.backend().nearest_songs(&query).await?;
    Ok(found.iter().any(|(_, song)| equally_long(length, SongSummary::of(song).duration)))
}

// Groups with what is shown of their songs; without songs that are gone, and
// pairs of which one is much longer.
async fn with_summaries(
    library: &Library,
    groups: Vec<Group>,
    any_length: bool,
) -> Result<Vec<NearDuplicates>> {
    let ids: Vec<SongId> =
        groups.iter().flat_map(|group| &group.songs).map(|(id, _)| *id).collect();
    let songs = library.backend.songs().get(&ids).await?;
    // One silence is like every other.
    let audible = songs.iter().flatten().filter(|song| !song.is_silent());
    let summaries: HashMap<SongId, SongSummary> =
        audible.map(|song| (song.id, SongSummary::of(song))).collect();
    let mut kept = Groups::default();
    for (one, other, similarity) in groups.into_iter().flat_map(|group| group.pairs) {
        if let (Some(a), Some(b)) = (summaries.get(&one), summaries.get(&other))
            && (any_length || equally_long(a.duration, b.duration))
        {
            kept.join(one, other, similarity);
        }
    }
    let groups = kept.finish().into_iter().map(|group| NearDuplicates {
        similarity: group.songs.last().map_or(0.0, |(_, similarity)| *similarity),
        songs: group
            .songs
            .iter()
            .filter_map(|(id, similarity)| {
                let summary = summaries.get(id)?.clone();
                Some(NearDuplicate { similarity: *similarity, summary })
            })
            .collect(),
    });
    Ok(groups.collect())
}

/// Whether two recordings may be one, by their lengths in seconds.
fn equally_long(one: f64, other: f64) -> bool {
    (one - other).abs() <= (LONGER * one.max(other)).max(PADDED)
}

/// Songs that are joined to others, directly or through them: a forest (Galler
/// and Fischer 1964).
#[derive(Debug, Default)]
struct Groups {
    numbers: HashMap<SongId, u32>,
    songs: Vec<Member>,
    pairs: Vec<(u32, u32, f64)>,
}

#[derive(Debug)]
struct Member {
    id: SongId,
    parent: u32,
    /// How similar the nearest other one is.
    nearest: f64,
}

/// Some songs that are joined.
#[derive(Debug, Default, PartialEq)]
struct Group {
    /// Each with how similar the nearest of the others is, the nearest first.
    songs: Vec<(SongId, f64)>,
    /// Which two were joined.
    pairs: Vec<(SongId, SongId, f64)>,
}

impl Groups {
    fn join(&mut self, one: SongId, other: SongId, similarity: f64) {
        let (one, other) = (self.number(one), self.number(other));
        self.pairs.push((one, other, similarity));
        for member in [one, other] {
            let nearest = &mut self.songs[member as usize].nearest;
            *nearest = nearest.max(similarity);
        }
        let (one, other) = (self.root(one), self.root(other));
        self.songs[one as usize].parent = other;
    }

    fn number(&mut self, id: SongId) -> u32 {
        let next = self.songs.len() as u32;
        let number = *self.numbers.entry(id).or_insert(next);
        if number == next {
            self.songs.push(Member { id, parent: next, nearest: f64::NEG_INFINITY });
        }
        number
    }

    fn root(&mut self, mut of: u32) -> u32 {
        loop {
            let parent = self.songs[of as usize].parent;
            if parent == of {
                return of;
            }
            let above = self.songs[parent as usize].parent;
            self.songs[of as usize].parent = above;
            of = above;
        }
    }

    fn finish(mut self) -> Vec<Group> {
        let mut groups: HashMap<u32, Group> = HashMap::new();
        for member in 0..self.songs.len() as u32 {
            let root = self.root(member);
            let Member { id, nearest, .. } = self.songs[member as usize];
            groups.entry(root).or_default().songs.push((id, nearest));
        }
        for (one, other, similarity) in std::mem::take(&mut self.pairs) {
            let [one_id, other_id] = [one, other].map(|number| self.songs[number as usize].id);
            let group = groups.entry(self.root(one)).or_default();
            group.pairs.push((one_id, other_id, similarity));
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        for group in &mut groups {
            group.songs.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        }
        // So that equal runs give equal answers.
        groups.sort_by_key(|group| group.songs.first().map(|(id, _)| *id));
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> SongId {
        SongId::from_bytes([number; 16])
    }

    #[test]
    fn songs_are_grouped_through_others() {
        let mut groups = Groups::default();
        let pairs = [(1, 2, 0.99), (7, 8, 0.98), (2, 1, 0.99), (2, 3, 0.97), (4, 3, 0.975)];
        for (one, other, similarity) in pairs {
            groups.join(id(one), id(other), similarity);
        }

        let groups = groups.finish();

        assert_eq!(
            groups.iter().map(|group| group.songs.clone()).collect::<Vec<_>>(),
            [
                vec![(id(1), 0.99), (id(2), 0.99), (id(3), 0.975), (id(4), 0.975)],
                vec![(id(7), 0.98), (id(8), 0.98)]
            ]
        );
        assert_eq!(groups[1].pairs, [(id(7), id(8), 0.98)]);
        assert_eq!(groups[0].pairs.len(), 4);
    }

    #[test]
    fn a_long_chain_is_one_group() {
        let mut groups = Groups::default();
        for number in 0..200 {
            groups.join(id(number), id(number + 1), 0.99);
        }

        assert_eq!(groups.finish().len(), 1);
    }

    #[test]
    fn encodings_are_equally_long_and_other_sounds_are_not() {
        // An MP3 with its padding, a remaster with a shorter end.
        assert!(equally_long(0.3, 0.36) && equally_long(241.0, 236.5));
        assert!(!equally_long(0.3, 0.5) && !equally_long(241.0, 205.0));
        assert!(equally_long(0.0, 0.0));
    }
}
