//! The emulator as a program of its own: `serve [--data DIR] [--addr HOST:PORT]
//! [--token TOKEN] [--user NAME:PASSWORD] [--page-size N]`.

use std::net::SocketAddr;

use songrec_emulator::{Emulator, Options, serve};

#[expect(clippy::print_stdout, reason = "a program for the terminal")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("`{name}` needs a value"))?;
        match name.as_str() {
            "--data" => options.data = Some(value.into()),
            "--addr" => options.address = value.parse::<SocketAddr>()?,
            "--token" => options.tokens.push(value),
            "--user" => {
                let (name, password) = value.split_once(':').ok_or("expected NAME:PASSWORD")?;
                options.users.push((name.to_owned(), password.to_owned()));
            }
            "--page-size" => options.limits.page_size = value.parse()?,
            "--collections" => options.limits.collections = value.parse()?,
            "--rerank" => options.rerank = value.parse()?,
            _ => return Err(format!("unknown option `{name}`").into()),
        }
    }
    let ready = |emulator: &Emulator| {
        println!("ASTRA_DB_API_ENDPOINT={}", emulator.url());
        println!("ASTRA_DB_APPLICATION_TOKEN={}", emulator.token());
    };
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(options, ready, stop).await?;
    Ok(())
}
