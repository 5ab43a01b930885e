//! Songs read by their ids. Those that a side stores and cannot read, because
//! they are damaged or of a later format, are reported, and nothing is written in
//! their place.

use std::collections::{BTreeMap, HashMap};

use songrec_core::{Hint, Piece, Remedy, Song, SongId};
use songrec_storage::{ErrorKind, Result as StorageResult, UnreadableSong};

use crate::{Failure, Result, Side, error::in_words, session::Session};

/// The songs that a side cannot read, each with the report of it.
pub(crate) type Refused = BTreeMap<SongId, Failure>;

/// What was read.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// Those that are there.
    pub(crate) songs: HashMap<SongId, Song>,
    /// Those that are there and cannot be read.
    pub(crate) refused: Refused,
}

impl Fetched {
    fn add(&mut self, song: SongId, name: &str, read: StorageResult<Option<Song>>) {
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

/// The report of a song that the library called `name` cannot read.
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

/// Songs that are read at once by their ids.
pub(crate) const FETCHED_AT_ONCE: usize = 100;

/// Reads those of these songs that are at `side`.
pub(crate) async fn fetch(session: &Session, side: Side, songs: &[SongId]) -> Result<Fetched> {
    let backend = session.backend(side);
    let mut fetched = Fetched::default();
    for chunk in songs.chunks(FETCHED_AT_ONCE) {
        let read = session.ask_each(side, chunk, |some| backend.songs().get(some)).await?;
        for (song, read) in chunk.iter().zip(read) {
            fetched.add(*song, session.name(side), read.map(Option::flatten));
        }
    }
    Ok(fetched)
}
