//! A library in a folder keeps every promise.

use songrec_local::{LocalBackend, LocalOptions};

songrec_testkit::conformance!(async {
    let folder = songrec_testkit::temp_dir();
    let options = LocalOptions { keeps_copies: true };
    (LocalBackend::create(folder.path(), options).await.unwrap(), folder)
});
