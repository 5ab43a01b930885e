use anyhow::Result;

use crate::{
    args::ExplainArgs,
    commands::similar::reasons,
    context::Context,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: ExplainArgs) -> Result<ExitStatus> {
    let library = context.library_to_read().await?;
    let pair = songrec_library::explain_songs(&library, &args.a, &args.b).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&pair)?;
        return Ok(ExitStatus::Done);
    }
    let similarity = pair.similarity.map(|similarity| format!(" (similarity {similarity:.3})"));
    printer.line(format!(
        "{} and {}{}",
        printer.bold(&pair.left.title),
        printer.bold(&pair.right.title),
        similarity.unwrap_or_default()
    ))?;
    reasons(context, &pair.explanation)?;
    let mut table =
        Table::of([Column::text(""), Column::number(""), Column::number(""), Column::wrapped("")]);
    for fact in &pair.explanation.facts {
        let name = match fact.unit {
            "" => fact.name.to_owned(),
            unit => format!("{} ({unit})", fact.name),
        };
        table.row([name, fact.left.clone(), fact.right.clone(), fact.remark.clone()]);
    }
    printer.table(&table)?;
    Ok(ExitStatus::Done)
}
