//! What holds for whole files, through the public interface.

mod damage;
mod examples;
mod features_edges;
mod features_librosa;
#[cfg(unix)]
mod ffmpeg;
mod formats;
mod retagging;
mod tempo_and_key;
