//! What lies where under a library's root.

use std::path::{Component, Path, PathBuf};

use songrec_core::{Digest, DocumentKind, ModelName, SongId, decode_path};
use uuid::Uuid;

/// The paths of one library.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    /// Where what is derived lies: in the library, unless it may only be read.
    derived: PathBuf,
}

/// Folders of documents that are named by songs, in 256 shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Folder {
    Songs,
    Trash,
    Segments,
}

impl Folder {
    pub(crate) const ALL: [Self; 3] = [Self::Songs, Self::Trash, Self::Segments];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Songs => "songs",
            Self::Trash => "trash",
            Self::Segments => "segments",
        }
    }
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), derived: root.to_owned() }
    }

    /// The same library, with what is derived of it elsewhere.
    pub(crate) fn deriving_in(self, derived: PathBuf) -> Self {
        Self { derived, ..self }
    }

    /// Where what is derived lies.
    pub(crate) fn derived(&self) -> &Path {
        &self.derived
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn library_file(&self) -> PathBuf {
        self.root.join("songrec.json")
    }

    /// A copy of that, for when it is damaged.
    pub(crate) fn library_copy(&self) -> PathBuf {
        self.root.join("songrec.copy.json")
    }

    /// Whether all that is there is what making a library left that was cut
    /// off.
    pub(crate) fn is_begun(&self) -> bool {
        let own = [self.lock(), self.unfinished(), self.library_copy()];
        let is_own = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.is_ok_and(|entry| own.contains(&entry.path()))
        };
        std::fs::read_dir(&self.root).is_ok_and(|mut entries| entries.all(is_own))
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.derived.join("songrec.lock")
    }

    pub(crate) fn catalog(&self) -> PathBuf {
        self.derived.join("catalog.sqlite")
    }

    /// Files on their way to their places.
    pub(crate) fn unfinished(&self) -> PathBuf {
        self.derived.join("tmp")
    }

    pub(crate) fn folder(&self, folder: Folder) -> PathBuf {
        self.root.join(folder.as_str())
    }

    pub(crate) fn shard(&self, folder: Folder, shard: u8) -> PathBuf {
        self.folder(folder).join(format!("{shard:02x}"))
    }

    /// The document of a song in one of the folders.
    pub(crate) fn of_song(&self, folder: Folder, id: SongId) -> PathBuf {
        self.shard(folder, id.as_bytes()[0]).join(format!("{id}.json"))
    }

    /// Where a damaged document of a song goes when another one takes its
    /// place; never used twice.
    pub(crate) fn set_aside(&self, id: SongId) -> PathBuf {
        let unique = Uuid::new_v4().simple().to_string();
        self.root.join("damaged").join(format!("{id}.{}.json", &unique[..8]))
    }

    pub(crate) fn embeddings(&self) -> PathBuf {
        self.root.join("embeddings")
    }

    pub(crate) fn model(&self, model: &ModelName) -> PathBuf {
        self.embeddings().join(model.as_str()).join("model.json")
    }

    pub(crate) fn embedding(&self, model: &ModelName, id: SongId) -> PathBuf {
        self.embeddings().join(model.as_str()).join(id.shard()).join(format!("{id}.npy"))
    }

    /// Where an embedding goes if another one of the same song and model is
    /// there already, and either may be the one that the song will name.
    pub(crate) fn other_embedding(
        &self,
        model: &ModelName,
        id: SongId,
        digest: &Digest,
    ) -> PathBuf {
        let name = format!("{id}.{}.npy", &digest.to_string()[..16]);
        self.embeddings().join(model.as_str()).join(id.shard()).join(name)
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.shard()).join(digest.to_string())
    }

    /// Where a file of a song lies. A relative path does not leave the library.
    pub(crate) fn audio_path(&self, path: &str) -> Option<PathBuf> {
        let path = decode_path(path);
        let leaves = path.components().any(|part| matches!(part, Component::ParentDir));
        if path.is_relative() && leaves {
            return None;
        }
        Some(self.root.join(path))
    }

    pub(crate) fn documents(&self, kind: DocumentKind) -> PathBuf {
        self.root.join(match kind {
            DocumentKind::Playlist => "playlists",
            DocumentKind::Synth => "synths",
            DocumentKind::Clustering => "clusterings",
            DocumentKind::Library => "library",
            DocumentKind::Machine => "machines",
        })
    }

    pub(crate) fn document(&self, kind: DocumentKind, id: &str) -> PathBuf {
        self.documents(kind).join(format!("{id}.json"))
    }

    pub(crate) fn indexes(&self) -> PathBuf {
        self.derived.join("index")
    }

    pub(crate) fn index(&self, model: &ModelName, folder: &str) -> PathBuf {
        self.indexes().join(model.as_str()).join(folder)
    }
}
