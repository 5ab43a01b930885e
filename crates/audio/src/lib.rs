//! From a file to a song's facts.
