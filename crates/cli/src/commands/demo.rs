use std::path::PathBuf;

use anyhow::Result;
use songrec_core::{Event, Job, SongSummary};
use songrec_library::{
    Error, InitOptions, Library, ScanOptions, SimilarOptions,
    find::{List, Listing, Order, OrderBy},
    keys,
};

use crate::{
    args::DemoArgs, commands::similar, context::Context, hints, numbers::counted,
    progress::listened_to, status::ExitStatus,
};

pub(super) async fn run(context: &Context, args: DemoArgs) -> Result<ExitStatus> {
    let printer = &context.printer;
    let audio = example_audio(args.audio.clone())?;
    let root = context.config([])?.directories().cache.join("demo-library");
    let library_flag = (keys::LIBRARY.setting(), songrec_core::encode_path(&root), "songrec demo");
    let config = context.config([library_flag])?;
    let options = InitOptions::default();
    let (library, _) = Library::init(config, &root, options, context.job.progress.clone()).await?;
    printer.say(format!("listening to the audio in `{}` …", audio.display()));
    let scan = ScanOptions {
        paths: vec![audio],
        genre_from_folder: true,
        again: true,
        ..ScanOptions::default()
    };
    let job = warning_of_failures(context);
    let started = std::time::Instant::now();
    let report = songrec_library::scan(&library, &scan, &job).await?;
    if report.interrupted {
        printer.interrupted("interrupted; the same command goes on")?;
        return Ok(ExitStatus::Interrupted);
    }
    printer.say(format!(
        "{} embedded in {:.1} s, {} known from before\n",
        counted(report.added + report.updated, "file"),
        started.elapsed().as_secs_f64(),
        report.unchanged + report.moved + report.duplicates,
    ));
    let Some(song) = first_song(&library).await? else {
        return Err(Error::not_found("there is no audio to show anything with").into());
    };
    let options = SimilarOptions { k: 5, explain: true, ..SimilarOptions::default() };
    let mut found = songrec_library::similar(&library, &song.id.to_string(), &options).await?;
    if printer.json {
        printer.json(&found)?;
    } else {
        similar::print(context, &mut found, None)?;
        printer.flush()?;
    }
    #[cfg(all(feature = "astra", feature = "emulator"))]
    if args.cloud {
        cloud::run(context, &scan, &song, &found).await?;
    }
    if !printer.json {
        what_next(context, &root, &song, found.results.first().map(|song| &song.summary));
    }
    Ok(ExitStatus::Done)
}

// The run's own work, with a warning of each file that cannot be read.
fn warning_of_failures(context: &Context) -> Job {
    let printer = context.printer.clone();
    listened_to(&context.job, move |event| {
        if let Event::Failed { item, reason } = event {
            printer.warn(format!("skipped `{item}`: {}", hints::in_words(reason)));
        }
    })
}

async fn first_song(library: &Library) -> Result<Option<SongSummary>> {
    let order = Order { by: OrderBy::Title, descending: false };
    let listing = Listing { order, limit: 1, ..Listing::default() };
    let first = List::new(library, listing).next().await?;
    Ok(first.into_iter().flatten().next())
}

fn what_next(
    context: &Context,
    root: &std::path::Path,
    song: &SongSummary,
    nearest: Option<&SongSummary>,
) {
    // Whoever runs it by cargo goes on by cargo.
    let program = match std::env::var_os("CARGO") {
        Some(_) => "cargo run --release --",
        None => "songrec",
    };
    let demo = format!("{program} --library '{}'", root.display());
    let other = nearest.map_or_else(String::new, |summary| {
        format!(
            "\n    {demo} explain {} {}   # why two songs match",
            song.id.short(),
            summary.id.short()
        )
    });
    context.printer.say(format!(
        "
Go on with this demo library:
    {demo} ls   # all songs{other}
    {demo} similar {} --bpm 100..140 -k 3
    {demo} stats

Or with your own music:
    {program} init            # make a library
    {program} scan ~/Music    # listen to what is there; run it again at any time
    {program} similar SONG    # any song of it, or any audio file",
        song.id.short()
    ));
}

// The examples of the source tree: of the one that is worked in, or else of
// the one that this program was built from.
fn example_audio(given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(given) = given {
        if given.exists() {
            return Ok(given);
        }
        return Err(Error::not_found(format_args!("there is no `{}`", given.display())).into());
    }
    let positions = [
        PathBuf::from("examples/audio"),
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/audio")),
    ];
    let found = positions.iter().find(|place| place.is_dir()).ok_or_else(|| {
        Error::not_found("the example audio is not here")
            .because("it comes with the sources of songrec, in `examples/audio`")
            .with_hint("`songrec demo --audio DIR` takes any folder of audio files")
    })?;
    Ok(found.canonicalize().unwrap_or_else(|_| found.clone()))
}

/// The same in Astra mode: a Data API of this process, and a folder for audio.
#[cfg(all(feature = "astra", feature = "emulator"))]
mod cloud {
    use anyhow::Result;
    use songrec_core::SongSummary;
    use songrec_emulator::Emulator;
    use songrec_library::{Error, ErrorKind, Library, ScanOptions, Similar, SimilarOptions, keys};

    use crate::{commands::similar, context::Context, numbers::counted};

    pub(super) async fn run(
        context: &Context,
        scan: &ScanOptions,
        song: &SongSummary,
        local: &Similar,
    ) -> Result<()> {
        let printer = &context.printer;
        let failed =
            |error| Error::new(ErrorKind::Failed, "the emulator did not start").because(error);
        let emulator =
            Emulator::builder().start().await.map_err(|error| failed(error.to_string()))?;
        let audio = tempfile::tempdir()?;
        let blobs = format!("file://{}", audio.path().display());
        let config = context.config([
            (keys::STORAGE_BACKEND.setting(), "astra".to_owned(), "songrec demo"),
            (keys::ASTRA_ENDPOINT.setting(), emulator.url().to_owned(), "songrec demo"),
            (keys::ASTRA_TOKEN.setting(), emulator.token(), "songrec demo"),
            (keys::BLOBS_URL.setting(), blobs, "songrec demo"),
        ])?;
        printer.say("\nThe same in Astra mode, with the Data API emulated on this machine:");
        Library::init_astra(&config, false).await?;
        let library = context.library_with(config).await?;
        let job = super::warning_of_failures(context);
        let report = songrec_library::scan(&library, scan, &job).await?;
        let requests = emulator.requests().total();
        printer.say(format!(
            "{} stored with embeddings and audio, in {requests} requests",
            counted(report.added, "song")
        ));
        let options =
            SimilarOptions { k: local.results.len(), explain: true, ..SimilarOptions::default() };
        let mut cloud = songrec_library::similar(&library, &song.id.to_string(), &options).await?;
        let again = emulator.requests().total() - requests;
        if printer.json {
            printer.json(&cloud)?;
        } else {
            similar::print(context, &mut cloud, None)?;
            printer.flush()?;
        }
        let ids = |similar: &Similar| {
            similar.results.iter().map(|one| one.summary.id).collect::<Vec<_>>()
        };
        if ids(local) != ids(&cloud) {
            return Err(
                Error::new(ErrorKind::Corrupt, "the two libraries answer differently").into()
            );
        }
        printer.say(format!(
            "the same answer as from the local library, in {}",
            counted(again as u64, "request")
        ));
        emulator.shutdown().await;
        Ok(())
    }
}
