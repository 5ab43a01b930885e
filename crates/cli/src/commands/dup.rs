use anyhow::Result;

use crate::{
    args::DupArgs,
    commands::select::{counted, size, wrong_filter},
    context::Context,
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: DupArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let filter = args.filter.filter().map_err(wrong_filter)?;
    let printer = &context.printer;
    let mut printed = Ok(());
    let mut wasted = 0;
    let found = library
        .duplicates(&filter, |duplicates| {
            wasted += duplicates.wasted;
            if printed.is_err() {
                return;
            }
            printed = if printer.json {
                printer.json(&duplicates)
            } else {
                let heading = format!("{}  {}", duplicates.card.id.short(), duplicates.card.title);
                printer.line(printer.bold(&heading)).and_then(|()| {
                    duplicates.files.iter().try_for_each(|file| {
                        let kind = if file.identical { "" } else { "  (other tags)" };
                        let path = library.file_path(&file.path);
                        printer.line(format!("    {}  {}{kind}", path.display(), size(file.size)))
                    })
                })
            };
        })
        .await?;
    printed?;
    printer.say(match found {
        0 => "no recording is there twice".to_owned(),
        found => format!(
            "{} there more than once, {} in copies",
            counted(found, "recording"),
            size(wasted)
        ),
    });
    Ok(if found == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}
