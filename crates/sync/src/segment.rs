//! Segments of the songs that are carried.

use std::collections::BTreeSet;

use songrec_core::{Segment, SegmentId, Song};
use songrec_storage::SegmentQuery;

use crate::{Result, Side, Syncer, objects::Transfer};

impl Syncer {
    // Whether there are segments at `side` at all. Most libraries have none,
    // and are asked once.
    async fn has_segments(&self, transfer: &Transfer, side: Side) -> Result<bool> {
        let has = transfer.segments[side].get_or_try_init(|| async {
            let any = SegmentQuery { limit: 1, ..SegmentQuery::default() };
            let found = self.find_segments(side, &any).await?;
            Ok::<_, crate::Error>(!found.is_empty())
        });
        has.await.copied()
    }

    async fn find_segments(&self, side: Side, query: &SegmentQuery) -> Result<Vec<Segment>> {
        let backend = self.backend(side);
        let found = self.ask(side, || backend.segments().find(query)).await;
        found.map_err(|error| self.failed(side, error))
    }

    /// Brings the segments of songs to `side` that the other side has, and
    /// deletes those that are gone for ever, as the songs say.
    ///
    /// Only songs are told by the changes of a library, and whoever adds or
    /// deletes segments stores their song again: so segments are looked at
    /// when their song is.
    pub(crate) async fn carry_segments(
        &self,
        transfer: &Transfer,
        side: Side,
        songs: &[&Song],
    ) -> Result<()> {
        let gone: BTreeSet<&str> = songs
            .iter()
            .flat_map(|song| &song.history)
            .flat_map(|history| history.gone())
            .map(String::as_str)
            .collect();
        let other = side.other();
        if songs.is_empty() || gone.is_empty() && !self.has_segments(transfer, other).await? {
            return Ok(());
        }
        let songs = songs.iter().map(|song| song.id).collect();
        let query = SegmentQuery { songs, limit: usize::MAX, ..Default::default() };
        let theirs = self.find_segments(other, &query).await?;
        let ours = self.find_segments(side, &query).await?;
        let have: BTreeSet<SegmentId> = ours.iter().map(|segment| segment.id).collect();
        let is_gone = |segment: &Segment| gone.contains(segment.id.to_string().as_str());
        let mut new = Vec::new();
        for segment in theirs {
            let wanted = !have.contains(&segment.id) && !is_gone(&segment);
            if wanted && self.make_room(transfer, side, &segment.model).await? {
                new.push(segment);
            }
        }
        let old: Vec<SegmentId> =
            ours.iter().filter(|segment| is_gone(segment)).map(|segment| segment.id).collect();
        let backend = self.backend(side);
        for chunk in new.chunks(self.batch()) {
            let put = self.ask(side, || backend.segments().put(chunk)).await;
            put.map_err(|error| self.failed(side, error))?;
        }
        for chunk in old.chunks(100) {
            let deleted = self.ask(side, || backend.segments().delete(chunk)).await;
            deleted.map_err(|error| self.failed(side, error))?;
        }
        Ok(())
    }
}
