//! Finds out what a file with these bytes is, and decodes it: any answer is
//! right that comes.
//!
//! `just fuzz`, at the root.
#![no_main]

mod file;

use libfuzzer_sys::fuzz_target;
use songrec_audio::{Decoder, identify};

fuzz_target!(init: file::begin(), |bytes: &[u8]| {
    let path = file::holding(bytes);
    let _ = identify(path);
    let Ok(mut decoder) = Decoder::open(path) else { return };
    while let Ok(Some(block)) = decoder.next_block() {
        assert!(block.samples().iter().all(|sample| sample.is_finite()));
    }
    let _ = decoder.identity();
});
