//! Which songs a library keeps copies of audio of: a person may want some without.

use serde::Serialize;
use songrec_core::{Field, Song, SongId};
use songrec_sync::{KEEP_AUDIO, keeps_audio_of};

use crate::{Library, Result, edit::update};

/// What became of the copies of audio that libraries keep.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KeptAudio {
    /// The songs for which that changed.
    pub songs: Vec<SongId>,
    /// The songs of which it was so already.
    pub already: Vec<SongId>,
    /// Bytes of the copies that no song names any more; garbage collection removes them.
    pub bytes: u64,
}

/// Lets go of the copies of audio that a library keeps of songs. The songs stay, with
/// their tags and embeddings, and so do their files on all machines.
///
/// That libraries are to keep no copy is noted with the song, as an edit: syncs carry it
/// on, and then no library keeps one, and no scan or sync stores another. The bytes go
/// with the next garbage collection, as others may name them until then.
///
/// # Errors
///
/// Those of the library. What was done until then is done; the same call goes on.
pub async fn drop_audio(library: &Library, songs: &[Song]) -> Result<KeptAudio> {
    let mut done = KeptAudio::default();
    for song in songs {
        let bytes = song.blob.as_ref().map_or(0, |blob| blob.size);
        if song.blob.is_none() && !keeps_audio_of(song) {
            done.already.push(song.id);
            continue;
        }
        update(library, song.id, |song| {
            let has_changed = song.blob.is_some() || keeps_audio_of(song);
            song.edits.set_value(field(), "no".into());
            song.blob = None;
            Ok(has_changed)
        })
        .await?;
        done.songs.push(song.id);
        done.bytes += bytes;
    }
    Ok(done)
}

/// Takes that back: the next scan of their files, or the next sync with a library that
/// can reach them, stores copies again.
///
/// # Errors
///
/// Those of the library.
pub async fn keep_audio(library: &Library, songs: &[Song]) -> Result<KeptAudio> {
    let mut done = KeptAudio::default();
    for song in songs {
        if keeps_audio_of(song) {
            done.already.push(song.id);
            continue;
        }
        update(library, song.id, |song| Ok(song.edits.reset(&field()))).await?;
        done.songs.push(song.id);
    }
    Ok(done)
}

fn field() -> Field {
    Field::Extra(KEEP_AUDIO.to_owned())
}
