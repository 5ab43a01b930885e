use anyhow::Result;
use songrec_core::Card;
use songrec_library::Library;
use songrec_storage::{Order, OrderBy, SongQuery};

use crate::{
    args::{LsArgs, Sort},
    commands::select::{print, wrong_filter},
    context::Context,
    status::ExitStatus,
};

/// How many songs are laid out at once: columns fit within a page, and memory
/// does not grow with the library.
const PAGE: usize = 1_000;

pub(super) async fn run(context: &Context, args: LsArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let filter = args.filter.filter().map_err(wrong_filter)?;
    if args.count {
        let count =
            library.backend().count_songs(&filter).await.map_err(songrec_library::Error::from)?;
        if context.printer.json {
            context.printer.json(&serde_json::json!({ "songs": count }))?;
        } else {
            context.printer.line(count.to_string())?;
        }
        return Ok(ExitStatus::Done);
    }
    let query = SongQuery {
        filter,
        order: Order { by: order(args.sort), descending: args.reverse },
        after: None,
        skip: args.offset,
        limit: args.limit.unwrap_or(usize::MAX),
    };
    let found = list(context, &library, query, args.paths).await?;
    Ok(if found == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

/// Prints the songs of a query, a page at a time, and says how many.
pub(super) async fn list(
    context: &Context,
    library: &Library,
    mut query: SongQuery,
    paths: bool,
) -> Result<usize> {
    let mut left = query.limit;
    let mut found = 0;
    while left > 0 && !context.interrupt.is_set() {
        query.limit = left.min(PAGE);
        let page =
            library.backend().find_cards(&query).await.map_err(songrec_library::Error::from)?;
        found += page.items.len();
        left = left.saturating_sub(page.items.len());
        if paths {
            print_paths(context, library, &page.items)?;
        } else if !page.items.is_empty() {
            print(&context.printer, &page.items)?;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
        query.skip = 0;
    }
    if found == 0 {
        context.printer.say(why_nothing(library, &query).await?);
    }
    Ok(found)
}

fn print_paths(context: &Context, library: &Library, cards: &[Card]) -> Result<()> {
    for path in cards.iter().filter_map(|card| card.path.as_deref()) {
        let path = library.file_path(path);
        if context.printer.json {
            context.printer.json(&path.to_string_lossy())?;
        } else {
            context.printer.line(path.to_string_lossy())?;
        }
    }
    Ok(())
}

async fn why_nothing(library: &Library, query: &SongQuery) -> Result<String> {
    let all = library
        .backend()
        .count_songs(&songrec_core::Filter::all())
        .await
        .map_err(songrec_library::Error::from)?;
    Ok(match all {
        0 => "the library is empty: `songrec scan PATH` adds songs".to_owned(),
        all if query.skip >= 1 => {
            format!("nothing after the first {}; the library has {all} songs", query.skip)
        }
        all => format!("none of the {all} songs in the library pass"),
    })
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
