//! `eval`: how good the neighbors of this library are.

use anyhow::Result;
use songrec_library::{
    Eval, EvalOptions, Measured, ModelEval, Robustness, RobustnessOptions, evaluate, robustness,
};

use crate::{
    args::EvalArgs,
    context::Context,
    numbers::counted,
    status::ExitStatus,
    table::{Column, Table},
};

/// Confusions that are shown.
const CONFUSIONS: usize = 5;

pub(super) async fn run(context: &Context, args: EvalArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let filter = args.filter.filter(&context.job, &library, &[]).await?;
    let printer = &context.printer;
    if let Some(songs) = args.distortions {
        let options =
            RobustnessOptions { models: args.models.clone(), filter, songs, seed: args.seed };
        let Some(found) = robustness(&library, &options, &context.job).await? else {
            printer.nothing("interrupted before all copies were compared")?;
            return Ok(ExitStatus::Interrupted);
        };
        return print_robustness(context, &found);
    }
    let options = EvalOptions {
        by: args.by,
        not_same: args.not_same,
        models: args.models.clone(),
        blend: args.blend.clone(),
        filter,
        queries: usize::try_from(args.queries).unwrap_or(usize::MAX),
        seed: args.seed,
    };
    let Some(found) = evaluate(&library, &options, &context.job).await? else {
        printer.nothing("interrupted before all songs were asked")?;
        return Ok(ExitStatus::Interrupted);
    };
    if printer.json {
        printer.json(&found)?;
    } else {
        print(context, &found)?;
    }
    let not_same = match found.not_same {
        Some(not_same) => format!(", none of the same {}", not_same.as_str()),
        None => String::new(),
    };
    printer.say(format!(
        "{} of {} with a known {} were asked{not_same}; chance: {:.3}; in brackets 95 % intervals",
        found.queries,
        counted(found.labelled, "song"),
        found.by.as_str(),
        found.chance
    ));
    if let Some(better) = best(&found) {
        printer.say(better);
    }
    Ok(ExitStatus::Done)
}

// The model that this library is served best by, if that is no chance.
fn best(found: &Eval) -> Option<String> {
    let [first, others @ ..] = found.models.as_slice() else { return None };
    let clearly = |model: &&ModelEval| model.difference.is_some_and(|by| by.low > 0.0);
    let better = others
        .iter()
        .filter(clearly)
        .max_by(|a, b| a.precision_at_5.mean.total_cmp(&b.precision_at_5.mean));
    if others.is_empty() {
        return None;
    }
    Some(match better {
        Some(model) if !model.model.contains('=') => format!(
            "`{}` is better than `{}`; `SONGREC_SEARCH_MODEL={}` or `model = \"{}\"` in `[search]` \
             of the configuration makes searches use it",
            model.model, first.model, model.model, model.model
        ),
        Some(model) => format!("`{}` is better than `{}`", model.model, first.model),
        None => format!("no model is clearly better than `{}`", first.model),
    })
}

fn print(context: &Context, found: &Eval) -> Result<()> {
    let printer = &context.printer;
    let mut table = Table::headed([
        Column::cut("model", 1),
        Column::number("nearest"),
        Column::number("of 5"),
        Column::number("of 10"),
        Column::number("mean AP"),
    ]);
    for model in &found.models {
        table.row([
            model.model.clone(),
            measured(&model.precision_at_1),
            measured(&model.precision_at_5),
            measured(&model.precision_at_10),
            measured(&model.map),
        ]);
    }
    printer.table(&table)?;
    for model in &found.models {
        printer.line("")?;
        printer.line(printer.bold(&format!("{}: right neighbors by distance", model.model)))?;
        let mut table = Table::of([Column::text(""), Column::number(""), Column::number("")]);
        for band in &model.bands {
            let to = band.to.map_or_else(|| "and more".to_owned(), |to| format!("to {to:.3}"));
            let right = band.right.map_or_else(|| "-".to_owned(), percent);
            let range = format!("    {:.3} {to}", band.from);
            table.row([range, right, format!("of {}", counted(band.neighbors, "neighbor"))]);
        }
        printer.table(&table)?;
        if model.confusions.is_empty() {
            continue;
        }
        printer.line(printer.bold("what the nearest song is instead"))?;
        let mut table = Table::of([Column::number(""), Column::wrapped("")]);
        for confusion in model.confusions.iter().take(CONFUSIONS) {
            let text = format!("{} for {}", confusion.with, confusion.of);
            table.row([format!("    {}", confusion.count), text]);
        }
        printer.table(&table)?;
    }
    Ok(())
}

fn print_robustness(context: &Context, found: &Robustness) -> Result<ExitStatus> {
    let printer = &context.printer;
    if printer.json {
        printer.json(found)?;
    } else {
        let mut table = Table::headed([
            Column::cut("model", 1),
            Column::cut("copy", 2),
            Column::number("found first"),
            Column::number("in 10"),
            Column::number("distance"),
        ]);
        for model in &found.models {
            for copy in &model.distortions {
                table.row([
                    model.model.to_string(),
                    copy.distortion.to_owned(),
                    percent(copy.first),
                    percent(copy.in_ten),
                    format!("{:.3}", copy.median_distance),
                ]);
            }
        }
        printer.table(&table)?;
    }
    let skipped = match found.skipped {
        0 => String::new(),
        skipped => format!(
            "; {} left out, whose audio is not here or cannot be read",
            counted(skipped, "song")
        ),
    };
    printer.say(format!(
        "changed copies of {} among {}{skipped}",
        counted(found.songs, "song"),
        counted(found.among, "song"),
    ));
    Ok(if found.songs == 0 { ExitStatus::FoundNothing } else { ExitStatus::Done })
}

fn measured(of: &Measured) -> String {
    format!("{:.2} ({:.2}–{:.2})", of.mean, of.low, of.high)
}

fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}
