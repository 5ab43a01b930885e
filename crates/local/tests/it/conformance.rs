//! A library in a folder keeps every promise, with copies of audio and without.

use songrec_local::{LocalBackend, LocalOptions};
use songrec_testkit::temp_dir;

async fn create(keeps_copies: bool) -> (LocalBackend, tempfile::TempDir) {
    let folder = temp_dir();
    let library = {
        let options = LocalOptions { keeps_copies, ..LocalOptions::default() };
        LocalBackend::create(folder.path(), options).await
    };
    (library.expect("an empty folder can become a library"), folder)
}

mod with_copies {
    songrec_testkit::conformance!(super::create(true));
}

mod without_copies {
    songrec_testkit::conformance!(super::create(false));
}
