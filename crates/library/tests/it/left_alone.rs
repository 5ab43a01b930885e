//! What becomes of work that nobody waits for any more.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::{fs::File, io::Write, path::Path, time::Duration};

use futures::FutureExt;
use songrec_library::embed_file;
use songrec_testkit::temp_dir;

use crate::floor::in_memory;

/// Hours of silence that take no room on a disk; whoever decodes them is busy for long.
fn long_silence(path: &Path) {
    const BYTES: u32 = 1 << 31;
    let mut file = File::create(path).unwrap();
    file.write_all(b"RIFF").unwrap();
    file.write_all(&(36 + BYTES).to_le_bytes()).unwrap();
    // 16 bit mono at 8 kHz.
    file.write_all(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data")
        .unwrap();
    file.write_all(&BYTES.to_le_bytes()).unwrap();
    file.set_len(44 + u64::from(BYTES)).unwrap();
}

// Whether this process has the file open.
fn is_open(path: &Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok()).any(|one| one == path)
}

async fn wait_until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..600 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("after half a minute it is still not {what}");
}

#[tokio::test]
async fn decoding_ends_when_nobody_waits_for_it() {
    let root = temp_dir();
    let (library, _) = in_memory(root.path()).await;
    let embedders = library.models().embedders(&["dsp45@1".to_owned()]).await.unwrap();
    let path = root.path().canonicalize().unwrap().join("long.wav");
    long_silence(&path);

    let mut asked = Box::pin(embed_file(&path, &embedders, None, false));
    assert!((&mut asked).now_or_never().is_none());
    wait_until("begun", || is_open(&path)).await;
    drop(asked);

    wait_until("given up", || !is_open(&path)).await;
}
