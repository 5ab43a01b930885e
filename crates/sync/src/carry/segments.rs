//! Segments of songs on their way from one library to the other.

use std::{collections::BTreeSet, sync::Arc};

use songrec_core::{Segment, SegmentId, Song};
use songrec_storage::SegmentQuery;
use tokio::sync::OnceCell;

use super::models::Models;
use crate::{Error, Pair, Result, Side, session::Session};

/// Carries the segments of songs.
pub(super) struct Segments<'a> {
    session: &'a Session,
    models: Arc<Models<'a>>,
    /// Whether a side has segments at all.
    any: Pair<OnceCell<bool>>,
}

impl<'a> Segments<'a> {
    pub(super) fn new(session: &'a Session, models: Arc<Models<'a>>) -> Self {
        Self { session, models, any: Pair::default() }
    }

    // Most libraries have no segments, and are asked once.
    async fn has_any(&self, side: Side) -> Result<bool> {
        let has = self.any[side].get_or_try_init(|| async {
            let any = SegmentQuery { limit: 1, ..SegmentQuery::default() };
            let found = self.find(side, &any).await?;
            Ok::<_, Error>(!found.is_empty())
        });
        has.await.copied()
    }

    async fn find(&self, side: Side, query: &SegmentQuery) -> Result<Vec<Segment>> {
        let backend = self.session.backend(side);
        self.session.ask(side, || backend.segments().find(query)).await
    }

    /// Carries the segments of songs to `side` that the other side has, and
    /// deletes those that the songs say are gone for ever.
    ///
    /// A change feed lists songs only, and a caller that adds or deletes segments
    /// stores their song again: so segments are compared when their song is.
    pub(super) async fn carry(&self, side: Side, songs: &[&Song]) -> Result<()> {
        let gone: BTreeSet<&str> = songs
            .iter()
            .flat_map(|song| &song.history)
            .flat_map(|history| history.gone())
            .map(String::as_str)
            .collect();
        let other = side.other();
        if songs.is_empty() || gone.is_empty() && !self.has_any(other).await? {
            return Ok(());
        }
        let songs = songs.iter().map(|song| song.id).collect();
        let query = SegmentQuery { songs, limit: usize::MAX, ..Default::default() };
        let theirs = self.find(other, &query).await?;
        let ours = self.find(side, &query).await?;
        let have: BTreeSet<SegmentId> = ours.iter().map(|segment| segment.id).collect();
        let is_gone = |segment: &Segment| gone.contains(segment.id.to_string().as_str());
        let mut new = Vec::new();
        for segment in theirs {
            let wanted = !have.contains(&segment.id) && !is_gone(&segment);
            if wanted && self.models.register(side, &segment.model).await? {
                new.push(segment);
            }
        }
        let old: Vec<SegmentId> =
            ours.iter().filter(|segment| is_gone(segment)).map(|segment| segment.id).collect();
        let backend = self.session.backend(side);
        for chunk in new.chunks(self.session.batch()) {
            self.session.ask(side, || backend.segments().put(chunk)).await?;
        }
        for chunk in old.chunks(100) {
            self.session.ask(side, || backend.segments().delete(chunk)).await?;
        }
        Ok(())
    }
}
