//! An embedder at work for many songs at once.

use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use songrec_core::{ModelSpec, Vector};

use crate::{
    embedder::{Batching, Embedder},
    error::{ModelError, ModelErrorKind},
};

/// An embedder at work: takes windows from many threads, hands them to the
/// engine in batches, and gives vectors back.
///
/// Decoding threads call [`embed`](Self::embed) and go on decoding while the
/// engine's own threads compute; windows of several songs share a batch. The
/// queue between them is bounded: who is too fast waits. Make one for each
/// model and share it; dropping the last one ends the threads.
pub struct Batcher {
    embedder: Arc<dyn Embedder>,
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

/// The answer to one window, perhaps still being computed.
#[derive(Debug)]
pub struct Pending(mpsc::Receiver<Result<Vector, ModelError>>);

/// What a [`Batcher`] did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Windows embedded.
    pub windows: u64,
    /// Calls of the engine.
    pub calls: u64,
    /// Time inside the engine, all its threads together.
    pub engine: Duration,
    /// Time in the model's front end, on the threads that decode.
    pub front_end: Duration,
    /// Time for which engine threads had nothing to do.
    pub idle: Duration,
}

struct Queue {
    state: Mutex<Batches>,
    /// Signals that there is work, or that there will be none.
    filled: Condvar,
    /// Signals that there is room.
    emptied: Condvar,
    batching: Batching,
    counters: Counters,
}

#[derive(Default)]
struct Batches {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Job {
    input: Vec<f32>,
    answer: mpsc::SyncSender<Result<Vector, ModelError>>,
}

#[derive(Default)]
struct Counters {
    windows: AtomicU64,
    calls: AtomicU64,
    engine_ns: AtomicU64,
    front_end_ns: AtomicU64,
    idle_ns: AtomicU64,
}

impl Batcher {
    /// Puts `embedder` to work, on as many threads as it likes.
    pub fn new(embedder: Arc<dyn Embedder>) -> Self {
        let Batching { inputs, calls } = embedder.batching();
        let queue = Arc::new(Queue {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            batching: Batching { inputs: inputs.max(1), calls: calls.max(1) },
            counters: Counters::default(),
        });
        let threads = (0..calls.max(1))
            .map(|_| {
                let (queue, embedder) = (queue.clone(), embedder.clone());
                thread::Builder::new()
                    .name(format!("model {}", embedder.spec().name))
                    .spawn(move || queue.work(&*embedder))
                    .expect("the system has room for a thread")
            })
            .collect();
        Self { embedder, queue, threads }
    }

    /// The embedder.
    pub fn embedder(&self) -> &dyn Embedder {
        &*self.embedder
    }

    /// The model's name, dimension and metric.
    pub fn spec(&self) -> &ModelSpec {
        self.embedder.spec()
    }

    /// Prepares one window and queues it. Waits while the queue is full.
    pub fn embed(&self, window: &[f32]) -> Pending {
        let began = Instant::now();
        let input = self.embedder.prepare(window);
        self.queue.counters.front_end_ns.fetch_add(nanoseconds(began), Ordering::Relaxed);
        self.queue.submit(input)
    }

    /// What was done so far.
    pub fn figures(&self) -> Figures {
        let Counters { windows, calls, engine_ns, front_end_ns, idle_ns } = &self.queue.counters;
        let time = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Relaxed));
        Figures {
            windows: windows.load(Ordering::Relaxed),
            calls: calls.load(Ordering::Relaxed),
            engine: time(engine_ns),
            front_end: time(front_end_ns),
            idle: time(idle_ns),
        }
    }
}

impl Pending {
    /// Waits for the vector.
    ///
    /// # Errors
    ///
    /// What the embedder said about the batch that the window was in.
    pub fn wait(self) -> Result<Vector, ModelError> {
        self.0.recv().expect("a worker answers every window it takes")
    }
}

impl Queue {
    fn submit(&self, input: Vec<f32>) -> Pending {
        // Enough that every thread finds its next batch waiting.
        let most = 2 * self.batching.inputs * self.batching.calls;
        let (answer, pending) = mpsc::sync_channel(1);
        let mut state = self.lock();
        while state.jobs.len() >= most {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.jobs.push_back(Job { input, answer });
        drop(state);
        self.filled.notify_one();
        Pending(pending)
    }

    /// What each engine thread does until the batcher is dropped.
    fn work(&self, embedder: &dyn Embedder) {
        while let Some(batch) = self.take() {
            let (inputs, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|job| (job.input, job.answer)).unzip();
            let began = Instant::now();
            let embedded = embed(embedder, &inputs);
            self.counters.engine_ns.fetch_add(nanoseconds(began), Ordering::Relaxed);
            self.counters.calls.fetch_add(1, Ordering::Relaxed);
            self.counters.windows.fetch_add(inputs.len() as u64, Ordering::Relaxed);
            // Sending fails only if the song was given up.
            match embedded {
                Ok(vectors) => {
                    for (answer, vector) in answers.iter().zip(vectors) {
                        let _ = answer.send(Ok(vector));
                    }
                }
                Err(error) => {
                    for answer in &answers {
                        let _ = answer.send(Err(error.clone()));
                    }
                }
            }
        }
    }

    fn take(&self) -> Option<Vec<Job>> {
        let began = Instant::now();
        let mut state = self.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.jobs.len().min(self.batching.inputs);
        let batch = state.jobs.drain(..count).collect();
        drop(state);
        self.emptied.notify_all();
        self.counters.idle_ns.fetch_add(nanoseconds(began), Ordering::Relaxed);
        Some(batch)
    }

    fn lock(&self) -> MutexGuard<'_, Batches> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call of the embedder, of which one vector comes for each input or an
/// error, whatever it does.
fn embed(embedder: &dyn Embedder, inputs: &[Vec<f32>]) -> Result<Vec<Vector>, ModelError> {
    let failed = |reason: String| {
        ModelError::new(&embedder.spec().name, ModelErrorKind::Failed, reason)
            .with_hint("verify the model's files; then try the other engine")
    };
    let vectors = catch_unwind(AssertUnwindSafe(|| embedder.embed(inputs)))
        .map_err(|_| failed(format!("{} panicked", embedder.engine())))??;
    if vectors.len() != inputs.len() {
        return Err(failed(format!(
            "{} gave {} vectors for {} windows",
            embedder.engine(),
            vectors.len(),
            inputs.len()
        )));
    }
    match vectors.iter().find_map(|vector| {
        (vector.dimension() != embedder.spec().dimension).then_some(vector.dimension())
    }) {
        Some(dimension) => Err(ModelError::new(
            &embedder.spec().name,
            ModelErrorKind::Mismatch,
            format!(
                "{} gave a vector of {dimension} dimensions, but the model has {}",
                embedder.engine(),
                embedder.spec().dimension
            ),
        )),
        None => Ok(vectors),
    }
}

fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

impl Drop for Batcher {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.filled.notify_all();
        for thread in self.threads.drain(..) {
            // It catches the embedder's panics, and has none of its own.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batcher")
            .field("embedder", &self.embedder)
            .field("figures", &self.figures())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Short, Windowing};

    /// Embeds the first sample of a window; fails and panics on request.
    #[derive(Debug)]
    struct First {
        spec: ModelSpec,
        windowing: Windowing,
        batching: Batching,
        prepared: AtomicU64,
        embedded: AtomicU64,
        /// The most windows that were prepared and not embedded yet.
        most: AtomicU64,
        /// The engine waits until so many windows wait for it.
        waits_for: u64,
    }

    impl First {
        fn new(inputs: usize, calls: usize) -> Arc<Self> {
            Arc::new(Self {
                spec: ModelSpec {
                    name: "first@1".parse().unwrap(),
                    dimension: 1,
                    metric: songrec_core::Metric::Cosine,
                    description: String::new(),
                },
                windowing: Windowing {
                    sample_rate: 8_000,
                    window: 1,
                    hop: 1,
                    short: Short::Keep,
                    normalize: false,
                },
                batching: Batching { inputs, calls },
                prepared: AtomicU64::new(0),
                embedded: AtomicU64::new(0),
                most: AtomicU64::new(0),
                waits_for: 0,
            })
        }

        fn waiting(&self) -> u64 {
            self.prepared.load(Ordering::SeqCst) - self.embedded.load(Ordering::SeqCst)
        }
    }

    impl Embedder for First {
        fn spec(&self) -> &ModelSpec {
            &self.spec
        }
        fn windowing(&self) -> &Windowing {
            &self.windowing
        }
        fn engine(&self) -> String {
            "a test".to_owned()
        }
        fn batching(&self) -> Batching {
            self.batching
        }
        fn prepare(&self, window: &[f32]) -> Vec<f32> {
            self.prepared.fetch_add(1, Ordering::SeqCst);
            self.most.fetch_max(self.waiting(), Ordering::SeqCst);
            window.to_vec()
        }
        fn embed(&self, inputs: &[Vec<f32>]) -> Result<Vec<Vector>, ModelError> {
            while self.waiting() < self.waits_for && self.prepared.load(Ordering::SeqCst) < 1_000 {
                thread::yield_now();
            }
            self.embedded.fetch_add(inputs.len() as u64, Ordering::SeqCst);
            assert!(inputs.len() <= self.batching.inputs);
            assert!(inputs.iter().all(|input| input[0] != -1.0), "a panic on request");
            if inputs.iter().any(|input| input[0] == -2.0) {
                return Ok(Vec::new());
            }
            Ok(inputs.iter().map(|input| Vector::new(vec![input[0]]).unwrap()).collect())
        }
        fn reads_text(&self) -> bool {
            false
        }
        fn embed_text(&self, _: &[&str]) -> Result<Vec<Vector>, ModelError> {
            unreachable!("it reads no text")
        }
    }

    #[test]
    fn every_window_gets_its_own_vector_whoever_asks() {
        for (inputs, calls) in [(1, 1), (3, 1), (4, 3)] {
            let batcher = Batcher::new(First::new(inputs, calls));
            thread::scope(|scope| {
                for song in 0..4 {
                    let batcher = &batcher;
                    scope.spawn(move || {
                        let sound = |n: u16| f32::from(song * 1_000 + n);
                        let pending: Vec<_> =
                            (0..200).map(|n| batcher.embed(&[sound(n)])).collect();
                        for (n, pending) in (0..200).zip(pending) {
                            assert_eq!(pending.wait().unwrap().values(), [sound(n)]);
                        }
                    });
                }
            });
            assert_eq!(batcher.figures().windows, 800);
        }
    }

    #[test]
    fn a_broken_engine_answers_with_an_error_and_the_next_call_is_tried() {
        let batcher = Batcher::new(First::new(1, 1));

        for broken in [-1.0, -2.0] {
            let error = batcher.embed(&[broken]).wait().unwrap_err();
            assert_eq!(error.kind(), ModelErrorKind::Failed);
            assert_eq!(error.model(), "first@1");
        }
        assert_eq!(batcher.embed(&[3.0]).wait().unwrap().values(), [3.0]);
    }

    /// Else an hour of sound would wait in memory for a slow model.
    #[test]
    fn who_is_faster_than_the_engine_waits_for_it() {
        let mut slow = First::new(1, 1);
        Arc::get_mut(&mut slow).unwrap().waits_for = 3;
        let batcher = Batcher::new(slow.clone());

        let pending: Vec<_> = (0..1_000).map(|_| batcher.embed(&[1.0])).collect();
        pending.into_iter().for_each(|pending| _ = pending.wait().unwrap());

        // One in the engine, two in the queue, one that waits to get in.
        assert!(slow.most.load(Ordering::SeqCst) <= 4, "{slow:?}");
    }

    #[test]
    fn what_nobody_waits_for_holds_nothing_up() {
        let batcher = Batcher::new(First::new(2, 2));
        for n in 0..100 {
            drop(batcher.embed(&[f32::from(n as u8)]));
        }
        drop(batcher);
    }
}
