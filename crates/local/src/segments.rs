//! Segments: regions of songs with vectors of their own.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use songrec_core::{Segment, SegmentId, SongId};
use songrec_storage::{NearestSegments, SegmentNeighbor, SegmentQuery};

use crate::{
    catalog::{Catalog, Kind},
    embeddings::refuse,
    error::{Fault, Result},
    layout::Folder,
    segment_file,
    store::{Store, Writing},
    vectors::{Search, row_set},
};

impl Store {
    pub(crate) fn put_segments(&self, segments: &[Segment]) -> Result<()> {
        self.write(|writing| {
            let models = Catalog::models(writing.connection)?;
            for segment in segments {
                refuse(models.iter().map(|model| &model.spec), &segment.model, &segment.vector)
                    .and_then(|()| refuse_numbers(segment))
                    .map_err(|why| {
                        Fault::invalid(format_args!("segment `{}`: {why}", segment.id))
                    })?;
            }
            let mut by_song: BTreeMap<SongId, Vec<Segment>> = BTreeMap::new();
            let mut seen = BTreeSet::new();
            for segment in segments {
                let known = Catalog::song_of_segment(writing.connection, segment.id)?.is_some();
                if known || !seen.insert(segment.id) {
                    continue;
                }
                let of_song = match by_song.entry(segment.song) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(self.segments_of(segment.song)?),
                };
                of_song.push(segment.clone());
            }
            writing.store_segments(by_song, &[])
        })
    }

    pub(crate) fn get_segments(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        self.read(|connection| {
            let mut wanted = Vec::with_capacity(ids.len());
            for id in ids {
                wanted.push((*id, Catalog::song_of_segment(connection, *id)?));
            }
            let mut read = ReadSegments::default();
            wanted
                .into_iter()
                .map(|(id, song)| song.map_or(Ok(None), |song| read.get(self, song, id)))
                .collect()
        })
    }

    pub(crate) fn find_segments(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        self.read(|connection| {
            let found = Catalog::find_segments(connection, query)?;
            let mut read = ReadSegments::default();
            let segments = found.into_iter().map(|(id, song)| read.get(self, song, id));
            segments.filter_map(Result::transpose).collect()
        })
    }

    pub(crate) fn nearest_segments(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        self.read(|connection| {
            let name = query
                .among
                .model
                .as_ref()
                .ok_or_else(|| Fault::invalid("a model is needed to search segments"))?;
            let model = self.searchable(connection, name, &query.vector, query.metric)?;
            let only_model = SegmentQuery {
                model: Some(name.clone()),
                order: query.among.order,
                descending: query.among.descending,
                skip: query.among.skip,
                limit: query.among.limit,
                ..SegmentQuery::default()
            };
            let among = if only_model == query.among {
                None
            } else {
                Some(row_set(Catalog::segment_ids(connection, &query.among)?))
            };
            let exclude: Vec<[u8; 16]> = query.exclude.iter().map(|id| *id.as_bytes()).collect();
            let search = Search {
                vector: &query.vector,
                metric: query.metric.unwrap_or(model.spec.metric),
                k: query.k,
                offset: 0,
                threshold: query.threshold,
                among: among.as_ref(),
                exclude: &exclude,
            };
            let found = self.with_rows(connection, &model, Kind::Segments, |rows| {
                let mut read = ReadSegments::default();
                let mut segments = BTreeMap::new();
                let hits = rows.search_known(&search, |hit| {
                    let id = SegmentId::from_bytes(hit.id);
                    let segment = match Catalog::song_of_segment(connection, id)? {
                        Some(song) => read.get(self, song, id)?,
                        None => None,
                    };
                    let is_known = segment.is_some();
                    segments.extend(segment.map(|segment| (hit.id, segment)));
                    Ok(is_known)
                })?;
                let found = hits.into_iter().filter_map(|hit| {
                    let (similarity, distance) = (hit.similarity, hit.distance);
                    let segment = segments.remove(&hit.id)?;
                    Some(SegmentNeighbor { segment, similarity, distance })
                });
                Ok(found.collect())
            });
            Ok(found?.unwrap_or_default())
        })
    }

    pub(crate) fn delete_segments(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        self.write(|writing| {
            let mut by_song: BTreeMap<SongId, Vec<Segment>> = BTreeMap::new();
            let mut removed = Vec::new();
            let mut answers = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(song) = Catalog::song_of_segment(writing.connection, *id)? else {
                    answers.push(false);
                    continue;
                };
                let segments = match by_song.entry(song) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(self.segments_of(song)?),
                };
                let before = segments.len();
                segments.retain(|segment| segment.id != *id);
                answers.push(segments.len() < before);
                removed.push(*id);
            }
            writing.store_segments(by_song, &removed)?;
            Ok(answers)
        })
    }

    fn segments_of(&self, song: SongId) -> Result<Vec<Segment>> {
        segment_file::read(&self.layout, &self.files, song)
    }
}

impl Writing<'_> {
    /// Replaces the segments of some songs, in the order that
    /// [`store`](Self::store) has for songs.
    fn store_segments(
        &self,
        by_song: BTreeMap<SongId, Vec<Segment>>,
        removed: &[SegmentId],
    ) -> Result<()> {
        let store = self.store;
        let songs: Vec<SongId> = by_song.keys().copied().collect();
        if songs.is_empty() {
            return Ok(());
        }
        self.note_pending(Kind::Segments, &songs)?;
        let (mut files, mut gone) = (Vec::new(), Vec::new());
        for (song, segments) in &by_song {
            if segments.is_empty() {
                gone.push(store.layout.of_song(Folder::Segments, *song));
            } else {
                files.push(segment_file::new_file(&store.layout, *song, segments)?);
            }
        }
        store.files.store(&files)?;
        if !gone.is_empty() {
            store.files.remove(gone.iter().map(std::path::PathBuf::as_path))?;
        }
        self.publish_segments_of(by_song.into_iter().collect(), removed)
    }

    /// Lets indexes and catalog know what the files of some songs' segments
    /// say.
    pub(crate) fn publish_segments(&self, songs: &[SongId]) -> Result<()> {
        if songs.is_empty() {
            return Ok(());
        }
        let mut by_song = Vec::with_capacity(songs.len());
        for song in songs {
            let segments = match segment_file::read(&self.store.layout, &self.store.files, *song) {
                Err(fault @ (Fault::Damaged { .. } | Fault::Newer { .. })) => {
                    tracing::warn!("segments are left out: {fault}");
                    vec![]
                }
                other => other?,
            };
            by_song.push((*song, segments));
        }
        self.publish_segments_of(by_song, &[])
    }

    fn publish_segments_of(
        &self,
        by_song: Vec<(SongId, Vec<Segment>)>,
        removed: &[SegmentId],
    ) -> Result<()> {
        // Rows of segments that the catalog still has and the files have not.
        let mut remove: BTreeSet<[u8; 16]> = removed.iter().map(|id| *id.as_bytes()).collect();
        for (song, segments) in &by_song {
            let of_song = SegmentQuery { songs: vec![*song], ..SegmentQuery::default() };
            remove.extend(Catalog::segment_ids(self.connection, &of_song)?);
            for segment in segments {
                remove.remove(segment.id.as_bytes());
            }
        }
        let remove: Vec<[u8; 16]> = remove.into_iter().collect();
        let mut generations = Vec::new();
        for model in Catalog::models(self.connection)? {
            let put: Vec<_> = by_song
                .iter()
                .flat_map(|(_, segments)| segments)
                .filter(|segment| segment.model == model.spec.name)
                .map(|segment| (*segment.id.as_bytes(), segment.vector.clone()))
                .collect();
            generations.extend(self.change_rows(&model, Kind::Segments, &put, &remove)?);
        }
        self.commit(|connection| {
            for (song, segments) in &by_song {
                Catalog::set_segments(connection, *song, segments)?;
            }
            for (m, folder, generation) in &generations {
                let vectors = Some((folder.as_str(), *generation));
                Catalog::set_vectors(connection, *m, Kind::Segments, vectors)?;
            }
            let shards: BTreeSet<u8> = by_song.iter().map(|(id, _)| id.as_bytes()[0]).collect();
            for shard in shards {
                self.note_shard(connection, Folder::Segments, shard)?;
            }
            let songs = by_song.iter().map(|(song, _)| *song);
            Catalog::remove_pending(connection, Kind::Segments, songs)
        })
    }
}

/// Segment files that were read, so that none is read twice.
#[derive(Default)]
struct ReadSegments(BTreeMap<SongId, Vec<Segment>>);

impl ReadSegments {
    fn get(&mut self, store: &Store, song: SongId, id: SegmentId) -> Result<Option<Segment>> {
        let segments = match self.0.entry(song) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(store.segments_of(song)?),
        };
        Ok(segments.iter().find(|segment| segment.id == id).cloned())
    }
}

fn refuse_numbers(segment: &Segment) -> Result<(), String> {
    if !(0.0 <= segment.start && segment.start <= segment.end) {
        return Err("it ends before it begins".to_owned());
    }
    let finite = segment.end.is_finite()
        && segment.confidence.is_finite()
        && segment.frequencies.is_none_or(|(low, high)| low.is_finite() && high.is_finite());
    if finite { Ok(()) } else { Err("a number of it is not finite".to_owned()) }
}
