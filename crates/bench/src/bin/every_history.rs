//! Every history of one song in a few steps, through real syncs:
//! `cargo run --profile dist -p songrec-bench --bin every_history --
//! [RING] [STAR] [SHARED_RING]`, each so many steps.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a soak")]
#![expect(clippy::print_stdout, reason = "it is a program")]

#[path = "../../../sync/tests/it/model/mod.rs"]
mod model;

use model::every::{RING, SHARED_RING, STAR, every};

fn main() {
    let number = |at: usize| std::env::args().nth(at).map(|text| text.parse::<usize>().unwrap());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let shapes = [("ring", RING, 5), ("star", STAR, 4), ("ring with a shared one", SHARED_RING, 4)];
    for (at, (name, shape, steps)) in shapes.into_iter().enumerate() {
        let steps = number(at + 1).unwrap_or(steps);
        if steps < 2 {
            continue;
        }
        let begun = std::time::Instant::now();
        match every(shape, steps, threads) {
            Ok(count) => println!("{name}, {steps} steps: {count:?}, {:?}", begun.elapsed()),
            Err(problem) => {
                println!("{name}: {problem}");
                std::process::exit(1);
            }
        }
    }
}
