use std::sync::Arc;

use anyhow::Result;
use serde_json::json;
use songrec_library::{
    DroppedModel, Error, KnownModel, ModelBench, ModelPlace, Models, drop_model, find, keys,
    model_use, remove_embedding,
};

use crate::{
    args::{Listed, ModelArgs, ModelCommand, RowArgs},
    ask::confirm,
    context::Context,
    hints,
    numbers::counted,
    rows::Rows,
    status::ExitStatus,
    table::{Column, Table},
};

pub(super) async fn run(context: &Context, args: ModelArgs) -> Result<ExitStatus> {
    let models = Arc::new(Models::new(context.config([])?));
    match args.what {
        ModelCommand::List { rows } => list(context, &models, &rows),
        ModelCommand::Info { name } => info(context, &models, &name).await,
        ModelCommand::Add { name, from } => add(context, &models, &name, &from).await,
        ModelCommand::Remove { name, yes } => remove(context, &models, &name, yes),
        ModelCommand::Drop { name, songs, yes } => drop_vectors(context, &name, &songs, yes).await,
        ModelCommand::Verify { names } => verify(context, &models, &names).await,
        ModelCommand::Bench { name, seconds } => bench(context, &models, &name, seconds).await,
    }
}

fn list(context: &Context, models: &Models, rows: &RowArgs<impl Listed>) -> Result<ExitStatus> {
    let printer = &context.printer;
    let rows = Rows::of(printer, rows, None)?;
    let mut known = Vec::new();
    let mut status = ExitStatus::Done;
    let mut table = Table::headed([
        Column::text("model"),
        Column::number("dimension"),
        Column::text("metric"),
        Column::text("reads"),
        Column::wrapped("where"),
    ]);
    for model in models.list() {
        match model {
            Ok(model) if printer.json => printer.json(&model)?,
            Ok(model) if rows.is_some() => known.push(model),
            Ok(model) => table.row([
                model.spec.name.to_string(),
                model.spec.dimension.to_string(),
                model.spec.metric.to_string(),
                if model.reads_text { "text" } else { "" }.to_owned(),
                model.place.to_string(),
            ]),
            Err(error) => {
                status = ExitStatus::SomeFailed;
                let hint = error
                    .hint()
                    .map(|hint| format!("; {}", hints::in_words(hint)))
                    .unwrap_or_default();
                printer.warn(format!("{error}{hint}"));
            }
        }
    }
    if let Some(mut rows) = rows {
        rows.print(printer, &known)?;
    } else if !printer.json {
        printer.table(&table)?;
        printer.say(format!(
            "`songrec model add NAME DIR` adds others; songrec knows how to use {}",
            Models::addable().join(", ")
        ));
    }
    Ok(status)
}

async fn info(context: &Context, models: &Models, name: &str) -> Result<ExitStatus> {
    let model = models.find(name)?;
    let printer = &context.printer;
    if printer.json {
        let mut document = serde_json::to_value(&model)?;
        if let Some(server) = server(models, &model).await {
            document["server"] = server?;
        }
        printer.json(&document)?;
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::default();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            table.row([name.to_owned(), value]);
        }
    };
    row("model", model.spec.name.to_string());
    row("about", model.spec.description.clone());
    row("dimension", model.spec.dimension.to_string());
    row("metric", model.spec.metric.to_string());
    row("reads text", if model.reads_text { "yes" } else { "no" }.to_owned());
    row("where", model.place.to_string());
    match &model.place {
        ModelPlace::BuiltIn => {}
        ModelPlace::Onnx(place) => {
            row("window", format!("{} s at {} Hz", place.window, place.sample_rate));
            row("engine", place.engine.to_string());
            row("licence", place.licence.clone());
            row("homepage", place.homepage.clone());
            row("cite", place.citation.clone());
            for file in &place.files {
                let digest = file.sha256.map(|digest| digest.to_string()).unwrap_or_default();
                row("file", format!("{}  {digest}", file.name));
            }
        }
        ModelPlace::Http(place) => {
            row("window", format!("{} s at {} Hz", place.window, place.sample_rate));
            row("on the server", place.remote.clone());
        }
    }
    let server = server(models, &model).await;
    if let Some(Ok(health)) = &server {
        let milliseconds = health["latency"].as_f64().unwrap_or_default() * 1000.0;
        row("server", format!("well, answers within {milliseconds:.0} ms"));
    }
    printer.table(&table)?;
    if let Some(Err(error)) = server {
        return Err(error);
    }
    Ok(ExitStatus::Done)
}

// How the server of a model is, if it is on one.
#[cfg(feature = "bridge")]
async fn server(models: &Models, model: &KnownModel) -> Option<Result<serde_json::Value>> {
    match models.server_health(model).await {
        Ok(health) => Some(Ok(serde_json::to_value(health?).unwrap_or_default())),
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(not(feature = "bridge"))]
async fn server(_: &Models, _: &KnownModel) -> Option<Result<serde_json::Value>> {
    None
}

async fn add(context: &Context, models: &Models, name: &str, from: &str) -> Result<ExitStatus> {
    let added = models.add(name, from, &context.job).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&added)?;
        return Ok(ExitStatus::Done);
    }
    let model = &added.model.spec.name;
    printer.line(model.to_string())?;
    for note in &added.notes {
        printer.say(note);
    }
    printer.say(match added.was_there {
        true => format!("`{model}` was there already, with the same files"),
        false => format!(
            "added; `songrec scan PATH --model {model}` lets it embed new songs, `songrec scan \
             --model {model} --missing` those of the library"
        ),
    });
    Ok(ExitStatus::Done)
}

fn remove(context: &Context, models: &Models, name: &str, yes: bool) -> Result<ExitStatus> {
    let model = models.find(name)?;
    let question = format!("Remove `{}` from {}?", model.spec.name, models.folder().display());
    if matches!(&model.place, ModelPlace::Onnx(_)) && !confirm(&question, yes)? {
        context.printer.nothing("nothing was removed")?;
        return Ok(ExitStatus::Done);
    }
    models.remove(&model)?;
    if context.printer.json {
        context.printer.json(&json!({ "removed": model.spec.name }))?;
    }
    context
        .printer
        .say(format!("removed `{}`; what it embedded stays in libraries", model.spec.name));
    Ok(ExitStatus::Done)
}

// The vectors of a model, of all songs or of some.
async fn drop_vectors(
    context: &Context,
    name: &str,
    songs: &[String],
    yes: bool,
) -> Result<ExitStatus> {
    let library = context.library_to_change().await?;
    let printer = &context.printer;
    let found = model_use(&library, name).await?;
    let model = &found.model;
    let (what, count) = match songs {
        [] => ("all songs".to_owned(), found.songs),
        some => (format!("{} of {} songs", some.len(), found.songs), some.len() as u64),
    };
    let question = format!("Remove the vectors by `{model}` of {what}?");
    if count > 0 && !confirm(&question, yes)? {
        printer.nothing("nothing was removed")?;
        return Ok(ExitStatus::Done);
    }
    let dropped = match songs {
        [] => drop_model(&library, model, &context.job).await?,
        some => {
            let mut dropped = DroppedModel::none(model.clone());
            for song in find::songs(&library, some).await? {
                dropped.songs += u64::from(remove_embedding(&library, song.id, model).await?);
            }
            dropped
        }
    };
    if printer.json {
        printer.json(&dropped)?;
    } else {
        printer.line(format!("removed {} by `{model}`", counted(dropped.songs, "vector")))?;
    }
    if dropped.windows > 0 {
        printer.say(format!("{} windows of songs are gone with them", dropped.windows));
    }
    if dropped.patterns > 0 {
        printer.say(format!("{} patterns keep their features by it", dropped.patterns));
    }
    if dropped.interrupted {
        printer.interrupted("interrupted before all were removed; the same command goes on")?;
        return Ok(ExitStatus::Interrupted);
    }
    if dropped.songs > 0 {
        printer.say("`songrec gc` frees their room");
    }
    let scans = library.config().get(keys::SCAN_MODELS);
    if scans.iter().any(|one| *one == model.as_str() || *one == model.name()) {
        printer.say(format!(
            "`scan.models` names `{model}`: new songs get a vector by it, and `songrec scan \
             --missing` gives one to these again"
        ));
    }
    Ok(ExitStatus::Done)
}

async fn verify(context: &Context, models: &Models, names: &[String]) -> Result<ExitStatus> {
    let chosen: Vec<Result<KnownModel, Error>> = match names {
        [] => models
            .list()
            .into_iter()
            .filter(|model| {
                !matches!(
                    model,
                    Ok(KnownModel { place: ModelPlace::BuiltIn | ModelPlace::Http(_), .. })
                )
            })
            .collect(),
        names => names.iter().map(|name| models.find(name)).collect(),
    };
    let printer = &context.printer;
    let mut worst = None;
    let checked = chosen.len();
    for model in chosen {
        let (name, result) = match model {
            Ok(model) => (Some(model.spec.name.clone()), models.verify(&model).await),
            Err(error) => (None, Err(error)),
        };
        let problem = result.err();
        if printer.json {
            printer.json(&json!({
                "model": name,
                "ok": problem.is_none(),
                "problem": problem.as_ref().map(ToString::to_string),
                "hint": problem.as_ref().and_then(Error::hint),
            }))?;
        } else if let (Some(name), None) = (&name, &problem) {
            printer.line(format!("ok  {name}"))?;
        }
        if let Some(error) = problem {
            if checked > 1 && !printer.json {
                printer.warn(error.to_string());
            }
            worst = Some(error);
        }
    }
    if checked == 0 {
        printer.nothing("no model was added yet")?;
    }
    worst.map_or(Ok(ExitStatus::Done), |error| Err(error.into()))
}

async fn bench(
    context: &Context,
    models: &Arc<Models>,
    name: &str,
    seconds: f64,
) -> Result<ExitStatus> {
    if !(0.1..=36_000.0).contains(&seconds) {
        return Err(Error::usage(format_args!("`{seconds}` seconds cannot be embedded"))
            .with_hint("name 0.1 to 36000 seconds")
            .into());
    }
    let model = models.find(name)?;
    let bench = songrec_library::bench_model(models, &model, seconds, &context.job).await?;
    let printer = &context.printer;
    if printer.json {
        printer.json(&bench)?;
        return Ok(ExitStatus::Done);
    }
    let mut table = Table::default();
    let mut row = |name: &str, value: String| table.row([name.to_owned(), value]);
    row("model", bench.model.to_string());
    row("engine", bench.engine.clone());
    row("open after", format!("{:.2} s", bench.load_seconds));
    row(
        "embedded",
        format!(
            "{:.1} s of noise, {} windows, in {:.2} s",
            bench.audio_seconds, bench.windows, bench.seconds
        ),
    );
    row("speed", format!("{:.1} times real time", bench.times_real_time));
    row(
        "a window",
        format!(
            "{:.1} ms in the engine, {:.2} ms before it",
            bench.engine_ms_per_window, bench.front_end_ms_per_window
        ),
    );
    row("calls", format!("{} windows each, {} at a time", bench.batch, bench.calls_at_once));
    requests(&bench, &mut row);
    printer.table(&table)?;
    Ok(ExitStatus::Done)
}

// What was asked of a server, and how it went.
#[cfg(feature = "bridge")]
fn requests(bench: &ModelBench, row: &mut impl FnMut(&str, String)) {
    let Some(server) = &bench.server else { return };
    row("requests", format!("{}, {} of them again", server.requests, server.retries));
    if let (Some(mean), Some(longest)) = (server.mean_latency, server.longest_latency) {
        let (mean, longest) = (mean * 1000.0, longest * 1000.0);
        row("a request", format!("{mean:.1} ms, the longest {longest:.1} ms"));
    }
    for (problem, count) in &server.failures {
        row("failed", format!("{count} x {problem}"));
    }
    row("breaker", server.breaker.to_string());
}

#[cfg(not(feature = "bridge"))]
fn requests(_: &ModelBench, _: &mut impl FnMut(&str, String)) {}
