//! The part of a song that lists show and filters look at.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Field, Key, ModelName, Song, SongId, WarningKind, decode_path, words};

/// What is shown of a song in a list, and what filters look at: edits before
/// tags before what was measured. A guess that is not sure is not in it.
///
/// Derived from the song. A backend may keep it beside what it searches, so
/// that a filtered search is one question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are the usual tags")]
pub struct SongSummary {
    pub id: SongId,
    /// Never empty: the file's name where there is no title.
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artist: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub album: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub genres: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub year: Option<i32>,
    /// Beats per minute, to two decimals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bpm: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moods: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instrument: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "loop")]
    pub is_loop: Option<bool>,
    /// In seconds, to three decimals.
    pub duration: f64,
    /// The song's first file, or nothing if no file is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The codec, such as `mp3`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub codec: String,
    /// The size of the audio in bytes: of the first file, or of the copy that
    /// the library keeps.
    #[serde(default)]
    pub size: u64,
    /// The models that embedded it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelName>,
    /// What is wrong with its audio, as [`WarningKind::as_str`] names it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl SongSummary {
    /// The summary of `song`.
    pub fn of(song: &Song) -> Self {
        let tags = song.effective_tags();
        let features = song.features.as_ref();
        let measured = |edited: Field| {
            (!song.edits.iter().any(|(field, _)| *field == edited)).then_some(features).flatten()
        };
        let path = song.files.first().map(|file| file.path.clone());
        let file_stem = || {
            let stem = path.as_deref().map(decode_path)?;
            Some(stem.file_stem()?.to_string_lossy().into_owned())
        };
        let instrument = tags
            .instrument
            .or_else(|| Some(measured(Field::Instrument)?.sure_instrument()?.to_owned()));
        let is_loop = tags.is_loop.or_else(|| measured(Field::Loop)?.is_loop);
        let moods = if tags.moods.is_empty() {
            measured(Field::Mood).map(|features| features.moods.clone()).unwrap_or_default()
        } else {
            tags.moods
        };
        let bpm = tags.bpm.or_else(|| measured(Field::Bpm)?.bpm);
        Self {
            id: song.id,
            title: tags
                .title
                .filter(|title| !title.trim().is_empty())
                .or_else(file_stem)
                .unwrap_or_else(|| song.id.short()),
            artist: tags.artist.or(tags.album_artist),
            album: tags.album,
            genres: tags.genres,
            year: tags.year,
            bpm: bpm.map(|bpm| (f64::from(bpm) * 100.0).round() / 100.0),
            key: tags.key.or_else(|| measured(Field::Key)?.sure_key()),
            moods,
            instrument,
            is_loop,
            duration: (song.audio.duration * 1000.0).round() / 1000.0,
            path,
            codec: song.audio.codec.clone(),
            size: song
                .files
                .first()
                .map(|file| file.size)
                .or(song.blob.as_ref().map(|blob| blob.size))
                .unwrap_or(0),
            models: song.embeddings.keys().cloned().collect(),
            warnings: warnings(song),
        }
    }

    /// Every word that a free text filter can find, folded, sorted, each once.
    pub fn words(&self) -> BTreeSet<String> {
        let texts = [Some(self.title.as_str()), self.artist.as_deref(), self.album.as_deref()];
        let others = [self.instrument.as_deref(), self.path.as_deref()];
        texts
            .into_iter()
            .chain(others)
            .flatten()
            .chain(self.genres.iter().chain(&self.moods).map(String::as_str))
            .flat_map(words)
            .collect()
    }
}

// Each kind once, in order.
fn warnings(song: &Song) -> Vec<String> {
    let mut kinds: BTreeSet<WarningKind> =
        song.audio.warnings.iter().map(|warning| warning.kind).collect();
    if song.is_silent() {
        kinds.insert(WarningKind::Silent);
    }
    kinds.into_iter().map(|kind| kind.as_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AudioProperties, Digest, Features, SongFile, Tags, Timestamp};

    fn song() -> Song {
        let mut song =
            Song::new(Digest::of(b"x"), AudioProperties::default(), Timestamp::UNIX_EPOCH);
        song.add_file(SongFile {
            path: "drums/Deep Kick.wav".into(),
            sha256: Digest::of(b"f"),
            size: 1,
        });
        song.features = Some(Features { bpm: Some(119.996), ..Features::default() });
        song
    }

    #[test]
    fn edits_come_before_tags_before_what_was_measured() {
        let mut song = song();
        assert_eq!(SongSummary::of(&song).bpm, Some(120.0));
        song.tags = Tags { bpm: Some(121.0), ..Tags::default() };
        assert_eq!(SongSummary::of(&song).bpm, Some(121.0));
        song.edits.set(Field::Bpm, Some("122.5")).unwrap();
        assert_eq!(SongSummary::of(&song).bpm, Some(122.5));
        song.edits.set(Field::Bpm, None).unwrap();
        assert_eq!(SongSummary::of(&song).bpm, None);
    }

    #[test]
    fn a_guess_that_is_not_sure_is_no_fact() {
        let mut song = song();
        let guess = |sure: f32| Features {
            instrument: Some("kick".into()),
            instrument_confidence: Some(sure),
            key: "C#m".parse().ok(),
            key_confidence: Some(sure),
            loudness_lufs: Some(-9.0),
            ..Features::default()
        };

        song.features = Some(guess(0.26));
        let unsure = SongSummary::of(&song);
        song.features = Some(guess(0.8));
        let sure = SongSummary::of(&song);
        song.features = Some(guess(0.26));
        song.edits.set(Field::Instrument, Some("snare")).unwrap();
        song.tags.key = "Am".parse().ok();
        let said = SongSummary::of(&song);

        assert_eq!((unsure.instrument, unsure.key), (None, None));
        assert_eq!(sure.instrument.as_deref(), Some("kick"));
        assert_eq!(sure.key, "C#m".parse().ok());
        assert_eq!(said.instrument.as_deref(), Some("snare"));
        assert_eq!(said.key, "Am".parse().ok());
    }

    #[test]
    fn a_summary_names_each_kind_of_warning_once() {
        let mut song = song();
        let warning = |kind| crate::AudioWarning { kind, text: "in words".into() };
        song.audio.warnings = [WarningKind::Damaged, WarningKind::Truncated, WarningKind::Damaged]
            .map(warning)
            .into();
        let embedded = Features { loudness_lufs: Some(-9.0), ..Features::default() };
        song.features = Some(embedded);
        assert_eq!(SongSummary::of(&song).warnings, ["truncated", "damaged"]);

        song.features = Some(Features { version: 1, ..Features::default() });
        assert_eq!(SongSummary::of(&song).warnings, ["truncated", "damaged", "silent"]);
    }

    #[test]
    fn a_song_without_a_title_is_called_by_its_file() {
        assert_eq!(SongSummary::of(&song()).title, "Deep Kick");
    }

    #[test]
    fn words_come_from_the_path_too() {
        assert!(SongSummary::of(&song()).words().contains("drums"));
    }
}
