//! Which songs are known, of those that come without audio.

use std::collections::{BTreeMap, HashMap};

use songrec_core::{Digest, Filter, Song, SongFile, SongId, decode_path};
use songrec_storage::{Lookup, SongQuery};

use super::{Arrival, Arriving, Waits};
use crate::{
    Library, Result,
    complete::{joined, name_lookup_key, same_length},
};

/// What comes without audio may be of a song whose audio is here.
pub(super) async fn meet(arriving: &mut Arriving<'_>, batch: &mut [Arrival]) -> Result<()> {
    let without: Vec<usize> =
        (0..batch.len()).filter(|at| batch[*at].waits == Waits::Yes).collect();
    let ids: Vec<SongId> = without.iter().map(|at| batch[*at].song.id).collect();
    let own = arriving.library.each_song(&ids).await?;
    // Those that came before keep the song that they made.
    let unknown: Vec<usize> = without
        .into_iter()
        .zip(own)
        .filter_map(|(at, own)| matches!(own, Ok(None)).then_some(at))
        .collect();
    let mut lookups = Vec::new();
    for at in &unknown {
        for file in &batch[*at].song.files {
            lookups.push((*at, Lookup::FileHash(file.sha256)));
            lookups.push((*at, Lookup::Path(file.path.clone())));
            let stored = arriving.library.stored_path(&decode_path(&file.path));
            if stored != file.path {
                lookups.push((*at, Lookup::Path(stored)));
            }
        }
    }
    let (positions, lookups): (Vec<usize>, Vec<Lookup>) = lookups.into_iter().unzip();
    let found = arriving.library.backend.songs().lookup(&lookups).await?;
    let (mut asking, mut asked) = (Vec::new(), Vec::new());
    for (at, songs) in positions.into_iter().zip(found) {
        if let [song] = songs.as_slice() {
            asking.push(at);
            asked.push(*song);
        }
    }
    let mut known: BTreeMap<usize, Song> = BTreeMap::new();
    for (at, song) in asking.into_iter().zip(arriving.library.each_song(&asked).await?) {
        if let Ok(Some(song)) = song
            && crate::transfer::arrive::known::is_same(arriving, &batch[at].song, &song)
        {
            known.entry(at).or_insert(song);
        }
    }
    for at in unknown {
        if !known.contains_key(&at)
            && let Some(id) =
                crate::transfer::arrive::known::by_name(arriving, &batch[at].song).await?
            && let Some(Ok(Some(song))) = arriving.library.each_song(&[id]).await?.pop()
        {
            known.insert(at, song);
        }
    }
    arriving.imported.known_by_file += known.len() as u64;
    for (at, known) in known {
        let song = &mut batch[at].song;
        (song.id, song.audio_hash) = (known.id, known.audio_hash);
    }
    Ok(())
}

/// What came before without its audio becomes part of what comes with it;
/// gives those songs, which are to go once the others are stored.
pub(super) async fn join_waiting(
    arriving: &Arriving<'_>,
    batch: &mut [Arrival],
) -> Result<Vec<Song>> {
    let did = |(at, arrival): (usize, &Arrival)| match arrival.waits {
        Waits::Did(id) => Some((at, id)),
        Waits::Never | Waits::Yes => None,
    };
    let (positions, ids): (Vec<usize>, Vec<SongId>) =
        batch.iter().enumerate().filter_map(did).unzip();
    let mut waited = Vec::new();
    for (at, song) in positions.into_iter().zip(arriving.library.each_song(&ids).await?) {
        if let Ok(Some(song)) = song
            && song.awaits_audio()
        {
            let arrival = &mut batch[at];
            for (model, vector) in crate::complete::vectors_of(arriving.library, &song).await? {
                if arrival.vectors.iter().all(|(known, _)| *known != model) {
                    arrival.vectors.push((model, vector));
                }
            }
            joined(&mut arrival.song, &song);
            waited.push(song);
        }
    }
    Ok(waited)
}

// Of two songs without audio an earlier import may have made one of the same
// file; two records of one import are two songs.
fn is_same(arriving: &Arriving<'_>, song: &Song, known: &Song) -> bool {
    let same_path = |file: &SongFile| known.files.iter().any(|one| one.path == file.path);
    !known.awaits_audio()
        || known.added_at < arriving.began
            && song.files.iter().any(same_path)
            && same_length(song.audio.duration, known.audio.duration)
}

// The one song here that has a file of this name, if the lengths agree.
async fn by_name(arriving: &mut Arriving<'_>, song: &Song) -> Result<Option<SongId>> {
    let Some(file) = song.files.first() else { return Ok(None) };
    let Some(handle) = name_lookup_key(&decode_path(&file.path)) else { return Ok(None) };
    if arriving.names.is_none() {
        arriving.names = Some(Names::of(arriving.library).await?);
    }
    let known = arriving.names.as_ref().and_then(|names| names.0.get(&handle).copied().flatten());
    let fits = |(_, duration): &(SongId, f64)| same_length(song.audio.duration, *duration);
    Ok(known.filter(fits).map(|(id, _)| id))
}

/// The songs here by the names of their files; nothing where several have one.
pub(super) struct Names(HashMap<Digest, Option<(SongId, f64)>>);

impl Names {
    async fn of(library: &Library) -> Result<Self> {
        let mut names = HashMap::new();
        let mut query = SongQuery { filter: Filter::all(), limit: 1000, ..SongQuery::default() };
        loop {
            let page = library.backend.songs().find_summaries(&query).await?;
            for summary in page.items {
                // Those that wait for audio themselves have no codec.
                let path = summary.path.filter(|_| !summary.codec.is_empty());
                if let Some(handle) = path.and_then(|path| name_lookup_key(&decode_path(&path))) {
                    names
                        .entry(handle)
                        .and_modify(|known| *known = None)
                        .or_insert(Some((summary.id, summary.duration)));
                }
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(Self(names)),
            }
        }
    }
}
