//! A file of a player as a playlist: which songs of the library it means.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Serialize;
use songrec_core::{Filter, Job, SongId, SongSummary, decode_path, encode_path, fold};
use songrec_storage::{Lookup, SongQuery};

use super::{
    body::MOST_SONGS,
    formats::{Listed, ListedSong, PlaylistFormat},
    kept::{PlaylistCard, create_playlist},
    location::PathMap,
};
use crate::{
    Error, ErrorKind, Library, Result, hash::hash_file, scan::walk::may_be_audio, work::blocking,
};

/// Bytes of a file that is read, at the most.
pub const LARGEST_PLAYLIST_FILE: u64 = 8 << 20;
/// Names of songs that are asked for at once.
const ASKED: usize = 200;
/// Songs of a page.
const PAGE: usize = 1_000;
/// Seconds by which the lengths of one recording may differ in two programs.
const LENGTH: f64 = 3.0;

/// How a file of a playlist is read.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// What the playlist is called; what the file calls it, or its own name, otherwise.
    pub name: Option<String>,
    /// Folders that are elsewhere for the player, from how it calls them to here; the
    /// first that fits counts.
    pub maps: Vec<PathMap>,
    /// Whether only to say what would be taken in.
    pub dry_run: bool,
    /// For a file that somebody sent: no file that it names is looked at on this machine,
    /// so that nobody learns what is there.
    pub sent: Option<SentPlaylist>,
}

/// What is known of a file that somebody sent.
#[derive(Clone, Debug, Default)]
pub struct SentPlaylist {
    /// The folder that its relative paths begin at; `/` if nobody says.
    pub folder: Option<PathBuf>,
}

/// By what a song was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// The id that songrec had written into the file.
    Id,
    /// The path of one of its files.
    Path,
    /// What is in the file at that path.
    Hash,
    /// The name of its file, which no other song's file has.
    FileName,
    /// Its title and artist, which no other song has.
    Title,
}

/// A playlist that was read from a file.
#[derive(Clone, Debug, Serialize)]
pub struct ImportedPlaylist {
    /// The playlist that was made; nothing if nothing was to be made, or no song was
    /// recognised.
    pub playlist: Option<PlaylistCard>,
    /// How many songs were recognised.
    pub matched: usize,
    /// How many of them by what.
    pub matched_by: BTreeMap<MatchedBy, usize>,
    /// The others.
    pub unmatched: Vec<Unmatched>,
}

/// Something in a file of a playlist that is no song of the library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unmatched {
    /// Its place in the file, from 1.
    pub position: usize,
    /// Where the file says that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How the file calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Why it was not recognised.
    pub why: String,
}

/// Makes a playlist of a file: `.m3u8`, `.m3u`, `.xspf` or `.jspf`.
///
/// Songs are recognised by the id that songrec wrote, by path, by what is in the file,
/// and by the name of the file or by title and artist where only one song has them. Files
/// that the playlist names are read only if they are audio by their name, and never more
/// than hashed. Where names have to be compared, the summaries of all songs are read.
///
/// # Errors
///
/// `Usage` for a file that is none of these, or too large, or a name that is another
/// playlist's; `NotFound` if it is not there; those of the library.
pub async fn import_playlist(
    library: &Library,
    file: &Path,
    options: &ImportOptions,
    job: &Job,
) -> Result<ImportedPlaylist> {
    let listed = read(file).await?;
    let folder = match &options.sent {
        Some(sent) => sent.folder.clone().unwrap_or_else(|| PathBuf::from("/")),
        None => {
            let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
            whole.parent().unwrap_or(Path::new("/")).to_owned()
        }
    };
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let name = options.name.clone().or(listed.name).or(stem).unwrap_or_default();
    let mut matching = Matching::of(library, listed.songs, &folder, &options.maps);
    matching.by_id().await?;
    matching.by_path().await?;
    if options.sent.is_none() {
        matching.by_linked_path().await?;
        matching.by_hash(job).await?;
    }
    matching.by_name(job).await?;
    let (songs, matched_by, unmatched) = matching.found().await?;
    if job.is_interrupted() {
        return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
    }
    let playlist = match songs.is_empty() || options.dry_run {
        true => None,
        false => Some(create_playlist(library, &name, &songs, None).await?.card()),
    };
    Ok(ImportedPlaylist { playlist, matched: songs.len(), matched_by, unmatched })
}

async fn read(file: &Path) -> Result<Listed> {
    let format = PlaylistFormat::of_path(file).map_err(|error| {
        Error::usage(error).with_hint("playlists are files that end in .m3u8, .m3u, .xspf or .jspf")
    })?;
    let path = file.to_owned();
    let bytes = blocking(move || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // One byte more says that there are more.
        File::open(path)?.take(LARGEST_PLAYLIST_FILE + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    let bytes = bytes.await?.map_err(|error| Error::io("read", file, error))?;
    let wrong = |why: String| {
        Error::usage(format_args!("`{}` cannot be read as {format}", file.display())).because(why)
    };
    if bytes.len() as u64 > LARGEST_PLAYLIST_FILE {
        return Err(wrong(format!("it is larger than {LARGEST_PLAYLIST_FILE} bytes"))
            .with_hint(format!("a playlist has {MOST_SONGS} songs at the most")));
    }
    format
        .read(&bytes)
        .map_err(|why| wrong(why).with_hint("the program that wrote it may write it anew"))
}

/// Which songs of the library those of a file are.
struct Matching<'a> {
    library: &'a Library,
    wanted: Vec<Wanted>,
}

/// One song of a file.
struct Wanted {
    listed: ListedSong,
    /// Where it would be here.
    file: Option<PathBuf>,
    found: Option<(SongId, MatchedBy)>,
    why: &'static str,
}

impl<'a> Matching<'a> {
    fn of(library: &'a Library, songs: Vec<ListedSong>, folder: &Path, maps: &[PathMap]) -> Self {
        let of = |listed: ListedSong| {
            let file = listed.location.as_ref().and_then(|one| one.file(folder, maps));
            let why = match (&file, &listed.location) {
                (Some(_), _) => "no song has this path, this content or this name alone",
                (None, Some(_)) => "it is no file",
                (None, None) => "the file names nothing",
            };
            Wanted { listed, file, found: None, why }
        };
        Self { library, wanted: songs.into_iter().map(of).collect() }
    }

    fn open(&mut self) -> impl Iterator<Item = &mut Wanted> {
        self.wanted.iter_mut().filter(|wanted| wanted.found.is_none())
    }

    async fn by_id(&mut self) -> Result<()> {
        let library = self.library;
        let mut asked: Vec<(&mut Wanted, SongId)> = self
            .open()
            .filter_map(|wanted| wanted.listed.song.map(|song| (wanted, song)))
            .collect();
        for asked in asked.chunks_mut(ASKED) {
            let ids: Vec<SongId> = asked.iter().map(|(_, song)| *song).collect();
            for ((wanted, song), there) in asked.iter_mut().zip(library.each_song(&ids).await?) {
                if matches!(there, Ok(Some(_))) {
                    wanted.found = Some((*song, MatchedBy::Id));
                }
            }
        }
        Ok(())
    }

    async fn by_path(&mut self) -> Result<()> {
        let library = self.library;
        let mut asked: Vec<(&mut Wanted, Lookup)> = Vec::new();
        for wanted in self.open() {
            let Some(file) = wanted.file.clone() else { continue };
            let path = library.stored_path(&file);
            asked.push((wanted, Lookup::Path(path)));
        }
        look(library, &mut asked, MatchedBy::Path).await
    }

    // The same file by the path that links lead to.
    async fn by_linked_path(&mut self) -> Result<()> {
        let library = self.library;
        let mut linked: Vec<(&mut Wanted, Lookup)> = Vec::new();
        for wanted in self.open() {
            let Some(file) = wanted.file.clone() else { continue };
            let real = blocking(move || file.canonicalize()).await?;
            if let Ok(real) = real {
                let path = library.stored_path(&real);
                linked.push((wanted, Lookup::Path(path)));
            }
        }
        look(library, &mut linked, MatchedBy::Path).await
    }

    async fn by_hash(&mut self, job: &Job) -> Result<()> {
        let library = self.library;
        let mut asked: Vec<(&mut Wanted, Lookup)> = Vec::new();
        for wanted in self.open() {
            let Some(file) = wanted.file.clone() else { continue };
            if job.is_interrupted() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            // A playlist may name anything: only what is audio by its name is read.
            let hash = blocking(move || {
                let is_audio =
                    may_be_audio(&file) && file.metadata().is_ok_and(|file| file.is_file());
                is_audio.then(|| hash_file(&file).ok()).flatten()
            });
            if let Some(hash) = hash.await? {
                wanted.why = "it is not in the library";
                asked.push((wanted, Lookup::FileHash(hash)));
            }
        }
        look(library, &mut asked, MatchedBy::Hash).await
    }

    async fn by_name(&mut self, job: &Job) -> Result<()> {
        let library = self.library;
        let mut names = Names::default();
        for wanted in self.open() {
            names.want(&wanted.listed);
        }
        if names.is_empty() {
            return Ok(());
        }
        names.read(library, job).await?;
        for wanted in self.open() {
            wanted.found = names.find(&wanted.listed);
        }
        Ok(())
    }

    // The songs in the order of the file, and what is none.
    async fn found(self) -> Result<(Vec<SongSummary>, BTreeMap<MatchedBy, usize>, Vec<Unmatched>)> {
        let mut by = BTreeMap::new();
        let (mut ids, mut unmatched) = (Vec::new(), Vec::new());
        for (at, wanted) in self.wanted.iter().enumerate() {
            match wanted.found {
                Some((song, how)) => {
                    *by.entry(how).or_insert(0) += 1;
                    ids.push(song);
                }
                None => unmatched.push(Unmatched {
                    position: at + 1,
                    location: wanted.listed.location.as_ref().map(|one| one.text().to_owned()),
                    title: wanted.listed.title.clone(),
                    why: wanted.why.to_owned(),
                }),
            }
        }
        let mut songs = Vec::with_capacity(ids.len());
        for ids in ids.chunks(ASKED) {
            let read = self.library.each_song(ids).await?;
            let present = read.iter().filter_map(|song| song.as_ref().ok()?.as_ref());
            songs.extend(present.map(SongSummary::of));
        }
        Ok((songs, by, unmatched))
    }
}

// Notes the songs that lookups find, where each finds one.
async fn look(library: &Library, asked: &mut [(&mut Wanted, Lookup)], by: MatchedBy) -> Result<()> {
    for asked in asked.chunks_mut(ASKED) {
        let lookups: Vec<Lookup> = asked.iter().map(|(_, lookup)| lookup.clone()).collect();
        let found = library.backend().songs().lookup(&lookups).await?;
        for ((wanted, _), songs) in asked.iter_mut().zip(found) {
            if let [song] = songs.as_slice() {
                wanted.found = Some((*song, by));
            }
        }
    }
    Ok(())
}

/// What songs are called that are looked for, and the songs that are called so.
#[derive(Default)]
struct Names {
    files: HashMap<String, Called>,
    titles: HashMap<(String, String), Called>,
}

/// The songs of one name.
#[derive(Clone, Copy, Default)]
enum Called {
    #[default]
    Nobody,
    One(SongId, f64),
    Several,
}

impl Called {
    fn add(&mut self, song: &SongSummary) {
        *self = match self {
            Self::Nobody => Self::One(song.id, song.duration),
            Self::One(known, _) if *known == song.id => return,
            Self::One(..) | Self::Several => Self::Several,
        };
    }

    // The song, if it is one and as long as it should be.
    fn fitting(&self, duration: Option<f64>) -> Option<SongId> {
        let Self::One(song, length) = self else { return None };
        let fits = duration.is_none_or(|wanted| {
            wanted == 0.0 || *length == 0.0 || (wanted - length).abs() <= LENGTH
        });
        fits.then_some(*song)
    }
}

impl Names {
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.titles.is_empty()
    }

    fn want(&mut self, listed: &ListedSong) {
        if let Some(name) = file_name(listed) {
            self.files.entry(name).or_default();
        }
        if let Some(title) = title(listed) {
            self.titles.entry(title).or_default();
        }
    }

    async fn read(&mut self, library: &Library, job: &Job) -> Result<()> {
        let mut query = SongQuery { filter: Filter::all(), limit: PAGE, ..SongQuery::default() };
        loop {
            if job.is_interrupted() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            let page = library.backend().songs().find_summaries(&query).await?;
            for song in &page.items {
                let path = song.path.as_deref().map(decode_path);
                let name = path.as_deref().and_then(Path::file_name);
                if let Some(name) = name
                    && let Some(called) = self.files.get_mut(&fold(&encode_path(Path::new(name))))
                {
                    called.add(song);
                }
                let artist = song.artist.as_deref().unwrap_or_default();
                if let Some(called) = self.titles.get_mut(&(fold(&song.title), fold(artist))) {
                    called.add(song);
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    fn find(&self, listed: &ListedSong) -> Option<(SongId, MatchedBy)> {
        let by_name = file_name(listed).and_then(|name| self.files.get(&name));
        if let Some(song) = by_name.and_then(|called| called.fitting(listed.duration)) {
            return Some((song, MatchedBy::FileName));
        }
        let by_title = title(listed).and_then(|title| self.titles.get(&title));
        let song = by_title.and_then(|called| called.fitting(listed.duration))?;
        Some((song, MatchedBy::Title))
    }
}

fn file_name(listed: &ListedSong) -> Option<String> {
    listed.location.as_ref()?.file_name().map(|name| fold(&name))
}

fn title(listed: &ListedSong) -> Option<(String, String)> {
    Some((fold(listed.title.as_deref()?), fold(listed.artist.as_deref()?)))
}
