//! `restore`: a backup into a library, or what is in it.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use songrec_library::{ArchiveReport, Contents, RestoreOptions, Restored, Restoring, keys};

use crate::{
    args::RestoreArgs,
    commands::pair,
    context::Context,
    numbers::{counted, size},
    printer::Printer,
    status::ExitStatus,
};

/// Damage that is told one by one; `--json` lists more.
const TOLD: usize = 20;

/// What is printed as JSON.
#[derive(Serialize)]
struct Document<'a> {
    archive: &'a ArchiveReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<&'a Restored>,
}

pub(super) async fn run(context: &Context, args: RestoreArgs) -> Result<ExitStatus> {
    let (printer, job) = (&context.printer, &context.job);
    let restoring = match args.file == Path::new("-") {
        true => Restoring::read(Box::new(std::io::stdin()), "stdin".to_owned()).await?,
        false => Restoring::open(&args.file).await?,
    };
    if args.dry_run {
        let report = restoring.look(job).await?;
        if printer.json {
            printer.json(&Document { archive: &report, restored: None })?;
        } else {
            printer.line(holds(&report))?;
        }
        print_damage(printer, &report);
        return Ok(if report.whole { ExitStatus::Done } else { ExitStatus::Corrupt });
    }
    let config = context.config([])?;
    context.say_which(config.chosen());
    let name = config.get(keys::STORAGE_BACKEND).to_owned();
    let options = RestoreOptions {
        keep_going: args.keep_going,
        max_delete: args.max_delete.unwrap_or_default(),
    };
    let progress = job.progress.clone();
    let (report, mut restored) = restoring.restore(config, &name, &options, progress, job).await?;
    if let Some(restored) = &mut restored {
        pair::put_in_words(&mut restored.failed);
    }
    if printer.json {
        printer.json(&Document { archive: &report, restored: restored.as_ref() })?;
    }
    print_damage(printer, &report);
    let Some(restored) = restored else {
        printer.say(format!("whole of it: {}", in_words(&report.contents)));
        printer.say(
            "nothing was restored; `--keep-going` restores what is whole, and an earlier backup \
             may be better",
        );
        return Ok(ExitStatus::Corrupt);
    };
    print_restored(printer, &restored)?;
    Ok(match restored {
        restored if restored.interrupted => {
            printer.say("interrupted; the same command goes on");
            ExitStatus::Interrupted
        }
        restored if restored.failed.is_empty() && report.whole => ExitStatus::Done,
        _ => ExitStatus::SomeFailed,
    })
}

fn print_restored(printer: &Printer, restored: &Restored) -> Result<()> {
    for note in &restored.notes {
        printer.say(format!("note: song `{}`: {}", note.song.short(), note.text));
    }
    pair::print_failures(printer, &restored.failed, 0);
    if restored.is_new {
        printer.say(format!("made a library in `{}`", restored.place));
    }
    let songs = &restored.songs;
    let mut parts = Vec::new();
    for (count, what) in [
        (songs.add, "added"),
        (songs.update, "updated"),
        (songs.merge, "merged"),
        (songs.restore, "brought back"),
        (songs.delete, "deleted"),
        (restored.same, "there already"),
        (restored.older, "older than here, left as they are"),
        (restored.deleted_since, "deleted since, and stay so"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if parts.is_empty() {
        parts.push("none".to_owned());
    }
    let mut text = format!("songs: {}", parts.join(", "));
    if restored.documents > 0 {
        text += &format!("; {}", documents(restored.documents));
    }
    if restored.trash > 0 {
        text += &format!("; {} in the trash", counted(restored.trash, "song"));
    }
    if !printer.json {
        printer.line(text)?;
    }
    if restored.conflicts > 0 {
        printer.say(format!(
            "{} with values that lost a merge; `songrec conflicts` shows them",
            counted(restored.conflicts, "song")
        ));
    }
    if restored.audio_left_out > 0 {
        printer.warn(format!(
            "{} left out: this library keeps no copies of audio; one made by \
             `songrec init --keep-copies` does",
            counted(restored.audio_left_out, "audio file")
        ));
    }
    if restored.of_no_song > 0 {
        printer.warn(format!(
            "{} left out, whose songs are not whole",
            counted(restored.of_no_song, "vector, segment or audio file")
        ));
    }
    Ok(())
}

fn print_damage(printer: &Printer, report: &ArchiveReport) {
    for part in report.damaged.iter().take(TOLD) {
        let piece = part.piece.as_ref().map(|piece| format!("`{piece}`: ")).unwrap_or_default();
        printer.warn(format!("damaged at byte {}: {piece}{}", part.at, part.reason));
    }
    let told = report.damaged.len().min(TOLD) as u64;
    if report.damage > told {
        printer.warn(format!("{} more", counted(report.damage - told, "damaged part")));
    }
    if report.cut {
        printer.warn(format!("it is cut off after {}", size(report.bytes)));
    }
}

// What an archive says it is, and what is whole of it.
fn holds(report: &ArchiveReport) -> String {
    let state = if report.whole { "whole" } else { "NOT whole" };
    let of = match &report.manifest {
        Some(manifest) => format!(
            "backup of library `{}` of {}, by songrec {}",
            manifest.library, manifest.made_at, manifest.songrec
        ),
        None => "backup whose first piece is damaged".to_owned(),
    };
    format!("{of}\n{state}: {}, {}", in_words(&report.contents), size(report.bytes))
}

/// How much of what there is.
pub(super) fn in_words(contents: &Contents) -> String {
    let mut parts = vec![counted(contents.songs, "song")];
    for (count, what) in [
        (contents.deleted, "deleted song"),
        (contents.embeddings, "vector"),
        (contents.segments, "segment"),
        (contents.audio, "audio file"),
    ] {
        if count > 0 {
            parts.push(counted(count, what));
        }
    }
    if contents.documents > 0 {
        parts.push(documents(contents.documents));
    }
    parts.join(", ")
}

// What lies beside the songs, such as playlists.
fn documents(count: u64) -> String {
    match count {
        1 => "1 playlist or other document".to_owned(),
        several => format!("{several} playlists and other documents"),
    }
}
