use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use songrec_core::Song;
use songrec_library::{Distance, Error, ErrorKind, Library};
use songrec_storage::StorageBackendExt;

use crate::{
    args::{GetArgs, UrlArgs},
    commands::pair,
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: GetArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let song = library.song(&args.song).await?;
    let get = async |library: &Library, song: &Song| {
        library.get_audio(song, &args.to, &context.job.interrupt, &*context.job.progress).await
    };
    let path = match get(&library, &song).await {
        Err(error) if error.kind() == ErrorKind::NotFound && is_elsewhere(&library, &song) => {
            let Some((name, shared)) = shared(context).await? else { return Err(error.into()) };
            let Some(song) = shared.backend().get_song(song.id).await.map_err(Error::from)? else {
                return Err(error.into());
            };
            context.printer.say(format!("its audio is not here; fetching it from `{name}`"));
            get(&shared, &song).await?
        }
        got => got?,
    };
    if context.printer.json {
        context.printer.json(&json!({ "id": song.id, "path": path }))?;
    } else {
        context.printer.line(path.display().to_string())?;
    }
    Ok(ExitStatus::Done)
}

pub(super) async fn url(context: &Context, args: UrlArgs) -> Result<ExitStatus> {
    let library = context.library_with(context.config([])?).await?;
    let mut song = library.song(&args.song).await?;
    let mut library = library;
    if is_elsewhere(&library, &song)
        && let Some((_, shared)) = shared(context).await?
        && let Some(there) = shared.backend().get_song(song.id).await.map_err(Error::from)?
    {
        (library, song) = (shared, there);
    }
    let url = library.audio_url(&song, Duration::from_secs(args.expires_in)).await?;
    if context.printer.json {
        context
            .printer
            .json(&json!({ "id": song.id, "url": url, "expires_in": args.expires_in }))?;
    } else {
        context.printer.line(url)?;
    }
    Ok(ExitStatus::Done)
}

// Whether the library that this one is synced with keeps the audio.
fn is_elsewhere(library: &Library, song: &Song) -> bool {
    let is_here = library.backend().capabilities().remote;
    !is_here && song.blob.as_ref().is_some_and(|blob| blob.key.is_some())
}

// That library, if one is configured.
async fn shared(context: &Context) -> Result<Option<(String, Library)>> {
    let config = context.config([])?;
    let name = pair::remote(&config);
    let progress = context.job.progress.clone();
    match Library::open_named(config, &name, Distance::Reading, progress).await {
        Ok(library) => Ok(Some((name, library))),
        Err(error) if error.kind() == ErrorKind::Temporary => Err(error.into()),
        Err(_) => Ok(None),
    }
}
