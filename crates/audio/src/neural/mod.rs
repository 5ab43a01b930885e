//! Hearing like a model: learned embeddings of audio and of text.
//!
//! An [`Embedder`] turns windows of audio into vectors. What a model is, and
//! how it wants to listen, is written in its [`Description`] (`model.toml`); a
//! [`ModelFolder`] keeps descriptions and files on this machine, checks them,
//! and opens an [`OnnxModel`] on one of two engines with equal results: rten,
//! which is built in, or ONNX Runtime, which is found at run time. Other
//! embedders, such as one behind HTTP, implement the same contract.
//!
//! A [`Listener`] is an embedder at work: it takes windows of many songs at
//! once, hands them over in batches, and gives vectors back. [`analyze`]
//! (crate::analyze) cuts each song into windows for all listeners from one
//! decode, and takes the mean of what they heard.
//!
//! [`analyze`]: crate::analyze

mod description;
mod ear;
mod embedder;
mod engine;
mod error;
mod folder;
mod front_end;
mod known;
mod listener;
mod log_mel;
mod onnx;
mod onnx_model;
mod pooling;
#[cfg(feature = "text")]
mod tokens;
mod windows;

pub use description::{
    AudioTower, Description, FrontEnd, InvalidDescription, Kind, ListeningTable, MelScale, Pooling,
    TextTower, TokenizerFile,
};
pub use ear::HeardWindow;
pub(crate) use ear::{Ear, Impression};
pub use embedder::{Batching, Embedder, Listening, Short, checked_vector};
pub use engine::{Device, EngineKind, MOST_THREADS, OpenOptions, search::RuntimeSearch};
pub use error::{ModelError, ModelErrorKind};
pub use folder::{Added, ModelFolder};
pub use known::{Known, known_models};
pub use listener::{Figures, Listener, Pending};
pub use onnx_model::OnnxModel;
pub use pooling::Pool;
pub use windows::{Window, Windows};
