//! What is answered when no real answer can be had: something prepared, or somebody else's.
//!
//! A fallback stands outside everything that can refuse: admission, breakers, attempts. It never replaces an answer that an instance gave,
//! whatever its status, nor the refusal of a request that is itself at fault.

pub mod layer;
mod prepared;

use http::Method;

pub use prepared::{BODY_BYTES_MAX, Error, Prepared};

use crate::respond::Reason;

/// Where the answer comes from instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A prepared answer that claims success: it stands in for data, so only a request that asks for data may have it.
    PreparedSuccess,
    /// A prepared answer that says it did not work: a page for people, true for any request.
    PreparedError,
    /// Another upstream is asked, once.
    Upstream,
}

/// What is known of the request that got no answer.
#[derive(Clone, Copy, Debug)]
pub struct Unanswered<'a> {
    pub method: &'a Method,
    pub reason: Reason,
    /// Sending it once more, to anybody, cannot do its work twice.
    pub may_repeat: bool,
}

impl Kind {
    /// Whether this fallback answers this request.
    ///
    /// ```
    /// use http::Method;
    /// use plimsoll_policy::Reason;
    /// use plimsoll_policy::fallback::{Kind, Unanswered};
    ///
    /// let lost = Unanswered { method: &Method::POST, reason: Reason::UpstreamFailed, may_repeat: false };
    /// assert!(!Kind::Upstream.answers(&lost), "it may have been done already");
    /// assert!(!Kind::PreparedSuccess.answers(&lost), "nobody knows whether it was done");
    /// assert!(Kind::PreparedError.answers(&lost));
    /// ```
    pub fn answers(self, request: &Unanswered<'_>) -> bool {
        is_nobodys_answer(request.reason)
            && match self {
                Self::PreparedSuccess => request.method.is_safe(),
                Self::PreparedError => true,
                Self::Upstream => request.may_repeat && !is_too_late(request.reason),
            }
    }
}

/// Whether the refusal means that no instance could answer, rather than that the request should not have come.
pub fn is_nobodys_answer(reason: Reason) -> bool {
    let could_not = matches!(reason, Reason::UpstreamFailed | Reason::NoInstance | Reason::FirstByteTimeout);
    let not_begun = matches!(reason, Reason::CircuitOpen | Reason::Overloaded | Reason::DeadlineUnreachable);
    could_not || not_begun || is_too_late(reason)
}

/// Whether there is no time to ask anybody else.
fn is_too_late(reason: Reason) -> bool {
    matches!(reason, Reason::TotalTimeout | Reason::DeadlinePassed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fallback_hides_what_is_wrong_with_a_request() {
        let of_the_request = [Reason::MalformedRequest, Reason::BodyTooLarge, Reason::NoRoute, Reason::BodyTimeout, Reason::SessionMissing];
        for reason in of_the_request {
            let request = Unanswered { method: &Method::GET, reason, may_repeat: true };
            assert!(![Kind::PreparedSuccess, Kind::PreparedError, Kind::Upstream].iter().any(|kind| kind.answers(&request)), "{reason:?}");
        }
    }

    #[test]
    fn data_is_stood_in_for_only_where_data_was_asked_for() {
        let request = |method| Unanswered { method, reason: Reason::NoInstance, may_repeat: true };
        assert!(Kind::PreparedSuccess.answers(&request(&Method::GET)));
        assert!(Kind::PreparedSuccess.answers(&request(&Method::HEAD)));
        assert!(!Kind::PreparedSuccess.answers(&request(&Method::PUT)), "nothing was put");
        assert!(Kind::Upstream.answers(&request(&Method::PUT)));
    }

    #[test]
    fn nobody_else_is_asked_when_the_time_is_over() {
        let late = Unanswered { method: &Method::GET, reason: Reason::TotalTimeout, may_repeat: true };
        assert!(!Kind::Upstream.answers(&late) && Kind::PreparedSuccess.answers(&late));
    }
}
