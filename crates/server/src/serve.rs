//! Listening, and ending.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper::{
    server::conn::http1,
    service::{Service, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use songrec_library::Library;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    Options,
    app::router,
    connections::{Connections, Place},
    server::Server,
    upload,
};

/// Connections at once, at the most; a quiet one makes room for the next.
const CONNECTIONS: usize = 512;

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
    let _ = tokio::task::spawn_blocking(|| upload::remove_abandoned(&std::env::temp_dir())).await;
    let server = Server::new(library, options);
    let service = TowerToHyperService::new(router(server.clone()));
    let connections = Connections::new(CONNECTIONS);
    on_ready(address);
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, place)) => {
                tokio::spawn(answer(stream, place, service.clone()));
            }
            Err(error) => {
                tracing::debug!("a connection was not accepted: {error}");
                tokio::time::sleep(AFTER_TROUBLE).await;
            }
        }
    }
    drop(listener);
    server.ending.set();
    server.jobs.end().await;
    let _ = tokio::time::timeout(LAST_ANSWERS, connections.end()).await;
    Ok(())
}

// Room is made once somebody is there who needs it.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Connections>,
) -> io::Result<(TcpStream, Place)> {
    let (stream, _) = listener.accept().await?;
    Ok((stream, connections.place().await))
}

/// Answers the requests of one connection until it ends or has to leave.
async fn answer(stream: TcpStream, place: Place, service: TowerToHyperService<Router>) {
    // Answers are written in one piece; waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let leave = place.has_to_leave();
    let service = service_fn(|request| {
        let (busy, answer) = (place.request(), service.call(request));
        async {
            let answer = answer.await;
            drop(busy);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = leave => {
            // One that never asked for anything is not waited for.
            if !place.was_used() {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that breaks off is no trouble of the server's.
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}
