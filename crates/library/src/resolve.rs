//! Which song a person means.

use std::path::{Path, PathBuf};

use songrec_core::{Card, Filter, Song, SongId};
use songrec_storage::{Lookup, SongQuery, StorageBackendExt};

use crate::{Error, ErrorKind, Library, Result, hearing, library::absolute};

/// What a person named.
#[derive(Clone, Debug)]
pub enum Named {
    /// A song of the library.
    Song(Box<Song>),
    /// An audio file that is not in the library.
    File(PathBuf),
}

/// How many candidates an ambiguous name lists.
const CANDIDATES: usize = 10;

impl Library {
    /// The song that `name` means: an id, the beginning of one, a path, or
    /// words of its title, artist or file name.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, `Usage` with the candidates if there are
    /// several.
    pub async fn song(&self, name: &str) -> Result<Song> {
        match self.resolve(name).await? {
            Named::Song(song) => Ok(*song),
            Named::File(path) => {
                Err(Error::not_found(format_args!("`{}` is not in the library", path.display()))
                    .with_hint(format_args!("`songrec scan '{}'` adds it", path.display())))
            }
        }
    }

    /// Like [`song`](Self::song), but an audio file outside the library is
    /// an answer too.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn resolve(&self, name: &str) -> Result<Named> {
        if name.trim().is_empty() {
            return Err(Error::usage("an empty text names no song"));
        }
        let path = Path::new(name);
        if path.is_file() {
            return self.resolve_file(path).await;
        }
        if path.is_dir() {
            return Err(Error::usage(format_args!("`{name}` is a folder, not a song"))
                .with_hint(format_args!("`songrec scan '{name}'` adds what is in it")));
        }
        if let Some(song) = self.resolve_id(name).await? {
            return Ok(Named::Song(Box::new(song)));
        }
        let stored = self.stored_path(&absolute(path));
        let by_path = [Lookup::Path(stored), Lookup::Path(name.to_owned())];
        let mut ids: Vec<SongId> = self.backend.lookup(&by_path).await?.concat();
        ids.sort_unstable();
        ids.dedup();
        let songs = self.backend.get_songs(&ids).await?;
        let mut songs: Vec<Song> = songs.into_iter().flatten().collect();
        if songs.len() > 1 {
            // Machines that share a library may name different files alike.
            let cards: Vec<_> = songs.iter().map(Card::of).collect();
            return Err(ambiguous(name, &cards, false));
        }
        if let Some(song) = songs.pop() {
            return Ok(Named::Song(Box::new(song)));
        }
        let looks_like_path = name.contains(['/', '\\']);
        match self.resolve_words(name).await {
            Err(error) if error.kind() == ErrorKind::NotFound && looks_like_path => {
                Err(Error::not_found(format_args!(
                    "there is no file `{name}`, nor a song of that name"
                ))
                .with_hint("`songrec search WORDS` finds songs by their words"))
            }
            resolved => resolved,
        }
    }

    async fn resolve_file(&self, path: &Path) -> Result<Named> {
        let path = absolute(path);
        let stored = self.stored_path(&path);
        let ids = self.backend.lookup(&[Lookup::Path(stored.clone())]).await?.concat();
        // Another machine may have another file under this path, which shows
        // by its size unless it is very much alike.
        if let [id] = ids.as_slice()
            && let Some(song) = self.backend.get_song(*id).await?
            && let Ok(metadata) = path.metadata()
            && song.files.iter().any(|file| file.path == stored && file.size == metadata.len())
        {
            return Ok(Named::Song(Box::new(song)));
        }
        // The same audio may be known from another place.
        let identity = hearing::identify(&path).await?;
        let by_hash = self.backend.lookup(&[Lookup::FileHash(identity.sha256)]).await?.concat();
        let id = by_hash.first().copied().unwrap_or_else(|| identity.song());
        if let Some(song) = self.backend.get_song(id).await? {
            return Ok(Named::Song(Box::new(song)));
        }
        Ok(Named::File(path))
    }

    async fn resolve_id(&self, name: &str) -> Result<Option<Song>> {
        if let Ok(id) = name.parse::<SongId>() {
            return Ok(self.backend.get_song(id).await?);
        }
        let prefix = name.strip_prefix("smpl_").unwrap_or(name);
        let hexadecimal = prefix.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        // Shorter ones are more likely to be words.
        if !hexadecimal || !(4..36).contains(&prefix.len()) {
            return Ok(None);
        }
        let ids = self.backend.lookup(&[Lookup::IdPrefix(prefix.to_owned())]).await?.remove(0);
        match ids.as_slice() {
            [] => Ok(None),
            [id] => Ok(self.backend.get_song(*id).await?),
            several => {
                let songs = self.backend.get_songs(several).await?;
                let cards: Vec<_> = songs.iter().flatten().map(Card::of).collect();
                Err(ambiguous(name, &cards, false))
            }
        }
    }

    async fn resolve_words(&self, name: &str) -> Result<Named> {
        let nothing = || {
            Error::not_found(format_args!("there is no song `{name}`")).with_hint(
                "`songrec search WORDS` finds songs by their words, `songrec ls` lists all",
            )
        };
        let filter = Filter::text(name);
        if filter.is_all() {
            return Err(nothing());
        }
        let query = SongQuery { filter, limit: CANDIDATES + 1, ..SongQuery::default() };
        let cards = self.backend.find_cards(&query).await?.items;
        let exact: Vec<&Card> =
            cards.iter().filter(|card| card.title.eq_ignore_ascii_case(name.trim())).collect();
        let id = match (cards.as_slice(), exact.as_slice()) {
            ([], _) => return Err(nothing()),
            ([card], _) => card.id,
            (_, [card]) => card.id,
            (several, _) => {
                let more = several.len() > CANDIDATES;
                return Err(ambiguous(name, &several[..several.len().min(CANDIDATES)], more));
            }
        };
        let song = self.backend.get_song(id).await?.ok_or_else(nothing)?;
        Ok(Named::Song(Box::new(song)))
    }
}

fn ambiguous(name: &str, candidates: &[Card], more: bool) -> Error {
    let mut lines: Vec<String> = candidates
        .iter()
        .map(|card| {
            let artist = card.artist.as_deref().map(|artist| format!("{artist} - "));
            let path = card.path.as_deref().map(|path| format!("  ({path})"));
            format!(
                "{}  {}{}{}",
                card.id.short(),
                artist.unwrap_or_default(),
                card.title,
                path.unwrap_or_default()
            )
        })
        .collect();
    if more {
        lines.push("…".to_owned());
    }
    Error::usage(format_args!("`{name}` names several songs"))
        .because(format!("it could be any of\n  {}", lines.join("\n  ")))
        .with_hint("name one by its id")
}
