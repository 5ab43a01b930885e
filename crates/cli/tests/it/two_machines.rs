//! One library on two machines.

use std::process::Command;

use crate::world::World;

#[test]
fn the_example_of_two_machines_does_what_it_says() {
    let script =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/two-machines.sh");
    let world = World::bare();

    let output = Command::new("sh")
        .arg(&script)
        .env("SONGREC", env!("CARGO_BIN_EXE_songrec"))
        .env("TMPDIR", world.path(""))
        .output()
        .unwrap();

    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}\n{stderr}");
    assert!(stdout.contains("From the studio"), "{stdout}");
    assert!(stdout.contains("\"From the laptop\""), "the other title is kept: {stdout}");
    assert!(stderr.contains("both libraries have the same"), "{stderr}");
}
