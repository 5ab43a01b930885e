use anyhow::Result;
use songrec_core::Filter;
use songrec_library::{
    Example, Library, SimilarOptions,
    find::{Listing, Order, OrderBy},
    keys,
};

use crate::{
    args::SearchArgs,
    commands::{ls::list, similar},
    context::Context,
    rows::Rows,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: SearchArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let selection = args.filter.selection(&context.job, &library, &args.words).await?;
    if !args.text.is_empty() || !args.like.is_empty() {
        let filter = args.filter.filter(&context.job, &library, &args.words).await?;
        return by_sound(context, &library, &args, filter).await;
    }
    if args.model.is_some() || args.threshold.is_some() {
        return Err(songrec_library::Error::usage("words are compared by no model")
            .with_hint("`--text` searches by what songs sound like, `--like` by a song")
            .into());
    }
    if selection.is_all() {
        return Err(songrec_library::Error::usage("there is no word to search for")
            .with_hint("`songrec ls` lists all songs")
            .into());
    }
    let listing = Listing {
        selection,
        order: Order { by: OrderBy::Artist, descending: false },
        skip: args.offset,
        limit: args.limit.unwrap_or(50),
    };
    let rows = Rows::of(&context.printer, &args.rows, &library)?;
    let found = list(context, &library, listing, (false, rows)).await?;
    if found.more && args.limit.is_none() {
        context.printer.say(format!("only the first {}; `--limit N` shows more", found.songs));
    }
    Ok(if found.songs == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

// What sounds like words say, through a model that reads and embeds.
async fn by_sound(
    context: &Context,
    library: &Library,
    args: &SearchArgs,
    filter: Filter,
) -> Result<ExitStatus> {
    if args.model.is_none()
        && args.like.is_empty()
        && !args.text.is_empty()
        && !songrec_library::reads_words(library)
    {
        return by_words(context, library, args, filter).await;
    }
    let model = match &args.model {
        Some(model) => Some(model.clone()),
        None if args.text.is_empty() => None,
        None => Some(songrec_library::reading_model(library).await?.to_string()),
    };
    let texts = args.text.iter().map(Example::text);
    let songs = args.like.iter().map(Example::like);
    let examples: Vec<Example> =
        texts.chain(songs).chain(args.not.iter().map(Example::not_text)).collect();
    let options = SimilarOptions {
        model,
        k: args.limit.unwrap_or_else(|| library.config().get(keys::SEARCH_RESULTS)),
        offset: args.offset,
        threshold: args.threshold,
        filter,
        ..SimilarOptions::default()
    };
    let mut found = songrec_library::similar_to(library, &examples, &options).await?;
    let rows = Rows::of(&context.printer, &args.rows, library)?;
    similar::print(context, &mut found, rows)?;
    Ok(if found.results.is_empty() { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

// What fits the words, where no model reads them.
async fn by_words(
    context: &Context,
    library: &Library,
    args: &SearchArgs,
    filter: Filter,
) -> Result<ExitStatus> {
    let options = SimilarOptions {
        k: args.limit.unwrap_or_else(|| library.config().get(keys::SEARCH_RESULTS)),
        offset: args.offset,
        threshold: args.threshold,
        filter,
        ..SimilarOptions::default()
    };
    let mut found = songrec_library::by_words(library, &args.text, &args.not, &options).await?;
    let rows = Rows::of(&context.printer, &args.rows, library)?;
    similar::print(context, &mut found, rows)?;
    Ok(if found.results.is_empty() { ExitStatus::FoundNothing } else { ExitStatus::Done })
}
