use anyhow::Result;
use songrec_library::{DifferentValue, Imported};

use crate::{
    args::ImportArgs, context::Context, numbers::counted, printer::Printer, status::ExitStatus,
};

/// How many differences are told one by one; `--json` lists more.
const TOLD: usize = 10;

pub(super) async fn run(context: &Context, args: ImportArgs) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let imported =
        songrec_library::import(&library, &args.from, args.model.as_ref(), &context.job).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&imported)?;
    } else {
        printer.say(format!("found {} in `{}`", imported.found, args.from.display()));
        read_changes(printer, &imported);
    }
    if imported.interrupted {
        printer.say("interrupted; run the same command to go on");
        return Ok(ExitStatus::Interrupted);
    }
    Ok(if imported.failed.is_empty() { ExitStatus::Done } else { ExitStatus::SomeFailed })
}

fn read_changes(printer: &Printer, imported: &Imported) {
    for (what, why) in &imported.failed {
        printer.warn(format!("left out `{what}`: {why}"));
    }
    let mut embeddings = false;
    for one in imported.different.iter().take(TOLD) {
        let (song, from) = (one.song.short(), &one.from);
        printer.warn(match &one.what {
            DifferentValue::Embedding { embedding } => {
                embeddings = true;
                format!("song `{song}` keeps its vector of `{embedding}`; `{from}` has another one")
            }
            DifferentValue::Field { field, kept, offered } => {
                format!("song `{song}` keeps {field} {kept}; `{from}` says {offered}")
            }
        });
    }
    if imported.differing > TOLD as u64 {
        let more = imported.differing - TOLD as u64;
        printer.warn(format!("{} more differ; `--json` lists them", counted(more, "value")));
    }
    if embeddings {
        printer.say(
            "`songrec rm SONG` and the same import again take the other vector; of an old \
             layout, `--model NAME@2` keeps both",
        );
    }
    printer.say(format!(
        "{} added, {} completed, {} there already",
        counted(imported.added, "song"),
        imported.completed,
        imported.already_there
    ));
    if imported.synths > 0 {
        printer.say(format!("{} added", counted(imported.synths, "synth")));
    }
    if imported.known_by_file > 0 {
        printer.say(format!(
            "{} known by path, hash or name of a file, without the audio",
            counted(imported.known_by_file, "song")
        ));
    }
    if !imported.kept.is_empty() {
        let fields: Vec<String> =
            imported.kept.iter().map(|(name, count)| format!("extra.{name} ({count})")).collect();
        printer.say(format!("kept as they are: {}", fields.join(", ")));
    }
    if !imported.no_records.is_empty() {
        printer.warn(format!("no records, and left out: {}", imported.no_records.join(", ")));
    }
    if imported.cut > 0 {
        printer.warn(format!("{} too long or too many, and cut", counted(imported.cut, "field")));
    }
}
