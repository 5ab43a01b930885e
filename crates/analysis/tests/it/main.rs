//! What analysis finds, beside what others find.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod map;
mod map_graph;
mod map_rows;
