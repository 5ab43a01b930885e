//! How fast songs are embedded, and how much of the time the engine has.
//!
//! `cargo run --profile dist -p songrec-bench --bin embed -- MODELS NAME ENGINE THREADS FILE…`
//! embeds the files with the model NAME of the folder MODELS and prints one JSON
//! object. `tools/bench_embed.py` runs it beside a Python script that does the
//! same.
//!
//! `engine_share` is the processor time of the engine's threads in that of the
//! whole process: unlike time on the clock, it does not count a decoder that
//! took the core from an engine in the middle of a window. It is known for one
//! thread on Linux; ONNX Runtime computes on threads of its own otherwise.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::{
    env, fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use songrec_models::{Batcher, ModelFolder, OpenOptions, RuntimeSearch, Wanted, analyze};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [models, name, engine, threads, files @ ..] = &*arguments else {
        panic!("expected MODELS NAME ENGINE THREADS FILE…")
    };
    let threads: usize = threads.parse().unwrap();
    let options = OpenOptions {
        engine: Some(engine.parse().unwrap()),
        threads: Some(threads),
        search: RuntimeSearch::of_this_machine(None),
        ..OpenOptions::default()
    };
    let model = ModelFolder::new(models).open(name, &options).unwrap();
    let name = model.description().name.clone();
    let batcher = Arc::new(Batcher::new(Arc::new(model)));
    let sound = songrec_audio::Wanted {
        features: false,
        models: Vec::new(),
        ..songrec_audio::Wanted::default()
    };
    let wanted = Wanted { sound, batchers: vec![batcher.clone()], windows: false };
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    // The first run of an engine sizes its buffers.
    analyze(&files[0], &wanted).unwrap();

    let (before, processor_before) = (batcher.figures(), ProcessorTime::now());
    let (began, next) = (Instant::now(), AtomicUsize::new(0));
    // One more than engine threads: one decodes while the engine computes.
    let checksum: f64 = std::thread::scope(|scope| {
        let embed = || {
            let mut sum = 0.0;
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let vector = &analyze(file, &wanted).unwrap().sound.embeddings[&name];
                sum += vector.values().iter().map(|v| f64::from(v.abs())).sum::<f64>();
            }
            sum
        };
        let threads: Vec<_> = (0..=threads).map(|_| scope.spawn(embed)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let seconds = began.elapsed().as_secs_f64();
    let (after, processor) = (batcher.figures(), ProcessorTime::now());

    let windows = after.windows - before.windows;
    let front_end = (after.front_end - before.front_end).as_secs_f64();
    let idle = (after.idle - before.idle).as_secs_f64();
    let (share, engine_ms, rest_ms) = match (processor_before, processor) {
        (Some(before), Some(after)) if threads == 1 => {
            let engine = after.engine - before.engine;
            let process = after.process - before.process;
            let each = |seconds: f64| format!("{:.2}", 1000.0 * seconds / windows as f64);
            (format!("{:.4}", engine / process), each(engine), each(process - engine))
        }
        _ => ("null".to_owned(), "null".to_owned(), "null".to_owned()),
    };
    println!(
        "{{\"engine\":\"{}\",\"threads\":{threads},\"songs\":{},\"windows\":{windows},\"seconds\":{seconds:.3},\
         \"songs_per_minute\":{:.2},\"engine_share\":{share},\"engine_ms_per_window\":{engine_ms},\
         \"rest_ms_per_window\":{rest_ms},\"front_end_seconds\":{front_end:.3},\
         \"idle_seconds\":{idle:.3},\"checksum\":{checksum:.6}}}",
        batcher.embedder().engine(),
        files.len(),
        60.0 * files.len() as f64 / seconds,
    );
}

/// Processor time in seconds since the start of the process.
struct ProcessorTime {
    /// Of the threads on which a batcher runs its engine.
    engine: f64,
    process: f64,
}

impl ProcessorTime {
    /// None where there is no `/proc` as Linux has it.
    fn now() -> Option<Self> {
        let mut engine = 0.0;
        for task in fs::read_dir("/proc/self/task").ok()?.flatten() {
            let name = fs::read_to_string(task.path().join("comm")).ok()?;
            // A batcher calls the engine on a thread of its own; rten computes
            // on another one behind it.
            if name.starts_with("hear ") || name.starts_with("rten-") {
                let figures = fs::read_to_string(task.path().join("schedstat")).ok()?;
                let nanoseconds: f64 = figures.split_whitespace().next()?.parse().ok()?;
                engine += nanoseconds / 1e9;
            }
        }
        // Counts threads that ended, too. The name, in brackets, may hold
        // blanks; behind it, user and system time are the fields 11 and 12, in
        // ticks of 10 ms.
        let figures = fs::read_to_string("/proc/self/stat").ok()?;
        let fields: Vec<&str> = figures.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
        Some(Self { engine, process: (ticks(11)? + ticks(12)?) / 100.0 })
    }
}
