//! Synths that come in: files that a person names, that a scan finds, or sources that a
//! program sends.

use std::{collections::BTreeSet, fs::File, io::Read as _, path::Path};

use serde::Serialize;
use songrec_core::{Document, DocumentKind};
use songrec_storage::PutMode;

use super::{
    KeptSynth, LARGEST_SOURCE, ShownSynth, Synth, SynthList,
    body::Definition,
    kept::{contended, id_of, put, taken},
    source::NONE,
    synths,
};
use crate::{Error, ErrorKind, Library, Result, keys, now, paths::absolute};

/// Ids that are tried for one source: one that is taken belongs to a synth that has
/// another source by now.
const IDS: usize = 100;

/// A source, and where it is from.
#[derive(Clone, Debug)]
pub struct SynthFile {
    /// The file, as paths of songs are kept; nothing if it is none.
    pub path: Option<String>,
    /// What it says.
    pub text: String,
}

/// Reads a file with synths.
///
/// # Errors
///
/// `NotFound` or `Denied` where it cannot be read; `Usage` where it is no file, too large,
/// or not UTF-8.
pub fn read_synth_file(library: &Library, path: &Path) -> Result<SynthFile> {
    let path = absolute(path);
    let text = text_of(&path)?;
    Ok(SynthFile { path: Some(library.stored_path(&path)), text })
}

pub(super) fn text_of(path: &Path) -> Result<String> {
    let failed = |error| Error::io("read", path, error);
    // A pipe would be waited for.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    let named = path.display();
    if !metadata.is_file() {
        return Err(Error::usage(format_args!("`{named}` is no file"))
            .with_hint("name files that end in `.scd`; a scan finds those in folders"));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(LARGEST_SOURCE as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > LARGEST_SOURCE {
        return Err(Error::usage(format_args!("`{named}` is too large for a synth"))
            .because(format!("it has {} bytes, and may have {LARGEST_SOURCE}", metadata.len())));
    }
    let is_wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let why = match is_wide {
            true => "it is UTF-16".to_owned(),
            false => format!("byte {} belongs to no character", at + 1),
        };
        Error::usage(format_args!("`{named}` is not UTF-8"))
            .because(why)
            .with_hint("save it as UTF-8 in an editor, which is what SuperCollider reads as well")
    })
}

/// What is done with a synth that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntakeMode {
    /// It is an error.
    Add,
    /// A source of the same file or the same name takes the place of the one that is there.
    Update,
    /// A source of the same file takes its place. What was removed is left alone, unless
    /// `again` says otherwise.
    Scan {
        /// Whether what was removed is taken in again.
        again: bool,
    },
}

/// How synths come in.
#[derive(Clone, Debug)]
pub struct IntakeOptions {
    /// What is done with one that is there already.
    pub mode: IntakeMode,
    /// What the only synth of a file is to be called, in place of what it says.
    pub name: Option<String>,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What became of one synth.
#[derive(Clone, Debug, Serialize)]
pub struct TakenSynth {
    /// What was done.
    #[serde(rename = "type")]
    pub how: TakenIn,
    /// The synth, as it is now.
    pub synth: ShownSynth,
    /// Where it was, if it moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What was done with a synth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TakenIn {
    /// It is new.
    Added,
    /// It has another source than before.
    Updated,
    /// Its file is elsewhere.
    Moved,
    /// It is as it was.
    Known,
    /// It was removed, and is left alone.
    Forgotten,
}

/// Takes in synths of one file after the other.
#[derive(Debug)]
pub struct SynthIntake<'a> {
    library: &'a Library,
    options: IntakeOptions,
    machine: String,
    list: SynthList,
    /// The ids of those that were added.
    added: Vec<String>,
}

impl<'a> SynthIntake<'a> {
    /// Reads which synths there are.
    ///
    /// # Errors
    ///
    /// Those of the library.
    pub async fn new(library: &'a Library, options: IntakeOptions) -> Result<Self> {
        let config = library.config();
        let machine = config.get(keys::SYNC_MACHINE).unwrap_or_else(|| config.host()).to_owned();
        let list = synths(library).await?;
        Ok(Self { library, options, machine, list, added: Vec::new() })
    }

    /// Takes in the synths of a source, each by itself: what is wrong with one is its
    /// outcome.
    ///
    /// # Errors
    ///
    /// `Usage` where the source has no synth or cannot be read; those of the library.
    pub async fn take_in(&mut self, file: &SynthFile) -> Result<Vec<Result<TakenSynth>>> {
        let all = Definition::all(&file.text, file.path.as_deref()).map_err(|why| {
            let named = file.path.as_deref().unwrap_or("the source");
            let error = Error::usage(format_args!("`{named}` has no synth that can be read"));
            let error = if why == NONE {
                Error::usage(format_args!("`{named}` has no SynthDef"))
            } else {
                error.because(why)
            };
            error.with_hint("a synth is such as `SynthDef(\\name, { ... })`")
        })?;
        if self.options.name.is_some() && all.len() > 1 {
            return Err(Error::usage("a name is for one synth")
                .because(format!("there are {} in it", all.len())));
        }
        let names = names(&all, file, self.options.name.as_deref());
        let places = self.places(&all, &names, file);
        let mut outcomes = Vec::with_capacity(all.len());
        for ((definition, name), place) in all.iter().zip(&names).zip(places) {
            match self.one(definition, name, place.as_deref(), file).await {
                Err(error) if is_of_library(&error) => return Err(error),
                outcome => outcomes.push(outcome),
            }
        }
        Ok(outcomes)
    }

    // For each synth of a file, the id of the one that it takes the place of.
    fn places(
        &self,
        all: &[Definition],
        names: &[String],
        file: &SynthFile,
    ) -> Vec<Option<String>> {
        if self.options.mode == IntakeMode::Add {
            return vec![None; all.len()];
        }
        let is_known = |kept: &&KeptSynth| all.iter().any(|one| one.hash() == kept.synth.file_hash);
        let of_file: Vec<&KeptSynth> = self
            .list
            .synths
            .iter()
            .filter(|kept| file.path.is_some() && self.is_at(&kept.synth, file))
            .filter(|kept| !is_known(kept))
            .collect();
        let is_new = |one: &Definition| {
            self.list.synths.iter().all(|kept| kept.synth.file_hash != one.hash())
        };
        let new = all.iter().filter(|one| is_new(one)).count();
        // Two of one name in a file do not both take the place of the same one.
        let mut given: BTreeSet<&str> = BTreeSet::new();
        let place = |(one, name): (&Definition, &String)| {
            if !is_new(one) {
                return None;
            }
            let is_called = |kept: &&&KeptSynth| {
                kept.synth.name == *name
                    || (one.read.name.is_some() && kept.synth.written_name() == one.read.name)
            };
            let by_name = of_file.iter().find(is_called).copied();
            // The only one of a file may have another name by now.
            let only = || match of_file.as_slice() {
                [kept] if new == 1 => Some(*kept),
                _ => None,
            };
            let anywhere = || {
                let is_update = self.options.mode == IntakeMode::Update;
                self.list.synths.iter().find(|kept| is_update && kept.synth.name == *name)
            };
            let place = by_name.or_else(only).or_else(anywhere)?.id.as_str();
            given.insert(place).then(|| place.to_owned())
        };
        all.iter().zip(names).map(place).collect()
    }

    fn is_at(&self, synth: &Synth, file: &SynthFile) -> bool {
        synth.file_path == file.path && synth.machine.as_deref() == Some(&self.machine)
    }

    async fn one(
        &mut self,
        definition: &Definition,
        name: &str,
        place: Option<&str>,
        file: &SynthFile,
    ) -> Result<TakenSynth> {
        let hash = definition.hash();
        let known = self.list.synths.iter().find(|kept| kept.synth.file_hash == hash).cloned();
        if let Some(known) = known {
            return self.known(known, file).await;
        }
        let Some(id) = place else { return self.create(definition, name, file).await };
        let Some(kept) = self.list.get(id).cloned() else { return Err(contended()) };
        let mut synth = kept.synth.clone();
        synth.follow(definition, name)?;
        self.lie_at(&mut synth, file);
        self.is_free(&synth.name, Some(id))?;
        let synth = self.replace(&kept, synth).await?;
        Ok(TakenSynth { how: TakenIn::Updated, synth, from: None })
    }

    // Its source is there already.
    async fn known(&mut self, kept: KeptSynth, file: &SynthFile) -> Result<TakenSynth> {
        if self.options.mode == IntakeMode::Add {
            return Err(Error::usage(format_args!(
                "there is a synth with this source already: `{}`",
                kept.synth.name
            ))
            .because(format!("its id is `{}`", kept.id)));
        }
        let is_gone = || match &kept.synth.file_path {
            None => true,
            Some(path) => {
                kept.synth.machine.as_deref() == Some(&self.machine)
                    && !self.library.file_path(path).exists()
            }
        };
        let moves = file.path.is_some() && kept.synth.file_path != file.path && is_gone();
        if !moves {
            let synth = self.list.shown(&kept);
            return Ok(TakenSynth { how: TakenIn::Known, synth, from: None });
        }
        let mut synth = kept.synth.clone();
        let from = synth.file_path.clone();
        self.lie_at(&mut synth, file);
        let synth = self.replace(&kept, synth).await?;
        Ok(TakenSynth { how: TakenIn::Moved, synth, from })
    }

    fn lie_at(&self, synth: &mut Synth, file: &SynthFile) {
        if file.path.is_some() {
            synth.file_path.clone_from(&file.path);
            synth.machine = Some(self.machine.clone());
        }
    }

    // That no other synth has the name.
    fn is_free(&self, name: &str, own: Option<&str>) -> Result<()> {
        match self.list.namesakes(own.unwrap_or_default(), name).next() {
            None => Ok(()),
            Some(other) => Err(taken(other)),
        }
    }

    async fn create(
        &mut self,
        definition: &Definition,
        name: &str,
        file: &SynthFile,
    ) -> Result<TakenSynth> {
        let now = now();
        let mut synth = Synth::new(definition, name, now)?;
        if let Some(name) = &self.options.name {
            synth.rename(name)?;
        }
        self.lie_at(&mut synth, file);
        let (id, removed) = self.free_id(&synth)?;
        let leaves = self.options.mode == IntakeMode::Scan { again: false };
        if let (Some(removed), true) = (&removed, leaves) {
            let synth = KeptSynth { synth, ..KeptSynth::of(removed)? };
            let synth = self.list.shown(&synth);
            return Ok(TakenSynth { how: TakenIn::Forgotten, synth, from: None });
        }
        self.is_free(&synth.name, None)?;
        let body = synth.to_body()?;
        let (document, mode) = match removed {
            None => (Document::new(DocumentKind::Synth, &id, body, now), PutMode::Create),
            Some(old) => (old.saying(body, now), PutMode::Replace(old.revision.operation)),
        };
        let kept = KeptSynth::of(&document)?;
        if !self.options.dry_run && !put(self.library, document, mode).await? {
            return Err(contended());
        }
        self.added.push(id.clone());
        self.list.removed.remove(&id);
        let synth = self.list.shown(&kept);
        self.list.synths.push(kept);
        Ok(TakenSynth { how: TakenIn::Added, synth, from: None })
    }

    // The id for a synth, with what is said of the one that had it and was removed.
    fn free_id(&self, synth: &Synth) -> Result<(String, Option<Document>)> {
        for number in 0..IDS {
            let id = id_of(&synth.file_hash, number);
            if let Some(removed) = self.list.removed.get(&id) {
                return Ok((id, Some(removed.clone())));
            }
            let is_taken =
                self.list.get(&id).is_some() || self.list.unreadable.iter().any(|one| one.id == id);
            if !is_taken {
                return Ok((id, None));
            }
        }
        Err(Error::new(ErrorKind::Failed, "there is no id left for this source"))
    }

    async fn replace(&mut self, old: &KeptSynth, synth: Synth) -> Result<ShownSynth> {
        let kept = match self.options.dry_run {
            true => KeptSynth { synth, ..old.clone() },
            false => {
                super::change::write(self.library, old, &synth).await?.ok_or_else(contended)?
            }
        };
        let shown = self.list.shown(&kept);
        if let Some(known) = self.list.synths.iter_mut().find(|known| known.id == kept.id) {
            *known = kept;
        }
        Ok(shown)
    }

    /// Looks once more whether others added synths of the same names or sources meanwhile.
    /// Those that came in here give way then; gives them with the reason.
    ///
    /// # Errors
    ///
    /// Those of the library.
    pub async fn finish(self) -> Result<Vec<(String, Error)>> {
        let mut given_way = Vec::new();
        if self.options.dry_run || self.added.is_empty() {
            return Ok(given_way);
        }
        let list = synths(self.library).await?;
        let of_here = |id: &str| self.added.iter().any(|added| added == id);
        for kept in self.added.iter().filter_map(|id| list.get(id)) {
            let other = list.synths.iter().find(|other| {
                !of_here(&other.id)
                    && self.list.get(&other.id).is_none()
                    && (other.synth.name == kept.synth.name
                        || other.synth.file_hash == kept.synth.file_hash)
            });
            if let Some(other) = other {
                super::remove_synth(self.library, &kept.id, Some(kept.version)).await?;
                given_way.push((kept.id.clone(), taken(other)));
            }
        }
        Ok(given_way)
    }
}

// Whether the next synth would fail as well.
pub(super) fn is_of_library(error: &Error) -> bool {
    !matches!(error.kind(), ErrorKind::Usage | ErrorKind::Corrupt | ErrorKind::NotFound)
}

// What the synths of a file are called: as they say, or as the file.
fn names(all: &[Definition], file: &SynthFile, given: Option<&str>) -> Vec<String> {
    let path = file.path.as_deref().unwrap_or_default();
    let stem = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let stem = if stem.trim().is_empty() { "synth" } else { stem };
    let mut nameless = 0;
    let name = |one: &Definition| match (given, one.read.name.as_deref()) {
        (Some(name), _) | (None, Some(name)) => name.to_owned(),
        (None, None) => {
            nameless += 1;
            if nameless == 1 { stem.to_owned() } else { format!("{stem}-{nameless}") }
        }
    };
    all.iter().map(name).collect()
}
