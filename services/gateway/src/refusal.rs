//! A refusal on its way to a client: a code of `error_codes` or of logic, as an error frame or an HTTP answer.

use std::borrow::Cow;

use gochat_proto::client::{Error, ServerFrame, server_frame::Frame};
use gochat_proto::logic::Refused;
use tonic::Code;

use crate::error_codes::{self as codes, ErrorCode};

/// What a client is told instead of what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Cow<'static, str>,
    pub(crate) text: Cow<'static, str>,
    pub(crate) fix: Cow<'static, str>,
    pub(crate) retry_after_ms: u32,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        let retry_after_ms = match code {
            codes::OVERLOADED | codes::RATE_LIMITED => 1_000,
            codes::UNAVAILABLE => 2_000,
            _ => 0,
        };
        Self { code: code.code.into(), text: code.text.into(), fix: code.fix.into(), retry_after_ms }
    }
}

/// What logic refused: its own word where it sent one.
impl From<&tonic::Status> for Refusal {
    fn from(status: &tonic::Status) -> Self {
        let word = |key| status.metadata().get(key).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut refusal = Self::from(match status.code() {
            Code::Unauthenticated => codes::UNAUTHENTICATED,
            Code::PermissionDenied => codes::NOT_A_MEMBER,
            Code::NotFound => codes::NO_SUCH_CONVERSATION,
            Code::ResourceExhausted => codes::OVERLOADED,
            Code::InvalidArgument | Code::FailedPrecondition | Code::AlreadyExists | Code::OutOfRange => {
                codes::BAD_REQUEST
            }
            _ => codes::UNAVAILABLE,
        });
        if let Some(code) = word("gochat-code") {
            return Self::of_logic(code, status.message().to_owned(), word("gochat-fix").unwrap_or_default());
        }
        if refusal.code == codes::BAD_REQUEST.code {
            refusal.text = status.message().to_owned().into();
        }
        refusal
    }
}

/// The same of one token of many.
impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let Refused { code, text, fix } = refused;
        Self::of_logic(code, text, fix)
    }
}

impl Refusal {
    /// In logic's own words, which may be newer than the table here.
    fn of_logic(code: String, text: String, fix: String) -> Self {
        let known = codes::ALL.iter().find(|known| known.code == code).copied();
        let mut refusal = known.map_or_else(
            || Self { code: code.into(), text: "".into(), fix: "".into(), retry_after_ms: 0 },
            Self::from,
        );
        if !text.is_empty() {
            refusal.text = text.into();
        }
        if !fix.is_empty() {
            refusal.fix = fix.into();
        }
        refusal
    }

    /// A `bad_request` that says what is wrong.
    pub(crate) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self { text: text.into(), ..codes::BAD_REQUEST.into() }
    }

    pub(crate) fn after(mut self, retry_after_ms: u32) -> Self {
        self.retry_after_ms = retry_after_ms;
        self
    }

    /// As an error frame; the caller says what it is about.
    pub(crate) fn into_error(self) -> Error {
        Error {
            code: self.code.into_owned(),
            text: self.text.into_owned(),
            fix: self.fix.into_owned(),
            retry_after_ms: self.retry_after_ms,
            ..Error::default()
        }
    }

    /// As an error frame about nothing in particular.
    pub(crate) fn into_frame(self) -> ServerFrame {
        ServerFrame { frame: Some(Frame::Error(self.into_error())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logics_own_word_reaches_the_client() {
        let mut status = tonic::Status::permission_denied("user 7 may not write");
        status.metadata_mut().insert("gochat-code", "group_full".parse().unwrap());
        status.metadata_mut().insert("gochat-fix", "remove somebody".parse().unwrap());
        let refusal = Refusal::from(&status);
        assert_eq!((&*refusal.code, &*refusal.fix), ("group_full", "remove somebody"));
        assert_eq!(refusal.text, "user 7 may not write");
    }

    #[test]
    fn a_logic_that_is_away_asks_for_a_retry() {
        let refusal = Refusal::from(&tonic::Status::unavailable("tcp connect error"));
        assert_eq!(refusal.code, "unavailable");
        assert!(refusal.retry_after_ms > 0);
        assert!(!refusal.text.contains("tcp"), "inner details stay inside");
    }
}
