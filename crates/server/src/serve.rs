//! Listening, and ending.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use songrec_library::Library;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{Options, app::router, server::Server};

/// How long the head of a request may take to arrive, also from the last one on.
const HEAD_PATIENCE: Duration = Duration::from_secs(20);
/// How long answers that are on their way are waited for in the end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// After a failed accept, such as for want of files, it is tried again so much later.
const AFTER_TROUBLE: Duration = Duration::from_millis(100);

/// Why a library could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It would be open to others.
    #[error("`{0}` can be reached from other machines, and no token protects the library there")]
    NoToken(SocketAddr),
    /// The address cannot be had.
    #[error("could not listen at `{0}`")]
    Listen(SocketAddr, #[source] io::Error),
}

/// Serves a library at `address` until `stop` ends. Then jobs are asked for their end and
/// waited for, each to its next safe point, and answers on their way for five seconds.
/// `on_ready` is told where it listens.
///
/// # Errors
///
/// When it cannot listen, or would beyond this machine without a token.
pub async fn serve(
    library: Library,
    options: Options,
    address: SocketAddr,
    on_ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    if !address.ip().is_loopback() && options.token.is_none() {
        return Err(ServeError::NoToken(address));
    }
    let failed = |error| ServeError::Listen(address, error);
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let server = Server::new(library, options);
    let service = TowerToHyperService::new(router(server.clone()));
    let connections = GracefulShutdown::new();
    let room = server.room.clone();
    on_ready(address);
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = &mut stop => break,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!("a connection was not accepted: {error}");
                tokio::time::sleep(AFTER_TROUBLE).await;
                continue;
            }
        };
        // Answers are written in one piece; waiting for more only delays them.
        let _ = stream.set_nodelay(true);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .serve_connection(TokioIo::new(stream), service.clone());
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            // A client that breaks off is no trouble of the server's.
            if let Err(error) = connection.await {
                tracing::debug!("a connection ended: {error}");
            }
            drop(place);
        });
    }
    drop(listener);
    server.ending.set();
    server.jobs.end().await;
    let _ = tokio::time::timeout(LAST_ANSWERS, connections.shutdown()).await;
    Ok(())
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, Place)> {
    let place = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}
