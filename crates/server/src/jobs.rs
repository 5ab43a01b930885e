//! Long work that goes on when its client is gone: one at a time, the others wait.

mod record;

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use futures::FutureExt;
use serde_json::Value;
use songrec_core::{Job, OperationId};
use songrec_library::{Error, ErrorKind, until_interrupted};
use tokio::{sync::Semaphore, task::JoinSet};

pub(crate) use self::record::{JobEvent, JobState, Record};
use crate::problem::{Problem, Result};

/// Jobs that wait for their turn, at the most.
const WAITING: usize = 16;
/// Jobs that are remembered, those that ended first are forgotten first.
const REMEMBERED: usize = 100;

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The document of the command of the same name.
    pub(crate) result: Value,
    /// Whether it ended early because somebody asked for that.
    pub(crate) interrupted: bool,
}

/// All jobs since the server was started, as far as they are remembered.
#[derive(Debug)]
pub(crate) struct Jobs {
    /// In the order in which they were asked for.
    records: Mutex<Vec<Arc<Record>>>,
    /// A library has one writer at a time, and a job takes all cores.
    turn: Arc<Semaphore>,
    /// Their tasks, so that the server ends after them.
    tasks: Mutex<JoinSet<()>>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            turn: Arc::new(Semaphore::new(1)),
            tasks: Mutex::default(),
        }
    }
}

impl Jobs {
    /// Starts `work` as soon as no other job runs.
    pub(crate) fn start<W, F>(&self, kind: &'static str, work: W) -> Result<Arc<Record>>
    where
        W: FnOnce(Job, Arc<Record>) -> F + Send + 'static,
        F: Future<Output = std::result::Result<Outcome, Error>> + Send,
    {
        let record = Arc::new(Record::new(OperationId::random().short(), kind));
        self.remember(record.clone())?;
        let turn = self.turn.clone();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        let started = record.clone();
        tasks.spawn(async move {
            let interrupt = record.interrupt();
            let turn = tokio::select! {
                turn = turn.acquire_owned() => turn.ok(),
                () = until_interrupted(&interrupt) => None,
            };
            if turn.is_none() || interrupt.is_set() {
                record.end(JobState::Cancelled, None, None);
                return;
            }
            record.begin();
            let job = Job { progress: record.clone(), interrupt };
            let work = AssertUnwindSafe(work(job, record.clone())).catch_unwind().await;
            finish(&record, work);
        });
        Ok(started)
    }

    fn remember(&self, record: Arc<Record>) -> Result<()> {
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = records.iter().filter(|known| known.state() == JobState::Queued).count();
        if waiting >= WAITING {
            return Err(Problem::new(
                "too_many_jobs",
                format!("{waiting} jobs are waiting already"),
            )
            .tip("wait for them, or end some with `DELETE /api/v1/jobs/{id}`"));
        }
        if records.len() >= REMEMBERED
            && let Some(at) = records.iter().position(|known| known.state().is_over())
        {
            records.remove(at);
        }
        records.push(record);
        Ok(())
    }

    /// The job with this id.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Record>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        let found = records.iter().find(|record| record.id() == id).cloned();
        found.ok_or_else(|| {
            Problem::new("not_found", format!("no job has the id `{id}`"))
                .tip("`GET /api/v1/jobs` lists those that are remembered")
        })
    }

    /// All jobs, the one that was asked for last first.
    pub(crate) fn all(&self) -> Vec<Arc<Record>> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().rev().cloned().collect()
    }

    /// How many there are of each kind in each state.
    pub(crate) fn counts(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        let mut counts = BTreeMap::new();
        for record in self.all() {
            *counts.entry((record.kind(), record.state().as_str())).or_default() += 1;
        }
        counts
    }

    /// Asks all jobs for their end, and waits until each has reached a safe point.
    pub(crate) async fn end(&self) {
        self.all().iter().for_each(|record| record.interrupt().set());
        let mut tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        while tasks.join_next().await.is_some() {}
    }
}

type Ended = std::thread::Result<std::result::Result<Outcome, Error>>;

fn finish(record: &Record, ended: Ended) {
    match ended {
        Ok(Ok(outcome)) => {
            let state = if outcome.interrupted { JobState::Cancelled } else { JobState::Done };
            record.end(state, Some(outcome.result), None);
        }
        Ok(Err(error)) if error.kind() == ErrorKind::Interrupted => {
            record.end(JobState::Cancelled, None, None);
        }
        Ok(Err(error)) => record.end(JobState::Failed, None, Some(error.into())),
        Err(_) => {
            let problem = Problem::new("bug", "songrec came to an unexpected end in this job")
                .tip("please report it, with what the server logged");
            record.end(JobState::Failed, None, Some(problem));
        }
    }
}
