//! Recordings that sound almost the same: re-encodings, edits, remasters.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use songrec_core::{Card, Event, Filter, ModelName, Progress, SongId};
use songrec_local::{LooseVectors, NearOptions, OnNeighbors};
use songrec_storage::{Neighbor, SongQuery};

use crate::{Error, Interrupt, Library, Result};

/// The lowest similarity of near duplicates if nobody says another one. By
/// `dsp45@1`, five encodings of 0.3 s of one sound have 0.96 and more; different
/// sounds of one kind, such as two snares, may have as much, so what is found is
/// worth a look and not to be deleted unheard.
pub const NEAR: f64 = 0.95;

/// Neighbors of each song that are looked at. Larger groups are found all the
/// same, because every song of them brings its own.
const NEIGHBORS: usize = 16;
/// Songs whose embeddings are read at once where they are not searched.
const READ: usize = 500;
/// Songs that one request to such a library reads.
const REQUEST: u64 = 100;

/// Which near duplicates are looked for.
#[derive(Clone, Debug)]
pub struct NearDuplicateOptions {
    /// The model to compare by; the one that searches use if it is not said.
    pub model: Option<ModelName>,
    /// The lowest similarity that counts.
    pub threshold: f64,
    /// Which songs are compared with each other.
    pub filter: Filter,
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
    pub card: Card,
}

impl Library {
    /// Every song compared with every other: groups of those that are almost
    /// the same, the most alike first. In a group each song is near to another
    /// one, but the first need not be near to the last.
    ///
    /// A local library is searched where it is, in about the time of one
    /// search for each song. The embeddings of one that is far away are read
    /// first, a hundred in a request, and compared on this machine; `progress`
    /// is told how many requests that takes. What is shown of the songs that
    /// are found takes one request more for each hundred of them.
    ///
    /// Nothing if it was interrupted.
    ///
    /// # Errors
    ///
    /// When no song was heard by the model, or the library cannot be read.
    pub async fn near_duplicates(
        &self,
        options: &NearDuplicateOptions,
        interrupt: &Interrupt,
        progress: &dyn Progress,
    ) -> Result<Option<Vec<NearDuplicates>>> {
        let model = match &options.model {
            Some(model) => model.clone(),
            None => self.search_model()?,
        };
        let near = NearOptions {
            model,
            k: NEIGHBORS,
            threshold: Some(options.threshold),
            filter: options.filter.clone(),
            stop: interrupt.flag(),
        };
        let groups = Arc::new(Mutex::new(Groups::default()));
        let told = Arc::clone(&groups);
        let on_found: OnNeighbors = Arc::new(move |song, neighbors| {
            told.lock().unwrap_or_else(PoisonError::into_inner).join(song, &neighbors);
        });
        let all = match &self.local {
            Some(local) => local.neighbors_of_all(&near, on_found, progress).await?,
            None => match self.loose_vectors(&near, interrupt, progress).await? {
                Some(vectors) => vectors.neighbors_of_all(&near, on_found, progress).await?,
                None => false,
            },
        };
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
                songs += group.len();
                some.push(group);
            }
            found.extend(self.with_cards(some).await?);
        }
        found.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        Ok(Some(found))
    }

    // Groups with what is shown of their songs; without those of which only
    // one song is still there.
    async fn with_cards(&self, groups: Vec<Vec<(SongId, f64)>>) -> Result<Vec<NearDuplicates>> {
        let ids: Vec<SongId> = groups.iter().flatten().map(|(id, _)| *id).collect();
        let mut songs = self.backend.get_songs(&ids).await?.into_iter();
        let mut found = Vec::new();
        for group in groups {
            let stored = songs.by_ref().take(group.len());
            let songs: Vec<NearDuplicate> = group
                .iter()
                .zip(stored)
                .filter_map(|((_, similarity), song)| {
                    Some(NearDuplicate { similarity: *similarity, card: Card::of(&song?) })
                })
                .collect();
            if songs.len() > 1 {
                let similarity = songs.last().map_or(0.0, |song| song.similarity);
                found.push(NearDuplicates { similarity, songs });
            }
        }
        Ok(found)
    }

    // The embeddings of a library that is far away, brought here; nothing if
    // that was interrupted.
    async fn loose_vectors(
        &self,
        near: &NearOptions,
        interrupt: &Interrupt,
        progress: &dyn Progress,
    ) -> Result<Option<LooseVectors>> {
        let name = &near.model;
        let models = self.backend.models().await?;
        let spec = models.iter().find(|spec| spec.name == *name).ok_or_else(|| {
            Error::not_found(format_args!("there is no model `{name}` here"))
                .with_hint("`songrec stats` lists the models; `--model` names another one")
        })?;
        let count = self.backend.count_songs(&near.filter).await?;
        if self.backend.capabilities().remote {
            let requests = count.div_ceil(READ as u64) + count.div_ceil(REQUEST);
            progress.on(Event::Note {
                text: &format!("reading the embeddings of {count} songs takes about {requests} requests, fewer if they were read before"),
            });
        }
        let vectors = LooseVectors::create(&self.config.directories().cache, spec).await?;
        progress.on(Event::Started { work: "reading embeddings", total: Some(count) });
        let filter = near.filter.clone();
        let mut query = SongQuery { filter, limit: READ, ..SongQuery::default() };
        loop {
            if interrupt.is_set() {
                return Ok(None);
            }
            let page = self.backend.find_cards(&query).await?;
            let heard = page.items.iter().filter(|card| card.models.contains(name));
            let ids: Vec<SongId> = heard.map(|card| card.id).collect();
            let stored = self.backend.get_embeddings(name, &ids).await?;
            let embeddings = stored.into_iter().flatten().map(|stored| stored.embedding);
            vectors.put(embeddings.map(|one| (one.song, one.vector)).collect()).await?;
            for card in &page.items {
                progress.on(Event::Advanced { item: &card.title, bytes: 0 });
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        progress.on(Event::Finished);
        Ok(Some(vectors))
    }
}

/// Songs that are joined to others, directly or through them: a forest (Galler
/// and Fischer 1964) in little memory, whatever the number of pairs.
#[derive(Debug, Default)]
struct Groups {
    numbers: HashMap<SongId, usize>,
    songs: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    id: SongId,
    parent: usize,
    /// How similar the nearest other one is.
    nearest: f64,
}

impl Groups {
    fn join(&mut self, song: SongId, neighbors: &[Neighbor]) {
        for neighbor in neighbors {
            let one = self.number(song);
            let other = self.number(neighbor.song);
            for member in [one, other] {
                let nearest = &mut self.songs[member].nearest;
                *nearest = nearest.max(neighbor.similarity);
            }
            let (one, other) = (self.root(one), self.root(other));
            self.songs[one].parent = other;
        }
    }

    fn number(&mut self, id: SongId) -> usize {
        let next = self.songs.len();
        let number = *self.numbers.entry(id).or_insert(next);
        if number == next {
            self.songs.push(Member { id, parent: next, nearest: f64::NEG_INFINITY });
        }
        number
    }

    fn root(&mut self, mut of: usize) -> usize {
        while self.songs[of].parent != of {
            let parent = self.songs[of].parent;
            self.songs[of].parent = self.songs[parent].parent;
            of = parent;
        }
        of
    }

    /// The groups, in each the songs with the nearest neighbors first.
    fn finish(mut self) -> Vec<Vec<(SongId, f64)>> {
        let mut groups: HashMap<usize, Vec<(SongId, f64)>> = HashMap::new();
        for member in 0..self.songs.len() {
            let root = self.root(member);
            let Member { id, nearest, .. } = self.songs[member];
            groups.entry(root).or_default().push((id, nearest));
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        for group in &mut groups {
            group.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        }
        // So that equal runs give equal answers.
        groups.sort_by_key(|group| group.first().map(|(id, _)| *id));
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> SongId {
        SongId::from_bytes([number; 16])
    }

    fn near(song: u8, similarity: f64) -> Neighbor {
        Neighbor { song: id(song), similarity, distance: 1.0 - similarity, key: None }
    }

    #[test]
    fn songs_are_grouped_through_others() {
        let mut groups = Groups::default();
        groups.join(id(1), &[near(2, 0.99)]);
        groups.join(id(7), &[near(8, 0.98)]);
        groups.join(id(2), &[near(1, 0.99), near(3, 0.97)]);
        groups.join(id(4), &[near(3, 0.975)]);

        let groups = groups.finish();

        assert_eq!(
            groups,
            [
                vec![(id(1), 0.99), (id(2), 0.99), (id(3), 0.975), (id(4), 0.975)],
                vec![(id(7), 0.98), (id(8), 0.98)]
            ]
        );
    }

    #[test]
    fn a_long_chain_is_one_group() {
        let mut groups = Groups::default();
        for number in 0..200 {
            groups.join(id(number), &[near(number + 1, 0.99)]);
        }

        assert_eq!(groups.finish().len(), 1);
    }
}
