//! Doing what was decided, in batches, a bounded number of them at once.

use futures::{StreamExt, stream};
use songrec_core::{Hint, Remedy, SongId};

use crate::{
    Error, Failure, Options, Pair, Result, Side,
    carry::Transfer,
    decide::{Decision, Known, SongState},
    decider::{Decider, Item},
    outcome::Applied,
    session::Session,
    state::Staging,
    write::{Writer, Writing},
};

/// How often a song is decided anew because another machine wrote it first.
const ROUNDS: usize = 8;

/// Applies the changes that are staged.
pub(crate) struct Applier<'a> {
    session: &'a Session,
    options: &'a Options,
    staging: &'a Staging,
    decider: &'a Decider<'a>,
    writer: Writer<'a>,
}

impl<'a> Applier<'a> {
    pub(crate) const fn new(
        session: &'a Session,
        options: &'a Options,
        staging: &'a Staging,
        transfer: &'a Transfer<'a>,
        decider: &'a Decider<'a>,
    ) -> Self {
        let writer = Writer::new(session, options, transfer);
        Self { session, options, staging, decider, writer }
    }

    /// Applies everything. What was done before an error is given with it.
    pub(crate) async fn apply(&self) -> (Applied, Option<Error>) {
        let mut all = Applied::default();
        let batch = self.session.batch();
        let (mut after, mut ended, mut first_error) = (None, false, None);
        let mut under_way = stream::FuturesUnordered::new();
        loop {
            while !ended && under_way.len() < self.options.jobs.max(1) {
                if self.session.job().is_interrupted() {
                    all.report.interrupted = true;
                    ended = true;
                    break;
                }
                match self.staging.after(after, batch) {
                    Ok(chunk) => match chunk.last() {
                        None => ended = true,
                        Some((last, _)) => {
                            after = Some(*last);
                            under_way.push(self.chunk(chunk));
                        }
                    },
                    Err(error) => {
                        first_error.get_or_insert(error);
                        ended = true;
                    }
                }
            }
            match under_way.next().await {
                None => break,
                Some(Ok(applied)) => {
                    self.session.report_failures(&applied.report.failed);
                    all.add(applied);
                }
                // What is under way is finished; nothing new is begun.
                Some(Err(error)) => {
                    first_error.get_or_insert(error);
                    ended = true;
                }
            }
        }
        (all, first_error)
    }

    async fn chunk(&self, chunk: Vec<(SongId, Pair<SongState>)>) -> Result<Applied> {
        let mut applied = Applied::default();
        let mut open = self.decider.items(chunk)?;
        for _ in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            let decided = self.decider.decide(std::mem::take(&mut open)).await?;
            for (item, failure) in decided.refused {
                applied.put_off(&item, &failure.reason);
                applied.report.add_failure(failure);
            }
            let writing = self.sort_out(decided.songs, &mut applied)?;
            self.writer.write(writing, &mut open, &mut applied).await?;
        }
        for item in open {
            applied.again = true;
            applied.put_off(&item, "others changed it again and again");
        }
        applied.note_postponed(self.session)?;
        Ok(applied)
    }

    // Notes what needs no write, and gives what is to be written.
    fn sort_out(
        &self,
        decided: Vec<(Item, Decision)>,
        applied: &mut Applied,
    ) -> Result<Vec<Writing>> {
        let mut writing = Vec::new();
        let now = self.session.now().as_second();
        let mut resolved: Vec<(SongId, Option<Box<Known>>)> = Vec::new();
        for (item, decision) in decided {
            match decision {
                Decision::Write(write) => {
                    writing.extend(self.writer.prepare(item, *write, applied));
                }
                Decision::Fetch(_) => {
                    applied.again = true;
                    applied.put_off(&item, "it changes again and again");
                }
                Decision::Damaged(reason) => {
                    applied.put_off(&item, &reason);
                    applied.report.add_failure(Failure {
                        subject: item.song.to_string(),
                        title: String::new(),
                        reason,
                        hint: Some(Hint::of(
                            "{} says where it is damaged",
                            [Remedy::Verify { repair: false, read_data: false }],
                        )),
                    });
                }
                Decision::Agreed(known) => {
                    let conflicts = |side: Side| match &item.states[side] {
                        SongState::Present(song) => !song.conflicts.is_empty(),
                        _ => false,
                    };
                    let some = Side::BOTH.into_iter().any(conflicts);
                    applied.report.conflicts += u64::from(some);
                    resolved.push((item.song, Some(known)));
                }
                Decision::Nothing => resolved.push((item.song, None)),
            }
        }
        if !resolved.is_empty() {
            self.session.state().change(|changing| {
                for (song, known) in &resolved {
                    match known {
                        Some(known) => changing.agree(*song, known, now)?,
                        None => changing.resolve(*song)?,
                    }
                }
                Ok(())
            })?;
        }
        Ok(writing)
    }
}
