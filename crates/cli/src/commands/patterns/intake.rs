//! Patterns that come in, one by one or in a stream.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
    sync::Arc,
};

use anyhow::Result;
use serde_json::json;
use songrec_library::{AddedPattern, Error, Library, NewPattern, PatternIntake, until_interrupted};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use crate::{context::Context, hints, numbers::counted, status::ExitStatus};

/// Bytes of a line, at the most: room for some 10,000 features.
const LONGEST: usize = 256 << 10;
/// Lines that are stored together, at the most. Each batch writes the segments of its
/// songs again, so few large ones cost less than many small ones.
const BATCH: usize = 4096;
/// Bytes of lines that were read and are not stored yet: the memory of a stream has a
/// bound, however long it is.
const WAITING: usize = 16 << 20;

/// Takes in patterns, and tells what became of each.
pub(super) struct Intake<'a> {
    pub(super) patterns: PatternIntake<'a>,
    context: &'a Context,
    added: u64,
    known: u64,
    failed: u64,
}

impl<'a> Intake<'a> {
    pub(super) fn new(context: &'a Context, library: &'a Library) -> Self {
        let patterns = PatternIntake::new(library);
        Self { patterns, context, added: 0, known: 0, failed: 0 }
    }

    /// Tells what became of patterns, each with the line that it came in.
    pub(super) fn tell(
        &mut self,
        outcomes: impl IntoIterator<Item = (Option<u64>, Result<AddedPattern, Error>)>,
    ) -> Result<()> {
        let printer = &self.context.printer;
        for (line, outcome) in outcomes {
            let mut document = match &outcome {
                Ok(AddedPattern { pattern, is_new }) => {
                    *(if *is_new { &mut self.added } else { &mut self.known }) += 1;
                    let is = if *is_new { "added" } else { "known" };
                    json!({ "type": is, "pattern": pattern })
                }
                Err(error) => {
                    self.failed += 1;
                    let hint = error.hint().map(hints::in_words);
                    json!({ "type": "failed", "reason": error.in_one_line(), "hint": hint })
                }
            };
            if let (Some(line), Some(fields)) = (line, document.as_object_mut()) {
                fields.insert("line".to_owned(), json!(line));
            }
            match &outcome {
                Err(error) => {
                    let place = line.map(|line| format!("line {line}: ")).unwrap_or_default();
                    self.context.warn_aside(&format!("{place}{}", error.in_one_line()));
                }
                Ok(added) if !printer.json => printer.line(added.pattern.id.to_string())?,
                Ok(_) => {}
            }
            if printer.json {
                printer.json(&document)?;
            }
        }
        printer.flush()
    }

    /// Says how many there were.
    pub(super) fn end(self, interrupted: bool) -> Result<ExitStatus> {
        let Self { added, known, failed, context, .. } = self;
        let printer = &context.printer;
        if printer.json {
            printer.json(&json!({
                "type": "summary",
                "added": added,
                "known": known,
                "failed": failed,
                "interrupted": interrupted,
            }))?;
        }
        let mut said = format!("added {}", counted(added, "pattern"));
        if known > 0 {
            said.push_str(&format!(", {known} were there already"));
        }
        if failed > 0 {
            said.push_str(&format!(", {failed} could not be added"));
        }
        if interrupted {
            said.push_str("; interrupted, and the rest was not read");
        }
        printer.say(said);
        Ok(match (interrupted, failed, added + known) {
            (true, ..) => ExitStatus::Interrupted,
            (false, 0, 0) => ExitStatus::FoundNothing,
            (false, 0, _) => ExitStatus::Done,
            (false, ..) => ExitStatus::SomeFailed,
        })
    }
}

/// A line, by its number from 1.
struct Line {
    number: u64,
    text: Result<String, Error>,
    /// What it takes of [`WAITING`] until it is stored.
    room: OwnedSemaphorePermit,
}

/// Stores a pattern a line, as they come. What has come is stored while more is waited
/// for.
pub(super) async fn from_lines(
    context: &Context,
    library: &Library,
    from: &Path,
) -> Result<ExitStatus> {
    let mut lines = lines(from)?;
    let mut intake = Intake::new(context, library);
    loop {
        let mut batch = Vec::with_capacity(BATCH);
        tokio::select! {
            count = lines.recv_many(&mut batch, BATCH) => if count == 0 {
                return intake.end(false);
            },
            () = until_interrupted(&context.job.interrupt) => return intake.end(true),
        }
        let mut wrong = Vec::new();
        let (mut numbers, mut patterns) = (Vec::new(), Vec::new());
        let mut rooms = Vec::with_capacity(batch.len());
        let mut unread = None;
        for line in batch {
            let Line { number, text, room } = match line {
                Ok(line) => line,
                Err(error) => {
                    unread = Some(Error::io("read", from, error));
                    break;
                }
            };
            rooms.push(room);
            match text.and_then(|text| NewPattern::parse(&text)) {
                Ok(pattern) => {
                    numbers.push(Some(number));
                    patterns.push(pattern);
                }
                Err(error) => wrong.push((Some(number), Err(error))),
            }
        }
        let stored = intake.patterns.add(&patterns).await?;
        let mut outcomes: Vec<_> = numbers.into_iter().zip(stored).chain(wrong).collect();
        outcomes.sort_by_key(|(line, _)| *line);
        intake.tell(outcomes)?;
        drop(rooms);
        if let Some(error) = unread {
            return Err(error.into());
        }
    }
}

// Reads ahead, but not far. The thread ends with its file, or with the process: nobody
// can be kept from waiting for stdin.
fn lines(from: &Path) -> Result<mpsc::UnboundedReceiver<io::Result<Line>>> {
    let mut reader: Box<dyn BufRead + Send> = match from == Path::new("-") {
        true => Box::new(BufReader::new(io::stdin())),
        false => {
            let file = File::open(from).map_err(|error| Error::io("read", from, error))?;
            Box::new(BufReader::new(file))
        }
    };
    let (send, receive) = mpsc::unbounded_channel();
    let all_room = Arc::new(Semaphore::new(WAITING));
    let runtime = Handle::current();
    std::thread::spawn(move || {
        for number in 1.. {
            let text = match next_line(&mut *reader) {
                Ok(Some(text)) => text,
                Ok(None) => return,
                Err(error) => return drop(send.send(Err(error))),
            };
            let size = text.as_ref().map_or(0, String::len);
            if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
                continue;
            }
            // A line of a few bytes takes more than these.
            let size = u32::try_from(size.clamp(256, LONGEST)).unwrap_or(u32::MAX);
            let room = runtime.block_on(all_room.clone().acquire_many_owned(size));
            let Ok(room) = room else { return };
            if send.send(Ok(Line { number, text, room })).is_err() {
                return;
            }
        }
    });
    Ok(receive)
}

// The next line, or why it is none; of one that is too long nothing is kept.
fn next_line(reader: &mut dyn BufRead) -> io::Result<Option<Result<String, Error>>> {
    let mut bytes = Vec::new();
    let (mut has_begun, mut is_too_long) = (false, false);
    loop {
        let read = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read.is_empty() && !has_begun {
            return Ok(None);
        }
        has_begun = true;
        let end = read.iter().position(|byte| *byte == b'\n');
        let piece = &read[..end.unwrap_or(read.len())];
        is_too_long |= bytes.len() + piece.len() > LONGEST;
        if !is_too_long {
            bytes.extend_from_slice(piece);
        }
        let is_over = end.is_some() || read.is_empty();
        let used = end.map_or(read.len(), |at| at + 1);
        reader.consume(used);
        if is_over {
            break;
        }
    }
    if is_too_long {
        return Ok(Some(Err(Error::usage("the line is too long")
            .because(format!("a line has {LONGEST} bytes at the most")))));
    }
    Ok(Some(
        String::from_utf8(bytes)
            .map_err(|error| Error::usage("the line is not UTF-8").because(error)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_by_one_and_long_ones_are_left_out() {
        let text = [&b"one\n\n"[..], &vec![b'x'; LONGEST + 1], b"\n\xff\nlast"].concat();
        // A small buffer, so that lines come in pieces.
        let mut reader = BufReader::with_capacity(7, &*text);
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut reader).unwrap() {
            lines.push(line.map_err(|error| error.in_one_line()));
        }

        assert_eq!(lines.len(), 5, "{lines:?}");
        assert_eq!((lines[0].as_deref(), lines[1].as_deref()), (Ok("one"), Ok("")));
        assert!(lines[2].as_ref().is_err_and(|why| why.contains("too long")), "{:?}", lines[2]);
        assert!(lines[3].as_ref().is_err_and(|why| why.contains("UTF-8")), "{:?}", lines[3]);
        assert_eq!(lines[4].as_deref(), Ok("last"));
        let exact = [&vec![b'x'; LONGEST][..], b"\n"].concat();
        let line = next_line(&mut &*exact).unwrap().unwrap();
        assert_eq!(line.unwrap().len(), LONGEST);
    }
}
