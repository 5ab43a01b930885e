//! Segments of the songs that are carried.

use std::collections::BTreeSet;

use songrec_core::{Segment, SegmentId, Song};
use songrec_storage::SegmentQuery;

use crate::{Place, Result, Syncer, objects::Carrier};

impl Syncer {
    // Whether there are segments at `place` at all. Most libraries have none,
    // and are asked once.
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
        let found = self.ask(place, || backend.segments().find(query)).await;
        found.map_err(|error| self.failed(place, error))
    }

    /// Brings the segments of songs to `place` that the other side has, and
    /// deletes those that are gone for ever, as the songs say.
    ///
    /// Only songs are told by the changes of a library, and whoever adds or
    /// deletes segments stores their song again: so segments are looked at
    /// when their song is.
    pub(crate) async fn carry_segments(
        &self,
        carrier: &Carrier,
        place: Place,
        songs: &[&Song],
    ) -> Result<()> {
        let gone: BTreeSet<&str> = songs
            .iter()
            .flat_map(|song| &song.history)
            .flat_map(|history| history.gone())
            .map(String::as_str)
            .collect();
        let other = place.other();
        if songs.is_empty() || gone.is_empty() && !self.has_segments(carrier, other).await? {
            return Ok(());
        }
        let songs = songs.iter().map(|song| song.id).collect();
        let query = SegmentQuery { songs, limit: usize::MAX, ..Default::default() };
        let theirs = self.find_segments(other, &query).await?;
        let ours = self.find_segments(place, &query).await?;
        let have: BTreeSet<SegmentId> = ours.iter().map(|segment| segment.id).collect();
        let is_gone = |segment: &Segment| gone.contains(segment.id.to_string().as_str());
        let mut new = Vec::new();
        for segment in theirs {
            let wanted = !have.contains(&segment.id) && !is_gone(&segment);
            if wanted && self.make_room(carrier, place, &segment.model).await? {
                new.push(segment);
            }
        }
        let old: Vec<SegmentId> =
            ours.iter().filter(|segment| is_gone(segment)).map(|segment| segment.id).collect();
        let backend = self.backend(place);
        for chunk in new.chunks(self.batch()) {
            let put = self.ask(place, || backend.segments().put(chunk)).await;
            put.map_err(|error| self.failed(place, error))?;
        }
        for chunk in old.chunks(100) {
            let deleted = self.ask(place, || backend.segments().delete(chunk)).await;
            deleted.map_err(|error| self.failed(place, error))?;
        }
        Ok(())
    }
}
