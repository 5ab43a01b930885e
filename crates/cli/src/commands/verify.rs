use anyhow::Result;
use songrec_library::VerifyOptions;

use crate::{args::VerifyArgs, context::Context, hints, numbers::counted, status::ExitStatus};

pub(super) async fn run(context: &Context, args: VerifyArgs) -> Result<ExitStatus> {
    let library = context.library_with_or_to_change(args.repair).await?;
    let options = VerifyOptions { repair: args.repair, read_data: args.read_data };
    let mut findings = songrec_library::verify(&library, &options, &context.job).await?;
    findings.iter_mut().for_each(|finding| hints::put_in_words(&mut finding.hint));
    let printer = &context.printer;
    for finding in &findings {
        if printer.json {
            printer.json(finding)?;
            continue;
        }
        let state = if finding.repaired { " (repaired)" } else { "" };
        printer.line(format!("{}: {}{state}", finding.subject, finding.problem))?;
        if let Some(hint) = finding.hint.as_ref().filter(|_| !finding.repaired) {
            printer.line(format!("    {hint}"))?;
        }
    }
    let open = findings.iter().filter(|finding| !finding.repaired).count();
    let repaired = findings.len() - open;
    if context.job.is_interrupted() {
        printer.interrupted("interrupted before everything was looked at")?;
        return Ok(ExitStatus::Interrupted);
    }
    if findings.is_empty() {
        printer.nothing("everything is as it should be")?;
        return Ok(ExitStatus::Done);
    }
    printer.say(match (open, repaired) {
        (0, repaired) => format!("{} found and repaired", counted(repaired as u64, "problem")),
        (open, 0) => format!("{} found", counted(open as u64, "problem")),
        (open, repaired) => {
            format!("{} found, {repaired} more repaired", counted(open as u64, "problem"))
        }
    });
    Ok(if open == 0 { ExitStatus::Done } else { ExitStatus::Corrupt })
}
