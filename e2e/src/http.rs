//! Plain HTTP to probes and metrics.

use std::sync::OnceLock;

use anyhow::{Result, anyhow};

/// One client for all; reqwest wants a TLS provider even for plain HTTP.
pub(crate) fn client() -> Result<reqwest::Client> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        // An error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Tests have a runtime each, and a pooled connection dies with the runtime that opened it.
        reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().ok()
    });
    client.clone().ok_or_else(|| anyhow!("no HTTP client"))
}
