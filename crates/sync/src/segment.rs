//! Segments of the songs that are carried.

use std::collections::{BTreeSet, HashMap};

use songrec_core::{Segment, SegmentId, SongId};
use songrec_storage::SegmentQuery;

use crate::{
    Place, Result, Syncer,
    facts::{Carrier, Needs},
};

impl Syncer {
    // Most libraries have no segments, and are asked once.
    async fn has_segments(&self, carrier: &Carrier, place: Place) -> Result<bool> {
        let has = carrier.segments[place].get_or_try_init(|| async {
            let any = SegmentQuery { limit: 1, ..SegmentQuery::default() };
            let found = self.find_segments(place, &any).await?;
            Ok::<_, crate::Error>(!found.is_empty())
        });
        has.await.copied()
    }

    async fn find_segments(&self, place: Place, query: &SegmentQuery) -> Result<Vec<Segment>> {
        let backend = self.backend(place);
        let found = self.ask(place, || backend.find_segments(query)).await;
        found.map_err(|error| self.failed(place, error))
    }

    /// Makes the segments of songs at `place` those of the other side: what is
    /// new there is added, what was deleted there is deleted. Gives what both
    /// sides agree on, for songs that have segments.
    pub(crate) async fn carry_segments(
        &self,
        carrier: &Carrier,
        place: Place,
        songs: &[Needs<'_>],
        of_base: impl Fn(SongId) -> Vec<SegmentId>,
    ) -> Result<HashMap<SongId, Vec<SegmentId>>> {
        let mut agreed: HashMap<SongId, Vec<SegmentId>> = HashMap::new();
        let other = place.other();
        let songs: Vec<SongId> = songs.iter().map(|needs| needs.song.id).collect();
        let known: BTreeSet<SegmentId> = songs.iter().flat_map(|song| of_base(*song)).collect();
        // Nothing to bring, and nothing that was agreed on to delete.
        if known.is_empty() && !self.has_segments(carrier, other).await? {
            return Ok(agreed);
        }
        let query = SegmentQuery { songs: songs.clone(), limit: usize::MAX, ..Default::default() };
        let theirs = self.find_segments(other, &query).await?;
        let ours: BTreeSet<SegmentId> =
            self.find_segments(place, &query).await?.iter().map(|segment| segment.id).collect();
        let mut new = Vec::new();
        for segment in &theirs {
            agreed.entry(segment.song).or_default().push(segment.id);
            // One that was agreed on and is gone here was deleted here.
            let wanted = !ours.contains(&segment.id) && !known.contains(&segment.id);
            if wanted && self.make_room(carrier, place, &segment.model).await? {
                new.push(segment.clone());
            }
        }
        let still: BTreeSet<SegmentId> = theirs.iter().map(|segment| segment.id).collect();
        let gone: Vec<SegmentId> = ours
            .into_iter()
            .filter(|segment| known.contains(segment) && !still.contains(segment))
            .collect();
        let backend = self.backend(place);
        for chunk in new.chunks(self.batch()) {
            let put = self.ask(place, || backend.put_segments(chunk)).await;
            put.map_err(|error| self.failed(place, error))?;
        }
        for chunk in gone.chunks(100) {
            let deleted = self.ask(place, || backend.delete_segments(chunk)).await;
            deleted.map_err(|error| self.failed(place, error))?;
        }
        Ok(agreed)
    }
}
