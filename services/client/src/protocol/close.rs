//! What a close asks of the client: the table of `docs/protocol.md`.

/// How to come back after a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// With the usual back-off.
    Reconnect,
    /// Within the time that `going_away` named.
    ReconnectSpread,
    /// After a random time up to the longest back-off: coming at once would be refused again.
    ReconnectLate,
    /// With another token: the resume token was refused, then the access token; then refresh.
    NewToken,
    /// The session is over: log in again.
    LogIn,
}

/// Advice for a close code, and the last error frame before it, which is more exact where there was one.
pub fn advice(code: Option<u16>, error: Option<&str>) -> Advice {
    match (code, error) {
        (Some(4003), _) | (_, Some("session_revoked")) => Advice::LogIn,
        (Some(4004), _) | (_, Some("token_expired" | "token_invalid" | "unauthenticated")) => {
            Advice::NewToken
        }
        // 4001 is also how the server ends a connection whose hello came too late.
        (_, Some("hello_timeout" | "hello_required")) => Advice::Reconnect,
        (Some(4001), _) => Advice::NewToken,
        (Some(4000), _) => Advice::ReconnectSpread,
        (Some(4002 | 4010 | 4029 | 1009), _) | (_, Some("too_many_connections")) => Advice::ReconnectLate,
        _ => Advice::Reconnect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_close_has_its_advice() {
        let table = [
            (Some(4000), None, Advice::ReconnectSpread),
            (Some(4001), Some("unauthenticated"), Advice::NewToken),
            (Some(4001), Some("hello_timeout"), Advice::Reconnect),
            (Some(4001), None, Advice::NewToken),
            (Some(4002), Some("bad_frame"), Advice::ReconnectLate),
            (Some(4003), Some("session_revoked"), Advice::LogIn),
            (Some(4004), Some("token_expired"), Advice::NewToken),
            (Some(4008), None, Advice::Reconnect),
            (Some(4009), None, Advice::Reconnect),
            (Some(4010), Some("too_many_connections"), Advice::ReconnectLate),
            (Some(4029), Some("rate_limited"), Advice::ReconnectLate),
            (Some(1001), None, Advice::Reconnect),
            (Some(1009), Some("frame_too_large"), Advice::ReconnectLate),
            (Some(1006), None, Advice::Reconnect),
            (None, None, Advice::Reconnect),
        ];
        for (code, error, want) in table {
            assert_eq!(advice(code, error), want, "close {code:?} after {error:?}");
        }
    }
}
