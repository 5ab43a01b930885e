//! Callers that give up.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use songrec_core::{Embedding, OperationId};
use songrec_storage::{BlobSource, Outcome, PutMode, StorageBackend, StorageBackendExt, read_blob};

use crate::{audio, delete, new_blob, new_embedding, put, retagged, song, tiny_model, vector};

// Polls a future `polls` times, with a pause for others between, and drops it.
// Its answer, if it had come by then.
async fn give_up_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled =
            std::future::poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        if let Poll::Ready(answer) = polled {
            return Some(answer);
        }
        tokio::task::yield_now().await;
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
    None
}

const MOST_POLLS: usize = 6;

/// A write that is given up anywhere can be repeated, and then has happened
/// once; nobody ever sees a part of it.
pub async fn a_dropped_write_can_be_repeated(backend: &dyn StorageBackend) {
    for polls in 0..MOST_POLLS {
        let songs: Vec<_> = (0..5).map(|number| song(&format!("{polls} {number}"))).collect();
        let ids: Vec<_> = songs.iter().map(|song| song.id).collect();
        let creates: Vec<_> = songs.iter().map(|song| put(song, PutMode::Create)).collect();

        give_up_after(polls, backend.songs().put(&creates)).await;
        let seen = backend.songs().get(&ids).await.unwrap();
        for (seen, song) in seen.iter().zip(&songs) {
            assert!(seen.as_ref().is_none_or(|seen| seen == song), "part of a song: {seen:?}");
        }
        let outcomes = backend.songs().put(&creates).await.unwrap();
        assert!(outcomes.iter().all(Outcome::is_done), "after {polls} polls: {outcomes:?}");

        let edits: Vec<_> = songs.iter().map(retagged).collect();
        let replaces: Vec<_> = edits
            .iter()
            .zip(&songs)
            .map(|(edit, song)| put(edit, PutMode::Replace(song.revision.operation)))
            .collect();
        give_up_after(polls, backend.songs().put(&replaces)).await;
        let outcomes = backend.songs().put(&replaces).await.unwrap();
        assert!(outcomes.iter().all(Outcome::is_done), "after {polls} polls: {outcomes:?}");
        let stored = backend.songs().get(&ids).await.unwrap();
        assert_eq!(stored, edits.into_iter().map(Some).collect::<Vec<_>>());
    }
}

/// The same for a deletion: it happens, once, and its tombstone is one.
pub async fn a_dropped_deletion_can_be_repeated(backend: &dyn StorageBackend) {
    for polls in 0..MOST_POLLS {
        let one = song(&polls.to_string());
        backend.put_song(&one, PutMode::Create).await.unwrap();
        let mut deletion = delete(one.id);
        deletion.version = Some(one.revision.operation);

        give_up_after(polls, backend.songs().delete(std::slice::from_ref(&deletion))).await;

        let outcomes = backend.songs().delete(&[deletion]).await.unwrap();
        assert_eq!(outcomes, [Outcome::Done], "after {polls} polls");
        assert_eq!(backend.get_song(one.id).await.unwrap(), None);
    }
    assert_eq!(super::change::all_changes(backend, 3).await.len(), MOST_POLLS);
}

/// Objects that were given up are garbage at worst, and storing them again is
/// always safe.
pub async fn dropped_objects_can_be_stored_again(backend: &dyn StorageBackend) {
    let model = tiny_model();
    for polls in 0..MOST_POLLS {
        give_up_after(polls, backend.embeddings().put_model(&model)).await;
    }
    backend.embeddings().put_model(&model).await.unwrap();
    for polls in 0..MOST_POLLS {
        let mut one = song(&polls.to_string());
        let values = [polls as f32 + 1.0; 8];
        let embedding =
            Embedding { song: one.id, model: model.name.clone(), vector: vector(&values) };
        let new = [new_embedding(&one, embedding.clone())];

        give_up_after(polls, backend.embeddings().put(&new)).await;
        let references = backend.embeddings().put(&new).await.unwrap();
        one.embeddings.insert(model.name.clone(), references[0].clone());
        if backend.capabilities().keeps_audio {
            let bytes = audio(300_000, polls as u64);
            let blob = new_blob(&bytes);
            give_up_after(polls, backend.blobs().put(&blob, in_pieces(&bytes))).await;
            one.blob = Some(backend.blobs().put(&blob, in_pieces(&bytes)).await.unwrap());
            let stored = backend.blobs().get(one.blob.as_ref().unwrap(), None).await.unwrap();
            assert_eq!(read_blob(stored.unwrap()).await.unwrap(), bytes);
        }
        backend.put_song(&one, PutMode::Create).await.unwrap();

        let stored = backend.get_embedding(&model.name, one.id).await.unwrap().unwrap();
        assert_eq!(stored.embedding, embedding, "after {polls} polls");
    }
}

fn in_pieces(bytes: &Bytes) -> BlobSource {
    let pieces: Vec<_> = bytes.chunks(50_000).map(|piece| Ok(bytes.slice_ref(piece))).collect();
    BlobSource::Stream(stream::iter(pieces).boxed())
}

/// Reads that are given up leave nothing behind that others would notice.
pub async fn a_dropped_read_harms_nobody(backend: &dyn StorageBackend) {
    let one = song("one");
    backend.put_song(&one, PutMode::Create).await.unwrap();
    let query = songrec_storage::SongQuery { limit: 5, ..Default::default() };

    for polls in 0..MOST_POLLS {
        give_up_after(polls, backend.songs().get(&[one.id])).await;
        give_up_after(polls, backend.songs().find(&query)).await;
        give_up_after(polls, backend.maintenance().changes(None, 5)).await;
        give_up_after(
            polls,
            backend.documents().delete(
                songrec_core::DocumentKind::Playlist,
                "none",
                OperationId::random(),
            ),
        )
        .await;
    }

    assert_eq!(backend.get_song(one.id).await.unwrap(), Some(one.clone()));
    let edited = retagged(&one);
    backend.put_song(&edited, PutMode::Replace(one.revision.operation)).await.unwrap();
    assert_eq!(backend.get_song(one.id).await.unwrap(), Some(edited));
}
