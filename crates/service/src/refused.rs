//! How a handler says no: `?` on a refusal, or on an error of the shared state.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use plimsoll_policy::respond::layer::pending;
use plimsoll_policy::{Reason, Refusal};

/// Long enough not to add to an outage, short enough not to be one.
const STATE_RETRY_AFTER: Duration = Duration::from_secs(2);

/// A refusal on its way out of a handler; the service stack writes the problem.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) Refusal);

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self(refusal)
    }
}

/// Whatever is wrong with the shared state, the client can only come back later: it is never told that it is logged out.
impl From<plimsoll_state::Error> for Refused {
    fn from(error: plimsoll_state::Error) -> Self {
        tracing::warn!(%error, "a request could not reach the shared state");
        Self(Refusal::new(Reason::StateUnavailable, "the request was understood; send it again later").with_retry_after(STATE_RETRY_AFTER))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        pending(self.0)
    }
}
