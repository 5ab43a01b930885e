//! Reads tags from a file with these bytes: any answer is right that comes.
//!
//! `just fuzz`, at the root.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;

fuzz_target!(init: file::begin(), |bytes: &[u8]| {
    let _ = songrec_audio::read_tags(file::holding(bytes));
});
