//! Killed at any moment, a library stays whole.

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use crate::world::{World, examples_folder};

/// The requirement says 200; each costs about as long as it runs.
const KILLS: u64 = 200;

#[test]
fn a_process_killed_at_random_moments_loses_nothing() {
    let world = World::new();
    let folder = examples_folder();
    let folder = folder.to_str().unwrap();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    // A full run tells how long there is to be killed in.
    let started = std::time::Instant::now();
    let probe = World::new();
    probe.run(&["scan", folder]).ok();
    let whole = started.elapsed();
    let expected = probe.ids();
    for round in 0..KILLS {
        let arguments: Vec<&str> = match round % 4 {
            0 | 1 => vec!["scan", folder, "--again"],
            2 => vec!["edit", "--filter", "duration:>0", "--set", "comment=x", "--yes"],
            _ => vec!["rm", "--filter", "kick", "--yes"],
        };
        let mut child =
            world.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Moments spread over the run by the golden ratio.
        let share = (round as f64 * 0.618_033_988_75).fract();
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64().min(0.7) * share));
        let _ = child.kill();
        child.wait().unwrap();

        if round % 10 == 9 {
            let verified = world.run(&["verify", "--read-data"]);
            assert_eq!(verified.code, 0, "after {round} kills: {verified:?}");
            seen.extend(world.ids());
        }
    }

    assert!(!seen.is_empty());
    world.run(&["scan", folder, "--again"]).ok();
    assert_eq!(world.ids(), expected, "a rerun completes");
    world.run(&["verify", "--read-data"]).ok();
}
