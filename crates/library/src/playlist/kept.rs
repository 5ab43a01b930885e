//! The playlists that a library keeps: finding, making, changing and removing them.

use serde::Serialize;
use songrec_core::{Document, DocumentKind, Hint, OperationId, Remedy, SongSummary, Timestamp};
use songrec_storage::{Outcome, PutDocument, PutMode};

use super::{
    PlaylistRule,
    body::{Playlist, normal},
};
use crate::{Error, ErrorKind, Library, Result, now};

/// How often a change is tried again that lost a race.
const ROUNDS: usize = 20;
/// Digits of an id.
const DIGITS: usize = 12;
/// Names in an error, at the most.
const NAMED: usize = 12;
/// What the id of a document has in it that sync keeps beside another one.
const BESIDE: &str = "-conflict-";

/// A playlist as the library has it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptPlaylist {
    /// Its id.
    pub id: String,
    /// The write that left it, for compare-and-set.
    pub version: OperationId,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What it says.
    pub playlist: Playlist,
}

impl KeptPlaylist {
    fn of(document: Document) -> Result<Self> {
        let Document { id, revision, updated_at, body, .. } = document;
        let playlist = Playlist::of_body(&id, body)?;
        Ok(Self { id, version: revision.operation, updated_at, playlist })
    }

    /// The id of the playlist that this is another version of: both were written at the
    /// same time in different libraries, and a sync keeps what it cannot join.
    pub fn beside(&self) -> Option<&str> {
        self.id.split_once(BESIDE).map(|(id, _)| id)
    }

    /// What lists show of it.
    pub fn card(&self) -> PlaylistCard {
        let playlist = &self.playlist;
        PlaylistCard {
            id: self.id.clone(),
            version: self.version,
            name: playlist.name().to_owned(),
            songs: playlist.rule().is_none().then(|| playlist.entries().len()),
            rule: playlist.rule().cloned(),
            beside: self.beside().map(str::to_owned),
            created_at: playlist.created_at(),
            updated_at: self.updated_at,
        }
    }
}

/// What lists show of a playlist.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaylistCard {
    /// Its id.
    pub id: String,
    /// The write that left it as it is: whoever changes it may say which they have seen.
    pub version: OperationId,
    /// Its name.
    pub name: String,
    /// How many songs it has; nothing for a smart one, whose songs are worked out when
    /// they are asked for.
    pub songs: Option<usize>,
    /// What gives the songs of a smart one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<PlaylistRule>,
    /// The id of the playlist that this is another version of, if a sync kept it beside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// The playlists of a library, by name.
#[derive(Clone, Debug, Default)]
pub struct PlaylistList {
    /// Those that can be read.
    pub playlists: Vec<KeptPlaylist>,
    /// The others.
    pub unreadable: Vec<UnreadablePlaylist>,
}

/// A playlist that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadablePlaylist {
    /// Its id.
    pub id: String,
    /// Why.
    pub why: String,
}

/// The playlists of the library. Reads all of them: a page for each hundred.
///
/// # Errors
///
/// Those of the library.
pub async fn playlists(library: &Library) -> Result<PlaylistList> {
    let mut list = PlaylistList::default();
    let mut after = None;
    loop {
        let kinds = [DocumentKind::Playlist];
        let page = library.backend().documents().list(&kinds, after.as_ref()).await?;
        for document in page.items.into_iter().filter(|document| !document.deleted) {
            let id = document.id.clone();
            match KeptPlaylist::of(document) {
                Ok(kept) => list.playlists.push(kept),
                Err(error) => {
                    list.unreadable.push(UnreadablePlaylist { id, why: error.in_one_line() });
                }
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    list.playlists.sort_by_cached_key(|kept| (normal(kept.playlist.name()), kept.id.clone()));
    Ok(list)
}

impl PlaylistList {
    /// A text that is another one after every change of a playlist.
    pub fn version(&self) -> String {
        let readable = self.playlists.iter().map(|kept| format!("{} {}", kept.id, kept.version));
        let others = self.unreadable.iter().map(|one| one.id.clone());
        readable.chain(others).collect::<Vec<_>>().join(" ")
    }

    /// The playlist with this id or name. Case, accents and punctuation of a name do not
    /// count; what a sync kept beside has the same name, and is named by its id.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, `Usage` if there are several.
    pub fn find(&self, name: &str) -> Result<&KeptPlaylist> {
        let wanted = normal(name);
        let by_id = |kept: &&KeptPlaylist| kept.id == name || normal(&kept.id) == wanted;
        if let Some(kept) = self.playlists.iter().find(by_id) {
            return Ok(kept);
        }
        match self.named(name).as_slice() {
            [kept] => Ok(kept),
            [] => Err(self.none(name)),
            several => {
                let ids: Vec<String> =
                    several.iter().map(|kept| format!("`{}`", kept.id)).collect();
                Err(Error::usage(format_args!("several playlists are called `{name}`"))
                    .because(format!("they came from different libraries: {}", ids.join(", ")))
                    .with_hint("name one by its id, and give one of them another name"))
            }
        }
    }

    // The playlists of this name, without what was kept beside if there are others.
    fn named(&self, name: &str) -> Vec<&KeptPlaylist> {
        let name = normal(name);
        let all = self.playlists.iter().filter(|kept| normal(kept.playlist.name()) == name);
        let (own, beside): (Vec<_>, Vec<_>) = all.partition(|kept| kept.beside().is_none());
        if own.is_empty() { beside } else { own }
    }

    fn none(&self, name: &str) -> Error {
        let error = Error::not_found(format_args!("there is no playlist `{name}`"));
        if let Some(one) = self.unreadable.iter().find(|one| one.id == name) {
            return Error::new(ErrorKind::Corrupt, &one.why);
        }
        let names: Vec<String> = self
            .playlists
            .iter()
            .take(NAMED)
            .map(|kept| format!("`{}`", kept.playlist.name()))
            .collect();
        let more = self.playlists.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        match names.as_slice() {
            [] => error.with_hint(Hint::of("{} makes one", [Remedy::NewPlaylist])),
            names => error.with_hint(format!("there are {}{more}", names.join(", "))),
        }
    }
}

/// The playlist with this id or name. One request for an id, and a look at all
/// playlists for a name.
///
/// # Errors
///
/// `NotFound` if there is none, `Usage` if several have the name, `Corrupt` if it
/// cannot be read.
pub async fn playlist_named(library: &Library, name: &str) -> Result<KeptPlaylist> {
    if let Some(document) = stored(library, name).await?.filter(|document| !document.deleted) {
        return KeptPlaylist::of(document);
    }
    Ok(playlists(library).await?.find(name)?.clone())
}

async fn stored(library: &Library, id: &str) -> Result<Option<Document>> {
    if !Document::is_valid_id(id) {
        return Ok(None);
    }
    let ids = [id.to_owned()];
    let found = library.backend().documents().get(DocumentKind::Playlist, &ids).await?;
    Ok(found.into_iter().flatten().next())
}

/// Makes a playlist of songs, or with a rule.
///
/// # Errors
///
/// `Usage` for a name that is none or another playlist's, for both songs and a rule, or
/// for too many songs; those of the library.
pub async fn create_playlist(
    library: &Library,
    name: &str,
    songs: &[SongSummary],
    rule: Option<PlaylistRule>,
) -> Result<KeptPlaylist> {
    let now = now();
    let mut playlist = Playlist::new(name, now)?;
    playlist.insert(None, songs)?;
    if let Some(rule) = rule {
        playlist.follow(rule)?;
    }
    is_free(library, playlist.name(), None).await?;
    let id = OperationId::random().to_string()[..DIGITS].to_owned();
    let document = Document::new(DocumentKind::Playlist, id, playlist.to_body()?, now);
    if !put(library, document.clone(), PutMode::Create).await? {
        return Err(Error::new(ErrorKind::Temporary, "another playlist has the same id")
            .with_hint("try again"));
    }
    // Somebody else may have made one of the same name since it was looked for. Whoever
    // sees the other one gives way, so that there are never two.
    if let Err(error) = is_free(library, playlist.name(), Some(&document.id)).await {
        let own = document.revision.operation;
        put(library, document.deleted(now), PutMode::Replace(own)).await?;
        return Err(error);
    }
    KeptPlaylist::of(document)
}

// Whether no playlist but `own` has this name.
async fn is_free(library: &Library, name: &str, own: Option<&str>) -> Result<()> {
    let list = playlists(library).await?;
    let other = list.named(name).into_iter().find(|kept| Some(kept.id.as_str()) != own);
    match other {
        None => Ok(()),
        Some(other) => Err(Error::usage(format_args!(
            "there is a playlist `{}` already",
            other.playlist.name()
        ))
        .because(format!("its id is `{}`", other.id))
        .with_hint("names of playlists differ by more than case, accents and punctuation")),
    }
}

/// What is changed of a playlist.
#[derive(Clone, Debug)]
pub enum PlaylistChange {
    /// Its name.
    Name(String),
    /// Its rule: it becomes a smart one, if it has no songs.
    Rule(PlaylistRule),
    /// Songs are put in.
    Add {
        /// Which.
        songs: Vec<SongSummary>,
        /// Where, from 0; nothing is the end.
        at: Option<usize>,
    },
    /// Entries are taken out, by their keys.
    Remove(Vec<String>),
    /// Entries are moved.
    Move {
        /// Which, by their keys, in the order that they are to have.
        keys: Vec<String>,
        /// Where the first of them is to stand, from 0, among those that stay.
        to: usize,
    },
}

impl PlaylistChange {
    fn apply(&self, playlist: &mut Playlist) -> Result<()> {
        match self {
            Self::Name(name) => playlist.rename(name),
            Self::Rule(rule) => playlist.follow(rule.clone()),
            Self::Add { songs, at } => playlist.insert(*at, songs).map(drop),
            Self::Remove(keys) => playlist.remove(keys).map(drop),
            Self::Move { keys, to } => playlist.shift(keys, *to),
        }
    }
}

/// Changes a playlist: all of the changes together, or nothing. Where somebody else
/// changes it meanwhile, they are made again on what that left, unless only the version
/// `expected` may be changed.
///
/// # Errors
///
/// `NotFound` if it is not there, `Usage` for what cannot be done with it, `Guard` if it
/// is another version than expected; those of the library.
pub async fn change_playlist(
    library: &Library,
    id: &str,
    changes: &[PlaylistChange],
    expected: Option<OperationId>,
) -> Result<KeptPlaylist> {
    let renames = changes.iter().any(|change| matches!(change, PlaylistChange::Name(_)));
    for _ in 0..ROUNDS {
        let old = present(library, id, expected).await?;
        let before = Playlist::of_body(id, old.body.clone())?;
        let mut after = before.clone();
        changes.iter().try_for_each(|change| change.apply(&mut after))?;
        if after == before {
            return KeptPlaylist::of(old);
        }
        let is_renamed = renames && normal(after.name()) != normal(before.name());
        if is_renamed {
            is_free(library, after.name(), Some(id)).await?;
        }
        let new = old.saying(after.to_body()?, now());
        if put(library, new.clone(), PutMode::Replace(old.revision.operation)).await? {
            if is_renamed && let Err(error) = is_free(library, after.name(), Some(id)).await {
                let back = new.saying(old.body.clone(), now());
                put(library, back, PutMode::Replace(new.revision.operation)).await?;
                return Err(error);
            }
            return KeptPlaylist::of(new);
        }
    }
    Err(contended())
}

/// Deletes a playlist, also one that cannot be read. Its songs stay in the library.
///
/// # Errors
///
/// `NotFound` if it is not there, `Guard` if it is another version than expected; those
/// of the library.
pub async fn delete_playlist(
    library: &Library,
    id: &str,
    expected: Option<OperationId>,
) -> Result<()> {
    for _ in 0..ROUNDS {
        let old = present(library, id, expected).await?;
        let mode = PutMode::Replace(old.revision.operation);
        if put(library, old.deleted(now()), mode).await? {
            return Ok(());
        }
    }
    Err(contended())
}

// The document of a playlist that is there, in the version that is expected.
async fn present(library: &Library, id: &str, expected: Option<OperationId>) -> Result<Document> {
    let document = stored(library, id).await?.filter(|document| !document.deleted);
    let document = document.ok_or_else(|| {
        Error::not_found(format_args!("there is no playlist with the id `{id}`"))
            .with_hint(Hint::of("{} has all of them", [Remedy::Playlists]))
    })?;
    match expected {
        Some(expected) if expected != document.revision.operation => {
            Err(Error::new(ErrorKind::Guard, format_args!("the playlist `{id}` was changed"))
                .because("somebody else wrote it since it was read")
                .with_hint("read it again, and change what is there now"))
        }
        _ => Ok(document),
    }
}

// Whether it was stored, and nobody was faster.
async fn put(library: &Library, document: Document, mode: PutMode) -> Result<bool> {
    let outcomes = library.backend().documents().put(&[PutDocument { document, mode }]).await?;
    Ok(outcomes.iter().all(Outcome::is_done))
}

fn contended() -> Error {
    Error::new(ErrorKind::Temporary, "others keep changing this playlist").with_hint("try again")
}
