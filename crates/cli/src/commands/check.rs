use anyhow::Result;
use songrec_sync::{Difference, Place, Side};

use crate::{
    args::CheckArgs,
    commands::{
        pair::{self, Libraries, wrong},
        select::{counted, size},
    },
    context::Context,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: CheckArgs) -> Result<ExitStatus> {
    let libraries = Libraries::open(context, Some(args.left), Some(args.right)).await?;
    let [left, right] = Place::BOTH
        .map(|place| Side::new(&libraries.names[place], libraries.opened[place].shared_backend()));
    let interrupt = || context.job.interrupt.is_set();
    let found =
        songrec_sync::check(&left, &right, args.read_data, &*context.job.progress, &interrupt)
            .await
            .map_err(wrong)?;
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
    if found.heard_differently > 0 {
        printer.say(format!(
            "{} heard by two machines with different last bits, which is no difference",
            counted(found.heard_differently, "song")
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
