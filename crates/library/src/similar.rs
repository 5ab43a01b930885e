//! What sounds alike.

mod answer;
mod blend;
mod chosen;
mod example;
mod folder;
mod passages;

use songrec_core::{
    Filter, Hint, Metric, ModelName, ModelSpec, Piece, Remedy, Scan, Song, SongId, Vector,
};
use songrec_storage::{NearestQuery, NearestSongs, Neighbor};

use self::{
    answer::result,
    blend::{Candidate, ModelQuery, score},
    chosen::Chosen,
    example::{EmbeddedExample, combine},
};
pub use self::{
    answer::{ModelWeight, Query, Similar, SimilarSong, WeightedQuery},
    blend::{Blend, BlendPart, InvalidBlend},
    example::{Example, Subject, UNLIKE},
    passages::{Found, Passage, Passages},
    passages::{passages, passages_or_songs},
};
use crate::{Error, Library, Result, library::Coverage};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct SimilarOptions {
    /// The model to compare by, with or without its revision; the configured
    /// one if none is given.
    pub model: Option<String>,
    /// Several models to compare by, in place of one.
    pub blend: Option<Blend>,
    /// How many songs.
    pub k: usize,
    /// How many of the nearest to leave out.
    pub offset: usize,
    /// The lowest similarity that counts.
    pub threshold: Option<f64>,
    /// How to compare; the model's own metric if none is given.
    pub metric: Option<Metric>,
    /// Which songs count.
    pub filter: Filter,
    /// Songs that do not count.
    pub exclude: Vec<SongId>,
    /// At most so many of one artist.
    pub max_per_artist: Option<usize>,
    /// At most so many of one album.
    pub max_per_album: Option<usize>,
    /// Whether the song itself counts.
    pub include_self: bool,
    /// Whether another copy of a recording that is listed already is listed
    /// too.
    pub all_copies: bool,
    /// Whether to say why each one is similar.
    pub explain: bool,
}

impl Default for SimilarOptions {
    fn default() -> Self {
        Self {
            model: None,
            blend: None,
            k: 10,
            offset: 0,
            threshold: None,
            metric: None,
            filter: Filter::all(),
            exclude: Vec::new(),
            max_per_artist: None,
            max_per_album: None,
            include_self: false,
            all_copies: false,
            explain: false,
        }
    }
}

/// How many more of the nearest are searched for at once when some may be left
/// out, or come in another order: over a network many songs cost no more than one.
const MARGIN: usize = 50;
/// The same where searching again is quick.
const MARGIN_HERE: usize = 6;
/// How many candidates the first of several models finds for each result: as
/// many as the system that this way of blending comes from.
const CANDIDATES: usize = 3;

/// The songs that sound like `name`: a song of the library, or any audio
/// file, which is embedded on the spot and not kept.
///
/// # Errors
///
/// When there is no such song, or it has no embedding by the model.
pub async fn similar(library: &Library, name: &str, options: &SimilarOptions) -> Result<Similar> {
    similar_to(library, &[Example::like(name)], options).await
}

/// The songs that sound like all `examples` together, and unlike those
/// with a weight below 0.
///
/// With several models the first one finds the candidates, three for each
/// result, and all of them score these: a result that only another model
/// finds similar is not among them. Costs one search, one read of songs,
/// and two reads of embeddings for each model beyond the first, unless so
/// many hits are left out that more have to be asked for.
///
/// # Errors
///
/// When there is no such song, or no model embedded all of them.
pub async fn similar_to(
    library: &Library,
    examples: &[Example],
    options: &SimilarOptions,
) -> Result<Similar> {
    let (mut models, mut notes) = chosen_models(library, options).await?;
    let names: Vec<ModelName> = models.iter().map(|(spec, _)| spec.name.clone()).collect();
    let mut embedded = example::embed_examples(library, examples, &names).await?;
    if options.model.is_none()
        && options.blend.is_none()
        && !library.is_model_chosen()
        && let Some(other) = embedded.iter().find_map(|one| one.other_built_in(&names))
    {
        notes.push(Hint::of(
            "compared by `{}`, because `{}` did not embed all that is asked for: {} lets it",
            [
                Piece::from(other.to_string()),
                Piece::from(library.usual_model().to_owned()),
                Remedy::Scan(Scan::Unembedded(Some(library.usual_model().to_owned()))).into(),
            ],
        ));
        let known = library.backend.embeddings().models().await?;
        models = vec![(model_named(&known, other.as_str())?, 1.0)];
        embedded = example::embed_examples(library, examples, &[other]).await?;
    }
    like_examples(library, models, notes, &embedded, options).await
}

async fn like_examples(
    library: &Library,
    models: Vec<(ModelSpec, f64)>,
    mut notes: Vec<Hint>,
    examples: &[EmbeddedExample],
    options: &SimilarOptions,
) -> Result<Similar> {
    let model_queries = model_queries(models, examples, options.metric, &mut notes)?;
    found_by(library, &model_queries, examples, notes, options).await
}

/// The model by which words are searched for: of those that embedded songs of
/// this library, the first one that is here and can read.
///
/// # Errors
///
/// `NotFound` if there is none.
pub async fn reading_model(library: &Library) -> Result<ModelName> {
    let known = library.backend.embeddings().models().await?;
    let readers: Vec<ModelName> = library
        .models
        .list()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|model| model.reads_text)
        .map(|model| model.spec.name)
        .collect();
    if let Some(spec) = known.iter().find(|spec| readers.contains(&spec.name)) {
        return Ok(spec.name.clone());
    }
    Err(match readers.first() {
        None => Error::not_found("no model here can read")
            .with_hint(Hint::of("{} adds one that does", [clap()])),
        Some(reader) => Error::not_found(format_args!("no song here was embedded by `{reader}`"))
            .with_hint(Hint::of(
                "{} lets it embed all songs",
                [Remedy::Scan(Scan::Unembedded(Some(reader.to_string())))],
            )),
    })
}

/// The model of this library that `name` means: a whole name, or the part
/// before `@` where there is one revision of it.
///
/// # Errors
///
/// `NotFound` if there is none, `Usage` if there are several.
pub async fn find_model(library: &Library, name: &str) -> Result<ModelSpec> {
    model_named(&library.backend.embeddings().models().await?, name)
}

/// A song, an audio file or a part of one as a model embeds it: how it is called, and
/// its vector.
///
/// # Errors
///
/// When there is no such song, it is silent, or the model did not embed it.
pub(crate) async fn embed_named(
    library: &Library,
    name: &str,
    spec: &ModelSpec,
) -> Result<(String, Vector)> {
    let model = std::slice::from_ref(&spec.name);
    let embedded = example::embed_examples(library, &[Example::like(name)], model).await?;
    let vector = combine(&embedded, &spec.name, spec.metric)?;
    Ok((embedded.into_iter().map(|one| one.title).collect(), vector))
}

// The models to compare by, with their weights, and what is to be said of the choice.
async fn chosen_models(
    library: &Library,
    options: &SimilarOptions,
) -> Result<(Vec<(ModelSpec, f64)>, Vec<Hint>)> {
    let mut notes = Vec::new();
    let known = library.backend.embeddings().models().await?;
    let blend = match (&options.blend, &options.model) {
        (Some(_), Some(_)) => {
            return Err(Error::usage("one model and several exclude each other")
                .with_hint(Hint::of("name all of them in {}", [Remedy::Blend])));
        }
        (Some(blend), None) => blend.clone(),
        (None, Some(model)) => Blend::of_one(model),
        (None, None) => {
            let coverage = library.usual_coverage(&known).await?;
            notes.extend(few_embedded(library.usual_model(), &coverage));
            Blend::of_one(&coverage.model)
        }
    };
    let mut models: Vec<(ModelSpec, f64)> = Vec::new();
    for (name, weight) in blend.parts() {
        let spec = model_named(&known, name)?;
        if models.iter().any(|(other, _)| other.name == spec.name) {
            return Err(Error::usage(format_args!("`{}` is named twice", spec.name))
                .with_hint("give each model one weight"));
        }
        models.push((spec, *weight));
    }
    Ok((models, notes))
}

/// What is to be said where the usual model did not embed all songs, such as those of
/// a library that an earlier version wrote.
pub(crate) fn few_embedded(usual: &str, coverage: &Coverage) -> Option<Hint> {
    let Coverage { model, embedded, lacking } = coverage;
    if *lacking == 0 {
        return None;
    }
    let all = embedded + lacking;
    let text = match model == usual {
        true => format!("`{usual}` embedded {embedded} of {all} songs"),
        false => format!(
            "compared by `{model}`, because `{usual}`, which is better, embedded {embedded} of \
             {all} songs"
        ),
    };
    Some(Hint::of(
        "{}: {} lets it embed the others",
        [Piece::from(text), Remedy::Scan(Scan::Unembedded(Some(usual.to_owned()))).into()],
    ))
}

// The songs near to what the queries look for.
async fn found_by(
    library: &Library,
    model_queries: &[ModelQuery],
    examples: &[EmbeddedExample],
    mut notes: Vec<Hint>,
    options: &SimilarOptions,
) -> Result<Similar> {
    let [first, others @ ..] = model_queries else {
        return Err(Error::usage("there is no model to compare by"));
    };
    let chosen = choose(library, model_queries, examples, options).await?;
    let left_out = (chosen.limited, chosen.silent);
    let results: Vec<SimilarSong> = chosen
        .songs
        .into_iter()
        .skip(options.offset)
        .take(options.k)
        .enumerate()
        .map(|(place, song)| result(options.offset + place + 1, song, examples, options))
        .collect();
    notes.extend(unembedded_results(model_queries, &results));
    let shortfall = match results.len() < options.k {
        true => Some(shortfall(library, &first.spec.name, results.len(), left_out, options).await?),
        false => None,
    };
    let all: f64 = model_queries.iter().map(|model_query| model_query.weight).sum();
    let blend = model_queries.iter().map(|model_query| ModelWeight {
        model: model_query.spec.name.clone(),
        weight: model_query.weight / all,
    });
    let mut queries: Vec<WeightedQuery> = examples
        .iter()
        .map(|example| WeightedQuery { query: Query::of(example), weight: example.weight })
        .collect();
    let query = queries.first().expect("a voice needs an example").query.clone();
    if queries.len() == 1 {
        queries.clear();
    }
    Ok(Similar {
        query,
        queries,
        model: first.spec.name.clone(),
        blend: if others.is_empty() { Vec::new() } else { blend.collect() },
        metric: first.metric,
        results,
        notes,
        shortfall,
    })
}

// The songs that an answer lists, and how many were left out.
struct Listed {
    songs: Vec<Candidate>,
    limited: usize,
    silent: usize,
}

// The nearest songs that stay, as many as are wanted with those that are passed
// over. What stays is judged anew over the whole pool, because of several models a
// later candidate may come first: so this loop is its own.
async fn choose(
    library: &Library,
    model_queries: &[ModelQuery],
    examples: &[EmbeddedExample],
    options: &SimilarOptions,
) -> Result<Listed> {
    let [first, others @ ..] = model_queries else {
        return Ok(Listed { songs: Vec::new(), limited: 0, silent: 0 });
    };
    let mut exclude = options.exclude.clone();
    if !options.include_self {
        exclude.extend(songs_of(examples).map(|song| song.id));
        exclude.extend(examples.iter().flat_map(|example| &example.members));
    }
    let wanted = options.offset.saturating_add(options.k);
    let search = wanted.saturating_add(margin(library, others, options));
    // Over a network songs that are not needed cost less than a second request for
    // songs; here each one is a file, and the next ones are at hand.
    let remote = library.backend.capabilities().remote;
    let mut count = if remote || !others.is_empty() { search } else { wanted };
    let mut nearest = NearestSongs::new(
        &*library.backend,
        NearestQuery {
            model: first.spec.name.clone(),
            vector: first.vector.clone(),
            k: search,
            offset: 0,
            // Of several models the score counts, not the similarity by one of
            // them.
            threshold: options.threshold.filter(|_| others.is_empty()),
            metric: options.metric,
            filter: options.filter.clone(),
            exclude,
        },
    );
    let mut pool: Vec<Candidate> = Vec::new();
    loop {
        let found = nearest.next(count).await?;
        let is_all = found.len() < count;
        pool.extend(scored(library, model_queries, found).await?);
        if !others.is_empty() {
            pool.sort_by(|left, right| {
                right.similarity.total_cmp(&left.similarity).then(left.song.id.cmp(&right.song.id))
            });
        }
        let similar = match options.threshold {
            Some(threshold) if !others.is_empty() => {
                pool.partition_point(|candidate| candidate.similarity >= threshold)
            }
            _ => pool.len(),
        };
        let mut chosen = Chosen::new(songs_of(examples), options);
        for (at, candidate) in pool[..similar].iter().enumerate() {
            chosen.consider(at, &candidate.song);
        }
        // What is too dissimilar is no reason to look further.
        let passing = chosen.songs.len() + (pool.len() - similar);
        if is_all || passing >= wanted {
            return Ok(listed(pool, chosen));
        }
        // More each time, so that few steps are enough where nearly all are left out.
        count = (wanted - passing).max(if remote { pool.len() } else { pool.len() / 4 });
    }
}

// What was chosen of the pool.
fn listed(pool: Vec<Candidate>, chosen: Chosen<'_>) -> Listed {
    let (limited, silent) = (chosen.limited, chosen.silent);
    let mut choices = chosen.songs.into_iter().peekable();
    let mut songs = Vec::with_capacity(choices.len());
    for (at, candidate) in pool.into_iter().enumerate() {
        if let Some(choice) = choices.next_if(|choice| choice.at == at) {
            songs.push(Candidate { copies: choice.copies, ..candidate });
        }
    }
    Listed { songs, limited, silent }
}

// How many more than are wanted the first search looks for.
fn margin(library: &Library, others: &[ModelQuery], options: &SimilarOptions) -> usize {
    let wanted = options.offset.saturating_add(options.k);
    let may_leave_out =
        !options.all_copies || options.max_per_artist.is_some() || options.max_per_album.is_some();
    match (others, may_leave_out) {
        ([], false) => 0,
        ([], true) if library.backend.capabilities().remote => MARGIN,
        ([], true) => MARGIN_HERE,
        (_, _) => wanted.saturating_mul(CANDIDATES).max(MARGIN).saturating_sub(wanted),
    }
}

// What all queries say of what the first of them found.
async fn scored(
    library: &Library,
    model_queries: &[ModelQuery],
    found: Vec<(Neighbor, Song)>,
) -> Result<Vec<Candidate>> {
    let ids: Vec<SongId> = found.iter().map(|(_, song)| song.id).collect();
    let mut vectors: Vec<Vec<Option<Vector>>> = vec![Vec::new(); found.len()];
    for model_query in model_queries.iter().skip(1) {
        let stored = library.backend.embeddings().get(&model_query.spec.name, &ids).await?;
        for (vectors, stored) in vectors.iter_mut().zip(stored) {
            vectors.push(stored.map(|stored| stored.embedding.vector));
        }
    }
    let scored = found.into_iter().zip(vectors);
    Ok(scored.map(|(found, vectors)| score(model_queries, found, vectors)).collect())
}

// Why there are only `found` results, in words.
async fn shortfall(
    library: &Library,
    model: &ModelName,
    found: usize,
    (limited, silent): (usize, usize),
    options: &SimilarOptions,
) -> Result<Hint> {
    let all = library.backend.songs().count(&Filter::all()).await?;
    let mut reasons = Vec::new();
    if all == 0 {
        return Ok(Hint::of("the library is empty: {} adds songs", [Remedy::Scan(Scan::Files)]));
    }
    if !options.filter.is_all() {
        let passing = library.backend.songs().count(&options.filter).await?;
        reasons.push(format!("{passing} of {all} songs pass the filter"));
    }
    if let Some(threshold) = options.threshold {
        reasons.push(format!("only a similarity of {threshold} or more counts"));
    }
    if limited > 0 {
        reasons.push(format!(
            "{limited} were left out as copies or as too many of one artist or album"
        ));
    }
    if silent > 0 {
        reasons.push(format!("{silent} were left out because they are silent"));
    }
    if options.offset > 0 {
        reasons.push(format!("the first {} were passed over", options.offset));
    }
    if reasons.is_empty() {
        reasons.push(format!("these are all that `{model}` embedded in a library of {all}"));
    }
    let found = if found == 0 { "nothing found".to_owned() } else { format!("only {found} found") };
    Ok(format!("{found}: {}", reasons.join("; ")).into())
}

// A model that reads, which can be had anywhere.
pub(crate) fn clap() -> Remedy {
    Remedy::AddModel(Some(("clap".to_owned(), "DIR".to_owned())))
}

fn songs_of(examples: &[EmbeddedExample]) -> impl Iterator<Item = &Song> {
    examples.iter().filter_map(|example| example.song.as_ref())
}

pub(crate) fn model_named(known: &[ModelSpec], name: &str) -> Result<ModelSpec> {
    let named: Vec<&ModelSpec> = known
        .iter()
        .filter(|spec| spec.name.as_str() == name || spec.name.name() == name)
        .collect();
    match named.as_slice() {
        [spec] => Ok((*spec).clone()),
        [] => {
            let error = Error::not_found(format_args!("no song here was embedded by `{name}`"));
            let others: Vec<&str> = known.iter().map(|spec| spec.name.as_str()).collect();
            Err(match others.as_slice() {
                [] => error.with_hint(Hint::of("{} adds songs", [Remedy::Scan(Scan::Files)])),
                others => error.with_hint(Hint::of(
                    "this library knows {}; {} lets another model embed it",
                    [Piece::from(others.join(", ")), Remedy::Scan(Scan::Unembedded(None)).into()],
                )),
            })
        }
        several => {
            // Of a model that is a part of songrec an earlier version may have left others.
            let mut built_in = songrec_models::built_in_models().iter();
            let known = |ours: &ModelSpec| several.iter().find(|spec| spec.name == ours.name);
            if let Some(newest) = built_in.find_map(known) {
                return Ok((*newest).clone());
            }
            let names: Vec<&str> = several.iter().map(|spec| spec.name.as_str()).collect();
            Err(Error::usage(format_args!("`{name}` names several models"))
                .because(format!("they are {}", names.join(", ")))
                .with_hint("name one with its revision; their vectors cannot be compared"))
        }
    }
}

// The models that embedded all examples, each with what it looks for. A model
// that did not is left out, and that is said; with none left, the first one's
// trouble is the answer.
fn model_queries(
    models: Vec<(ModelSpec, f64)>,
    examples: &[EmbeddedExample],
    metric: Option<Metric>,
    notes: &mut Vec<Hint>,
) -> Result<Vec<ModelQuery>> {
    let mut model_queries = Vec::new();
    let mut trouble = None;
    for (spec, weight) in models {
        let metric = metric.unwrap_or(spec.metric);
        fits(examples, &spec)?;
        match combine(examples, &spec.name, metric) {
            Ok(vector) => model_queries.push(ModelQuery { spec, weight, vector, metric }),
            Err(error) => {
                notes.push(format!("`{}` is left out: {error}", spec.name).into());
                trouble.get_or_insert(error);
            }
        }
    }
    match trouble {
        Some(error) if model_queries.is_empty() => Err(error),
        _ => Ok(model_queries),
    }
}

// A vector that a person gave may be of any dimension.
fn fits(examples: &[EmbeddedExample], spec: &ModelSpec) -> Result<()> {
    let vectors = examples.iter().filter_map(|example| example.vectors.get(&spec.name));
    match vectors.into_iter().find(|vector| vector.dimension() != spec.dimension) {
        None => Ok(()),
        Some(vector) => Err(Error::usage(format_args!(
            "a vector of {} values is not one by `{}`",
            vector.dimension(),
            spec.name
        ))
        .with_hint(format!("that model has {} values", spec.dimension))),
    }
}

// Which models did not embed some of the results, in words.
fn unembedded_results(model_queries: &[ModelQuery], results: &[SimilarSong]) -> Vec<Hint> {
    let note = |(at, model_query): (usize, &ModelQuery)| {
        let unembedded =
            |song: &&SimilarSong| song.parts.get(at).is_some_and(|part| part.similarity.is_none());
        let count = results.iter().filter(unembedded).count();
        (count > 0).then(|| {
            let model = model_query.spec.name.to_string();
            let unembedded = format!("{count} of {} were not embedded by `{model}`", results.len());
            Hint::of(
                "{}: the other models alone say how similar they are; {} fills it in",
                [Piece::from(unembedded), Remedy::Scan(Scan::Unembedded(Some(model))).into()],
            )
        })
    };
    model_queries.iter().enumerate().filter_map(note).collect()
}
