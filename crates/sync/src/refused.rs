//! Songs that one side stores and cannot read, because they are damaged or of a
//! later format: they are told, and nothing is carried in their side.

use std::collections::{BTreeMap, HashMap};

use songrec_core::{Hint, Piece, Remedy, Song, SongId};
use songrec_storage::{Error, ErrorKind, StorageBackend, UnreadableSong};

use crate::{
    Failure,
    syncer::{in_words, is_about_one},
};

/// What is told of each.
pub(crate) type Refused = BTreeMap<SongId, Failure>;

/// Songs that were asked for by their ids.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// Those that are there.
    pub(crate) songs: HashMap<SongId, Song>,
    /// Those that are there and cannot be read.
    pub(crate) refused: Refused,
}

impl Fetched {
    pub(crate) fn add(&mut self, song: SongId, name: &str, read: Result<Option<Song>, Error>) {
        match read {
            Ok(found) => self.songs.extend(found.map(|found| (song, found))),
            Err(error) => {
                let failure = Failure {
                    subject: song.to_string(),
                    title: String::new(),
                    reason: in_words(&error),
                    hint: Some(hint_for(error.kind(), name)),
                };
                self.refused.insert(song, failure);
            }
        }
    }
}

/// What is told of a song that the library called `name` cannot read.
pub(crate) fn refusal(name: &str, one: UnreadableSong) -> (SongId, Failure) {
    let failure = Failure {
        subject: one.song.to_string(),
        title: String::new(),
        reason: format!("{name} cannot read it: {}", one.why),
        hint: Some(hint_for(one.why.kind(), name)),
    };
    (one.song, failure)
}

fn hint_for(kind: ErrorKind, name: &str) -> Hint {
    match kind {
        ErrorKind::Incompatible => "install a newer songrec".into(),
        _ => Hint::of(
            "{} in {} puts it aside; the next sync brings it back from the other library",
            [Piece::from(Remedy::Verify { repair: true, read_data: false }), name.into()],
        ),
    }
}

/// Songs by their ids, each with what is wrong with it if it cannot be read: one
/// must not keep the others.
///
/// # Errors
///
/// When it is the library that cannot be read.
pub(crate) async fn each_song(
    backend: &dyn StorageBackend,
    songs: &[SongId],
) -> Result<Vec<Result<Option<Song>, Error>>, Error> {
    match backend.songs().get(songs).await {
        Err(error) if is_about_one(&error) => {}
        read => return Ok(read?.into_iter().map(Ok).collect()),
    }
    let mut read = Vec::with_capacity(songs.len());
    for song in songs {
        match backend.songs().get(std::slice::from_ref(song)).await {
            Ok(mut one) => read.push(Ok(one.pop().flatten())),
            Err(error) if is_about_one(&error) => read.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}
