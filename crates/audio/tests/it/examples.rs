//! The example sounds are what the demonstration and its figures rest on.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use songrec_audio::{Analysis, Wanted, analyze};
use songrec_core::{ModelName, SongId};

/// Every example file with its kind, the name of its folder.
fn examples() -> Vec<(String, PathBuf)> {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../examples/audio"].iter().collect();
    let mut files = Vec::new();
    for folder in fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()) {
        if folder.is_dir() {
            let kind = folder.file_name().unwrap().to_string_lossy().into_owned();
            let inside = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            files.extend(inside.map(|path| (kind.clone(), path)));
        }
    }
    files.sort();
    files
}

fn analyzed() -> Vec<(String, PathBuf, Analysis)> {
    examples()
        .into_iter()
        .map(|(kind, path)| {
            let analysis = analyze(&path, &Wanted::default()).unwrap();
            (kind, path, analysis)
        })
        .collect()
}

#[test]
fn the_nearest_neighbour_of_an_example_is_of_its_kind() {
    let examples = analyzed();
    for (model, least) in
        [("dsp45@1", 0.9), ("dsp45-row@1", 0.8), ("dsp47@2", 0.9), ("dsp47@1", 0.7)]
    {
        let model: ModelName = model.parse().unwrap();
        let mut right = 0;
        let mut wrong = Vec::new();
        for (kind, path, analysis) in &examples {
            let mine = &analysis.embeddings[&model];
            let others = examples.iter().filter(|(_, other, _)| other != path);
            let cosine = |other: &Analysis| {
                let other = &other.embeddings[&model];
                mine.dot(other) / (mine.norm() * other.norm())
            };
            let nearest = others.max_by(|a, b| cosine(&a.2).total_cmp(&cosine(&b.2))).unwrap();
            if &nearest.0 == kind {
                right += 1;
            } else {
                let name = |path: &PathBuf| path.file_name().unwrap().to_owned();
                wrong.push((name(path), name(&nearest.1)));
            }
        }
        let share = f64::from(right) / examples.len() as f64;
        assert!(share >= least, "{model}: {share}, not {wrong:?}");
    }
}

#[test]
fn there_is_variety_in_the_examples() {
    let examples = examples();
    let bytes: u64 = examples.iter().map(|(_, path)| fs::metadata(path).unwrap().len()).sum();
    assert!((40..=60).contains(&examples.len()));
    assert!(bytes <= 3_000_000, "{bytes} bytes");

    let mut kinds = BTreeMap::<_, Vec<_>>::new();
    for (kind, path) in examples {
        let extension = path.extension().unwrap().to_string_lossy().into_owned();
        kinds.entry(kind).or_default().push(extension);
    }
    assert!(kinds.len() >= 8);
    for (kind, mut extensions) in kinds {
        extensions.sort();
        assert_eq!(extensions, ["flac", "m4a", "mp3", "ogg", "wav"], "{kind}");
    }
}

#[test]
fn every_example_is_a_tagged_song_of_its_own() {
    let mut songs: BTreeMap<SongId, PathBuf> = BTreeMap::new();
    for (_, path, analysis) in analyzed() {
        assert_eq!(analysis.warnings.iter().find(|w| !w.is_note()), None, "{}", path.display());
        assert!(analysis.audio.duration > 0.25 && analysis.audio.duration < 5.0);
        let tags = &analysis.tags;
        assert!(tags.title.is_some() && tags.artist.is_some() && tags.album.is_some());
        assert!(tags.genres.len() == 1 && tags.year.is_some() && !tags.from_file_name);
        assert_eq!(analysis.embeddings.len(), 4);
        assert!(analysis.features.is_some());
        assert_eq!(songs.insert(analysis.song, path), None);
    }
}
