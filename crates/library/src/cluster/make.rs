//! Making clusters.

use std::{collections::BTreeMap, str::FromStr};

use rayon::prelude::*;
use songrec_analysis::{self as analysis, Rows};
use songrec_core::{Event, Filter, Hint, Job, ModelName, Remedy, SongId};

use super::{
    Clustering,
    describe::{Groups, describe},
    labels, manage,
    prototypes::Prototypes,
};
use crate::{
    Error, Library, Points, Result,
    attributes::Attributes,
    now,
    points::points,
    sample::{Sample, analysis_failed},
    work::on_cpu,
};

/// Rows that the methods that look at neighbors get at the most; the rule puts the
/// other songs where their nearest prototypes are.
const MOST_FOR_NEIGHBORS: usize = 100_000;
/// Vectors of more values are projected to so many first for those methods: in many
/// dimensions all rows are almost equally far from each other.
const MOST_DIMENSIONS: usize = 48;
/// From so many rows on k-means works in small batches.
const BATCHES_FROM: usize = 300_000;
/// Clusters that k-means makes of many songs.
const USUAL: usize = 12;
/// Rows that are labelled at once.
const READ: usize = 4_096;

/// How songs are grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterMethod {
    /// Around `k` means.
    #[default]
    KMeans,
    /// Where songs lie dense (Ester and others 1996); the others are noise.
    Dbscan,
    /// The same with a density for each cluster (Campello and others 2013).
    Hdbscan,
}

impl ClusterMethod {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KMeans => "kmeans",
            Self::Dbscan => "dbscan",
            Self::Hdbscan => "hdbscan",
        }
    }
}

impl FromStr for ClusterMethod {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        [Self::KMeans, Self::Dbscan, Self::Hdbscan]
            .into_iter()
            .find(|method| method.as_str() == text)
            .ok_or_else(|| "expected `kmeans`, `dbscan` or `hdbscan`".to_owned())
    }
}

/// How many clusters k-means makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClusterCount {
    /// Twelve, or of few songs as many as have three songs each.
    #[default]
    Usual,
    /// As many out of 2 to 20 as are farthest apart, by their silhouette.
    Best,
    /// So many.
    Exactly(usize),
}

impl ClusterCount {
    // The number for so many songs; nothing if it has to be found out.
    fn of(self, songs: usize) -> Option<usize> {
        match self {
            Self::Usual => Some((songs / 3).clamp(2, USUAL)),
            Self::Best => None,
            Self::Exactly(k) => Some(k),
        }
    }
}

/// Which songs are grouped, and how.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    /// How.
    pub method: ClusterMethod,
    /// The number of clusters of k-means.
    pub k: ClusterCount,
    /// How near neighbors are to DBSCAN, as a distance; chosen from the data if it is
    /// not said.
    pub eps: Option<f64>,
    /// How many songs a dense place has, the song itself included.
    pub min_samples: Option<usize>,
    /// How many songs the smallest cluster of HDBSCAN has.
    pub min_size: Option<usize>,
    /// The model; the one that searches use if it is not said.
    pub model: Option<ModelName>,
    /// Which songs.
    pub filter: Filter,
    /// What chance is drawn from.
    pub seed: u64,
    /// Whether to group again although nothing changed.
    pub again: bool,
}

/// What a method found.
struct Found {
    labels: Vec<Option<u32>>,
    clusters: u32,
    /// The means, where the method has them.
    centroids: Option<Vec<f32>>,
    parameters: BTreeMap<String, f64>,
    silhouette: Option<f64>,
}

/// Groups songs that sound alike, and keeps the clusters with the library. Where the
/// clusters that are kept were made in the same way, of the same songs, they are given
/// as they are.
///
/// Costs what [`points`](crate::points()) costs, a page for each thousand songs, and the time of
/// the method: k-means looks at every row some ten times for each cluster. At most
/// 512 MB of vectors are in memory; of larger libraries a sample is grouped, and the
/// rule that this gives puts all songs into clusters.
///
/// Nothing if it was interrupted: then nothing was changed.
///
/// # Errors
///
/// When the library has too few songs, or options mean nothing; those of the library.
pub async fn cluster(
    library: &Library,
    options: &ClusterOptions,
    job: &Job,
) -> Result<Option<Clustering>> {
    // What is kept is the text of the filter, and these songs may be others tomorrow.
    if options.filter.names_groups() {
        return Err(Error::usage("clusters cannot be made of clusters or playlists")
            .with_hint("another filter says which songs are grouped"));
    }
    let state = crate::fresh::state(library, job).await?;
    let asked = asked(options);
    if !options.again
        && let Some(kept) = manage::clustering(library).await?
        && crate::fresh::is_fresh(library, "clusters", &state, &(&asked, kept.rule()))
    {
        return Ok(Some(kept));
    }
    let Some(points) = points(library, options.model.as_ref(), &options.filter, job).await? else {
        return Ok(None);
    };
    let most = match options.method {
        ClusterMethod::KMeans => usize::MAX,
        ClusterMethod::Dbscan | ClusterMethod::Hdbscan => MOST_FOR_NEIGHBORS,
    };
    let Some(sample) = Sample::read(&points, most, job).await? else { return Ok(None) };
    enough(&sample, options)?;
    if sample.is_part() {
        job.on(Event::Note {
            text: &format!(
                "{} of {} songs are grouped; the others go where these are most alike",
                sample.len(),
                sample.of
            ),
        });
    }
    let (options_there, job_there) = (options.clone(), job.clone());
    let grouped = on_cpu(None, move || {
        let found = group(&sample, &options_there, &job_there);
        (sample, found)
    });
    let (sample, found) = grouped.await.map_err(|why| Error::new(crate::ErrorKind::Failed, why))?;
    let found = match found {
        Err(error) if error.kind() == crate::ErrorKind::Interrupted => return Ok(None),
        found => found?,
    };
    if found.clusters == 0 {
        return Err(Error::not_found("no songs lie so dense that they are a cluster").with_hint(
            "ask for smaller or looser clusters, or for another method; those that are \
                        kept stay as they are",
        ));
    }
    let grouped = Grouped { library, options, points: &points, sample: &sample, job };
    let Some((mut clustering, all)) = grouped.clustering(found).await? else { return Ok(None) };
    if let Ok(Some(last)) = manage::clustering(library).await {
        for name in clustering.keep_names(&last, &all) {
            let text = format!("no cluster is like `{name}` any more, so the name is gone");
            job.on(Event::Note { text: &text });
        }
    }
    if job.is_interrupted() {
        return Ok(None);
    }
    manage::store(library, &clustering).await?;
    if options.filter.is_all() {
        labels::keep(library, &clustering, &all);
    }
    crate::fresh::keep(library, "clusters", &state, &(&asked, clustering.rule()));
    Ok(Some(clustering))
}

/// Songs of which a method made groups.
struct Grouped<'a> {
    library: &'a Library,
    options: &'a ClusterOptions,
    points: &'a Points,
    /// Those that the method got.
    sample: &'a Sample,
    job: &'a Job,
}

/// Each song with its cluster, if it is in one.
type Labelled = Vec<(SongId, Option<u32>)>;

impl Grouped<'_> {
    // The rule and the clusters that follow from the groups, and the cluster of every song.
    // Nothing if it was interrupted.
    async fn clustering(&self, found: Found) -> Result<Option<(Clustering, Labelled)>> {
        let Self { library, options, points, sample, job } = self;
        let rows = sample.rows()?;
        let prototypes = match &found.centroids {
            Some(centroids) => Prototypes::of_centroids(centroids, rows.dimension()),
            None => Prototypes::spread(&rows, &found.labels, found.clusters),
        };
        let spec = points.spec();
        let mut clustering = Clustering {
            model: spec.name.clone(),
            metric: spec.metric,
            method: options.method.as_str().to_owned(),
            parameters: found.parameters,
            seed: options.seed,
            filter: options.filter.clone(),
            made_at: now(),
            songs: 0,
            noise: 0,
            silhouette: found.silhouette,
            agreement: 1.0,
            clusters: Vec::new(),
            prototypes,
        };
        let Some(all) = label_all(points, &clustering, job).await? else { return Ok(None) };
        let Some(attributes) = Attributes::read(library, &options.filter, job).await? else {
            return Ok(None);
        };
        clustering.songs = all.len() as u64;
        clustering.noise = all.iter().filter(|(_, cluster)| cluster.is_none()).count() as u64;
        clustering.agreement = agreement(&sample.ids, &found.labels, &all);
        let groups = Groups { rows, ids: &sample.ids, labels: &found.labels };
        clustering.clusters = describe(&groups, &all, found.clusters, &attributes);
        Ok(Some((clustering, all)))
    }
}

// What tells two requests apart.
fn asked(options: &ClusterOptions) -> String {
    let ClusterOptions { method, k, eps, min_samples, min_size, model, filter, seed, again: _ } =
        options;
    let terms: Vec<String> = filter.terms.iter().map(ToString::to_string).collect();
    format!("{method:?} {k:?} {eps:?} {min_samples:?} {min_size:?} {model:?} {terms:?} {seed}")
}

fn enough(sample: &Sample, options: &ClusterOptions) -> Result<()> {
    let found = sample.len();
    let needed = match (options.method, options.k) {
        (ClusterMethod::KMeans, ClusterCount::Exactly(k)) => k.max(2),
        _ => 2,
    };
    if found >= needed {
        return Ok(());
    }
    let of = match options.filter.is_all() {
        true => "",
        false => " that pass the filter",
    };
    let songs = if found == 1 { "is one song" } else { &format!("are {found} songs") };
    Err(Error::not_found(format_args!(
        "clusters need {needed} songs or more; there {songs}{of} with a vector by `{}`",
        sample.spec.name
    ))
    .with_hint(match needed {
        3.. if found >= 2 => Hint::from("ask for fewer clusters"),
        _ => Hint::of("{} embeds songs", [Remedy::Scan(songrec_core::Scan::Files)]),
    }))
}

fn group(sample: &Sample, options: &ClusterOptions, job: &Job) -> Result<Found> {
    let rows = sample.rows()?;
    let mut found = match options.method {
        ClusterMethod::KMeans => by_means(rows, options, job),
        ClusterMethod::Dbscan | ClusterMethod::Hdbscan => by_density(rows, options, job),
    }
    .map_err(analysis_failed)?;
    let labels: Vec<u32> =
        found.labels.iter().map(|label| label.unwrap_or(analysis::NOISE)).collect();
    found.silhouette = match found.clusters {
        0 | 1 => None,
        _ => {
            let asked = analysis::SilhouetteOptions { seed: options.seed, ..Default::default() };
            let found = analysis::silhouette(rows, &labels, &asked, job);
            Some(found.map_err(analysis_failed)?.mean)
        }
    };
    Ok(found)
}

fn by_means(rows: Rows<'_>, options: &ClusterOptions, job: &Job) -> analysis::Result<Found> {
    let k = match options.k.of(rows.len()) {
        Some(k) => k,
        None => {
            let asked = analysis::ChooseKOptions { seed: options.seed, ..Default::default() };
            analysis::choose_k(rows, &asked, job)?.k
        }
    };
    let found = if rows.len() >= BATCHES_FROM {
        let asked = analysis::MiniBatchOptions { k, seed: options.seed, ..Default::default() };
        analysis::mini_batch_kmeans(rows, &asked, job)?
    } else {
        let asked = analysis::KMeansOptions { k, seed: options.seed, ..Default::default() };
        analysis::kmeans(rows, &asked, job)?
    };
    Ok(Found {
        labels: found.labels.into_iter().map(Some).collect(),
        clusters: k as u32,
        centroids: Some(found.centroids),
        parameters: [("k".to_owned(), k as f64), ("inertia".to_owned(), found.inertia)].into(),
        silhouette: None,
    })
}

fn by_density(rows: Rows<'_>, options: &ClusterOptions, job: &Job) -> analysis::Result<Found> {
    let projected;
    let mut parameters = BTreeMap::new();
    let rows = if rows.dimension() > MOST_DIMENSIONS && rows.len() > MOST_DIMENSIONS {
        let components = MOST_DIMENSIONS;
        projected = analysis::Pca::fit(rows, components, job)?.transform(rows)?;
        parameters.insert("components".to_owned(), components as f64);
        Rows::new(&projected, components)?
    } else {
        rows
    };
    let labels = match options.method {
        ClusterMethod::Dbscan => {
            let min_samples = options.min_samples.unwrap_or(5);
            let eps = match options.eps {
                Some(eps) => eps,
                None => analysis::suggest_eps(rows, min_samples, options.seed, job)?,
            };
            parameters.insert("eps".to_owned(), eps);
            parameters.insert("min_samples".to_owned(), min_samples as f64);
            let asked = analysis::DbscanOptions { eps, min_samples };
            analysis::dbscan(rows, &asked, job)?
        }
        _ => {
            // A cluster is something in fifty songs, and five of few.
            let min_size = options.min_size.unwrap_or((rows.len() / 50).clamp(5, 100));
            let min_samples = options.min_samples.unwrap_or(5);
            parameters.insert("min_size".to_owned(), min_size as f64);
            parameters.insert("min_samples".to_owned(), min_samples as f64);
            let asked = analysis::HdbscanOptions { min_cluster_size: min_size, min_samples };
            analysis::hdbscan(rows, &asked, job)?.labels
        }
    };
    let clusters =
        labels.iter().filter(|one| **one != analysis::NOISE).max().map_or(0, |most| most + 1);
    let labels = labels.into_iter().map(|one| (one != analysis::NOISE).then_some(one)).collect();
    Ok(Found { labels, clusters, centroids: None, parameters, silhouette: None })
}

async fn label_all(
    points: &Points,
    clustering: &Clustering,
    job: &Job,
) -> Result<Option<Labelled>> {
    let ids = points.ids().await?;
    let mut all = Vec::with_capacity(ids.len());
    for ids in ids.chunks(READ) {
        if job.is_interrupted() {
            return Ok(None);
        }
        let rows = points.rows(ids).await?;
        let labelled = ids.par_iter().zip(&rows);
        let labelled =
            labelled.filter_map(|(id, row)| Some((*id, clustering.label(row.as_deref()?))));
        all.extend(labelled.collect::<Vec<_>>());
    }
    Ok(Some(all))
}

// The part of the rows that the rule puts where the method put them. Both are in the
// order of the ids.
fn agreement(ids: &[SongId], labels: &[Option<u32>], all: &[(SongId, Option<u32>)]) -> f64 {
    let mut all = all.iter();
    let agree = ids.iter().zip(labels).filter(|(id, label)| {
        all.find(|(song, _)| song == *id).is_some_and(|(_, cluster)| cluster == *label)
    });
    agree.count() as f64 / ids.len().max(1) as f64
}
