//! What a song is.
