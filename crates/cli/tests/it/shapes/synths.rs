//! What commands about synths print.

use super::Shapes;
use crate::{
    synths::{fed, write},
    world::World,
};

const KIT: &str = "SynthDef(\\kick, { |t_trig = 1, a_in = 60.midicps, i_bus| \
    Out.ar(0, SinOsc.ar(60) * \\list.kr([1, 2])) }).add;
    SynthDef(name, graph).add;
    SynthDef(\\bass, { |gate = 1| Out.ar(0, Saw.ar(55)) }).add;";

/// Synths, in one library and in two.
pub(super) fn synths(shapes: &Shapes) {
    let world = World::with(&["kick"]);
    let run = |arguments: &[&str]| shapes.run(&world, arguments);
    for command in [&["synths"][..], &["synths", "ls"], &["synths", "search", "x"]] {
        run(command);
    }
    write(&world, "kit.scd", KIT);
    write(&world, "one.scd", "SynthDef(\\one, { |freq = 440| Out.ar(0, Saw.ar(freq)) })");
    write(&world, "none.scd", "1 + 1");
    run(&["synths", "add", "kit.scd", "--dry-run"]);
    run(&["synths", "add", "kit.scd", "one.scd", "none.scd", "kit.scd"]);
    run(&["synths", "add", "none.scd"]);
    let of_stdin = ["synths", "add", "-", "--json"];
    let said = fed(&world, &of_stdin, "SynthDef(\\sent, { Out.ar(0, Saw.ar) })");
    shapes.printed(&of_stdin, &said);
    write(&world, "one.scd", "SynthDef(\\one, { |freq = 441| Out.ar(0, Saw.ar(freq)) })");
    run(&["synths", "add", "--update", "one.scd", "kit.scd"]);
    std::fs::rename(world.path("one.scd"), world.path("two.scd")).unwrap();
    run(&["synths", "add", "--update", "two.scd"]);
    run(&["synths", "edit", "one", "--set", "notes=a", "--set", "extra.x={\"y\":[1]}"]);
    run(&["synths", "edit", "one", "--set", "nothing=a"]);
    run(&["synths", "link", "kick", "one", "--weight", "0.25"]);
    run(&["synths", "link", "bass", "kick"]);
    run(&["synths", "link", "one", "bass"]);
    run(&["synths"]);
    run(&["synths", "ls"]);
    run(&["synths", "search", "k"]);
    run(&["synths", "search", "k", "--gate", "maybe"]);
    run(&["synths", "show", "kick"]);
    run(&["synths", "show", "nobody"]);
    run(&["synths", "lineage", "kick"]);
    run(&["synths", "lineage", "kick", "--up"]);
    run(&["synths", "lineage", "kick", "--down"]);
    run(&["synths", "lineage", "nobody"]);
    run(&["synths", "unlink", "bass", "kick"]);
    run(&["synths", "unlink", "bass", "kick"]);

    write(&world, "music/more.scd", "SynthDef(\\more, { Out.ar(0, Saw.ar(1)) })");
    run(&["scan", "music"]);
    write(&world, "music/more.scd", "SynthDef(\\more, { Out.ar(0, Saw.ar(2)) })");
    run(&["scan", "music"]);
    std::fs::rename(world.path("music/more.scd"), world.path("music/most.scd")).unwrap();
    run(&["scan", "music"]);

    // Two libraries that do not know of each other.
    world.run(&["migrate", "local", "./disk"]).ok();
    let disk = |arguments: &[&str]| {
        world.run(&[&["--library", "disk"], arguments].concat()).ok();
    };
    for (here, there, name) in [("1", "1", "same"), ("2", "3", "twice")] {
        for (number, folder) in [(here, "a"), (there, "b")] {
            let source = format!("SynthDef(\\{name}, {{ Out.ar(0, Saw.ar({number})) }})");
            write(&world, &format!("{folder}/{name}.scd"), &source);
        }
        world.run(&["synths", "add", &format!("a/{name}.scd")]).ok();
        disk(&["synths", "add", &format!("b/{name}.scd")]);
    }
    write(&world, "two.scd", "SynthDef(\\one, { |freq = 442| Out.ar(0, Saw.ar(freq)) })");
    world.run(&["synths", "add", "--update", "two.scd"]).ok();
    write(&world, "two.scd", "SynthDef(\\one, { |freq = 443| Out.ar(0, Saw.ar(freq)) })");
    disk(&["synths", "add", "--update", "two.scd"]);
    world.run(&["synths", "link", "same", "bass"]).ok();
    disk(&["synths", "link", "bass", "same"]);
    for _ in 0..2 {
        world.run(&["sync", "local", "./disk"]).ok();
    }
    run(&["synths", "ls"]);
    run(&["synths", "show", "same"]);
    run(&["synths", "show", "one"]);
    run(&["synths", "lineage", "same"]);
    run(&["synths", "rm", "same", "nobody", "twice"]);
    run(&["synths", "lineage", "bass"]);
    run(&["synths", "show", "bass"]);
    run(&["synths", "rm", "bass"]);
    run(&["synths", "rm", "bass"]);
}
