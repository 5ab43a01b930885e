//! `serve`: the library over HTTP.

use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use serde_json::json;
use songrec_library::{
    Config, Error, ErrorKind, InitOptions, Library, is_library, keys, local_root, until_interrupted,
};
use songrec_server::{Options, ServeError, Token, serve};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

use crate::{
    args::ServeArgs,
    commands::listening::{address, token_in},
    context::Context,
    status::ExitStatus,
};

/// The token that clients present: not a flag, because other users see those.
const TOKEN: &str = "SONGREC_SERVE_TOKEN";
/// How long `--check` waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// An address that anybody may take as an example.
const EXAMPLE: &str = "localhost:8001";

pub(super) async fn run(context: &Context, args: ServeArgs) -> Result<ExitStatus> {
    let place = address(&args.addr, EXAMPLE).await?;
    if args.check {
        return check(context, place).await;
    }
    let token = token(&args)?;
    let config = context.config([])?;
    if args.init {
        init(context, &config).await?;
    }
    context.say_which(config.chosen());
    let library = context.library_with(config.clone()).await?;
    let needs_token = token.is_some();
    let defaults = Options::default();
    let options = Options {
        token,
        read_only: args.read_only,
        hosts: args.allow_host.clone(),
        origins: args.allow_origin.clone(),
        upload_limit: args.max_upload.unwrap_or(defaults.upload_limit),
        examiner: std::env::current_exe().ok(),
        version: env!("CARGO_PKG_VERSION"),
    };
    let (shown, backend) = (library.place().to_owned(), config.get(keys::STORAGE_BACKEND));
    let printer = &context.printer;
    let ready = |address: SocketAddr| {
        let url = format!("http://{address}/");
        // Nobody reading it is no reason to stop serving.
        if printer.json {
            let _ = printer.json(&json!({
                "url": url,
                "library": shown,
                "backend": backend,
                "read_only": args.read_only,
                "token_needed": needs_token,
            }));
            let _ = printer.flush();
        }
        let how = if args.read_only { ", to read only" } else { "" };
        printer.say(format!("serving `{shown}` ({backend}{how}) at {url}; Ctrl-C ends it"));
        if !needs_token {
            printer.say("whoever uses this machine can use it, too; a token keeps others out");
        }
        if args.open && !open(&url) {
            printer.warn(format!("no browser could be started; open {url} in one"));
        }
    };
    let interrupt = context.job.interrupt.clone();
    let stop = async move { until_interrupted(&interrupt).await };
    serve(library, options, place, ready, stop).await.map_err(failure)?;
    printer.say("ended; jobs have reached a safe point");
    Ok(ExitStatus::Done)
}

// Makes a local library where the settings mean one and there is none; those in the cloud
// are made by `init-astra`, which asks for more.
async fn init(context: &Context, config: &Arc<Config>) -> Result<()> {
    let root = local_root(config);
    if config.get(keys::STORAGE_BACKEND) != "local" || is_library(&root) {
        return Ok(());
    }
    let (progress, options) = (context.job.progress.clone(), InitOptions::default());
    Library::init(config.clone(), &root, options, progress).await?;
    context.printer.say(format!("made a library in `{}`", root.display()));
    Ok(())
}

// Asks a server whether its library can be reached: for a supervisor that has no client of
// HTTP, such as an image that holds nothing but this program.
async fn check(context: &Context, mut place: SocketAddr) -> Result<ExitStatus> {
    // Who listens everywhere is asked here.
    if place.ip().is_unspecified() {
        place.set_ip(match place {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let failed = |reason: String| {
        Error::new(ErrorKind::Failed, format_args!("the server at {place} is not ready"))
            .because(reason)
            .with_hint("its own output says why, if it runs; `songrec serve` starts one")
    };
    let answer = match tokio::time::timeout(PATIENCE, readiness(place)).await {
        Ok(answer) => answer.map_err(|error| failed(error.to_string()))?,
        Err(_) => return Err(failed(format!("no answer in {PATIENCE:?}")).into()),
    };
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status != "200" {
        return Err(failed(format!("it answered `{}`", answer.trim())).into());
    }
    if context.printer.json {
        context.printer.json(&json!({"url": format!("http://{place}/"), "ready": true}))?;
    } else {
        context.printer.say(format!("the server at {place} is ready"));
    }
    Ok(ExitStatus::Done)
}

// The first line of the answer.
async fn readiness(place: SocketAddr) -> std::io::Result<String> {
    /// The status needs far less.
    const LONGEST: u64 = 1024;
    let mut stream = TcpStream::connect(place).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {place}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream.take(LONGEST)).read_line(&mut line).await?;
    Ok(line)
}

fn token(args: &ServeArgs) -> Result<Option<Token>> {
    let of_variable = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let (text, from) = match (&args.token_file, of_variable) {
        (Some(path), _) => (token_in(path)?, format!("`{}`", path.display())),
        (None, Some(token)) => (token.trim().to_owned(), format!("`{TOKEN}`")),
        (None, None) => return Ok(None),
    };
    let wrong = |error| {
        Error::usage(format_args!("the token in {from} is none"))
            .because(error)
            .with_hint("`openssl rand -hex 32` makes one")
    };
    Ok(Some(Token::new(&text).map_err(wrong)?))
}

// Shows a page in the browser of this user, who need not have one.
fn open(url: &str) -> bool {
    let (program, arguments): (&str, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        "windows" => ("explorer", &[]),
        _ => ("xdg-open", &[]),
    };
    let null = std::process::Stdio::null;
    std::process::Command::new(program)
        .args(arguments)
        .arg(url)
        .stdin(null())
        .stdout(null())
        .stderr(null())
        .spawn()
        .is_ok()
}

fn failure(error: ServeError) -> Error {
    match error {
        ServeError::NoToken(_) => Error::usage(error).with_hint(format!(
            "name a file that holds a token with `--token-file FILE`, set `{TOKEN}`, or listen at \
             127.0.0.1 alone"
        )),
        ServeError::Listen(..) => Error::new(ErrorKind::Failed, "the library could not be served")
            .because(error)
            .with_hint(
                "another program may listen there: `--addr` takes another address, such as \
                 127.0.0.1:0 for any free port",
            ),
    }
}
