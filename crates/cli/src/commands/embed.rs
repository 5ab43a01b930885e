use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use anyhow::Result;
use serde_json::json;
use songrec_core::{Event, ModelName, Vector, Work, decode_path};
use songrec_library::{EmbeddedFile, Error, ErrorKind, Models, Part, embed_file, keys, write_npy};

use crate::{args::EmbedArgs, context::Context, status::ExitStatus};

pub(super) async fn run(context: &Context, args: EmbedArgs) -> Result<ExitStatus> {
    let config = context.config([])?;
    let models = Arc::new(Models::new(config.clone()));
    let names = match args.models.as_slice() {
        [] => vec![config.get(keys::SEARCH_MODEL).to_owned()],
        given => given.to_vec(),
    };
    let embedders = models.embedders(&names).await?;
    if let Some(folder) = &args.npy {
        std::fs::create_dir_all(folder).map_err(|error| Error::io("create", folder, error))?;
    }
    let mut output =
        Output { context, args: &args, several: names.len() > 1, written: BTreeSet::new() };
    let mut last_error = None;
    let mut failed = 0;
    let job = &context.job;
    job.on(Event::started(Work::Embedding, Some(args.files.len() as u64)));
    for file in &args.files {
        if job.is_interrupted() {
            job.on(Event::Finished);
            context.printer.interrupted("interrupted before all files were embedded")?;
            return Ok(ExitStatus::Interrupted);
        }
        let (path, part) = Part::split(file);
        let error = match embed_file(&decode_path(path), &embedders, part, args.windows).await {
            Ok(mut embedded) => {
                for spec in embedders.specs() {
                    if let Some(vector) = embedded.vectors.get(&spec.name) {
                        output.vector(file, part, &embedded, &spec.name, vector)?;
                    }
                }
                embedded.unembedded.pop_first().map(|(_, error)| error)
            }
            Err(error) => Some(error),
        };
        match &error {
            None => job.on(Event::Advanced { item: file, bytes: 0 }),
            Some(error) => job.on(Event::Failed { item: file, reason: &error.to_string().into() }),
        }
        if let Some(error) = error {
            failed += 1;
            if args.files.len() > 1 {
                context.printer.warn(format!("skipped `{file}`: {error}"));
            }
            last_error = Some(error);
        }
    }
    job.on(Event::Finished);
    match last_error {
        // One file, or none that worked: the error is the answer.
        Some(error) if failed == args.files.len() => Err(error.into()),
        Some(_) => Ok(ExitStatus::SomeFailed),
        None => Ok(ExitStatus::Done),
    }
}

struct Output<'a> {
    context: &'a Context,
    args: &'a EmbedArgs,
    several: bool,
    written: BTreeSet<PathBuf>,
}

impl Output<'_> {
    fn vector(
        &mut self,
        file: &str,
        part: Option<Part>,
        embedded: &EmbeddedFile,
        model: &ModelName,
        vector: &Vector,
    ) -> Result<()> {
        let windows = embedded.windows.get(model).filter(|_| self.args.windows);
        let printer = &self.context.printer;
        let path = match &self.args.npy {
            None => None,
            Some(folder) => {
                let path = folder.join(self.name(file, part, model)?);
                let written = match windows {
                    None => write_npy(&path, &[vector], false),
                    Some(windows) => {
                        let rows: Vec<&Vector> = windows.iter().map(|one| &one.vector).collect();
                        write_npy(&path, &rows, true)
                    }
                };
                written.map_err(|error| Error::io("write", &path, error))?;
                Some(path)
            }
        };
        if printer.json {
            let mut document = json!({
                "file": file,
                "id": embedded.song.id,
                "model": model,
                "dimension": vector.dimension(),
            });
            if let Some(part) = part {
                document["part"] = json!(part);
            }
            match &path {
                Some(path) => document["npy"] = json!(path),
                None => document["vector"] = json!(vector.values()),
            }
            if let Some(windows) = windows {
                let windows = windows.iter().map(|one| match path {
                    Some(_) => json!({ "start": one.start, "end": one.end }),
                    None => json!({
                        "start": one.start, "end": one.end, "vector": one.vector.values(),
                    }),
                });
                document["windows"] = windows.collect();
            }
            return printer.json(&document);
        }
        match path {
            Some(path) => printer.line(path.display().to_string()),
            None => {
                let values: Vec<String> =
                    vector.values().iter().map(|value| format!("{value}")).collect();
                printer.line(format!("{file}\t{model}\t{}", values.join(" ")))
            }
        }
    }

    fn name(&mut self, file: &str, part: Option<Part>, model: &ModelName) -> Result<PathBuf> {
        let path = decode_path(Part::split(file).0);
        let mut name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(part) = part {
            name += &format!(".{:.1}-{:.1}", part.start, part.end);
        }
        if self.several {
            name += &format!(".{model}");
        }
        let name = PathBuf::from(name + ".npy");
        if !self.written.insert(name.clone()) {
            return Err(Error::new(
                ErrorKind::Usage,
                format_args!("two of the files would both be written to `{}`", name.display()),
            )
            .with_hint("give them one after the other, each with another folder")
            .into());
        }
        Ok(name)
    }
}
