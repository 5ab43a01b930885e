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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use songrec_storage::{Error, ErrorKind, MemoryBackend};

    use super::*;

    fn refused(kind: ErrorKind) -> Error {
        Error::new(kind, "read", "a number", MemoryBackend::new())
    }

    #[tokio::test]
    async fn one_at_fault_does_not_keep_the_others() {
        let calls = Mutex::new(Vec::new());

        let answers = each(&[1, 2, 3], |numbers: &[u8]| {
            calls.lock().unwrap().push(numbers.len());
            let answer =
                if numbers.contains(&2) { Err(refused(ErrorKind::Corrupt)) } else { Ok(numbers) };
            async { answer.map(<[u8]>::to_vec) }
        });
        let answers = answers.await.unwrap();

        let read: Vec<Option<u8>> = answers.into_iter().map(|one| one.ok().flatten()).collect();
        assert_eq!(read, [Some(1), None, Some(3)]);
        assert_eq!(*calls.lock().unwrap(), [3, 1, 1, 1]);
    }

    #[tokio::test]
    async fn a_library_that_fails_is_not_asked_for_each() {
        let calls = Mutex::new(0);

        let answers: StorageResult<Vec<StorageResult<Option<u8>>>> = each(&[1, 2], |_: &[u8]| {
            *calls.lock().unwrap() += 1;
            async { Err(refused(ErrorKind::Denied)) }
        })
        .await;

        assert_eq!(answers.unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(*calls.lock().unwrap(), 1);
    }
}
