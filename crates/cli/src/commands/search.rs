use anyhow::Result;
use songrec_core::Filter;
use songrec_storage::{Order, OrderBy, SongQuery};

use crate::{
    args::SearchArgs,
    commands::{ls::list, select::wrong_filter},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: SearchArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let filter = args.filter.filter().map_err(wrong_filter)?;
    let words = Filter::text(&args.words.join(" "));
    if words.is_all() {
        return Err(songrec_library::Error::usage("there is no word to search for").into());
    }
    let query = SongQuery {
        filter: filter.and(words),
        order: Order { by: OrderBy::Artist, descending: false },
        after: None,
        skip: args.offset,
        limit: args.limit,
    };
    let found = list(context, &library, query, false).await?;
    Ok(if found == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}
