//! A program that reads a file for us, while it runs.

use std::{
    ffi::{OsStr, OsString},
    io::{self, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;
/// How many chunks lie ready: who is not asked for more waits.
const READY: usize = 4;
/// The most of what it says that is kept, in bytes.
const MOST_SAID: usize = 16 << 10;
/// Without a byte for so long, it will not come to an end.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often somebody looks whether all this is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// A program at work. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    chunks: Receiver<io::Result<Vec<u8>>>,
    said: Receiver<()>,
    words: Arc<Mutex<Vec<u8>>>,
    cancel: Option<Arc<AtomicBool>>,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// Some of what it writes.
    Bytes(Vec<u8>),
    /// Nothing any more.
    End(ExitStatus),
}

/// Why it came to no end.
#[derive(Debug)]
pub(super) enum Trouble {
    Cancelled,
    Failed(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Running {
    /// Starts `program` without a shell, with nothing to read from.
    pub(super) fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        cancel: Option<Arc<AtomicBool>>,
    ) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            // Writes a log into the working folder where it is set.
            .env_remove("FFREPORT")
            .env("AV_LOG_FORCE_NOCOLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (send, chunks) = sync_channel(READY);
        let mut output = child.stdout.take().expect("it is piped");
        thread::spawn(move || pass_on(&mut output, &send));
        let (ended, said) = sync_channel(1);
        let words = Arc::new(Mutex::new(Vec::new()));
        let (text, mut errors) = (words.clone(), child.stderr.take().expect("it is piped"));
        thread::spawn(move || {
            read_errors(&mut errors, &text);
            let _ = ended.send(());
        });
        Ok(Self { child, chunks, said, words, cancel })
    }

    /// The next bytes. Waits for them as long as somebody wants them.
    pub(super) fn next(&mut self) -> Result<Next, Trouble> {
        let since = Instant::now();
        loop {
            if self.cancel.as_ref().is_some_and(|cancel| cancel.load(Ordering::Relaxed)) {
                return Err(Trouble::Cancelled);
            }
            match self.chunks.recv_timeout(LOOK) {
                Ok(chunk) => return Ok(Next::Bytes(chunk?)),
                Err(RecvTimeoutError::Disconnected) => match self.child.try_wait()? {
                    Some(status) => return Ok(Next::End(status)),
                    None => thread::sleep(Duration::from_millis(1)),
                },
                Err(RecvTimeoutError::Timeout) => {}
            }
            if since.elapsed() > PATIENCE {
                let text = format!("it gave nothing for {} s", PATIENCE.as_secs());
                return Err(Trouble::Failed(io::Error::new(io::ErrorKind::TimedOut, text)));
            }
        }
    }

    /// All that it writes, up to `most` bytes, and how it ended. More than that ends it.
    pub(super) fn all(
        mut self,
        most: usize,
    ) -> Result<(Vec<u8>, Option<ExitStatus>, Said), Trouble> {
        let mut all = Vec::new();
        loop {
            match self.next()? {
                Next::Bytes(bytes) => all.extend_from_slice(&bytes),
                Next::End(status) => return Ok((all, Some(status), self.said())),
            }
            if all.len() > most {
                all.truncate(most);
                return Ok((all, None, self.said()));
            }
        }
    }

    /// What it has said.
    pub(super) fn said(&self) -> Said {
        // It has ended or will not be asked: a moment is enough for its last words.
        let _ = self.said.recv_timeout(Duration::from_millis(200));
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        Said(String::from_utf8_lossy(&words).into_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pass_on(output: &mut impl Read, send: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = vec![0; CHUNK];
        let sent = match output.read(&mut chunk) {
            Ok(0) => return,
            Ok(read) => {
                chunk.truncate(read);
                send.send(Ok(chunk))
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let _ = send.send(Err(error));
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

// Keeps the beginning and reads the rest, for who writes into a full pipe waits.
fn read_errors(errors: &mut impl Read, text: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = errors.read(&mut buffer) {
        let mut text = text.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_SAID.saturating_sub(text.len()).min(read);
        text.extend_from_slice(&buffer[..room]);
    }
}

/// What a program said of its work.
#[derive(Debug)]
pub(super) struct Said(String);

impl Said {
    /// Its lines, as it said them.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }

    /// The first line of it without control characters, or how it ended.
    pub(super) fn reason(&self, status: Option<ExitStatus>) -> String {
        let first = self.lines().find_map(crate::text::clean);
        first.unwrap_or_else(|| match status {
            Some(status) => format!("it ended with {status} and said nothing"),
            None => "it said nothing".to_owned(),
        })
    }
}

/// What the arguments of a program are made of.
pub(super) fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
