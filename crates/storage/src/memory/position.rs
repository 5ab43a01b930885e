//! Places of songs in an order, and the tokens of pages that begin there.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use songrec_core::{Digest, Song, SongId, SongSummary, Timestamp, fold, sort_key};

use crate::{Order, OrderBy, PageToken, SongQuery};

/// Where a song is in an order. A page begins after a position, not after a
/// number of songs, so that songs may come and go between two pages.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Position {
    rank: Option<Rank>,
    id: SongId,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Rank {
    Text(String),
    // Bits of a float64, arranged so that they compare as it does.
    Number(i64),
    Time(Timestamp),
}

impl Rank {
    fn number(number: f64) -> Self {
        let bits = number.to_bits().cast_signed();
        Self::Number(if bits < 0 { bits ^ i64::MAX } else { bits })
    }
}

impl Position {
    pub(super) fn of(order: Order, song: &Song, summary: &SongSummary) -> Self {
        let text = |text: Option<&str>| text.map(|text| Rank::Text(fold(text)));
        let rank = match order.by {
            OrderBy::Any | OrderBy::Id => None,
            OrderBy::Title => text(Some(&summary.title)),
            OrderBy::Artist => Some(Rank::Text(sort_key(song, summary))),
            OrderBy::Album => text(summary.album.as_deref()),
            OrderBy::Year => summary.year.map(|year| Rank::number(year.into())),
            OrderBy::Bpm => summary.bpm.map(Rank::number),
            OrderBy::Duration => Some(Rank::number(summary.duration)),
            OrderBy::Added => Some(Rank::Time(song.added_at)),
        };
        Self { rank, id: song.id }
    }

    pub(super) fn token(&self, query: &SongQuery) -> PageToken {
        let position = serde_json::to_string(self).expect("a position is plain data");
        PageToken(format!("{} {position}", fingerprint(query)))
    }

    /// The position that a token gives; nothing if it is not from `query`.
    pub(super) fn of_token(token: &PageToken, query: &SongQuery) -> Option<Self> {
        let (of, position) = token.0.split_once(' ')?;
        (of == fingerprint(query)).then(|| serde_json::from_str(position).ok()).flatten()
    }
}

// What a token has to agree with its query in.
fn fingerprint(query: &SongQuery) -> String {
    Digest::of(format!("{:?}", (&query.filter, query.order)).as_bytes()).to_string()
}

/// `left` before or after `right`, in this order.
pub(super) fn in_order(order: Order, left: &Position, right: &Position) -> Ordering {
    let by_rank = match (&left.rank, &right.rank) {
        (Some(left), Some(right)) if order.descending => right.cmp(left),
        (Some(left), Some(right)) => left.cmp(right),
        (left, right) => left.is_none().cmp(&right.is_none()),
    };
    let by_id = left.id.cmp(&right.id);
    match order.by {
        OrderBy::Any | OrderBy::Id if order.descending => by_id.reverse(),
        _ => by_rank.then(by_id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_compare_as_their_numbers_do() {
        let numbers = [f64::NEG_INFINITY, -1.5, -1e-300, -0.0, 0.0, 1e-300, 0.5, 2.0, 1e300];

        assert!(numbers.map(Rank::number).is_sorted());
    }
}
