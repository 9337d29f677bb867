//! Where to look and what to type.

use std::net::SocketAddr;
use std::time::Duration;

use crate::say;

/// Tells it.
pub(super) fn say(gateways: &[SocketAddr], admin: SocketAddr, took: Duration) {
    let Some(first) = gateways.first() else { return };
    let first = reachable(*first);
    let others: Vec<String> =
        gateways.iter().skip(1).map(|address| format!("http://{}/", reachable(*address))).collect();
    say::line(&format!("ready in {:.1} s\n", took.as_secs_f64()));
    say::line(&format!("  chat page        http://{first}/   (open it in two windows)"));
    if !others.is_empty() {
        say::line(&format!("  other gateways   {}", others.join("  ")));
    }
    say::line(&format!("  HTTP API         http://{first}/api/v1/openapi.json"));
    say::line(&format!("  metrics          http://{}/metrics   (and /readyz)", reachable(admin)));
    say::line(&format!(
        "  in a terminal    TOKEN=$(curl -s http://{first}/api/v1/register -H 'content-type: application/json' \
         -d '{{\"name\":\"guest'$RANDOM'\",\"password\":\"correct horse\"}}' | grep -o '\"accessToken\":\"[^\"]*' | cut -d'\"' -f4)"
    ));
    say::line(&format!(
        "                   (echo '{{\"hello\":{{\"accessToken\":\"'$TOKEN'\"}}}}'; cat) \
         | websocat --protocol gochat.v1+json ws://{first}/ws\n"
    ));
    say::line("Ctrl-C stops it.");
}

/// An address that a browser can open, where it listens on all.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    address
}
