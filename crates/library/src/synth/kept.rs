//! The synths that a library keeps: all of them, and one by its name.

use std::collections::BTreeMap;

use serde::Serialize;
use songrec_core::{
    Digest, Document, DocumentKind, Hint, OperationId, Remedy, Timestamp, decode_path, fold,
};
use songrec_storage::{Outcome, PutDocument, PutMode};

use super::{Synth, SynthLink};
use crate::{Error, ErrorKind, Library, Result, paths::absolute};

/// What ids begin with.
const PREFIX: &str = "synth_";
/// Hexadecimal digits of an id, and of its short form.
const DIGITS: usize = 32;
const SHORT: usize = 8;
/// Digits that name a synth without the prefix, at the least: fewer may be a name.
const FEWEST: usize = 4;
/// Names in an error, at the most.
const NAMED: usize = 12;
/// What the id of a document has in it that a sync keeps beside another one.
const BESIDE: &str = "-conflict-";

/// A synth as the library has it.
#[derive(Clone, Debug, PartialEq)]
pub struct KeptSynth {
    /// Its id.
    pub id: String,
    /// The write that left it, for compare-and-set.
    pub version: OperationId,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What it says, with what only others said that were written at the same time.
    pub synth: Synth,
    /// What others said of the same source at the same time in another library, until
    /// somebody changes it.
    pub others: Vec<OtherVersion>,
}

/// What somebody else said of a synth at the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct OtherVersion {
    pub(super) document: Document,
    /// What it says.
    pub synth: Synth,
}

impl KeptSynth {
    pub(super) fn of(document: &Document) -> Result<Self> {
        let synth = Synth::of_body(&document.id, document.body.clone())?;
        Ok(Self {
            id: document.id.clone(),
            version: document.revision.operation,
            updated_at: document.updated_at,
            synth,
            others: Vec::new(),
        })
    }

    /// The id of the synth that this is another version of, with another source: both
    /// were written at the same time in different libraries.
    pub fn beside(&self) -> Option<&str> {
        beside(&self.id)
    }

    /// Its id as people read it.
    pub fn short(&self) -> &str {
        short(&self.id)
    }
}

/// An id as people read it; whole where it names another version.
pub(super) fn short(id: &str) -> &str {
    match beside(id) {
        None => id.get(..PREFIX.len() + SHORT).unwrap_or(id),
        Some(_) => id,
    }
}

fn beside(id: &str) -> Option<&str> {
    id.split_once(BESIDE).map(|(id, _)| id)
}

/// The id of a synth whose first source has this hash. `number` tells it from one that has
/// the id and another source by now.
pub(super) fn id_of(hash: &Digest, number: usize) -> String {
    let digits = match number {
        0 => hash.to_string(),
        _ => Digest::of(format!("{hash} {number}").as_bytes()).to_string(),
    };
    format!("{PREFIX}{}", &digits[..DIGITS])
}

/// The synths of a library, by name.
#[derive(Clone, Debug, Default)]
pub struct SynthList {
    /// Those that can be read.
    pub synths: Vec<KeptSynth>,
    /// The others.
    pub unreadable: Vec<UnreadableSynth>,
    /// What is said of those that were removed.
    pub(super) removed: BTreeMap<String, Document>,
}

/// A synth that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnreadableSynth {
    /// Its id.
    pub id: String,
    /// Why.
    pub why: String,
}

/// The synths of the library. Reads all of them, with their sources.
///
/// # Errors
///
/// Those of the library.
pub async fn synths(library: &Library) -> Result<SynthList> {
    let mut list = SynthList::default();
    let mut after = None;
    let mut others = Vec::new();
    loop {
        let kinds = [DocumentKind::Synth];
        let page = library.backend().documents().list(&kinds, after.as_ref()).await?;
        for document in page.items {
            if document.deleted {
                list.removed.insert(document.id.clone(), document);
                continue;
            }
            match KeptSynth::of(&document) {
                Ok(kept) if kept.beside().is_some() => {
                    others.push(OtherVersion { document, synth: kept.synth });
                }
                Ok(kept) => list.synths.push(kept),
                Err(error) => {
                    let (id, why) = (document.id, error.in_one_line());
                    list.unreadable.push(UnreadableSynth { id, why });
                }
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    for other in others {
        list.join(other)?;
    }
    list.sort();
    Ok(list)
}

impl SynthList {
    // Adds what a sync kept beside a synth: to that, if it has the same source.
    fn join(&mut self, other: OtherVersion) -> Result<()> {
        let id = beside(&other.document.id);
        let of = |kept: &&mut KeptSynth| {
            Some(kept.id.as_str()) == id && kept.synth.file_hash == other.synth.file_hash
        };
        match self.synths.iter_mut().find(of) {
            Some(kept) => {
                kept.synth.take_from(&other.synth);
                kept.updated_at = kept.updated_at.max(other.document.updated_at);
                kept.others.push(other);
            }
            None => self.synths.push(KeptSynth::of(&other.document)?),
        }
        Ok(())
    }

    pub(super) fn sort(&mut self) {
        self.synths.sort_by_cached_key(|kept| (fold(kept.synth.name()), kept.id.clone()));
    }

    /// The synth with this id.
    pub fn get(&self, id: &str) -> Option<&KeptSynth> {
        self.synths.iter().find(|kept| kept.id == id)
    }

    /// The others with the same name: two libraries may have made them.
    pub(super) fn namesakes<'a>(
        &'a self,
        id: &'a str,
        name: &'a str,
    ) -> impl Iterator<Item = &'a KeptSynth> {
        self.synths.iter().filter(move |kept| kept.id != id && kept.synth.name == name)
    }

    /// The links of a synth to those that are there.
    pub(super) fn links<'a>(
        &'a self,
        kept: &'a KeptSynth,
    ) -> impl Iterator<Item = (&'a SynthLink, &'a KeptSynth)> {
        kept.synth.parents.iter().filter_map(|link| Some((link, self.get(&link.parent)?)))
    }

    /// The synth with this id or the beginning of it, this name, or this SHA-256 of its
    /// source. Case does not count where that leaves one.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none, `Usage` if there are several.
    pub fn find(&self, text: &str) -> Result<&KeptSynth> {
        let text = text.trim();
        if let Some(kept) = self.get(text) {
            return Ok(kept);
        }
        let digits = text.strip_prefix(PREFIX);
        let folded = fold(text);
        let by_name = |kept: &KeptSynth| kept.synth.name == text;
        let by_hash = |kept: &KeptSynth| kept.synth.file_hash.to_string() == text;
        let by_digits = |kept: &KeptSynth| {
            let all = kept.id.strip_prefix(PREFIX).unwrap_or_default();
            match digits {
                Some(digits) => !digits.is_empty() && all.starts_with(digits),
                None => text.len() >= FEWEST && kept.beside().is_none() && all.starts_with(text),
            }
        };
        let by_fold = |kept: &KeptSynth| fold(&kept.synth.name) == folded;
        let ways: [&dyn Fn(&KeptSynth) -> bool; 4] = [&by_name, &by_hash, &by_digits, &by_fold];
        for is_meant in ways {
            let found: Vec<&KeptSynth> = self.synths.iter().filter(|kept| is_meant(kept)).collect();
            match found.as_slice() {
                [] => {}
                [kept] => return Ok(kept),
                several => return Err(ambiguous(text, several)),
            }
        }
        Err(self.none(text))
    }

    /// The same, also by a file on this machine.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find).
    pub fn find_here(&self, library: &Library, text: &str) -> Result<&KeptSynth> {
        let found = self.find(text);
        if !found.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            return found;
        }
        let path = Some(library.stored_path(&absolute(&decode_path(text))));
        let of_file: Vec<&KeptSynth> =
            self.synths.iter().filter(|kept| kept.synth.file_path == path).collect();
        match of_file.as_slice() {
            [] => found,
            [kept] => Ok(kept),
            several => Err(ambiguous(text, several)),
        }
    }

    fn none(&self, text: &str) -> Error {
        if let Some(one) = self.unreadable.iter().find(|one| one.id == text) {
            return Error::new(ErrorKind::Corrupt, &one.why);
        }
        let error = Error::not_found(format_args!("there is no synth `{text}`"));
        let names: Vec<String> =
            self.synths.iter().take(NAMED).map(|kept| format!("`{}`", kept.synth.name)).collect();
        let more = self.synths.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        match names.as_slice() {
            [] => error.with_hint(Hint::of("{} adds one", [Remedy::NewSynth])),
            names => error.with_hint(format!("there are {}{more}", names.join(", "))),
        }
    }
}

fn ambiguous(text: &str, several: &[&KeptSynth]) -> Error {
    let all: Vec<String> = several
        .iter()
        .take(NAMED)
        .map(|kept| format!("`{}` ({})", kept.synth.name, kept.id))
        .collect();
    Error::usage(format_args!("`{text}` names several synths"))
        .because(format!("they are {}", all.join(", ")))
        .with_hint("name one by its id; if they have one name, give one of them another")
}

/// The synth that a person names, also by its file, and all of them.
///
/// # Errors
///
/// Those of [`SynthList::find_here`], and of the library.
pub async fn synth_named(library: &Library, text: &str) -> Result<(SynthList, KeptSynth)> {
    let list = synths(library).await?;
    let kept = list.find_here(library, text)?.clone();
    Ok((list, kept))
}

pub(super) async fn stored(library: &Library, id: &str) -> Result<Option<Document>> {
    if !Document::is_valid_id(id) {
        return Ok(None);
    }
    let ids = [id.to_owned()];
    let found = library.backend().documents().get(DocumentKind::Synth, &ids).await?;
    Ok(found.into_iter().flatten().next())
}

// Whether it was stored, and nobody was faster.
pub(super) async fn put(library: &Library, document: Document, mode: PutMode) -> Result<bool> {
    let outcomes = library.backend().documents().put(&[PutDocument { document, mode }]).await?;
    Ok(outcomes.iter().all(Outcome::is_done))
}

pub(super) fn contended() -> Error {
    Error::new(ErrorKind::Temporary, "others keep changing this synth").with_hint("try again")
}

/// The error where another synth has the name.
pub(super) fn taken(other: &KeptSynth) -> Error {
    Error::usage(format_args!("there is a synth `{}` already", other.synth.name))
        .because(match &other.synth.file_path {
            Some(path) => format!("its id is `{}`, and its file `{path}`", other.short()),
            None => format!("its id is `{}`", other.short()),
        })
        .with_hint(Hint::of(
            "{} puts the new source in its place; {} gives one of them another name",
            [Remedy::UpdateSynth, Remedy::RenameSynth],
        ))
}
