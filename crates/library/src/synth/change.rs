//! Changing and removing synths.

use serde::Serialize;
use serde_json::Value;
use songrec_core::{Document, Hint, OperationId, Remedy};
use songrec_storage::PutMode;

use super::{
    KeptSynth, Synth, SynthCategory, SynthFact, SynthList,
    kept::{contended, put, stored, taken},
    lineage::{EndedLink, ended_links},
    synths,
};
use crate::{Error, ErrorKind, Library, Result, now};

/// How often a change is tried again that lost a race.
const ROUNDS: usize = 20;

/// What is changed of a synth.
#[derive(Clone, Debug, PartialEq)]
pub enum SynthChange {
    /// What it is called; nothing goes back to what its source says.
    Name(Option<String>),
    /// What it is for: a category, or none.
    Category(Option<SynthCategory>),
    /// It is for what its source says.
    CategoryOfSource,
    /// What a person says about it; nothing removes that.
    Notes(Option<String>),
    /// Something else that is kept, by its name; nothing removes it.
    Extra(String, Option<Value>),
}

impl SynthChange {
    /// What `field` becomes: `name`, `category`, `notes` or `extra.SOMETHING`. Without a
    /// value it is cleared.
    ///
    /// # Errors
    ///
    /// `Usage` for what is no field, or a value that it cannot have.
    pub fn parse(field: &str, value: Option<&str>) -> Result<Self> {
        let field = field.trim();
        match (field, value) {
            ("name", value) => Ok(Self::Name(value.map(str::to_owned))),
            ("category", None) => Ok(Self::CategoryOfSource),
            ("category", Some(value)) if matches!(value.trim(), "" | "none") => {
                Ok(Self::Category(None))
            }
            ("category", Some(value)) => {
                Ok(Self::Category(Some(value.parse().map_err(Error::usage)?)))
            }
            ("notes", value) => Ok(Self::Notes(value.map(str::to_owned))),
            _ => match field.strip_prefix("extra.") {
                // A value is what it is as JSON, and else text.
                Some(name) => {
                    let read = |text: &str| {
                        serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
                    };
                    Ok(Self::Extra(name.to_owned(), value.map(read)))
                }
                None => Err(Error::usage(format_args!("a synth has no field `{field}`"))
                    .with_hint(
                        "it has name, category, notes, and extra.SOMETHING; what its source says \
                         changes with that",
                    )),
            },
        }
    }

    fn apply(&self, synth: &mut Synth) -> Result<()> {
        match self {
            Self::Name(Some(name)) => synth.rename(name),
            Self::Name(None) => synth.unsay(SynthFact::Name),
            Self::Category(category) => {
                synth.sort_into(*category);
                Ok(())
            }
            Self::CategoryOfSource => synth.unsay(SynthFact::Category),
            Self::Notes(notes) => synth.note(notes.as_deref()),
            Self::Extra(name, value) => synth.keep(name, value.clone()),
        }
    }
}

/// Changes a synth: all of the changes together, or nothing. Where somebody else changes
/// it meanwhile, they are made again on what that left, unless only the version `expected`
/// may be changed.
///
/// # Errors
///
/// `NotFound` if it is not there, `Usage` for what cannot be, such as a name that another
/// one has, `Guard` if it is another version than expected; those of the library.
pub async fn edit_synth(
    library: &Library,
    id: &str,
    changes: &[SynthChange],
    expected: Option<OperationId>,
) -> Result<(SynthList, KeptSynth)> {
    let change = |_: &SynthList, synth: &mut Synth| {
        changes.iter().try_for_each(|change| change.apply(synth))
    };
    change_by(library, id, expected, change).await
}

/// Changes a synth by `change`, which may be called again.
pub(super) async fn change_by(
    library: &Library,
    id: &str,
    expected: Option<OperationId>,
    change: impl Fn(&SynthList, &mut Synth) -> Result<()>,
) -> Result<(SynthList, KeptSynth)> {
    for _ in 0..ROUNDS {
        let list = synths(library).await?;
        let old = list.get(id).ok_or_else(|| gone(&list, id))?.clone();
        check(&old, expected)?;
        let mut synth = old.synth.clone();
        change(&list, &mut synth)?;
        let is_renamed = synth.name != old.synth.name;
        if is_renamed && let Some(other) = list.namesakes(id, &synth.name).next() {
            return Err(taken(other));
        }
        if synth == old.synth && old.others.is_empty() {
            return Ok((list, old));
        }
        let Some(new) = write(library, &old, &synth).await? else { continue };
        let list = synths(library).await?;
        // Somebody else may have taken the name meanwhile.
        if is_renamed && let Some(other) = list.namesakes(id, &synth.name).next() {
            let error = taken(other);
            write(library, &new, &old.synth).await?;
            return Err(error);
        }
        return Ok((list, new));
    }
    Err(contended())
}

/// Stores what a synth says now in place of what it said, and of what others said at the
/// same time. Nothing if somebody was faster.
pub(super) async fn write(
    library: &Library,
    old: &KeptSynth,
    synth: &Synth,
) -> Result<Option<KeptSynth>> {
    let Some(document) = stored(library, &old.id).await?.filter(|document| !document.deleted)
    else {
        return Ok(None);
    };
    if document.revision.operation != old.version {
        return Ok(None);
    }
    let new = document.saying(synth.to_body()?, now());
    if !put(library, new.clone(), PutMode::Replace(old.version)).await? {
        return Ok(None);
    }
    for other in &old.others {
        let other = &other.document;
        // One that somebody changed meanwhile stays, and is joined again.
        put(library, other.deleted(now()), PutMode::Replace(other.revision.operation)).await?;
    }
    KeptSynth::of(&new).map(Some)
}

/// What was removed.
#[derive(Clone, Debug, Serialize)]
pub struct RemovedSynth {
    /// Its id.
    pub id: String,
    /// Its name; its id, if it could not be read.
    pub name: String,
    /// The links that end by it.
    pub links: Vec<EndedLink>,
}

/// Removes a synth, also one that cannot be read. Its file stays as it is. Links to it
/// count no more, unless it comes back.
///
/// # Errors
///
/// `NotFound` if it is not there, `Guard` if it is another version than expected; those
/// of the library.
pub async fn remove_synth(
    library: &Library,
    id: &str,
    expected: Option<OperationId>,
) -> Result<RemovedSynth> {
    for _ in 0..ROUNDS {
        let list = synths(library).await?;
        let kept = list.get(id);
        let document = stored(library, id).await?.filter(|document| !document.deleted);
        let document = document.ok_or_else(|| gone(&list, id))?;
        if let Some(kept) = kept {
            check(kept, expected)?;
        }
        let others = kept.map(|kept| kept.others.as_slice()).unwrap_or_default();
        // What others said of it first: left alone, it would be a synth of its own.
        let all: Vec<&Document> =
            others.iter().map(|other| &other.document).chain([&document]).collect();
        let mut are_gone = true;
        for document in all {
            let mode = PutMode::Replace(document.revision.operation);
            are_gone &= put(library, document.deleted(now()), mode).await?;
        }
        if are_gone {
            let name = kept.map_or(id, |kept| kept.synth.name()).to_owned();
            return Ok(RemovedSynth { id: id.to_owned(), name, links: ended_links(&list, id) });
        }
    }
    Err(contended())
}

fn check(kept: &KeptSynth, expected: Option<OperationId>) -> Result<()> {
    match expected {
        Some(expected) if expected != kept.version => {
            Err(Error::new(ErrorKind::Guard, format_args!("the synth `{}` was changed", kept.id))
                .because("somebody else wrote it since it was read")
                .with_hint("read it again, and change what is there now"))
        }
        _ => Ok(()),
    }
}

fn gone(list: &SynthList, id: &str) -> Error {
    if let Some(one) = list.unreadable.iter().find(|one| one.id == id) {
        return Error::new(ErrorKind::Corrupt, &one.why);
    }
    Error::not_found(format_args!("there is no synth with the id `{id}`"))
        .with_hint(Hint::of("{} has all of them", [Remedy::Synths]))
}
