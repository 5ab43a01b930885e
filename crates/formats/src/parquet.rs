//! Tables as Apache Parquet has them: plain values, not compressed.
//!
//! The crate `parquet` would bring Arrow, Thrift and some sixty more crates; what is needed
//! to write columns of texts, numbers and lists of float32 is here. After the format's
//! own documents (parquet-format 2.9): pages of data in version 1, levels as runs, the
//! footer in the compact protocol of Thrift.

use std::io::{self, Write};

/// Rows that are held before they are written as a group.
const GROUP: usize = 5_000;

/// The values of a column. A value that is missing is null.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Texts in UTF-8.
    Text(Vec<Option<String>>),
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Numbers.
    Double(Vec<Option<f64>>),
    /// Truths.
    Bool(Vec<Option<bool>>),
    /// Lists of float32; what is missing is an empty list.
    Floats(Vec<Option<Vec<f32>>>),
}

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A text.
    Text(Option<String>),
    /// A whole number.
    Integer(Option<i64>),
    /// A number.
    Double(Option<f64>),
    /// A truth.
    Bool(Option<bool>),
    /// A list of float32.
    Floats(Option<Vec<f32>>),
}

/// The kind of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "one for each kind of column")]
pub enum Kind {
    Text,
    Integer,
    Double,
    Bool,
    Floats,
}

impl Kind {
    const fn empty(self) -> Column {
        match self {
            Self::Text => Column::Text(Vec::new()),
            Self::Integer => Column::Integer(Vec::new()),
            Self::Double => Column::Double(Vec::new()),
            Self::Bool => Column::Bool(Vec::new()),
            Self::Floats => Column::Floats(Vec::new()),
        }
    }

    // The numbers of the physical types.
    const fn physical(self) -> i64 {
        match self {
            Self::Bool => 0,
            Self::Integer => 2,
            Self::Floats => 4,
            Self::Double => 5,
            Self::Text => 6,
        }
    }

    // Optional, or a list.
    const fn repetition(self) -> i64 {
        match self {
            Self::Floats => 2,
            Self::Text | Self::Integer | Self::Double | Self::Bool => 1,
        }
    }
}

/// Where a column of a group of rows lies.
struct Chunk {
    at: u64,
    bytes: u64,
    values: u64,
}

struct Group {
    rows: u64,
    chunks: Vec<Chunk>,
}

/// Writes a table, row by row.
pub struct TableWriter<W: Write> {
    out: W,
    at: u64,
    names: Vec<(String, Kind)>,
    columns: Vec<Column>,
    rows: usize,
    groups: Vec<Group>,
}

impl<W: Write> std::fmt::Debug for TableWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableWriter").field("names", &self.names).finish_non_exhaustive()
    }
}

impl<W: Write> TableWriter<W> {
    /// A table with these columns.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn new(mut out: W, names: Vec<(String, Kind)>) -> io::Result<Self> {
        out.write_all(b"PAR1")?;
        let columns = names.iter().map(|(_, kind)| kind.empty()).collect();
        Ok(Self { out, at: 4, names, columns, rows: 0, groups: Vec::new() })
    }

    /// Adds a row: a value for each column.
    ///
    /// # Errors
    ///
    /// When rows cannot be written, or a value does not fit its column.
    pub fn row(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "a value of another column");
        if cells.len() != self.columns.len() {
            return Err(wrong());
        }
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            match (column, cell) {
                (Column::Text(all), Cell::Text(one)) => all.push(one),
                (Column::Integer(all), Cell::Integer(one)) => all.push(one),
                (Column::Double(all), Cell::Double(one)) => all.push(one),
                (Column::Bool(all), Cell::Bool(one)) => all.push(one),
                (Column::Floats(all), Cell::Floats(one)) => all.push(one),
                _ => return Err(wrong()),
            }
        }
        self.rows += 1;
        if self.rows == GROUP { self.group() } else { Ok(()) }
    }

    fn group(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows) as u64;
        let mut chunks = Vec::new();
        for at in 0..self.columns.len() {
            let empty = self.names[at].1.empty();
            let column = std::mem::replace(&mut self.columns[at], empty);
            let (page, values) = page(&column);
            let mut head = Compact::default();
            head.integer(1, 0);
            head.integer(2, page.len() as i64);
            head.integer(3, page.len() as i64);
            head.begin(5);
            head.integer(1, values as i64);
            // Plain values; levels as runs.
            head.integer(2, 0);
            head.integer(3, 3);
            head.integer(4, 3);
            head.end();
            let head = head.finish();
            self.out.write_all(&head)?;
            self.out.write_all(&page)?;
            let bytes = (head.len() + page.len()) as u64;
            chunks.push(Chunk { at: self.at, bytes, values });
            self.at += bytes;
        }
        self.groups.push(Group { rows, chunks });
        Ok(())
    }

    /// Writes the rest and the footer; gives what the table went to.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        if self.rows > 0 {
            self.group()?;
        }
        let footer = self.footer();
        self.out.write_all(&footer)?;
        self.out.write_all(&(footer.len() as u32).to_le_bytes())?;
        self.out.write_all(b"PAR1")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn footer(&self) -> Vec<u8> {
        let mut file = Compact::default();
        file.integer(1, 1);
        file.list(2, self.names.len() + 1, STRUCT);
        file.open();
        file.text(4, "songs");
        file.integer(5, self.names.len() as i64);
        file.end();
        for (name, kind) in &self.names {
            file.open();
            file.integer(1, kind.physical());
            file.integer(3, kind.repetition());
            file.text(4, name);
            if *kind == Kind::Text {
                // UTF-8, in the old words and in the new ones.
                file.integer(6, 0);
                file.begin(10);
                file.begin(1);
                file.end();
                file.end();
            }
            file.end();
        }
        file.long(3, self.groups.iter().map(|group| group.rows).sum::<u64>() as i64);
        file.list(4, self.groups.len(), STRUCT);
        for group in &self.groups {
            file.open();
            file.list(1, group.chunks.len(), STRUCT);
            for (chunk, (name, kind)) in group.chunks.iter().zip(&self.names) {
                file.open();
                file.long(2, chunk.at as i64);
                file.begin(3);
                file.integer(1, kind.physical());
                file.list(2, 2, INTEGER);
                file.number(0);
                file.number(3);
                file.list(3, 1, BINARY);
                file.bytes(name.as_bytes());
                file.integer(4, 0);
                file.long(5, chunk.values as i64);
                file.long(6, chunk.bytes as i64);
                file.long(7, chunk.bytes as i64);
                file.long(9, chunk.at as i64);
                file.end();
                file.end();
            }
            let bytes: u64 = group.chunks.iter().map(|chunk| chunk.bytes).sum();
            file.long(2, bytes as i64);
            file.long(3, group.rows as i64);
            file.end();
        }
        file.text(6, concat!("songrec ", env!("CARGO_PKG_VERSION")));
        file.finish()
    }
}

// The page of a column, and how many values it has with those that are missing.
fn page(column: &Column) -> (Vec<u8>, u64) {
    let mut page = Vec::new();
    let mut values = Vec::new();
    match column {
        Column::Text(all) => {
            levels(&mut page, all.iter().map(|one| (u8::from(one.is_some()), 1)));
            for text in all.iter().flatten() {
                values.extend((text.len() as u32).to_le_bytes());
                values.extend(text.bytes());
            }
        }
        Column::Integer(all) => {
            levels(&mut page, all.iter().map(|one| (u8::from(one.is_some()), 1)));
            values.extend(all.iter().flatten().flat_map(|one| one.to_le_bytes()));
        }
        Column::Double(all) => {
            levels(&mut page, all.iter().map(|one| (u8::from(one.is_some()), 1)));
            values.extend(all.iter().flatten().flat_map(|one| one.to_le_bytes()));
        }
        Column::Bool(all) => {
            levels(&mut page, all.iter().map(|one| (u8::from(one.is_some()), 1)));
            let bits: Vec<bool> = all.iter().flatten().copied().collect();
            for eight in bits.chunks(8) {
                let bit = |(at, one): (usize, &bool)| u8::from(*one) << at;
                values.push(eight.iter().enumerate().map(bit).sum());
            }
        }
        Column::Floats(all) => {
            let lengths = || all.iter().map(|one| one.as_ref().map_or(0, Vec::len));
            // Where a list begins, and whether there is something in it.
            levels(&mut page, lengths().flat_map(|length| [(0, 1), (1, length.saturating_sub(1))]));
            levels(&mut page, lengths().map(|length| (u8::from(length > 0), length.max(1))));
            for one in all.iter().flatten().flatten() {
                values.extend(one.to_le_bytes());
            }
            page.extend(values);
            return (page, lengths().map(|length| length.max(1) as u64).sum());
        }
    }
    page.extend(values);
    let count = match column {
        Column::Text(all) => all.len(),
        Column::Integer(all) => all.len(),
        Column::Double(all) => all.len(),
        Column::Bool(all) => all.len(),
        Column::Floats(all) => all.len(),
    };
    (page, count as u64)
}

// Levels of at most one, as runs, with their length before them.
fn levels(page: &mut Vec<u8>, runs: impl Iterator<Item = (u8, usize)>) {
    let mut bytes = Vec::new();
    let mut last: Option<(u8, usize)> = None;
    for (level, count) in runs.filter(|(_, count)| *count > 0) {
        match &mut last {
            Some((known, many)) if *known == level => *many += count,
            _ => {
                if let Some(run) = last.replace((level, count)) {
                    write_run(&mut bytes, run);
                }
            }
        }
    }
    if let Some(run) = last {
        write_run(&mut bytes, run);
    }
    page.extend((bytes.len() as u32).to_le_bytes());
    page.extend(bytes);
}

fn write_run(bytes: &mut Vec<u8>, (level, count): (u8, usize)) {
    unsigned(bytes, (count as u64) << 1);
    bytes.push(level);
}

fn unsigned(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

const INTEGER: u8 = 5;
const LONG: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

/// The compact protocol of Thrift, as far as a table needs it.
#[derive(Default)]
struct Compact {
    bytes: Vec<u8>,
    /// The last field of each struct that is open.
    last: Vec<i64>,
    field: i64,
}

impl Compact {
    fn field(&mut self, id: i64, kind: u8) {
        let step = id - self.field;
        // Fields of our structs are never far apart.
        self.bytes.push((step as u8) << 4 | kind);
        self.field = id;
    }

    fn number(&mut self, value: i64) {
        unsigned(&mut self.bytes, (value << 1 ^ value >> 63) as u64);
    }

    fn integer(&mut self, id: i64, value: i64) {
        self.field(id, INTEGER);
        self.number(value);
    }

    fn long(&mut self, id: i64, value: i64) {
        self.field(id, LONG);
        self.number(value);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        unsigned(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend(bytes);
    }

    fn text(&mut self, id: i64, text: &str) {
        self.field(id, BINARY);
        self.bytes(text.as_bytes());
    }

    fn list(&mut self, id: i64, count: usize, kind: u8) {
        self.field(id, LIST);
        if count < 15 {
            self.bytes.push((count as u8) << 4 | kind);
        } else {
            self.bytes.push(0xf0 | kind);
            unsigned(&mut self.bytes, count as u64);
        }
    }

    // A struct that is a field.
    fn begin(&mut self, id: i64) {
        self.field(id, STRUCT);
        self.open();
    }

    // A struct that is an element of a list.
    fn open(&mut self) {
        self.last.push(std::mem::take(&mut self.field));
    }

    fn end(&mut self) {
        self.bytes.push(0);
        self.field = self.last.pop().unwrap_or(0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }
}
