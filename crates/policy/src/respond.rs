//! The only table from a reason to what the client sees: status, stable type, title, what governs it at the edge and in a program.
//!
//! Types are stable across releases; clients may switch on them. Titles may be reworded.

pub mod layer;

use http::StatusCode;

macro_rules! reasons {
    ($( $(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $title:literal $(, $setting:literal $(or $layer:literal)?)?; )*) => {
        /// Why a request was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $( $(#[$doc])* $name, )* }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &[Self] = &[ $( Self::$name, )* ];

            /// The last part of the problem type: a stable, lower-case name.
            pub const fn slug(self) -> &'static str {
                match self { $( Self::$name => $slug, )* }
            }

            /// The HTTP status it is answered with.
            pub fn status(self) -> StatusCode {
                let code = match self { $( Self::$name => $status, )* };
                StatusCode::from_u16(code).expect("the table holds valid codes")
            }

            /// A short sentence, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $( Self::$name => $title, )* }
            }

            /// The key in `plimsoll.toml` that governs this refusal, where one does.
            pub const fn setting(self) -> Option<&'static str> {
                match self { $( Self::$name => reasons!(@setting $($setting)?), )* }
            }

            /// What governs it where policies are worn as layers: the layer's method, or a key that is not the edge's alone.
            pub fn setting_in_program(self) -> Option<&'static str> {
                let layer: Option<&str> = match self { $( Self::$name => reasons!(@setting $($($layer)?)?), )* };
                layer.or_else(|| self.setting().filter(|key| !key.starts_with("gateway.") && !key.starts_with("route.")))
            }
        }
    };
    (@setting) => { None };
    (@setting $setting:literal) => { Some($setting) };
}

reasons! {
    /// The request cannot be read without guessing where it ends (RFC 9112).
    MalformedRequest = "malformed-request", 400, "The request is not valid HTTP";
    /// A JSON body could not be parsed.
    MalformedBody = "malformed-body", 400, "The body is not valid JSON";
    /// The request came unencrypted where that is not done.
    TlsRequired = "tls-required", 400, "The request must come by https", "gateway.tls.redirect";
    /// No session, or one that is expired, forged or logged out.
    SessionMissing = "session-missing", 401, "No valid session";
    /// The admin listener wants a token.
    TokenMissing = "token-missing", 401, "A valid admin token is needed", "admin.token";
    /// The Host header names a place this listener is not.
    HostNotAllowed = "host-not-allowed", 403, "This host name is not served here", "admin.hosts";
    /// Nothing is served at this path.
    NotFound = "not-found", 404, "Nothing is served here";
    /// No route matches the request.
    NoRoute = "no-route", 404, "No route matches this request", "route.match";
    /// The path exists, the method does not.
    MethodNotAllowed = "method-not-allowed", 405, "The method is not allowed here", "route.methods";
    /// The client sent its head too slowly.
    HeadTimeout = "head-timeout", 408, "The request head took too long", "gateway.timeouts.head";
    /// The client stopped sending its body.
    BodyTimeout = "body-timeout", 408, "The request body stopped arriving", "gateway.timeouts.body_idle";
    /// The client sends its body, but too slowly.
    BodyTooSlow = "body-too-slow", 408, "The request body came too slowly", "gateway.limits.body_bytes_per_second_min";
    /// The content did not arrive in the time this call of the API waits.
    ContentTimeout = "content-timeout", 408, "The content took too long to arrive";
    /// The content is not what the client takes it for.
    PreconditionFailed = "precondition-failed", 412, "A condition of the request does not hold";
    /// The body is larger than allowed.
    BodyTooLarge = "body-too-large", 413, "The request body is too large", "gateway.limits.body_bytes_max";
    /// The content is larger than this call of the API reads.
    ContentTooLarge = "content-too-large", 413, "The content is larger than this call reads";
    /// The request target is longer than allowed.
    TargetTooLong = "target-too-long", 414, "The request target is too long", "gateway.limits.target_bytes_max";
    /// The content type is not one this route reads.
    UnsupportedMediaType = "unsupported-media-type", 415, "The content type is not supported";
    /// None of the file is where the range asked for lies.
    RangeNotSatisfiable = "range-not-satisfiable", 416, "The range lies outside of the content";
    /// The client expects what this server cannot promise.
    ExpectationFailed = "expectation-failed", 417, "The expectation cannot be met";
    /// The body is valid JSON with invalid contents; `errors` lists every fault.
    InvalidContent = "invalid-content", 422, "The content is invalid";
    /// The request head is larger than allowed.
    HeadTooLarge = "head-too-large", 431, "The request head is too large", "gateway.limits.head_bytes_max";
    /// The request has more header fields than allowed.
    TooManyHeaders = "too-many-headers", 431, "The request has too many header fields", "gateway.limits.headers_max";
    /// A bug: details are in the log under the request id.
    Internal = "internal", 500, "The server failed";
    /// The method is unknown to this server.
    NotImplemented = "not-implemented", 501, "The method is not implemented";
    /// The instance broke off or answered with something that is not HTTP.
    UpstreamFailed = "upstream-failed", 502, "The instance failed to answer";
    /// The shared state cannot be reached.
    StateUnavailable = "state-unavailable", 503, "The shared state is unavailable", "state.url";
    /// No instance can take the request.
    NoInstance = "no-instance", 503, "No instance is available";
    /// The upstream has failed for a while: nothing is sent there until a few requests have shown that it is well again.
    CircuitOpen = "circuit-open", 503, "The upstream is failing", "gateway.breaker.failure_share" or "BreakerLayer::new";
    /// The gateway holds as many connections as it may.
    TooManyConnections = "too-many-connections", 503, "Too many connections", "gateway.limits.connections_max";
    /// One client holds as many connections as it may.
    TooManyFromClient = "too-many-from-client", 503, "Too many connections from this address", "gateway.limits.connections_per_client_max";
    /// More requests arrive than the instances can serve in time.
    Overloaded = "overloaded", 503, "The service is overloaded", "gateway.admission.queue_wait_max" or "AdmissionLayer::new";
    /// Too little time is left for an answer: the work was not begun.
    DeadlineUnreachable = "deadline-unreachable", 503, "The deadline is too near for an answer", "route.deadline" or "DeadlineLayer::new";
    /// This instance is shutting down.
    Draining = "draining", 503, "The instance is shutting down";
    /// The instance did not begin its answer in time.
    FirstByteTimeout = "first-byte-timeout", 504, "The instance took too long to answer", "gateway.timeouts.first_byte";
    /// All attempts together took too long.
    TotalTimeout = "total-timeout", 504, "The request took too long", "gateway.timeouts.total";
    /// The time that the caller, or the route, allows for an answer has passed.
    DeadlinePassed = "deadline-passed", 504, "The time allowed for this request has passed", "route.deadline" or "DeadlineLayer::new";
    /// The request is in a version of HTTP that is not spoken here.
    VersionNotSupported = "version-not-supported", 505, "The HTTP version is not supported";
}

impl Reason {
    /// The request was given up so that others are served in time: a decision of the load line, not anybody's failure.
    pub const fn sheds_load(self) -> bool {
        matches!(self, Self::Overloaded | Self::DeadlineUnreachable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_lower_case_words() {
        let mut slugs: Vec<_> = Reason::ALL.iter().map(|reason| reason.slug()).collect();
        assert!(slugs.iter().all(|slug| slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')));
        slugs.sort_unstable();
        let count = slugs.len();
        slugs.dedup();
        assert_eq!(slugs.len(), count);
    }

    #[test]
    fn every_reason_is_documented_with_its_status() {
        let documentation = include_str!("../../../docs/api.md");
        for reason in Reason::ALL {
            let row = format!("| `{}` | {} |", reason.slug(), reason.status().as_u16());
            assert!(documentation.contains(&row), "docs/api.md lacks the row {row}");
        }
    }

    #[test]
    fn a_program_without_the_edge_is_told_of_no_key_of_the_edge() {
        for reason in Reason::ALL {
            let setting = reason.setting_in_program().unwrap_or_default();
            assert!(!setting.starts_with("gateway.") && !setting.starts_with("route."), "{reason:?}: {setting}");
        }
        assert_eq!(Reason::Overloaded.setting_in_program(), Some("AdmissionLayer::new"));
        assert_eq!(Reason::StateUnavailable.setting_in_program(), Some("state.url"), "the reference API has settings of its own");
    }

    #[test]
    fn every_refusal_is_an_error_status() {
        assert!(Reason::ALL.iter().all(|reason| reason.status().is_client_error() || reason.status().is_server_error()));
    }
}
