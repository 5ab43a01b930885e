//! The file whose bytes the fuzzer makes up.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// A panic that is caught is an answer; only one that gets out of the crate is
/// none, and the fuzzer sees it as it comes.
pub fn begin() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// A file with these bytes.
pub fn holding(bytes: &[u8]) -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        std::env::temp_dir().join(format!("songrec-fuzz-{}", std::process::id()))
    });
    std::fs::write(file, bytes).expect("a temporary folder with room");
    file
}
