//! The library over HTTP, as clients see it: through a server that listens.

mod cloud;
mod doors;
mod every;
mod jobs;
mod pages;
mod schema;
mod searching;
mod sound;
mod uploads;
mod world;
