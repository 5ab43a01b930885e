//! Storing what a scan found.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::PoisonError,
};

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use songrec_core::{
    Digest, Embedding, Event, Features, FromFile, ModelName, ModelSpec, OperationId, ScanItem,
    Segment, SegmentId, Song, SongFile, SongId, decode_path, encode_path,
};
use songrec_local::{FileStatus, KnownFile, KnownOutcome, KnownStatus};
use songrec_models::WindowVector;
use songrec_storage::{BlobSource, NewBlob, NewEmbedding, Outcome, PutMode, PutSong, SegmentQuery};

use super::{
    Candidate, Finding, Scan, ScanReport, WINDOW,
    arrival::{Arrival, Change, Found, Looked, Stored},
    blocking,
    look::path_values,
    lost::{name_of, take_again},
};
use crate::{
    Error, ErrorKind, Result,
    complete::{joined, summary_with},
    embedders::{file_of, song_of},
    library::now,
};

/// How often a song is merged again on top of another writer's version.
const ATTEMPTS: usize = 20;
/// Audio files that are on their way at once; parts of each are in memory.
const BLOBS_AT_ONCE: usize = 4;

/// The files, by absolute path, that this machine has seen hold each song.
type SeenHere = HashSet<(SongId, String)>;

/// Stores what was found: objects first, then the songs that name them. That
/// the files are known is noted before the songs are stored, and what was
/// stored of them after it: of what is seen them in between, nothing
/// gets lost.
pub(super) async fn take_in(scan: &Scan<'_>, looked: Vec<Looked>) -> Result<ScanReport> {
    let mut report = ScanReport::default();
    let mut known = Vec::new();
    let mut arrivals = Vec::new();
    for Looked { candidate, found } in looked {
        match found {
            Ok(found) => arrivals.push(Arrival {
                stored: scan.library.stored_path(&candidate.path),
                candidate,
                found,
                embeddings: BTreeMap::new(),
                blob: None,
            }),
            Err(why) => {
                scan.fail(&candidate.path, &why);
                report.failed += 1;
                let reason = why.reason.to_string();
                known.push(known_file(&candidate, KnownOutcome::Failed(reason)));
            }
        }
    }
    for arrival in &arrivals {
        let outcome = KnownOutcome::Song(arrival.id(), FileStatus::Storing);
        known.push(known_file(&arrival.candidate, outcome));
    }
    if !scan.options.dry_run {
        super::meet::still_waiting(scan, &mut arrivals).await?;
        store_objects(scan, &mut arrivals).await?;
        remember(scan, Finding::Nothing, &arrivals)?;
        detach(scan, &arrivals).await?;
        let (files, number) = (scan.known.clone(), scan.number);
        blocking(move || files.put(&known, number)).await??;
    }
    let mut of_song: BTreeMap<SongId, Vec<&Arrival>> = BTreeMap::new();
    for arrival in &arrivals {
        of_song.entry(arrival.id()).or_default().push(arrival);
    }
    let mut stored = store_songs(scan, &of_song).await?;
    if !scan.options.dry_run {
        remember(scan, Finding::Segments, &arrivals)?;
        super::meet::forget_met(scan, &arrivals, &mut stored).await?;
    }
    let mut known_statuses = Vec::new();
    for (id, arrivals) in &of_song {
        for arrival in arrivals {
            let change = stored.changes.get(&arrival.stored).unwrap_or(&Change::Nothing);
            report_change(scan, *id, arrival, change, &mut report);
            if let Some(status) = stored.statuses.get(&arrival.stored) {
                let path = encode_path(&arrival.candidate.path);
                known_statuses.push(KnownStatus { path, song: *id, status: *status });
            }
        }
    }
    if !scan.options.dry_run {
        let files = scan.known.clone();
        blocking(move || files.arrive(&known_statuses)).await??;
    }
    Ok(report)
}

async fn store_objects(scan: &Scan<'_>, arrivals: &mut [Arrival]) -> Result<()> {
    let mut embeddings = Vec::new();
    let mut places = Vec::new();
    for (at, arrival) in arrivals.iter().enumerate() {
        let Some(analysis) = &arrival.found.analysis else { continue };
        let mut song = song_of(&analysis.sound);
        song.id = arrival.id();
        song.retag(&arrival.found.says, super::folders::asks_folders(scan), &[]);
        song.add_file(file_of(&arrival.found.identity, arrival.stored.clone()));
        let embedded: Vec<Embedding> = analysis
            .sound
            .embeddings
            .iter()
            .map(|(model, vector)| Embedding {
                song: song.id,
                model: model.clone(),
                vector: vector.clone(),
            })
            .collect();
        let summary = summary_with(&mut song, &embedded);
        let operation = song.revision.operation;
        for embedding in embedded {
            places.push((at, embedding.model.clone()));
            embeddings.push(NewEmbedding { embedding, summary: summary.clone(), operation });
        }
    }
    for (at, new) in super::meet::vectors_of_met(scan, arrivals).await? {
        places.push((at, new.embedding.model.clone()));
        embeddings.push(new);
    }
    make_room_for(scan, arrivals).await?;
    store_segments(scan, arrivals).await?;
    let references = scan.library.backend.embeddings().put(&embeddings).await?;
    super::lost::found_again(scan, embeddings.iter().map(|new| name_of(&new.embedding)));
    for ((at, model), reference) in places.into_iter().zip(references) {
        arrivals[at].embeddings.entry(model).or_insert(reference);
    }
    if scan.library.backend.capabilities().keeps_audio {
        let storing: Vec<_> =
            arrivals.iter_mut().map(|arrival| store_blob(scan, arrival).boxed()).collect();
        stream::iter(storing).buffer_unordered(BLOBS_AT_ONCE).try_collect::<()>().await?;
    }
    Ok(())
}

// Makes room for the models that were the first time seen.
async fn make_room_for(scan: &Scan<'_>, arrivals: &[Arrival]) -> Result<()> {
    let embedded = |spec: &ModelSpec| {
        let mut analyses = arrivals.iter().filter_map(|one| one.found.analysis.as_ref());
        analyses.any(|embedded| embedded.sound.embeddings.contains_key(&spec.name))
    };
    let new: Vec<ModelSpec> = {
        let mut unregistered = scan.unregistered.lock().unwrap_or_else(PoisonError::into_inner);
        unregistered.extract_if(.., |spec| embedded(spec)).collect()
    };
    for spec in &new {
        scan.library.backend.embeddings().put_model(spec).await?;
    }
    Ok(())
}

// The first window of a song is stored after its others, so that it proves
// that they are there.
async fn store_segments(scan: &Scan<'_>, arrivals: &[Arrival]) -> Result<()> {
    let segments: Vec<Segment> = arrivals.iter().flat_map(segments_of).collect();
    let (first, others): (Vec<Segment>, Vec<Segment>) =
        segments.into_iter().partition(|segment| segment.start == 0.0);
    for segments in [others, first] {
        if !segments.is_empty() {
            scan.library.backend.segments().put(&segments).await?;
        }
    }
    Ok(())
}

// Remembers what need not be asked or embedded again. That segments are kept is
// remembered once their song tells of them.
fn remember(scan: &Scan<'_>, finding: Finding, arrivals: &[Arrival]) -> Result<()> {
    let is_learned = |model: &ModelName| {
        scan.embedders.batchers().iter().any(|batcher| batcher.spec().name == *model)
    };
    let mut findings: BTreeMap<&ModelName, Vec<SongId>> = BTreeMap::new();
    for arrival in arrivals {
        let Some(analysis) = &arrival.found.analysis else { continue };
        for model in &arrival.found.tried {
            let is_found = match finding {
                Finding::Nothing => !analysis.sound.embeddings.contains_key(model),
                Finding::Segments => scan.options.segments && is_learned(model),
            };
            if is_found && !analysis.failed.contains_key(model) {
                findings.entry(model).or_default().push(arrival.id());
            }
        }
    }
    let note = |(model, songs): (&ModelName, Vec<SongId>)| scan.memory.note(finding, model, &songs);
    findings.into_iter().try_for_each(note)
}

async fn store_blob(scan: &Scan<'_>, arrival: &mut Arrival) -> Result<()> {
    let known = arrival.found.song.is_some();
    if arrival.found.has_blob || (known && arrival.found.analysis.is_none()) {
        return Ok(());
    }
    let identity = &arrival.found.identity;
    let blob =
        NewBlob { sha256: identity.sha256, size: identity.size, operation: OperationId::random() };
    let source = BlobSource::Path(arrival.candidate.path.clone());
    arrival.blob = Some(scan.library.backend.blobs().put(&blob, source).await?);
    Ok(())
}

// A file whose audio was replaced no longer belongs to the song that it
// held when this machine saw it last. Other songs may name its path too:
// for files of other machines, of which nothing is known here.
async fn detach(scan: &Scan<'_>, arrivals: &[Arrival]) -> Result<()> {
    for arrival in arrivals {
        if let Some(other) = arrival.found.replaced {
            let detach = |song: &mut Song| Ok(song.remove_file(&arrival.stored));
            match crate::edit::update(scan.library, other, detach).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => drop(result?),
            }
        }
    }
    Ok(())
}

// Merges the arrivals into their songs, again on top of what another
// process stored meanwhile.
async fn store_songs(scan: &Scan<'_>, of_song: &BTreeMap<SongId, Vec<&Arrival>>) -> Result<Stored> {
    let mut result = Stored::default();
    let ids: Vec<SongId> = of_song.keys().copied().collect();
    let (known, asked) = (scan.known.clone(), ids.clone());
    let seen: SeenHere = blocking(move || known.of_songs(&asked)).await??.into_iter().collect();
    // One that is damaged is here only to be stored anew.
    let songs =
        scan.library.each_song(&ids).await?.into_iter().map(|song| song.unwrap_or_default());
    let mut current: BTreeMap<SongId, Option<Song>> = ids.iter().copied().zip(songs).collect();
    let cut_off = |id: &SongId| of_song[id].iter().any(|arrival| arrival.found.was_cut_off);
    let cut_off = current.iter().filter(|(id, _)| cut_off(id));
    let cut_off: Vec<Song> = cut_off.filter_map(|(_, song)| song.clone()).collect();
    let mut not_announced = BTreeSet::new();
    if !scan.options.dry_run {
        crate::edit::write_again(scan.library, &cut_off).await?;
        not_announced = with_segments(scan, &cut_off).await?;
    }
    for _ in 0..ATTEMPTS {
        let mut puts = Vec::new();
        for (id, stored) in &current {
            let mut song = stored.clone();
            for arrival in &of_song[id] {
                let change = merge(scan, &mut song, arrival, &seen);
                result.changes.insert(arrival.stored.clone(), change);
            }
            for arrival in of_song[id].iter().filter(|_| song.is_some()) {
                let path = encode_path(&arrival.candidate.path);
                let status = song.as_ref().map(|song| super::status::status_of(scan, song, &path));
                let status = status.unwrap_or(FileStatus::Unknown);
                result.statuses.insert(arrival.stored.clone(), status);
            }
            // Changes tell songs alone: one whose segments came is stored
            // again, so that they are reported with it. Whether a scan that was
            // cut off came to that is not known.
            let has_news = |song: &Song| {
                Some(song) != stored.as_ref()
                    || not_announced.contains(id)
                    || of_song[id].iter().any(|arrival| brings_segments(arrival))
            };
            let Some(mut song) = song.filter(has_news) else { continue };
            let mode = match stored {
                Some(stored) => {
                    song.revise(stored, now());
                    PutMode::Replace(stored.revision.operation)
                }
                None => PutMode::Create,
            };
            puts.push(PutSong { song, mode, origin: None });
        }
        if puts.is_empty() || scan.options.dry_run {
            return Ok(result);
        }
        let outcomes = scan.library.backend.songs().put(&puts).await?;
        current = puts
            .into_iter()
            .zip(outcomes)
            .filter_map(|(put, outcome)| match outcome {
                Outcome::Done => None,
                Outcome::Conflict(newer) => Some((put.song.id, newer.map(|song| *song))),
            })
            .collect();
        if current.is_empty() {
            return Ok(result);
        }
    }
    Err(Error::new(ErrorKind::Failed, "songs could not be stored")
        .because("other processes keep changing them")
        .with_hint("run the same scan again"))
}

// Those of `songs` of which segments are kept that a scan stored.
async fn with_segments(scan: &Scan<'_>, songs: &[Song]) -> Result<BTreeSet<SongId>> {
    if songs.is_empty() {
        return Ok(BTreeSet::new());
    }
    let first_windows = SegmentQuery {
        songs: songs.iter().map(|song| song.id).collect(),
        kinds: vec![WINDOW.to_owned()],
        time: Some((0.0, 0.0)),
        limit: usize::MAX,
        ..SegmentQuery::default()
    };
    let found = scan.library.backend.segments().find(&first_windows).await?;
    Ok(found.into_iter().map(|segment| segment.song).collect())
}

// Brings what was found into `song`, and says what that changes. Doing it
// twice is doing it once.
fn merge(scan: &Scan<'_>, song: &mut Option<Song>, arrival: &Arrival, seen: &SeenHere) -> Change {
    let Found { identity, says, analysis, .. } = &arrival.found;
    let Some(song) = song else {
        // A song that was there is gone again: it is taken in by the next
        // scan, which embeds it.
        let Some(analysis) = analysis else {
            return if scan.options.dry_run { Change::Added } else { Change::Nothing };
        };
        let mut new = song_of(&analysis.sound);
        new.retag(says, super::folders::asks_folders(scan), &[]);
        new.add_file(file_of(identity, arrival.stored.clone()));
        new.embeddings = arrival.embeddings.clone();
        new.blob = arrival.blob.clone();
        let change = match &arrival.found.met {
            Some(met) => Change::Moved { from: joined(&mut new, met) },
            None => Change::Added,
        };
        *song = Some(new);
        return change;
    };
    let before = song.clone();
    let file = file_of(identity, arrival.stored.clone());
    let is_new_path = !song.files.iter().any(|known| known.path == file.path);
    let gone = if is_new_path { gone(scan, song, seen) } else { Vec::new() };
    for path in &gone {
        song.remove_file(path);
    }
    song.add_file(file);
    // Of several copies the first one speaks for all.
    if song.files.first().is_some_and(|first| first.path == arrival.stored) {
        let known = |file: &SongFile| path_values(&decode_path(&file.path), file.sha256);
        let known: Vec<FromFile> = before.files.iter().map(known).collect();
        song.retag(says, super::folders::asks_folders(scan), &known);
    }
    if let Some(sound) = analysis.as_ref().map(|analysis| &analysis.sound) {
        let version = |features: &Option<Features>| features.as_ref().map(|one| one.version);
        if version(&song.features) <= version(&sound.features) {
            song.features.clone_from(&sound.features);
            song.audio = sound.audio.clone();
        }
        // Of the same audio in another file, too: one may say more than it
        // holds.
        song.audio.warnings.clone_from(&sound.audio.warnings);
        take_again(song, &arrival.found.lost, &arrival.embeddings);
    }
    for (model, reference) in &arrival.embeddings {
        song.embeddings.entry(model.clone()).or_insert_with(|| reference.clone());
    }
    let met = arrival.found.met.as_ref().map(|met| joined(song, met));
    if song.blob.is_none() {
        song.blob.clone_from(&arrival.blob);
    }
    match gone.into_iter().next().or(met) {
        Some(from) => Change::Moved { from },
        None if is_new_path && before.files.is_empty() => Change::Moved { from: String::new() },
        None if is_new_path => Change::Duplicate,
        None if *song != before => Change::Updated,
        // The vector is there again, and the song names it as before.
        None if arrival.found.lost.iter().any(|model| arrival.embeddings.contains_key(model)) => {
            Change::Updated
        }
        None if scan.options.dry_run && !arrival.found.is_embedded => Change::Updated,
        None => Change::Nothing,
    }
}

// The files of `song` that this machine has seen and that no longer exist.
fn gone(scan: &Scan<'_>, song: &Song, seen: &SeenHere) -> Vec<String> {
    let is_gone = |path: &&String| {
        let file = scan.library.file_path(path);
        seen.contains(&(song.id, encode_path(&file))) && !file.exists()
    };
    song.files.iter().map(|file| &file.path).filter(is_gone).cloned().collect()
}

fn report_change(
    scan: &Scan<'_>,
    id: SongId,
    arrival: &Arrival,
    change: &Change,
    report: &mut ScanReport,
) {
    let path = encode_path(&arrival.candidate.path);
    let failed = arrival.found.analysis.iter().flat_map(|analysis| &analysis.failed);
    for (number, (model, error)) in failed.enumerate() {
        report.unembedded += u64::from(number == 0);
        let (path, model) = (path.clone(), model.clone());
        // With its causes: that a server did not answer says little without the reason.
        let reason = Error::caused(ErrorKind::Failed, error).in_one_line();
        scan.found(&ScanItem::Unembedded { id, path, model, reason });
    }
    let warnings = arrival.found.analysis.as_ref().map(|embedded| &embedded.sound.audio.warnings);
    if let Some(warnings) = warnings.filter(|warnings| !warnings.is_empty()) {
        report.warned += 1;
        let (path, warnings) = (path.clone(), warnings.clone());
        scan.found(&ScanItem::Warned { id, path, warnings });
    }
    scan.job.on(Event::Advanced { item: &path, bytes: arrival.candidate.size });
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
    scan.found(&item);
}

fn brings_segments(arrival: &Arrival) -> bool {
    let windows = arrival.found.analysis.iter().flat_map(|analysis| analysis.windows.values());
    windows.flatten().next().is_some()
}

// The vectors of learned models window by window. A window has the same id
// the machine that embeds it, so that embedding it again stores nothing.
fn segments_of(arrival: &Arrival) -> Vec<Segment> {
    let Some(analysis) = &arrival.found.analysis else { return Vec::new() };
    let (song, created_at) = (arrival.id(), now());
    let of_model = |(model, windows): (&ModelName, &Vec<WindowVector>)| {
        let segment = |window: &WindowVector| {
            let text = format!("window {song} {model} {:.3} {:.3}", window.start, window.end);
            let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
                Digest::of(text.as_bytes()).0;
            Segment {
                id: SegmentId::from_bytes(id),
                song,
                start: window.start,
                end: window.end,
                frequencies: None,
                kind: WINDOW.to_owned(),
                confidence: 1.0,
                model: model.clone(),
                vector: window.vector.clone(),
                created_at,
                pattern: None,
            }
        };
        windows.iter().map(segment).collect::<Vec<_>>()
    };
    analysis.windows.iter().flat_map(of_model).collect()
}

impl Arrival {
    pub(super) fn id(&self) -> SongId {
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
