//! How learned models embed songs: embeddings of audio and of text.
//!
//! An [`Embedder`] turns windows of audio into vectors. What a model is, and
//! how it wants to listen, is written in its [`Description`] (`model.toml`); a
//! [`ModelFolder`] keeps descriptions and files on this machine, checks them,
//! and opens an [`OnnxModel`] on one of two engines with equal results: rten,
//! which is built in, or ONNX Runtime, which is found at run time. A model on
//! an inference server ([`remote`]) implements the same contract.
//!
//! One model ships with songrec, [`TIMBRE`]: it is among the
//! [built-in models](built_in_models), and [`analyze`] computes it as it does those of
//! `songrec-audio`.
//!
//! A [`Batcher`] is an embedder at work: it takes windows of many songs at
//! once, hands them over in batches, and gives vectors back. [`analyze`] cuts
//! each song into windows for all batchers from the one decode of
//! [`songrec_audio::analyze_into`], and takes the mean of their vectors.

mod analyze;
mod batcher;
mod description;
mod digest;
mod embedder;
mod engine;
mod error;
mod front_end;
mod known;
mod onnx_model;
mod outline;
mod pooling;
#[cfg(feature = "remote")]
pub mod remote;
mod song_embedder;
mod store;
#[cfg(feature = "text")]
mod text;
mod timbre;
mod windows;

pub use analyze::{Embedded, Wanted, analyze};
pub use batcher::{Batcher, Figures, Pending};
pub use description::{
    AudioTower, Description, FrontEnd, InvalidDescription, Kind, MelScale, Pooling, TextTower,
    TokenizerFile, WindowingTable,
};
pub use embedder::{Batching, Embedder, Short, Windowing, checked_vector};
pub use engine::{Device, EngineKind, MOST_THREADS, OpenOptions, search::RuntimeSearch};
pub use error::{ModelError, ModelErrorKind};
pub use known::{Known, known_models};
pub use onnx_model::OnnxModel;
pub use pooling::Pool;
pub use song_embedder::WindowVector;
pub use store::{Added, ModelFolder};
pub use timbre::{DEFAULT_MODEL, HAS_TIMBRE, SCAN_MODELS, TIMBRE, built_in_models};
pub use windows::{Window, Windows};
