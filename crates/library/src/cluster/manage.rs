//! The clusters that a library keeps.

use songrec_core::{
    Document, DocumentKind, Filter, GroupKind, Hint, Job, Remedy, Song, SongId, SongSummary,
};
use songrec_storage::{Outcome, PutDocument, PutMode, StoredEmbedding};

use super::{Cluster, Clustering, labels::labels};
use crate::{Error, ErrorKind, Library, Result, now};

/// The id of the document; a library has one clustering.
const ID: &str = "clusters";
/// How often a write is tried again that lost a race.
const ROUNDS: usize = 5;
/// Songs of a cluster that are put in order.
const ORDERED: usize = 2_000;
/// Vectors that are read at once.
const READ: usize = 500;
/// Names of clusters in an error, at the most.
const NAMED: usize = 12;

/// The clustering that the library keeps.
///
/// # Errors
///
/// Those of the library; `Corrupt` for one that cannot be read.
pub async fn clustering(library: &Library) -> Result<Option<Clustering>> {
    match stored(library).await?.filter(|document| !document.deleted) {
        None => Ok(None),
        Some(document) => Ok(Some(Clustering::of_body(document.body)?)),
    }
}

async fn stored(library: &Library) -> Result<Option<Document>> {
    let ids = [ID.to_owned()];
    let found = library.backend().documents().get(DocumentKind::Clustering, &ids).await?;
    Ok(found.into_iter().flatten().next())
}

/// Stores a clustering in place of the one that is kept.
pub(super) async fn store(library: &Library, clustering: &Clustering) -> Result<()> {
    let body = clustering.to_body()?;
    change(library, |_| Ok(Some(body.clone()))).await
}

// Stores what `body` makes of the clustering that is kept; nothing stands for its
// removal.
async fn change(
    library: &Library,
    body: impl Fn(Option<&Document>) -> Result<Option<serde_json::Value>>,
) -> Result<()> {
    for _ in 0..ROUNDS {
        let old = stored(library).await?;
        let body = body(old.as_ref().filter(|document| !document.deleted))?;
        let (document, mode) = match (&old, body) {
            (None, None) => return Err(none_kept()),
            (None, Some(body)) => {
                let kind = DocumentKind::Clustering;
                (Document::new(kind, ID, body, now()), PutMode::Create)
            }
            (Some(old), Some(body)) => {
                (old.saying(body, now()), PutMode::Replace(old.revision.operation))
            }
            (Some(old), None) => (old.deleted(now()), PutMode::Replace(old.revision.operation)),
        };
        let put = PutDocument { document, mode };
        let outcomes = library.backend().documents().put(&[put]).await?;
        if outcomes.iter().all(Outcome::is_done) {
            return Ok(());
        }
    }
    Err(Error::new(ErrorKind::Temporary, "others keep changing the clusters of this library")
        .with_hint("try again"))
}

/// Gives a cluster another name.
///
/// # Errors
///
/// `NotFound` if there is no such cluster, `Usage` for a name that means another
/// cluster, or nothing.
pub async fn rename_cluster(library: &Library, cluster: &str, name: &str) -> Result<Cluster> {
    let name = name.trim();
    if songrec_core::words(name).is_empty() || name.parse::<u32>().is_ok() {
        return Err(Error::usage(format_args!("`{name}` is no name for a cluster"))
            .with_hint("a name has a letter, such as `dark pads`"));
    }
    let renamed = std::sync::Mutex::new(None);
    change(library, |old| {
        let old = old.ok_or_else(none_kept)?;
        let mut clustering = Clustering::of_body(old.body.clone())?;
        let id = found(&clustering, cluster)?.id;
        if let Some(other) = clustering.named(name).filter(|other| other.id != id) {
            return Err(Error::usage(format_args!(
                "cluster {} is called `{}` already",
                other.id, other.name
            )));
        }
        for one in clustering.clusters.iter_mut().filter(|one| one.id == id) {
            name.clone_into(&mut one.name);
            one.named_by_hand = true;
            *renamed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(one.clone());
        }
        Ok(Some(clustering.to_body()?))
    })
    .await?;
    let renamed = renamed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    renamed.ok_or_else(none_kept)
}

/// Removes the clusters; songs stay as they are.
///
/// # Errors
///
/// `NotFound` if there are none.
pub async fn remove_clusters(library: &Library) -> Result<()> {
    change(library, |old| match old {
        None => Err(none_kept()),
        Some(_) => Ok(None),
    })
    .await
}

/// The cluster of this number or name, with the clustering it is of.
///
/// # Errors
///
/// `NotFound` if there is none.
pub async fn cluster_named(library: &Library, name: &str) -> Result<(Clustering, Cluster)> {
    let clustering = clustering(library).await?.ok_or_else(none_kept)?;
    let cluster = found(&clustering, name)?.clone();
    Ok((clustering, cluster))
}

/// The songs of a cluster, the most typical first: of the first 2,000 those that are
/// nearest to a prototype. Costs what [`labels`](super::labels()) costs, and reading these
/// vectors. Nothing if it was interrupted.
///
/// # Errors
///
/// Those of the library.
pub async fn cluster_songs(
    library: &Library,
    clustering: &Clustering,
    cluster: u32,
    job: &Job,
) -> Result<Option<Vec<SongId>>> {
    let Some(labels) = labels(library, clustering, job).await? else { return Ok(None) };
    let songs = labels.songs_of(&[cluster]);
    let songs = songs.as_slice();
    let (ordered, rest) = songs.split_at(songs.len().min(ORDERED));
    let mut near: Vec<(f32, SongId)> = Vec::with_capacity(ordered.len());
    for ids in ordered.chunks(READ) {
        if job.is_interrupted() {
            return Ok(None);
        }
        let stored = library.backend().embeddings().get(&clustering.model, ids).await?;
        near.extend(ids.iter().zip(stored).map(|(id, stored)| {
            let vector = stored.map(|stored| stored.embedding.vector);
            let distance = vector.and_then(|vector| clustering.distance(vector.values()));
            (distance.unwrap_or(f32::INFINITY), *id)
        }));
    }
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let near = near.into_iter().map(|(_, id)| id);
    Ok(Some(near.chain(rest.iter().copied()).collect()))
}

/// The clusters of some songs, of each that is in one. Costs a request where the library
/// has no clusters, and one more for each hundred songs where it has some.
///
/// # Errors
///
/// Those of the library.
pub async fn clusters_of(library: &Library, songs: &[Song]) -> Result<Vec<Option<Cluster>>> {
    let Some(clustering) = clustering(library).await? else { return Ok(vec![None; songs.len()]) };
    let ids: Vec<SongId> = songs.iter().map(|song| song.id).collect();
    let stored = library.backend().embeddings().get(&clustering.model, &ids).await?;
    let passes = |song: &Song| {
        clustering.filter.is_all() || clustering.filter.passes(&SongSummary::of(song))
    };
    let cluster = |(song, stored): (&Song, Option<StoredEmbedding>)| {
        let stored = stored.filter(|_| passes(song))?;
        clustering.cluster_of(stored.embedding.vector.values()).cloned()
    };
    Ok(songs.iter().zip(stored).map(cluster).collect())
}

/// The same filter, with the songs of each cluster that it names. Costs nothing for
/// a filter that names none, and for others what [`labels`](super::labels()) costs.
///
/// # Errors
///
/// `NotFound` if there are no clusters, or none of such a name; `Interrupted`; those
/// of the library.
pub(crate) async fn with_clusters(library: &Library, filter: Filter, job: &Job) -> Result<Filter> {
    if !filter.lacks(GroupKind::Cluster) {
        return Ok(filter);
    }
    let clustering = clustering(library).await?.ok_or_else(none_kept)?;
    // A name that is wrong is said before anything is read.
    let ids_of = |names: &[String]| -> Result<Vec<u32>> {
        match names {
            [] => Ok(clustering.clusters.iter().map(|cluster| cluster.id).collect()),
            names => names.iter().map(|name| Ok(found(&clustering, name)?.id)).collect(),
        }
    };
    filter.clone().with_groups(GroupKind::Cluster, |names| {
        ids_of(names).map(|_| songrec_core::SongSet::default())
    })?;
    let Some(labels) = labels(library, &clustering, job).await? else {
        return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
    };
    filter.with_groups(GroupKind::Cluster, |names| Ok(labels.songs_of(&ids_of(names)?)))
}

fn found<'a>(clustering: &'a Clustering, name: &str) -> Result<&'a Cluster> {
    clustering.named(name).ok_or_else(|| {
        let names: Vec<String> = clustering
            .clusters
            .iter()
            .take(NAMED)
            .map(|cluster| format!("{} `{}`", cluster.id, cluster.name))
            .collect();
        let more = clustering.clusters.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        Error::not_found(format_args!("there is no cluster `{name}`"))
            .with_hint(format!("there are {}{more}", names.join(", ")))
    })
}

fn none_kept() -> Error {
    Error::not_found("this library has no clusters")
        .with_hint(Hint::of("{} makes some", [Remedy::Cluster]))
}
