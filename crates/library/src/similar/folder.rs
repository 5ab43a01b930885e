//! A folder to be like: the center of the songs in it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use songrec_core::{Hint, Metric, ModelName, ModelSpec, Remedy, Scan, Song, SongId, Vector};
use songrec_storage::SongQuery;

use crate::{Error, Library, Result};

/// Songs and embeddings that are read at once.
const PAGE: usize = 500;

/// What stands for all songs of a folder.
#[derive(Debug)]
pub(super) struct Center {
    /// The folder's name, and how many songs it has.
    pub(super) title: String,
    pub(super) songs: Vec<SongId>,
    pub(super) vectors: BTreeMap<ModelName, Vector>,
    /// Why models embedded none of them.
    pub(super) unembedded: BTreeMap<ModelName, Error>,
}

/// The center of the songs of the library in a folder and in those below it: for each
/// model the mean of what it embedded them as, each as a direction where only directions
/// count. Costs reading all songs of the library, page by page, and the embeddings of
/// those in the folder.
///
/// # Errors
///
/// `NotFound` if there is no folder, or none of its files is in the library.
pub(super) async fn center_of(
    library: &Library,
    folder: &Path,
    models: &[ModelName],
) -> Result<Center> {
    let whole = folder.canonicalize().map_err(|error| Error::io("read", folder, error))?;
    let songs = songs_below(library, &whole).await?;
    if songs.is_empty() {
        return Err(Error::not_found(format_args!(
            "no song of the library lies in `{}`",
            folder.display()
        ))
        .with_hint(Hint::of("{} adds songs", [Remedy::Scan(Scan::Files)])));
    }
    let known = library.backend().embeddings().models().await?;
    let (mut vectors, mut unembedded) = (BTreeMap::new(), BTreeMap::new());
    for spec in known.iter().filter(|spec| models.contains(&spec.name)) {
        match mean(library, spec, &songs).await? {
            Some(vector) => _ = vectors.insert(spec.name.clone(), vector),
            None => {
                let scan = Scan::Unembedded(Some(spec.name.to_string()));
                let error = Error::not_found(format_args!(
                    "`{}` embedded no song in `{}`",
                    spec.name,
                    folder.display()
                ));
                let error = error.with_hint(Hint::of("{} lets it", [Remedy::Scan(scan)]));
                unembedded.insert(spec.name.clone(), error);
            }
        }
    }
    let name = whole.file_name().map_or(whole.as_path(), Path::new);
    let count = match songs.len() {
        1 => "1 song".to_owned(),
        several => format!("{several} songs"),
    };
    Ok(Center { title: format!("{} ({count})", name.display()), songs, vectors, unembedded })
}

async fn songs_below(library: &Library, folder: &Path) -> Result<Vec<SongId>> {
    let mut members = Vec::new();
    let mut query = SongQuery { limit: PAGE, ..SongQuery::default() };
    loop {
        let page = library.backend().songs().find(&query).await?;
        let below = page.items.iter().filter(|song| is_below(library, song, folder));
        members.extend(below.map(|song| song.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
    }
    // The sum does not depend on the order in which songs are listed.
    members.sort_unstable();
    members.dedup();
    Ok(members)
}

fn is_below(library: &Library, song: &Song, folder: &Path) -> bool {
    let mut files = song.files.iter().map(|file| library.file_path(&file.path));
    files.any(|file: PathBuf| file.starts_with(folder))
}

// The mean of what the model embedded the songs as; nothing if it embedded none, or if
// they cancel each other out.
async fn mean(library: &Library, spec: &ModelSpec, songs: &[SongId]) -> Result<Option<Vector>> {
    let mut sum = vec![0.0f64; spec.dimension];
    let mut count = 0u32;
    for ids in songs.chunks(PAGE) {
        let stored = library.backend().embeddings().get(&spec.name, ids).await?;
        for vector in stored.into_iter().flatten().map(|stored| stored.embedding.vector) {
            let length = if spec.metric == Metric::Cosine { vector.norm() } else { 1.0 };
            if vector.dimension() != sum.len() || length == 0.0 {
                continue;
            }
            count += 1;
            for (sum, value) in sum.iter_mut().zip(vector.values()) {
                *sum += f64::from(*value) / length;
            }
        }
    }
    let mean = sum.into_iter().map(|value| (value / f64::from(count)) as f32).collect();
    Ok(Vector::new(mean).ok().filter(|mean| spec.metric != Metric::Cosine || mean.norm() > 1e-6))
}
