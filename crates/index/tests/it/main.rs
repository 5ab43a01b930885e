//! What holds for a whole index, through its public interface.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod build;
mod crash;
mod damage;
mod memory;
mod model;
mod plain;
mod recall;
mod sample;
mod sharing;
