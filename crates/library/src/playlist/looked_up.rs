//! Which songs playlists have, worked out where a rule says so, and filters that name
//! them.

use std::{collections::HashMap, sync::Arc};

use futures::future::BoxFuture;
use serde::Serialize;
use songrec_core::{Filter, GroupKind, Job, SongId, SongSet, SongSummary, fold};
use songrec_storage::{Order, OrderBy, SongQuery};

use super::{
    PlaylistCard,
    body::{Playlist, PlaylistRule},
    kept::{KeptPlaylist, PlaylistList, playlists},
};
use crate::{Error, ErrorKind, Example, Library, Result, SimilarOptions, cluster, similar_to};

/// Songs that are read at once.
const READ: usize = 500;
/// Digits of an id that lists show.
const LEAST_DIGITS: usize = 8;
/// Playlists whose rules name each other, one within the other.
const DEEPEST: usize = 8;

/// A playlist with its songs.
#[derive(Clone, Debug, Serialize)]
pub struct PlaylistSongs {
    /// What lists show of it, with the number of songs that it has now.
    #[serde(flatten)]
    pub card: PlaylistCard,
    /// How many of them are not in the library any more.
    pub missing: usize,
    /// How long the others play together, in seconds.
    pub duration: f64,
    /// Its songs, in their order.
    pub entries: Vec<PlaylistSong>,
    /// What has to be said of them, such as why a rule gives few.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One song of a playlist.
#[derive(Clone, Debug, Serialize)]
pub struct PlaylistSong {
    /// Its place, from 1.
    pub position: usize,
    /// Tells it from the other entries; nothing in a smart playlist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The song's id.
    pub song: SongId,
    /// Whether the song is not in the library any more, or cannot be read.
    pub missing: bool,
    /// Its title; of a missing one, that which it had.
    pub title: String,
    /// Its artist; of a missing one, that which it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    /// What lists show of the song; nothing of a missing one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<SongSummary>,
}

/// The songs of a playlist as they are now. Those of a smart one are worked out, which
/// costs a search; reading what is shown costs a request for each 500 songs, where
/// requests cost something.
///
/// # Errors
///
/// When a rule cannot be followed; `Interrupted`; those of the library.
pub async fn playlist_songs(
    library: &Library,
    kept: &KeptPlaylist,
    job: &Job,
) -> Result<PlaylistSongs> {
    let mut notes = Vec::new();
    let playlist = &kept.playlist;
    let entries = match playlist.rule() {
        Some(rule) => {
            let songs = Worker { library, job, all: None, within: vec![kept.id.clone()] }
                .songs_of_rule(rule, &mut notes)
                .await?;
            songs.into_iter().map(PlaylistSong::of_rule).collect()
        }
        None => listed(library, playlist, job).await?,
    };
    let entries: Vec<PlaylistSong> =
        (1..).zip(entries).map(|(position, entry)| PlaylistSong { position, ..entry }).collect();
    let cards = entries.iter().filter_map(|entry| entry.card.as_ref());
    // A sum of none would be minus zero.
    let duration = cards.fold(0.0, |sum, card| sum + card.duration);
    Ok(PlaylistSongs {
        card: PlaylistCard { songs: Some(entries.len()), ..kept.card() },
        missing: entries.iter().filter(|entry| entry.missing).count(),
        duration: (duration * 1000.0).round() / 1000.0,
        entries,
        notes,
    })
}

// The entries of a playlist without a rule.
async fn listed(library: &Library, playlist: &Playlist, job: &Job) -> Result<Vec<PlaylistSong>> {
    let mut ids: Vec<SongId> = playlist.entries().iter().map(|entry| entry.song).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut cards: HashMap<SongId, SongSummary> = HashMap::new();
    for ids in ids.chunks(READ) {
        uninterrupted(job)?;
        let songs = library.each_song(ids).await?;
        let present = songs.iter().filter_map(|song| song.as_ref().ok()?.as_ref());
        cards.extend(present.map(|song| (song.id, SongSummary::of(song))));
    }
    let shown = playlist.entries().iter().map(|entry| {
        let card = cards.get(&entry.song).cloned();
        let was = || match entry.title.is_empty() {
            true => entry.song.short(),
            false => entry.title.clone(),
        };
        PlaylistSong {
            position: 0,
            key: Some(entry.key.clone()),
            song: entry.song,
            missing: card.is_none(),
            title: card.as_ref().map_or_else(was, |card| card.title.clone()),
            artist: match &card {
                Some(card) => card.artist.clone(),
                None => entry.artist.clone(),
            },
            card,
        }
    });
    Ok(shown.collect())
}

impl PlaylistSongs {
    /// The keys of the entries that `name` means: an id or the beginning of one, or a
    /// title. Songs that are gone are found, too. None of a smart playlist.
    pub fn keys_of(&self, name: &str) -> Vec<String> {
        let digits = name.to_ascii_lowercase();
        let is_id = |entry: &PlaylistSong| {
            digits.len() >= LEAST_DIGITS && entry.song.to_string().starts_with(&digits)
        };
        let is_called = |entry: &PlaylistSong| fold(&entry.title) == fold(name);
        let keys = |means: &dyn Fn(&PlaylistSong) -> bool| -> Vec<String> {
            let meant = self.entries.iter().filter(|entry| means(entry));
            meant.filter_map(|entry| entry.key.clone()).collect()
        };
        match keys(&is_id) {
            by_id if !by_id.is_empty() => by_id,
            _ => keys(&is_called),
        }
    }
}

impl PlaylistSong {
    fn of_rule(card: SongSummary) -> Self {
        Self {
            position: 0,
            key: None,
            song: card.id,
            missing: false,
            title: card.title.clone(),
            artist: card.artist.clone(),
            card: Some(card),
        }
    }
}

/// The same filter, with the songs of each cluster and each playlist that it names.
/// Costs nothing for a filter that names none. Clusters cost what
/// [`labels`](crate::labels()) costs, playlists a look at all of them, and a search for
/// each smart one that is named.
///
/// # Errors
///
/// `NotFound` if there is no group of such a name; `Usage` for smart playlists whose
/// rules name each other in a circle; `Interrupted`; those of the library.
pub async fn looked_up(library: &Library, filter: Filter, job: &Job) -> Result<Filter> {
    Worker { library, job, all: None, within: Vec::new() }.filter(filter).await
}

/// Works out which songs are meant. Playlists are read once.
struct Worker<'a> {
    library: &'a Library,
    job: &'a Job,
    all: Option<Arc<PlaylistList>>,
    /// The ids of the smart playlists that are being worked out.
    within: Vec<String>,
}

impl Worker<'_> {
    // Boxed, because the rule of a playlist has a filter that may name playlists.
    fn filter(&mut self, filter: Filter) -> BoxFuture<'_, Result<Filter>> {
        Box::pin(async move {
            let filter = cluster::with_clusters(self.library, filter, self.job).await?;
            if !filter.lacks(GroupKind::Playlist) {
                return Ok(filter);
            }
            let all = match &self.all {
                Some(all) => all.clone(),
                None => Arc::new(playlists(self.library).await?),
            };
            self.all = Some(all.clone());
            let mut songs: HashMap<Vec<String>, SongSet> = HashMap::new();
            for group in filter.groups().filter(|group| group.kind == GroupKind::Playlist) {
                let named: Vec<&KeptPlaylist> = match group.names.as_slice() {
                    [] => all.playlists.iter().collect(),
                    names => names.iter().map(|name| all.find(name)).collect::<Result<_>>()?,
                };
                let mut ids = Vec::new();
                for kept in named {
                    ids.extend(self.songs_of(kept).await?);
                }
                songs.insert(group.names.clone(), ids.into_iter().collect());
            }
            filter.with_groups(GroupKind::Playlist, |names| {
                Ok(songs.get(names).cloned().unwrap_or_default())
            })
        })
    }

    async fn songs_of(&mut self, kept: &KeptPlaylist) -> Result<Vec<SongId>> {
        let Some(rule) = kept.playlist.rule() else {
            return Ok(kept.playlist.entries().iter().map(|entry| entry.song).collect());
        };
        if self.within.contains(&kept.id) || self.within.len() >= DEEPEST {
            return Err(Error::usage(format_args!(
                "the rule of the playlist `{}` depends on itself",
                kept.playlist.name()
            ))
            .with_hint("give it a rule that does not name playlists"));
        }
        self.within.push(kept.id.clone());
        let songs = self.songs_of_rule(rule, &mut Vec::new()).await?;
        self.within.pop();
        Ok(songs.into_iter().map(|song| song.id).collect())
    }

    // The songs that a rule gives.
    async fn songs_of_rule(
        &mut self,
        rule: &PlaylistRule,
        notes: &mut Vec<String>,
    ) -> Result<Vec<SongSummary>> {
        uninterrupted(self.job)?;
        let filter = self.filter(rule.filter()?).await?;
        let most = rule.most();
        if rule.like.is_empty() {
            let songs = passing(self.library, filter, most, self.job).await?;
            if songs.is_empty() {
                notes.push(format!("no song passes {}", rule.filter.join(" ")));
            }
            return Ok(songs);
        }
        let ids: Vec<SongId> = rule.like.iter().map(|seed| seed.song).collect();
        let songs = self.library.each_song(&ids).await?;
        let mut seeds = Vec::new();
        for (seed, song) in rule.like.iter().zip(songs) {
            match song {
                Ok(Some(song)) => seeds.push(SongSummary::of(&song)),
                _ => notes.push(format!("`{}`, which it begins with, is gone", seed.title)),
            }
        }
        if seeds.is_empty() {
            notes.push("no song is left for others to be like".to_owned());
            return Ok(Vec::new());
        }
        let examples: Vec<Example> =
            seeds.iter().map(|seed| Example::like(seed.id.to_string())).collect();
        seeds.truncate(most);
        let k = most - seeds.len();
        if k > 0 {
            let options = SimilarOptions { k, filter, ..SimilarOptions::default() };
            let found = similar_to(self.library, &examples, &options).await?;
            notes.extend(found.notes.iter().chain(&found.shortfall).map(ToString::to_string));
            seeds.extend(found.results.into_iter().map(|one| one.summary));
        }
        Ok(seeds)
    }
}

// The songs that pass, by title.
async fn passing(
    library: &Library,
    filter: Filter,
    most: usize,
    job: &Job,
) -> Result<Vec<SongSummary>> {
    let order = Order { by: OrderBy::Title, descending: false };
    let limit = most.min(READ);
    let mut query = SongQuery { filter, order, limit, ..SongQuery::default() };
    let mut songs = Vec::new();
    loop {
        uninterrupted(job)?;
        let page = library.backend().songs().find_summaries(&query).await?;
        songs.extend(page.items);
        match page.next {
            Some(next) if songs.len() < most => query.after = Some(next),
            _ => break,
        }
    }
    songs.truncate(most);
    Ok(songs)
}

fn uninterrupted(job: &Job) -> Result<()> {
    match job.is_interrupted() {
        true => Err(Error::new(ErrorKind::Interrupted, "interrupted")),
        false => Ok(()),
    }
}
