//! Previews of songs that music services offer: found by words, downloaded, and taken in with
//! what the service says of them.
//!
//! What a service is asked, and what its answer means, a [`PreviewService`] decides
//! (`itunes.rs`, `freesound.rs`); [`Previews`] asks, no faster than the service allows. Files
//! lie in a folder under a name with the service and the id, complete or not at all, and what
//! is kept there was heard to be audio.

mod check;
mod client;
mod describe;
mod download;
mod file_name;
mod freesound;
mod itunes;
mod json;
mod known;
mod service;
mod track;
mod web;

pub use client::{PREVIEW_SERVICES, PreviewServices, PreviewWords, Previews};
pub use download::{
    DownloadedPreviews, PreviewItem, PreviewOptions, PreviewOutcome, PreviewsTakenIn,
    download_previews,
};
pub use known::known_previews;
pub(crate) use track::PREVIEW_URL;
pub use track::PreviewTrack;
