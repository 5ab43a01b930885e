//! Under which ids this machine takes part, as the state remembers it.

use serde::{Deserialize, Serialize};
use songrec_core::{OperationId, Revision};

use crate::{Pair, Result, SyncState};

/// The identity of this machine in each library.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Identities {
    #[serde(rename = "sessions")]
    pub(super) of: Pair<Identity>,
}

/// The identity of this machine in one library.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Identity {
    /// The id of the machine's document there.
    pub(super) id: String,
    /// The machine was found to be a copy or an older self, and has not yet
    /// compared everything since.
    pub(super) suspect: bool,
    /// The version of the machine's document, as it was last written.
    pub(super) known: Option<Revision>,
    /// Versions that were sent since, any of which may have landed.
    pub(super) tried: Vec<Revision>,
    /// The round of purging that was read, and may be acknowledged after all
    /// changes of the library have been read once more.
    pub(super) read: u64,
    /// The last purged round whose songs were forgotten here.
    pub(super) cleaned: u64,
}

const NAME: &str = "machine";

impl Identities {
    pub(super) fn read(state: &SyncState) -> Result<Self> {
        Ok(state.meta(NAME)?.unwrap_or_default())
    }

    pub(super) fn write(&self, state: &SyncState) -> Result<()> {
        state.set_meta(NAME, self)
    }
}

/// An id that no machine has yet.
pub(super) fn new_id() -> String {
    OperationId::random().to_string()[..12].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_stored_as_earlier_versions_stored_it() {
        let stored = concat!(
            r#"{"sessions":{"left":{"id":"a1b2c3d4e5f6","suspect":true,"known":null,"#,
            r#""tried":[],"read":3,"cleaned":2},"right":{"id":"","suspect":false,"#,
            r#""known":null,"tried":[],"read":0,"cleaned":0}}}"#,
        );

        let identities: Identities = serde_json::from_str(stored).unwrap();

        assert_eq!((identities.of.left.read, identities.of.left.cleaned), (3, 2));
        assert_eq!(serde_json::to_string(&identities).unwrap(), stored);
    }
}
