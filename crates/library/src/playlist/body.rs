//! What a playlist says, as it is kept, and how it is edited: pure.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use songrec_core::{Filter, OperationId, SongId, SongSummary, Timestamp, words};

use crate::{Error, ErrorKind, Result};

/// Songs of one playlist, at the most.
pub const MOST_SONGS: usize = 10_000;
/// How many songs a rule with seeds gives if it does not say so.
pub const RULE_LENGTH: usize = 25;
/// Seeds of a rule, at the most.
const MOST_SEEDS: usize = 100;
/// Characters of a name, of a title and of an artist, at the most.
const LONGEST: usize = 200;
/// Bytes of a whole playlist, at the most: what every backend can keep as one document.
const LARGEST: usize = 3 << 20;
/// The format that this version writes, and the latest that it can read.
const FORMAT: u32 = 1;

/// A playlist as it is kept. What a later version says beside this is kept when it is
/// edited here.
///
/// Invariant: the name has a word, the keys of the entries differ, and there are at most
/// [`MOST_SONGS`] of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Playlist {
    /// The version of this shape. A higher one is refused: it may mean something else.
    format: u32,
    /// What a person calls it.
    name: String,
    /// When it was made.
    created_at: Timestamp,
    /// Its songs, in their order; none where there is a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    entries: Vec<PlaylistEntry>,
    /// What gives its songs, where it is a smart one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<PlaylistRule>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// A place in a playlist: the same song may have several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaylistEntry {
    /// Tells it from the other entries, wherever it is moved: 8 hexadecimal digits.
    pub key: String,
    /// The song.
    pub song: SongId,
    /// How the song was called when it was added.
    #[serde(default)]
    pub title: String,
    /// Whose it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// What gives the songs of a smart playlist.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaylistRule {
    /// Only songs that pass: terms such as `genre:techno`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filter: Vec<String>,
    /// Songs that it begins with, and that the others sound like.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub like: Vec<PlaylistSeed>,
    /// How many songs, at the most; [`RULE_LENGTH`] where there are seeds, else all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// A song that others of a smart playlist sound like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaylistSeed {
    /// The song.
    pub song: SongId,
    /// How it was called when the rule was made.
    #[serde(default)]
    pub title: String,
    #[serde(flatten)]
    other: Map<String, Value>,
}

impl Playlist {
    /// An empty playlist.
    ///
    /// # Errors
    ///
    /// `Usage` for a name that is none.
    pub fn new(name: &str, now: Timestamp) -> Result<Self> {
        let (entries, other) = Default::default();
        let name = checked_name(name)?;
        Ok(Self { format: FORMAT, name, created_at: now, entries, rule: None, other })
    }

    /// What a person calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When it was made.
    pub const fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Its entries, in their order; none of a smart one.
    pub fn entries(&self) -> &[PlaylistEntry] {
        &self.entries
    }

    /// What gives its songs, where it is a smart one.
    pub const fn rule(&self) -> Option<&PlaylistRule> {
        self.rule.as_ref()
    }

    /// Calls it something else.
    ///
    /// # Errors
    ///
    /// `Usage` for a name that is none.
    pub fn rename(&mut self, name: &str) -> Result<()> {
        self.name = checked_name(name)?;
        Ok(())
    }

    /// Puts songs in at a place, counted from 0, or at the end; gives their keys.
    ///
    /// # Errors
    ///
    /// `Usage` for a smart playlist, a place that there is not, or too many songs.
    pub fn insert(&mut self, at: Option<usize>, songs: &[SongSummary]) -> Result<Vec<String>> {
        self.listed("songs are added to")?;
        let at = at.unwrap_or(self.entries.len());
        self.place(at)?;
        if self.entries.len() + songs.len() > MOST_SONGS {
            return Err(Error::usage(format_args!(
                "a playlist has {MOST_SONGS} songs at the most; `{}` would have {}",
                self.name,
                self.entries.len() + songs.len()
            ))
            .with_hint("make another playlist, or one with a rule"));
        }
        let mut taken: HashSet<String> = self.entries.iter().map(|one| one.key.clone()).collect();
        let new = songs.iter().map(|song| PlaylistEntry::of(song, &mut taken));
        let new: Vec<PlaylistEntry> = new.collect();
        let keys = new.iter().map(|entry| entry.key.clone()).collect();
        self.entries.splice(at..at, new);
        Ok(keys)
    }

    /// Takes out the entries with these keys; those that are gone already do not matter.
    /// Gives how many were there.
    ///
    /// # Errors
    ///
    /// `Usage` for a smart playlist.
    pub fn remove(&mut self, keys: &[String]) -> Result<usize> {
        self.listed("songs are removed from")?;
        let before = self.entries.len();
        self.entries.retain(|entry| !keys.contains(&entry.key));
        Ok(before - self.entries.len())
    }

    /// Moves the entries with these keys, in this order, so that the first of them stands
    /// at a place, counted from 0 among the entries that stay.
    ///
    /// # Errors
    ///
    /// `Usage` for a smart playlist, or a place that there is not; `NotFound` if an entry
    /// is gone.
    pub fn shift(&mut self, keys: &[String], to: usize) -> Result<()> {
        self.listed("songs are moved in")?;
        let mut moved = Vec::with_capacity(keys.len());
        let mut left = self.entries.clone();
        for key in keys {
            let at = left.iter().position(|entry| entry.key == *key).ok_or_else(|| {
                Error::not_found(format_args!("`{}` has no entry `{key}`", self.name))
                    .with_hint("look at it again: somebody may have removed it")
            })?;
            moved.push(left.remove(at));
        }
        if to > left.len() {
            return Err(no_place(&self.name, to, left.len()));
        }
        left.splice(to..to, moved);
        self.entries = left;
        Ok(())
    }

    /// Makes it a smart playlist, or gives it another rule.
    ///
    /// # Errors
    ///
    /// `Usage` for a playlist that has songs, or a rule that means nothing.
    pub fn follow(&mut self, rule: PlaylistRule) -> Result<()> {
        if !self.entries.is_empty() {
            return Err(Error::usage(format_args!(
                "`{}` has songs of its own, and a playlist has songs or a rule",
                self.name
            ))
            .with_hint("make another playlist for the rule"));
        }
        rule.check()?;
        let other = self.rule.take().map(|old| old.other).unwrap_or_default();
        self.rule = Some(PlaylistRule { other, ..rule });
        Ok(())
    }

    // Whether songs can be put in and taken out.
    fn listed(&self, what: &str) -> Result<()> {
        match self.rule {
            None => Ok(()),
            Some(_) => Err(Error::usage(format_args!(
                "no {what} `{}`: a rule says which songs it has",
                self.name
            ))
            .with_hint("change the rule, or make a playlist of the songs that it gives")),
        }
    }

    fn place(&self, at: usize) -> Result<()> {
        match at <= self.entries.len() {
            true => Ok(()),
            false => Err(no_place(&self.name, at, self.entries.len())),
        }
    }

    /// The document's body.
    ///
    /// # Errors
    ///
    /// `Usage` if it is too large to be kept.
    pub(super) fn to_body(&self) -> Result<Value> {
        let body = serde_json::to_value(self).map_err(|error| {
            Error::new(ErrorKind::Failed, "could not write a playlist").because(error)
        })?;
        let size = body.to_string().len();
        if size > LARGEST {
            return Err(Error::usage(format_args!(
                "`{}` would have {size} bytes, and a playlist has {LARGEST} at the most",
                self.name
            ))
            .with_hint("make two playlists of it"));
        }
        Ok(body)
    }

    /// The playlist that a document's body is: it may come from elsewhere.
    ///
    /// # Errors
    ///
    /// `Corrupt` if it is none, or one of a later songrec.
    pub(super) fn of_body(id: &str, body: Value) -> Result<Self> {
        let damaged = |why: String| {
            Error::new(ErrorKind::Corrupt, format_args!("the playlist `{id}` cannot be read"))
                .because(why)
                .with_hint("a newer songrec may have written it; it can be deleted by its id")
        };
        let format = body["format"].as_u64();
        if format.is_some_and(|format| format > u64::from(FORMAT)) {
            return Err(damaged(format!(
                "it has format {}, and this version knows {FORMAT}",
                format.unwrap_or_default()
            )));
        }
        let playlist: Self =
            serde_json::from_value(body).map_err(|error| damaged(error.to_string()))?;
        checked_name(&playlist.name).map_err(|error| damaged(error.to_string()))?;
        if playlist.entries.len() > MOST_SONGS {
            return Err(damaged(format!("it has {} songs", playlist.entries.len())));
        }
        let keys: HashSet<&str> = playlist.entries.iter().map(|one| one.key.as_str()).collect();
        if keys.len() < playlist.entries.len() {
            return Err(damaged("two of its entries have the same key".to_owned()));
        }
        if let Some(rule) = &playlist.rule
            && (rule.like.len() > MOST_SEEDS || rule.length.is_some_and(|n| n > MOST_SONGS))
        {
            return Err(damaged("its rule asks for too much".to_owned()));
        }
        Ok(playlist)
    }
}

impl PlaylistEntry {
    fn of(song: &SongSummary, taken: &mut HashSet<String>) -> Self {
        let mut key = OperationId::random().short();
        while !taken.insert(key.clone()) {
            key = OperationId::random().short();
        }
        let artist = song.artist.as_deref().map(cut);
        Self { key, song: song.id, title: cut(&song.title), artist, other: Map::new() }
    }
}

impl PlaylistRule {
    /// A rule.
    pub fn new(filter: Filter, like: &[SongSummary], length: Option<usize>) -> Self {
        let seed = |song: &SongSummary| PlaylistSeed {
            song: song.id,
            title: cut(&song.title),
            other: Map::new(),
        };
        let like = like.iter().map(seed).collect();
        Self { filter: filter.into(), like, length, other: Map::new() }
    }

    /// Which songs pass.
    ///
    /// # Errors
    ///
    /// `Usage` for what is no filter here: a later songrec may know more of them.
    pub fn filter(&self) -> Result<Filter> {
        Filter::parse_all(&self.filter).map_err(|error| {
            Error::usage("the rule of this playlist cannot be followed")
                .because(error)
                .with_hint("give it another rule")
        })
    }

    /// How many songs it gives, at the most.
    pub fn most(&self) -> usize {
        let usual = if self.like.is_empty() { MOST_SONGS } else { RULE_LENGTH };
        self.length.unwrap_or(usual)
    }

    fn check(&self) -> Result<()> {
        self.filter()?;
        if self.filter.is_empty() && self.like.is_empty() {
            return Err(Error::usage("a rule has a filter or songs to be like"));
        }
        if self.like.len() > MOST_SEEDS {
            return Err(Error::usage(format_args!("a rule has {MOST_SEEDS} songs at the most")));
        }
        match self.length {
            Some(length) if !(1..=MOST_SONGS).contains(&length) => {
                Err(Error::usage(format_args!("`{length}` is no length for a playlist"))
                    .with_hint(format!("a playlist has 1 to {MOST_SONGS} songs")))
            }
            _ => Ok(()),
        }
    }
}

/// A name as filters have it, and as it is compared: without case, accents and
/// punctuation.
pub(super) fn normal(name: &str) -> String {
    words(name).join(" ")
}

fn checked_name(name: &str) -> Result<String> {
    let name = name.trim();
    let wrong = |why: String| {
        Error::usage(format_args!("`{name}` is no name for a playlist"))
            .because(why)
            .with_hint("a name has a letter or a digit, such as `late evening`")
    };
    if words(name).is_empty() {
        return Err(wrong("it has no words".to_owned()));
    }
    if name.chars().any(char::is_control) {
        return Err(wrong("it has control characters".to_owned()));
    }
    match name.chars().count() {
        length if length > LONGEST => {
            Err(wrong(format!("it has {length} characters, and may have {LONGEST}")))
        }
        _ => Ok(name.to_owned()),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

fn no_place(name: &str, at: usize, length: usize) -> Error {
    Error::usage(format_args!("`{name}` has no place {}", at + 1))
        .with_hint(format!("places are 1 to {}", length + 1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn song(number: u8) -> SongSummary {
        let id = SongId::from_bytes([number; 16]);
        let song =
            json!({"id": id, "title": format!("Song {number}"), "artist": "A", "duration": 1.0});
        serde_json::from_value(song).unwrap()
    }

    fn playlist(songs: u8) -> Playlist {
        let mut playlist = Playlist::new("Evening", Timestamp::UNIX_EPOCH).unwrap();
        playlist.insert(None, &(1..=songs).map(song).collect::<Vec<_>>()).unwrap();
        playlist
    }

    fn order(playlist: &Playlist) -> Vec<u8> {
        playlist.entries().iter().map(|entry| entry.song.as_bytes()[0]).collect()
    }

    fn keys(playlist: &Playlist, at: &[usize]) -> Vec<String> {
        at.iter().map(|at| playlist.entries()[*at].key.clone()).collect()
    }

    #[test]
    fn songs_are_put_in_moved_and_taken_out() {
        let mut playlist = playlist(5);
        playlist.insert(Some(1), &[song(9), song(1)]).unwrap();
        assert_eq!(order(&playlist), [1, 9, 1, 2, 3, 4, 5]);

        playlist.shift(&keys(&playlist, &[6, 1]), 0).unwrap();
        assert_eq!(order(&playlist), [5, 9, 1, 1, 2, 3, 4]);
        playlist.shift(&keys(&playlist, &[0]), 6).unwrap();
        assert_eq!(order(&playlist), [9, 1, 1, 2, 3, 4, 5]);
        let twice = keys(&playlist, &[2]);
        assert_eq!(playlist.remove(&twice).unwrap(), 1);
        assert_eq!(playlist.remove(&twice).unwrap(), 0);
        assert_eq!(order(&playlist), [9, 1, 2, 3, 4, 5]);

        assert_eq!(playlist.shift(&twice, 0).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(playlist.shift(&keys(&playlist, &[0]), 6).is_err());
        assert!(playlist.insert(Some(7), &[song(7)]).is_err());
        assert_eq!(order(&playlist), [9, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_a_later_version_says_survives_an_edit() {
        let mut body = playlist(2).to_body().unwrap();
        body["mood"] = json!({"of": "the day"});
        body["entries"][1]["gain"] = json!(-3);
        let mut read = Playlist::of_body("x", body).unwrap();

        read.rename("Morning").unwrap();
        read.insert(Some(0), &[song(7)]).unwrap();

        let body = read.to_body().unwrap();
        assert_eq!((&body["mood"]["of"], &body["name"]), (&json!("the day"), &json!("Morning")));
        assert_eq!(body["entries"][2]["gain"], -3);
    }

    #[test]
    fn a_playlist_has_songs_or_a_rule() {
        let rule = PlaylistRule::new(Filter::parse_all(&["bpm:120"]).unwrap(), &[], Some(5));
        assert!(playlist(1).follow(rule.clone()).is_err());
        let mut smart = playlist(0);
        smart.follow(rule).unwrap();
        assert!(smart.insert(None, &[song(1)]).is_err() && smart.remove(&[]).is_err());
        for wrong in [
            PlaylistRule::default(),
            PlaylistRule::new(Filter::all(), &[song(1)], Some(0)),
            PlaylistRule { filter: vec!["colour:red".to_owned()], ..PlaylistRule::default() },
        ] {
            assert!(smart.follow(wrong).is_err());
        }
    }

    #[test]
    fn what_comes_from_elsewhere_is_checked() {
        let whole = playlist(2).to_body().unwrap();
        assert_eq!(Playlist::of_body("x", whole.clone()).unwrap().to_body().unwrap(), whole);
        let with = |path: &str, value: Value| {
            let mut body = whole.clone();
            *body.pointer_mut(path).unwrap() = value;
            body
        };
        let key = whole["entries"][0]["key"].clone();
        for body in [
            json!(null),
            json!({"name": "x"}),
            with("/format", json!(2)),
            with("/name", json!("—")),
            with("/name", json!("x".repeat(201))),
            with("/name", json!("a\u{1b}[2J")),
            with("/entries/1/key", key),
            with("/entries/0/song", json!("../../etc/passwd")),
            with("/entries", json!(vec![whole["entries"][0].clone(); MOST_SONGS + 1])),
        ] {
            let error = Playlist::of_body("x", body).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
        }
    }
}
