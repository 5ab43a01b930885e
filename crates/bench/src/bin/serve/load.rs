//! Requests at a steady rate, or as many as are answered.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{sync::Mutex, task::JoinSet};

use crate::{
    Result,
    http::{Connection, Request},
};

/// How long answers took.
#[derive(Default)]
pub(crate) struct Times {
    all: Vec<Duration>,
    failed: usize,
    first_failure: Option<String>,
}

impl Times {
    fn add(&mut self, outcome: Result<Duration>) {
        match outcome {
            Ok(time) => self.all.push(time),
            Err(error) => {
                self.failed += 1;
                self.first_failure.get_or_insert_with(|| error.to_string());
            }
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.all.clone();
        sorted.sort_unstable();
        let at = |part: f64| {
            let last = sorted.len().saturating_sub(1);
            let time = sorted.get(((sorted.len() as f64 * part) as usize).min(last));
            time.map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
        };
        let (half, most, nearly, all) = (at(0.5), at(0.9), at(0.99), at(1.0));
        write!(f, "median {half:.1} ms, p90 {most:.1}, p99 {nearly:.1}, longest {all:.1}")?;
        write!(f, "; {} answered, {} failed", self.count(), self.failed)?;
        self.first_failure.iter().try_for_each(|failure| write!(f, " ({failure})"))
    }
}

/// Sends `rate` requests a second, each when it is due, whether or not others were answered.
/// A time counts from when its request was due, so a server that falls behind cannot look fast.
pub(crate) async fn steady(requests: &[Request], rate: f64, seconds: f64) -> Result<Times> {
    // More connections than are needed while nobody waits.
    const CONNECTIONS: usize = 64;
    let (give, free) = tokio::sync::mpsc::unbounded_channel();
    for request in requests.iter().cycle().take(CONNECTIONS) {
        let mut connection = Connection::open(&request.address).await?;
        connection.ask(request).await?;
        give.send(connection)?;
    }
    let free = Arc::new(Mutex::new(free));
    let start = Instant::now();
    let mut sent = JoinSet::new();
    for (number, request) in requests.iter().cycle().take((rate * seconds) as usize).enumerate() {
        let due = start + Duration::from_secs_f64(number as f64 / rate);
        tokio::time::sleep_until(due.into()).await;
        let (give, free, request) = (give.clone(), free.clone(), request.clone());
        sent.spawn(async move {
            let mut connection = free.lock().await.recv().await.ok_or("no connection is left")?;
            let answer = connection.ask(&request).await;
            let time = due.elapsed();
            // One whose answer was not understood is not used again.
            let kept = if answer.is_ok() {
                connection
            } else {
                Connection::open(&request.address).await?
            };
            give.send(kept)?;
            answer.map(|_| time)
        });
    }
    let mut times = Times::default();
    while let Some(outcome) = sent.join_next().await {
        times.add(outcome?);
    }
    Ok(times)
}

/// Sends requests over `connections` at once, the next as soon as one is answered; gives the
/// answers a second, too.
pub(crate) async fn flood(
    requests: &[Request],
    connections: usize,
    seconds: f64,
) -> Result<(f64, Times)> {
    let (requests, next) = (Arc::new(requests.to_vec()), Arc::new(AtomicUsize::new(0)));
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        let (requests, next) = (requests.clone(), next.clone());
        clients.spawn(async move {
            let mut times = Times::default();
            let mut connection = Connection::open(&requests[0].address).await?;
            while Instant::now() < end {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let started = Instant::now();
                let answer = connection.ask(&requests[number % requests.len()]).await;
                if answer.is_err() {
                    connection = Connection::open(&requests[0].address).await?;
                }
                times.add(answer.map(|_| started.elapsed()));
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(times)
        });
    }
    let mut times = Times::default();
    while let Some(outcome) = clients.join_next().await {
        let Times { all, failed, first_failure } = outcome??;
        times.all.extend(all);
        times.failed += failed;
        times.first_failure = times.first_failure.or(first_failure);
    }
    Ok((times.count() as f64 / start.elapsed().as_secs_f64(), times))
}
