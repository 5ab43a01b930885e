//! The bytes of an answer, of which there may be too many.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

/// Bytes of one answer at the most, after decompression. The largest that a
/// Data API gives is a page of 50 documents of 4,000,000 characters each.
pub(super) const MAX_ANSWER: usize = 256 << 20;

/// Why an answer was not read to its end.
pub(super) enum Unread {
    Broken(reqwest::Error),
    TooLarge,
}

impl From<reqwest::Error> for Unread {
    fn from(error: reqwest::Error) -> Self {
        Self::Broken(error)
    }
}

/// The whole body, if it has at most so many bytes. No more are held, whatever
/// the server says or sends.
pub(super) async fn whole(mut response: Response, most: usize) -> Result<Bytes, Unread> {
    if response.content_length().is_some_and(|length| length > most as u64) {
        return Err(Unread::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(piece) = response.chunk().await? {
        if body.len() + piece.len() > most {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}
