//! A refusal on its way to the client, and the RFC 9457 problem it becomes.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use crate::respond::Reason;

/// The content type of every error body (RFC 9457).
pub const CONTENT_TYPE: &str = "application/problem+json";

/// One request turned away: the reason, what the client is told, when to come back.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub reason: Reason,
    /// What was wrong with this request, for the client. Never internals.
    pub detail: Cow<'static, str>,
    /// Each fault found in the content, all of them at once.
    pub errors: Vec<Fault>,
    /// How long the client should wait before it tries again, sent as `Retry-After`.
    pub retry_after: Option<Duration>,
    /// The methods that would have done, sent as `Allow`.
    pub allow: Option<Box<str>>,
    /// How long the representation is of which a part was asked for that is not there, sent as `Content-Range`.
    pub length: Option<u64>,
    /// What governs this refusal, where it is not what governs every other one for the same reason.
    pub setting: Option<&'static str>,
}

/// One fault in the content of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Where it is: a JSON Pointer (RFC 6901) into the body; empty for the whole body.
    pub pointer: String,
    /// What to change.
    pub detail: String,
}

impl Refusal {
    pub fn new(reason: Reason, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { reason, detail: detail.into(), errors: Vec::new(), retry_after: None, allow: None, length: None, setting: None }
    }

    #[must_use]
    pub fn with_errors(mut self, errors: Vec<Fault>) -> Self {
        self.errors = errors;
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    #[must_use]
    pub fn with_allow(mut self, methods: &str) -> Self {
        self.allow = Some(methods.into());
        self
    }

    #[must_use]
    pub fn with_length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.reason.status()
    }

    /// Whole seconds for `Retry-After`, rounded up so that nobody comes back too early.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
    }

    /// The `application/problem+json` body, as the edge writes it: it names a key in `plimsoll.toml`.
    pub fn to_json(&self, request_id: &str) -> Bytes {
        self.problem(request_id, self.reason.setting())
    }

    /// The same inside a program, which names what it has set itself.
    pub(crate) fn to_json_in_program(&self, request_id: &str) -> Bytes {
        self.problem(request_id, self.reason.setting_in_program())
    }

    fn problem(&self, request_id: &str, setting: Option<&'static str>) -> Bytes {
        let problem = Problem {
            kind: format!("urn:plimsoll:problem:{}", self.reason.slug()),
            title: self.reason.title(),
            status: self.reason.status().as_u16(),
            detail: &self.detail,
            request_id,
            setting: self.setting.or(setting),
            errors: &self.errors,
        };
        serde_json::to_vec(&problem).expect("a problem holds only strings and numbers").into()
    }
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    setting: Option<&'static str>,
    #[serde(skip_serializing_if = "<[Fault]>::is_empty")]
    errors: &'a [Fault],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_reason_setting_and_request_id() {
        let refusal = Refusal::new(Reason::BodyTooLarge, "the body may hold 10 bytes");
        let json: serde_json::Value = serde_json::from_slice(&refusal.to_json("abc")).unwrap();
        assert_eq!(json["type"], "urn:plimsoll:problem:body-too-large");
        assert_eq!(json["status"], 413);
        assert_eq!(json["request_id"], "abc");
        assert_eq!(json["setting"], "gateway.limits.body_bytes_max");
        assert!(json.get("errors").is_none());
    }

    #[test]
    fn retry_after_rounds_up() {
        let refusal = Refusal::new(Reason::NoInstance, "").with_retry_after(Duration::from_millis(1_200));
        assert_eq!(refusal.retry_after_seconds(), Some(2));
    }
}
