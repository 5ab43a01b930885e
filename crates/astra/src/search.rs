//! Searching a collection by vector, exactly.

use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::Value;
use songrec_core::{Metric, Vector};

use crate::client::{self, Collection, Find, MAX_NEAREST, Problem};

/// A search by vector whose answer is exact: scores are computed again from
/// the vectors, because the server's have the last bits of float32 missing,
/// and ties at the end are followed until they are complete.
///
/// It asks for more in a loop of its own: what ends it is not how many rows
/// pass, but that no row that was not given can be nearer than the last one.
pub(crate) struct Search<'a> {
    pub(crate) collection: &'a Collection,
    pub(crate) filter: Value,
    /// The filter for databases that cannot do the whole one.
    pub(crate) bare: Value,
    pub(crate) projection: Value,
    pub(crate) vector: &'a Vector,
    pub(crate) metric: Metric,
    pub(crate) threshold: Option<f64>,
    pub(crate) wanted: usize,
    /// How many hits may be dropped by us.
    pub(crate) spare: usize,
}

impl Search<'_> {
    pub(crate) async fn run<T, H>(
        mut self,
        vector_of: impl Fn(&T) -> Option<Vector>,
        accept: impl Fn(&T, f64, f64) -> Option<H>,
        compare: impl Fn(&H, &H) -> std::cmp::Ordering,
        similarity_of: impl Fn(&H) -> f64,
    ) -> client::Result<Vec<H>>
    where
        T: for<'de> Deserialize<'de> + Send + 'static,
    {
        // One more than is wanted says whether the last ones are tied.
        let mut limit = self.wanted.saturating_add(self.spare).saturating_add(1).min(MAX_NEAREST);
        let rescore = |row: &T, hits: &mut Vec<H>| {
            let Some(vector) = vector_of(row) else { return f64::INFINITY };
            let (similarity, distance) = self.metric.compare(self.vector, &vector);
            if self.threshold.is_none_or(|least| similarity >= least) {
                hits.extend(accept(row, similarity, distance));
            }
            similarity
        };
        loop {
            let find = Find::new(self.filter.clone())
                .project(self.projection.clone())
                .nearest(self.vector.values(), limit);
            let rows = match self.collection.find_page::<T>(&find).await {
                Ok(page) => page.documents,
                Err(error)
                    if error.problem() == Problem::Unsupported && self.filter != self.bare =>
                {
                    self.filter = self.bare.clone();
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut hits = Vec::new();
            let mut lowest = f64::INFINITY;
            for row in &rows {
                lowest = lowest.min(rescore(row, &mut hits));
            }
            hits.sort_by(&compare);
            // What was not given is no nearer than the last that was, but for
            // the rounding of float32.
            let below = lowest + lowest.abs() * 1e-5 + 1e-9;
            let complete = rows.len() < limit
                || self.threshold.is_some_and(|least| least > below)
                || hits
                    .get(self.wanted.saturating_sub(1))
                    .is_some_and(|last| similarity_of(last) > below);
            if complete {
                hits.truncate(self.wanted);
                return Ok(hits);
            }
            if limit == MAX_NEAREST {
                break;
            }
            limit = limit.saturating_mul(2).min(MAX_NEAREST);
        }
        // More than the server searches for: every vector is read once.
        let find = Find::new(self.filter.clone()).project(self.projection.clone());
        let mut all = std::pin::pin!(self.collection.find::<T>(find));
        let mut hits = Vec::new();
        let enough = self.wanted.saturating_mul(2).saturating_add(1000);
        while let Some(row) = all.try_next().await? {
            rescore(&row, &mut hits);
            if hits.len() > enough {
                hits.sort_by(&compare);
                hits.truncate(self.wanted);
            }
        }
        hits.sort_by(&compare);
        hits.truncate(self.wanted);
        Ok(hits)
    }
}
