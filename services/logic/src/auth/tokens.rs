//! Tokens: access and resume are JWTs of different audiences; refresh is opaque and only its hash is stored.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use gochat_core::{SessionId, UserId};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::keys::KeyRing;
use crate::error::Refusal;

/// What a token is for. A token of one audience is never taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Proves a login to the API and the WebSocket.
    Access,
    /// Lets a dropped connection come back.
    Resume,
}

impl Audience {
    fn as_str(self) -> &'static str {
        match self {
            Self::Access => "gochat.access",
            Self::Resume => "gochat.resume",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: UserId,
    sid: SessionId,
    aud: String,
    iat: u64,
    exp: u64,
}

/// What a valid token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) user: UserId,
    pub(crate) session: SessionId,
    pub(crate) expires_at_ms: i64,
}

/// Makes and checks JWTs.
#[derive(Clone)]
pub(crate) struct Tokens {
    keys: KeyRing,
    access: Duration,
    resume: Duration,
}

impl Tokens {
    pub(crate) fn new(keys: KeyRing, access: Duration, resume: Duration) -> Self {
        Self { keys, access, resume }
    }

    /// A signed token and when it ends.
    pub(crate) fn issue(
        &self,
        audience: Audience,
        user: UserId,
        session: SessionId,
    ) -> Result<(String, i64), Refusal> {
        let lifetime = match audience {
            Audience::Access => self.access,
            Audience::Resume => self.resume,
        };
        self.issue_at(now(), lifetime, audience, user, session)
    }

    fn issue_at(
        &self,
        now: Duration,
        lifetime: Duration,
        audience: Audience,
        user: UserId,
        session: SessionId,
    ) -> Result<(String, i64), Refusal> {
        let exp = now.saturating_add(lifetime).as_secs();
        let claims =
            Claims { sub: user, sid: session, aud: audience.as_str().into(), iat: now.as_secs(), exp };
        let keys = self.keys.current();
        let header = Header { kid: Some(keys.signing_kid.clone()), ..Header::new(Algorithm::HS256) };
        let token = jsonwebtoken::encode(&header, &claims, &keys.signing).map_err(|error| {
            tracing::error!(%error, "a token was not signed");
            Refusal::Internal
        })?;
        Ok((token, ms(exp)))
    }

    /// Checks signature, audience and expiry; not the session.
    pub(crate) fn check(&self, audience: Audience, token: &str) -> Result<Grant, Refusal> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::TokenInvalid)?;
        let keys = self.keys.current();
        let key = header.kid.and_then(|kid| keys.verifying.get(&kid)).ok_or(Refusal::TokenInvalid)?;
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_audience(&[audience.as_str()]);
        rules.set_required_spec_claims(&["exp", "aud", "sub"]);
        // Issuer and judge are the same cluster: more leeway than clocks need would only lengthen every token's life.
        rules.leeway = 5;
        let claims = jsonwebtoken::decode::<Claims>(token, key, &rules)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => Refusal::TokenExpired,
                _ => Refusal::TokenInvalid,
            })?
            .claims;
        Ok(Grant { user: claims.sub, session: claims.sid, expires_at_ms: ms(claims.exp) })
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn ms(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

/// 256 random bits with the session they belong to: what a device keeps to get new access tokens.
pub(crate) struct RefreshToken {
    pub(crate) session: SessionId,
    secret: [u8; 32],
}

impl RefreshToken {
    pub(crate) fn new(session: SessionId) -> Self {
        Self { session, secret: rand::random() }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::TokenInvalid)?;
        let (session, secret) = bytes.split_first_chunk::<8>().ok_or(Refusal::TokenInvalid)?;
        let session = SessionId::new(u64::from_be_bytes(*session)).ok_or(Refusal::TokenInvalid)?;
        let secret = secret.try_into().map_err(|_| Refusal::TokenInvalid)?;
        Ok(Self { session, secret })
    }

    pub(crate) fn encode(&self) -> String {
        let mut bytes = self.session.get().to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.secret);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// What is stored. A plain hash will do: 256 random bits can't be guessed from it.
    pub(crate) fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.secret).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;

    use super::super::keys::Keys;
    use super::*;

    fn key(byte: u8) -> String {
        BASE64_STANDARD.encode([byte; 32])
    }

    fn tokens(keys: &str) -> Tokens {
        Tokens::new(KeyRing::of(keys), Duration::from_secs(900), Duration::from_secs(3600))
    }

    fn ids() -> (UserId, SessionId) {
        (UserId::new(u64::MAX).unwrap(), SessionId::new(9).unwrap())
    }

    #[test]
    fn a_token_says_who_it_was_made_for() {
        let tokens = tokens(&format!("a: {}", key(1)));
        let (user, session) = ids();
        let (token, expires_at_ms) = tokens.issue(Audience::Access, user, session).unwrap();
        assert_eq!(tokens.check(Audience::Access, &token), Ok(Grant { user, session, expires_at_ms }));
    }

    #[test]
    fn a_forged_token_is_invalid() {
        let ours = tokens(&format!("a: {}", key(1)));
        let theirs = tokens(&format!("a: {}", key(2)));
        let (user, session) = ids();
        let (forged, _) = theirs.issue(Audience::Access, user, session).unwrap();
        assert_eq!(ours.check(Audience::Access, &forged), Err(Refusal::TokenInvalid));
        let (token, _) = ours.issue(Audience::Access, user, session).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let none = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT","kid":"a"}"#);
        let claims = BASE64_URL_SAFE_NO_PAD
            .encode(r#"{"sub":"1","sid":"9","aud":"gochat.access","iat":1,"exp":99999999999}"#);
        for bad in [
            format!("{none}.{}.", parts[1]),
            format!("{}.{claims}.{}", parts[0], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            String::new(),
        ] {
            assert_eq!(ours.check(Audience::Access, &bad), Err(Refusal::TokenInvalid), "{bad}");
        }
    }

    #[test]
    fn an_expired_token_says_so() {
        let tokens = tokens(&format!("a: {}", key(1)));
        let (user, session) = ids();
        let long_ago = now().checked_sub(Duration::from_secs(3600)).unwrap();
        let (token, _) =
            tokens.issue_at(long_ago, Duration::from_secs(60), Audience::Access, user, session).unwrap();
        assert_eq!(tokens.check(Audience::Access, &token), Err(Refusal::TokenExpired));
    }

    #[test]
    fn a_token_of_one_audience_is_not_taken_for_the_other() {
        let tokens = tokens(&format!("a: {}", key(1)));
        let (user, session) = ids();
        let (resume, _) = tokens.issue(Audience::Resume, user, session).unwrap();
        assert_eq!(tokens.check(Audience::Access, &resume), Err(Refusal::TokenInvalid));
        assert!(tokens.check(Audience::Resume, &resume).is_ok());
    }

    #[test]
    fn a_rotated_key_verifies_until_it_is_taken_out() {
        let tokens = tokens(&format!("old: {}", key(1)));
        let (user, session) = ids();
        let (token, _) = tokens.issue(Audience::Access, user, session).unwrap();
        tokens.keys.replace(Keys::parse(&format!("new: {}\nold: {}", key(2), key(1))).unwrap());
        assert!(tokens.check(Audience::Access, &token).is_ok());
        let (newer, _) = tokens.issue(Audience::Access, user, session).unwrap();
        tokens.keys.replace(Keys::parse(&format!("new: {}", key(2))).unwrap());
        assert_eq!(tokens.check(Audience::Access, &token), Err(Refusal::TokenInvalid));
        assert!(tokens.check(Audience::Access, &newer).is_ok());
    }

    #[test]
    fn a_refresh_token_reads_back_and_garbage_does_not() {
        let token = RefreshToken::new(SessionId::new(77).unwrap());
        let back = RefreshToken::parse(&token.encode()).unwrap();
        assert_eq!((back.session, back.hash()), (token.session, token.hash()));
        for bad in ["", "AAAA", "not base64!", &token.encode()[2..]] {
            assert!(RefreshToken::parse(bad).is_err(), "{bad}");
        }
    }
}
