use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use crate::{
    args::{GetArgs, UrlArgs},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: GetArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let song = library.song(&args.song).await?;
    let path = library.get_audio(&song, &args.to, &context.interrupt, &*context.progress).await?;
    if context.printer.json {
        context.printer.json(&json!({ "id": song.id, "path": path }))?;
    } else {
        context.printer.line(path.display().to_string())?;
    }
    Ok(ExitStatus::Done)
}

pub(super) async fn url(context: &Context, args: UrlArgs) -> Result<ExitStatus> {
    let library = context.library().await?;
    let song = library.song(&args.song).await?;
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
