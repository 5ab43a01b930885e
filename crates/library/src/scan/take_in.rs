//! Storing what a scan found.

use std::collections::BTreeMap;

use songrec_core::{
    Card, Embedding, EmbeddingRef, Event, Features, ModelName, OperationId, Song, SongId,
    encode_path,
};
use songrec_local::{KnownFile, KnownOutcome};
use songrec_storage::{BlobSource, NewBlob, NewEmbedding, Outcome, PutMode, PutSong};

use super::{Candidate, Found, Looked, Scan, ScanItem, ScanReport, blocking};
use crate::{
    Error, ErrorKind, Result,
    hearing::{file_of, song_of},
    library::now,
};

/// How often a song is merged again on top of another writer's version.
const ATTEMPTS: usize = 20;

/// One readable file on its way into the library.
struct Arrival {
    candidate: Candidate,
    found: Found,
    /// The path as its song will name it.
    stored: String,
    /// What the song will name, once it is stored.
    embeddings: BTreeMap<ModelName, EmbeddingRef>,
    /// The copy that the library keeps, if it keeps one.
    blob: Option<songrec_core::BlobRef>,
}

/// What a file changed about its song.
#[derive(Clone, Debug, PartialEq)]
enum Change {
    Added,
    Updated,
    Moved { from: String },
    Duplicate,
    Nothing,
}

impl Scan<'_> {
    /// Stores what was found: facts first, then the songs that name them,
    /// then takes note that the files are known.
    pub(super) async fn take_in(&self, looked: Vec<Looked>) -> Result<ScanReport> {
        let mut report = ScanReport::default();
        let mut known = Vec::new();
        let mut arrivals = Vec::new();
        for Looked { candidate, found } in looked {
            match found {
                Ok(found) => arrivals.push(Arrival {
                    stored: self.library.stored_path(&candidate.path),
                    candidate,
                    found,
                    embeddings: BTreeMap::new(),
                    blob: None,
                }),
                Err(reason) => {
                    self.fail(&candidate.path, &reason);
                    report.failed += 1;
                    known.push(known_file(&candidate, KnownOutcome::Failed(reason)));
                }
            }
        }
        if !self.options.dry_run {
            self.store_facts(&mut arrivals).await?;
            self.detach(&arrivals).await?;
        }
        let mut of_song: BTreeMap<SongId, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &arrivals {
            of_song.entry(arrival.id()).or_default().push(arrival);
        }
        let changes = self.store_songs(&of_song).await?;
        for (id, arrivals) in &of_song {
            for arrival in arrivals {
                let change = changes.get(&arrival.stored).unwrap_or(&Change::Nothing);
                self.tell(*id, arrival, change, &mut report);
                known.push(known_file(&arrival.candidate, KnownOutcome::Song(*id)));
            }
        }
        if !self.options.dry_run {
            let (files, number) = (self.known.clone(), self.number);
            blocking(move || files.put(&known, number)).await??;
        }
        Ok(report)
    }

    async fn store_facts(&self, arrivals: &mut [Arrival]) -> Result<()> {
        let mut embeddings = Vec::new();
        let mut places = Vec::new();
        for (at, arrival) in arrivals.iter().enumerate() {
            let Some(analysis) = &arrival.found.analysis else { continue };
            let mut song = song_of(analysis);
            song.id = arrival.id();
            song.tags = arrival.found.tags.clone();
            song.add_file(file_of(&arrival.found.identity, arrival.stored.clone()));
            let heard: Vec<Embedding> = analysis
                .embeddings
                .iter()
                .map(|(model, vector)| Embedding {
                    song: song.id,
                    model: model.clone(),
                    vector: vector.clone(),
                })
                .collect();
            let card = card_with(&mut song, &heard);
            let operation = song.revision.operation;
            for embedding in heard {
                places.push((at, embedding.model.clone()));
                embeddings.push(NewEmbedding { embedding, card: card.clone(), operation });
            }
        }
        let references = self.library.backend.put_embeddings(&embeddings).await?;
        for ((at, model), reference) in places.into_iter().zip(references) {
            arrivals[at].embeddings.insert(model, reference);
        }
        if self.library.backend.capabilities().keeps_audio {
            for arrival in arrivals {
                self.store_blob(arrival).await?;
            }
        }
        Ok(())
    }

    async fn store_blob(&self, arrival: &mut Arrival) -> Result<()> {
        if arrival.found.song.is_some() && arrival.found.analysis.is_none() {
            return Ok(());
        }
        let identity = &arrival.found.identity;
        let blob = NewBlob {
            sha256: identity.sha256,
            size: identity.size,
            operation: OperationId::random(),
        };
        let source = BlobSource::Path(arrival.candidate.path.clone());
        arrival.blob = Some(self.library.backend.put_blob(&blob, source).await?);
        Ok(())
    }

    // A file whose audio was replaced no longer belongs to the song it was.
    async fn detach(&self, arrivals: &[Arrival]) -> Result<()> {
        for arrival in arrivals {
            if let Some(other) = arrival.found.replaced {
                let detach = |song: &mut Song| Ok(song.remove_file(&arrival.stored));
                match self.library.update(other, detach).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    result => drop(result?),
                }
            }
        }
        Ok(())
    }

    // Merges the arrivals into their songs, again on top of what another
    // process stored meanwhile.
    async fn store_songs(
        &self,
        of_song: &BTreeMap<SongId, Vec<&Arrival>>,
    ) -> Result<BTreeMap<String, Change>> {
        let mut changes = BTreeMap::new();
        let ids: Vec<SongId> = of_song.keys().copied().collect();
        let mut current: BTreeMap<SongId, Option<Song>> = self
            .library
            .backend
            .get_songs(&ids)
            .await?
            .into_iter()
            .zip(&ids)
            .map(|(song, id)| (*id, song))
            .collect();
        for _ in 0..ATTEMPTS {
            let mut puts = Vec::new();
            for (id, stored) in &current {
                let mut song = stored.clone();
                for arrival in &of_song[id] {
                    let change = self.merge(&mut song, arrival);
                    changes.insert(arrival.stored.clone(), change);
                }
                let Some(mut song) = song.filter(|song| Some(song) != stored.as_ref()) else {
                    continue;
                };
                let mode = match stored {
                    Some(stored) => {
                        song.revise(now());
                        PutMode::Replace(stored.revision.operation)
                    }
                    None => PutMode::Create,
                };
                puts.push(PutSong { song, mode, origin: None });
            }
            if puts.is_empty() || self.options.dry_run {
                return Ok(changes);
            }
            let outcomes = self.library.backend.put_songs(&puts).await?;
            current = puts
                .into_iter()
                .zip(outcomes)
                .filter_map(|(put, outcome)| match outcome {
                    Outcome::Done => None,
                    Outcome::Conflict(newer) => Some((put.song.id, newer.map(|song| *song))),
                })
                .collect();
            if current.is_empty() {
                return Ok(changes);
            }
        }
        Err(Error::new(ErrorKind::Failed, "songs could not be stored")
            .because("other processes keep changing them")
            .with_hint("run the same scan again"))
    }

    // Brings what was found into `song`, and says what that changes. Doing it
    // twice is doing it once.
    fn merge(&self, song: &mut Option<Song>, arrival: &Arrival) -> Change {
        let Found { identity, tags, analysis, .. } = &arrival.found;
        let Some(song) = song else {
            // A song that was there is gone again: it is taken in by the next
            // scan, which hears it.
            let Some(analysis) = analysis else {
                return if self.options.dry_run { Change::Added } else { Change::Nothing };
            };
            let mut new = song_of(analysis);
            new.tags = tags.clone();
            new.add_file(file_of(identity, arrival.stored.clone()));
            new.embeddings = arrival.embeddings.clone();
            new.blob = arrival.blob.clone();
            *song = Some(new);
            return Change::Added;
        };
        let before = song.clone();
        let file = file_of(identity, arrival.stored.clone());
        let is_new_path = !song.files.iter().any(|known| known.path == file.path);
        let gone = if is_new_path { self.gone(song) } else { Vec::new() };
        for path in &gone {
            song.remove_file(path);
        }
        song.add_file(file);
        // Of several copies the first one speaks for all.
        if song.files.first().is_some_and(|first| first.path == arrival.stored) {
            song.tags = tags.clone();
        }
        if let Some(analysis) = analysis {
            let version = |features: &Option<Features>| features.as_ref().map(|one| one.version);
            if version(&song.features) <= version(&analysis.features) {
                song.features.clone_from(&analysis.features);
                song.audio = analysis.audio.clone();
            }
            for (model, reference) in &arrival.embeddings {
                song.embeddings.entry(model.clone()).or_insert_with(|| reference.clone());
            }
        }
        if song.blob.is_none() {
            song.blob.clone_from(&arrival.blob);
        }
        match gone.into_iter().next() {
            Some(from) => Change::Moved { from },
            None if is_new_path && before.files.is_empty() => Change::Moved { from: String::new() },
            None if is_new_path => Change::Duplicate,
            None if *song != before => Change::Updated,
            None => Change::Nothing,
        }
    }

    // The files of `song` that no longer exist.
    fn gone(&self, song: &Song) -> Vec<String> {
        let paths = song.files.iter().map(|file| &file.path);
        paths.filter(|path| !self.library.file_path(path).exists()).cloned().collect()
    }

    fn tell(&self, id: SongId, arrival: &Arrival, change: &Change, report: &mut ScanReport) {
        let path = encode_path(&arrival.candidate.path);
        self.progress.on(Event::Advanced { item: &path, bytes: arrival.candidate.size });
        let item = match change {
            Change::Added => {
                report.added += 1;
                ScanItem::Added { id, path }
            }
            Change::Updated => {
                report.updated += 1;
                ScanItem::Updated { id, path }
            }
            Change::Moved { from } => {
                report.moved += 1;
                ScanItem::Moved { id, path, from: from.clone() }
            }
            Change::Duplicate => {
                report.duplicates += 1;
                ScanItem::Duplicate { id, path }
            }
            Change::Nothing => {
                report.unchanged += 1;
                return;
            }
        };
        (self.on_item)(&item);
    }
}

/// The card of `song` as it will be once it names these embeddings.
pub(crate) fn card_with(song: &mut Song, embeddings: &[Embedding]) -> Card {
    for embedding in embeddings {
        song.embeddings.insert(embedding.model.clone(), embedding.reference());
    }
    Card::of(song)
}

impl Arrival {
    fn id(&self) -> SongId {
        self.found.song.unwrap_or_else(|| self.found.identity.song())
    }
}

fn known_file(candidate: &Candidate, outcome: KnownOutcome) -> KnownFile {
    KnownFile {
        path: encode_path(&candidate.path),
        size: candidate.size,
        modified: candidate.modified,
        outcome,
    }
}
