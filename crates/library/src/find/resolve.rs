//! Which song a person means.

use std::path::{Path, PathBuf};

use songrec_core::{
    FIELDS, Filter, Hint, Remedy, Scan, Song, SongId, SongSummary, Term, decode_path,
};
use songrec_storage::{Lookup, Order, OrderBy, SongQuery, StorageBackendExt};

use crate::{Error, ErrorKind, Library, Result, embedders, paths::absolute};

/// What a person named.
#[derive(Clone, Debug)]
pub enum Named {
    /// A song of the library.
    Song(Box<Song>),
    /// An audio file that is not in the library.
    File(PathBuf),
}

/// Digits of an id that lists show: so many are meant as an id.
const SHOWN_DIGITS: usize = 8;

/// How many candidates an ambiguous name lists.
const CANDIDATES: usize = 10;

/// The song that `name` means: an id, the beginning of one, a path as
/// [`encode_path`](songrec_core::encode_path) writes it, the SHA-256 of a file, or words
/// of its title, artist or file name. Of several songs with the words, one whose
/// whole title they are is meant.
///
/// # Errors
///
/// `NotFound` if there is none, `Usage` with the candidates if there are
/// several.
pub async fn song(library: &Library, name: &str) -> Result<Song> {
    song_of(resolve(library, name).await?)
}

/// The songs that `names` mean, each as [`song`] finds it.
/// Those that are named by their ids are read together.
///
/// # Errors
///
/// As there, of the first name that is wrong.
pub async fn songs(library: &Library, names: &[impl AsRef<str>]) -> Result<Vec<Song>> {
    resolve_all(library, names).await?.into_iter().map(song_of).collect()
}

/// Like [`song`], but an audio file outside the library is
/// an answer too.
///
/// # Errors
///
/// As there.
pub async fn resolve(library: &Library, name: &str) -> Result<Named> {
    Ok(resolve_all(library, &[name]).await?.remove(0))
}

/// Like [`songs`](Library::songs), but audio files outside the library are
/// answers too.
///
/// # Errors
///
/// As there.
pub(crate) async fn resolve_all(
    library: &Library,
    names: &[impl AsRef<str>],
) -> Result<Vec<Named>> {
    let by_id = resolve_ids(library, names).await?;
    let mut all = Vec::with_capacity(names.len());
    for (name, song) in names.iter().zip(by_id) {
        all.push(match song {
            Some(song) => Named::Song(Box::new(song)),
            None => resolve_one(library, name.as_ref()).await?,
        });
    }
    Ok(all)
}

// The songs of those names that are ids, or their beginnings: two questions
// for all of them.
async fn resolve_ids(library: &Library, names: &[impl AsRef<str>]) -> Result<Vec<Option<Song>>> {
    let mut ids: Vec<Option<SongId>> = names.iter().map(|name| whole_id(name.as_ref())).collect();
    let beginnings: Vec<(usize, &str)> = names
        .iter()
        .enumerate()
        .filter(|(at, _)| ids[*at].is_none())
        .filter_map(|(at, name)| Some((at, beginning_of_id(name.as_ref())?)))
        .collect();
    if !beginnings.is_empty() {
        // `1999` and `Bead` are words before they are ids.
        let words = beginnings.iter().filter(|(_, text)| text.len() < SHOWN_DIGITS);
        let words: Vec<(usize, &str)> = words.copied().collect();
        let prefixes = beginnings.iter().map(|(_, text)| Lookup::IdPrefix((*text).to_owned()));
        let titles = words.iter().map(|(_, text)| Lookup::Title((*text).to_owned()));
        let lookups: Vec<Lookup> = prefixes.chain(titles).collect();
        let mut found = library.backend.songs().lookup(&lookups).await?;
        let titled = found.split_off(beginnings.len());
        let is_title = |at: usize| {
            words.iter().zip(&titled).any(|((of, _), ids)| *of == at && !ids.is_empty())
        };
        for ((at, _), found) in beginnings.into_iter().zip(found) {
            match found.as_slice() {
                [] => {}
                _ if is_title(at) => {}
                [id] => ids[at] = Some(*id),
                several => {
                    let songs = library.backend.songs().get(several).await?;
                    let summaries: Vec<_> = songs.iter().flatten().map(SongSummary::of).collect();
                    return Err(ambiguous(names[at].as_ref(), &summaries));
                }
            }
        }
    }
    let asked: Vec<SongId> = ids.iter().flatten().copied().collect();
    if asked.is_empty() {
        return Ok(ids.iter().map(|_| None).collect());
    }
    let mut songs = library.backend.songs().get(&asked).await?.into_iter();
    Ok(ids.iter().map(|id| id.and_then(|_| songs.next().flatten())).collect())
}

// What a name means that is not the id of a song.
async fn resolve_one(library: &Library, name: &str) -> Result<Named> {
    if name.trim().is_empty() {
        return Err(Error::usage("an empty text names no song"));
    }
    let path = &decode_path(name);
    if path.is_file() {
        return resolve_file(library, path).await;
    }
    if path.is_dir() {
        return Err(Error::usage(format_args!("`{name}` is a folder, not a song")).with_hint(
            Hint::of("{} adds what is in it", [Remedy::Scan(Scan::Path(name.to_owned()))]),
        ));
    }
    let stored = library.stored_path(&absolute(path));
    let by_path = [Lookup::Path(stored), Lookup::Path(name.to_owned())];
    let mut ids: Vec<SongId> = library.backend.songs().lookup(&by_path).await?.concat();
    ids.sort_unstable();
    ids.dedup();
    let songs = library.backend.songs().get(&ids).await?;
    let mut songs: Vec<Song> = songs.into_iter().flatten().collect();
    if songs.len() > 1 {
        // Machines that share a library may name different files alike.
        let summaries: Vec<_> = songs.iter().map(SongSummary::of).collect();
        return Err(ambiguous(name, &summaries));
    }
    if let Some(song) = songs.pop() {
        return Ok(Named::Song(Box::new(song)));
    }
    if let Some(song) = of_hash(library, name).await? {
        return Ok(Named::Song(Box::new(song)));
    }
    let looks_like_path = name.contains(['/', '\\']);
    match resolve_words(library, name).await {
        Err(error) if error.kind() == ErrorKind::NotFound && looks_like_path => Err(
            Error::not_found(format_args!("there is no file `{name}`, nor a song of that name"))
                .with_hint(Hint::of("{} finds songs by their words", [Remedy::Search])),
        ),
        resolved => resolved,
    }
}

// The song of the file with this SHA-256. One file has the audio of one song.
async fn of_hash(library: &Library, name: &str) -> Result<Option<Song>> {
    let Ok(sha256) = name.trim().to_ascii_lowercase().parse() else { return Ok(None) };
    let ids = library.backend.songs().lookup(&[Lookup::FileHash(sha256)]).await?.concat();
    match ids.first() {
        Some(id) => Ok(library.backend.get_song(*id).await?),
        None => Ok(None),
    }
}

async fn resolve_file(library: &Library, path: &Path) -> Result<Named> {
    let path = absolute(path);
    let stored = library.stored_path(&path);
    let ids = library.backend.songs().lookup(&[Lookup::Path(stored.clone())]).await?.concat();
    // Another machine may have another file under this path, which shows
    // by its size unless it is very much alike.
    if let [id] = ids.as_slice()
        && let Some(song) = library.backend.get_song(*id).await?
        && let Ok(metadata) = path.metadata()
        && song.files.iter().any(|file| file.path == stored && file.size == metadata.len())
    {
        return Ok(Named::Song(Box::new(song)));
    }
    // The same audio may be known from another place.
    let identity = embedders::identify(library, &path).await?;
    let by_hash =
        library.backend.songs().lookup(&[Lookup::FileHash(identity.sha256)]).await?.concat();
    let id = by_hash.first().copied().unwrap_or_else(|| identity.song());
    if let Some(song) = library.backend.get_song(id).await? {
        return Ok(Named::Song(Box::new(song)));
    }
    Ok(Named::File(path))
}

async fn resolve_words(library: &Library, name: &str) -> Result<Named> {
    let nothing = || {
        let error = Error::not_found(format_args!("there is no song `{name}`"));
        match is_filter(name) {
            true => {
                error.with_hint(Hint::of("{} makes it a filter", [Remedy::Filter(name.to_owned())]))
            }
            false => error.with_hint(Hint::of(
                "{} finds songs by their words, {} lists all",
                [Remedy::Search, Remedy::List],
            )),
        }
    };
    if is_filter(name) {
        return match titled(library, name).await? {
            Some(song) => Ok(Named::Song(Box::new(song))),
            None => Err(nothing()),
        };
    }
    if let Some(song) = titled(library, name).await? {
        return Ok(Named::Song(Box::new(song)));
    }
    let filter = Filter::text(name);
    if filter.is_all() {
        return Err(nothing());
    }
    let order = Order { by: OrderBy::Title, descending: false };
    let query = SongQuery { filter, order, limit: CANDIDATES + 1, ..SongQuery::default() };
    let summaries = library.backend.songs().find_summaries(&query).await?.items;
    let id = match summaries.as_slice() {
        [] => return Err(nothing()),
        [summary] => summary.id,
        several => return Err(ambiguous(name, several)),
    };
    let song = library.backend.get_song(id).await?.ok_or_else(nothing)?;
    Ok(Named::Song(Box::new(song)))
}

// The song with this whole title, wherever it stands among those that have
// its words: letter by letter if there is one, else without case and
// accents.
async fn titled(library: &Library, title: &str) -> Result<Option<Song>> {
    let title = title.trim();
    let ids = library.backend.songs().lookup(&[Lookup::Title(title.to_owned())]).await?.concat();
    let songs = library.backend.songs().get(&ids).await?;
    let mut songs: Vec<Song> = songs.into_iter().flatten().collect();
    let summaries: Vec<SongSummary> = songs.iter().map(SongSummary::of).collect();
    let verbatim: Vec<usize> =
        (0..summaries.len()).filter(|at| summaries[*at].title == title).collect();
    match (verbatim.as_slice(), summaries.len()) {
        (_, 0) => Ok(None),
        ([at], _) => Ok(Some(songs.swap_remove(*at))),
        (_, 1) => Ok(songs.pop()),
        _ => Err(ambiguous(title, &summaries)),
    }
}

fn song_of(named: Named) -> Result<Song> {
    match named {
        Named::Song(song) => Ok(*song),
        Named::File(path) => {
            Err(Error::not_found(format_args!("`{}` is not in the library", path.display()))
                .with_hint(Hint::of(
                    "{} adds it",
                    [Remedy::Scan(Scan::Path(path.display().to_string()))],
                )))
        }
    }
}

// What exists is a file or a folder, whatever it is called.
fn whole_id(name: &str) -> Option<SongId> {
    name.parse().ok().filter(|_| !Path::new(name).exists())
}

fn beginning_of_id(name: &str) -> Option<&str> {
    let text = name.strip_prefix("smpl_").unwrap_or(name);
    let is_hexadecimal = text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    // Shorter ones are more likely to be words.
    let is_one = is_hexadecimal && (4..36).contains(&text.len()) && !Path::new(name).exists();
    is_one.then_some(text)
}

// Whether it is what a filter looks like, such as `genre:techno`.
fn is_filter(name: &str) -> bool {
    let field = name.trim_start_matches(['-', '!']).split_once(':').map(|(field, _)| field);
    field.is_some_and(|field| FIELDS.contains(&field)) && name.parse::<Term>().is_ok()
}

fn ambiguous(name: &str, candidates: &[SongSummary]) -> Error {
    let mut lines: Vec<String> = candidates
        .iter()
        .take(CANDIDATES)
        .map(|summary| {
            let artist = summary.artist.as_deref().map(|artist| format!("{artist} - "));
            let path = summary.path.as_deref().map(|path| format!("  ({path})"));
            format!(
                "{}  {}{}{}",
                summary.id.short(),
                artist.unwrap_or_default(),
                summary.title,
                path.unwrap_or_default()
            )
        })
        .collect();
    if candidates.len() > CANDIDATES {
        lines.push("…".to_owned());
    }
    Error::usage(format_args!("`{name}` names several songs"))
        .because(format!("it could be any of\n  {}", lines.join("\n  ")))
        .with_hint("name one by its id")
}
