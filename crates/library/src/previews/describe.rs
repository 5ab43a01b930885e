//! What a service says of a track, kept in the song that was made of its preview.

use std::path::Path;

use songrec_core::SongId;
use songrec_storage::Lookup;

use super::PreviewTrack;
use crate::{Error, Library, Result, edit::update, hash::hash_file, work::blocking};

/// Keeps what is said of `track` in the song whose audio is in `file`, as an import does: what
/// an earlier one or a person said stays. Gives the song; none if the library has none.
pub(super) async fn describe(
    library: &Library,
    track: &PreviewTrack,
    file: &Path,
) -> Result<Option<SongId>> {
    let hashed = file.to_owned();
    let digest = blocking(move || hash_file(&hashed)).await?;
    let digest = digest.map_err(|error| Error::io("read", file, error))?;
    let songs = library.backend.songs().lookup(&[Lookup::FileHash(digest)]).await?.concat();
    let Some(song) = songs.first() else { return Ok(None) };
    let said = track.tags();
    update(library, *song, |song| {
        let before = song.sources.import.clone();
        song.sources.import.fill_from(&said);
        Ok(song.sources.import != before)
    })
    .await?;
    Ok(Some(*song))
}
