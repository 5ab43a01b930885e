//! How much is asked, and how fast it is answered.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Upper ends of the ranges that times are counted in, in seconds.
const RANGES: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counts since the server was started.
#[derive(Debug)]
pub(crate) struct Figures {
    started: Instant,
    /// By method, route and status; there are as many as routes, whatever is asked.
    requests: Mutex<BTreeMap<(String, String, u16), u64>>,
    times: Mutex<BTreeMap<String, Times>>,
    in_flight: AtomicU64,
    uploaded: AtomicU64,
}

#[derive(Debug, Default)]
struct Times {
    ranges: [u64; RANGES.len()],
    seconds: f64,
    count: u64,
}

impl Default for Figures {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            requests: Mutex::default(),
            times: Mutex::default(),
            in_flight: AtomicU64::new(0),
            uploaded: AtomicU64::new(0),
        }
    }
}

impl Figures {
    /// A request came in.
    pub(crate) fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// It was answered, or its client went away.
    pub(crate) fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// An answer was given.
    pub(crate) fn count(&self, method: &str, route: &str, status: u16, took: Duration) {
        let key = (method.to_owned(), route.to_owned(), status);
        *lock(&self.requests).entry(key).or_default() += 1;
        let seconds = took.as_secs_f64();
        let mut times = lock(&self.times);
        let times = times.entry(route.to_owned()).or_default();
        for (count, end) in times.ranges.iter_mut().zip(RANGES) {
            *count += u64::from(seconds <= end);
        }
        times.seconds += seconds;
        times.count += 1;
    }

    /// So many bytes were sent to the server.
    pub(crate) fn uploaded(&self, bytes: u64) {
        self.uploaded.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Everything in the text format of Prometheus; `jobs` are by kind and state.
    pub(crate) fn text(&self, jobs: &BTreeMap<(&'static str, &'static str), u64>) -> String {
        let mut text = String::new();
        let head = |text: &mut String, name: &str, kind: &str, about: &str| {
            // Memory can be written.
            let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} {kind}");
        };
        head(&mut text, "songrec_uptime_seconds", "gauge", "Time since the start.");
        let _ = writeln!(text, "songrec_uptime_seconds {}", self.started.elapsed().as_secs());
        head(&mut text, "songrec_requests_in_flight", "gauge", "Requests being answered.");
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        let _ = writeln!(text, "songrec_requests_in_flight {in_flight}");
        head(&mut text, "songrec_uploaded_bytes_total", "counter", "Bytes of uploads.");
        let uploaded = self.uploaded.load(Ordering::Relaxed);
        let _ = writeln!(text, "songrec_uploaded_bytes_total {uploaded}");
        head(&mut text, "songrec_requests_total", "counter", "Answers by route and status.");
        for ((method, route, status), count) in &*lock(&self.requests) {
            let _ = writeln!(
                text,
                "songrec_requests_total{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}} {count}"
            );
        }
        let name = "songrec_request_seconds";
        head(&mut text, name, "histogram", "Time to the head of the answer.");
        for (route, times) in &*lock(&self.times) {
            for (end, count) in RANGES.iter().zip(times.ranges) {
                let _ = writeln!(text, "{name}_bucket{{route=\"{route}\",le=\"{end}\"}} {count}");
            }
            let _ = writeln!(
                text,
                "{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {count}\n\
                 {name}_sum{{route=\"{route}\"}} {seconds}\n\
                 {name}_count{{route=\"{route}\"}} {count}",
                count = times.count,
                seconds = times.seconds,
            );
        }
        head(&mut text, "songrec_jobs", "gauge", "Jobs by kind and state.");
        for ((kind, state), count) in jobs {
            let _ = writeln!(text, "songrec_jobs{{kind=\"{kind}\",state=\"{state}\"}} {count}");
        }
        text
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_its_range_and_in_all_above() {
        let figures = Figures::default();

        figures.count("GET", "/x", 200, Duration::from_millis(30));

        let text = figures.text(&BTreeMap::new());
        assert!(text.contains("le=\"0.025\"} 0\n") && text.contains("le=\"0.05\"} 1\n"), "{text}");
        assert!(text.contains("method=\"GET\",route=\"/x\",status=\"200\"} 1\n"), "{text}");
    }
}
