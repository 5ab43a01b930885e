//! `get` and `url`: the audio of a song, as a file or as an address.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use songrec_library::share::{AddressKind, audio_address, fetch_audio};

use crate::{
    args::{GetArgs, UrlArgs},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: GetArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let song = songrec_library::find::song(&library, &args.song).await?;
    let fetched = fetch_audio(&library, &song, &args.to, &context.job).await?;
    if context.printer.json {
        context.printer.json(&json!({ "id": fetched.song, "path": fetched.path }))?;
    } else {
        context.printer.line(fetched.path.display().to_string())?;
    }
    Ok(ExitStatus::Done)
}

pub(super) async fn url(context: &Context, args: UrlArgs) -> Result<ExitStatus> {
    let library = context.library_with(context.config([])?).await?;
    let song = songrec_library::find::song(&library, &args.song).await?;
    let valid_for = Duration::from_secs(args.expires_in);
    let address = audio_address(&library, &song, valid_for, &context.job.progress).await?;
    if context.printer.json {
        // Nobody knows how long others keep what they have.
        let expires_in = (address.kind == AddressKind::Kept).then_some(args.expires_in);
        let document = json!({
            "id": address.song, "url": address.url, "expires_in": expires_in,
            "is_preview": address.kind == AddressKind::Preview,
        });
        context.printer.json(&document)?;
    } else {
        match address.kind {
            AddressKind::Kept => {}
            AddressKind::Named => context.printer.say(
                "the library keeps no audio that has an address; this is what the song's \
                 `extra.audio_url` says",
            ),
            AddressKind::Preview => context.printer.say(
                "the library has no address of the song's audio; this is that of a preview, which a \
                 music service offers",
            ),
        }
        context.printer.line(address.url)?;
    }
    Ok(ExitStatus::Done)
}
