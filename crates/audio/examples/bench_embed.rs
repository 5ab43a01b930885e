//! How fast songs are embedded, and how much of the time the engine has.
//!
//! `cargo run --release -p songrec-audio --example bench_embed -- MODELS NAME ENGINE THREADS FILE…`
//! hears the files with the model NAME of the folder MODELS and prints one JSON
//! object. `tools/bench_embed.py` runs it beside a Python script that does the
//! same.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a tool for developers")]

use std::{
    env,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use songrec_audio::{
    Wanted, analyze,
    neural::{Listener, ModelFolder, OpenOptions, RuntimeSearch},
};

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
    let listener = Arc::new(Listener::new(Arc::new(model)));
    let wanted = Wanted {
        features: false,
        models: Vec::new(),
        listeners: vec![listener.clone()],
        ..Wanted::default()
    };
    let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
    // The first run of an engine sizes its buffers.
    analyze(&files[0], &wanted).unwrap();

    let before = listener.figures();
    let (began, next) = (Instant::now(), AtomicUsize::new(0));
    // One more than engine threads: one decodes while the engine computes.
    let checksum: f64 = std::thread::scope(|scope| {
        let hear = || {
            let mut sum = 0.0;
            while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let vector = &analyze(file, &wanted).unwrap().embeddings[&name];
                sum += vector.values().iter().map(|v| f64::from(v.abs())).sum::<f64>();
            }
            sum
        };
        let threads: Vec<_> = (0..=threads).map(|_| scope.spawn(hear)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    let seconds = began.elapsed().as_secs_f64();
    let after = listener.figures();

    let engine = (after.engine - before.engine).as_secs_f64();
    let front_end = (after.front_end - before.front_end).as_secs_f64();
    let idle = (after.idle - before.idle).as_secs_f64();
    println!(
        "{{\"engine\":\"{}\",\"threads\":{threads},\"songs\":{},\"windows\":{},\"seconds\":{seconds:.3},\
         \"songs_per_minute\":{:.2},\"engine_share\":{:.4},\"front_end_seconds\":{front_end:.3},\
         \"idle_seconds\":{idle:.3},\"checksum\":{checksum:.6}}}",
        listener.embedder().engine(),
        files.len(),
        after.windows - before.windows,
        60.0 * files.len() as f64 / seconds,
        engine / (seconds * threads as f64),
    );
}
