//! Comparing two libraries song by song, or bit by bit.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream};
use serde::Serialize;
use sha2::Digest as _;
use songrec_core::{BlobRef, Digest, Event, Job, ModelName, Song, SongId, SongSummary, Work};
use songrec_storage::{SongQuery, StorageBackend, StoredEmbedding};

use crate::{
    Error, LeftOut, Pair, Replica, Result, Side,
    batch::each,
    decide::Values,
    error::{in_words, is_about_one},
    report::list,
};

/// What a comparison of two libraries found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// How many songs each has.
    pub songs: Pair<u64>,
    /// How many songs both have.
    pub compared: u64,
    /// Embeddings whose bits were read on both sides and compared.
    pub embeddings: u64,
    /// Pieces of audio that were read and compared with their digest.
    pub blobs: u64,
    /// Bytes that were read for that.
    pub bytes: u64,
    /// What is not the same; the first [`LISTED`](crate::LISTED) of it.
    pub differences: Vec<Difference>,
    /// Songs that two machines embedded with different last bits, each of which
    /// counts as the song's: no difference.
    #[serde(rename = "heard_differently")]
    pub embedded_differently: u64,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// What is counted but not listed.
    #[serde(skip_serializing_if = "LeftOut::is_nothing")]
    pub left_out: LeftOut,
    /// Differences by which the right one is not as the left one, but of songs
    /// of which that was expected.
    #[serde(skip)]
    pub(crate) surprises: u64,
    #[serde(skip)]
    expected: HashSet<SongId>,
}

impl Comparison {
    /// Whether both libraries have the same.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && !self.interrupted
    }

    /// How much is not the same.
    pub fn total(&self) -> u64 {
        self.differences.len() as u64 + self.left_out.differences
    }

    fn add(&mut self, difference: Difference) {
        use DifferenceKind::{Audio, Damaged, Embedding, MissingLeft, MissingRight, Song};
        self.surprises += match difference.kind {
            Damaged | MissingRight | Song | Embedding => {
                u64::from(!self.expected.contains(&difference.song))
            }
            MissingLeft | Audio => 0,
        };
        list(&mut self.differences, [difference], &mut self.left_out.differences);
    }
}

/// Something that is not the same in two libraries.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Which song.
    pub song: SongId,
    /// Its title in lists.
    pub title: String,
    /// What differs.
    pub kind: DifferenceKind,
    /// In words.
    pub text: String,
}

/// What differs between two libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// Only the right one has the song.
    MissingLeft,
    /// Only the left one has the song.
    MissingRight,
    /// They have other values for it.
    Song,
    /// Only one knows how a model embeds it.
    Embedding,
    /// Only one has its audio, where both keep audio.
    Audio,
    /// What is stored is not what the song names.
    Damaged,
}

/// Songs that are compared at once.
const PAGE: usize = 200;
/// Songs whose bits are compared in a sample.
const SAMPLE: u64 = 50;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    None,
    Sample { of: u64 },
    All,
}

/// Compares two libraries song by song; with `read_data` also what is stored
/// bit by bit, against what songs name.
///
/// # Errors
///
/// If one of them cannot be read.
pub fn check<'a>(
    left: &'a Replica,
    right: &'a Replica,
    read_data: bool,
    job: &'a Job,
) -> BoxFuture<'a, Result<Comparison>> {
    Box::pin(async move {
        let data = if read_data { Data::All } else { Data::None };
        let replicas = Pair { left: left.clone(), right: right.clone() };
        compare(&replicas, data, None, HashSet::new(), job).await
    })
}

pub(crate) async fn compare(
    replicas: &Pair<Replica>,
    data: Data,
    models: Option<&BTreeSet<ModelName>>,
    expected: HashSet<SongId>,
    job: &Job,
) -> Result<Comparison> {
    let mut found = Comparison { expected, ..Comparison::default() };
    let all = songrec_core::Filter::all();
    for side in Side::BOTH {
        let count = replicas[side].backend.songs().count(&all).await;
        found.songs[side] = count.map_err(|error| failed(replicas, side, error))?;
    }
    let total = found.songs.left;
    job.on(Event::started(Work::ComparingLibraries, Some(total)));
    let mut seen: HashSet<SongId> = HashSet::new();
    let mut query = SongQuery { limit: PAGE, ..SongQuery::default() };
    loop {
        if job.is_interrupted() {
            found.interrupted = true;
            break;
        }
        let page = replicas.left.backend.songs().find(&query).await;
        let page = page.map_err(|error| failed(replicas, Side::Left, error))?;
        let ids: Vec<SongId> = page.items.iter().map(|song| song.id).collect();
        let mut theirs = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(100) {
            let read = each(chunk, |some| replicas.right.backend.songs().get(some)).await;
            let read = read.map_err(|error| failed(replicas, Side::Right, error))?;
            theirs.extend(read.into_iter().map(|song| song.map(Option::flatten)));
        }
        let mut both = Vec::new();
        for (left, right) in page.items.into_iter().zip(theirs) {
            seen.insert(left.id);
            job.on(Event::Advanced { item: &SongSummary::of(&left).title, bytes: 0 });
            match right {
                Err(error) => {
                    let text =
                        format!("{} cannot read it: {}", replicas.right.name, in_words(&error));
                    found.add(difference(&left, DifferenceKind::Damaged, text));
                }
                Ok(None) => found.add(difference(
                    &left,
                    DifferenceKind::MissingRight,
                    format!("it is not in {}", replicas.right.name),
                )),
                Ok(Some(right)) => {
                    found.compared += 1;
                    compare_songs(replicas, &left, &right, models, &mut found);
                    both.push(Pair { left, right });
                }
            }
        }
        let read: Vec<Pair<Song>> = match data {
            Data::None => Vec::new(),
            Data::All => both,
            Data::Sample { of } => {
                // Some of every part of the library, always the same.
                let step = (of / SAMPLE).max(1);
                both.into_iter()
                    .filter(|pair| number_of(pair.left.id).is_multiple_of(step))
                    .collect()
            }
        };
        read_objects(replicas, &read, models, &mut found).await?;
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    if !found.interrupted && found.songs.right > found.compared {
        find_missing(replicas, &seen, &mut found).await?;
    }
    job.on(Event::Finished);
    Ok(found)
}

fn number_of(song: SongId) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&song.as_bytes()[8..]);
    u64::from_be_bytes(bytes)
}

fn failed(replicas: &Pair<Replica>, side: Side, source: songrec_storage::Error) -> Error {
    let (name, source) = (replicas[side].name.clone(), Box::new(source));
    Error::Library { side, name, source }
}

fn difference(song: &Song, kind: DifferenceKind, text: String) -> Difference {
    Difference { song: song.id, title: SongSummary::of(song).title, kind, text }
}

async fn find_missing(
    replicas: &Pair<Replica>,
    seen: &HashSet<SongId>,
    found: &mut Comparison,
) -> Result<()> {
    let mut query = SongQuery { limit: 1_000, ..SongQuery::default() };
    loop {
        let page = replicas.right.backend.songs().find_summaries(&query).await;
        let page = page.map_err(|error| failed(replicas, Side::Right, error))?;
        for summary in page.items.into_iter().filter(|summary| !seen.contains(&summary.id)) {
            found.add(Difference {
                song: summary.id,
                title: summary.title,
                kind: DifferenceKind::MissingLeft,
                text: format!("it is not in {}", replicas.left.name),
            });
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}

fn compare_songs(
    replicas: &Pair<Replica>,
    left: &Song,
    right: &Song,
    models: Option<&BTreeSet<ModelName>>,
    found: &mut Comparison,
) {
    let (one, two) = (Values::of(left), Values::of(right));
    if !one.shows_the_same_as(&two) {
        let fields = fields_that_differ(&one, &two);
        found.add(difference(
            left,
            DifferenceKind::Song,
            format!("they differ in {}", fields.join(", ")),
        ));
    }
    let carried = |model: &ModelName| models.is_none_or(|models| models.contains(model));
    for (model, reference) in left.embeddings.iter().filter(|(model, _)| carried(model)) {
        match right.embeddings.get(model) {
            None => found.add(difference(
                left,
                DifferenceKind::Embedding,
                format!("{} does not know how `{model}` embeds it", replicas.right.name),
            )),
            Some(theirs) if theirs.digest != reference.digest => found.embedded_differently += 1,
            Some(_) => {}
        }
    }
    for model in right.embeddings.keys().filter(|model| carried(model)) {
        if !left.embeddings.contains_key(model) {
            found.add(difference(
                left,
                DifferenceKind::Embedding,
                format!("{} does not know how `{model}` embeds it", replicas.left.name),
            ));
        }
    }
    let keep = Side::BOTH.into_iter().all(|side| replicas[side].backend.capabilities().keeps_audio);
    let digest = |song: &Song| song.blob.as_ref().map(|blob| blob.sha256);
    if keep && digest(left) != digest(right) {
        let text = match (digest(left), digest(right)) {
            (Some(_), None) => format!("its audio is not in {}", replicas.right.name),
            (None, Some(_)) => format!("its audio is not in {}", replicas.left.name),
            _ => "the copies of its audio differ".to_owned(),
        };
        found.add(difference(left, DifferenceKind::Audio, text));
    }
}

fn fields_that_differ(left: &Values, right: &Values) -> Vec<String> {
    let mut fields = BTreeSet::new();
    let edits = left.edits.iter().chain(right.edits.iter()).map(|(field, _)| field);
    for field in edits {
        if left.edits.get(field) != right.edits.get(field) {
            fields.insert(format!("edits.{field}"));
        }
    }
    let (one, two) = (left.stated(), right.stated());
    let names: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
    fields.extend(names.into_iter().filter(|name| one.get(*name) != two.get(*name)).cloned());
    if left.files != right.files {
        fields.insert("files".to_owned());
    }
    if left.lost() != right.lost() {
        fields.insert("conflicts".to_owned());
    }
    fields.into_iter().collect()
}

async fn read_objects(
    replicas: &Pair<Replica>,
    songs: &[Pair<Song>],
    models: Option<&BTreeSet<ModelName>>,
    found: &mut Comparison,
) -> Result<()> {
    let mut by_model: BTreeMap<&ModelName, Vec<&Pair<Song>>> = BTreeMap::new();
    for pair in songs {
        for model in pair.left.embeddings.keys().chain(pair.right.embeddings.keys()) {
            if models.is_none_or(|models| models.contains(model)) {
                let of_model = by_model.entry(model).or_default();
                if of_model.last().is_none_or(|last| last.left.id != pair.left.id) {
                    of_model.push(pair);
                }
            }
        }
    }
    for (model, pairs) in by_model {
        for chunk in pairs.chunks(100) {
            let ids: Vec<SongId> = chunk.iter().map(|pair| pair.left.id).collect();
            for side in Side::BOTH {
                let backend = &*replicas[side].backend;
                let read = each(&ids, |some| backend.embeddings().get(model, some)).await;
                let read = read.map_err(|error| failed(replicas, side, error))?;
                for (pair, stored) in chunk.iter().zip(read) {
                    // What cannot be read is as good as missing.
                    let stored = stored.ok().flatten().flatten();
                    compare_embedding(replicas, side, model, &pair[side], stored, found);
                }
            }
        }
    }
    for side in Side::BOTH {
        // A side that keeps no audio names what the other one has.
        if !replicas[side].backend.capabilities().keeps_audio {
            continue;
        }
        let backend = &*replicas[side].backend;
        let blobs: Vec<(usize, BlobRef)> = songs
            .iter()
            .enumerate()
            .filter_map(|(at, pair)| Some((at, pair[side].blob.clone()?)))
            .collect();
        let read: Vec<(usize, BlobRef, Option<String>)> = stream::iter(blobs)
            .map(|(at, blob): (usize, BlobRef)| async move {
                let read = read_blob(backend, &blob).await;
                read.map(|read| (at, blob, read)).map_err(|error| failed(replicas, side, error))
            })
            .buffered(8)
            .try_collect()
            .await?;
        for (at, blob, problem) in read {
            let song = &songs[at][side];
            found.blobs += 1;
            found.bytes += blob.size;
            if let Some(problem) = problem {
                let text = format!("its audio in {} {problem}", replicas[side].name);
                found.add(difference(song, DifferenceKind::Damaged, text));
            }
        }
    }
    Ok(())
}

fn compare_embedding(
    replicas: &Pair<Replica>,
    side: Side,
    model: &ModelName,
    song: &Song,
    stored: Option<StoredEmbedding>,
    found: &mut Comparison,
) {
    let Some(named) = song.embeddings.get(model) else { return };
    let name = &replicas[side].name;
    let problem = match stored {
        None => Some(format!("its embedding by `{model}` cannot be read from {name}")),
        Some(stored) => {
            let bytes = stored.embedding.vector.to_le_bytes();
            found.bytes += bytes.len() as u64;
            (Digest::of(&bytes) != named.digest)
                .then(|| format!("its embedding by `{model}` in {name} is not the one it names"))
        }
    };
    found.embeddings += 1;
    if let Some(text) = problem {
        found.add(difference(song, DifferenceKind::Damaged, text));
    }
}

// What is wrong with a blob, if something is.
async fn read_blob(
    backend: &dyn StorageBackend,
    blob: &BlobRef,
) -> songrec_storage::Result<Option<String>> {
    let mut stream = match backend.blobs().get(blob, None).await {
        Ok(Some(stream)) => stream,
        Ok(None) => return Ok(Some("is missing".to_owned())),
        Err(error) if is_about_one(&error) => {
            return Ok(Some(format!("cannot be read: {}", in_words(&error))));
        }
        Err(error) => return Err(error),
    };
    let mut hasher = sha2::Sha256::new();
    let mut size = 0;
    while let Some(piece) = stream.next().await {
        let piece = piece?;
        size += piece.len() as u64;
        hasher.update(&piece);
    }
    let digest = Digest(hasher.finalize().into());
    let whole = digest == blob.sha256 && size == blob.size;
    Ok((!whole).then(|| "is not what it was".to_owned()))
}
