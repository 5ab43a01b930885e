use anyhow::Result;
use serde_json::json;
use songrec_library::{
    Error, SpareFolder, cache, parse_bytes, remove_spare_folders, spare_folders,
};

use crate::{
    args::{CacheArgs, CacheCommand},
    context::Context,
    numbers::{counted, size},
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: CacheArgs) -> Result<ExitStatus> {
    let config = context.config([])?;
    let cache = cache(&config).await?;
    let printer = &context.printer;
    let (mut removed, rest) = match args.what {
        CacheCommand::Info => {
            let stats = cache.info().await.map_err(Error::from)?;
            let libraries = spare_folders(&config)?;
            if printer.json {
                let mut document = serde_json::to_value(&stats)?;
                document["libraries"] = json!(libraries);
                printer.json(&document)?;
                return Ok(ExitStatus::Done);
            }
            let mut table = Table::of([Column::text(""), Column::wrapped("")]);
            let files = |files: u64, bytes| format!("{}, {}", counted(files, "file"), size(bytes));
            table.row(["folder".to_owned(), stats.folder.display().to_string()]);
            table.row(["limit".to_owned(), size(stats.limit)]);
            table.row([
                "embeddings".to_owned(),
                files(stats.embeddings.files, stats.embeddings.bytes),
            ]);
            table.row(["audio".to_owned(), files(stats.blobs.files, stats.blobs.bytes)]);
            for one in &libraries {
                let of = one.library.as_ref().unwrap_or(&one.folder).display();
                let (files, opened) = (files(one.files, one.bytes), printer.time(one.opened_at));
                table.row(["library".to_owned(), format!("{of}: {files}, opened {opened}")]);
            }
            printer.table(&table)?;
            return Ok(ExitStatus::Done);
        }
        CacheCommand::Prune { to } => {
            let limit = match &to {
                Some(text) => parse_bytes(text).ok_or_else(|| {
                    Error::usage(format_args!("`{text}` is not a size"))
                        .with_hint("a size is such as `500M` or `2G`")
                })?,
                None => cache.limit(),
            };
            let removed = cache.prune(limit).await.map_err(Error::from)?;
            let left = cache.info().await.map_err(Error::from)?.bytes();
            (removed, limit.saturating_sub(left))
        }
        CacheCommand::Clear => (cache.clear().await.map_err(Error::from)?, 0),
    };
    for SpareFolder { files, bytes, .. } in remove_spare_folders(&config, rest)? {
        removed.files += files;
        removed.bytes += bytes;
    }
    if printer.json {
        printer.json(&removed)?;
    }
    printer.say(format!("removed {}, {}", counted(removed.files, "file"), size(removed.bytes)));
    Ok(ExitStatus::Done)
}
