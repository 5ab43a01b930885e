//! Patterns among the segments of a library.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use songrec_core::{Pattern, Segment, SegmentId, Song, SongId, SongSummary};
use songrec_storage::{Outcome, PutMode, PutSong, SegmentQuery, WhichSegments};

use crate::{Error, ErrorKind, Library, Result, library::named, now};

/// How often songs are stored again on top of somebody else's write.
const ATTEMPTS: usize = 20;
/// Patterns whose versions are read with one request: as many as a backend far away
/// can be asked of by name.
const OF_ONE_REQUEST: usize = 100;
/// The same where a request costs nothing, and each reads the files of songs again.
const OF_ONE_REQUEST_HERE: usize = 5_000;

/// The pattern of a segment that is one.
pub(super) fn of(segment: &Segment) -> Option<&Pattern> {
    segment.pattern.as_ref()
}

/// The version that is shown of each of these patterns, and the others that were
/// written without knowledge of it, latest first.
pub(super) async fn versions(
    library: &Library,
    ids: &BTreeSet<SegmentId>,
) -> Result<HashMap<SegmentId, Vec<Segment>>> {
    let mut all: HashMap<SegmentId, Vec<Segment>> = HashMap::new();
    let remote = library.backend().capabilities().remote;
    let at_once = if remote { OF_ONE_REQUEST } else { OF_ONE_REQUEST_HERE };
    let ids: Vec<SegmentId> = ids.iter().copied().collect();
    for patterns in ids.chunks(at_once) {
        let query = SegmentQuery {
            which: WhichSegments::Patterns,
            patterns: patterns.to_vec(),
            limit: usize::MAX,
            ..SegmentQuery::default()
        };
        for segment in library.backend().segments().find(&query).await? {
            if let Some(id) = of(&segment).map(|pattern| pattern.id) {
                all.entry(id).or_default().push(segment);
            }
        }
    }
    let changed = |segment: &Segment| of(segment).map(|pattern| pattern.changed_at);
    for versions in all.values_mut() {
        versions
            .sort_by(|left, right| changed(right).cmp(&changed(left)).then(right.id.cmp(&left.id)));
    }
    Ok(all)
}

/// What lists show of the songs of these segments; songs that are gone are left out.
pub(super) async fn songs_of(
    library: &Library,
    segments: impl IntoIterator<Item = &Segment>,
) -> Result<HashMap<SongId, SongSummary>> {
    let ids: BTreeSet<SongId> = segments.into_iter().map(|segment| segment.song).collect();
    let ids: Vec<SongId> = ids.into_iter().collect();
    let mut songs = HashMap::new();
    for ids in ids.chunks(library.backend().capabilities().batch.max(1)) {
        for song in library.each_song(ids).await? {
            // One that is damaged keeps no pattern of another song from being shown.
            if let Ok(Some(song)) = song {
                songs.insert(song.id, SongSummary::of(&song));
            }
        }
    }
    Ok(songs)
}

/// Stores songs again, as everybody does who stores or deletes segments of theirs, with
/// the segments that are gone for ever. Gives the songs that are not there any more.
pub(super) async fn announce(
    library: &Library,
    gone: &BTreeMap<SongId, Vec<SegmentId>>,
) -> Result<BTreeSet<SongId>> {
    let mut missing = BTreeSet::new();
    let ids: Vec<SongId> = gone.keys().copied().collect();
    for ids in ids.chunks(library.backend().capabilities().batch.max(1)) {
        let stored = library.backend().songs().get(ids).await?;
        let mut current: Vec<Song> = Vec::with_capacity(ids.len());
        for (id, song) in ids.iter().zip(stored) {
            match song {
                Some(song) => current.push(song),
                None => _ = missing.insert(*id),
            }
        }
        for _ in 0..ATTEMPTS {
            let puts: Vec<PutSong> = current.iter().map(|song| again(song, gone)).collect();
            if puts.is_empty() {
                break;
            }
            let outcomes = library.backend().songs().put(&puts).await?;
            let mut newer = Vec::new();
            for (put, outcome) in puts.iter().zip(outcomes) {
                match outcome {
                    Outcome::Done => {}
                    Outcome::Conflict(Some(song)) => newer.push(*song),
                    Outcome::Conflict(None) => _ = missing.insert(put.song.id),
                }
            }
            current = newer;
        }
        if let Some(song) = current.first() {
            let what = format_args!("{} could not be stored again", named(song.id));
            return Err(Error::new(ErrorKind::Temporary, what)
                .because(format!("others changed it {ATTEMPTS} times in a row"))
                .with_hint("try again"));
        }
    }
    Ok(missing)
}

fn again(song: &Song, gone: &BTreeMap<SongId, Vec<SegmentId>>) -> PutSong {
    let mut next = song.clone();
    if let Some(gone) = gone.get(&song.id).filter(|gone| !gone.is_empty()) {
        next.forget_segments(gone);
    }
    next.revise(song, now());
    PutSong { song: next, mode: PutMode::Replace(song.revision.operation), origin: None }
}
