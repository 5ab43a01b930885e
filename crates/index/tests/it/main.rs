//! What holds for a whole index, through its public interface.

mod common;
mod crash;
mod damage;
mod model;
mod sharing;
