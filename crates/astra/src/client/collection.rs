//! Collections: what is done with their documents.

use std::{fmt, time::Duration};

use futures::{Stream, TryStreamExt, stream};
use serde::{Serialize, de::DeserializeOwned, de::IgnoredAny};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use songrec_core::{FailedAttempt, RetryPolicy};

use super::{
    Answer, COMFORTABLE_BODY, Client, Count, Error, Find, FoundPage, Inserted, MAX_INSERT, Problem,
    Repeat, Replace, Request, Result, Update, Updated, Version,
    command::UpdateOptions,
    envelope::{Many, One, Status},
    place,
};

/// One collection of a keyspace.
#[derive(Clone)]
pub struct Collection {
    client: Client,
    keyspace: String,
    name: String,
}

impl Collection {
    pub(super) const fn new(client: Client, keyspace: String, name: String) -> Self {
        Self { client, keyspace, name }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One page of documents.
    ///
    /// # Errors
    ///
    /// Those of any request; `SortTooLarge` for a sort of too many.
    pub async fn find_page<T: DeserializeOwned>(&self, find: &Find) -> Result<FoundPage<T>> {
        let answer = self.send::<_, Many<T>>("find", find, Repeat::Always).await?.check()?;
        let found = answer.data.ok_or_else(|| self.bad_answer("find", "it has no data"))?;
        if found.next_page_state.is_some() && found.next_page_state == find.options.page_state {
            return Err(self.bad_answer("find", "the page after it is the same one again"));
        }
        Ok(FoundPage { documents: found.documents, next: found.next_page_state })
    }

    /// All documents, page after page as they are taken.
    pub fn find<T: DeserializeOwned + Send + 'static>(
        &self,
        find: Find,
    ) -> impl Stream<Item = Result<T>> + Send + use<T> {
        let collection = self.clone();
        stream::try_unfold(Some(find), move |find| {
            let collection = collection.clone();
            async move {
                let Some(find) = find else { return Ok::<_, Error>(None) };
                let page = collection.find_page::<T>(&find).await?;
                let next = page.next.map(|state| find.after(Some(state)));
                Ok(Some((stream::iter(page.documents.into_iter().map(Ok)), next)))
            }
        })
        .try_flatten()
    }

    /// One document that passes a filter.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn find_one<T: DeserializeOwned>(
        &self,
        filter: Value,
        projection: Value,
    ) -> Result<Option<T>> {
        let find = Find { filter, projection, ..Find::default() };
        let answer = self.send::<_, One<T>>("findOne", &find, Repeat::Always).await?.check()?;
        Ok(answer.data.and_then(|one| one.document))
    }

    /// Inserts one document, which must have an `_id`.
    ///
    /// # Errors
    ///
    /// `DocumentExists` if there is one of its `_id`: another, or the same if
    /// an answer was lost.
    pub async fn insert_one<T: Serialize + Sync>(&self, document: &T) -> Result<()> {
        let command = json!({"document": document});
        self.send::<_, IgnoredAny>("insertOne", &command, Repeat::Always).await?.check()?;
        Ok(())
    }

    /// Inserts documents, which must have `_id`s; says of each what became of
    /// it, in order. As many requests as chunks of 100, or of as many as fit
    /// into one request.
    ///
    /// # Errors
    ///
    /// When a whole request failed for good. Documents of other chunks, or
    /// even of this one, may be stored.
    pub async fn insert_many<T: Serialize>(&self, documents: &[T]) -> Result<Vec<Inserted>> {
        let raw: Vec<Box<RawValue>> = documents
            .iter()
            .map(to_raw_value)
            .collect::<std::result::Result<_, _>>()
            .map_err(|error| self.error(Problem::Refused, "insertMany", &error))?;
        let mut outcomes = Vec::with_capacity(raw.len());
        for chunk in chunks(&raw) {
            outcomes.extend(self.insert_chunk(chunk).await?);
        }
        Ok(outcomes)
    }

    async fn insert_chunk(&self, documents: &[Box<RawValue>]) -> Result<Vec<Inserted>> {
        let mut outcomes: Vec<Option<Inserted>> = documents.iter().map(|_| None).collect();
        // Each request has its own time.
        let retry = self.client.inner.timeouts.retry;
        let mut retries = RetryPolicy { total: Duration::MAX, ..retry }.start();
        let mut round = 0;
        loop {
            round += 1;
            let open: Vec<usize> = (0..documents.len())
                .filter(|at| matches!(&outcomes[*at], None | Some(Inserted::Failed(_))))
                .collect();
            let command = InsertMany {
                documents: open.iter().map(|at| &*documents[*at]).collect(),
                options: InsertOptions { ordered: false, return_document_responses: true },
            };
            let answer = self.send::<_, IgnoredAny>("insertMany", &command, Repeat::Always).await?;
            let news = self.outcomes(answer, open.len(), round > 1)?;
            let mut failed: Option<FailedAttempt> = None;
            for (at, outcome) in open.into_iter().zip(news) {
                if let Inserted::Failed(error) = &outcome
                    && error.problem.is_worth_repeating(Repeat::Always)
                {
                    let failed = failed.get_or_insert_default();
                    failed.asked = failed.asked.max(error.retry_after);
                } else if let Inserted::Failed(error) = outcome {
                    // One document that the server refuses is refused again.
                    return Err(error);
                }
                outcomes[at] = Some(outcome);
            }
            let pause = failed.and_then(|failed| retries.after(failed, rand::random()));
            let Some(pause) = pause else {
                return Ok(outcomes.into_iter().flatten().collect());
            };
            tokio::time::sleep(pause).await;
        }
    }

    fn outcomes(
        &self,
        answer: Answer<IgnoredAny>,
        sent: usize,
        again: bool,
    ) -> Result<Vec<Inserted>> {
        let Answer { status, errors, attempts, .. } = answer;
        let repeated = again || attempts > 1;
        let Status { document_responses, inserted_ids, .. } = status;
        let Some(responses) = document_responses else {
            // Everything was stored, or there are no answers document by document.
            let stored = inserted_ids.map_or(0, |ids| ids.len());
            return match errors.into_iter().next() {
                None if stored == sent => Ok((0..sent).map(|_| Inserted::Done).collect()),
                None => Err(self.bad_answer("insertMany", "it does not say what became of each")),
                Some(error) => Err(error),
            };
        };
        if responses.len() != sent {
            return Err(self.bad_answer("insertMany", "it tells of other documents"));
        }
        let outcome = |response: super::envelope::DocumentResponse| {
            if response.status.eq_ignore_ascii_case("OK") {
                return Inserted::Done;
            }
            let Some(error) = response.error.and_then(|at| errors.get(at)) else {
                return Inserted::Failed(self.bad_answer("insertMany", "an error is missing"));
            };
            match error.problem {
                Problem::DocumentExists => Inserted::Exists { repeated },
                problem => Inserted::Failed(Error {
                    problem,
                    code: error.code.clone(),
                    occurrence: error.occurrence.clone(),
                    retry_after: error.retry_after,
                    own_server: error.own_server,
                    ..Error::new(problem, error.command, &error.place, &error.detail)
                }),
            }
        };
        Ok(responses.into_iter().map(outcome).collect())
    }

    /// Changes one document. It was changed if `modified` is 1; `matched`
    /// proves nothing.
    ///
    /// # Errors
    ///
    /// Those of any request. See [`Update::repeatable`] for lost answers.
    pub async fn update_one(&self, update: &Update) -> Result<Updated> {
        let repeat = update.repeat.unwrap_or(Repeat::Unsent);
        let answer = self.send::<_, IgnoredAny>("updateOne", update, repeat).await?.check()?;
        Ok(updated(answer.status, None))
    }

    /// Changes every document that passes the filter, as many requests as
    /// there are server pages of them.
    ///
    /// # Errors
    ///
    /// Those of any request; some documents may be changed then.
    pub async fn update_many(&self, update: &Update) -> Result<Updated> {
        let mut update = update.clone();
        let repeat = update.repeat.unwrap_or(Repeat::Unsent);
        let mut sum = Updated::default();
        loop {
            let answer =
                self.send::<_, IgnoredAny>("updateMany", &update, repeat).await?.check()?;
            let more = answer.status.more_data.unwrap_or(false);
            let next = answer.status.next_page_state.clone();
            let page: Updated = updated(answer.status, None);
            sum.matched += page.matched;
            sum.modified += page.modified;
            sum.upserted = sum.upserted.or(page.upserted);
            if more && next.is_some() && next == update.options.page_state {
                return Err(self.bad_answer("updateMany", "the page after it is the same again"));
            }
            if !more || next.is_none() {
                return Ok(sum);
            }
            // An upsert on a later page would insert although pages before
            // it had matched.
            update.options = UpdateOptions { page_state: next, ..UpdateOptions::default() };
        }
    }

    /// Changes one document and gives it as it was or as it is.
    ///
    /// # Errors
    ///
    /// As [`update_one`](Self::update_one).
    pub async fn find_one_and_update<T: DeserializeOwned>(
        &self,
        update: &Update,
        version: Version,
    ) -> Result<Updated<T>> {
        let mut update = update.clone();
        update.options.return_document = Some(version);
        let repeat = update.repeat.unwrap_or(Repeat::Unsent);
        let answer = self.send::<_, One<T>>("findOneAndUpdate", &update, repeat).await?.check()?;
        Ok(updated(answer.status, answer.data.and_then(|one| one.document)))
    }

    /// Puts another document in the place of one, and gives the old one.
    ///
    /// # Errors
    ///
    /// As [`update_one`](Self::update_one).
    pub async fn find_one_and_replace<D: Serialize + Sync, T: DeserializeOwned>(
        &self,
        replace: &Replace<D>,
    ) -> Result<Updated<T>> {
        let repeat = replace.repeat.unwrap_or(Repeat::Unsent);
        let answer = self.send::<_, One<T>>("findOneAndReplace", replace, repeat).await?.check()?;
        Ok(updated(answer.status, answer.data.and_then(|one| one.document)))
    }

    /// Deletes one document and gives it.
    ///
    /// # Errors
    ///
    /// Those of any request. When an answer is lost, the repetition finds
    /// nothing and gives `None`.
    pub async fn find_one_and_delete<T: DeserializeOwned>(
        &self,
        filter: Value,
        projection: Value,
    ) -> Result<Option<T>> {
        let find = Find { filter, projection, ..Find::default() };
        let answer =
            self.send::<_, One<T>>("findOneAndDelete", &find, Repeat::Always).await?.check()?;
        Ok(answer.data.and_then(|one| one.document))
    }

    /// Deletes one document; says whether it was there. When an answer is
    /// lost, the repetition finds nothing and says that it was not.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn delete_one(&self, filter: Value) -> Result<bool> {
        let command = json!({"filter": filter});
        let answer =
            self.send::<_, IgnoredAny>("deleteOne", &command, Repeat::Always).await?.check()?;
        Ok(answer.status.deleted_count.unwrap_or(0) > 0)
    }

    /// Deletes every document that passes the filter, 20 a request; says how
    /// many, which is too few if an answer was lost. An empty filter deletes
    /// all at once, and says nothing.
    ///
    /// # Errors
    ///
    /// Those of any request; some documents may be deleted then.
    pub async fn delete_many(&self, filter: Value) -> Result<u64> {
        let command = json!({"filter": filter});
        let mut deleted = 0;
        loop {
            let answer = self
                .send::<_, IgnoredAny>("deleteMany", &command, Repeat::Always)
                .await?
                .check()?;
            deleted += answer.status.deleted_count.unwrap_or(0).max(0).unsigned_abs();
            if !answer.status.more_data.unwrap_or(false) {
                return Ok(deleted);
            }
        }
    }

    /// Counts the documents that pass the filter, up to 1,000.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn count(&self, filter: Value) -> Result<Count> {
        let command = json!({"filter": filter});
        let answer = self
            .send::<_, IgnoredAny>("countDocuments", &command, Repeat::Always)
            .await?
            .check()?;
        let more = answer.status.more_data.unwrap_or(false);
        Ok(Count { count: answer.status.count.unwrap_or(0), more })
    }

    /// About how many documents there are: minutes old, and cheap.
    ///
    /// # Errors
    ///
    /// Those of any request.
    pub async fn estimated_count(&self) -> Result<u64> {
        let command = json!({});
        let answer = self
            .send::<_, IgnoredAny>("estimatedDocumentCount", &command, Repeat::Always)
            .await?
            .check()?;
        Ok(answer.status.count.unwrap_or(0))
    }

    async fn send<C: Serialize + Sync, D: DeserializeOwned>(
        &self,
        name: &'static str,
        command: &C,
        repeat: Repeat,
    ) -> Result<Answer<D>> {
        let request = Request { name, command, repeat, slow: false };
        self.client.send(&[&self.keyspace, &self.name], request).await
    }

    fn error(&self, problem: Problem, command: &'static str, why: &dyn fmt::Display) -> Error {
        Error::new(problem, command, place(&[&self.keyspace, &self.name]), why)
    }

    fn bad_answer(&self, command: &'static str, why: &str) -> Error {
        self.error(Problem::BadAnswer, command, &why)
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("keyspace", &self.keyspace)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct InsertMany<'a> {
    documents: Vec<&'a RawValue>,
    options: InsertOptions,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InsertOptions {
    ordered: bool,
    return_document_responses: bool,
}

fn updated<T>(status: Status, document: Option<T>) -> Updated<T> {
    Updated {
        matched: status.matched_count.unwrap_or(0),
        modified: status.modified_count.unwrap_or(0),
        upserted: status.upserted_id.filter(|id| !id.is_null()),
        document,
    }
}

// As few chunks as the limits on number and size allow.
fn chunks(documents: &[Box<RawValue>]) -> Vec<&[Box<RawValue>]> {
    let mut chunks = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (at, document) in documents.iter().enumerate() {
        let length = document.get().len() + 1;
        if at > start && (at - start == MAX_INSERT || size + length > COMFORTABLE_BODY) {
            chunks.push(&documents[start..at]);
            (start, size) = (at, 0);
        }
        size += length;
    }
    if start < documents.len() {
        chunks.push(&documents[start..]);
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_keep_to_number_and_size() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let small: Vec<_> = (0..250).map(|_| raw("{}")).collect();
        let large: Vec<_> =
            (0..5).map(|_| raw(&format!("\"{}\"", "x".repeat(5_000_000)))).collect();

        let lengths = |chunks: Vec<&[Box<RawValue>]>| -> Vec<usize> {
            chunks.iter().map(|chunk| chunk.len()).collect()
        };
        assert_eq!(lengths(chunks(&small)), [100, 100, 50]);
        assert_eq!(lengths(chunks(&large)), [2, 2, 1]);
        assert!(chunks(&[]).is_empty());
    }
}
