//! Who said what about a song.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, Field, Song, SongSummary, Tags};

/// Who said a value. The later one outranks the earlier: what a lower source
/// says is shown where no higher one says anything, and erases nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// It was worked out from the signal.
    Measured,
    /// The name of the file.
    FileName,
    /// The name of the folder that the file lies in.
    Folder,
    /// The tags in the file.
    File,
    /// A library that was imported.
    Import,
    /// A person, by an edit.
    Person,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Measured => "measured",
            Self::FileName => "file name",
            Self::Folder => "folder",
            Self::File => "file",
            Self::Import => "import",
            Self::Person => "edited",
        })
    }
}

/// What neither the file's own tags nor a person said of a song.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sources {
    /// What libraries said that were imported.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub import: Tags,
    /// What the folder of its first file says, if that was asked for.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub folder: Tags,
    /// Title, artist and track as the name of its first file says them; see
    /// [`Tags::complete_from_name`] for what of it counts.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub file_name: Tags,
    /// Whether [`Song::tags`] may hold what other sources said: the song comes
    /// from a document of format 1, and its file was not read since. See
    /// [`Song::retag`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unsorted: bool,
}

impl Sources {
    /// Whether nothing is said, and there is nothing to sort.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A value that is shown, and who said it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourcedValue {
    /// The value; null is a field that a person cleared.
    pub value: Value,
    /// Who said it.
    pub source: Source,
}

/// What a file says of its song.
#[derive(Clone, Debug, PartialEq)]
pub struct FromFile {
    /// SHA-256 of the whole file, tags included.
    pub sha256: Digest,
    /// What its own tags say.
    pub tags: Tags,
    /// What its name says.
    pub named: Tags,
    /// The genre that its folder is called by, if it lies in one.
    pub folder: Option<String>,
}

impl Song {
    /// What is known of the song: of each field, what the highest
    /// [source](Source) says that says anything.
    pub fn effective_tags(&self) -> Tags {
        let import = &self.sources.import;
        let mut tags = import.clone();
        tags.fill_from(&self.tags);
        // Tags that are not sorted may be guessed from a name.
        let are_imported = import.title.is_some() && import.artist.is_some();
        tags.from_file_name = self.tags.from_file_name && !are_imported;
        tags.fill_from(&self.sources.folder);
        tags.complete_from_name(&self.sources.file_name);
        let is_edited = |field| self.edits.get(field).is_some();
        tags.from_file_name &= !(is_edited(&Field::Title) && is_edited(&Field::Artist));
        self.edits.apply(&tags)
    }

    /// What is shown of each field, and who said it. A field that a person
    /// cleared is null; one of which nothing is known is left out.
    pub fn values(&self) -> BTreeMap<Field, SourcedValue> {
        let tags = self.effective_tags();
        let summary = SongSummary::of(self);
        let extra = self.edits.iter().map(|(field, _)| field.clone());
        let fields: BTreeSet<Field> = Field::usual().chain(extra).chain(tags.fields()).collect();
        let shown = |field: &Field| {
            let value = match field {
                // These may also be measured or, the title, taken from a path.
                Field::Title => Some(Value::from(summary.title.clone())),
                Field::Bpm => summary.bpm.map(Value::from),
                Field::Key => summary.key.map(|key| Value::from(key.to_string())),
                Field::Mood if summary.moods.is_empty() => None,
                Field::Mood => Some(Value::from(summary.moods.clone())),
                Field::Instrument => summary.instrument.clone().map(Value::from),
                Field::Loop => summary.is_loop.map(Value::from),
                field => tags.value(field),
            };
            let edited = self.edits.get(field).filter(|value| value.is_null()).cloned();
            edited.or(value)
        };
        let sourced = |field: Field| {
            let value = shown(&field)?;
            let source = self.source_of(&field, tags.has_value(&field))?;
            Some((field, SourcedValue { value, source }))
        };
        fields.into_iter().filter_map(sourced).collect()
    }

    // Who says `field`, which has a value; nothing if that is the song's id.
    fn source_of(&self, field: &Field, is_tag: bool) -> Option<Source> {
        let Sources { import, folder, .. } = &self.sources;
        if self.edits.get(field).is_some() {
            return Some(Source::Person);
        }
        let sourced =
            [(Source::Import, import), (Source::File, &self.tags), (Source::Folder, folder)];
        let by_name = matches!(field, Field::Title | Field::Artist);
        match sourced.into_iter().find(|(_, tags)| tags.has_value(field)) {
            Some((Source::File, tags)) if tags.from_file_name && by_name => Some(Source::FileName),
            Some((source, _)) => Some(source),
            None if is_tag => Some(Source::FileName),
            None if *field == Field::Title => self.files.first().map(|_| Source::FileName),
            None => Some(Source::Measured),
        }
    }

    /// Whether its tags may hold what other sources said, as those of
    /// documents of format 1 do.
    pub fn has_unsorted_tags(&self) -> bool {
        self.format < 2 || self.sources.unsorted
    }

    /// Takes what its first file says now. What other sources said stays; what
    /// the name says, and the folder if it was asked, is of the new path.
    /// `before` is what is known of the file as it was: its hash, its names and
    /// folders.
    ///
    /// The tags of a song of format 1 are sorted once: what neither the file
    /// says nor a name or a folder of it, was imported, and is kept as that.
    /// Where a file was tagged anew, what it says takes the place of what was
    /// there.
    pub fn retag(&mut self, file: &FromFile, ask_folder: bool, before: &[FromFile]) {
        if self.has_unsorted_tags() {
            self.sort_tags(file, before);
            self.sources.unsorted = false;
            self.format = self.format.max(Self::FORMAT);
        }
        self.tags.clone_from(&file.tags);
        self.sources.file_name.clone_from(&file.named);
        // Who had once asked the folder is told by the one where the file lies
        // now.
        if ask_folder || !self.sources.folder.is_empty() {
            self.sources.folder.genres = file.folder.iter().cloned().collect();
        }
    }

    fn sort_tags(&mut self, file: &FromFile, before: &[FromFile]) {
        let old = std::mem::take(&mut self.tags);
        let is_same_file = before.iter().any(|before| before.sha256 == file.sha256);
        let guesses = || before.iter().chain([file]);
        let named: Vec<Tags> = guesses()
            .map(|guess| {
                let mut tags = file.tags.clone();
                tags.complete_from_name(&guess.named);
                tags
            })
            .collect();
        for field in old.fields() {
            let Some(was) = old.value(&field) else { continue };
            let is_folder = field == Field::Genre
                && guesses()
                    .any(|guess| guess.folder.is_some() && old.genres.iter().eq(&guess.folder));
            let is_retagged = file.tags.has_value(&field) && !is_same_file;
            if is_folder && !file.tags.has_value(&field) {
                self.sources.folder.genres = file.folder.iter().cloned().collect();
            } else if !is_retagged
                && named.iter().all(|tags| tags.value(&field).as_ref() != Some(&was))
                && !self.sources.import.has_value(&field)
            {
                self.sources.import.set(&field, &was);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{AudioProperties, Features, SongSummary, Timestamp};

    fn song() -> Song {
        Song::new(Digest::of(b"x"), AudioProperties::default(), Timestamp::UNIX_EPOCH)
    }

    fn of_format_1(tags: Tags) -> Song {
        let mut song = song();
        song.format = 1;
        song.tags = tags;
        song
    }

    fn titled(title: &str) -> Tags {
        Tags { title: Some(title.into()), ..Tags::default() }
    }

    fn source_of(song: &Song, field: &Field) -> Option<Source> {
        song.values().get(field).map(|sourced| sourced.source)
    }

    fn genre(name: &str) -> Tags {
        Tags { genres: vec![name.into()], ..Tags::default() }
    }

    fn has_value(bytes: &[u8], tags: Tags) -> FromFile {
        FromFile {
            sha256: Digest::of(bytes),
            tags,
            named: titled("kick"),
            folder: Some("drums".into()),
        }
    }

    #[test]
    fn the_highest_source_that_says_something_is_shown() {
        let mut song = song();
        song.features = Some(Features { bpm: Some(120.0), ..Features::default() });
        let shown = |song: &Song| {
            (song.effective_tags().title.unwrap_or_default(), source_of(song, &Field::Title))
        };
        assert_eq!(shown(&song), (String::new(), None));

        song.sources.file_name = titled("name");
        assert_eq!(shown(&song), ("name".into(), Some(Source::FileName)));
        song.tags = titled("file");
        assert_eq!(shown(&song), ("file".into(), Some(Source::File)));
        song.sources.import = titled("import");
        assert_eq!(shown(&song), ("import".into(), Some(Source::Import)));
        song.edits.set(Field::Title, Some("person")).unwrap();
        assert_eq!(shown(&song), ("person".into(), Some(Source::Person)));
        song.edits.set(Field::Title, None).unwrap();
        assert_eq!(shown(&song), (String::new(), Some(Source::Person)));

        song.sources.folder = genre("folder");
        assert_eq!(source_of(&song, &Field::Genre), Some(Source::Folder));
        song.tags.genres = vec!["file".into()];
        assert_eq!(SongSummary::of(&song).genres, ["file"]);
        assert_eq!(source_of(&song, &Field::Bpm), Some(Source::Measured));
        assert_eq!(source_of(&song, &Field::Year), None);
    }

    #[test]
    fn a_name_is_a_guess_and_said_to_be_one() {
        let mut song = song();
        song.sources.file_name = titled("kick");
        assert!(song.effective_tags().from_file_name);
        song.sources.import = Tags { artist: Some("A".into()), ..titled("T") };
        assert!(!song.effective_tags().from_file_name);
    }

    #[test]
    fn reading_the_file_again_erases_nothing_that_others_said() {
        let mut song = song();
        song.retag(&has_value(b"1", Tags::default()), true, &[]);
        song.sources.import = titled("import");

        song.retag(&has_value(b"2", titled("file")), false, &[]);

        assert_eq!(song.sources.import, titled("import"));
        assert_eq!(song.effective_tags().genres, ["drums"]);
        let moved = FromFile { folder: Some("bass".into()), ..has_value(b"2", titled("file")) };
        song.retag(&moved, false, &[]);
        assert_eq!(song.effective_tags().genres, ["bass"]);
    }

    #[test]
    fn tags_of_format_1_are_sorted_when_the_file_is_read() {
        let mut tags = Tags { year: Some(1999), from_file_name: true, ..titled("kick") };
        tags.artist = Some("from an import".into());
        tags.genres = vec!["drums".into()];
        tags.extra.insert("preview_url".into(), "https://example.com".into());
        let mut song = of_format_1(tags.clone());
        let shown = song.effective_tags();
        let file = has_value(b"1", Tags { year: Some(1999), ..Tags::default() });

        song.retag(&file, false, std::slice::from_ref(&file));

        assert_eq!(song.effective_tags(), shown);
        assert_eq!(song.tags, file.tags);
        assert_eq!(source_of(&song, &Field::Title), Some(Source::FileName));
        assert_eq!(source_of(&song, &Field::Genre), Some(Source::Folder));
        assert_eq!(source_of(&song, &Field::Artist), Some(Source::Import));
        assert_eq!(source_of(&song, &Field::Extra("preview_url".into())), Some(Source::Import));
        assert!(!song.has_unsorted_tags());
    }

    #[test]
    fn of_format_1_a_file_that_was_tagged_anew_is_believed() {
        let mut song = of_format_1(titled("old"));

        song.retag(&has_value(b"2", titled("new")), false, &[has_value(b"1", Tags::default())]);

        assert_eq!(song.effective_tags().title.as_deref(), Some("new"));
    }

    #[test]
    fn a_song_of_format_1_stays_unsorted_when_something_else_changes() {
        let mut song = of_format_1(titled("import"));
        song.revise(&song.clone(), Timestamp::UNIX_EPOCH);
        assert_eq!(song.format, Song::FORMAT);

        let mut song: Song = serde_json::from_value(json!(song)).unwrap();
        song.retag(&has_value(b"1", Tags::default()), false, &[]);

        assert_eq!(song.effective_tags().title.as_deref(), Some("import"));
    }
}
