//! Connections that can be made to break.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, Sleep};

/// How long the head of a request may take to arrive.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may be kept without a request; longer than clients
/// keep theirs, so that they do not write into one that is just ending.
const IDLE_PATIENCE: Duration = Duration::from_secs(150);

/// How much of a connection is left; what a request holds to cut it.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<LineState>);

#[derive(Debug)]
struct LineState {
    /// Bytes that may still be written.
    left: AtomicI64,
    waiting: Mutex<Waiting>,
}

/// What a connection waits for, and since when.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// The first byte of a request.
    Request(Instant),
    /// The rest of its head.
    Head(Instant),
    /// Its answer, which takes as long as it takes.
    Answer,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Answering(Line);

impl Drop for Answering {
    fn drop(&mut self) {
        *self.0.waiting() = Waiting::Request(Instant::now());
    }
}

impl Line {
    fn new() -> Self {
        let waiting = Mutex::new(Waiting::Request(Instant::now()));
        Self(Arc::new(LineState { left: AtomicI64::new(i64::MAX), waiting }))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection stays open while this is held.
    pub(crate) fn answering(&self) -> Answering {
        *self.waiting() = Waiting::Answer;
        Answering(self.clone())
    }

    fn has_read(&self) {
        let mut waiting = self.waiting();
        if let Waiting::Request(_) = *waiting {
            *waiting = Waiting::Head(Instant::now());
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match *self.waiting() {
            Waiting::Request(since) => Some(since + IDLE_PATIENCE),
            Waiting::Head(since) => Some(since + HEAD_PATIENCE),
            Waiting::Answer => None,
        }
    }

    /// Ends the connection after this many more bytes to the client.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.0.left.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// How many of `wanted` bytes may still be written.
    fn allowance(&self, wanted: usize) -> io::Result<usize> {
        let left = self.0.left.load(Ordering::SeqCst);
        if left == i64::MAX {
            return Ok(wanted);
        }
        match usize::try_from(left) {
            Ok(left) if left > 0 => Ok(wanted.min(left)),
            _ => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    fn spend(&self, bytes: usize) {
        if self.0.left.load(Ordering::SeqCst) != i64::MAX {
            self.0.left.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

/// Accepts connections that a [`Line`] can cut.
#[derive(Debug)]
pub(crate) struct Door(pub(crate) TcpListener);

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers are written in one piece; waiting for more would only add
        // the 40 ms of a delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let patience = Box::pin(tokio::time::sleep(IDLE_PATIENCE));
        (Wire { stream, line: Line::new(), patience }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    line: Line,
    patience: Pin<Box<Sleep>>,
}

impl Connected<IncomingStream<'_, Door>> for Line {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().line.clone()
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            if buffer.filled().len() > before {
                self.line.has_read();
            }
            return Poll::Ready(done);
        }
        let Some(deadline) = self.line.deadline() else { return Poll::Pending };
        if self.patience.deadline() != deadline {
            self.patience.as_mut().reset(deadline);
        }
        ready!(self.patience.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let allowed = self.line.allowance(bytes.len())?;
        let written = Pin::new(&mut self.stream).poll_write(context, &bytes[..allowed]);
        if let Poll::Ready(Ok(written)) = &written {
            self.line.spend(*written);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
