//! The server itself.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    service::{Service, service_fn},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tokio::{net::TcpListener, runtime::Runtime};

use super::{
    Fault, Operation, Rule, RuleId,
    fault::{Plan, Verdict},
};

type Reply = Response<UnsyncBoxBody<Bytes, io::Error>>;

/// An S3 server on a free port of this machine, with one bucket. It has a
/// runtime of its own, so that tests with and without one can start it, and
/// ends when it is dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    plan: Arc<Plan>,
    folder: PathBuf,
    runtime: Option<Runtime>,
    // Dropped last.
    _temporary: Option<tempfile::TempDir>,
}

impl S3Server {
    /// The bucket that is there.
    pub const BUCKET: &str = "songrec-test";
    /// The access key that is let in.
    pub const ACCESS_KEY: &str = "songrec-test-key";
    /// Its secret.
    pub const SECRET_KEY: &str = "songrec-test-secret";

    /// A server whose objects are gone with it.
    pub fn start() -> Self {
        let folder = crate::temp_dir();
        let path = folder.path().to_owned();
        Self::start_with(path, 0, Some(folder))
    }

    /// A server that keeps its objects in `folder`, on a port; 0 is any free one.
    pub fn start_in(folder: impl Into<PathBuf>, port: u16) -> Self {
        Self::start_with(folder.into(), port, None)
    }

    fn start_with(folder: PathBuf, port: u16, temporary: Option<tempfile::TempDir>) -> Self {
        std::fs::create_dir_all(folder.join(Self::BUCKET)).unwrap();
        let files = s3s_fs::FileSystem::new(&folder).expect("the folder is there");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
        let plan = Arc::new(Plan::default());
        let handler = Arc::new(Handler {
            inner: builder.build(),
            plan: Arc::clone(&plan),
            folder: folder.clone(),
            locks: Mutex::default(),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("s3-server")
            .enable_all()
            .build()
            .unwrap();
        // Bound before anybody asks, and without a runtime around us.
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, handler));
        Self { address, plan, folder, runtime: Some(runtime), _temporary: temporary }
    }

    /// The address of the server, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What `SONGREC_BLOBS` is to be for objects below `prefix` in the bucket.
    pub fn blobs(&self, prefix: &str) -> String {
        format!("s3://{}/{prefix}", Self::BUCKET)
    }

    /// The folder of the bucket's objects, for a test that looks at them or
    /// spoils them.
    pub fn objects(&self) -> PathBuf {
        self.folder.join(Self::BUCKET)
    }

    /// Lets requests fail as `rule` says, until it is removed.
    pub fn fail(&self, rule: Rule) -> RuleId {
        self.plan.add(rule)
    }

    /// Takes back one rule.
    pub fn remove(&self, rule: RuleId) {
        self.plan.remove(rule);
    }

    /// Lets everything go well again.
    pub fn heal(&self) {
        self.plan.clear();
    }

    /// How often a rule fired.
    pub fn fired(&self, rule: RuleId) -> u64 {
        self.plan.fired(rule)
    }

    /// How many requests had something wrong done to them.
    pub fn injected(&self) -> u64 {
        self.plan.injected()
    }

    /// How many requests there were, those that failed too.
    pub fn requests(&self) -> u64 {
        self.plan.requests().values().sum()
    }

    /// How many there were of each operation.
    pub fn counts(&self) -> BTreeMap<Operation, u64> {
        self.plan.requests()
    }

    /// Begins to count anew.
    pub fn forget_requests(&self) {
        self.plan.forget_requests();
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        // A runtime must not be waited for inside of another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: std::net::TcpListener, handler: Arc<Handler>) {
    let listener = TcpListener::from_std(listener).unwrap();
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Small answers must not wait for what comes after them.
        let _ = stream.set_nodelay(true);
        let handler = Arc::clone(&handler);
        let service = service_fn(move |request| {
            let handler = Arc::clone(&handler);
            async move { handler.answer(request).await }
        });
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        // Ends with the runtime, which ends with the server.
        tokio::spawn(async move { drop(connection.await) });
    }
}

struct Handler {
    inner: S3Service,
    plan: Arc<Plan>,
    folder: PathBuf,
    // `s3s-fs` looks whether an object is there before it has read the new
    // one, so that two conditional writes would both win.
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Handler {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Reply> {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let Verdict { delay, fault } =
            self.plan.judge(Operation::of(method.as_str(), &path, query));
        let headers = request.headers();
        let conditional = method != Method::GET
            && method != Method::HEAD
            && ["if-match", "if-none-match"].iter().any(|name| headers.contains_key(*name));
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        match fault {
            Some(Fault::DropBefore) => return Err(gone()),
            Some(Fault::SlowDown) => return Ok(refuse(503, "SlowDown", &method)),
            Some(Fault::Conflict) if conditional => {
                return Ok(refuse(409, "ConditionalRequestConflict", &method));
            }
            _ => {}
        }
        if !self.has_bucket(&path) {
            return Ok(refuse(404, "NoSuchBucket", &method));
        }
        let reply = {
            let _turn = match conditional {
                true => Some(self.lock(&path).lock_owned().await),
                false => None,
            };
            Service::call(&self.inner, request).await.map_err(|_| gone())?
        };
        let (parts, body) = reply.into_parts();
        let body = body.map_err(|error| io::Error::other(error.to_string()));
        match fault {
            Some(Fault::DropAfter) => Err(gone()),
            Some(Fault::ErrorAfter) => Ok(refuse(500, "InternalError", &method)),
            Some(Fault::CutBody) if method == Method::GET && parts.status.is_success() => {
                let half = body.size_hint().exact().unwrap_or_default() / 2;
                let body = Cut { inner: body.boxed_unsync(), left: half };
                Ok(Response::from_parts(parts, body.boxed_unsync()))
            }
            _ => Ok(Response::from_parts(parts, body.boxed_unsync())),
        }
    }

    // `s3s-fs` would make the bucket on the first write.
    fn has_bucket(&self, path: &str) -> bool {
        let bucket = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        bucket.is_empty() || (bucket != ".." && self.folder.join(Path::new(bucket)).is_dir())
    }

    fn lock(&self, path: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(locks.entry(path.to_owned()).or_default())
    }
}

fn gone() -> io::Error {
    io::Error::other("the connection ends on purpose")
}

fn refuse(status: u16, code: &str, method: &Method) -> Reply {
    let text = match *method {
        Method::HEAD => String::new(),
        _ => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
             <Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
        ),
    };
    let body = Full::new(Bytes::from(text)).map_err(|never: Infallible| match never {});
    let mut reply = Response::new(body.boxed_unsync());
    *reply.status_mut() = StatusCode::from_u16(status).expect("a status");
    reply.headers_mut().insert("content-type", "application/xml".parse().expect("a type"));
    reply
}

// A body that ends too early.
struct Cut {
    inner: UnsyncBoxBody<Bytes, io::Error>,
    left: u64,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(Some(Err(gone())));
        }
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            let data = frame?.into_data().map_err(|_| gone())?;
            let kept = data.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= kept as u64;
            Ok(Frame::data(data.slice(..kept)))
        }))
    }

    // The announced length stays, so that whoever counts notices.
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
