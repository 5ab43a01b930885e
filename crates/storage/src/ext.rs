//! Convenient spellings of the contract.

use async_trait::async_trait;
use songrec_core::{ModelName, Song, SongId};

use crate::{
    Error, ErrorKind, NearestQuery, Neighbor, Outcome, OverFetch, PutMode, PutSong, Result,
    StorageBackend, StoredEmbedding, take_passing,
};

/// What every backend can do beyond what it must provide.
#[async_trait]
pub trait StorageBackendExt: StorageBackend {
    /// The song with this id.
    async fn get_song(&self, id: SongId) -> Result<Option<Song>> {
        Ok(self.songs().get(&[id]).await?.pop().flatten())
    }

    /// The songs with these ids, without those that are damaged or of a newer
    /// version: they are left out, and the log names them. For answers that one
    /// bad song must not keep from all others.
    async fn get_readable_songs(&self, ids: &[SongId]) -> Result<Vec<Option<Song>>> {
        match self.songs().get(ids).await {
            Err(error) if is_damage(&error) => {}
            songs => return songs,
        }
        let mut songs = Vec::with_capacity(ids.len());
        for id in ids {
            songs.push(match self.get_song(*id).await {
                Err(error) if is_damage(&error) => {
                    tracing::warn!("song `{id}` was left out: {error}");
                    None
                }
                song => song?,
            });
        }
        Ok(songs)
    }

    /// Stores one song.
    ///
    /// # Errors
    ///
    /// `Conflict` if its mode does not allow it; the stored song is unchanged.
    async fn put_song(&self, song: &Song, mode: PutMode) -> Result<()> {
        let put = PutSong { song: song.clone(), mode, origin: None };
        match self.songs().put(&[put]).await?.pop() {
            Some(Outcome::Conflict(_)) => Err(Error::new(
                ErrorKind::Conflict,
                "store",
                format_args!("song `{}`", song.id.short()),
                self,
            )
            .because("another version is stored")
            .with_hint("read the song again and repeat the change")),
            Some(Outcome::Done) | None => Ok(()),
        }
    }

    /// The embedding of one song.
    async fn get_embedding(
        &self,
        model: &ModelName,
        song: SongId,
    ) -> Result<Option<StoredEmbedding>> {
        Ok(self.embeddings().get(model, &[song]).await?.pop().flatten())
    }

    /// The nearest songs themselves: neighbors that
    /// [`nearest`](crate::EmbeddingStore::nearest) found, confirmed against their
    /// songs, with as many as were asked for if there are as many. A song that
    /// cannot be read is no neighbor.
    ///
    /// Costs one search and one read of songs, and the same for twice as many
    /// neighbors whenever leftovers of a crash made it too few.
    async fn nearest_songs(&self, query: &NearestQuery) -> Result<Vec<(Neighbor, Song)>> {
        if query.k == 0 {
            return Ok(Vec::new());
        }
        // Leftovers count against the offset too, so everything before the
        // page has to be looked at to know where the page begins.
        let plan = OverFetch::new(query.offset.saturating_add(query.k));
        let nearest = |k| async move {
            self.embeddings().nearest(&NearestQuery { k, offset: 0, ..query.clone() }).await
        };
        let taken = take_passing(plan, nearest, |found| confirm(self, &query.model, found)).await?;
        Ok(taken.items.into_iter().skip(query.offset).collect())
    }
}

impl<B: StorageBackend + ?Sized> StorageBackendExt for B {}

/// The nearest songs, some at a time, for whoever cannot say beforehand how many
/// it takes: songs are read as they are asked for, and looked for in larger and
/// larger searches.
#[derive(Debug)]
pub struct NearestSongs<'a, B: ?Sized> {
    backend: &'a B,
    query: NearestQuery,
    // What the last search found that is not read yet, nearest last.
    waiting: Vec<Neighbor>,
    is_all: bool,
}

impl<'a, B: StorageBackend + ?Sized> NearestSongs<'a, B> {
    /// Songs near to what `query` says. The first search looks for its `k` past its
    /// `offset`, each further one for as many as were found before.
    pub fn new(backend: &'a B, query: NearestQuery) -> Self {
        Self { backend, query, waiting: Vec::new(), is_all: false }
    }

    /// The next `count` songs; fewer only if there are no more. Neighbors are
    /// confirmed as [`nearest_songs`](StorageBackendExt::nearest_songs) does.
    ///
    /// Costs one read of songs, and a search where the last one found too few.
    ///
    /// # Errors
    ///
    /// Those of the search and of reading.
    pub async fn next(&mut self, count: usize) -> Result<Vec<(Neighbor, Song)>> {
        let mut songs = Vec::new();
        while songs.len() < count {
            if self.waiting.is_empty() && !self.search(count).await? {
                break;
            }
            let rest = self.waiting.len().saturating_sub(count - songs.len());
            let mut some = self.waiting.split_off(rest);
            some.reverse();
            songs.extend(confirm(self.backend, &self.query.model, some).await?);
        }
        Ok(songs)
    }

    // Whether there is anything more.
    async fn search(&mut self, count: usize) -> Result<bool> {
        if self.is_all {
            return Ok(false);
        }
        self.query.k = self.query.k.max(count);
        let mut found = self.backend.embeddings().nearest(&self.query).await?;
        self.is_all = found.len() < self.query.k;
        self.query.offset += found.len();
        self.query.k = self.query.k.max(self.query.offset);
        found.reverse();
        self.waiting = found;
        Ok(!self.waiting.is_empty())
    }
}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible)
}

// The neighbors whose songs name what was found, with these songs.
async fn confirm<B: StorageBackend + ?Sized>(
    backend: &B,
    model: &ModelName,
    found: Vec<Neighbor>,
) -> Result<Vec<(Neighbor, Song)>> {
    let ids: Vec<SongId> = found.iter().map(|neighbor| neighbor.song).collect();
    let songs = backend.get_readable_songs(&ids).await?;
    let confirmed = found.into_iter().zip(songs).filter_map(|(neighbor, song)| {
        let song = song?;
        let named = song.embeddings.get(model)?;
        (named.key == neighbor.key).then_some((neighbor, song))
    });
    Ok(confirmed.collect())
}
