//! What can go wrong with a request, and what to do about it.

use std::{fmt, time::Duration};

use songrec_storage::ErrorKind;

use super::{Repeat, envelope::ApiError};

/// What a request to the Data API gives.
pub type Result<T> = std::result::Result<T, Error>;

/// A request that failed.
///
/// The message names the command and the place and says what is wrong; what to
/// do about it is in [`Error::hint`]. It never holds a token.
#[derive(Debug)]
pub struct Error {
    pub(super) problem: Problem,
    pub(super) command: &'static str,
    pub(super) place: Box<str>,
    pub(super) detail: Box<str>,
    pub(super) code: Option<Box<str>>,
    pub(super) occurrence: Option<Box<str>>,
    pub(crate) retry_after: Option<Duration>,
    pub(super) attempts: u32,
    // Nobody listens there.
    pub(super) refused: bool,
    // The server is not Astra's.
    pub(super) own_server: bool,
}

/// What is wrong, as far as it makes a difference to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// The host name is not known: wrong database id or region, or no network.
    UnknownHost,
    /// Nothing answers there.
    Unreachable,
    /// The connection cannot be made safe.
    Tls,
    /// No answer came in time.
    TimedOut,
    /// The connection broke before the answer was complete.
    Interrupted,
    /// Something else than a Data API answered, such as a proxy.
    NotDataApi,
    /// The answer is larger than any of a Data API.
    TooMuch,
    /// There is no Data API at this path.
    WrongPath,
    /// The token is missing, wrong or expired.
    Denied,
    /// The token may not do this.
    Forbidden,
    /// The database sleeps, or wakes up.
    Asleep,
    /// There were too many requests.
    Throttled,
    /// The database could not do it now.
    Overloaded,
    /// Other writers were faster every time.
    Contended,
    /// The server failed in a way that it does not explain.
    ServerFault,
    /// The endpoint failed so often that it is not asked for a while.
    Resting,
    /// There is no such keyspace.
    NoKeyspace,
    /// There is no such collection.
    NoCollection,
    /// A collection of this name exists with other settings.
    CollectionDiffers,
    /// There is no room for another collection.
    TooManyCollections,
    /// There is no room for another index.
    TooManyIndexes,
    /// A document of this `_id` exists.
    DocumentExists,
    /// The vector has another dimension than the collection.
    WrongDimension,
    /// More documents would have to be sorted than the server sorts.
    SortTooLarge,
    /// A document or a request is over a limit.
    TooLarge,
    /// The database cannot do this at all.
    Unsupported,
    /// The server did not understand the request, or does not allow it.
    Refused,
    /// The answer has not the form it should have.
    BadAnswer,
}

impl Problem {
    // Codes were renamed in 2025 and 2026; both names are known here.
    pub(super) fn of_code(error: &ApiError) -> Self {
        let message = error.message.to_ascii_lowercase();
        match error.code.as_str() {
            "MISSING_AUTHENTICATION_TOKEN" | "UNAUTHENTICATED_REQUEST" | "UNAUTHENTICATED" => {
                Self::Denied
            }
            "UNAUTHORIZED_ACCESS" => Self::Forbidden,
            "UNKNOWN_KEYSPACE" | "KEYSPACE_DOES_NOT_EXIST" => Self::NoKeyspace,
            "UNKNOWN_COLLECTION_OR_TABLE" | "COLLECTION_NOT_EXIST" => Self::NoCollection,
            "EXISTING_COLLECTION_DIFFERENT_SETTINGS"
            | "EXISTING_TABLE_NOT_DATA_API_COLLECTION"
            | "EXISTING_INDEX_FOR_COLLECTION" => Self::CollectionDiffers,
            "TOO_MANY_COLLECTIONS" => Self::TooManyCollections,
            "TOO_MANY_INDEXES_FOR_COLLECTION" | "TOO_MANY_INDEXES" => Self::TooManyIndexes,
            "DOCUMENT_ALREADY_EXISTS" => Self::DocumentExists,
            "INVALID_VECTOR_LENGTH" | "VECTOR_SIZE_MISMATCH" => Self::WrongDimension,
            "OVERLOADED_SORT_ROW_LIMIT" | "DATASET_TOO_BIG" => Self::SortTooLarge,
            "SHRED_DOC_LIMIT_VIOLATION" => Self::TooLarge,
            "FAILED_CONCURRENT_OPERATIONS" | "CONCURRENCY_FAILURE" => Self::Contended,
            "UNSUPPORTED_DATABASE_QUERY" => Self::Unsupported,
            "TIMEOUT_READING_DATA"
            | "FAILED_READ_REQUEST"
            | "COUNT_READ_FAILED"
            | "SERVER_READ_FAILED"
            | "TIMEOUT_WRITING_DATA"
            | "FAILED_WRITE_REQUEST"
            | "FAILED_COMPARE_AND_SET"
            | "FAILED_TRUNCATION" => Self::Overloaded,
            "UNAVAILABLE_DATABASE"
            | "FAILED_TO_CONNECT_TO_DATABASE"
            | "FAILED_TO_READ_METADATA"
            | "SERVER_NO_NODE_AVAILABLE"
            | "SERVER_CLOSED_CONNECTION" => {
                if sleeps(&message) {
                    Self::Asleep
                } else {
                    Self::Overloaded
                }
            }
            // The catch-all of the server; only the text tells the cases apart.
            "UNEXPECTED_DRIVER_ERROR" | "SERVER_DRIVER_TIMEOUT" | "SERVER_DRIVER_FAILURE" => {
                if message.contains("rate limit") {
                    Self::Throttled
                } else {
                    Self::Overloaded
                }
            }
            "INTERNAL_SERVER_ERROR"
            | "UNEXPECTED_SERVER_ERROR"
            | "SERVER_INTERNAL_ERROR"
            | "SERVER_UNHANDLED_ERROR" => Self::ServerFault,
            code if code.ends_with("_RATE_LIMITED") => Self::Throttled,
            _ if error.scope == "SECURITY" => Self::Denied,
            _ if error.family == "SERVER" && error.scope == "DATABASE" => Self::Overloaded,
            _ => Self::Refused,
        }
    }

    pub(super) fn of_status(status: u16, html: bool, body: &str) -> Self {
        let body = body.to_ascii_lowercase();
        match status {
            _ if sleeps(&body) && !html => Self::Asleep,
            401 => Self::Denied,
            407 => Self::NotDataApi,
            403 if !html => Self::Forbidden,
            413 => Self::TooLarge,
            429 => Self::Throttled,
            502..=504 => Self::Overloaded,
            500..=599 => Self::ServerFault,
            _ if html => Self::NotDataApi,
            404 | 405 => Self::WrongPath,
            _ => Self::NotDataApi,
        }
    }

    /// What a caller can do.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::UnknownHost
            | Self::Unreachable
            | Self::Tls
            | Self::Asleep
            | Self::NotDataApi
            | Self::TooMuch
            | Self::Resting => ErrorKind::Unavailable,
            Self::TimedOut
            | Self::Interrupted
            | Self::Throttled
            | Self::Overloaded
            | Self::Contended
            | Self::ServerFault => ErrorKind::Transient,
            Self::Denied | Self::Forbidden => ErrorKind::Denied,
            Self::NoKeyspace | Self::NoCollection | Self::WrongPath => ErrorKind::NotFound,
            Self::CollectionDiffers => ErrorKind::Incompatible,
            Self::TooManyCollections | Self::TooManyIndexes | Self::TooLarge => ErrorKind::Full,
            Self::DocumentExists => ErrorKind::Conflict,
            Self::Unsupported => ErrorKind::Unsupported,
            Self::WrongDimension | Self::SortTooLarge | Self::Refused => ErrorKind::Invalid,
            Self::BadAnswer => ErrorKind::Corrupt,
        }
    }

    /// What a person can do about it, if the server is Astra's.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::UnknownHost => {
                "check the database id and the region in `ASTRA_DB_API_ENDPOINT`, and that this \
                 machine has a network; a terminated database has no host name any more"
            }
            Self::Unreachable => {
                "check the address and the port in `ASTRA_DB_API_ENDPOINT`, and that the server runs"
            }
            Self::Tls => {
                "check that the address begins with `https://` only if the server speaks TLS, that \
                 the clock of this machine is right, and that no proxy replaces certificates"
            }
            Self::TimedOut | Self::Interrupted => {
                "try again; if it happens often, look at the network or at the database's status page"
            }
            Self::NotDataApi => {
                "a proxy, a login page or another server answers at this address; check \
                 `HTTPS_PROXY` and open the endpoint in a browser"
            }
            Self::TooMuch => {
                "no Data API answers that much: check `ASTRA_DB_API_ENDPOINT` and `HTTPS_PROXY`, \
                 and look at what answers there"
            }
            Self::WrongPath => {
                "check the path of `ASTRA_DB_API_ENDPOINT`: Astra answers below `/api/json/v1`, a \
                 self-hosted server below `/v1`"
            }
            Self::Denied => {
                "make a new token in the Astra portal and put it into \
                 `ASTRA_DB_APPLICATION_TOKEN`; tokens expire and belong to one organization"
            }
            Self::Forbidden => {
                "give the token a role that may read and write this database, such as \
                 `Database Administrator`"
            }
            Self::Asleep => {
                "a free database hibernates when it is not used: resume it in the Astra portal, \
                 wait a few minutes and try again"
            }
            Self::Throttled => "wait a little, or do less at once",
            Self::Overloaded | Self::ServerFault => {
                "try again in a moment; if it goes on, look at the database's status page"
            }
            Self::Contended => "other writers change the same document; try again in a moment",
            Self::Resting => "it failed many times in a row; try again in half a minute",
            Self::NoKeyspace | Self::NoCollection => {
                "make the keyspace and its collections first, and check `ASTRA_DB_KEYSPACE`"
            }
            Self::CollectionDiffers => {
                "use another keyspace, or delete the collection if nothing in it is needed"
            }
            Self::TooManyCollections => {
                "delete collections that are not needed, keep fewer models, or use a database with \
                 room: every model needs one collection beside `songs` and `library`"
            }
            Self::TooManyIndexes => {
                "delete collections that are not needed: each takes about ten of the database's \
                 indexes"
            }
            Self::DocumentExists => "read the document and repeat the change",
            Self::WrongDimension => "the collection was made for another model",
            Self::SortTooLarge => "narrow the filter: the server sorts fewer than 10,000 documents",
            Self::TooLarge => {
                "send less at once: a request holds 20 MB, a document 4,000,000 characters"
            }
            Self::Unsupported => {
                "the database behind this Data API lacks the feature; Astra, HCD and DSE have it"
            }
            Self::Refused => "this is a fault in the request; please report it with the message",
            Self::BadAnswer => "the server is of an unknown version; please report it",
        }
    }

    /// What a person can do about it, if the server is one of their own.
    pub const fn hint_at_own_server(self) -> &'static str {
        match self {
            Self::UnknownHost => {
                "check the host name in `ASTRA_DB_API_ENDPOINT`, and that this machine has a network"
            }
            Self::TimedOut | Self::Interrupted => {
                "try again; if it happens often, look at the network and at the server's load"
            }
            Self::Denied => {
                "check `ASTRA_DB_USERNAME` and `ASTRA_DB_PASSWORD`, or the token in \
                 `ASTRA_DB_APPLICATION_TOKEN`, which comes first where it is set"
            }
            Self::Forbidden => {
                "let this user of the database read and write the keyspace and make tables in it"
            }
            Self::Overloaded | Self::ServerFault => {
                "try again in a moment; if it goes on, look into the server's log"
            }
            Self::TooManyCollections | Self::TooManyIndexes => {
                "set `STARGATE_DATABASE_LIMITS_MAX_COLLECTIONS` (5 in a server as it is shipped) \
                 and `STARGATE_DATABASE_LIMITS_INDEXES_AVAILABLE_PER_DATABASE` (10 for each \
                 collection) of the server higher and start it again, or delete collections: a \
                 library takes `songs`, `library` and one for each model"
            }
            other => other.hint(),
        }
    }

    const fn describe(self) -> &'static str {
        match self {
            Self::UnknownHost => "the host name is not known",
            Self::Unreachable => "nothing answers there",
            Self::Tls => "no safe connection can be made",
            Self::TimedOut => "no answer came in time",
            Self::Interrupted => "the connection broke",
            Self::NotDataApi => "something else than a Data API answered",
            Self::TooMuch => "the answer is larger than any of a Data API",
            Self::WrongPath => "there is no Data API at this path",
            Self::Denied => "the token was not accepted",
            Self::Forbidden => "the token does not allow it",
            Self::Asleep => "the database is hibernated or just waking up",
            Self::Throttled => "there were too many requests",
            Self::Overloaded => "the database could not do it now",
            Self::Contended => "other writers were faster every time",
            Self::ServerFault => "the server failed",
            Self::Resting => "the endpoint keeps failing and is left alone for a moment",
            Self::NoKeyspace => "there is no such keyspace",
            Self::NoCollection => "there is no such collection",
            Self::CollectionDiffers => "a collection of this name has other settings",
            Self::TooManyCollections => "the database has no room for another collection",
            Self::TooManyIndexes => "the database has no room for another index",
            Self::DocumentExists => "a document of this `_id` exists",
            Self::WrongDimension => "the vector has the wrong dimension",
            Self::SortTooLarge => "there are too many documents to sort",
            Self::TooLarge => "it is over a limit",
            Self::Unsupported => "the database cannot do this",
            Self::Refused => "the request was refused",
            Self::BadAnswer => "the answer cannot be understood",
        }
    }

    // Whether the request may be sent again by itself. What was surely not
    // done may always be; what may have been done only if doing it twice is
    // the same as doing it once.
    pub(super) const fn is_worth_repeating(self, repeat: Repeat) -> bool {
        match self {
            Self::Throttled | Self::Unreachable | Self::Asleep => true,
            Self::TimedOut
            | Self::Interrupted
            | Self::Overloaded
            | Self::Contended
            | Self::ServerFault => matches!(repeat, Repeat::Always),
            _ => false,
        }
    }
}

// The wording is nowhere documented; these are the words that gateways use.
fn sleeps(text: &str) -> bool {
    ["hibernat", "resum", "is not active", "maintenance mode"]
        .iter()
        .any(|word| text.contains(word))
}

impl Error {
    pub(super) fn new(
        problem: Problem,
        command: &'static str,
        place: impl fmt::Display,
        detail: impl fmt::Display,
    ) -> Self {
        Self {
            problem,
            command,
            place: place.to_string().into(),
            detail: shorten(&detail.to_string()).into(),
            code: None,
            occurrence: None,
            retry_after: None,
            attempts: 1,
            refused: false,
            own_server: false,
        }
    }

    pub(super) fn of_api(
        error: &ApiError,
        command: &'static str,
        place: impl fmt::Display,
    ) -> Self {
        let mut new = Self::new(Problem::of_code(error), command, place, &error.message);
        new.code = (!error.code.is_empty()).then(|| error.code.as_str().into());
        new.occurrence = error.id.as_deref().map(Into::into);
        new
    }

    /// What is wrong.
    pub const fn problem(&self) -> Problem {
        self.problem
    }

    /// What a caller can do.
    pub const fn kind(&self) -> ErrorKind {
        self.problem.kind()
    }

    /// What a person can do about it.
    pub const fn hint(&self) -> &'static str {
        match self.own_server {
            true => self.problem.hint_at_own_server(),
            false => self.problem.hint(),
        }
    }

    /// The server's own code, if it gave one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// How often it was tried.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether what was asked for may have been done all the same: an answer
    /// was lost, or the database gave up in the middle.
    pub const fn may_have_happened(&self) -> bool {
        matches!(
            self.problem,
            Problem::TimedOut
                | Problem::Interrupted
                | Problem::Overloaded
                | Problem::Contended
                | Problem::ServerFault
                | Problem::BadAnswer
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` on {} failed: {}", self.command, self.place, self.problem.describe())?;
        if self.attempts > 1 {
            write!(f, ", {} times", self.attempts)?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        match (&self.code, &self.occurrence) {
            (Some(code), Some(id)) => write!(f, " ({code}, {id})"),
            (Some(code), None) => write!(f, " ({code})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

// A server that answers a web page must not fill the terminal with it.
fn shorten(text: &str) -> String {
    const MOST: usize = 300;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: &str, message: &str) -> ApiError {
        ApiError { code: code.into(), message: message.into(), ..ApiError::default() }
    }

    #[test]
    fn old_and_new_codes_mean_the_same() {
        for (old, new) in [
            ("COLLECTION_NOT_EXIST", "UNKNOWN_COLLECTION_OR_TABLE"),
            ("VECTOR_SIZE_MISMATCH", "INVALID_VECTOR_LENGTH"),
            ("CONCURRENCY_FAILURE", "FAILED_CONCURRENT_OPERATIONS"),
            ("DATASET_TOO_BIG", "OVERLOADED_SORT_ROW_LIMIT"),
            ("SERVER_READ_FAILED", "TIMEOUT_READING_DATA"),
        ] {
            let problem = Problem::of_code(&api(new, ""));

            assert_eq!(Problem::of_code(&api(old, "")), problem, "{old}");
            assert_ne!(problem, Problem::Refused, "{new}");
        }
    }

    #[test]
    fn a_rate_limit_hides_in_the_catch_all() {
        let limited = api("UNEXPECTED_DRIVER_ERROR", "Rate limit reached for database");

        assert_eq!(Problem::of_code(&limited), Problem::Throttled);
        assert_eq!(Problem::of_code(&api("UNEXPECTED_DRIVER_ERROR", "?")), Problem::Overloaded);
    }

    #[test]
    fn each_status_has_its_own_problem() {
        for (status, html, body, problem) in [
            (401, false, "", Problem::Denied),
            (403, false, "", Problem::Forbidden),
            (404, false, "", Problem::WrongPath),
            (404, true, "<html>", Problem::NotDataApi),
            (200, true, "<html>log in", Problem::NotDataApi),
            (407, true, "<html>", Problem::NotDataApi),
            (413, false, "", Problem::TooLarge),
            (429, true, "<html>", Problem::Throttled),
            (503, false, "database is hibernated", Problem::Asleep),
            (503, true, "<html>", Problem::Overloaded),
            (500, false, "", Problem::ServerFault),
        ] {
            assert_eq!(Problem::of_status(status, html, body), problem, "{status} {body}");
        }
    }

    #[test]
    fn a_write_that_may_have_happened_is_not_repeated_by_itself() {
        for problem in [Problem::TimedOut, Problem::Interrupted, Problem::Overloaded] {
            assert!(problem.is_worth_repeating(Repeat::Always));
            assert!(!problem.is_worth_repeating(Repeat::Unsent));
        }
        assert!(Problem::Throttled.is_worth_repeating(Repeat::Unsent));
        assert!(!Problem::Denied.is_worth_repeating(Repeat::Always));
    }

    #[test]
    fn a_long_answer_is_shortened() {
        let error = Error::new(Problem::NotDataApi, "find", "`home`", "<p>\n\n".repeat(10_000));

        assert!(error.to_string().len() < 500);
    }
}
