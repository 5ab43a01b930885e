//! Tables as RFC 4180 has them: values between commas, in quotes where they need them.

use std::io::{self, BufRead, Write};

/// The most bytes of a row: what is longer is no table.
const LONGEST_ROW: usize = 16 << 20;

/// Writes a row.
///
/// A value that a spreadsheet would take for a formula is written as it is: the table is
/// for programs, and comes back as it was.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_row<S: AsRef<str>>(
    out: &mut dyn Write,
    values: impl IntoIterator<Item = S>,
) -> io::Result<()> {
    for (at, value) in values.into_iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        let value = value.as_ref();
        let needs_quotes = value.contains(['"', ',', '\n', '\r'])
            || value.starts_with(char::is_whitespace)
            || value.ends_with(char::is_whitespace);
        if needs_quotes {
            write!(out, "\"{}\"", value.replace('"', "\"\""))?;
        } else {
            out.write_all(value.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

/// Reads a table row by row. The first row may be separated by commas, semicolons or
/// tabs, whichever it has most of, and the others are like it.
#[derive(Debug)]
pub struct Reader<R> {
    from: R,
    separator: Option<u8>,
}

impl<R: BufRead> Reader<R> {
    /// The table that is read from `from`.
    pub const fn new(from: R) -> Self {
        Self { from, separator: None }
    }

    /// The next row that is not empty; nothing at the end.
    ///
    /// # Errors
    ///
    /// When it cannot be read, and `InvalidData` for what is no text, a quote without an
    /// end, and a row that is far too long.
    pub fn next_row(&mut self) -> io::Result<Option<Vec<String>>> {
        loop {
            let mut row = Vec::new();
            loop {
                let left = (LONGEST_ROW - row.len().min(LONGEST_ROW)) as u64;
                let count = io::Read::take(&mut self.from, left + 1).read_until(b'\n', &mut row)?;
                if row.len() > LONGEST_ROW {
                    return Err(wrong("a row is longer than 16 MiB"));
                }
                let is_open = row.iter().filter(|byte| **byte == b'"').count() % 2 == 1;
                if count == 0 && is_open {
                    return Err(wrong("a quote has no end"));
                }
                if count == 0 || !is_open {
                    break;
                }
            }
            if row.is_empty() {
                return Ok(None);
            }
            let row = std::str::from_utf8(&row).map_err(|_| wrong("it is not in UTF-8"))?;
            let row = row.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
            if row.is_empty() {
                continue;
            }
            let separator = *self.separator.get_or_insert_with(|| separator_of(row));
            return Ok(Some(values(row, separator)));
        }
    }
}

fn separator_of(row: &str) -> u8 {
    let count = |separator: &u8| row.bytes().filter(|byte| byte == separator).count();
    // Of equally many the first one, which is the usual one.
    let mut best = b',';
    for separator in [b';', b'\t'] {
        if count(&separator) > count(&best) {
            best = separator;
        }
    }
    best
}

fn values(row: &str, separator: u8) -> Vec<String> {
    let (mut values, mut value, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = row.chars().peekable();
    while let Some(one) = chars.next() {
        match one {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                value.push('"');
            }
            '"' => is_quoted = !is_quoted,
            one if one == char::from(separator) && !is_quoted => {
                values.push(std::mem::take(&mut value));
            }
            one => value.push(one),
        }
    }
    values.push(value);
    values
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may unwrap")]

    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> io::Result<Vec<Vec<String>>> {
        let mut reader = Reader::new(text);
        let mut rows = Vec::new();
        while let Some(row) = reader.next_row()? {
            rows.push(row);
        }
        Ok(rows)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            rows in prop::collection::vec(prop::collection::vec("[ -~äé\\n\"\t;,]{1,12}", 3), 1..6)
        ) {
            let mut text = Vec::new();
            write_row(&mut text, ["a", "b", "c"]).unwrap();
            for row in &rows {
                write_row(&mut text, row).unwrap();
            }
            prop_assert_eq!(&read(&text).unwrap()[1..], &rows[..]);
        }
    }

    #[test]
    fn tables_of_other_programs_are_read() {
        let rows = read("\u{feff}a;b\r\n\r\n1;\"x, \"\"y\"\"\nz\"\r\n".as_bytes()).unwrap();
        assert_eq!(rows, [vec!["a", "b"], vec!["1", "x, \"y\"\nz"]]);
        assert_eq!(read(b"a\tb,c\td\n").unwrap(), [["a", "b,c", "d"]]);
        assert!(read(b"a,b\n\"open").is_err());
        assert!(read(b"a,\xff\n").is_err());
    }
}
