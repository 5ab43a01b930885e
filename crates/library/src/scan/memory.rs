//! What this machine remembers of models, so that nobody has to ask or embed again: in
//! which songs they embed nothing, and of which songs the segments of learned ones are
//! kept.
//!
//! That a model embeds nothing stays true: its name carries a revision, and a
//! song's id its audio. Segments stay until somebody removes them; a scan with
//! `--again` forgets all of this and looks anew. One id a line; a line that a
//! crash cut off is no id, and costs one question. Derived: it may be deleted
//! at any time.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use songrec_core::{ModelName, SongId};

use crate::{Error, Result};

/// What is remembered of a song and a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Finding {
    /// The model embeds nothing in it: it is silent, or there is no direction
    /// in what is embedded.
    Nothing,
    /// The model's vectors are kept window by window.
    Segments,
}

impl Finding {
    const ALL: [Self; 2] = [Self::Nothing, Self::Segments];

    const fn extension(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Segments => "segments",
        }
    }
}

type Known = BTreeMap<(Finding, ModelName), HashSet<SongId>>;

/// What is remembered of some models.
#[derive(Debug)]
pub(super) struct Memory {
    folder: PathBuf,
    known: Mutex<Known>,
}

impl Memory {
    /// What is remembered of `models` in `folder`. What cannot be read there
    /// is not remembered.
    pub(super) fn of(folder: PathBuf, models: &[ModelName]) -> Self {
        let mut known = Known::new();
        for model in models {
            for finding in Finding::ALL {
                let ids = read(&file(&folder, finding, model));
                known.insert((finding, model.clone()), ids);
            }
        }
        Self { folder, known: Mutex::new(known) }
    }

    /// One that has forgotten everything, and learns it again.
    pub(super) fn empty(folder: PathBuf) -> Self {
        Self { folder, known: Mutex::default() }
    }

    pub(super) fn has(&self, finding: Finding, model: &ModelName, song: SongId) -> bool {
        let known = self.known();
        known.get(&(finding, model.clone())).is_some_and(|songs| songs.contains(&song))
    }

    /// Takes note of songs.
    pub(super) fn note(&self, finding: Finding, model: &ModelName, songs: &[SongId]) -> Result<()> {
        let mut known = self.known();
        let of_model = known.entry((finding, model.clone())).or_default();
        let new: Vec<SongId> =
            songs.iter().copied().filter(|song| of_model.insert(*song)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let path = file(&self.folder, finding, model);
        let text: String = new.iter().map(|song| format!("{song}\n")).collect();
        let written = fs::create_dir_all(&self.folder)
            .and_then(|()| File::options().append(true).create(true).open(&path))
            // In one write, so that the lines of two processes do not mix.
            .and_then(|mut file| file.write_all(text.as_bytes()));
        written.map_err(|error| Error::io("write to", &path, error))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(folder: &Path, finding: Finding, model: &ModelName) -> PathBuf {
    folder.join(format!("{model}.{}", finding.extension()))
}

fn read(path: &Path) -> HashSet<SongId> {
    let Ok(file) = File::open(path) else { return HashSet::new() };
    let lines = BufReader::new(file).split(b'\n').map_while(std::result::Result::ok);
    lines.filter_map(|line| std::str::from_utf8(&line).ok()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn song(number: u8) -> SongId {
        SongId::from_audio_hash(&songrec_core::Digest::of(&[number]))
    }

    #[test]
    fn what_was_noted_is_remembered_by_finding_and_model() {
        let folder = tempfile::tempdir().unwrap();
        let models: Vec<ModelName> = ["a@1", "b@1"].map(|name| name.parse().unwrap()).into();
        let memory = Memory::of(folder.path().join("heard"), &models);
        memory.note(Finding::Nothing, &models[0], &[song(1), song(2)]).unwrap();
        memory.note(Finding::Nothing, &models[0], &[song(2), song(3)]).unwrap();

        let again = Memory::of(folder.path().join("heard"), &models);

        for memory in [&memory, &again] {
            assert!((1..4).all(|n| memory.has(Finding::Nothing, &models[0], song(n))));
            assert!(!memory.has(Finding::Nothing, &models[0], song(4)));
            assert!(!memory.has(Finding::Segments, &models[0], song(1)));
            assert!(!memory.has(Finding::Nothing, &models[1], song(1)));
        }
        let text = fs::read_to_string(folder.path().join("heard/a@1.nothing")).unwrap();
        assert_eq!(text.lines().count(), 3, "what is known is not written again");
    }

    #[test]
    fn a_line_that_was_cut_off_costs_no_more_than_itself() {
        let folder = tempfile::tempdir().unwrap();
        let model: ModelName = "a@1".parse().unwrap();
        let whole = song(1).to_string();
        let text = format!("{whole}\n\u{fffd}\n{}", &whole[..9]);
        fs::write(folder.path().join("a@1.segments"), text).unwrap();
        let memory = Memory::of(folder.path().to_owned(), std::slice::from_ref(&model));

        memory.note(Finding::Segments, &model, &[song(2)]).unwrap();
        memory.note(Finding::Segments, &model, &[song(3)]).unwrap();

        let again = Memory::of(folder.path().to_owned(), std::slice::from_ref(&model));
        let has = |number| again.has(Finding::Segments, &model, song(number));
        assert_eq!([has(1), has(2), has(3)], [true, false, true]);
    }
}
