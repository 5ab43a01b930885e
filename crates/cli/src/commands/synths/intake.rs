//! Synths that come in.

use std::{io::Read as _, path::Path};

use anyhow::Result;
use serde_json::json;
use songrec_core::encode_path;
use songrec_library::{
    Error, IntakeMode, IntakeOptions, LARGEST_SOURCE, Library, ShownSynth, SynthFile, SynthIntake,
    TakenIn, TakenSynth, read_synth_file,
};

use super::{channels, gate};
use crate::{args::AddSynthsArgs, context::Context, hints, numbers::counted, status::ExitStatus};

/// What became of something in a file.
struct Outcome {
    /// The file, as it was named.
    path: String,
    taken: Result<TakenSynth, Error>,
}

pub(super) async fn add(context: &Context, args: &AddSynthsArgs) -> Result<ExitStatus> {
    if args.name.is_some() && args.files.len() > 1 {
        return Err(Error::usage("a name is for one synth")
            .with_hint("name one file; synths can be renamed with `songrec synths edit`")
            .into());
    }
    let library = context.library_to_change_with(context.config([])?, !args.dry_run).await?;
    let mode = if args.update { IntakeMode::Update } else { IntakeMode::Add };
    let options = IntakeOptions { mode, name: args.name.clone(), dry_run: args.dry_run };
    let mut intake = SynthIntake::new(&library, options).await?;
    let mut outcomes = Vec::new();
    let mut interrupted = false;
    for file in &args.files {
        if context.job.is_interrupted() {
            interrupted = true;
            break;
        }
        let path = encode_path(file);
        let taken = match read(&library, file) {
            Ok(read) => intake.take_in(&read).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(all) => {
                outcomes.extend(all.into_iter().map(|taken| Outcome { path: path.clone(), taken }))
            }
            Err(error) => outcomes.push(Outcome { path, taken: Err(error) }),
        }
    }
    for (id, error) in intake.finish().await? {
        let is_meant = |one: &&mut Outcome| one.taken.as_ref().is_ok_and(|one| one.synth.id == id);
        if let Some(outcome) = outcomes.iter_mut().find(is_meant) {
            outcome.taken = Err(error);
        }
    }
    // What is wrong with the only one is the error of the command.
    if let [Outcome { taken: Err(_), .. }] = outcomes.as_slice()
        && args.files.len() == 1
        && let Some(Outcome { taken: Err(error), .. }) = outcomes.pop()
    {
        return Err(error.into());
    }
    tell(context, &outcomes, args.dry_run, interrupted)
}

fn read(library: &Library, file: &Path) -> Result<SynthFile, Error> {
    if file != Path::new("-") {
        return read_synth_file(library, file);
    }
    let mut bytes = Vec::new();
    let stdin = std::io::stdin().lock();
    stdin
        .take(LARGEST_SOURCE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("read", file, error))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::usage("what came in is not UTF-8").because(error))?;
    Ok(SynthFile { path: None, text })
}

fn tell(
    context: &Context,
    outcomes: &[Outcome],
    dry_run: bool,
    interrupted: bool,
) -> Result<ExitStatus> {
    let printer = &context.printer;
    for outcome in outcomes {
        match &outcome.taken {
            Ok(taken) => {
                if printer.json {
                    let mut document = json!(taken);
                    document["path"] = json!(outcome.path);
                    printer.json(&document)?;
                } else {
                    printer.line(&taken.synth.id)?;
                }
                printer.say(in_words(taken, dry_run));
            }
            Err(error) => {
                if printer.json {
                    let (reason, hint) = (error.in_one_line(), error.hint().map(hints::in_words));
                    let path = &outcome.path;
                    let failed =
                        json!({"type": "failed", "path": path, "reason": reason, "hint": hint});
                    printer.json(&failed)?;
                }
                printer.warn(format!("`{}`: {}", outcome.path, error.in_one_line()));
            }
        }
    }
    let count = |how: TakenIn| {
        let is_so = |one: &&Outcome| one.taken.as_ref().is_ok_and(|taken| taken.how == how);
        outcomes.iter().filter(is_so).count() as u64
    };
    let failed = outcomes.iter().filter(|one| one.taken.is_err()).count();
    let (added, updated) = (count(TakenIn::Added), count(TakenIn::Updated));
    let (moved, known) = (count(TakenIn::Moved), count(TakenIn::Known));
    if printer.json {
        printer.json(&json!({
            "type": "summary", "dry_run": dry_run, "added": added, "updated": updated,
            "moved": moved, "known": known, "failed": failed, "interrupted": interrupted,
        }))?;
    }
    let parts = [(updated, "updated"), (moved, "moved"), (known, "as before")];
    let mut said = counted(added, "new synth");
    for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
        said.push_str(&format!(", {count} {what}"));
    }
    if failed > 0 {
        said.push_str(&format!("; {failed} could not be added"));
    }
    printer.say(if dry_run { format!("would be: {said}") } else { said });
    Ok(match (interrupted, failed) {
        (true, _) => ExitStatus::Interrupted,
        (false, 0) => ExitStatus::Done,
        (false, _) => ExitStatus::SomeFailed,
    })
}

fn in_words(taken: &TakenSynth, dry_run: bool) -> String {
    let synth = &taken.synth;
    let what = match taken.how {
        TakenIn::Added => "added",
        TakenIn::Updated => "updated",
        TakenIn::Moved => "moved",
        TakenIn::Known => "known already:",
        TakenIn::Forgotten => "left alone:",
    };
    let would = if dry_run { "would be: " } else { "" };
    format!("{would}{what} `{}`: {}", synth.name, read_of(synth))
}

// What the source says of it.
fn read_of(synth: &ShownSynth) -> String {
    let category = synth.category.map_or("no category", |category| category.as_str());
    let controls = counted(synth.controls.len() as u64, "control");
    let mut said =
        format!("{category}, {controls}, channels {}, gate {}", channels(synth), gate(synth));
    if !synth.unsure.is_empty() {
        let unsure: Vec<&str> = synth.unsure.iter().map(|fact| fact.as_str()).collect();
        said.push_str(&format!("; unsure: {}", unsure.join(", ")));
    }
    said
}
