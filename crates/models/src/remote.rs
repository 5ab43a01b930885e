//! Models that run on an inference server, asked through HTTP.
//!
//! A [`Client`] asks one model of one server, in the Open Inference Protocol v2
//! (KServe, Triton, MLServer, OpenVINO Model Server) or in the plain form of a
//! small server of one's own ([`Form`]). It has a timeout for each request,
//! tries again with growing pauses, and stops asking a server that keeps
//! failing ([`Breaker`](songrec_core::Breaker)). [`RemoteModel`] is an
//! [`Embedder`](crate::Embedder) over it, to be used like any model of this
//! machine.
//!
//! The server is somebody else's program: every answer is checked, and every
//! error says what to do next.
//!
//! Here too, because this is where songrec speaks HTTP: [`fetch`] gets a file from an
//! address that a person gave, and [`Web`] asks a service for documents and files.

mod client;
mod config;
mod error;
mod fetch;
mod figures;
mod model;
mod pace;
mod protocol;
mod tls;
mod web;

pub use client::{Client, Health, ServedModel, Tensor};
pub use config::{ClientConfig, Form, Token};
pub use error::{Problem, RemoteError};
pub use fetch::fetch;
pub use figures::Figures;
pub use model::RemoteModel;
pub use songrec_core::{BreakerOptions, BreakerState, Clock};
pub use web::{Web, WebOptions};
