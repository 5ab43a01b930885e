//! A server written by hand, for answers that no real server gives.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use flate2::{Compress, Compression, FlushCompress};

/// A server on a free port of this machine that answers each request as a
/// function says, byte by byte, and then ends the connection.
///
/// ```
/// use songrec_testkit::Wire;
///
/// let server = Wire::start(|_, mut stream| {
///     Wire::reply(&mut stream, "418 I'm a teapot", &[("retry-after", "2")], b"short and stout")
/// });
/// assert!(server.endpoint().starts_with("http://127.0.0.1:"));
/// assert_eq!(server.requests().len(), 0);
/// ```
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<WireRequest>>>,
    ended: Arc<AtomicBool>,
}

/// What a [`Wire`] was asked.
#[derive(Clone, Debug)]
pub struct WireRequest {
    /// The first line and the headers, as they came.
    pub head: String,
    /// What came after them, if its length was said.
    pub body: Vec<u8>,
}

impl WireRequest {
    /// The first line, such as `GET /bucket/key HTTP/1.1`.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The value of a header, without the space around it.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut wanted = headers.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        wanted.next().map(|(_, value)| value.trim())
    }
}

impl Wire {
    /// A server that writes what `answer` writes. It may go on for as long as
    /// it likes; an error ends the connection.
    pub fn start(
        answer: impl Fn(&WireRequest, TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let server = Self { address, seen: Arc::clone(&seen), ended: Arc::clone(&ended) };
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || {
                    let Ok(request) = read(&stream) else { return };
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                    drop(answer(&request, stream));
                });
            }
        });
        server
    }

    /// A server that takes every request, and never answers.
    pub fn silent() -> Self {
        Self::start(|_, mut stream| {
            // Until the client goes away.
            stream.read_to_end(&mut Vec::new()).map(drop)
        })
    }

    /// Its address, such as `http://127.0.0.1:40123`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was asked so far, in order.
    pub fn requests(&self) -> Vec<WireRequest> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes a whole answer.
    ///
    /// # Errors
    ///
    /// When the client is gone.
    pub fn reply(
        stream: &mut TcpStream,
        status: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let length = body.len().to_string();
        let headers = [headers, &[("content-length", &length)]].concat();
        Self::begin(stream, status, &headers)?;
        stream.write_all(body)
    }

    /// Writes the head of an answer alone.
    ///
    /// # Errors
    ///
    /// When the client is gone.
    pub fn begin(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)]) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes())
    }

    /// More than so many MiB of zeros, packed into a thousandth of that by gzip.
    pub fn bomb(mebibytes: usize) -> Vec<u8> {
        const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
        let mut mebibyte = Vec::with_capacity(1 << 16);
        Compress::new(Compression::best(), false)
            .compress_vec(&vec![0; 1 << 20], &mut mebibyte, FlushCompress::Full)
            .unwrap();
        // Each ends where another may begin. Nobody gets to the end.
        [HEAD.to_vec(), mebibyte.repeat(mebibytes + 1)].concat()
    }

    /// Writes zeros for ever, so to say: until the client is gone.
    ///
    /// # Errors
    ///
    /// When the client is gone, which is the only end.
    pub fn pour(stream: &mut TcpStream) -> io::Result<()> {
        let piece = vec![b'0'; 1 << 20];
        loop {
            stream.write_all(&piece)?;
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes who waits for the next connection.
        drop(TcpStream::connect(self.address));
    }
}

fn read(stream: &TcpStream) -> io::Result<WireRequest> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let mut request = WireRequest { head, body: Vec::new() };
    let length: u64 = request.header("content-length").map_or(0, |text| text.parse().unwrap_or(0));
    reader.take(length).read_to_end(&mut request.body)?;
    Ok(request)
}
