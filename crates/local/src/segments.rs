//! Segments: regions of songs with vectors of their own.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use songrec_core::{Segment, SegmentId, SongId};
use songrec_index::{Filter, Key, Query};
use songrec_storage::{NearestSegments, SegmentNeighbor, SegmentQuery, WhichSegments};

use crate::{
    catalog::{Catalog, RowKind, segment_rows},
    database::Database,
    embeddings::{refuse, searchable},
    error::{Fault, Result},
    publish::Publisher,
    store::Store,
    vectors::row_set,
};

/// The segments of songs of a library.
pub(crate) struct Segments<'a> {
    database: &'a Database,
    store: &'a Store,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(database: &'a Database) -> Self {
        Self { database, store: database.store() }
    }

    pub(crate) fn put(&self, segments: &[Segment]) -> Result<()> {
        self.database.write(|transaction| {
            let models = Catalog::models(transaction.connection())?;
            for segment in segments {
                refuse(models.iter().map(|model| &model.spec), &segment.model, &segment.vector)
                    .and_then(|()| segment.refusal().map_or(Ok(()), Err))
                    .map_err(|why| {
                        Fault::invalid(format_args!("segment `{}`: {why}", segment.id))
                    })?;
            }
            let mut by_song: BTreeMap<SongId, Vec<Segment>> = BTreeMap::new();
            let mut seen = BTreeSet::new();
            for segment in segments {
                let known = segment_rows::song_of(transaction.connection(), segment.id)?.is_some();
                if known || !seen.insert(segment.id) {
                    continue;
                }
                let of_song = match by_song.entry(segment.song) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(self.store.segments_of(segment.song)?),
                };
                of_song.push(segment.clone());
            }
            Publisher::new(transaction).store_segments(by_song, &[])
        })
    }

    pub(crate) fn get(&self, ids: &[SegmentId]) -> Result<Vec<Option<Segment>>> {
        self.database.read(|connection| {
            let mut wanted = Vec::with_capacity(ids.len());
            for id in ids {
                wanted.push((*id, segment_rows::song_of(connection, *id)?));
            }
            let mut read = ReadSegments::default();
            wanted
                .into_iter()
                .map(|(id, song)| song.map_or(Ok(None), |song| read.get(self.store, song, id)))
                .collect()
        })
    }

    pub(crate) fn find(&self, query: &SegmentQuery) -> Result<Vec<Segment>> {
        self.database.read(|connection| {
            let found = segment_rows::find(connection, query)?;
            let mut read = ReadSegments::default();
            let segments = found.into_iter().map(|(id, song)| read.get(self.store, song, id));
            segments.filter_map(Result::transpose).collect()
        })
    }

    pub(crate) fn nearest(&self, query: &NearestSegments) -> Result<Vec<SegmentNeighbor>> {
        self.database.read(|connection| {
            let name = query
                .among
                .model
                .as_ref()
                .ok_or_else(|| Fault::invalid("a model is needed to search segments"))?;
            let model = searchable(connection, name, &query.vector, query.metric)?;
            // Few segments are patterns, so these are left out by name: a set of all
            // windows would have to be read first.
            let mut asked = query.among.clone();
            let mut exclude: Vec<Key> =
                query.exclude.iter().map(|id| Key(*id.as_bytes())).collect();
            if asked.which == WhichSegments::Windows {
                asked.which = WhichSegments::All;
                let patterns = SegmentQuery {
                    model: Some(name.clone()),
                    which: WhichSegments::Patterns,
                    ..SegmentQuery::default()
                };
                exclude.extend(segment_rows::ids(connection, &patterns)?.into_iter().map(Key));
            }
            let only_model = SegmentQuery {
                model: Some(name.clone()),
                order: query.among.order,
                descending: query.among.descending,
                skip: query.among.skip,
                limit: query.among.limit,
                ..SegmentQuery::default()
            };
            let among = if only_model == asked {
                None
            } else {
                Some(row_set(segment_rows::ids(connection, &asked)?))
            };
            let metric = query.metric.unwrap_or(model.spec.metric);
            let found = self.database.with_rows(connection, &model, RowKind::Segments, |rows| {
                let mut read = ReadSegments::default();
                let mut segments = BTreeMap::new();
                let search = Query {
                    filter: among.as_ref().map_or(Filter::All, Filter::Rows),
                    exclude: &exclude,
                    ..rows.query(&query.vector, metric, query.k)
                };
                let hits = rows.search_known(&search, query.threshold, |hit| {
                    let id = SegmentId::from_bytes(hit.key.0);
                    let segment = match segment_rows::song_of(connection, id)? {
                        Some(song) => read.get(self.store, song, id)?,
                        None => None,
                    };
                    let is_known = segment.is_some();
                    segments.extend(segment.map(|segment| (hit.key, segment)));
                    Ok(is_known)
                })?;
                let found = hits.into_iter().filter_map(|hit| {
                    let (similarity, distance) = (hit.similarity, hit.distance);
                    let segment = segments.remove(&hit.key)?;
                    Some(SegmentNeighbor { segment, similarity, distance })
                });
                Ok(found.collect())
            });
            Ok(found?.unwrap_or_default())
        })
    }

    pub(crate) fn delete(&self, ids: &[SegmentId]) -> Result<Vec<bool>> {
        self.database.write(|transaction| {
            let mut by_song: BTreeMap<SongId, Vec<Segment>> = BTreeMap::new();
            let mut removed = Vec::new();
            let mut answers = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(song) = segment_rows::song_of(transaction.connection(), *id)? else {
                    answers.push(false);
                    continue;
                };
                let segments = match by_song.entry(song) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => new.insert(self.store.segments_of(song)?),
                };
                let before = segments.len();
                segments.retain(|segment| segment.id != *id);
                answers.push(segments.len() < before);
                removed.push(*id);
            }
            Publisher::new(transaction).store_segments(by_song, &removed)?;
            Ok(answers)
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
