//! Calls for many songs at once, of which one may be at fault.

use std::{future::Future, slice};

use songrec_storage::Result as StorageResult;

use crate::error::is_about_one;

/// Makes a call for all items together. If it is refused because of one of
/// them, makes it for each by itself, so that the others need not suffer. Gives
/// an answer for each item: `None` where the library gave none.
///
/// # Errors
///
/// When the library fails, rather than one item.
pub(crate) async fn each<'a, I, T, F>(
    items: &'a [I],
    call: impl Fn(&'a [I]) -> F,
) -> StorageResult<Vec<StorageResult<Option<T>>>>
where
    F: Future<Output = StorageResult<Vec<T>>>,
{
    match call(items).await {
        Err(error) if is_about_one(&error) => {}
        answers => return Ok(answers?.into_iter().map(|answer| Ok(Some(answer))).collect()),
    }
    let mut answers = Vec::with_capacity(items.len());
    for item in items {
        match call(slice::from_ref(item)).await {
            Ok(mut answer) => answers.push(Ok(answer.pop())),
            Err(error) if is_about_one(&error) => answers.push(Err(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(answers)
}
