//! Taking from the nearest until enough of them pass.
//!
//! A search returns the nearest, and some of these do not count: a crash left
//! them, a filter that the source does not know keeps them out, or they are
//! copies of one recording. So more is asked for than is wanted, and more again
//! until enough pass.

use std::future::Future;

/// How many of the nearest to request until enough pass.
///
/// The first request asks for as many as are wanted (and a
/// [margin](Self::with_margin)), each further one for twice as many as the one
/// before. A source of `n` items is asked at the most `2 + log2(n / wanted)`
/// times, and for fewer than `3 n` items in all if each request begins at the
/// nearest.
///
/// Plain data: the caller makes the requests, in any order of awaiting it likes.
/// [`take_passing`] is the loop for sources that are always asked from the
/// nearest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverFetch {
    wanted: usize,
    ask: usize,
    requests: usize,
}

/// Why no further request is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// As many pass as are wanted.
    Enough,
    /// The source has no more: its last answer was shorter than the request.
    End,
}

impl OverFetch {
    /// A plan for `wanted` items that pass.
    pub const fn new(wanted: usize) -> Self {
        Self { wanted, ask: wanted, requests: 0 }
    }

    /// The same plan, with a first request for `margin` items more than are
    /// wanted: for a source where one larger request costs less than a second
    /// one.
    #[must_use]
    pub const fn with_margin(self, margin: usize) -> Self {
        Self { ask: self.wanted.saturating_add(margin), ..self }
    }

    /// How many items the next request asks for.
    pub const fn ask(&self) -> usize {
        self.ask
    }

    /// How many requests were answered.
    pub const fn requests(&self) -> usize {
        self.requests
    }

    /// Records an answer of `found` items to a request for [`ask`](Self::ask),
    /// after which `passing` items pass in all. Returns nothing if another
    /// request is due.
    pub const fn answered(&mut self, found: usize, passing: usize) -> Option<Reached> {
        self.requests += 1;
        if passing >= self.wanted {
            return Some(Reached::Enough);
        }
        if found < self.ask {
            return Some(Reached::End);
        }
        self.ask = self.ask.saturating_mul(2);
        None
    }
}

/// What was taken from the nearest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken<T> {
    /// Those that pass, nearest first: as many as are wanted, if there are.
    pub items: Vec<T>,
    /// How many requests it took.
    pub requests: usize,
    /// Why there are fewer than are wanted, if there are.
    pub shortfall: Option<Shortfall>,
}

/// Why fewer pass than are wanted: the source has no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortfall {
    /// How many items the source has.
    pub found: usize,
    /// How many of them do not pass.
    pub left_out: usize,
}

/// Requests the nearest until as many pass as `plan` wants, or there are no
/// more. `nearest` is called with a number and returns so many of the nearest,
/// fewer only if there are no more; `pass` keeps those of them that count, in
/// their order.
///
/// # Errors
///
/// Those of `nearest` and `pass`, at once.
pub async fn take_passing<H, T, E, N, P>(
    mut plan: OverFetch,
    mut nearest: impl FnMut(usize) -> N,
    mut pass: impl FnMut(Vec<H>) -> P,
) -> Result<Taken<T>, E>
where
    N: Future<Output = Result<Vec<H>, E>>,
    P: Future<Output = Result<Vec<T>, E>>,
{
    loop {
        let hits = nearest(plan.ask()).await?;
        let found = hits.len();
        let mut items = pass(hits).await?;
        let Some(reached) = plan.answered(found, items.len()) else { continue };
        let left_out = found.saturating_sub(items.len());
        items.truncate(plan.wanted);
        let shortfall = matches!(reached, Reached::End).then_some(Shortfall { found, left_out });
        return Ok(Taken { items, requests: plan.requests(), shortfall });
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use futures::FutureExt;

    use super::*;

    // Takes numbers that divide by `step` from 0, 1, 2 and so on up to `size`;
    // with the sizes of all requests.
    fn multiples(plan: OverFetch, step: usize, size: usize) -> (Taken<usize>, Vec<usize>) {
        let mut asked = Vec::new();
        let taken = take_passing(
            plan,
            |ask| {
                asked.push(ask);
                ready(Ok::<_, ()>((0..size.min(ask)).collect::<Vec<usize>>()))
            },
            |hits| ready(Ok(hits.into_iter().filter(|hit| hit.is_multiple_of(step)).collect())),
        );
        let taken = taken.now_or_never().expect("nothing is waited for").unwrap();
        (taken, asked)
    }

    #[test]
    fn one_request_is_enough_if_all_pass() {
        let (taken, asked) = multiples(OverFetch::new(4), 1, 100);

        assert_eq!(taken, Taken { items: vec![0, 1, 2, 3], requests: 1, shortfall: None });
        assert_eq!(asked, [4]);
    }

    #[test]
    fn each_request_asks_for_twice_as_many_until_enough_pass() {
        let (taken, asked) = multiples(OverFetch::new(4), 10, 1_000);

        assert_eq!(taken.items, [0, 10, 20, 30], "no more than were wanted");
        assert_eq!(asked, [4, 8, 16, 32]);
        assert_eq!((taken.requests, taken.shortfall), (4, None));
    }

    #[test]
    fn a_margin_saves_requests() {
        let (taken, asked) = multiples(OverFetch::new(4).with_margin(30), 10, 1_000);

        assert_eq!(taken.items, [0, 10, 20, 30]);
        assert_eq!(asked, [34]);
    }

    #[test]
    fn a_source_that_ends_says_how_many_it_had_and_how_many_did_not_pass() {
        let (taken, asked) = multiples(OverFetch::new(4), 10, 25);

        assert_eq!(taken.items, [0, 10, 20]);
        assert_eq!(taken.shortfall, Some(Shortfall { found: 25, left_out: 22 }));
        assert_eq!(asked, [4, 8, 16, 32]);
    }

    #[test]
    fn a_source_of_just_as_many_as_are_asked_for_may_have_more() {
        let (taken, asked) = multiples(OverFetch::new(8), 2, 16);

        assert_eq!(taken.items.len(), 8);
        assert_eq!((taken.shortfall, asked), (None, vec![8, 16]));

        let (taken, asked) = multiples(OverFetch::new(9), 2, 18);

        assert_eq!((taken.items.len(), asked), (9, vec![9, 18]));
    }

    #[test]
    fn nothing_is_wanted_and_nothing_is_found() {
        let (none_wanted, asked) = multiples(OverFetch::new(0), 1, 10);
        assert_eq!((none_wanted.items.len(), none_wanted.shortfall), (0, None));
        assert_eq!(asked, [0]);

        let (none_there, asked) = multiples(OverFetch::new(3), 1, 0);
        assert_eq!(none_there.shortfall, Some(Shortfall { found: 0, left_out: 0 }));
        assert_eq!(asked, [3]);
    }

    #[test]
    fn the_first_error_ends_it() {
        let mut calls = 0;
        let taken = take_passing(
            OverFetch::new(3),
            |ask| {
                calls += 1;
                ready(if ask > 3 { Err("broken") } else { Ok(vec![(); ask]) })
            },
            |_| ready(Ok::<Vec<()>, _>(Vec::new())),
        );

        assert_eq!(taken.now_or_never(), Some(Err("broken")));
        assert_eq!(calls, 2);
    }

    #[test]
    fn every_source_is_exhausted_within_the_stated_number_of_requests() {
        for wanted in [1, 3, 10] {
            for size in 0..200_usize {
                let (taken, asked) = multiples(OverFetch::new(wanted), size + 1, size);
                let most = 2 + (size.max(1) / wanted).max(1).ilog2() as usize;
                assert!(taken.requests <= most, "{wanted} of {size}: {asked:?}");
                assert!(asked.iter().map(|ask| (*ask).min(size)).sum::<usize>() <= 3 * size);
            }
        }
    }
}
