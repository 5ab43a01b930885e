//! `ls`: songs, page by page.

use anyhow::Result;
use songrec_core::SongSummary;
use songrec_library::{
    Library,
    find::{self, List, Listing, Nothing, Order, OrderBy},
};

use crate::{
    args::{LsArgs, Sort},
    commands::select::print,
    context::Context,
    rows::Rows,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: LsArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let mut selection = args.filter.selection(&context.job, &library, &args.words).await?;
    if args.missing {
        selection.missing = Some(true);
    }
    if args.count {
        let count = find::count(&library, &selection).await?;
        if context.printer.json {
            context.printer.json(&serde_json::json!({ "songs": count }))?;
        } else {
            context.printer.line(count.to_string())?;
        }
        return Ok(ExitStatus::Done);
    }
    let listing = Listing {
        selection,
        order: Order { by: order(args.sort), descending: args.reverse },
        skip: args.offset,
        limit: args.limit.unwrap_or(usize::MAX),
    };
    let rows = Rows::of(&context.printer, &args.rows, &library)?;
    let found = list(context, &library, listing, (args.paths, rows)).await?.songs;
    Ok(if found == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

/// What a list showed.
pub(super) struct Listed {
    pub(super) songs: usize,
    /// Whether there are others beyond the limit.
    pub(super) more: bool,
}

/// Prints the songs of a list, a page at a time, within which columns fit. Says
/// why if there are none.
pub(super) async fn list(
    context: &Context,
    library: &Library,
    listing: Listing,
    (paths, mut rows): (bool, Option<Rows<'_>>),
) -> Result<Listed> {
    let mut list = List::new(library, listing);
    while !context.job.is_interrupted()
        && let Some(summaries) = list.next().await?
    {
        if paths {
            print_paths(context, library, &summaries)?;
        } else if let Some(rows) = &mut rows {
            rows.print(&context.printer, &summaries)?;
        } else if !summaries.is_empty() {
            print(&context.printer, &summaries)?;
        }
    }
    if list.found() == 0 && !context.job.is_interrupted() {
        context.printer.nothing(&why(list.why_nothing().await?))?;
    }
    Ok(Listed { songs: list.found(), more: list.has_more() })
}

fn print_paths(context: &Context, library: &Library, summaries: &[SongSummary]) -> Result<()> {
    for path in summaries.iter().filter_map(|summary| summary.path.as_deref()) {
        let path = library.file_path(path);
        if context.printer.json {
            context.printer.json(&path.to_string_lossy())?;
        } else {
            context.printer.line(path.to_string_lossy())?;
        }
    }
    Ok(())
}

fn why(nothing: Nothing) -> String {
    match nothing {
        Nothing::Empty => "the library is empty: `songrec scan PATH` adds songs".to_owned(),
        Nothing::Beyond { skipped, songs } => {
            format!("nothing after the first {skipped}; the library has {songs} songs")
        }
        Nothing::NotMissing { songs } => {
            format!("none of the {songs} songs has lost its files on this machine")
        }
        Nothing::NonePass { songs } => format!("none of the {songs} songs in the library pass"),
    }
}

const fn order(sort: Sort) -> OrderBy {
    match sort {
        Sort::Id => OrderBy::Id,
        Sort::Title => OrderBy::Title,
        Sort::Artist => OrderBy::Artist,
        Sort::Album => OrderBy::Album,
        Sort::Year => OrderBy::Year,
        Sort::Bpm => OrderBy::Bpm,
        Sort::Duration => OrderBy::Duration,
        Sort::Added => OrderBy::Added,
    }
}
