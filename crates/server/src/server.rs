//! What all requests share: the library, opened once, and what is going on.

use std::{sync::Arc, time::Duration};

use songrec_core::{Interrupt, Job};
use songrec_library::{CheckedAudio, Library, PreviewServices};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    figures::Figures,
    jobs::Jobs,
    maps::Maps,
    options::{Options, Token},
    problem::{Problem, Result},
};

/// How long a request waits for its turn at heavy work.
const PATIENCE: Duration = Duration::from_secs(20);

/// A library that is served.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) library: Library,
    pub(crate) options: Options,
    /// What the cookie of a session holds. It is made anew at each start, so that it
    /// tells nothing of the token, and ends with the server.
    pub(crate) session: Token,
    pub(crate) jobs: Jobs,
    pub(crate) figures: Figures,
    pub(crate) checked: CheckedAudio,
    pub(crate) maps: Maps,
    pub(crate) previews: PreviewServices,
    /// Set when the server is to end.
    pub(crate) ending: Interrupt,
    /// Turns at work that takes a core or much memory.
    turns: Arc<Semaphore>,
}

pub(crate) type Shared = Arc<Server>;

impl Server {
    pub(crate) fn new(library: Library, options: Options) -> Shared {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Arc::new(Self {
            library,
            options,
            session: Token::random(),
            jobs: Jobs::default(),
            figures: Figures::default(),
            checked: CheckedAudio::default(),
            maps: Maps::default(),
            previews: PreviewServices::default(),
            ending: Interrupt::default(),
            turns: Arc::new(Semaphore::new(cores)),
        })
    }

    /// A turn at heavy work, as long as it is held.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit> {
        let turn = tokio::time::timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Problem::new("busy", "too many other requests are being worked on")),
        }
    }

    /// Why nothing can be changed, if nothing can.
    pub(crate) fn why_not_writable(&self) -> Option<Problem> {
        if self.options.read_only {
            let problem = Problem::new("read_only", "this server was started to read only");
            return Some(problem.tip("start `songrec serve` without `--read-only`"));
        }
        if self.ending.is_set() {
            return Some(Problem::new("temporary", "the server is about to end"));
        }
        self.library.may_write().err().map(Problem::from)
    }
}

/// Work of one request: when its client goes away, it is asked for its end.
#[derive(Debug)]
pub(crate) struct RequestJob(Job);

impl RequestJob {
    pub(crate) fn new() -> Self {
        Self(Job::silent())
    }
}

impl std::ops::Deref for RequestJob {
    type Target = Job;

    fn deref(&self) -> &Job {
        &self.0
    }
}

impl Drop for RequestJob {
    fn drop(&mut self) {
        self.0.interrupt.set();
    }
}

/// The answer of work that gives nothing when it is interrupted.
pub(crate) fn done<T>(answer: Option<T>) -> Result<T> {
    answer.ok_or_else(|| Problem::new("temporary", "interrupted before it was done"))
}

/// Does to its end what a client asked for, also if the client goes away meanwhile.
pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T> {
    let bug = |error| Problem::new("bug", format!("a part of the work came to its end: {error}"));
    tokio::spawn(work).await.map_err(bug)
}
