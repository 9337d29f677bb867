//! A member's id and address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use gochat_core::{MemberId, Workload};

/// The configured id, else `<workload>-<hostname>-<pid>`, cut to 63 bytes.
pub fn member_id(configured: &str, workload: Workload) -> MemberId {
    if !configured.is_empty() {
        return MemberId::from(configured);
    }
    let host = std::env::var("HOSTNAME")
        .ok()
        .filter(|host| !host.is_empty())
        .or_else(|| std::fs::read_to_string("/etc/hostname").ok())
        .unwrap_or_default();
    // The pid stays whole: it is what tells two processes of one host apart.
    let pid = std::process::id().to_string();
    let room = 61usize.saturating_sub(workload.as_str().len() + pid.len());
    let host: String =
        host.trim().chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(room).collect();
    MemberId::from(format!("{workload}-{host}-{pid}").as_str())
}

/// The configured address, else `http://host:port` of the bound socket; an unspecified host becomes the one that
/// this machine uses to reach others.
pub fn advertised(configured: &str, bound: SocketAddr) -> String {
    if !configured.is_empty() {
        return configured.to_owned();
    }
    let host = if bound.ip().is_unspecified() {
        outward().unwrap_or(Ipv4Addr::LOCALHOST.into())
    } else {
        bound.ip()
    };
    format!("http://{}", SocketAddr::new(host, bound.port()))
}

/// Asks the routing table; connecting a UDP socket sends nothing. 192.0.2.0/24 is nobody's (RFC 5737).
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_wins_and_what_is_derived_fits() {
        assert_eq!(member_id("logic-0", Workload::Logic).as_str(), "logic-0");
        let derived = member_id("", Workload::Gateway);
        assert!(derived.as_str().starts_with("gateway-") && derived.as_str().len() <= 63, "{derived}");
        assert!(derived.as_str().ends_with(&std::process::id().to_string()));
    }

    #[test]
    fn an_unspecified_address_is_never_advertised() {
        let bound = "127.0.0.1:9001".parse().unwrap();
        assert_eq!(advertised("", bound), "http://127.0.0.1:9001");
        assert_eq!(advertised("http://logic-0:1", bound), "http://logic-0:1");
        let any = advertised("", "0.0.0.0:9001".parse().unwrap());
        assert!(!any.contains("0.0.0.0") && any.ends_with(":9001"), "{any}");
    }
}
