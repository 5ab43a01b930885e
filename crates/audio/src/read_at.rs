//! Reading at a place of a file.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

/// Reads up to `buffer.len()` bytes; what lies behind the end stays zero.
pub(crate) fn read_at(file: &mut File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    file.seek(SeekFrom::Start(at))?;
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
