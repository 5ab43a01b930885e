//! What a scan says of single files.

use serde::Serialize;

use crate::{AudioWarning, ModelName, SongId};

/// What became of one file that a scan has read, or did not find any more.
///
/// One that could not be read is an [`Event::Failed`](crate::Event::Failed), as in
/// all other work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are those of the report")]
pub enum ScanItem {
    /// Its song is new.
    Added { id: SongId, path: String },
    /// Its song is known, and the file says something else than before or was
    /// embedded by more models.
    Updated { id: SongId, path: String },
    /// Its song was known at another place.
    Moved { id: SongId, path: String, from: String },
    /// Its song is known from another file, which is still there.
    Duplicate { id: SongId, path: String },
    /// It was known and is gone.
    Missing { id: SongId, path: String },
    /// A learned model failed to embed it.
    #[serde(rename = "unheard")]
    Unembedded { id: SongId, path: String, model: ModelName, reason: String },
    /// It was embedded, and something is wrong with its audio.
    Warned { id: SongId, path: String, warnings: Vec<AudioWarning> },
    /// It defines a synth that is new.
    SynthAdded { id: String, name: String, path: String },
    /// It has another source for a synth than before.
    SynthUpdated { id: String, name: String, path: String },
    /// Its synth was known at another place.
    SynthMoved { id: String, name: String, path: String, from: String },
}
