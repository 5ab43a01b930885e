//! `anomalies`: songs that are like no others.

use anyhow::Result;
use songrec_library::{AnomalyOptions, anomalies};

use crate::{
    args::AnomaliesArgs,
    commands::select,
    context::Context,
    numbers::counted,
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: AnomaliesArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let options = AnomalyOptions {
        method: args.method,
        contamination: args.contamination,
        model: select::model(&library, args.model.as_deref()).await?,
        filter: args.filter.filter(&context.job, &library, &args.words).await?,
        seed: args.seed,
        limit: args.limit,
    };
    let printer = &context.printer;
    let rows = Rows::of(printer, &args.rows, &library)?;
    let Some(found) = anomalies(&library, &options, &context.job).await? else {
        printer.nothing("interrupted before all songs were compared")?;
        return Ok(ExitStatus::Interrupted);
    };
    if printer.json {
        printer.json(&found)?;
    } else if let Some(mut rows) = rows {
        rows.print(printer, &found.results)?;
    } else {
        let mut table = Table::of([
            Column::number(""),
            Column::text(""),
            Column::cut("", 1),
            Column::wrapped(""),
        ]);
        for anomaly in &found.results {
            table.row([
                format!("{:.3}", anomaly.score),
                anomaly.summary.id.short(),
                anomaly.summary.title.clone(),
                anomaly.reasons.join("; "),
            ]);
        }
        printer.table(&table)?;
    }
    printer.say(format!(
        "{} of {} are unlike the others, by `{}`",
        found.anomalies,
        counted(found.songs, "song"),
        found.model
    ));
    if found.anomalies > found.results.len() as u64 {
        printer.say(format!("the first {} are listed; `--limit` lists more", found.results.len()));
    }
    Ok(if found.results.is_empty() { ExitStatus::FoundNothing } else { ExitStatus::Done })
}
