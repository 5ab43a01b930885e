//! Convenient spellings of the contract.

use async_trait::async_trait;
use songrec_core::{ModelName, Song, SongId};

use crate::{
    Error, ErrorKind, NearestQuery, Neighbor, Outcome, PutMode, PutSong, Result, StorageBackend,
    StoredEmbedding,
};

/// A search hit with its song.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundNeighbor {
    /// The song, which names the embedding that was found.
    pub song: Song,
    /// Higher is closer.
    pub similarity: f64,
    /// Lower is closer.
    pub distance: f64,
}

/// What every backend can do beyond what it must provide.
#[async_trait]
pub trait StorageBackendExt: StorageBackend {
    /// The song with this id.
    async fn get_song(&self, id: SongId) -> Result<Option<Song>> {
        Ok(self.songs().get(&[id]).await?.pop().flatten())
    }

    /// The songs with these ids, without those that are damaged or of a newer
    /// version: they are left out, and the log says so. For answers that one
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

    /// The nearest songs themselves: hits of
    /// [`EmbeddingStore::nearest`](crate::EmbeddingStore::nearest) confirmed against their songs, with as many as were asked for if there
    /// are as many. A song that cannot be read is no hit.
    ///
    /// Costs one search and one read of songs, and the same for twice as many
    /// hits whenever leftovers of a crash made it too few.
    async fn nearest_songs(&self, query: &NearestQuery) -> Result<Vec<FoundNeighbor>> {
        if query.k == 0 {
            return Ok(Vec::new());
        }
        // Leftovers count against the offset too, so everything before the
        // page has to be looked at to know where the page begins.
        let wanted = query.offset.saturating_add(query.k);
        let mut ask = wanted;
        loop {
            let unconfirmed = self
                .embeddings()
                .nearest(&NearestQuery { k: ask, offset: 0, ..query.clone() })
                .await?;
            let exhausted = unconfirmed.len() < ask;
            let found = confirm(self, &query.model, unconfirmed).await?;
            if found.len() >= wanted || exhausted {
                return Ok(found.into_iter().skip(query.offset).take(query.k).collect());
            }
            ask = ask.saturating_mul(2);
        }
    }
}

impl<B: StorageBackend + ?Sized> StorageBackendExt for B {}

fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Incompatible)
}

async fn confirm<B: StorageBackend + ?Sized>(
    backend: &B,
    model: &ModelName,
    hits: Vec<Neighbor>,
) -> Result<Vec<FoundNeighbor>> {
    let ids: Vec<SongId> = hits.iter().map(|hit| hit.song).collect();
    let songs = backend.get_readable_songs(&ids).await?;
    let found = hits.into_iter().zip(songs).filter_map(|(hit, song)| {
        let song = song?;
        let confirmed = song.embeddings.get(model).is_some_and(|named| named.key == hit.key);
        confirmed.then_some(FoundNeighbor {
            song,
            similarity: hit.similarity,
            distance: hit.distance,
        })
    });
    Ok(found.collect())
}
