//! `check`: what two libraries do not have in common.

use anyhow::Result;
use songrec_library::share::{self, Difference, Libraries};

use crate::{
    args::CheckArgs,
    commands::pair,
    context::Context,
    numbers::{counted, size},
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: CheckArgs) -> Result<ExitStatus> {
    let (config, job) = (context.config([])?, &context.job);
    let libraries =
        Libraries::open(config, Some(args.left), Some(args.right), job.progress.clone()).await?;
    let found = share::check(&libraries, args.read_data, job).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&found)?;
    } else {
        let columns = [Column::text(""), Column::cut("", 1), Column::wrapped("")];
        let mut table = Table::of(columns);
        for Difference { song, title, text, .. } in &found.differences {
            table.row([song.short().to_string(), title.clone(), text.clone()]);
        }
        printer.table(&table)?;
        pair::and_more(printer, found.left_out.differences, "difference");
    }
    if found.embedded_differently > 0 {
        printer.say(format!(
            "{} embedded by two machines with different last bits, which is no difference",
            counted(found.embedded_differently, "song")
        ));
    }
    let read = match args.read_data {
        true => format!(
            "; {} and {} of audio read, {}",
            counted(found.embeddings, "embedding"),
            counted(found.blobs, "piece"),
            size(found.bytes)
        ),
        false => String::new(),
    };
    printer.say(format!(
        "{} compared: {}{read}",
        counted(found.compared, "song"),
        match found.total() {
            0 => "both libraries have the same".to_owned(),
            count => counted(count, "difference"),
        }
    ));
    Ok(match found {
        found if found.interrupted => ExitStatus::Interrupted,
        found if found.is_equal() => ExitStatus::Done,
        _ => ExitStatus::FoundNothing,
    })
}
