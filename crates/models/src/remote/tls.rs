//! The HTTP clients of this crate.

use rustls::crypto::{CryptoProvider, ring};

/// A client that names songrec, and speaks TLS with the cryptography of `ring`
/// unless the program chose another before.
pub(super) fn client_builder() -> reqwest::ClientBuilder {
    if CryptoProvider::get_default().is_none() {
        // An error means that another thread was faster; its choice is the same.
        let _ = ring::default_provider().install_default();
    }
    reqwest::Client::builder().user_agent(concat!("songrec/", env!("CARGO_PKG_VERSION")))
}
