//! Songs by their ids alone, for those who must not name files.

use songrec_core::{Hint, Remedy, Song, SongId, SongSummary};
use songrec_storage::{Lookup, StorageBackendExt};

use crate::{Error, Library, Result};

/// Digits of an id that lists show: fewer are not enough to name a song by.
const LEAST_DIGITS: usize = 8;
/// How many candidates an ambiguous beginning lists.
const CANDIDATES: usize = 5;

/// The song with this id, or with an id that begins so, in at least 8 digits. Unlike
/// [`song`](super::song), never a file, a path or words: for names that come over a
/// network.
///
/// # Errors
///
/// `Usage` for what is no id, or the beginning of several; `NotFound` if no song has it.
pub async fn song_by_id(library: &Library, text: &str) -> Result<Song> {
    if let Ok(id) = text.parse::<SongId>() {
        return match library.backend().get_song(id).await? {
            Some(song) => Ok(song),
            None => Err(missing(text)),
        };
    }
    let digits = text.strip_prefix("smpl_").unwrap_or(text);
    let is_id = digits.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if !is_id || !(LEAST_DIGITS..36).contains(&digits.len()) {
        return Err(Error::usage(format_args!("`{text}` is no id of a song")).with_hint(
            "an id is such as `3f9ab1c2-5d6e-8f70-a1b2-c3d4e5f60718`; 8 digits of its beginning \
             are enough where only one song has them",
        ));
    }
    let prefix = Lookup::IdPrefix(digits.to_ascii_lowercase());
    let found = library.backend().songs().lookup(&[prefix]).await?.concat();
    match found.as_slice() {
        [] => Err(missing(text)),
        [id] => library.backend().get_song(*id).await?.ok_or_else(|| missing(text)),
        several => {
            let songs = library.backend().get_readable_songs(several).await?;
            let named = songs.iter().flatten().take(CANDIDATES).map(|song| {
                let summary = SongSummary::of(song);
                format!("`{}` ({})", summary.id, summary.title)
            });
            Err(Error::usage(format_args!("several songs have ids that begin with `{text}`"))
                .because(named.collect::<Vec<_>>().join(", "))
                .with_hint("name one by its whole id"))
        }
    }
}

fn missing(text: &str) -> Error {
    Error::not_found(format_args!("no song has the id `{text}`"))
        .with_hint(Hint::of("{} finds songs by their words", [Remedy::Search]))
}
