//! Random histories of several machines, along random graphs and around one
//! shared library, for as long as one likes:
//! `cargo run --profile dist -p songrec-bench --bin sync_soak -- STEPS [SEED]`.
#![expect(clippy::unwrap_used, reason = "a panic is the answer of a soak")]
#![expect(clippy::print_stdout, reason = "it is a program")]

#[path = "../../../sync/tests/it/model/mod.rs"]
mod model;

use songrec_sync::Rules;

use model::{
    Setup,
    play::{history, play, shrink},
};

const STEPS: usize = 250;

fn main() {
    let number = |at: usize| std::env::args().nth(at).map(|text| text.parse::<u64>().unwrap());
    let wanted = number(1).unwrap_or(1_000_000);
    let given = std::env::var("SONGREC_SYNC_SEED").ok().map(|text| text.parse().unwrap());
    let first: u64 = number(2).or(given).unwrap_or_else(rand::random);
    let mut setup = Setup::default();
    if let Ok(rule) = std::env::var("SONGREC_SYNC_WITHOUT") {
        println!("without the rule `{rule}`");
        setup.rules = Rules::without(&rule);
    }
    let begun = std::time::Instant::now();
    let (mut done, mut syncs, mut crashes, mut seed) = (0, 0, 0, first);
    println!("first seed {first}, {STEPS} steps each");
    while done < wanted {
        setup.graph = seed % 2 == 1;
        match play(seed, &history(seed, STEPS), setup) {
            Ok(world) => {
                syncs += world.syncs;
                crashes += world.crashes;
            }
            Err(broken) => {
                println!("{}", shrink(broken, setup));
                std::process::exit(1);
            }
        }
        done += STEPS as u64;
        seed = seed.wrapping_add(1);
        if done % 100_000 == 0 {
            println!(
                "{done} steps, {syncs} syncs, {crashes} of them cut off, {:?}",
                begun.elapsed()
            );
        }
    }
    println!("all held: {done} steps, seeds {first}..{seed}, {:?}", begun.elapsed());
}
