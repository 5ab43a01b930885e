//! Getting the files of a model from an address that a person gave. Nothing
//! else of songrec ever does.

use std::path::Path;

use songrec_core::{Digest, Event, Progress, Work};
use songrec_models::Description;

use super::{DESCRIPTION, DOWNLOADING, described_by};
use crate::{
    Error, ErrorKind, Result,
    hash::hash_file,
    models::{Models, server},
    work::blocking,
};

/// A description is a page of text.
const LARGEST_DESCRIPTION: u64 = 1 << 20;
/// An ONNX file in one piece cannot be larger: it is a message of protobuf.
const LARGEST_FILE: u64 = 2 << 30;
/// The files of a model, in a folder that goes away again.
pub(in crate::models) struct Download {
    folder: tempfile::TempDir,
    from: String,
    pub(in crate::models) description: Description,
    /// What a person should know.
    pub(in crate::models) notes: Vec<String>,
}

impl Download {
    pub(in crate::models) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What is wrong with the files, for somebody who knows only where they
    /// came from.
    pub(in crate::models) fn reword(&self, error: Error) -> Error {
        of_address(&error, self.folder(), &self.from)
    }
}

fn of_address(error: &Error, folder: &Path, from: &str) -> Error {
    let folder = folder.to_string_lossy();
    let elsewhere = |text: &str| text.replace(&*folder, from.trim_end_matches('/'));
    let reworded = Error::new(error.kind(), elsewhere(&error.to_string()));
    let reworded = match std::error::Error::source(error) {
        Some(source) => reworded.because(elsewhere(&source.to_string())),
        None => reworded,
    };
    match error.hint() {
        Some(hint) => {
            reworded.with_hint(hint.clone().replaced(&folder, from.trim_end_matches('/')))
        }
        None => reworded,
    }
}

/// What came of asking for a model's files.
pub(in crate::models) enum Downloaded {
    Files(Download),
    /// What lies at the address is here already.
    IsHere(Description),
}

impl Models {
    /// Gets the files that a model needs from below an address: its
    /// `model.toml`, unless songrec itself knows the name, and what that names.
    /// Each is checked against its digest before the next one is asked for.
    ///
    /// # Errors
    ///
    /// When not all of them can be had. Nothing of them stays then.
    ///
    /// # Cancellation
    ///
    /// Safe; nothing stays.
    pub(in crate::models) async fn download(
        &self,
        name: &str,
        from: &str,
        progress: &dyn Progress,
    ) -> Result<Downloaded> {
        let root = self.folder();
        std::fs::create_dir_all(root).map_err(|error| Error::io("create", root, error))?;
        let folder = tempfile::Builder::new()
            .prefix(DOWNLOADING)
            .tempdir_in(root)
            .map_err(|error| Error::io("create a folder in", root, error))?;
        let fetch = async |file: &str, most: u64| {
            progress.on(Event::started(Work::Downloading, None));
            let to = folder.path().join(file);
            let fetched = server::fetch(&below(from, file), &to, most, |bytes| {
                progress.on(Event::Advanced { item: file, bytes });
            })
            .await;
            progress.on(Event::Finished);
            fetched
        };
        fetch(DESCRIPTION, LARGEST_DESCRIPTION).await?;
        let described = described_by(name, folder.path(), from);
        let mut description = described.map_err(|error| of_address(&error, folder.path(), from))?;
        if self.has(&description) {
            return Ok(Downloaded::IsHere(description));
        }
        let audio = &description.audio;
        if !fetch(&audio.file, LARGEST_FILE).await? {
            return Err(Error::not_found(format_args!(
                "there is no `{}`",
                below(from, &audio.file)
            ))
            .with_hint(
                "name the address of the folder in which the model's files lie, without the \
                     name of a file",
            ));
        }
        check(folder.path(), from, &audio.file, audio.sha256).await?;
        let mut notes = Vec::new();
        if let Some(text) = description.text.take() {
            let mut absent = None;
            for (file, digest) in
                [(&text.file, text.sha256), (&text.tokenizer.file, text.tokenizer.sha256)]
            {
                if !fetch(file, LARGEST_FILE).await? {
                    absent = Some(below(from, file));
                    break;
                }
                check(folder.path(), from, file, digest).await?;
            }
            match absent {
                Some(absent) => {
                    notes.push(format!("it cannot read text: there is no `{absent}`"));
                }
                None => description.text = Some(text),
            }
        }
        Ok(Downloaded::Files(Download { folder, from: from.to_owned(), description, notes }))
    }

    // Whether the model that is described is here, to the last byte. One that
    // does not say its digests may be any.
    fn has(&self, description: &Description) -> bool {
        let files = description.files();
        files.iter().all(|(_, digest)| digest.is_some())
            && self
                .folder
                .find(description.name.as_str())
                .is_ok_and(|here| here.files() == files && here.name == description.name)
    }
}

fn below(from: &str, file: &str) -> String {
    format!("{}/{file}", from.trim_end_matches('/'))
}

// Whether what came is what the description promises.
async fn check(folder: &Path, from: &str, file: &str, expected: Option<Digest>) -> Result<()> {
    let Some(expected) = expected else { return Ok(()) };
    let path = folder.join(file);
    let hashed = path.clone();
    let found = blocking(move || hash_file(&hashed))
        .await?
        .map_err(|error| Error::io("read", &path, error))?;
    if found == expected {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Corrupt,
        format_args!("`{}` is not the file of the model", below(from, file)),
    )
    .because(format!("its SHA-256 is {found}, but that of the model's file is {expected}"))
    .with_hint("it was damaged on its way, or replaced by another: ask whoever offers it"))
}
