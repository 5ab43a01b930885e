//! Audio that comes later meets the song that was imported without it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use songrec_audio::Identity;
use songrec_core::{Embedding, OperationId, Song, SongFile, SongId, SongSummary, encode_path};
use songrec_storage::{ErrorKind as StorageTrouble, NewEmbedding};

use super::{
    Scan,
    arrival::{Arrival, Stored},
};
use crate::Result;

/// The songs that wait for these files. Each file's own song is another one,
/// and takes the place of it in `songs`.
pub(super) async fn met(
    scan: &Scan<'_>,
    files: &[(&Identity, &Path)],
    by_name: &[Vec<SongId>],
    ids: &mut [SongId],
    songs: &mut [std::result::Result<Option<Song>, StorageTrouble>],
) -> Result<Vec<Option<Box<Song>>>> {
    let mut met: Vec<Option<Box<Song>>> = Vec::with_capacity(files.len());
    let named: BTreeSet<SongId> = by_name.iter().flatten().copied().collect();
    let named: Vec<SongId> = named.into_iter().collect();
    let named = scan.library.each_song(&named).await?;
    let waiting: BTreeMap<SongId, Song> = named
        .into_iter()
        .filter_map(|song| song.ok().flatten())
        .filter(Song::awaits_audio)
        .map(|song| (song.id, song))
        .collect();
    let mut own = Vec::new();
    for (at, (identity, path)) in files.iter().enumerate() {
        if let Ok(Some(song)) = &mut songs[at]
            && song.awaits_audio()
            && song.id != identity.song()
        {
            met.push(Some(Box::new(song.clone())));
            ids[at] = identity.song();
            own.push(at);
        } else {
            let candidates = by_name[at].iter().filter_map(|id| waiting.get(id));
            met.push(nearest_path(path, candidates).cloned().map(Box::new));
        }
    }
    let own_ids: Vec<SongId> = own.iter().map(|at| ids[*at]).collect();
    for (at, song) in own.into_iter().zip(scan.library.each_song(&own_ids).await?) {
        songs[at] = song;
    }
    Ok(met)
}

/// Others may have met the songs that wait for these files, and one song is
/// met by one file.
pub(super) async fn still_waiting(scan: &Scan<'_>, arrivals: &mut [Arrival]) -> Result<()> {
    let met = arrivals.iter().filter_map(|arrival| arrival.found.met.as_ref());
    let ids: BTreeSet<SongId> = met.map(|song| song.id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<SongId> = ids.into_iter().collect();
    let songs = scan.library.each_song(&ids).await?;
    let songs = songs.into_iter().filter_map(|song| song.ok().flatten());
    let mut waiting: BTreeMap<SongId, Song> =
        songs.filter(Song::awaits_audio).map(|song| (song.id, song)).collect();
    for arrival in arrivals {
        arrival.found.met = arrival
            .found
            .met
            .take()
            .and_then(|met| waiting.remove(&met.id))
            .filter(|met| met.id != arrival.id())
            .map(Box::new);
    }
    Ok(())
}

/// What was imported without audio is of the song that its audio makes.
pub(super) async fn vectors_of_met(
    scan: &Scan<'_>,
    arrivals: &[Arrival],
) -> Result<Vec<(usize, NewEmbedding)>> {
    let mut vectors = Vec::new();
    for (at, arrival) in arrivals.iter().enumerate() {
        let Some(met) = &arrival.found.met else { continue };
        let (song, summary) =
            (arrival.id(), SongSummary { id: arrival.id(), ..SongSummary::of(met) });
        for (model, vector) in crate::complete::vectors_of(scan.library, met).await? {
            let embedding = Embedding { song, model, vector };
            let operation = OperationId::random();
            vectors.push((at, NewEmbedding { embedding, summary: summary.clone(), operation }));
        }
    }
    Ok(vectors)
}

/// The songs that waited for files go when the songs of these are stored.
pub(super) async fn forget_met(
    scan: &Scan<'_>,
    arrivals: &[Arrival],
    stored: &mut Stored,
) -> Result<()> {
    let met: Vec<(&Arrival, &Song)> = arrivals
        .iter()
        .filter(|arrival| stored.statuses.contains_key(&arrival.stored))
        .filter_map(|arrival| Some((arrival, &**arrival.found.met.as_ref()?)))
        .collect();
    let songs: Vec<Song> = met.iter().map(|(_, song)| (*song).clone()).collect();
    let forgotten = crate::complete::forget_waiting(scan.library, &songs).await?;
    for ((arrival, _), is_forgotten) in met.into_iter().zip(forgotten) {
        // Somebody changed it meanwhile: the next scan meets it again.
        if !is_forgotten {
            stored.statuses.remove(&arrival.stored);
        }
    }
    Ok(())
}

// Of several songs that wait for a file of this name the one whose folders are
// called the same, if it is one.
fn nearest_path<'s>(path: &Path, songs: impl Iterator<Item = &'s Song>) -> Option<&'s Song> {
    let same_folders = |song: &&Song| {
        let parts = |path: &str| -> Vec<String> {
            path.rsplit(['/', '\\']).map(str::to_lowercase).collect()
        };
        let own = parts(&encode_path(path));
        let same = |file: &SongFile| {
            own.iter().zip(parts(&file.path)).take_while(|(one, two)| *one == two).count()
        };
        song.files.iter().map(same).max()
    };
    let mut songs: Vec<&Song> = songs.collect();
    songs.sort_by_key(|song| std::cmp::Reverse(same_folders(song)));
    match songs.as_slice() {
        [one] => Some(one),
        [one, other, ..] if same_folders(one) > same_folders(other) => Some(one),
        _ => None,
    }
}
