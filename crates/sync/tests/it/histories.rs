//! Random histories of several machines: nothing that was said is lost, and in
//! the end all say the same.

use crate::model::{
    Setup,
    every::{Count, RING, SHARED_RING, STAR, Shape, every},
    play::{history, play, shrink},
};

#[test]
fn on_any_graph_everybody_comes_to_rest_with_everything() {
    let setup = Setup { graph: true, ..Setup::default() };
    for seed in 500..560 {
        if let Err(broken) = play(seed, &history(seed, 200), setup) {
            panic!("{}", shrink(broken, setup));
        }
    }
}

#[test]
fn after_any_history_everybody_has_everything() {
    const STEPS: usize = 200;
    let mut steps = 0;
    for seed in 0..100 {
        let all = history(seed, STEPS);
        match play(seed, &all, Setup::default()) {
            Ok(world) => {
                steps += all.len();
                assert!(world.syncs > 0);
            }
            Err(broken) => panic!("{}", shrink(broken, Setup::default())),
        }
    }
    assert_eq!(steps, 20_000);
}

// A machine says what another one has said, later; a third one had said
// something else in between.
#[test]
fn who_said_the_same_last_wins_over_what_was_said_in_between() {
    let all = history(701_872, 250);

    if let Err(broken) = play(701_872, &all, Setup::default()) {
        panic!("{}", shrink(broken, Setup::default()));
    }
}

// `just soak` plays longer ones.
fn every_history(shape: Shape, steps: usize) -> u64 {
    match every(shape, steps, 1) {
        Ok(Count { histories, .. }) => histories,
        Err(problem) => panic!("{problem}"),
    }
}

#[test]
fn after_every_short_history_a_ring_comes_to_rest() {
    assert_eq!(every_history(RING, 3), 1_845);
}

#[test]
fn after_every_short_history_a_ring_with_a_shared_library_comes_to_rest() {
    assert_eq!(every_history(SHARED_RING, 3), 1_399);
}

#[test]
fn after_every_short_history_those_around_a_shared_library_come_to_rest() {
    assert_eq!(every_history(STAR, 2), 147);
}
