//! Audio on its way from one library to the other.

use std::{collections::BTreeSet, sync::Arc};

use songrec_core::{BlobRef, Song};
use songrec_storage::{BlobSource, NewBlob};
use tokio::sync::Semaphore;

use super::{
    CarriedBlob, Needs,
    scope::{Scope, keeps_audio_of},
    throttle::Throttle,
};
use crate::{
    Note, Options, Result, Side,
    decide::operation_of,
    error::{in_words, is_about_one},
    session::Session,
};

/// Carries the audio of songs.
pub(super) struct Audio<'a> {
    session: &'a Session,
    scope: Arc<Scope>,
    throttle: Option<Throttle>,
    /// Copies that are under way at once, of all songs together.
    copies: Semaphore,
}

impl<'a> Audio<'a> {
    pub(super) fn new(
        session: &'a Session,
        options: &Options,
        scope: Arc<Scope>,
        throttle: Option<Throttle>,
    ) -> Self {
        let copies = Semaphore::new(options.jobs.clamp(1, Semaphore::MAX_PERMITS));
        Self { session, scope, throttle, copies }
    }

    /// Gives the blob that a song has to name at `side`, and carries it there if
    /// the side lacks it and audio is carried; none if a person wants no copies of it.
    pub(super) async fn carry(
        &self,
        side: Side,
        needs: &Needs<'_>,
        before: Option<&BlobRef>,
    ) -> Result<CarriedBlob> {
        // Not on either side; garbage collection removes what is there.
        if !keeps_audio_of(needs.song) {
            return Ok(CarriedBlob::default());
        }
        let (own, theirs) = (needs.own.blob.as_ref(), needs.theirs.blob.as_ref());
        let other = side.other();
        let names =
            |blob: Option<&BlobRef>| CarriedBlob { blob: blob.cloned(), ..CarriedBlob::default() };
        let keeps = |side| self.scope.keeps_audio(side);
        let wanted = match (own, theirs) {
            (Some(own), Some(theirs)) if own.sha256 == theirs.sha256 => {
                return Ok(names(Some(own)));
            }
            // Both have one; the other side's is new.
            (Some(own), Some(theirs)) => {
                if before.is_none_or(|before| before.sha256 == theirs.sha256) {
                    return Ok(names(Some(own)));
                }
                Some(theirs.clone())
            }
            (Some(own), None) => return Ok(names(Some(own))),
            (None, Some(theirs)) => Some(theirs.clone()),
            (None, None) => None,
        };
        if !keeps(side) {
            // Where it is, is worth knowing.
            return Ok(names(wanted.filter(|_| keeps(other)).as_ref().or(own)));
        }
        if !self.scope.carries_audio_of(needs.song) {
            return Ok(names(own));
        }
        let wanted = match wanted {
            Some(wanted) if keeps(other) || self.has_blob(other, &wanted).await? => Some(wanted),
            // A side that keeps no copies may still reach the file.
            _ if !keeps(other) && !self.session.is_remote(other) => {
                self.reachable(other, needs.song).await?
            }
            _ => None,
        };
        let Some(wanted) = wanted else { return Ok(names(own)) };
        let new = NewBlob {
            sha256: wanted.sha256,
            size: wanted.size,
            operation: operation_of(&format!("songrec sync blob {}", needs.operation)),
        };
        let here = BlobRef { key: None, ..wanted.clone() };
        if !self.session.is_remote(side) && self.has_blob(side, &here).await? {
            return Ok(names(Some(&here)));
        }
        let note = |text| Some(Note { song: needs.song.id, text });
        match self.copy(side, &wanted, &new).await? {
            Copied::Done(reference) => {
                Ok(CarriedBlob { bytes: wanted.size, ..names(Some(&reference)) })
            }
            Copied::Missing => {
                let text = format!(
                    "its audio is not in {}, so it was not copied",
                    self.session.name(other)
                );
                Ok(CarriedBlob { note: note(text), ..names(own) })
            }
            Copied::Refused(why) => {
                let text = format!("its audio was not copied: {why}");
                Ok(CarriedBlob { note: note(text), ..names(own) })
            }
        }
    }

    async fn has_blob(&self, side: Side, blob: &BlobRef) -> Result<bool> {
        let backend = self.session.backend(side);
        match self.session.try_ask(side, || backend.blobs().get(blob, Some(0..0))).await {
            Ok(found) => Ok(found.is_some()),
            Err(error) if is_about_one(&error) => Ok(false),
            Err(error) => Err(self.session.failed(side, error)),
        }
    }

    async fn reachable(&self, side: Side, song: &Song) -> Result<Option<BlobRef>> {
        let mut seen = BTreeSet::new();
        for file in &song.files {
            let blob = BlobRef { sha256: file.sha256, size: file.size, key: None };
            if seen.insert(file.sha256) && self.has_blob(side, &blob).await? {
                return Ok(Some(blob));
            }
        }
        Ok(None)
    }

    async fn copy(&self, side: Side, wanted: &BlobRef, new: &NewBlob) -> Result<Copied> {
        let other = side.other();
        let (from, to) = (self.session.backend(other), self.session.backend(side));
        let _turn = self.copies.acquire().await.expect("it is never closed");
        // A stream cannot be sent again, so every attempt asks for it again.
        let attempt = || async {
            let get = || from.blobs().get(wanted, None);
            let stream = match self.session.try_ask(other, get).await {
                Ok(Some(stream)) => stream,
                Ok(None) => return Ok(Ok(Copied::Missing)),
                Err(error) if is_about_one(&error) => {
                    return Ok(Ok(Copied::Refused(in_words(&error))));
                }
                Err(error) => return Ok(Err(self.session.failed(other, error))),
            };
            let stream = match &self.throttle {
                Some(throttle) => throttle.slow(stream),
                None => stream,
            };
            let stream = self.session.count_pieces(stream);
            self.session.traffic().request(side);
            let reference = to.blobs().put(new, BlobSource::Stream(stream)).await?;
            Ok(Ok(Copied::Done(reference)))
        };
        match self.session.repeat(attempt).await {
            Ok(copied) => copied,
            Err(error) if is_about_one(&error) => Ok(Copied::Refused(in_words(&error))),
            Err(error) => Err(self.session.failed(side, error)),
        }
    }
}

/// What became of a copy.
enum Copied {
    Done(BlobRef),
    Missing,
    Refused(String),
}
