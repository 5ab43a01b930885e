//! Segments of the songs that are carried.

use std::collections::{BTreeSet, HashMap};

use songrec_core::{Segment, SegmentId, SongId};
use songrec_storage::SegmentQuery;

use crate::{Pair, Place, Result, Syncer, facts::Carrier};

/// What is known of the segments of a song before they are carried to a place.
pub(crate) struct OldSegments {
    pub(crate) song: SongId,
    /// Those that both sides last agreed on.
    pub(crate) agreed: Vec<SegmentId>,
    /// Where the song was not: what is left there of an earlier life is not its
    /// own.
    pub(crate) comes_back: Pair<bool>,
}

impl Syncer {
    /// Whether there are segments at `place` at all. Most libraries have none,
    /// and are asked once.
    pub(crate) async fn has_segments(&self, carrier: &Carrier, place: Place) -> Result<bool> {
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
    ///
    /// Only songs are told by the changes of a library, and whoever adds or
    /// deletes segments stores their song again: so segments are looked at
    /// when their song is.
    pub(crate) async fn carry_segments(
        &self,
        carrier: &Carrier,
        place: Place,
        songs: &[OldSegments],
    ) -> Result<HashMap<SongId, Vec<SegmentId>>> {
        let mut agreed: HashMap<SongId, Vec<SegmentId>> = HashMap::new();
        let other = place.other();
        // What comes back there has its segments from here.
        let songs: Vec<&OldSegments> =
            songs.iter().filter(|song| !song.comes_back[other]).collect();
        if songs.is_empty() {
            return Ok(agreed);
        }
        let known: BTreeSet<SegmentId> =
            songs.iter().flat_map(|song| &song.agreed).copied().collect();
        let back: BTreeSet<SongId> =
            songs.iter().filter(|song| song.comes_back[place]).map(|song| song.song).collect();
        // Nothing to bring, and nothing to delete.
        if known.is_empty()
            && !self.has_segments(carrier, other).await?
            && (back.is_empty() || !self.has_segments(carrier, place).await?)
        {
            return Ok(agreed);
        }
        let songs = songs.iter().map(|song| song.song).collect();
        let query = SegmentQuery { songs, limit: usize::MAX, ..Default::default() };
        let theirs = self.find_segments(other, &query).await?;
        let ours = self.find_segments(place, &query).await?;
        let have: BTreeSet<SegmentId> = ours.iter().map(|segment| segment.id).collect();
        let still: BTreeSet<SegmentId> = theirs.iter().map(|segment| segment.id).collect();
        // An older copy of a library lacks what it has not seen yet.
        let deleted_at =
            |at: Place, segment: &SegmentId| known.contains(segment) && !carrier.restored[at];
        let mut new = Vec::new();
        // Also that a song has none any more.
        agreed.extend(query.songs.iter().map(|song| (*song, Vec::new())));
        for segment in &theirs {
            agreed.entry(segment.song).or_default().push(segment.id);
            let deleted = deleted_at(place, &segment.id) && !back.contains(&segment.song);
            let wanted = !have.contains(&segment.id) && !deleted;
            if wanted && self.make_room(carrier, place, &segment.model).await? {
                new.push(segment.clone());
            }
        }
        let gone: Vec<SegmentId> = ours
            .iter()
            .filter(|one| !still.contains(&one.id))
            .filter(|one| deleted_at(other, &one.id) || back.contains(&one.song))
            .map(|one| one.id)
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

    /// The segments that both sides have of songs that they have alike.
    pub(crate) async fn common_segments(
        &self,
        carrier: &Carrier,
        songs: Vec<SongId>,
    ) -> Result<HashMap<SongId, Vec<SegmentId>>> {
        let mut common: HashMap<SongId, Vec<SegmentId>> = HashMap::new();
        if songs.is_empty()
            || !self.has_segments(carrier, Place::Left).await?
            || !self.has_segments(carrier, Place::Right).await?
        {
            return Ok(common);
        }
        let query = SegmentQuery { songs, limit: usize::MAX, ..Default::default() };
        let left = self.find_segments(Place::Left, &query).await?;
        let right = self.find_segments(Place::Right, &query).await?;
        let right: BTreeSet<SegmentId> = right.iter().map(|segment| segment.id).collect();
        for segment in left.into_iter().filter(|segment| right.contains(&segment.id)) {
            common.entry(segment.song).or_default().push(segment.id);
        }
        Ok(common)
    }
}
