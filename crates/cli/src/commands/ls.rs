use anyhow::Result;
use songrec_core::{Card, Filter};
use songrec_library::{Error, Library};
use songrec_storage::{Order, OrderBy, Page, SongQuery};

use crate::{
    args::{LsArgs, Sort},
    commands::select::{present_or_missing, print, songs},
    context::Context,
    status::ExitStatus,
};

/// How many songs are laid out at once: columns fit within a page, and memory
/// does not grow with the library.
const PAGE: usize = 1_000;

pub(super) async fn run(context: &Context, args: LsArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let mut chosen = args.filter.chosen(&args.words)?;
    if args.missing {
        chosen.missing = Some(true);
    }
    if args.count {
        let count = match chosen.missing {
            None => library.backend().count_songs(&chosen.filter).await.map_err(Error::from)?,
            Some(_) => songs(&library, &[], &chosen).await?.len() as u64,
        };
        if context.printer.json {
            context.printer.json(&serde_json::json!({ "songs": count }))?;
        } else {
            context.printer.line(count.to_string())?;
        }
        return Ok(ExitStatus::Done);
    }
    let query = SongQuery {
        filter: chosen.filter,
        order: Order { by: order(args.sort), descending: args.reverse },
        after: None,
        skip: args.offset,
        limit: args.limit.unwrap_or(usize::MAX),
    };
    let found = list(context, &library, query, chosen.missing, args.paths).await?.songs;
    Ok(if found == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

/// What a list showed.
pub(super) struct Listed {
    pub(super) songs: usize,
    /// Whether there are others beyond the limit.
    pub(super) more: bool,
}

/// Prints the songs of a query, a page at a time: all, or those whose files are
/// gone, or the others. Says why if there are none.
pub(super) async fn list(
    context: &Context,
    library: &Library,
    mut query: SongQuery,
    missing: Option<bool>,
    paths: bool,
) -> Result<Listed> {
    let (mut left, skipped) = (query.limit, query.skip);
    // What only the disk knows has to be looked at before it can be skipped.
    let mut skip = if missing.is_some() { std::mem::take(&mut query.skip) } else { 0 };
    let mut found = 0;
    let mut more = false;
    while left > 0 && !context.job.interrupt.is_set() {
        query.limit = if missing.is_some() { PAGE } else { left.min(PAGE) };
        let page = page(library, &query, missing).await?;
        let mut cards = page.items;
        let skipped = cards.len().min(skip);
        cards.drain(..skipped);
        skip -= skipped;
        more = page.next.is_some() || cards.len() > left;
        cards.truncate(left);
        found += cards.len();
        left -= cards.len();
        if paths {
            print_paths(context, library, &cards)?;
        } else if !cards.is_empty() {
            print(&context.printer, &cards)?;
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => break,
        }
        query.skip = 0;
    }
    if found == 0 && !context.job.interrupt.is_set() {
        let why = why_nothing(library, skipped, missing).await?;
        context.printer.nothing(&why)?;
    }
    Ok(Listed { songs: found, more })
}

async fn page(library: &Library, query: &SongQuery, missing: Option<bool>) -> Result<Page<Card>> {
    if missing.is_none() {
        return Ok(library.backend().find_cards(query).await.map_err(Error::from)?);
    }
    let page = library.backend().find_songs(query).await.map_err(Error::from)?;
    let songs = present_or_missing(library, page.items, missing)?;
    Ok(Page { items: songs.iter().map(Card::of).collect(), next: page.next })
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

async fn why_nothing(library: &Library, skipped: usize, missing: Option<bool>) -> Result<String> {
    let all = Filter::all();
    let all = library.backend().count_songs(&all).await.map_err(Error::from)?;
    Ok(match all {
        0 => "the library is empty: `songrec scan PATH` adds songs".to_owned(),
        all if skipped >= 1 => {
            format!("nothing after the first {skipped}; the library has {all} songs")
        }
        all if missing == Some(true) => {
            format!("none of the {all} songs has lost its files on this machine")
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
