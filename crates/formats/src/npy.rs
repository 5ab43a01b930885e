//! NumPy's `.npy` files of numbers (NEP 1; formats 1.0, 2.0 and 3.0).
//!
//! ```
//! use songrec_formats::npy::{Head, head_of};
//!
//! let mut file = head_of(&[2, 3], 0);
//! file.extend([0; 2 * 3 * 4]);
//!
//! let head = Head::read(&mut &file[..])?;
//! assert_eq!((head.shape, head.length), (vec![2, 3], 128));
//! # Ok::<(), songrec_formats::npy::NpyError>(())
//! ```

use std::io::{self, Read, Write};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// No more than this of a header is read: NumPy's own are below 200 bytes.
const LONGEST: u32 = 1 << 16;

/// Why a file is no array of numbers that can be read.
#[derive(Debug, thiserror::Error)]
pub enum NpyError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is something else, or damaged; in words that follow "it".
    #[error("it {0}")]
    Refused(String),
}

impl NpyError {
    fn refused(what: impl Into<String>) -> Self {
        Self::Refused(what.into())
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// Eight bytes and not four: float64 and not float32.
    pub is_double: bool,
    /// The first byte is the largest.
    pub is_big_endian: bool,
}

impl Number {
    /// How many bytes it takes.
    pub const fn width(self) -> usize {
        if self.is_double { 8 } else { 4 }
    }

    /// The numbers in these bytes, as float32; what is left over at the end is not read.
    pub fn read(self, bytes: &[u8]) -> Vec<f32> {
        let (fours, _) = bytes.as_chunks::<4>();
        let (eights, _) = bytes.as_chunks::<8>();
        match (self.is_double, self.is_big_endian) {
            (false, false) => fours.iter().map(|four| f32::from_le_bytes(*four)).collect(),
            (false, true) => fours.iter().map(|four| f32::from_be_bytes(*four)).collect(),
            (true, false) => eights.iter().map(|eight| f64::from_le_bytes(*eight) as f32).collect(),
            (true, true) => eights.iter().map(|eight| f64::from_be_bytes(*eight) as f32).collect(),
        }
    }
}

/// What an array is, as its file begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// How its numbers are written.
    pub number: Number,
    /// How many there are along each axis; `()` of a single number has no axis.
    pub shape: Vec<u64>,
    /// The first axis runs fastest.
    pub is_fortran: bool,
    /// How many bytes come before the first number.
    pub length: u64,
}

impl Head {
    /// Reads the head and nothing behind it.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is none, or the array holds anything but float32 and float64.
    pub fn read(from: &mut dyn Read) -> Result<Self, NpyError> {
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => NpyError::refused("ends within its header"),
            _ => error.into(),
        };
        let mut first = [0; 10];
        from.read_exact(&mut first).map_err(cut)?;
        if !first.starts_with(MAGIC) {
            return Err(NpyError::refused("is no `.npy` file"));
        }
        let (size, begin) = match first[6] {
            1 => (u32::from(u16::from_le_bytes([first[8], first[9]])), 10),
            2 | 3 => {
                let mut more = [0; 2];
                from.read_exact(&mut more).map_err(cut)?;
                (u32::from_le_bytes([first[8], first[9], more[0], more[1]]), 12)
            }
            other => return Err(NpyError::refused(format!("is of format {other}"))),
        };
        if size > LONGEST {
            return Err(NpyError::refused("has no header that NumPy writes"));
        }
        let mut text = vec![0; size as usize];
        from.read_exact(&mut text).map_err(cut)?;
        let text: String =
            String::from_utf8_lossy(&text).chars().filter(|c| !c.is_whitespace()).collect();
        Self::of(&text, begin + u64::from(size))
    }

    // A dictionary as Python prints it, without spaces.
    fn of(text: &str, length: u64) -> Result<Self, NpyError> {
        let value = |name: &str| {
            let (_, rest) = text.split_once(&format!("'{name}':"))?;
            Some(rest)
        };
        let quoted = |text: &'_ str| -> Option<String> {
            let (inner, _) = text.strip_prefix('\'')?.split_once('\'')?;
            Some(inner.to_owned())
        };
        let numbers = value("descr").ok_or_else(|| NpyError::refused("says not what it holds"))?;
        let number = match quoted(numbers).as_deref() {
            Some("<f4") => Number { is_double: false, is_big_endian: false },
            Some(">f4") => Number { is_double: false, is_big_endian: true },
            Some("<f8") => Number { is_double: true, is_big_endian: false },
            Some(">f8") => Number { is_double: true, is_big_endian: true },
            Some(other) => {
                let other: String = other.chars().filter(|c| !c.is_control()).take(20).collect();
                return Err(NpyError::refused(format!("holds `{other}`, not float32 or float64")));
            }
            None => return Err(NpyError::refused("holds records, not float32 or float64")),
        };
        let shape = value("shape")
            .and_then(|shape| shape.strip_prefix('(')?.split_once(')'))
            .map(|(shape, _)| shape.trim_end_matches(','))
            .ok_or_else(|| NpyError::refused("has no shape"))?;
        let shape: Option<Vec<u64>> = match shape {
            "" => Some(Vec::new()),
            axes => axes.split(',').map(|axis| axis.trim_end_matches('L').parse().ok()).collect(),
        };
        let shape = shape.ok_or_else(|| NpyError::refused("has a shape of other than numbers"))?;
        let is_fortran = value("fortran_order").is_some_and(|order| order.starts_with("True"));
        Ok(Self { number, shape, is_fortran, length })
    }

    /// How many numbers the array has.
    ///
    /// # Errors
    ///
    /// When they are more than a file can hold.
    pub fn count(&self) -> Result<u64, NpyError> {
        let count = self.shape.iter().try_fold(1_u64, |count, axis| count.checked_mul(*axis));
        count
            .filter(|count| count.checked_mul(self.number.width() as u64).is_some())
            .ok_or_else(|| NpyError::refused("says that it is larger than any file"))
    }
}

/// All numbers of an array, as float32, in the order of the file: at most `most`.
///
/// # Errors
///
/// When it cannot be read, has more numbers or fewer bytes than its head says.
pub fn read_numbers(from: &mut dyn Read, most: u64) -> Result<(Head, Vec<f32>), NpyError> {
    let head = Head::read(from)?;
    let count = head.count()?;
    if count > most {
        return Err(NpyError::refused(format!("has {count} numbers, more than {most}")));
    }
    let bytes = count * head.number.width() as u64;
    let mut read = Vec::new();
    from.take(bytes).read_to_end(&mut read)?;
    if read.len() as u64 != bytes {
        return Err(NpyError::refused("is shorter than it says"));
    }
    let numbers = head.number.read(&read);
    Ok((head, numbers))
}

/// How a file of little-endian float32 begins: the head, of a length that is a multiple
/// of 64 and at least `shortest` bytes, so that another shape can be written in its place.
pub fn head_of(shape: &[u64], shortest: usize) -> Vec<u8> {
    let axes: String = match shape {
        [one] => format!("{one},"),
        more => more.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({axes}), }}");
    let begin = MAGIC.len() + 4;
    // A line feed ends it.
    let length = (begin + text.len() + 1).max(shortest).next_multiple_of(64);
    text.extend(std::iter::repeat_n(' ', length - begin - text.len() - 1));
    text.push('\n');
    let size = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut head = MAGIC.to_vec();
    head.extend([1, 0]);
    head.extend(size.to_le_bytes());
    head.extend(text.as_bytes());
    head
}

/// Writes rows of numbers after each other, in this shape, as little-endian float32.
///
/// # Errors
///
/// When they cannot be written, or are not as many as the shape says.
pub fn write<'a>(
    out: &mut dyn Write,
    shape: &[u64],
    rows: impl IntoIterator<Item = &'a [f32]>,
) -> io::Result<()> {
    out.write_all(&head_of(shape, 0))?;
    let mut written = 0;
    for row in rows {
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.write_all(&bytes)?;
        written += row.len() as u64;
    }
    if written != shape.iter().product::<u64>() {
        let why = format!("{written} numbers do not have the shape {shape:?}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may unwrap")]

    use super::*;

    // A file as NumPy writes it, format and words as given.
    fn file(format: u8, words: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([format, 0]);
        match format {
            1 => bytes.extend((words.len() as u16).to_le_bytes()),
            _ => bytes.extend((words.len() as u32).to_le_bytes()),
        }
        bytes.extend(words.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn words(kind: &str, shape: &str) -> String {
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}     \n")
    }

    fn numbers(bytes: &[u8]) -> Result<Vec<f32>, String> {
        read_numbers(&mut &bytes[..], 100).map(|(_, n)| n).map_err(|error| error.to_string())
    }

    #[test]
    fn what_was_written_is_read() {
        for shape in [&[6_u64][..], &[2, 3], &[1, 2, 3], &[0], &[0, 5]] {
            let count: u64 = shape.iter().product();
            let values: Vec<f32> = (0..count).map(|n| n as f32 / 3.0).collect();
            let mut bytes = Vec::new();

            write(&mut bytes, shape, [&values[..]]).unwrap();

            let (head, read) = read_numbers(&mut &bytes[..], 6).unwrap();
            assert_eq!((head.shape, read), (shape.to_vec(), values));
            assert_eq!(head.length % 64, 0);
        }
    }

    #[test]
    fn every_way_to_write_a_number_and_every_format_is_read() {
        for (kind, data) in [
            ("<f4", [1.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat()),
            (">f4", [1.5_f32.to_be_bytes(), (-2.0_f32).to_be_bytes()].concat()),
            ("<f8", [1.5_f64.to_le_bytes(), (-2.0_f64).to_le_bytes()].concat()),
            (">f8", [1.5_f64.to_be_bytes(), (-2.0_f64).to_be_bytes()].concat()),
        ] {
            for format in 1..=3 {
                let read = numbers(&file(format, &words(kind, "2,"), &data));
                assert_eq!(read, Ok(vec![1.5, -2.0]), "{kind}, {format}");
            }
        }
        // A single number has no axis.
        assert_eq!(numbers(&file(1, &words("<f4", ""), &[0; 4])), Ok(vec![0.0]));
    }

    #[test]
    fn what_is_something_else_is_refused_in_words() {
        let two = [0; 8];
        for (bytes, says) in [
            (Vec::new(), "ends within its header"),
            (b"PK\x03\x04and so on".to_vec(), "no `.npy`"),
            (file(9, &words("<f4", "2,"), &two), "format 9"),
            (file(1, &words("<i8", "1,"), &two), "holds `<i8`, not float32"),
            (file(1, "{'descr': [('a', '<f4')], 'shape': (1,), }", &two), "records"),
            (file(1, "{'shape': (1,), }", &two), "not what it holds"),
            (file(1, &words("<f4", "2, x"), &two), "other than numbers"),
            (file(1, &words("<f4", "-2,"), &two), "other than numbers"),
            (file(1, &words("<f4", "3,"), &two), "shorter than it says"),
            (file(1, &words("<f4", "101,"), &two), "more than 100"),
            (file(1, &words("<f8", "4611686018427387904,"), &two), "larger than any file"),
            (file(1, &words("<f8", "9999999999,9999999999"), &two), "larger than any file"),
        ] {
            let why = numbers(&bytes).unwrap_err();
            assert!(why.contains(says), "{why}: {says}");
        }
        let mut long = MAGIC.to_vec();
        long.extend([2, 0, 255, 255, 255, 255]);
        long.extend([0; 64]);
        assert!(numbers(&long).unwrap_err().contains("no header"));
        let whole = file(1, &words("<f4", "2,"), &two);
        for end in 0..whole.len() {
            assert!(numbers(&whole[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn rows_that_do_not_have_the_shape_are_no_file() {
        let rows: [&[f32]; 2] = [&[1.0, 2.0], &[3.0]];
        assert!(write(&mut Vec::new(), &[2, 2], rows).is_err());
    }

    #[test]
    fn a_head_can_be_written_in_the_place_of_another() {
        let short = head_of(&[0, 512], 128);
        assert_eq!(short.len(), 128);
        assert_eq!(head_of(&[u64::MAX, 512], 128).len(), short.len());
    }
}
