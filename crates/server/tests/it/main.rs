//! The library over HTTP, as clients see it: through a server that listens.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod cloud;
mod doors;
mod every;
mod jobs;
mod pages;
mod patterns;
mod playlists;
mod previews;
mod schema;
mod searching;
mod sound;
mod synths;
mod uploads;
mod world;
