//! Making patterns, many at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures::{StreamExt, stream};
use songrec_core::{
    Metric, ModelName, ModelSpec, Pattern, Segment, SegmentId, Song, SongId, SongSummary,
    Timestamp, Vector,
};

use super::{
    draft::{NewPattern, frequencies_of, has_room, is_within, kind_of, source_of},
    shown::ShownPattern,
    store::{announce, versions},
};
use crate::{Error, ErrorKind, Library, Result, find, given::given_model, library::now, similar};

/// Parts of songs that models embed at once.
const EMBEDDED_AT_ONCE: usize = 4;
/// Songs whose segments are written at once.
const SONGS_AT_ONCE: usize = 8;
/// Names of songs that are remembered.
const REMEMBERED: usize = 10_000;

/// What became of a pattern that was to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct AddedPattern {
    /// The pattern.
    pub pattern: ShownPattern,
    /// Whether it was not there before, by its id.
    pub is_new: bool,
}

/// Takes in patterns, batch by batch.
#[derive(Debug)]
pub struct PatternIntake<'a> {
    library: &'a Library,
    only_ids: bool,
    songs: HashMap<String, SongId>,
}

/// A pattern that can be made, but for its features.
#[derive(Debug)]
struct Draft {
    song: SongSummary,
    start: f64,
    end: f64,
    frequencies: Option<(f32, f32)>,
    kind: String,
    confidence: f32,
    source: Option<String>,
    id: Option<SegmentId>,
    /// Whether the song had a segment with this id that was deleted or replaced.
    is_gone: bool,
    model: ModelSpec,
    vector: Option<Vector>,
}

impl Draft {
    fn segment(&self, new: &NewPattern, vector: Vector, now: Timestamp) -> Segment {
        let id = self.id.unwrap_or_else(SegmentId::random);
        let source = self.source.clone();
        let pattern = Pattern { id, source, metadata: new.metadata.clone(), changed_at: now };
        Segment {
            id,
            song: self.song.id,
            start: self.start,
            end: self.end,
            frequencies: self.frequencies,
            kind: self.kind.clone(),
            confidence: self.confidence,
            model: self.model.name.clone(),
            vector,
            created_at: now,
            pattern: Some(pattern),
        }
    }
}

impl<'a> PatternIntake<'a> {
    /// Songs are named as everywhere: by id, path or words.
    pub fn new(library: &'a Library) -> Self {
        Self { library, only_ids: false, songs: HashMap::new() }
    }

    /// Songs are named by their ids alone, as over a network.
    pub fn by_ids(library: &'a Library) -> Self {
        Self { only_ids: true, ..Self::new(library) }
    }

    /// Makes patterns, and says of each what became of it: one that cannot be made keeps
    /// no other one from it. All of a batch are stored together, in a few requests, and
    /// each song once; what a model embeds it embeds four at a time.
    ///
    /// # Errors
    ///
    /// Those of the library; then some may be stored. Patterns with ids can be sent
    /// again.
    pub async fn add(&mut self, patterns: &[NewPattern]) -> Result<Vec<Result<AddedPattern>>> {
        let library = self.library;
        let mut outcomes: Vec<Option<Result<AddedPattern>>> = vec![None; patterns.len()];
        let songs = self.songs_of(patterns).await?;
        let mut models = Spaces::of(library).await?;
        let mut drafts: Vec<(usize, Draft)> = Vec::new();
        for (at, (new, song)) in patterns.iter().zip(songs).enumerate() {
            let draft = match song {
                Ok(song) => draft(&mut models, new, &song).await,
                Err(error) => Err(error),
            };
            match draft {
                Ok(draft) => drafts.push((at, draft)),
                Err(error) => outcomes[at] = Some(Err(of_one(error)?)),
            }
        }
        let known = known(library, patterns, &mut drafts, &mut outcomes).await?;
        let embedded = embed(library, drafts).await;
        let now = now();
        let mut segments: BTreeMap<usize, (Segment, SongSummary)> = BTreeMap::new();
        for (at, draft, vector) in embedded {
            match vector {
                Ok(vector) => match draft.model.refuses(&vector) {
                    None => {
                        let segment = draft.segment(&patterns[at], vector, now);
                        segments.insert(at, (segment, draft.song));
                    }
                    Some(why) => outcomes[at] = Some(Err(unfit(&why))),
                },
                Err(error) => outcomes[at] = Some(Err(of_one(error)?)),
            }
        }
        let missing = self.store(&models, &segments).await?;
        for (at, (segment, song)) in segments {
            outcomes[at] = Some(match missing.contains(&segment.song) {
                true => Err(gone(&song)),
                false => {
                    Ok(AddedPattern { pattern: ShownPattern::of(&segment, &song), is_new: true })
                }
            });
        }
        // What was said twice is there once.
        for (at, id) in known {
            let first = outcomes.iter().flatten().filter_map(|one| one.as_ref().ok());
            let same = first.map(|one| &one.pattern).find(|one| one.id == id).cloned();
            let same = same.ok_or_else(|| taken(id));
            outcomes[at] = Some(same.map(|pattern| AddedPattern { pattern, is_new: false }));
        }
        let lost = || Err(Error::new(ErrorKind::Failed, "nothing became of it"));
        Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(lost)).collect())
    }

    // The song of each pattern, or why there is none.
    async fn songs_of(&mut self, patterns: &[NewPattern]) -> Result<Vec<Result<Song>>> {
        if self.songs.len() > REMEMBERED {
            self.songs.clear();
        }
        let mut unknown: HashMap<&str, Error> = HashMap::new();
        for NewPattern { song: name, .. } in patterns {
            if self.songs.contains_key(name) || unknown.contains_key(name.as_str()) {
                continue;
            }
            let found = match (name.parse::<SongId>(), self.only_ids) {
                (Ok(id), _) => Ok(id),
                (Err(_), true) => find::song_by_id(self.library, name).await.map(|song| song.id),
                (Err(_), false) => find::song(self.library, name).await.map(|song| song.id),
            };
            match found {
                Ok(id) => _ = self.songs.insert(name.clone(), id),
                Err(error) => _ = unknown.insert(name, of_one(error)?),
            }
        }
        let ids: BTreeSet<SongId> =
            patterns.iter().filter_map(|new| self.songs.get(&new.song)).copied().collect();
        let ids: Vec<SongId> = ids.into_iter().collect();
        let mut songs: HashMap<SongId, Result<Song>> = HashMap::new();
        for ids in ids.chunks(self.library.backend().capabilities().batch.max(1)) {
            for (id, song) in ids.iter().zip(self.library.each_song(ids).await?) {
                let song = match song {
                    Ok(Some(song)) => Ok(song),
                    Ok(None) => Err(Error::not_found(format_args!("there is no song `{id}`"))),
                    Err(_) => Err(Error::new(
                        ErrorKind::Corrupt,
                        format_args!("the song `{id}` cannot be read"),
                    )),
                };
                songs.insert(*id, song);
            }
        }
        let song_of = |new: &NewPattern| match self.songs.get(&new.song) {
            Some(id) => songs[id].clone(),
            None => Err(unknown[new.song.as_str()].clone()),
        };
        Ok(patterns.iter().map(song_of).collect())
    }

    // Stores segments, and then their songs again; gives those that are gone.
    async fn store(
        &self,
        models: &Spaces<'_>,
        segments: &BTreeMap<usize, (Segment, SongSummary)>,
    ) -> Result<BTreeSet<SongId>> {
        let backend = self.library.backend();
        let mut all: Vec<Segment> = segments.values().map(|(segment, _)| segment.clone()).collect();
        models.make_room(&all).await?;
        all.sort_by_key(|segment| segment.song);
        for segments in of_few_songs(&all, backend.capabilities().remote) {
            backend.segments().put(segments).await?;
        }
        let told = all.iter().map(|segment| (segment.song, Vec::new())).collect();
        let missing = announce(self.library, &told).await?;
        let left = all.iter().filter(|segment| missing.contains(&segment.song));
        let left: Vec<SegmentId> = left.map(|segment| segment.id).collect();
        if !left.is_empty() {
            backend.segments().delete(&left).await?;
        }
        Ok(missing)
    }
}

// Segments in the order of their songs, in parts: a library of files reads all segments of
// a song and writes them again, and its memory is to depend on a few songs alone.
fn of_few_songs(segments: &[Segment], remote: bool) -> impl Iterator<Item = &[Segment]> {
    let most = if remote { usize::MAX } else { SONGS_AT_ONCE };
    let mut rest = segments;
    std::iter::from_fn(move || {
        let mut songs = rest.chunk_by(|left, right| left.song == right.song);
        let count: usize = songs.by_ref().take(most).map(<[Segment]>::len).sum();
        let (part, others) = rest.split_at(count);
        rest = others;
        (!part.is_empty()).then_some(part)
    })
}

/// The models that features are of, those that the library knows and others.
pub(super) struct Spaces<'a> {
    library: &'a Library,
    known: Vec<ModelSpec>,
    new: BTreeMap<ModelName, ModelSpec>,
}

impl<'a> Spaces<'a> {
    pub(super) async fn of(library: &'a Library) -> Result<Self> {
        let known = library.backend().embeddings().models().await?;
        Ok(Self { library, known, new: BTreeMap::new() })
    }

    /// The model of features that were given.
    pub(super) async fn of_given(
        &mut self,
        vector: &Vector,
        model: Option<&str>,
        metric: Option<Metric>,
    ) -> Result<ModelSpec> {
        let spec = match model {
            None => given_model(vector.dimension())?,
            Some(name) => match self.named(name).await {
                Ok(spec) => spec,
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    let name: ModelName = name.parse().map_err(|_| error)?;
                    let metric = metric.unwrap_or(Metric::Cosine);
                    let description = "features that were given with patterns".to_owned();
                    ModelSpec { name, dimension: vector.dimension(), metric, description }
                }
                Err(error) => return Err(error),
            },
        };
        if let Some(metric) = metric.filter(|metric| *metric != spec.metric) {
            return Err(Error::usage(format_args!(
                "features of `{}` are compared by {}, not by {metric}",
                spec.name, spec.metric
            ))
            .with_hint("another model, such as `mine@1`, may be compared in another way"));
        }
        if let Some(why) = spec.refuses(vector) {
            return Err(unfit(&why));
        }
        self.new.entry(spec.name.clone()).or_insert_with(|| spec.clone());
        Ok(spec)
    }

    /// A model that can embed parts of songs here.
    pub(super) async fn embedding_model(&mut self, model: Option<&str>) -> Result<ModelSpec> {
        let usual = self.library.model_among(&self.known).await?;
        let name = model.unwrap_or(&usual).to_owned();
        let here = self.library.models().embedders(&[name]).await?;
        let spec = here.specs().first().cloned();
        let spec = spec.ok_or_else(|| Error::not_found("there is no model to embed it"))?;
        self.new.entry(spec.name.clone()).or_insert_with(|| spec.clone());
        Ok(spec)
    }

    // A model of the library, of this machine, or one that was named before.
    async fn named(&self, name: &str) -> Result<ModelSpec> {
        if let Some(spec) = self.new.values().find(|spec| spec.name.as_str() == name) {
            return Ok(spec.clone());
        }
        match similar::model_named(&self.known, name) {
            Ok(spec) => Ok(spec),
            Err(error) => {
                let here = self.library.models().embedders(&[name.to_owned()]).await;
                here.ok().and_then(|here| here.specs().first().cloned()).ok_or(error)
            }
        }
    }

    /// Makes room for the models of `segments` that the library does not know.
    pub(super) async fn make_room(&self, segments: &[Segment]) -> Result<()> {
        let used: BTreeSet<&ModelName> = segments.iter().map(|segment| &segment.model).collect();
        for spec in used.into_iter().filter_map(|name| self.new.get(name)) {
            if !self.known.contains(spec) {
                self.library.backend().embeddings().put_model(spec).await?;
            }
        }
        Ok(())
    }
}

// A pattern that can be made, as far as its words and numbers say.
async fn draft(models: &mut Spaces<'_>, new: &NewPattern, song: &Song) -> Result<Draft> {
    let kind = kind_of(&new.kind)?;
    let source = new.source.as_deref().map(source_of).transpose()?.flatten();
    let frequencies = frequencies_of(new.low, new.high)?;
    let confidence = new.confidence.unwrap_or(1.0);
    is_possible((new.start, new.end), frequencies, confidence)?;
    is_within(new.end, song.audio.duration)?;
    has_room(&new.metadata)?;
    let vector = new.vector()?;
    let (model, metric) = (new.model.as_deref(), new.metric);
    let model = match &vector {
        Some(vector) => models.of_given(vector, model, metric).await?,
        None => models.embedding_model(model).await?,
    };
    let is_gone = new.id.is_some_and(|id| {
        let id = id.to_string();
        song.history.iter().any(|history| history.gone().any(|gone| *gone == id))
    });
    Ok(Draft {
        song: SongSummary::of(song),
        start: new.start,
        end: new.end,
        frequencies,
        kind,
        confidence,
        source,
        id: new.id,
        is_gone,
        model,
        vector,
    })
}

/// Nothing, if a pattern can have these numbers: what a segment can have, and a part
/// that is longer than nothing.
pub(super) fn is_possible(
    (start, end): (f64, f64),
    frequencies: Option<(f32, f32)>,
    confidence: f32,
) -> Result<()> {
    let refusal = Segment::refusal_of((start, end), frequencies, confidence);
    let refusal = refusal.or_else(|| (start == end).then(|| "it has no length".to_owned()));
    let Some(why) = refusal else { return Ok(()) };
    Err(Error::usage("there can be no such pattern").because(why))
}

// Takes those out of `drafts` whose ids are there, which is no error, or stand for
// something else. Gives those that were said before in the same batch. What is wrong with
// a pattern is said before its id is looked for: it is wrong whichever batch it comes in.
async fn known(
    library: &Library,
    patterns: &[NewPattern],
    drafts: &mut Vec<(usize, Draft)>,
    outcomes: &mut [Option<Result<AddedPattern>>],
) -> Result<Vec<(usize, SegmentId)>> {
    // An id that was changed once is the pattern's and no segment's any more.
    let ids: BTreeSet<SegmentId> = patterns.iter().filter_map(|new| new.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let of_patterns = versions(library, &ids).await?;
    let all: Vec<SegmentId> = ids.into_iter().collect();
    let stored = library.backend().segments().get(&all).await?;
    let of_others: BTreeSet<SegmentId> =
        stored.into_iter().flatten().map(|segment| segment.id).collect();
    let songs: HashMap<SongId, SongSummary> =
        super::store::songs_of(library, of_patterns.values().flatten()).await?;
    let known = |id: &SegmentId| {
        let version = of_patterns.get(id)?.first()?;
        let pattern = ShownPattern::of(version, songs.get(&version.song)?);
        Some(AddedPattern { pattern, is_new: false })
    };
    let mut seen = BTreeSet::new();
    let mut repeated = Vec::new();
    drafts.retain(|(at, draft)| {
        let Some(id) = draft.id else { return true };
        if let Some(known) = known(&id) {
            outcomes[*at] = Some(Ok(known));
            return false;
        }
        if draft.is_gone || of_others.contains(&id) || of_patterns.contains_key(&id) {
            outcomes[*at] = Some(Err(taken(id)));
            return false;
        }
        if !seen.insert(id) {
            repeated.push((*at, id));
            return false;
        }
        true
    });
    Ok(repeated)
}

// The features of each, as they were given or as the model embeds the part.
async fn embed(
    library: &Library,
    drafts: Vec<(usize, Draft)>,
) -> Vec<(usize, Draft, Result<Vector>)> {
    let embedded = drafts.into_iter().map(|(at, mut draft)| async move {
        let vector = match draft.vector.take() {
            Some(vector) => Ok(vector),
            None => {
                embed_part(library, draft.song.id, (draft.start, draft.end), &draft.model).await
            }
        };
        (at, draft, vector)
    });
    stream::iter(embedded).buffered(EMBEDDED_AT_ONCE).collect().await
}

/// A part of a song, from where to where in seconds, as a model embeds it.
pub(super) async fn embed_part(
    library: &Library,
    song: SongId,
    (start, end): (f64, f64),
    model: &ModelSpec,
) -> Result<Vector> {
    let name = format!("{song}@{start}-{end}");
    Ok(similar::embed_named(library, &name, model).await?.1)
}

// The error, if it is of one pattern alone.
fn of_one(error: Error) -> Result<Error> {
    match error.kind() {
        ErrorKind::Usage | ErrorKind::NotFound | ErrorKind::Corrupt => Ok(error),
        _ => Err(error),
    }
}

fn unfit(why: &str) -> Error {
    Error::usage("the features cannot be used").because(why.to_owned())
}

fn gone(song: &SongSummary) -> Error {
    Error::not_found(format_args!("`{}` is no longer in the library", song.title))
}

fn taken(id: SegmentId) -> Error {
    Error::usage(format_args!("no new pattern can have the id `{id}`"))
        .because("it was another one's, or that of a pattern that was deleted")
        .with_hint("leave the id out, and it gets one of its own")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_stored_a_few_songs_at_a_time() {
        let segment = |song: u8| Segment {
            id: SegmentId::random(),
            song: SongId::from_bytes([song; 16]),
            start: 0.0,
            end: 1.0,
            frequencies: None,
            kind: "x".to_owned(),
            confidence: 1.0,
            model: "m@1".parse().unwrap(),
            vector: Vector::new(vec![1.0]).unwrap(),
            created_at: Timestamp::UNIX_EPOCH,
            pattern: None,
        };
        let songs = (0..20).flat_map(|song| [song; 3]);
        let segments: Vec<Segment> = songs.map(segment).collect();
        let sizes = |remote| -> Vec<usize> {
            of_few_songs(&segments, remote).map(<[Segment]>::len).collect()
        };

        assert_eq!(sizes(false), [24, 24, 12]);
        assert_eq!(sizes(true), [60]);
        assert_eq!(of_few_songs(&[], false).count(), 0);
    }
}
