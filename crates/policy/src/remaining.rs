//! How much of an answer's body is still to come, as far as its head says.
//!
//! Not every body knows when it has ended, and a server that knows better does not ask: it drops a body once the announced length has gone
//! out, and the body of an answer to HEAD at once. To a layer that waits for the end both would look like a client that has left.

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method};

/// Bytes still to come; `None` where the head does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remaining(Option<u64>);

impl Remaining {
    /// Of the answer with these headers to a request with this method.
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let announced = || headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
        Self(if method == Method::HEAD { Some(0) } else { announced() })
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        self.0 = self.0.map(|left| left.saturating_sub(bytes as u64));
    }

    pub(crate) fn is_nothing(self) -> bool {
        self.0 == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn an_announced_length_counts_down_and_an_unknown_one_never_ends() {
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from(5))]);
        let mut remaining = Remaining::of(&Method::GET, &headers);
        remaining.take(4);
        assert!(!remaining.is_nothing());
        remaining.take(1);
        assert!(remaining.is_nothing());
        let mut unknown = Remaining::of(&Method::GET, &HeaderMap::new());
        unknown.take(5);
        assert!(!unknown.is_nothing());
        assert!(Remaining::of(&Method::HEAD, &headers).is_nothing(), "an answer to HEAD has no body");
    }
}
