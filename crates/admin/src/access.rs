//! Who may read what the operator reads.
//!
//! Three gates. The Unix socket's file permissions have already decided. With a token, a request shows it as `Authorization: Bearer`, or
//! shows the cookie it got for it at `/?token=…`. Without a token the listener is on loopback, and what is left to fear is a web page in
//! the operator's own browser that had its name resolved to 127.0.0.1 (DNS rebinding): such a request carries that name in `Host`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use http::header::{AUTHORIZATION, COOKIE, HOST};
use http::{HeaderMap, HeaderValue};
use plimsoll_policy::{Reason, Refusal};
use sha2::Sha256;

use crate::config::Config;

const COOKIE_NAME: &str = "plimsoll_admin";
/// How long a login lasts.
const LOGIN_AGE_MAX: Duration = Duration::from_hours(7 * 24);
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The rule of one listener.
pub(crate) enum Gate {
    Open,
    Hosts(Vec<String>),
    Token(Token),
}

impl Gate {
    pub(crate) fn for_tcp(config: &Config) -> Self {
        match &config.token {
            Some(token) => Self::Token(Token(token.clone())),
            None => Self::Hosts(config.hosts.iter().map(|name| name.to_ascii_lowercase()).collect()),
        }
    }

    pub(crate) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        match self {
            Self::Open => Ok(()),
            Self::Hosts(names) => admit_host(headers, names),
            Self::Token(token) if token.in_authorization(headers) || token.in_cookie(headers, now()) => Ok(()),
            Self::Token(_) => Err(token_missing()),
        }
    }

    /// Trades the token of a login link for a cookie; `None` where there is nothing to log in to.
    pub(crate) fn log_in(&self, offered: &str, headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
        match self {
            Self::Token(token) if token.equals(offered.as_bytes()) => Ok(Some(token.cookie(now()))),
            Self::Token(_) => Err(token_missing()),
            Self::Open | Self::Hosts(_) => self.admit(headers).map(|()| None),
        }
    }
}

fn token_missing() -> Refusal {
    Refusal::new(Reason::TokenMissing, "open /?token=… once in a browser, or send `Authorization: Bearer …`")
}

fn admit_host(headers: &HeaderMap, names: &[String]) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().filter(|_| hosts.next().is_none()).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = without_port(host).to_ascii_lowercase();
    if LOOPBACK_NAMES.contains(&&*name) || names.contains(&name) {
        return Ok(());
    }
    Err(Refusal::new(Reason::HostNotAllowed, "without a token this listener answers only to localhost, 127.0.0.1 and [::1]"))
}

fn without_port(host: &str) -> &str {
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    host.rsplit_once(':').filter(|(_, port)| digits(port)).map_or(host, |(name, _)| name)
}

/// The operator's secret. Compared by keyed hashes, so that the time it takes says nothing about how much of a guess was right.
pub(crate) struct Token(String);

impl Token {
    fn mac(&self, text: &[u8]) -> Hmac<Sha256> {
        let key = <Hmac<Sha256> as Mac>::new_from_slice(self.0.as_bytes()).expect("a key of any length will do");
        key.chain_update(text)
    }

    fn same(&self, offered: &[u8], expected: &[u8]) -> bool {
        self.mac(expected).verify(&self.mac(offered).finalize().into_bytes()).is_ok()
    }

    fn equals(&self, offered: &[u8]) -> bool {
        self.same(offered, self.0.as_bytes())
    }

    fn in_authorization(&self, headers: &HeaderMap) -> bool {
        let Some((scheme, offered)) = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' ')) else {
            return false;
        };
        scheme.eq_ignore_ascii_case("bearer") && self.equals(offered.trim().as_bytes())
    }

    /// `EXPIRY.SIGNATURE`: it outlives a restart, ends with the token, and does not hold it. Cookies go to every port of a host, so the
    /// application behind the gateway sees it too.
    fn session(&self, expires_at: u64) -> String {
        let signature = self.mac(format!("session until {expires_at}").as_bytes()).finalize().into_bytes();
        format!("{expires_at}.{signature:x}")
    }

    fn in_cookie(&self, headers: &HeaderMap, now: u64) -> bool {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, session)| {
            let expires_at = session.split_once('.').and_then(|(expiry, _)| expiry.parse().ok()).filter(|expiry| *expiry > now);
            name == COOKIE_NAME && expires_at.is_some_and(|expiry| self.same(session.as_bytes(), self.session(expiry).as_bytes()))
        })
    }

    fn cookie(&self, now: u64) -> HeaderValue {
        let age = LOGIN_AGE_MAX.as_secs();
        // Lax, not Strict: whoever opens the login link from a chat must still be logged in after the redirect. Everything here is a GET
        // without effect, and no other site can read the answers.
        let cookie = format!("{COOKIE_NAME}={}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax", self.session(now + age));
        HeaderValue::from_str(&cookie).expect("digits and hexadecimal are header characters")
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn host_rule() {
        let gate = Gate::for_tcp(&Config { hosts: vec!["Ops.Example".into()], ..Config::default() });
        for host in ["localhost", "LOCALHOST:8081", "127.0.0.1:1", "[::1]", "[::1]:8081", "ops.example:9"] {
            assert!(gate.admit(&headers(HOST, host)).is_ok(), "{host}");
        }
        for host in ["", "evil.example", "localhost.evil.example:8081", "127.0.0.1.nip.io", "localhost:8081@evil", "10.0.0.1"] {
            assert_eq!(gate.admit(&headers(HOST, host)).unwrap_err().reason, Reason::HostNotAllowed, "{host}");
        }
        let mut twice = headers(HOST, "localhost");
        twice.append(HOST, HeaderValue::from_static("evil.example"));
        assert!(gate.admit(&twice).is_err());
        assert!(gate.admit(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_session_ends_with_its_time_and_with_its_token() {
        let token = Token("0123456789abcdef".into());
        let cookie = token.cookie(1_000);
        let session = cookie.to_str().unwrap().split(';').next().unwrap();
        let shown = headers(COOKIE, &format!("theme=dark; {session}"));
        let end = 1_000 + LOGIN_AGE_MAX.as_secs();
        assert!(token.in_cookie(&shown, end - 1));
        assert!(!token.in_cookie(&shown, end));
        assert!(!Token("another token, long".into()).in_cookie(&shown, 1_000));
        assert!(!cookie.to_str().unwrap().contains("0123456789abcdef"));

        let longer = session.replacen(&end.to_string(), &(end + 1).to_string(), 1);
        assert!(!token.in_cookie(&headers(COOKIE, &longer), 1_000));
    }
}
