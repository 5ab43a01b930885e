//! Reading files as far as is needed: to their identity if their songs are
//! known, else all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures::{
    StreamExt, future,
    stream::{self, BoxStream},
};
use songrec_audio::{Identity, Opening};
use songrec_core::{Digest, FromFile, Hint, ModelName, Remedy, Song, SongId, Tags};
use songrec_models::{Batcher, TIMBRE, Wanted};
use songrec_storage::{ErrorKind as StorageTrouble, Lookup, SegmentQuery};

use super::{
    FileToRead, Finding, IDENTIFY, Scan, WAIT_TO_ASK, WINDOW,
    arrival::{Found, Looked},
    gathered,
};
use crate::{
    Result,
    complete::{name_lookup_key, same_length},
    decoding::{Why, why},
    work::on_cpu,
};

const NEWER: &str = "its song was written by a newer version of songrec";

fn damaged() -> Hint {
    Hint::of(
        "its song is damaged: bring that back from a backup, or put it aside with {} and scan again",
        [Remedy::Verify { repair: true, read_data: false }],
    )
}

/// A file of which is known which audio it is.
struct Identified {
    file_to_read: FileToRead,
    identity: std::result::Result<Identity, Why>,
}

/// A file of which is known which song it is.
struct Placed {
    file_to_read: FileToRead,
    place: std::result::Result<Place, Why>,
}

struct Place {
    identity: Identity,
    id: SongId,
    /// The song itself, if it is stored.
    song: Option<Song>,
    /// A song that was imported without audio and may wait for this file.
    met: Option<Box<Song>>,
    /// The learned models whose segments of the song are wanted and not kept.
    without_segments: Vec<ModelName>,
}

impl Scan<'_> {
    /// Looks at files, several at a time; ends with an interrupt.
    pub(super) fn looked<'s>(
        &'s self,
        file_to_read: BoxStream<'s, Result<FileToRead>>,
    ) -> BoxStream<'s, Result<Looked>> {
        // More in flight than threads, so that none of them waits while others
        // are asked for or stored.
        let identified = file_to_read
            .map(move |file_to_read| async move {
                match file_to_read {
                    Ok(_) if self.job.is_interrupted() => None,
                    Ok(file_to_read) => Some(Ok(identify(self, file_to_read).await)),
                    Err(error) => Some(Err(error)),
                }
            })
            .buffer_unordered(IDENTIFY.max(self.threads * 4))
            .filter_map(future::ready);
        let patience = if self.is_remote() { WAIT_TO_ASK } else { Duration::ZERO };
        let placed = gathered(identified, IDENTIFY, patience).then(move |chunk| async move {
            let placed = match chunk.into_iter().collect::<Result<Vec<_>>>() {
                Ok(chunk) => place(self, chunk).await,
                Err(error) => Err(error),
            };
            stream::iter(match placed {
                Ok(placed) => placed.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        });
        placed
            .flatten()
            .map(move |placed| async move {
                match placed {
                    Ok(_) if self.job.is_interrupted() => None,
                    Ok(placed) => embed_file(self, placed).await.map(Ok),
                    Err(error) => Some(Err(error)),
                }
            })
            .buffer_unordered(self.threads * 4)
            .filter_map(future::ready)
            .boxed()
    }
}

async fn identify(scan: &Scan<'_>, file_to_read: FileToRead) -> Identified {
    let path = file_to_read.candidate.path.clone();
    let fence = scan.fence.clone();
    let opening =
        Opening { cancel: Some(scan.job.interrupt.flag()), ..scan.embedders.opening().clone() };
    let read = move || {
        let _reading = fence.enter(&path)?;
        songrec_audio::identify_by(&path, &opening).map_err(|error| why(&path, &error, &opening))
    };
    let identity = on_cpu(Some(&scan.pool), read).await.map_err(Why::from).flatten();
    Identified { file_to_read, identity }
}

// Finds the songs of files, with two questions for all of them, and one
// for each learned model if segments are wanted.
async fn place(scan: &Scan<'_>, files: Vec<Identified>) -> Result<Vec<Placed>> {
    let known: Vec<(&Identity, &Path)> = files
        .iter()
        .filter_map(|file| {
            Some((file.identity.as_ref().ok()?, file.file_to_read.candidate.path.as_path()))
        })
        .collect();
    // By its hash, and as what songs wait for that came without audio.
    let hashes = known.iter().map(|(identity, _)| identity.sha256);
    let names = known.iter().map(|(file, path)| name_lookup_key(path).unwrap_or(file.sha256));
    let lookups: Vec<Lookup> = hashes.chain(names).map(Lookup::FileHash).collect();
    let mut by_hash = scan.library.backend.songs().lookup(&lookups).await?;
    let by_name = by_hash.split_off(known.len());
    // The same bytes are the same song, whatever a newer demuxer makes of
    // them.
    let mut ids: Vec<SongId> = known
        .iter()
        .zip(&by_hash)
        .map(|((identity, _), songs)| songs.first().copied().unwrap_or(identity.song()))
        .collect();
    let mut songs = scan.library.each_song(&ids).await?;
    let met = super::meet::met(scan, &known, &by_name, &mut ids, &mut songs).await?;
    let stored: Vec<SongId> = songs.iter().flatten().flatten().map(|song| song.id).collect();
    let lacks_segments = lacking_segments(scan, &stored).await?;
    let mut songs = ids.into_iter().zip(songs).zip(met);
    let placed = files.into_iter().map(|Identified { file_to_read, identity }| {
        let place = identity.and_then(|identity| {
            let ((id, song), met) = songs.next().expect("there is one for each identity");
            let again = file_to_read.candidate.named || scan.options.again;
            let song = match song {
                Ok(song) => song,
                // What is stored anew takes the place of what is damaged.
                Err(StorageTrouble::Corrupt) if again => None,
                Err(StorageTrouble::Corrupt) => return Err(damaged().into()),
                Err(_) => return Err(NEWER.to_owned().into()),
            };
            let without_segments = lacks_segments
                .iter()
                .filter(|(_, songs)| songs.contains(&id))
                .map(|(model, _)| model.clone())
                .collect();
            Ok(Place { identity, id, song, met, without_segments })
        });
        Placed { file_to_read, place }
    });
    Ok(placed.collect())
}

// Nothing if it was left in the middle.
async fn embed_file(scan: &Scan<'_>, placed: Placed) -> Option<Looked> {
    let Placed { file_to_read: FileToRead { candidate, held, was_cut_off }, place } = placed;
    let Place { identity, id, song, met, without_segments } = match place {
        Ok(place) => place,
        Err(reason) => return Some(Looked { candidate, found: Err(reason) }),
    };
    let is_suspect = song.as_ref().is_some_and(|song| is_suspect(song, &identity));
    let is_embedded = without_segments.is_empty()
        && !is_suspect
        && song.as_ref().is_some_and(|song| super::status::is_embedded(scan, song));
    let mut wanted = wanted(scan, song.as_ref(), &without_segments);
    wanted.sound.features |= is_suspect;
    let tags_are_enough = scan.options.dry_run || is_embedded;
    let name_of = |batcher: &Arc<Batcher>| batcher.spec().name.clone();
    let tried = match tags_are_enough {
        true => Vec::new(),
        false => wanted.batchers.iter().map(name_of).chain(wanted.sound.models.clone()).collect(),
    };
    let path = candidate.path.clone();
    let (fence, opening) = (scan.fence.clone(), scan.embedders.opening().clone());
    let work = move || {
        let _reading = fence.enter(&path)?;
        if tags_are_enough {
            return Ok((songrec_audio::read_tags_by(&path, opening.ffmpeg.as_deref()).0, None));
        }
        let embedded = songrec_models::analyze(&path, &wanted);
        let embedded = embedded.map_err(|error| why(&path, &error, &opening))?;
        Ok((embedded.sound.tags.clone(), Some(Box::new(embedded))))
    };
    let found = match on_cpu(Some(&scan.pool), work).await {
        Ok(Ok((tags, analysis))) => {
            let says = FromFile { tags, ..path_values(&candidate.path, identity.sha256) };
            let replaced = held.filter(|held| *held != id);
            let length = analysis.as_ref().map(|embedded| &embedded.sound.audio);
            let length = length.or(song.as_ref().map(|song| &song.audio));
            let length = length.map_or(0.0, |audio| audio.duration);
            // A name alone may be that of many files.
            let is_it = |met: &Song| {
                met.files.iter().any(|file| file.sha256 == identity.sha256)
                    || same_length(met.audio.duration, length)
            };
            let met = met.filter(|met| is_it(met));
            let has_blob = song
                .as_ref()
                .is_some_and(|song| song.blob.is_some() || !songrec_sync::keeps_audio_of(song));
            let song = song.map(|song| song.id);
            let lost = super::lost::lost_of(scan, id);
            Ok(Found {
                identity,
                says,
                analysis,
                is_embedded,
                tried,
                song,
                has_blob,
                met,
                replaced,
                lost,
                was_cut_off,
            })
        }
        // That it was left in the middle is no failure of the file.
        _ if scan.job.is_interrupted() => return None,
        Ok(Err(reason)) => Err(reason),
        Err(reason) => Err(reason.into()),
    };
    Some(Looked { candidate, found })
}

// What has to be found out: of a song that is known, only what it lacks.
fn wanted(scan: &Scan<'_>, song: Option<&Song>, without_segments: &[ModelName]) -> Wanted {
    let mut wanted = scan.embedders.wanted();
    wanted.windows = scan.options.segments;
    wanted.sound.cancel = Some(scan.job.interrupt.flag());
    let Some(song) = song else { return wanted };
    let features = song.features.as_ref();
    // Vectors are of models whose names say what they are: they do not age with features.
    wanted.sound.features =
        features.is_none_or(|known| known.version < songrec_audio::dsp::FEATURES_VERSION);
    let lost = super::lost::lost_of(scan, song.id);
    let lacks = |model: &ModelName| !song.embeddings.contains_key(model) || lost.contains(model);
    wanted.sound.models.retain(lacks);
    // What a song is heard as is of the network of this model, and ages with it.
    wanted.sound.features |= wanted.sound.models.iter().any(|model| model.as_str() == TIMBRE);
    wanted.batchers.retain(|batcher| {
        let name = &batcher.spec().name;
        without_segments.contains(name)
            || (lacks(name) && !scan.memory.has(Finding::Nothing, name, song.id))
    });
    wanted
}

// Those of `songs` of which segments are wanted and not kept, for each
// learned model. The first window of a song is stored after its others.
async fn lacking_segments(
    scan: &Scan<'_>,
    songs: &[SongId],
) -> Result<BTreeMap<ModelName, BTreeSet<SongId>>> {
    let mut lacking = BTreeMap::new();
    if !scan.options.segments {
        return Ok(lacking);
    }
    for batcher in scan.embedders.batchers() {
        let model = &batcher.spec().name;
        let mut unknown: BTreeSet<SongId> = songs.iter().copied().collect();
        unknown.retain(|song| !scan.memory.has(Finding::Segments, model, *song));
        if !unknown.is_empty() {
            let first_windows = SegmentQuery {
                songs: unknown.iter().copied().collect(),
                model: Some(model.clone()),
                kinds: vec![WINDOW.to_owned()],
                time: Some((0.0, 0.0)),
                limit: unknown.len(),
                ..SegmentQuery::default()
            };
            let found = scan.library.backend.segments().find(&first_windows).await?;
            let kept: Vec<SongId> = found.iter().map(|segment| segment.song).collect();
            scan.memory.note(Finding::Segments, model, &kept)?;
            kept.iter().for_each(|song| _ = unknown.remove(song));
        }
        lacking.insert(model.clone(), unknown);
    }
    Ok(lacking)
}

/// What the path of a file says of the song in it.
pub(super) fn path_values(path: &Path, sha256: Digest) -> FromFile {
    FromFile {
        sha256,
        tags: Tags::default(),
        named: songrec_audio::read_name(path),
        folder: super::folders::genre_of_folder(path),
    }
}

// Whether something was wrong with the audio of a song, and this is another file
// of it than those that are known.
fn is_suspect(song: &Song, identity: &Identity) -> bool {
    !song.audio.warnings.is_empty() && !song.files.iter().any(|file| file.sha256 == identity.sha256)
}
