//! How good the neighbors of a library are: by its models, side by side.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use songrec_analysis::{self as analysis, Estimate, Rows};
use songrec_core::{
    Digest, Filter, Group, Hint, Job, Metric, ModelName, ModelSpec, Remedy, SongId,
};

use crate::{
    Blend, Error, ErrorKind, Library, Property, Result,
    attributes::{Attributes, SongAttributes, Text},
    cluster, fresh,
    points::points,
    sample::{Sample, analysis_failed},
    work::on_cpu,
};

/// Where bands of cosine distances end: those that the first of the systems that
/// songrec follows named.
const COSINE_BANDS: [f64; 3] = [0.1, 0.2, 0.3];
/// Confusions that are given, at the most.
const CONFUSIONS: usize = 10;

/// What is measured, and of what.
#[derive(Clone, Debug)]
pub struct EvalOptions {
    /// Songs are right for each other if they have the same of this.
    pub by: Property,
    /// Songs that have the same of this do not count as neighbors.
    pub not_same: Option<Property>,
    /// The models, with or without revisions; the one that searches use if there are
    /// none, and no blend.
    pub models: Vec<String>,
    /// Several models together, as one more.
    pub blend: Option<Blend>,
    /// Which songs.
    pub filter: Filter,
    /// How many songs are asked for their neighbors, at the most.
    pub queries: usize,
    /// What chance is drawn from.
    pub seed: u64,
}

/// How good the neighbors are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    /// What makes songs right for each other.
    pub by: Property,
    /// What does not count as a neighbor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_same: Option<Property>,
    /// Songs that have vectors by all models.
    pub songs: u64,
    /// Those of them of which it is known what makes them right for others.
    pub labelled: u64,
    /// How many of these were asked for their neighbors.
    pub queries: u64,
    /// What chance would get at any number of neighbors.
    pub chance: f64,
    /// Each model, in the order in which they were named.
    pub models: Vec<ModelEval>,
}

/// How good the neighbors by one model are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelEval {
    /// The model, or the blend.
    pub model: String,
    /// The part of the nearest song, of the 5 and of the 10 nearest, that is right.
    pub precision_at_1: Measured,
    #[expect(missing_docs, reason = "see above")]
    pub precision_at_5: Measured,
    #[expect(missing_docs, reason = "see above")]
    pub precision_at_10: Measured,
    /// Mean average precision over the ranking of all songs.
    pub map: Measured,
    /// Its precision at 5 less that of the first model, over the same queries; nothing
    /// for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Measured>,
    /// How many of the ten nearest are right, by how far they are.
    pub bands: Vec<Band>,
    /// Which kind is mistaken for which, by the nearest song.
    pub confusions: Vec<Confusion>,
}

/// A mean over queries with its 95 % interval (bootstrap over the queries).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The mean, 0 to 1.
    pub mean: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl From<Estimate> for Measured {
    fn from(of: Estimate) -> Self {
        Self { mean: of.mean, low: of.low, high: of.high }
    }
}

/// Neighbors in a range of distances.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Band {
    /// The least distance, in the unit of the model.
    pub from: f64,
    /// The distance that all are below; nothing for the last band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<f64>,
    /// How many of the neighbors are in it.
    pub neighbors: u64,
    /// The part of them that is right; nothing in an empty band.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<f64>,
}

/// How often the nearest neighbor of one kind of songs is of another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// The kind of the songs.
    pub of: String,
    /// That of their nearest neighbors.
    pub with: String,
    /// How often.
    pub count: u64,
}

/// One model, or a blend of several, with a row for every song.
struct Contestant {
    name: String,
    /// The metric of distances; nothing for a blend of several.
    metric: Metric,
    values: Vec<f32>,
    dimension: usize,
}

/// Asks songs for their neighbors by each model and counts how many are right. All
/// models are asked by the same songs, and rank the same ones.
///
/// Answers are kept on this machine until songs or clusters change. Rankings are exact.
/// Costs what [`points`](crate::points()) costs for each model, a page for each
/// thousand songs, and a comparison of every query with every song for each model.
/// Nothing if it was interrupted.
///
/// # Errors
///
/// When a model embedded no songs, or no two songs are known to be right for each
/// other; for a property that is not one of [`Property::MEASURED_BY`]; those of the
/// library.
pub async fn evaluate(library: &Library, options: &EvalOptions, job: &Job) -> Result<Option<Eval>> {
    for property in [Some(options.by), options.not_same].into_iter().flatten() {
        property.check(&Property::MEASURED_BY)?;
    }
    let state = fresh::state(library, job).await?;
    let request = request(library, options).await?;
    let kept = fresh::answer(library, "eval", &state, &request);
    if let Some(kept) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(Some(kept));
    }
    let Some((ids, contestants)) = contestants(library, options, job).await? else {
        return Ok(None);
    };
    let Some(attributes) = Attributes::read(library, &options.filter, job).await? else {
        return Ok(None);
    };
    let mut kinds = Kinds { names: Vec::new(), numbers: BTreeMap::new() };
    let by = ByKind { library, attributes: &attributes, job };
    let Some(classes) = by.classes(options.by, &ids, &mut kinds).await? else { return Ok(None) };
    let mut groups = None;
    if let Some(not_same) = options.not_same {
        let Some(same) = by.classes(not_same, &ids, &mut kinds).await? else { return Ok(None) };
        let group = |classes: Vec<u32>| classes.first().copied().unwrap_or(analysis::NO_GROUP);
        groups = Some(same.into_iter().map(group).collect::<Vec<u32>>());
    }
    let labelled = classes.iter().filter(|classes| !classes.is_empty()).count();
    if labelled < 2 {
        return Err(nothing_known(options.by, labelled));
    }
    let (asked, there) = (options.clone(), job.clone());
    let measured = on_cpu(None, move || {
        let mut all = Vec::new();
        for contestant in &contestants {
            let rows = Rows::new(&contestant.values, contestant.dimension.max(1));
            let evaluation = analysis::evaluate(
                rows.map_err(analysis_failed)?,
                &classes,
                &analysis::EvaluationOptions {
                    groups: groups.as_deref(),
                    queries: asked.queries,
                    seed: asked.seed,
                    ..Default::default()
                },
                &there,
            );
            all.push((
                contestant.name.clone(),
                contestant.metric,
                match evaluation {
                    Err(analysis::Error::TooFew { .. }) => return Err(nothing_known(asked.by, 2)),
                    evaluation => evaluation.map_err(analysis_failed)?,
                },
            ));
        }
        Ok(all)
    });
    let measured = match measured.await.map_err(|why| Error::new(ErrorKind::Failed, why))? {
        Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(None),
        measured => measured?,
    };
    let found = report(options, ids.len(), labelled, &measured, &kinds);
    let answer = serde_json::to_vec(&found).unwrap_or_default();
    fresh::keep_answer(library, "eval", &state, &request, &answer);
    Ok(Some(found))
}

// What tells two requests apart, with the clusters where these count, and the songs of
// groups that the filter names.
async fn request(library: &Library, options: &EvalOptions) -> Result<String> {
    let EvalOptions { by, not_same, models, blend, filter, queries, seed } = options;
    let terms: Vec<String> = filter.terms.iter().map(ToString::to_string).collect();
    let of_group = |group: &Group| {
        let songs = group.songs.iter().flat_map(|songs| songs.as_slice());
        Digest::of(&songs.flat_map(|song| *song.as_bytes()).collect::<Vec<u8>>()).to_string()
    };
    let groups: Vec<String> = filter.groups().map(of_group).collect();
    let clusters = match [Some(*by), *not_same].contains(&Some(Property::Cluster)) {
        true => cluster::clustering(library).await?.map(|clustering| clustering.made_of()),
        false => None,
    };
    let model = library.search_model().await?;
    Ok(format!(
        "{by:?} {not_same:?} {models:?} {model} {blend:?} {terms:?} {queries} {seed} {clusters:?} \
         {groups:?}"
    ))
}

fn report(
    options: &EvalOptions,
    songs: usize,
    labelled: usize,
    measured: &[(String, Metric, analysis::Evaluation)],
    kinds: &Kinds,
) -> Eval {
    let resamples = analysis::EvaluationOptions::default().resamples;
    let estimate =
        |values: &[f64]| Measured::from(analysis::estimate(values, resamples, options.seed));
    let first = measured.first().map(|(_, _, evaluation)| evaluation);
    let models = measured.iter().enumerate().map(|(number, (name, metric, evaluation))| {
        let [at_1, at_5, at_10] = &evaluation.precision;
        let difference = first.filter(|_| number > 0).map(|first| {
            let pairs = at_5.iter().zip(&first.precision[1]);
            estimate(&pairs.map(|(own, other)| own - other).collect::<Vec<f64>>())
        });
        let confusions = evaluation.confusions.iter().take(CONFUSIONS);
        ModelEval {
            model: name.clone(),
            precision_at_1: estimate(at_1),
            precision_at_5: estimate(at_5),
            precision_at_10: estimate(at_10),
            map: estimate(&evaluation.average_precision),
            difference,
            bands: bands(*metric, &evaluation.pairs),
            confusions: confusions
                .map(|(of, with, count)| Confusion {
                    of: kinds.name(*of),
                    with: kinds.name(*with),
                    count: *count,
                })
                .collect(),
        }
    });
    let chance = first.map(|first| estimate(&first.chance).mean).unwrap_or_default();
    Eval {
        by: options.by,
        not_same: options.not_same,
        songs: songs as u64,
        labelled: labelled as u64,
        queries: first.map_or(0, |first| first.queries.len() as u64),
        chance,
        models: models.collect(),
    }
}

// Of cosine distances the ranges that people know, of others four with as many
// neighbors each.
fn bands(metric: Metric, pairs: &[analysis::Pair]) -> Vec<Band> {
    let distance = |pair: &analysis::Pair| {
        let euclidean = f64::from(pair.distance);
        // Of vectors of length 1.
        if metric == Metric::Cosine { euclidean * euclidean / 2.0 } else { euclidean }
    };
    let ends: Vec<f64> = match metric {
        Metric::Cosine => COSINE_BANDS.to_vec(),
        _ => {
            let mut all: Vec<f64> = pairs.iter().map(distance).collect();
            all.sort_by(f64::total_cmp);
            let mut ends: Vec<f64> = [1, 2, 3]
                .iter()
                .filter_map(|part| all.get(all.len() * part / 4).copied())
                .collect();
            ends.dedup();
            ends
        }
    };
    (0..=ends.len())
        .map(|number| {
            let from = if number == 0 { 0.0 } else { ends[number - 1] };
            let to = ends.get(number).copied();
            let is_in = |pair: &&analysis::Pair| {
                let distance = distance(pair);
                (number == 0 || distance >= from) && to.is_none_or(|to| distance < to)
            };
            let neighbors = pairs.iter().filter(is_in).count() as u64;
            let right = pairs.iter().filter(is_in).filter(|pair| pair.right).count();
            Band {
                from,
                to,
                neighbors,
                right: (neighbors > 0).then(|| right as f64 / neighbors as f64),
            }
        })
        .collect()
}

fn nothing_known(by: Property, found: usize) -> Error {
    let why = match found {
        0 => format!("no song has a known {}", by.as_str()),
        1 => format!("only one song has a known {}", by.as_str()),
        _ => format!("no two songs that may be neighbors have the same {}", by.as_str()),
    };
    Error::not_found(why).with_hint(match by {
        Property::Cluster => Hint::of("{} makes clusters", [Remedy::Cluster]),
        Property::Genre => Hint::from(
            "measure by another property, or give songs genres: by their tags, by hand, or by \
             the names of their folders when they are scanned",
        ),
        _ => Hint::from("measure by another property"),
    })
}

/// The names of kinds of songs.
struct Kinds {
    names: Vec<String>,
    numbers: BTreeMap<String, u32>,
}

impl Kinds {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn name(&self, number: u32) -> String {
        self.names.get(number as usize).cloned().unwrap_or_default()
    }
}

struct ByKind<'a> {
    library: &'a Library,
    attributes: &'a Attributes,
    job: &'a Job,
}

impl ByKind<'_> {
    // The kinds of each song; nothing if it was interrupted.
    async fn classes(
        &self,
        by: Property,
        ids: &[SongId],
        kinds: &mut Kinds,
    ) -> Result<Option<Vec<Vec<u32>>>> {
        if by == Property::Cluster {
            return self.clusters(ids, kinds).await;
        }
        let one = |text: &Option<Text>| text.iter().copied().collect::<Vec<Text>>();
        let of = |song: &SongAttributes| match by {
            Property::Genre => song.genres.clone(),
            Property::Instrument => one(&song.instrument),
            Property::Artist => one(&song.artist),
            Property::Album => one(&song.album),
            Property::Folder => one(&song.folder),
            // Found otherwise, or refused.
            Property::Cluster | Property::Key | Property::Bpm | Property::Anomaly => Vec::new(),
        };
        let classes = ids.iter().map(|id| {
            let texts = self.attributes.of(*id).map(of).unwrap_or_default();
            // Genres are compared as filters compare them.
            let mut numbers: Vec<u32> = texts
                .into_iter()
                .map(|text| kinds.number(&songrec_core::fold(self.attributes.text(text))))
                .collect();
            numbers.dedup();
            numbers
        });
        Ok(Some(classes.collect()))
    }

    async fn clusters(&self, ids: &[SongId], kinds: &mut Kinds) -> Result<Option<Vec<Vec<u32>>>> {
        let clustering = cluster::clustering(self.library).await?;
        let Some(clustering) = clustering else { return Err(nothing_known(Property::Cluster, 0)) };
        let Some(labels) = cluster::labels(self.library, &clustering, self.job).await? else {
            return Ok(None);
        };
        let name = |id: u32| {
            let cluster = clustering.clusters.iter().find(|cluster| cluster.id == id);
            cluster.map(|cluster| cluster.name.clone()).unwrap_or_default()
        };
        let classes = ids.iter().map(|id| {
            labels.of(*id).map(|cluster| kinds.number(&name(cluster))).into_iter().collect()
        });
        Ok(Some(classes.collect()))
    }
}

// The models that are compared, each with a row for every song that all embedded.
async fn contestants(
    library: &Library,
    options: &EvalOptions,
    job: &Job,
) -> Result<Option<(Vec<SongId>, Vec<Contestant>)>> {
    let mut names: Vec<ModelName> = Vec::new();
    for name in &options.models {
        names.push(crate::find_model(library, name).await?.name);
    }
    if names.is_empty() && options.blend.is_none() {
        names.push(library.search_model().await?);
    }
    let mut blended: Vec<(ModelSpec, f64)> = Vec::new();
    for (name, weight) in options.blend.iter().flat_map(|blend| blend.parts()) {
        let spec = crate::find_model(library, name).await?;
        if spec.metric != Metric::Cosine {
            return Err(Error::usage(format_args!(
                "`{}` compares by {}, and only models that compare by cosine are evaluated together",
                spec.name, spec.metric
            ))
            .with_hint("leave it out of the blend, and name it as a model of its own"));
        }
        blended.push((spec, *weight));
    }
    let mut needed = names.clone();
    needed.extend(blended.iter().map(|(spec, _)| spec.name.clone()));
    needed.sort();
    needed.dedup();
    let mut samples: BTreeMap<ModelName, Sample> = BTreeMap::new();
    for name in needed {
        let Some(points) = points(library, Some(&name), &options.filter, job).await? else {
            return Ok(None);
        };
        let Some(sample) = Sample::read(&points, usize::MAX, job).await? else { return Ok(None) };
        samples.insert(name, sample);
    }
    let mut ids: Vec<SongId> = Vec::new();
    for (number, sample) in samples.values().enumerate() {
        match number {
            0 => ids.clone_from(&sample.ids),
            _ => ids.retain(|id| sample.ids.binary_search(id).is_ok()),
        }
    }
    if ids.len() < 2 {
        return Err(Error::not_found(format_args!(
            "{} songs have vectors by all of these models",
            ids.len()
        ))
        .with_hint(Hint::of(
            "{} embeds songs that lack some",
            [Remedy::Scan(songrec_core::Scan::Unembedded(None))],
        )));
    }
    let mut contestants: Vec<Contestant> = Vec::new();
    for name in &names {
        let sample = &samples[name];
        contestants.push(Contestant {
            name: name.to_string(),
            metric: sample.spec.metric,
            values: values_of(sample, &ids, 1.0),
            dimension: sample.spec.dimension,
        });
    }
    if !blended.is_empty() {
        contestants.push(blend_of(&blended, &samples, &ids));
    }
    Ok(Some((ids, contestants)))
}

// The weighted mean of cosines is the cosine of vectors that stand one after the other,
// each times the root of its weight.
fn blend_of(
    blended: &[(ModelSpec, f64)],
    samples: &BTreeMap<ModelName, Sample>,
    ids: &[SongId],
) -> Contestant {
    let all: f64 = blended.iter().map(|(_, weight)| weight).sum();
    let parts: Vec<(usize, Vec<f32>)> = blended
        .iter()
        .map(|(spec, weight)| {
            let scale = (weight / all).max(0.0).sqrt() as f32;
            (spec.dimension, values_of(&samples[&spec.name], ids, scale))
        })
        .collect();
    let dimension = parts.iter().map(|(dimension, _)| dimension).sum();
    let mut values = Vec::with_capacity(ids.len() * dimension);
    for row in 0..ids.len() {
        for (dimension, part) in &parts {
            values.extend_from_slice(&part[row * dimension..][..*dimension]);
        }
    }
    let names: Vec<String> =
        blended.iter().map(|(spec, weight)| format!("{}={weight}", spec.name)).collect();
    Contestant { name: names.join(","), metric: Metric::Cosine, values, dimension }
}

fn values_of(sample: &Sample, ids: &[SongId], scale: f32) -> Vec<f32> {
    let mut values = Vec::with_capacity(ids.len() * sample.spec.dimension);
    for id in ids {
        if let Ok(at) = sample.ids.binary_search(id) {
            values.extend(sample.row(at).iter().map(|value| value * scale));
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted_in_bands() {
        let pair =
            |cosine: f64, right| analysis::Pair { distance: (2.0 * cosine).sqrt() as f32, right };
        let pairs = [pair(0.05, true), pair(0.08, true), pair(0.15, false), pair(0.5, true)];

        let bands = bands(Metric::Cosine, &pairs);

        let counts: Vec<_> = bands.iter().map(|band| (band.neighbors, band.right)).collect();
        assert_eq!(counts, [(2, Some(1.0)), (1, Some(0.0)), (0, None), (1, Some(1.0))]);
        assert_eq!((bands[0].to, bands[3].to), (Some(0.1), None));
    }
}
