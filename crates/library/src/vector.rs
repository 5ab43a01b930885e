//! How a model embedded a song.

use songrec_core::{Hint, ModelSpec, Remedy, Scan, Song, SongSummary, Vector};

use crate::{Error, Library, Result, similar::model_named};

/// How the model called `model` embedded `song`, or the model that searches compare by.
///
/// # Errors
///
/// `NotFound` if it did not, or there is no such model.
pub async fn vector_of(
    library: &Library,
    song: &Song,
    model: Option<&str>,
) -> Result<(ModelSpec, Vector)> {
    let known = library.backend().embeddings().models().await?;
    let usual = library.model_among(&known).await?;
    let spec = model_named(&known, model.unwrap_or(&usual))?;
    let stored = library.backend().embeddings().get(&spec.name, &[song.id]).await?;
    match stored.into_iter().flatten().next() {
        Some(stored) => Ok((spec, stored.embedding.vector)),
        None => {
            let title = SongSummary::of(song).title;
            let unembedded = Some(spec.name.to_string());
            Err(Error::not_found(format_args!("`{title}` was not embedded by `{}`", spec.name))
                .with_hint(Hint::of(
                    "{} lets it embed all songs",
                    [Remedy::Scan(Scan::Unembedded(unembedded))],
                )))
        }
    }
}
