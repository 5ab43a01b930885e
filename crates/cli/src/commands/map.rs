//! `map`: the library as a landscape.

use anyhow::Result;
use serde_json::json;
use songrec_library::{Error, MapData, MapFormat, MapOptions, map};

use crate::{
    args::MapArgs, commands::select, context::Context, numbers::counted, status::ExitStatus,
};

/// From so many songs on a page takes long to open.
const LARGE: usize = 300_000;

pub(super) async fn run(context: &Context, args: MapArgs) -> Result<ExitStatus> {
    let path = &args.output;
    let format = MapFormat::of_file(path)?;
    if format == MapFormat::Png && args.dims != 2 {
        return Err(Error::usage("a picture shows two dimensions, and this map would have three")
            .with_hint("write it as `.html`, or leave `--dims` out")
            .into());
    }
    let library = context.library_to_read().await?;
    let options = MapOptions {
        method: args.method,
        dims: usize::from(args.dims),
        model: select::model(&library, args.model.as_deref()).await?,
        filter: args.filter.filter(&context.job, &library, &args.words).await?,
        seed: args.seed,
        again: args.again,
    };
    let printer = &context.printer;
    let Some(map) = map(&library, &options, &context.job).await? else {
        printer.nothing("interrupted; nothing was written")?;
        return Ok(ExitStatus::Interrupted);
    };
    let is_old = map.is_old();
    let data = MapData::read(&library, map, args.color_by, &options.filter, &context.job).await?;
    let Some(data) = data else {
        printer.nothing("interrupted; nothing was written")?;
        return Ok(ExitStatus::Interrupted);
    };
    data.write(format, path)?;
    let map = &data.map;
    if printer.json {
        printer.json(&json!({
            "file": path,
            "songs": map.songs.len(),
            "placed": map.placed,
            "model": map.model,
            "method": map.method,
            "dims": map.dims,
            "seed": map.seed,
            "made_at": map.made_at,
            "trustworthiness": map.trustworthiness,
        }))?;
    } else {
        printer.line(path.display().to_string())?;
    }
    let mut said = format!(
        "{} by {} and `{}`",
        counted(map.songs.len() as u64, "song"),
        map.method.as_str(),
        map.model
    );
    if let Some(trust) = map.trustworthiness {
        said.push_str(&format!("; trustworthiness {trust:.3}"));
    }
    if map.placed > 0 {
        said.push_str(&format!(
            "; {} placed, without moving the others",
            counted(map.placed as u64, "new song")
        ));
    }
    printer.say(said);
    if is_old {
        printer.say("many songs are new on this map; `--again` draws it again");
    }
    if format == MapFormat::Html && map.songs.len() > LARGE {
        printer.say("so many songs take a browser long to open; a filter shows a part of them");
    }
    Ok(ExitStatus::Done)
}
