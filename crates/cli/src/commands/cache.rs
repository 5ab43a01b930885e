use anyhow::Result;
use songrec_library::{Error, cache, parse_bytes};

use crate::{
    args::{CacheArgs, CacheCommand},
    commands::select::{counted, size},
    context::Context,
    status::ExitStatus,
    table::Table,
};

pub(super) async fn run(context: &Context, args: CacheArgs) -> Result<ExitStatus> {
    let config = context.config([])?;
    let cache = cache(&config).await?;
    let printer = &context.printer;
    let removed = match args.what {
        CacheCommand::Info => {
            let stats = cache.info().await.map_err(Error::from)?;
            if printer.json {
                printer.json(&stats)?;
                return Ok(ExitStatus::Done);
            }
            let mut table = Table::default();
            let files = |files: u64, bytes| format!("{}, {}", counted(files, "file"), size(bytes));
            table.row(["folder".to_owned(), stats.folder.display().to_string()]);
            table.row(["limit".to_owned(), size(stats.limit)]);
            table.row([
                "embeddings".to_owned(),
                files(stats.embeddings.files, stats.embeddings.bytes),
            ]);
            table.row(["audio".to_owned(), files(stats.blobs.files, stats.blobs.bytes)]);
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
            cache.prune(limit).await.map_err(Error::from)?
        }
        CacheCommand::Clear => cache.clear().await.map_err(Error::from)?,
    };
    if printer.json {
        printer.json(&removed)?;
    }
    printer.say(format!("removed {}, {}", counted(removed.files, "file"), size(removed.bytes)));
    Ok(ExitStatus::Done)
}
