//! The library in memory keeps every promise.

use songrec_storage::MemoryBackend;

songrec_testkit::conformance!(async { MemoryBackend::new() });
