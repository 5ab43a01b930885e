//! Starting and stopping.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::{RwLock, oneshot};
use tokio::task::JoinHandle;

use crate::auth::Credential;
use crate::connection::{Door, Line};
use crate::database::Database;
use crate::error::Names;
use crate::faults::{Faults, Rule};
use crate::http;
use crate::limits::Limits;
use crate::requests::Requests;
use crate::rules::Rules;
use crate::settings::Features;
use crate::shared::Shared;
use crate::store::{OpenError, Store};

/// The keyspace that every database starts with, as on Astra.
pub const DEFAULT_KEYSPACE: &str = "default_keyspace";

/// How an emulator shall be. Every setting has a default.
#[derive(Clone, Debug)]
pub struct Builder {
    address: SocketAddr,
    data: Option<PathBuf>,
    credentials: Vec<Credential>,
    keyspaces: Vec<String>,
    rules: Rules,
    faults: Faults,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: None,
            credentials: Vec::new(),
            keyspaces: vec![DEFAULT_KEYSPACE.to_owned()],
            rules: Rules {
                limits: Limits::default(),
                features: Features { lexical: true, rerank: false },
                names: Names::Current,
                missed_neighbors: 0.0,
                late_estimates: true,
                empty_last_pages: true,
            },
            faults: Faults::default(),
        }
    }
}

impl Builder {
    /// Where to listen; a free port of the loopback by default.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Keeps the data in a folder; in memory alone by default.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Accepts this token. Without tokens and users, a random one is made.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.credentials.push(Credential::Token(token.into()));
        self
    }

    /// Accepts this user, in the form of self-hosted servers:
    /// `Cassandra:` and user and password in base64.
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials.push(Credential::User { name: name.into(), password: password.into() });
        self
    }

    /// The keyspaces that are there from the start; `default_keyspace` if not called.
    #[must_use]
    pub fn keyspaces(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.keyspaces = names.into_iter().map(Into::into).collect();
        self
    }

    /// What is refused.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.rules.limits = limits;
        self
    }

    /// Documents in one page; see [`Limits::page_size`].
    #[must_use]
    pub fn page_size(mut self, documents: usize) -> Self {
        self.rules.limits.page_size = documents.max(1);
        self
    }

    /// Whether the database can search text (`$lexical`); yes by default, as on Astra.
    #[must_use]
    pub fn lexical(mut self, lexical: bool) -> Self {
        self.rules.features.lexical = lexical;
        self
    }

    /// Whether collections carry a `rerank` block and `findAndRerank` works; no by
    /// default. The reranking model is a stand-in that counts words.
    #[must_use]
    pub fn rerank(mut self, rerank: bool) -> Self {
        self.rules.features.rerank = rerank;
        self
    }

    /// Which names error codes go by.
    #[must_use]
    pub fn error_names(mut self, names: Names) -> Self {
        self.rules.names = names;
        self
    }

    /// The part of the candidates, 0 to 1, that a vector search misses. Real
    /// indexes are approximate; a program should not depend on a certain hit.
    #[must_use]
    pub fn missed_neighbors(mut self, part: f64) -> Self {
        self.rules.missed_neighbors = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
        self
    }

    /// Whether estimated counts are those of the start, so 0 for a new
    /// collection, as the real ones are minutes old; yes by default.
    #[must_use]
    pub fn late_estimates(mut self, late: bool) -> Self {
        self.rules.late_estimates = late;
        self
    }

    /// Whether a full page has a page state even if nothing comes after it, as
    /// Cassandra does; yes by default.
    #[must_use]
    pub fn empty_last_pages(mut self, empty: bool) -> Self {
        self.rules.empty_last_pages = empty;
        self
    }

    /// The plan of faults to begin with.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    fn open(mut self) -> Result<Arc<Shared>, OpenError> {
        let (store, place) = match &self.data {
            None => (Store::Memory, String::from("memory")),
            Some(folder) => (Store::open(folder)?, folder.display().to_string()),
        };
        let database = Database::open(store, &self.rules.limits, &place)?;
        for keyspace in &self.keyspaces {
            database
                .create_keyspace(keyspace)
                .map_err(|error| OpenError::Damaged(place.clone(), error.message))?;
        }
        if self.credentials.is_empty() {
            self.credentials.push(Credential::random());
        }
        Ok(Arc::new(Shared {
            database,
            rules: self.rules,
            credentials: self.credentials,
            faults: self.faults,
            requests: Requests::default(),
            on_their_way: RwLock::default(),
        }))
    }

    /// Opens the data, binds the address and serves until shut down.
    ///
    /// # Errors
    ///
    /// The folder cannot be used, or the address cannot be bound.
    pub fn start(self) -> BoxFuture<'static, Result<Emulator, StartError>> {
        // Boxed: so the whole server is compiled here, and not in everything that starts one.
        Box::pin(async move {
            let address = self.address;
            let listener = TcpListener::bind(address)
                .await
                .map_err(|error| StartError::Bind(address, error))?;
            let address =
                listener.local_addr().map_err(|error| StartError::Bind(address, error))?;
            let shared = tokio::task::spawn_blocking(move || self.open())
                .await
                .map_err(|error| StartError::Bind(address, io::Error::other(error)))??;
            let service =
                http::router(Arc::clone(&shared)).into_make_service_with_connect_info::<Line>();
            let (stop, stopped) = oneshot::channel::<()>();
            let server = axum::serve(Door(listener), service).with_graceful_shutdown(async {
                // Either somebody asks for it, or the emulator is dropped.
                let _ = stopped.await;
            });
            let task = tokio::spawn(server.into_future());
            Ok(Emulator {
                url: format!("http://{address}"),
                address,
                shared,
                stop: Some(stop),
                task: Some(task),
            })
        })
    }
}

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address is taken, or not one of this machine.
    #[error("could not listen on `{0}`")]
    Bind(SocketAddr, #[source] io::Error),
    /// The server stopped by itself.
    #[error("the server stopped")]
    Serve(#[source] io::Error),
}

/// A running server. It stops when dropped.
pub struct Emulator {
    url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<io::Result<()>>>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emulator").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Emulator {
    /// Settings, to be changed before the start.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The endpoint, such as `http://127.0.0.1:40313`. Commands are at
    /// `/v1/…` and at `/api/json/v1/…`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A token that it accepts.
    pub fn token(&self) -> String {
        self.shared.credentials.first().map(Credential::token).unwrap_or_default()
    }

    /// What goes wrong, and when.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked.
    pub fn requests(&self) -> &Requests {
        &self.shared.requests
    }

    /// Answers what is on its way, then stops. Everything is on disk then.
    pub async fn shutdown(mut self) {
        self.stop.take();
        if let Some(mut task) = self.task.take()
            && tokio::time::timeout(PATIENCE, &mut task).await.is_err()
        {
            task.abort();
            let _ = task.await;
        }
        let _ = tokio::time::timeout(PATIENCE, self.shared.on_their_way.write()).await;
    }
}

/// How long a shutdown waits for requests on their way.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the command `songrec emulator` can set.
#[derive(Clone)]
pub struct Options {
    /// Where to listen.
    pub address: SocketAddr,
    /// The folder for the data; memory if `None`.
    pub data: Option<PathBuf>,
    /// Tokens that are accepted. Without tokens and users, a random one is made.
    pub tokens: Vec<String>,
    /// Users that are accepted, with their passwords.
    pub users: Vec<(String, String)>,
    /// What is refused.
    pub limits: Limits,
    /// Whether collections can have `$lexical`.
    pub lexical: bool,
    /// Whether collections carry a `rerank` block.
    pub rerank: bool,
    /// Whether estimated counts are those of the start; see
    /// [`Builder::late_estimates`].
    pub late_estimates: bool,
    /// How long every request takes at least.
    pub delay: Duration,
}

impl Default for Options {
    /// The port of a self-hosted Data API, on the loopback.
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 8181)),
            data: None,
            tokens: Vec::new(),
            users: Vec::new(),
            limits: Limits::default(),
            lexical: true,
            rerank: false,
            late_estimates: true,
            delay: Duration::ZERO,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, data, tokens, users, limits, lexical, rerank, late_estimates, delay } =
            self;
        f.debug_struct("Options")
            .field("address", address)
            .field("data", data)
            .field("tokens", &tokens.len())
            .field("users", &users.len())
            .field("limits", limits)
            .field("lexical", lexical)
            .field("rerank", rerank)
            .field("late_estimates", late_estimates)
            .field("delay", delay)
            .finish()
    }
}

/// Serves until `stop` is done. `ready` is told the endpoint and the token.
///
/// # Errors
///
/// The server did not start, or stopped by itself.
pub async fn serve(
    options: Options,
    ready: impl FnOnce(&Emulator),
    stop: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let Options { address, data, tokens, users, limits, lexical, rerank, late_estimates, delay } =
        options;
    let mut builder = Emulator::builder().address(address).limits(limits);
    builder = builder.lexical(lexical).rerank(rerank).late_estimates(late_estimates);
    if !delay.is_zero() {
        builder.faults.add(Rule::delay(delay));
    }
    builder.data = data;
    for token in tokens {
        builder = builder.token(token);
    }
    for (name, password) in users {
        builder = builder.user(name, password);
    }
    let mut emulator = builder.start().await?;
    ready(&emulator);
    let Some(mut task) = emulator.task.take() else { return Ok(()) };
    tokio::select! {
        ended = &mut task => match ended {
            Ok(result) => result.map_err(StartError::Serve),
            Err(error) => Err(StartError::Serve(io::Error::other(error))),
        },
        () = stop => {
            emulator.task = Some(task);
            emulator.shutdown().await;
            Ok(())
        }
    }
}

/// The server as a router, for tests without a socket.
///
/// Dropped connections are emulated by bodies that fail.
///
/// # Errors
///
/// The data cannot be used.
pub fn app(builder: Builder) -> Result<(Router, Faults, Requests), OpenError> {
    let shared = builder.open()?;
    Ok((http::router(Arc::clone(&shared)), shared.faults.clone(), shared.requests.clone()))
}
