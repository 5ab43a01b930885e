//! Paths as text that survives JSON, whatever bytes they hold.

use std::path::{Path, PathBuf};

// File names on Unix are bytes, and documents are text. A byte that is not
// part of valid UTF-8 becomes a character of this private range, and a
// character of the range becomes its bytes, so decoding is exact.
const ESCAPE: u32 = 0x10_FF00;

/// `path` as text: itself where it is UTF-8, with every other byte escaped as
/// one character of the private range U+10FF00 to U+10FFFF.
pub fn encode_path(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        for character in chunk.valid().chars() {
            if u32::from(character) >= ESCAPE {
                let mut buffer = [0; 4];
                text.extend(character.encode_utf8(&mut buffer).bytes().map(escape));
            } else {
                text.push(character);
            }
        }
        text.extend(chunk.invalid().iter().copied().map(escape));
    }
    text
}

/// The path that [`encode_path`] wrote as `text`.
pub fn decode_path(text: &str) -> PathBuf {
    if !text.chars().any(|character| u32::from(character) >= ESCAPE) {
        return PathBuf::from(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    for character in text.chars() {
        match u32::from(character).checked_sub(ESCAPE) {
            Some(byte) => bytes.push(byte as u8),
            None => {
                let mut buffer = [0; 4];
                bytes.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            }
        }
    }
    from_bytes(bytes)
}

fn escape(byte: u8) -> char {
    char::from_u32(ESCAPE + u32::from(byte)).expect("U+10FF00 to U+10FFFF are scalar values")
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

// Elsewhere such a name cannot be made from bytes; the file is then reported
// as missing rather than another one being opened.
#[cfg(not(unix))]
fn from_bytes(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_paths_stay_as_they_are() {
        assert_eq!(encode_path(Path::new("music/Björk 100%.mp3")), "music/Björk 100%.mp3");
    }

    #[cfg(unix)]
    #[test]
    fn every_byte_survives() {
        use std::os::unix::ffi::OsStrExt;
        for bytes in
            [&b"kick\xff\xfe.wav"[..], b"\xe2\x82", b"\xf4\x8f\xbc\x80 private \xff", b"a\xc3(b"]
        {
            let path = Path::new(std::ffi::OsStr::from_bytes(bytes));

            assert_eq!(decode_path(&encode_path(path)), path);
        }
    }
}
