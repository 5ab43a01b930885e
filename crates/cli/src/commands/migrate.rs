//! `migrate`: copies one library into another, and proves the copy.

use std::fmt::Write as _;

use anyhow::Result;
use songrec_library::{
    Error, InitOptions,
    share::{self, AudioPolicy, Libraries, Migrated, MigrationPlan, Side},
};

use crate::{
    args::{MigrateArgs, from_and_to},
    commands::pair,
    context::Context,
    numbers::{counted, size},
    status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: MigrateArgs) -> Result<ExitStatus> {
    let (from, to) = from_and_to(&args)
        .map_err(|why| Error::usage(why).with_hint("`songrec migrate local astra` copies all"))?;
    let (printer, job) = (&context.printer, &context.job);
    let init = InitOptions { keep_copies: args.keep_copies };
    let (config, progress) = (context.config([])?, job.progress.clone());
    let libraries = if args.dry_run {
        Libraries::open_or_pretend(config, from, to, init, progress).await?
    } else {
        let libraries = Libraries::open_or_make(config, from, to, init, progress).await?;
        pair::say_if_new(printer, &libraries, &libraries.names().right);
        libraries
    };
    let mut options = share::options(libraries.config())?;
    if args.no_audio || args.audio_urls {
        options.audio = AudioPolicy::None;
    }
    if !args.models.is_empty() {
        options.models = Some(args.models.into_iter().collect());
    }
    if let Some(jobs) = args.jobs {
        options.jobs = jobs.max(1);
    }
    options.bandwidth = args.bandwidth;
    if args.dry_run {
        let plan = share::plan_migration(&libraries, &options, job).await?;
        if printer.json {
            printer.json(&plan)?;
        } else {
            printer.line(plan_in_words(&libraries, &plan))?;
        }
        return Ok(ExitStatus::Done);
    }
    let mut migrated = share::migrate(&libraries, &options, args.verify, job).await?;
    pair::put_in_words(&mut migrated.failed);
    if printer.json {
        printer.json(&migrated)?;
    } else {
        printer.line(report_in_words(&migrated))?;
    }
    for note in migrated.different.iter().chain(&migrated.notes) {
        printer.say(format!("note: song `{}`: {}", note.song.short(), note.text));
    }
    pair::and_more(printer, migrated.left_out.different + migrated.left_out.notes, "note");
    pair::print_failures(printer, &migrated.failed, migrated.left_out.failed);
    if let Some(found) = &migrated.verified {
        for difference in &found.differences {
            printer.say(format!("{}: {}", difference.title, difference.text));
        }
        pair::and_more(printer, found.left_out.differences, "difference");
    }
    Ok(match migrated {
        migrated if migrated.is_complete() => ExitStatus::Done,
        migrated if migrated.interrupted => {
            printer.say("interrupted; the same command goes on where it was");
            ExitStatus::Interrupted
        }
        _ => ExitStatus::SomeFailed,
    })
}

fn plan_in_words(libraries: &Libraries, plan: &MigrationPlan) -> String {
    let mut text = format!(
        "{} in `{}`, {} of them in `{}` already; at most {}, about {}",
        counted(plan.songs, "song"),
        libraries.names().left,
        plan.already,
        libraries.names().right,
        size(plan.bytes),
        counted(plan.requests, "request"),
    );
    if libraries.is_remote(Side::Right) {
        text += &pair::of_the_free_plan(plan.requests, plan.bytes);
    }
    text
}

fn report_in_words(migrated: &Migrated) -> String {
    let mut text = format!(
        "{} copied, {} there already, {} failed; {} carried, {}",
        counted(migrated.copied, "song"),
        migrated.already,
        migrated.failures(),
        size(migrated.bytes),
        counted(migrated.requests.left + migrated.requests.right, "request"),
    );
    if migrated.documents > 0 {
        let _ = write!(text, ", {} copied", counted(migrated.documents, "other document"));
    }
    if migrated.differing() > 0 {
        let different = counted(migrated.differing(), "song");
        let _ = write!(text, "; {different} left as they are there, which a sync would merge");
    }
    if let Some(found) = &migrated.verified {
        let _ = write!(
            text,
            "\nverified: {} compared, {} and {} read bit by bit; {}",
            counted(found.compared, "song"),
            counted(found.embeddings, "embedding"),
            counted(found.blobs, "piece") + " of audio",
            match migrated.missing() {
                0 => "nothing is missing".to_owned(),
                missing => format!("{} NOT as they should be", counted(missing, "song")),
            }
        );
    }
    text
}
