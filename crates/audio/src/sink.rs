//! What takes a song's samples while it is decoded.

/// Takes one channel of a song, block by block, while it is decoded.
///
/// [`analyze_into`](crate::analyze_into) feeds any number of them from one
/// decode; what they make of it is theirs to tell.
///
/// # Semantics
///
/// Blocks come in the order of the song and have any size, so that what is
/// found out must not depend on how the song is cut. After the last one comes
/// one [`end`](Self::end); after an error, nothing.
pub trait BlockSink {
    /// The sample rate in Hz that is wanted; the same whenever it is asked.
    fn sample_rate(&self) -> u32;

    /// Takes the next samples: the mean of all channels, at that rate.
    fn push(&mut self, samples: &[f32]);

    /// The song is over. May leave work to threads of its own: it is called
    /// for all sinks before anything is waited for.
    fn end(&mut self);
}
