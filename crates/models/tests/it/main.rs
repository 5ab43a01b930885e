//! Models in folders and models on servers, run for real.

mod embedding;
mod remote;
