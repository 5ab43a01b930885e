//! Takes a file with these bytes all the way to a song: any answer is right
//! that comes.
//!
//! `just fuzz`, at the root.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use songrec_audio::{Wanted, analyze};

fuzz_target!(init: file::begin(), |bytes: &[u8]| {
    let _ = analyze(file::holding(bytes), &Wanted::default());
});
