//! The cookie that carries a session id: not readable by scripts, not sent along from other sites, over https only where there is https.

use std::time::Duration;

use ::cookie::{Cookie, SameSite};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::SessionId;
use super::keys::SessionKeys;

pub(crate) const NAME: &str = "plimsoll_session";

/// A client has one such cookie; checking the signatures of a header full of them would be work it should not be able to order.
const COOKIES_MAX: usize = 4;

/// Reads and writes session cookies.
pub(crate) struct SessionCookies {
    keys: SessionKeys,
    ttl: Duration,
}

impl SessionCookies {
    pub(crate) fn new(keys: SessionKeys, ttl: Duration) -> Self {
        Self { keys, ttl }
    }

    /// The ids in a request whose signature holds.
    pub(crate) fn open(&self, headers: &HeaderMap) -> Vec<SessionId> {
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        let cookies = lines.flat_map(Cookie::split_parse).filter_map(Result::ok);
        let sealed = cookies.filter(|cookie| cookie.name() == NAME).take(COOKIES_MAX);
        sealed.filter_map(|cookie| self.keys.open(cookie.value())).collect()
    }

    /// `Set-Cookie` for a session that begins or goes on: it lives as long as the record in the store.
    pub(crate) fn set(&self, id: SessionId, secure: bool) -> HeaderValue {
        render(self.keys.seal(id), self.ttl, secure)
    }

    /// `Set-Cookie` that makes the client forget.
    pub(crate) fn clear(secure: bool) -> HeaderValue {
        render(String::new(), Duration::ZERO, secure)
    }
}

fn render(value: String, ttl: Duration, secure: bool) -> HeaderValue {
    let max_age = time::Duration::seconds(i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
    let cookie = Cookie::build((NAME, value)).http_only(true).same_site(SameSite::Lax).path("/").max_age(max_age).secure(secure);
    HeaderValue::try_from(cookie.build().to_string()).expect("name, base64 and attributes are visible ASCII")
}
