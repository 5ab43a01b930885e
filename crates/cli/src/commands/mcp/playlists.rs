//! What a language model can do with playlists.

use serde::Deserialize;
use serde_json::{Value, json};
use songrec_core::{Filter, Job, SongSummary};
use songrec_library::{
    Error, KeptPlaylist, Library, PlaylistChange, PlaylistRule, change_playlist, create_playlist,
    find, looked_up, playlist_named, playlist_songs, playlists,
};

/// Songs of one answer if nobody says how many.
const USUAL: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowPlaylists {
    playlist: Option<String>,
    limit: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    name: String,
    #[serde(default)]
    songs: Vec<String>,
    #[serde(default)]
    filters: Vec<String>,
    #[serde(default)]
    like: Vec<String>,
    length: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Added {
    playlist: String,
    songs: Vec<String>,
}

/// All playlists, or one with its songs.
pub(super) async fn shown(
    library: &Library,
    asked: ShowPlaylists,
    job: &Job,
) -> Result<Value, Error> {
    let Some(name) = asked.playlist else {
        let list = playlists(library).await?;
        let cards: Vec<_> = list.playlists.iter().map(KeptPlaylist::card).collect();
        return Ok(json!({ "playlists": cards, "unreadable": list.unreadable }));
    };
    let kept = playlist_named(library, &name).await?;
    let mut shown = playlist_songs(library, &kept, job).await?;
    shown.entries.truncate(asked.limit.unwrap_or(USUAL));
    Ok(json!(shown))
}

/// Makes a playlist of songs, or with a rule.
pub(super) async fn new(library: &Library, asked: New, job: &Job) -> Result<Value, Error> {
    let filter = Filter::parse_all(&asked.filters).map_err(Error::usage)?;
    // A group that is not there is said now.
    looked_up(library, filter.clone(), job).await?;
    let like = summaries(library, &asked.like).await?;
    let has_rule = !filter.is_all() || !like.is_empty() || asked.length.is_some();
    let rule = has_rule.then(|| PlaylistRule::new(filter, &like, asked.length));
    let songs = summaries(library, &asked.songs).await?;
    Ok(json!(create_playlist(library, &asked.name, &songs, rule).await?.card()))
}

/// Adds songs to a playlist.
pub(super) async fn add(library: &Library, asked: Added) -> Result<Value, Error> {
    let songs = summaries(library, &asked.songs).await?;
    let id = playlist_named(library, &asked.playlist).await?.id;
    let change = [PlaylistChange::Add { songs, at: None }];
    Ok(json!(change_playlist(library, &id, &change, None).await?.card()))
}

async fn summaries(library: &Library, names: &[String]) -> Result<Vec<SongSummary>, Error> {
    Ok(find::songs(library, names).await?.iter().map(SongSummary::of).collect())
}
