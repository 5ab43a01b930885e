//! What all requests share.

use tokio::sync::RwLock;

use crate::auth::Credential;
use crate::database::Database;
use crate::faults::Faults;
use crate::requests::Requests;
use crate::rules::Rules;

/// The database, and what requests are held against.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) database: Database,
    pub(crate) rules: Rules,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    /// Held by every request until it is done; a shutdown waits for all.
    pub(crate) on_their_way: RwLock<()>,
}
